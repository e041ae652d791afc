"""The released UniBench: columns by header, paths that cannot leave the folder, what is truth, a bench on --data."""

import csv
import json

import numpy as np
import pytest
from typer.testing import CliRunner

from openuni.benchmark.curate.frozen_set import read_sample, samples_of
from openuni.benchmark.importers.job import import_run, make_importer
from openuni.benchmark.importers.released_set import freeze_rows, is_released
from openuni.benchmark.importers.released_table import columns_of, find_inside, read_rows, row_name
from openuni.benchmark.synth.files import clip_names, read_clip
from openuni.cli import app
from openuni.engine.local import LocalEngine
from openuni.errors import BadInput
from openuni.model.rendering import PAPER
from openuni.video import encode_rgb_mp4
from tests.openuni import codec_cases

T, H, W = 4, 32, 48
HEADER = ("prompt", "Optical_Flow", "id", "video_path", "depth video", "segmentation", "skeleton")


def picture(seed):
    frames = np.random.default_rng(seed).integers(0, 256, (T, H // 8, W // 8, 3), dtype=np.uint8)
    return frames.repeat(8, axis=1).repeat(8, axis=2)


def mp4(path, frames):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_rgb_mp4(frames, fps=8, crf=1))


@pytest.fixture
def data(tmp_path):
    """Three rows: colours as the released data have them, numbers, and a video that is not there."""
    root = tmp_path / "UniBench"
    for name in ("a", "b"):
        mp4(root / "RGB" / f"{name}.mp4", picture(ord(name)))
    ids = np.zeros((T, H, W), np.uint8)
    ids[:, 8:24, 8:24], ids[:, 8:24, 28:44] = 1, 2
    masks = codec_cases.Map(data=ids)
    mp4(root / "seg" / "a.mp4", PAPER.to_frames("segmentation", masks).frames)
    depth = np.broadcast_to(np.linspace(2, 9, W, dtype=np.float32), (T, H, W)).copy()
    shown = codec_cases.Map(data=depth, valid=np.ones(depth.shape, bool), facts={"kind": "metric_depth"})
    mp4(root / "depth" / "a.mp4", PAPER.to_frames("depth", shown).frames)
    np.savez(root / "depth" / "b.npz", depth=depth)
    flow = np.zeros((T - 1, H, W, 2), np.float32)
    flow[..., 0] = 2
    np.save(root / "b.npy", flow)
    rows = [
        ('A ball, "red"\nand round', "", "7", "RGB/a.mp4", "depth/a.mp4", "seg/a.mp4", ""),
        ("A walk", "b.npy", "8", "/data/authors/UniBench/RGB/b.mp4", "depth/b.npz", "", "../../secret.mp4"),
        ("Gone", "", "9", "RGB/c.mp4", "", "", ""),
    ]
    with (root / "test.csv").open("w", newline="", encoding="utf-8-sig") as file:
        csv.writer(file).writerows([HEADER, *rows])
    (root / "notes.csv").write_text("a,b\n1,2\n")
    return root


def test_columns_are_found_by_their_headers_wherever_they_stand():
    assert columns_of(list(HEADER)) == {
        "caption": 0, "flow": 1, "rgb": 3, "depth": 4, "segmentation": 5, "skeleton": 6,
    }  # fmt: skip
    assert columns_of(["raft", "caption", "path"]) == {"flow": 0, "caption": 1, "rgb": 2}
    with pytest.raises(BadInput, match="two columns are the flow: 'raft' and 'flow_path'"):
        columns_of(["video", "raft", "flow_path"])


def test_rows_have_captions_files_and_names_of_their_own(data):
    a, b, c = read_rows(data)
    assert a.caption == 'A ball, "red"\nand round' and a.rgb == data / "RGB" / "a.mp4"
    assert set(a.maps) == {"depth", "segmentation"} and set(b.maps) == {"flow", "depth"}
    assert b.rgb == data / "RGB" / "b.mp4"  # the end of another machine's path that is there
    assert b.lacks == {"skeleton": "path_outside"} and c.rgb is None and c.lacks == {"rgb": "file_missing"}
    assert len({a.name.lower(), b.name.lower(), c.name.lower(), row_name("RGB/A.mp4").lower()}) == 4


def test_no_path_of_a_table_leads_out_of_the_folder(data, tmp_path):
    secret = tmp_path / "secret.mp4"
    secret.write_bytes(b"x")
    (data / "link.mp4").symlink_to(secret)
    for text in ("../secret.mp4", str(secret), "link.mp4", "RGB/../../secret.mp4", "..\\secret.mp4"):
        assert find_inside(data, data, text)[0] is None, text
    assert find_inside(data, data, "link.mp4") == (None, "path_outside")
    assert find_inside(data, data / "RGB", "a.mp4") == (data / "RGB" / "a.mp4", "")
    assert find_inside(data, data, "RGB\\a.mp4") == (data / "RGB" / "a.mp4", "")


def test_numbers_are_truth_of_depth_and_flow_and_colours_of_masks(data, tmp_path):
    import_run(make_importer("released", data), tmp_path / "out", LocalEngine(0), quiet=True)
    found = {name[0]: read_clip(tmp_path / "out" / "clips" / name) for name in clip_names(tmp_path / "out")}
    assert found["a"].truth.has("segmentation") and not found["a"].truth.has("depth")
    assert found["a"].facts["left_out"] == {"depth": "colours or 8 bits, of no known scale"}
    assert set(np.unique(found["a"].truth.segmentation)) == {0, 1, 2}
    truth = found["b"].truth
    np.testing.assert_allclose(truth.depth[0, 0], np.linspace(2, 9, W), rtol=1e-6)
    assert (truth.flow[:-1, ..., 0] == 2).all() and not truth.flow_valid[-1].any() and truth.flow_valid[:-1].all()
    assert found["b"].caption == "A walk" and found["b"].fps == 8


def test_every_row_with_a_video_is_a_sample_of_generation(data, tmp_path):
    failed = freeze_rows(data, tmp_path / "out", limit=None, told={"version": 1})
    assert dict(failed) == {"video file_missing": 1}
    samples = {name[0]: about for name, _, about, problem in samples_of(tmp_path / "out") if not problem}
    assert set(samples) == {"a", "b"} and samples["b"]["caption"] == "A walk"
    assert samples["a"]["absent"] == {name: "not_in_table" for name in ("flow", "densepose", "skeleton")}
    assert samples["b"]["absent"]["skeleton"] == "path_outside"
    assert len(samples["a"]["objects"]) == 2
    path = next((tmp_path / "out" / "samples").glob("a-*"))
    read = read_sample(path)
    assert read.rgb.shape == (T, H, W, 3) and read.maps["depth"].facts["kind"] == "relative_disparity"
    disparity = read.maps["depth"].data[0, H // 2]
    assert np.corrcoef(disparity, 1 / np.linspace(2, 9, W))[0, 1] > 0.999
    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "out").rglob("*.*")}
    assert freeze_rows(data, tmp_path / "out", limit=None, told={"version": 1}) == failed
    assert {file: file.stat().st_mtime_ns for file in (tmp_path / "out").rglob("*.*")} == before


