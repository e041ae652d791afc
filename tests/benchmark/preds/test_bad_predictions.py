"""openuni bench --model preds: with every kind of bad input in one folder: lines, counts and flags, never a crash."""

import json
from collections import defaultdict

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from openuni.benchmark.records import read_records
from openuni.cli import app
from openuni.engine.local import LocalEngine
from tests.benchmark.rendered import FRAMES, SIDE_PX, render_tiny, truths


@pytest.fixture(scope="module")
def benched(tmp_path_factory):
    """The command's result, its records by modality and sample, results.json and the two samples."""
    root = tmp_path_factory.mktemp("bad")
    rendered = render_tiny(root / "rendered")
    first, second = sorted(truths(rendered))
    for name in ("depth", "flow", "segmentation", "skeleton", "densepose"):
        (root / "preds" / f"est-{name}").mkdir(parents=True)
    place = root / "preds"
    rng = np.random.default_rng(0)
    (place / "est-depth" / first).mkdir()
    for number, frame in enumerate(rng.integers(0, 256, (FRAMES, SIDE_PX, SIDE_PX), dtype=np.uint8)):
        Image.fromarray(frame).save(place / "est-depth" / first / f"{number:03d}.png")
    np.save(place / "est-depth" / f"{second}.npy", rng.random((FRAMES - 1, SIDE_PX, SIDE_PX), np.float32))
    flow = truths(rendered)[first].flow.copy()
    flow[:, :8, :8] = np.nan
    np.save(place / "est-flow" / f"{first}.npy", flow)
    np.save(place / "est-segmentation" / f"{first}.npy", np.zeros((FRAMES, SIDE_PX, SIDE_PX), np.uint8))
    np.save(place / "est-segmentation" / f"{second}.npy", np.zeros((FRAMES, SIDE_PX, 32), np.uint8))
    np.save(place / "est-skeleton" / f"{first}.npy", np.full((FRAMES, 1, 17, 3), np.nan, np.float32))
    np.save(place / "est-skeleton" / f"{second}.npy", np.zeros((FRAMES, 0, 17, 3), np.float32))
    np.save(place / "est-densepose" / f"{first}.npy", np.full((FRAMES, SIDE_PX, SIDE_PX), 25, np.uint8))
    np.save(place / "est-densepose" / f"{second}.npy", np.zeros((FRAMES, SIDE_PX, SIDE_PX), np.uint8))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("openuni.engine.run.choose_engine", lambda *_, **__: LocalEngine(0))
        options = ["--data", str(rendered), "--out", str(root / "out"), "--max-error-fraction", "0.9"]
        done = CliRunner().invoke(app, ["bench", "--model", f"preds:{place}", *options])
    assert done.exit_code == 0, done.exception
    records = defaultdict(list)
    for one in read_records(root / "out" / "records.parquet"):
        records[one.modality, one.sample].append(one)
    return done, records, json.loads((root / "out" / "results.json").read_text()), (first, second)


def test_every_fault_is_a_line_with_its_file_and_a_count(benched):
    done, _, told, (_, second) = benched
    assert f"est depth: 1 of 2 scored, 1 error: BadInput: est-depth/{second}.npy: depth has 5 frames of" in done.output
    assert "est flow: 1 of 2 scored, 1 absent: no_prediction" in done.output
    assert f"1 error: BadInput: est-segmentation/{second}.npy: segmentation has 6 frames of 32x64" in done.output
    assert "densepose must be (T, H, W) parts 0 to 24" in done.output
    counts = {one["modality"]: one["counts"].get("ok", 0) for one in told["questions"]}
    assert counts == {"depth": 1, "flow": 1, "segmentation": 1, "skeleton": 2, "densepose": 1}


def test_a_sample_that_failed_has_no_number_anywhere(benched):
    _, records, _, (_, second) = benched
    for name, flag in (("depth", "error:BadInput"), ("flow", "absent:no_prediction"), ("segmentation", "error:")):
        rows = records[name, second]
        assert rows and all(one.value is None and one.flags.startswith(flag) for one in rows)


def test_eight_bit_depth_is_scored_and_flagged(benched):
    _, records, _, (first, _) = benched
    rows = [one for one in records["depth", first] if one.metric == "depth.abs_rel" and one.value is not None]
    assert rows and all("levels:256" in one.flags for one in rows)


def test_nan_in_flow_is_counted_and_the_rest_is_exact(benched):
    _, records, _, (first, _) = benched
    (row,) = [one for one in records["flow", first] if (one.metric, one.protocol) == ("flow.epe", "all")]
    assert row.value == 0 and "unusable:" in row.flags


def test_empty_masks_and_skeletons_score_zero_and_not_nothing(benched):
    _, records, _, (first, second) = benched
    values = {one.metric: one.value for one in records["segmentation", first] if one.protocol == "clip"}
    assert values["segmentation.miou"] == 0 and values["segmentation.ap"] == 0
    person = next(name for name in (first, second) if "person" in name)
    pck = [one.value for one in records["skeleton", person] if one.metric == "skeleton.oks"]
    assert pck and all(value == 0 for value in pck)
