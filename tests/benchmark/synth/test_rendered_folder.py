"""Rendered folders: what is read is what was written, damage is one clear line, and runs give the same bytes."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from openuni.benchmark.synth.families import make_scene
from openuni.benchmark.synth.files import CLIPS, INDEX, clip_names, find_clip, read_clip, read_truth, write_clip
from openuni.benchmark.synth.folder_job import CONTACT_SHEET
from openuni.benchmark.synth.job import RenderConfig, RenderStage, render_run
from openuni.benchmark.synth.npz import read_npz, write_npz
from openuni.benchmark.synth.render import make_tier, render_clip
from openuni.cli import app
from openuni.engine.local import LocalEngine
from openuni.errors import BadInput, RunFailed, UnknownName

FRAMES, SIZE = 3, 48


@pytest.fixture(scope="module")
def clip():
    scene = make_scene("one_person", seed=1, number=1, num_frames=FRAMES)
    return render_clip(scene, height=SIZE, width=64, tier=make_tier("fast"))


@pytest.fixture(scope="module")
def written(clip, tmp_path_factory):
    root = tmp_path_factory.mktemp("written")
    write_clip(root, clip, png=True)
    return root


@pytest.fixture
def damaged(written, tmp_path):
    """A copy of the clip's folder, to be damaged, without PNG files."""
    folder = shutil.copytree(written / CLIPS / clip_names(written)[0], tmp_path / "clip")
    shutil.rmtree(folder / "rgb")
    return folder


def config(out: Path, **changes) -> RenderConfig:
    wanted = {"clips": 3, "families": ("objects", "two_people"), "height": 32, "width": 32, "num_frames": 2, "seed": 4}
    return RenderConfig(out=out, **{**wanted, **changes})


