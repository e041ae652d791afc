"""Experts look at generated frames as a build lets them look, abstain with reasons, and are known by their hashes."""

import numpy as np
import pytest

from openuni.annotators.flow_dis import DisFlow
from openuni.benchmark.gen.reannotate import NO_EXPERT, Reannotator
from openuni.codec.flow import FLOW
from openuni.engine.stage import Absent
from openuni.errors import BadInput, MissingWeights, UnknownName
from tests.benchmark.metrics.test_video import shifted


@pytest.fixture(scope="module")
def experts():
    made = Reannotator({})
    made.setup()
    return made


def test_flow_is_what_a_build_would_store(experts):
    rgb, _, _ = shifted(np.random.default_rng(0), 1, 1, frames=3)
    stage = DisFlow()
    stage.setup()
    view = type("View", (), {"frames": type("Frames", (), {"rgb": rgb})})
    expected = FLOW.stored(stage(view).map)
    found = experts("flow", rgb, 8.0, "a")
    assert np.array_equal(found.data, expected.data) and np.array_equal(found.valid, expected.valid)


def test_an_expert_that_abstains_and_one_that_is_not_there_say_why(experts):
    still = np.full((8, 32, 32, 3), 90, np.uint8)
    for name, reason in (("depth", "static"), ("skeleton", NO_EXPERT), ("densepose", NO_EXPERT)):
        for _ in range(2):  # kept, too
            with pytest.raises(Absent, match=reason):
                experts(name, still, 8.0, "still")
    with pytest.raises(Absent, match="flow_too_short"):
        experts("segmentation", still[:1], 8.0, "one frame")


def test_maps_are_kept_by_their_key_and_so_many(experts):
    rgb = np.random.default_rng(1).integers(0, 256, (3, 24, 24, 3), dtype=np.uint8)
    first = experts("flow", rgb, 8.0, "key")
    assert experts("flow", rgb[::-1], 8.0, "key") is first
    assert experts("flow", rgb[::-1], 8.0, "other") is not first
    for number in range(100):
        experts._kept["x", str(number)] = first
    experts("flow", rgb, 8.0, "one more")
    assert len(experts._kept) <= 24 * 3


def test_every_expert_is_known_by_version_weights_and_what_it_reads():
    told = Reannotator({}).describe()
    assert {name: one["expert"] for name, one in told.items()} == {
        "flow": "flow-dis", "depth": "depth-motion", "segmentation": "segmentation-motion",
    }  # fmt: skip
    assert all(len(one["fingerprint"]) == 12 for one in told.values())
    assert Reannotator({"depth": "depth-motion"}).describe() == told


@pytest.mark.parametrize(
    ("named", "error", "message"),
    [
        ({"depht": "depth-motion"}, UnknownName, "Did you mean 'depth'"),
        ({"depth": "depth-moton"}, UnknownName, "Did you mean 'depth-motion'"),
        ({"depth": "flow-dis"}, BadInput, "flow-dis makes flow"),
        ({"depth": "truth-depth"}, BadInput, "has no truth"),
        ({"depth": "depth-anything-v2-small"}, MissingWeights, "depth-anything"),
    ],
)
def test_a_wrong_expert_is_said_before_anything_runs(named, error, message, monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    with pytest.raises(error) as found:
        Reannotator(named, str(tmp_path))
    assert message in str(found.value)
