"""The people filter on a detector: counts, who stays, groups, and the group of a built clip."""

from types import SimpleNamespace

import numpy as np
import pytest

from openuni.clip import Clip
from openuni.errors import BadInput, MissingWeights
from openuni.pipelines.filters.people_expert import PeopleFilter, group_of, grouped
from openuni.pipelines.parts import make_filters
from tests.annotators import tiny_people as tiny


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    tiny.save_yolox(folder / "DWPose")
    return folder


def score(weights, rgb, **settings):
    stage = PeopleFilter(weights=str(weights), device="cpu", detector="yolox-l", **settings)
    stage.setup()
    scores = stage(SimpleNamespace(frames=SimpleNamespace(rgb=rgb), shared={})).scores
    assert set(scores) == {column.name for column in stage.columns}
    return scores


def test_one_and_two_people_are_the_papers_groups(weights):
    one, two = tiny.red_squares((3, 3), frames=5), tiny.red_squares((1, 3), (6, 3), frames=5)
    assert score(weights, one)["group"] == "single_human" and score(weights, two)["group"] == "two_human"
    found = score(weights, two)
    assert (found["count"], found["most"], found["tracks"], found["agreement"]) == (2, 2, 2, 1.0)
    assert found["height_fraction"] == pytest.approx(tiny.YOLOX_SIZE[1] / 64, abs=0.01)


def test_nobody_crowds_and_bystanders(weights):
    nobody = score(weights, np.zeros((4, 64, 64, 3), np.uint8))
    assert nobody["count"] == 0 and nobody["group"] == "other" and nobody["score"] is None
    assert score(weights, tiny.red_squares((0, 3), (3, 3), (6, 3), frames=4))["group"] == "other"
    assert score(weights, tiny.red_squares((3, 3), frames=4), min_height=0.5)["count"] == 0
    assert all(value is None for value in score(weights, np.zeros((0, 64, 64, 3), np.uint8)).values())


def test_groups_want_most_samples_to_agree_and_the_same_people():
    assert group_of(np.array([1, 1, 1, 2]), 1, 0.7) == (1, 0.75, "single_human")
    assert group_of(np.array([1, 1, 2, 2, 1]), 1, 0.7)[2] == "other"
    assert group_of(np.array([1, 1, 1, 1]), 2, 0.7)[2] == "other"  # one after the other
    assert group_of(np.array([2, 2, 2, 2]), 2, 0.7)[2] == "two_human"


def test_a_clips_group_is_its_sources_where_that_named_one():
    clip = Clip(clip_id="a" * 20, source="folder", source_key="k", source_video="v", path="a.mp4", group="folder")
    assert grouped(clip, "two_human").group == "two_human"
    assert grouped(clip, "other") == grouped(clip, None) == clip
    for source, group in (("folder", "mine"), ("koala36m", "koala36m")):
        named = Clip(clip_id="a" * 20, source=source, source_key="k", source_video="v", path="a.mp4", group=group)
        assert grouped(named, "two_human") == named


def test_it_needs_weights_and_stands_beside_the_weight_free_one(weights, tmp_path):
    names = [stage.name for stage in make_filters(["all"], {})]
    assert "people" in names and "people_expert" not in names
    with pytest.raises(MissingWeights, match="Weights of rtdetr-r50"):
        make_filters(["people_expert"], {}, str(weights))
    (_, stage) = sorted(
        make_filters(["people_expert"], {"people_expert": {"detector": "yolox-l"}}, str(weights)),
        key=lambda stage: stage.name,
    )
    assert stage.expert == "yolox-l" and "DWPose" in stage.licence
    with pytest.raises(BadInput, match="min_height and min_agreement must be 0 to 1"):
        score(weights, np.zeros((1, 8, 8, 3), np.uint8), min_height=3)