def test_a_bench_takes_the_folder_as_data(data, tmp_path, monkeypatch):
    monkeypatch.setattr("openuni.engine.run.choose_engine", lambda *_, **__: LocalEngine(0))
    options = ["bench", "--model", "preset:tiny_cpu", "--suite", "unibench-est", "--data", str(data)]
    options += ["--out", str(tmp_path / "out"), "--set", "model.steps=1"]
    done = CliRunner().invoke(app, options)
    assert done.exit_code == 0, done.exception
    assert "is a released UniBench" in done.stderr and "left out  1 rows: video file_missing" in done.stderr
    told = json.loads((tmp_path / "out" / "results.json").read_text())
    asked = {one["modality"]: one["counts"] for one in told["questions"]}
    assert asked == {"depth": {"ok": 1}, "flow": {"ok": 1}, "segmentation": {"ok": 1}}
    before = (tmp_path / "out" / "results.json").read_bytes()
    assert CliRunner().invoke(app, options).exit_code == 0
    assert (tmp_path / "out" / "results.json").read_bytes() == before


def test_tables_that_cannot_be_used_are_one_clear_line(tmp_path):
    root = tmp_path / "data"
    root.mkdir()
    assert not is_released(root)
    with pytest.raises(BadInput, match="has no .csv with a column video or path or rgb and one of caption, depth"):
        list(read_rows(root))
    (root / "x.csv").write_text("video,prompt\nnothing.mp4,A\n")
    assert is_released(root)
    with pytest.raises(BadInput, match="has no row that can be used: video file_missing."):
        freeze_rows(root, tmp_path / "out", limit=None, told={})
    with pytest.raises(BadInput, match="no row with depth or flow as numbers, or masks: no truth to import"):
        make_importer("released", root).scenes()
    (root / "x.csv").write_bytes(b"video,prompt\na.mp4,\xff\xfe\n")
    with pytest.raises(BadInput, match="x.csv cannot be read"):
        list(read_rows(root))
    (root / "x.csv").write_text("video,raft,flow\n")
    assert not is_released(root)