def contents(root: Path) -> dict[str, bytes]:
    """Every file of the clips, by its path."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted((root / CLIPS).rglob("*.*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    out = tmp_path_factory.mktemp("rendered") / "a"
    render_run(config(out), LocalEngine(0), quiet=True)
    return out


def test_a_clip_comes_back_as_it_was_written(clip, written):
    back = read_clip(find_clip(written))
    assert np.array_equal(back.rgb, clip.rgb)
    assert back.truth.sha256 == clip.truth.sha256
    for name, array in clip.truth.arrays().items():
        assert np.array_equal(getattr(back.truth, name), array), name
    for name in ("name", "family", "seed", "caption", "fps", "tier", "facts"):
        assert getattr(back, name) == getattr(clip, name)


def test_frames_of_the_mp4_are_near_lossless(clip, damaged):
    error = read_clip(damaged).rgb.astype(float) - clip.rgb
    # 10 log10(255^2 / mse): the chroma of 4:2:0 costs most in pictures this small; at 512 px it is 41 dB and more.
    assert 10 * np.log10(255**2 / (error**2).mean()) > 32


def test_the_files_hold_no_python_objects(written):
    with np.load(find_clip(written) / "truth.npz", allow_pickle=False) as archive:
        assert archive["depth"].dtype == np.float32 and archive["poses"].dtype == np.float64


def test_npz_bytes_depend_on_the_arrays_alone():
    arrays = {"a": np.arange(5), "b": np.zeros((0, 3)), "c": np.array(2.5)}
    assert write_npz(arrays) == write_npz(arrays)
    back = read_npz(write_npz(arrays))
    assert all(np.array_equal(back[name], array) and back[name].shape == array.shape for name, array in arrays.items())
    with pytest.raises(ValueError, match="not a readable npz of 5 bytes"):
        read_npz(b"12345")


def test_truth_missing_for_a_frame_is_one_line(damaged, clip):
    short = {name: array[:-1] if len(array) == FRAMES else array for name, array in clip.truth.arrays().items()}
    (damaged / "truth.npz").write_bytes(write_npz(short))
    with pytest.raises(
        BadInput, match="RGB has 3 frames of 64x48, truth 2 frames of 64x48: truth is missing for a frame"
    ):
        read_clip(damaged)
    (damaged / "truth.npz").write_bytes(write_npz({**clip.truth.arrays(), "flow": clip.truth.flow[:-1]}))
    with pytest.raises(BadInput, match="flow must be .T, H, W, 2. float32 .* truth is missing for a frame"):
        read_truth(damaged)


def test_damage_is_one_line(damaged, clip):
    arrays = clip.truth.arrays()
    del arrays["depth"]
    (damaged / "truth.npz").write_bytes(write_npz(arrays))
    with pytest.raises(BadInput, match="has no array 'depth'. Render the clip again"):
        read_truth(damaged)
    (damaged / "truth.npz").write_bytes(b"PK")
    with pytest.raises(BadInput, match="truth.npz cannot be read"):
        read_truth(damaged)
    (damaged / "rgb.mp4").unlink()
    with pytest.raises(BadInput, match="the frames cannot be read"):
        read_clip(damaged)
    about = json.loads((damaged / "clip.json").read_text())
    (damaged / "clip.json").write_text(json.dumps({**about, "fps": "fast"}))
    with pytest.raises(BadInput, match=r"clip.json lacks 'fps' \(float\)"):
        read_clip(damaged)
    (damaged / "clip.json").write_text("{")
    with pytest.raises(BadInput, match="clip.json cannot be read"):
        read_clip(damaged)


def test_objects_in_an_npz_are_not_unpickled(damaged):
    np.savez(damaged / "truth.npz", depth=np.array([{"a": 1}], dtype=object))
    with pytest.raises(BadInput, match="cannot be read"):
        read_truth(damaged)


def test_the_index_has_a_row_for_each_clip(rendered):
    table = pq.read_table(rendered / INDEX)
    assert table["clip"].to_pylist() == ["objects-4-000000", "objects-4-000001", "two_people-4-000000"]
    row = table.to_pylist()[2]
    assert row["family"] == "two_people" and row["people"] == 2 and row["num_frames"] == 2 and row["fps"] == 16.0
    assert (row["height"], row["width"], row["tier"], row["behind_glass"]) == (32, 32, "fast", "first_surface")
    assert json.loads(row["facts"])["people"][0]["action"] in ("walk", "wave", "reach", "squat")
    assert {"openuni", "numpy", "mujoco-core", "embreex"} == set(json.loads(row["versions"]))
    assert row["caption"].startswith("A person in")
    assert row["truth_sha256"] == read_truth(find_clip(rendered, row["clip"])).sha256
    assert (rendered / CONTACT_SHEET).is_file()


def test_any_number_of_workers_gives_the_same_bytes(rendered, tmp_path):
    render_run(config(tmp_path / "b"), LocalEngine(2), quiet=True)
    assert contents(tmp_path / "b") == contents(rendered)


def test_a_run_resumes_clip_by_clip(rendered, tmp_path, monkeypatch):
    """The third clip fails at first; the second run renders it alone, and all is as in one run."""
    out, calls = tmp_path / "c", []
    whole = RenderStage.__call__

    def failing(self, view):
        calls.append(view.clip.source_key)
        if len(calls) == 3:
            raise ValueError("no luck")
        return whole(self, view)

    monkeypatch.setattr(RenderStage, "__call__", failing)
    first = render_run(config(out), LocalEngine(0), quiet=True)
    assert first.clips == 2 and first.failed == {"ValueError: no luck": 1}
    second = render_run(config(out), LocalEngine(0), retry=("error",), quiet=True)
    assert second.clips == 3 and not second.failed
    assert len(calls) == 4 and calls[2] == calls[3]
    assert contents(out) == contents(rendered)


def test_a_killed_run_leaves_no_half_clip(rendered, tmp_path):
    out = tmp_path / "d"
    render_run(config(out, clips=2), LocalEngine(0), quiet=True)
    half = out / CLIPS / f".two_people-4-000000.tmp-{os.getpid()}"
    half.mkdir()
    (half / "rgb.mp4").write_bytes(b"half")
    grown = render_run(config(out), LocalEngine(0), quiet=True)
    assert grown.clips == 3 and not half.exists()
    assert contents(out) == contents(rendered)


def test_other_options_in_the_same_folder_are_refused(rendered):
    with pytest.raises(BadInput, match="was rendered with height 32, not 48. Choose another --out"):
        render_run(config(rendered, height=48), LocalEngine(0), quiet=True)


def test_a_clip_that_was_deleted_is_said(rendered, tmp_path):
    out = shutil.copytree(rendered, tmp_path / "e")
    shutil.rmtree(out / CLIPS / "objects-4-000001")
    with pytest.raises(RunFailed, match="objects-4-000001 was rendered and is gone"):
        render_run(config(out), LocalEngine(0), quiet=True)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"families": ("people",)}, "Unknown family 'people'"),
        ({"width": 500}, "500 is not. Nearest below: 496"),
        ({"num_frames": 0}, "--frames is 0; give 1 to 1000"),
        ({"clips": 0}, "--clips is 0"),
        ({"seed": -1}, "--seed is -1; give 0 or more"),
        ({"behind_glass": "nothing"}, "Unknown policy behind glass 'nothing'"),
        ({"official": True}, "leave out --seed and --families"),
        ({"tier": "slow"}, "Unknown tier 'slow'"),
    ],
)
def test_what_cannot_be_rendered_is_refused_before_anything_is_written(tmp_path, changes, message):
    with pytest.raises((BadInput, UnknownName), match=message):
        render_run(config(tmp_path / "f", **changes), LocalEngine(0), quiet=True)
    assert not (tmp_path / "f").exists()


def test_the_official_set_is_rendered_by_its_names(tmp_path):
    official = RenderConfig(out=tmp_path / "g", clips=1, official=True, height=32, width=32, num_frames=2)
    render_run(official, LocalEngine(0), quiet=True)
    (row,) = pq.read_table(tmp_path / "g" / INDEX).to_pylist()
    assert row["clip"] == "unibench-000" and row["official"]
    with pytest.raises(BadInput, match="--frames is 49; give 1 to 48 for the official set"):
        replace(official, num_frames=49).check()


def test_show_draws_a_panel_of_every_modality(written, tmp_path):
    result = CliRunner().invoke(app, ["unibench", "show", str(written), "--out", str(tmp_path)])
    assert result.exit_code == 0, result.output
    name = clip_names(written)[0]
    assert (tmp_path / f"{name}.panel.png").is_file() and (tmp_path / f"{name}.panel.mp4").is_file()
    assert "A person in" in result.output


def test_show_says_what_it_did_not_find(rendered, tmp_path):
    for arguments, message in (
        ([str(tmp_path)], "is no rendered clip and no rendered folder"),
        ([str(rendered)], "has 3 clips; name one"),
        ([str(rendered), "--name", "x"], "has no clip 'x'; it has objects-4-000000 to two_people-4-000000"),
    ):
        result = CliRunner().invoke(app, ["unibench", "show", *arguments])
        assert isinstance(result.exception, BadInput) and message in str(result.exception)


@pytest.mark.parametrize(
    ("size", "message"),
    [("500", "500 is not"), ("big", "--size is 'big'; give a side in px"), ("64x32x16", "--size is")],
)
def test_the_command_line_refuses_bad_sizes(tmp_path, size, message):
    arguments = ["unibench", "render", "--out", str(tmp_path / "h"), "--size", size, "--ray", "off"]
    result = CliRunner().invoke(app, arguments)
    assert isinstance(result.exception, BadInput) and message in str(result.exception)


def test_the_command_line_renders_and_says_where(tmp_path):
    arguments = ["unibench", "render", "--out", str(tmp_path / "i"), "--clips", "1", "--size", "48x32", "--frames", "2"]
    result = CliRunner().invoke(app, [*arguments, "--families", "objects", "--ray", "off", "--workers", "1"])
    assert result.exit_code == 0, result.output
    assert f"rendered  1 clips in {tmp_path / 'i'}" in result.output
    assert read_clip(find_clip(tmp_path / "i")).rgb.shape == (2, 32, 48, 3)
