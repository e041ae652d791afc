"""Unreal renders: values by hand through every option, what reads the folder, and one line for what cannot be read."""

import json
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from openuni.benchmark.importers.base import finish
from openuni.benchmark.importers.job import import_run, make_importer
from openuni.benchmark.synth.files import INDEX, find_clip, read_clip, read_truth
from openuni.benchmark.synth.truth import MissingTruth
from openuni.cli import app
from openuni.engine.local import LocalEngine
from openuni.errors import BadInput, OpenUniError
from tests.benchmark.importers.write import write_exr, write_png

DEPTH = "FinalImageMovieRenderQueue_WorldDepth.R"
MOTION = "FinalImageMovieRenderQueue_MotionVectors"
HEIGHT, WIDTH = 24, 32


def frame(*, depth=500.0, motion=(0.5, 0.5), light=0.5, dtype=np.float32, size=(HEIGHT, WIDTH)):
    """Channels of one multilayer file; depth in cm, motion as the material stores it."""
    whole = partial(np.full, size, dtype=dtype)
    return {
        "R": whole(light), "G": whole(0.0), "B": whole(1.0), DEPTH: whole(depth),
        f"{MOTION}.R": whole(motion[0]), f"{MOTION}.G": whole(motion[1]), f"{MOTION}.B": whole(0.0),
    }  # fmt: skip


def write_frames(folder: Path, frames, first=1) -> Path:
    for number, channels in enumerate(frames, start=first):
        write_exr(folder / f"Shot.{number:04d}.exr", channels)
    return folder


def run(root: Path, out: Path, **options):
    import_run(make_importer("ue", root, **options), out, LocalEngine(0), quiet=True)
    return read_clip(find_clip(out))


def read(root: Path, **options):
    """The first clip, without a run and its files."""
    importer = make_importer("ue", root, **options)
    name, scene, numbers = next(importer.clips())
    return finish(name, importer.read(scene, numbers), importer)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_depth_motion_and_colour_come_as_metres_pixels_and_srgb(tmp_path, dtype):
    """0.5 + 2 / (2 W) to the right and 0.5 - 1 / (2 H) down: current minus previous is (2, 1) px, y up in the file."""
    motion = (0.5 + 2 / (2 * WIDTH), 0.5 - 1 / (2 * HEIGHT))
    clip = run(write_frames(tmp_path / "Shot", [frame(motion=motion, dtype=dtype)] * 3), tmp_path / "out")
    truth = clip.truth
    # Half has 11 significant bits: 500 is exact, 0.5 + 1/32 too, 0.5 - 1/48 is off by 2^-12 and so by 48 times that.
    assert np.allclose(truth.depth, 5.0, rtol=1e-6) and truth.depth.dtype == np.float32
    known = truth.flow_valid
    assert np.allclose(truth.flow[known], [2, 1], atol=0.012 if dtype == np.float16 else 1e-4)
    assert known[:-1, : HEIGHT - 2, : WIDTH - 2].all() and not known[-1].any()
    assert not known[:, :, -2:].any() and np.array_equal(truth.occluded, ~known)  # leaves the picture
    assert not truth.flow[~known].any()
    # sRGB of 0.5 is 188 (IEC 61966-2-1); the mp4's 4:2:0 shifts colours by a few levels.
    assert np.abs(clip.rgb.astype(int).mean(axis=(0, 1, 2)) - [188, 0, 255]).max() < 6
    assert clip.fps == 30.0 and clip.family == clip.tier == "ue" and clip.seed is None
    assert clip.facts["precision"]["depth"] == str(np.dtype(dtype)) and clip.facts["frames"] == [1, 3]
    assert set(clip.maps()) == {"depth", "flow"}


def test_what_the_source_does_not_tell_is_absent(tmp_path):
    out = tmp_path / "out"
    run(write_frames(tmp_path / "Shot", [frame()] * 2), out)
    folder = find_clip(out)
    with np.load(folder / "truth.npz", allow_pickle=False) as archive:
        assert set(archive.files) == {"depth", "flow", "flow_valid", "occluded"}
    truth = read_truth(folder)
    assert not truth.has("segmentation") and truth.behind_glass == "unknown"
    with pytest.raises(MissingTruth, match="^truth_has_no_segmentation$"):
        _ = truth.segmentation
    about = json.loads((folder / "clip.json").read_text())
    assert about["people"] is None and about["seed"] is None
    (row,) = pq.read_table(out / INDEX).to_pylist()
    assert row["people"] is None and row["truth_sha256"] == truth.sha256 and row["fps"] == 30.0
    assert (row["clip"], row["num_frames"], row["height"], row["width"]) == ("Shot", 2, HEIGHT, WIDTH)
    assert not row["official"] and str(tmp_path) not in row["facts"]
    # An array that its clip.json promises and that is gone is damage, not absence.
    (folder / "clip.json").write_text(json.dumps({**about, "arrays": [*about["arrays"], "segmentation"]}))
    with pytest.raises(BadInput, match="has no array 'segmentation'"):
        read_truth(folder)
    for arrays in ([], ["depth", "flow"], ["depth", "hue"], "depth"):
        (folder / "clip.json").write_text(json.dumps({**about, "arrays": arrays}))
        with pytest.raises(BadInput, match="names no truth that can be read"):
            read_truth(folder)


@pytest.mark.parametrize(
    ("encoding", "stored"),
    [
        ("mrq", (0.5 + 3 / (2 * WIDTH), 0.5 + 2 / (2 * HEIGHT))),
        ("ndc", (3 / (WIDTH / 2), 2 / (HEIGHT / 2))),
        ("screen", (3 / WIDTH, -2 / HEIGHT)),
        ("pixels", (3, -2)),
    ],
)
def test_every_encoding_of_3_px_right_and_2_up_is_the_same_flow(tmp_path, encoding, stored):
    write_frames(tmp_path / "in", [frame(motion=stored)] * 2)
    for direction in ("forward", "backward"):
        truth = read(tmp_path / "in", motion_encoding=encoding, motion_direction=direction).truth
        assert np.allclose(truth.flow[truth.flow_valid], [3, -2], atol=1e-4)  # float32 of values below 1, times 32
        # Given forward, every vector is taken, and nothing is known of occlusion.
        assert truth.flow_valid[0].all() == (direction == "forward") == (not truth.has("occluded"))
    turned = read(tmp_path / "in", motion_encoding=encoding, motion_direction="forward", motion_scale=-1.0)
    assert np.allclose(turned.truth.flow[0], [-3, 2], atol=1e-4)


def test_backward_vectors_are_those_of_the_next_frame(tmp_path):
    """Frame 2 says how it was come by; frame 1's own vectors are of the time before the clip."""
    frames = [frame(motion=(9, 9)), frame(motion=(1, 0)), frame(motion=(0, 2))]
    truth = read(write_frames(tmp_path / "in", frames), motion_encoding="pixels").truth
    assert (truth.flow[0, 5, 5] == [1, 0]).all() and (truth.flow[1, 5, 5] == [0, 2]).all()


def test_distance_along_the_ray_becomes_planar_depth(tmp_path):
    """A wall at 4 m, 90 degrees wide: f = W / 2, so that the ray to a corner is sqrt(1 + x^2 + y^2) long."""
    rows, columns = np.indices((HEIGHT, WIDTH))
    x, y = (columns - (WIDTH - 1) / 2) / (WIDTH / 2), (rows - (HEIGHT - 1) / 2) / (WIDTH / 2)
    channels = frame()
    channels[DEPTH] = (4000 * np.sqrt(1 + x**2 + y**2)).astype(np.float32)
    write_frames(tmp_path / "in", [channels] * 2)
    truth = read(tmp_path / "in", unit="mm", depth_kind="distance", fov=90.0).truth
    assert np.allclose(truth.depth, 4.0, rtol=1e-6)
    assert np.allclose(truth.intrinsics[0], [[WIDTH / 2, 0, 15.5], [0, WIDTH / 2, 11.5], [0, 0, 1]])
    assert not truth.has("poses")


@pytest.mark.parametrize(
    ("dtype", "options", "far", "is_sky"),
    [
        (np.float16, {}, 65504, True), (np.float16, {}, 65472, False), (np.float32, {}, 65504, True),
        (np.float32, {}, 65505, False),
        (np.float32, {}, 1e6, True), (np.float32, {}, np.inf, True), (np.float32, {"sky_from_m": 50.0}, 5000, True),
        (np.float32, {"unit": "m"}, 9999, False), (np.float32, {"unit": "m"}, 10_000, True),
    ],
)  # fmt: skip
def test_sky_is_what_lies_beyond(tmp_path, dtype, options, far, is_sky):
    channels = frame(dtype=dtype)
    channels[DEPTH][0] = far
    truth = read(write_frames(tmp_path / "in", [channels] * 2), **options).truth
    assert np.isposinf(truth.depth[:, 0]).all() == is_sky and np.isfinite(truth.depth[:, 1:]).all()


def test_values_that_are_no_numbers_are_unknown_and_never_zero(tmp_path):
    channels = frame(motion=(1, 0))
    channels[DEPTH][2, :4] = np.nan, 0, -5, -np.inf
    channels[f"{MOTION}.R"][3, 3], channels[f"{MOTION}.G"][4, 4] = np.nan, 3000
    clip = read(
        write_frames(tmp_path / "in", [channels] * 2), motion_encoding="pixels",
        motion_direction="forward",
    )  # fmt: skip
    truth = clip.truth
    assert np.isnan(truth.depth[:, 2, :4]).all() and np.isfinite(truth.depth[:, 3:]).all()
    assert not clip.maps()["depth"].valid[:, 2, :4].any()
    assert not truth.flow_valid[0, 3, 3] and not truth.flow_valid[0, 4, 4] and truth.flow_valid[0].sum() == 24 * 32 - 2


def test_odd_pictures_lose_a_row_and_a_column_and_say_so(tmp_path):
    truths = [frame(motion=(1, 1), size=(23, 31))] * 2
    clip = read(write_frames(tmp_path / "in", truths), motion_encoding="pixels")
    assert clip.rgb.shape == (2, 22, 30, 3) and clip.truth.size == (2, 22, 30)
    assert clip.facts["cropped_from"] == [23, 31]
    # y up in "pixels" is not: (1, 1) leaves the cropped picture at its last column and row, though it was still there.
    assert clip.truth.flow_valid[0, :, -1].all() and clip.truth.occluded[0, :, -1].all()
    assert not clip.truth.occluded[0, :-1, :-1].any()


def test_overscan_is_cut_to_the_display_window(tmp_path):
    channels = frame()
    channels[DEPTH][:2], channels[DEPTH][-2:], channels[DEPTH][:, :3] = 1, 1, 1
    for number in (1, 2):
        write_exr(tmp_path / "in" / f"a.{number}.exr", channels, data_window=(-4, -2, WIDTH - 5, HEIGHT - 3),
                  display_window=(0, 0, WIDTH - 5, HEIGHT - 5))  # fmt: skip
    truth = read(tmp_path / "in").truth
    assert truth.size == (2, HEIGHT - 4, WIDTH - 4) and (truth.depth == 5).all()


def test_passes_in_files_of_their_own_and_colour_as_png(tmp_path):
    for number in (10, 11):
        channels = frame()
        write_png(tmp_path / "in" / "rgb" / f"shot{number}.png", np.full((HEIGHT, WIDTH, 3), 77, np.uint8))
        write_exr(tmp_path / "in" / "depth" / f"d{number}.exr", {DEPTH: channels[DEPTH]})
        write_exr(tmp_path / "in" / "mv" / f"m{number}.exr", {"X": channels["R"], "Y": channels["R"]})
    options = {"rgb_files": "rgb/*.png", "depth_files": "depth/*.exr", "motion_files": "mv/*.exr"}
    clip = run(tmp_path / "in", tmp_path / "out", motion_channels="X,Y", fps=24.0, **options)
    assert abs(clip.rgb.astype(int) - 77).max() <= 2 and clip.fps == 24.0  # gray survives the mp4 within its rounding
    (tmp_path / "in" / "depth" / "d11.exr").unlink()
    with pytest.raises(BadInput, match="Truth is missing for frame 11: no depth file of that number"):
        run(tmp_path / "in", tmp_path / "out2", motion_channels="X,Y", **options)


def test_folders_are_clips_long_ones_are_cut_and_a_range_is_kept(tmp_path):
    for name in ("Shot A", "Shot B"):
        write_frames(tmp_path / "in" / name, [frame(depth=100 * number) for number in range(1, 8)])
    importer = make_importer("ue", tmp_path / "in", frames="2:6", clip_frames=3)
    import_run(importer, tmp_path / "out", LocalEngine(0), quiet=True)
    names = pq.read_table(tmp_path / "out" / INDEX)["clip"].to_pylist()
    assert names == ["Shot_A-000", "Shot_A-001", "Shot_B-000", "Shot_B-001"]
    depths = [read_truth(find_clip(tmp_path / "out", name)).depth[:, 0, 0].tolist() for name in names[:2]]
    assert depths == [[2, 3, 4], [5, 6]]


def test_the_same_command_resumes_and_other_options_are_refused(tmp_path):
    root, out = write_frames(tmp_path / "in", [frame()] * 2), tmp_path / "out"
    run(root, out)
    before = (out / "clips" / "in" / "truth.npz").stat().st_mtime_ns
    run(root, out)
    assert (out / "clips" / "in" / "truth.npz").stat().st_mtime_ns == before
    with pytest.raises(BadInput, match="was imported with unit 'cm', not 'm'"):
        run(root, out, unit="m")


def test_a_bad_clip_among_good_ones_is_counted_and_comes_back_when_it_is_mended(tmp_path):
    for name in "ab":
        write_frames(tmp_path / "in" / name, [frame()] * 3)
    third = tmp_path / "in" / "b" / "Shot.0003.exr"
    whole = third.read_bytes()
    third.write_bytes(whole[:500])
    importer = make_importer("ue", tmp_path / "in")
    found = import_run(importer, tmp_path / "out", LocalEngine(0), quiet=True)
    ((reason, count),) = found.failed.items()
    assert found.clips == 1 and count == 1 and "Shot.0003.exr cannot be read" in reason
    assert [path.name for path in (tmp_path / "out" / "clips").iterdir()] == ["a"]  # nothing half-written
    third.write_bytes(whole)
    found = import_run(importer, tmp_path / "out", LocalEngine(0), retry=("error",), quiet=True)
    assert found.clips == 2 and not found.failed


def spoil(kind: str, root: Path) -> None:
    second = root / "Shot.0002.exr"
    if kind == "size":
        write_exr(second, frame(size=(HEIGHT, WIDTH + 2)))
    elif kind == "garbage":
        second.write_bytes(b"not an EXR" * 50)
    elif kind == "cut":
        second.write_bytes(second.read_bytes()[:-400])
    elif kind == "empty":
        second.write_bytes(b"")
    elif kind == "channel":
        for path in root.iterdir():
            channels = frame()
            channels["FinalImageMovieRenderQueue_WorldDepths.R"] = channels.pop(DEPTH)
            write_exr(path, channels)
    elif kind == "gap":
        (root / "Shot.0003.exr").rename(root / "Shot.0004.exr")
    elif kind == "twice":
        write_exr(root / "Other.0002.exr", frame())
    elif kind == "huge":
        write_exr(second, frame(), data_window=(0, 0, 10**6, 10**6))
    elif kind == "window":
        write_exr(second, frame(), display_window=(-5, 0, WIDTH - 1, HEIGHT - 1))
    elif kind == "none":
        for path in root.iterdir():
            path.unlink()


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("size", {}, r"Shot.0002.exr is 34x24, .*Shot.0001.exr is 32x24: sizes must not change"),
        ("garbage", {}, r"Shot.0002.exr cannot be read"),
        ("cut", {}, r"Shot.0002.exr cannot be read \(it is cut off or damaged\)"),
        ("empty", {}, r"Shot.0002.exr cannot be read"),
        (
            "channel",
            {},
            r"no channel '.*WorldDepth.R'. Did you mean '.*WorldDepths.R'. It has B, .*R. .*--depth-channel",
        ),
        ("gap", {}, r"frame 3 is missing between Shot.0002.exr and Shot.0004.exr"),
        ("twice", {}, r"Frame 2 has two files, .*Other.0002.exr and .*Shot.0002.exr. Choose with a narrower pattern"),
        ("huge", {}, r"claims more than 16384 px a side"),
        ("window", {}, r"its data window does not cover its display window"),
        ("none", {}, r"has no frames '\*.exr', nor has any folder in it"),
        ("", {"rgb_channels": "Red,G,B"}, r"no channel 'Red'. .*--rgb-channels"),
        ("", {"rgb_channels": "R,G"}, r"rgb channels are 'R,G'; give 3 names"),
        ("", {"unit": "inch"}, r"Unknown unit 'inch'.*Known: cm, m, mm"),
        ("", {"depth_kind": "planer"}, r"Unknown depth kind 'planer'. Did you mean 'planar'"),
        ("", {"depth_kind": "distance"}, r"needs the camera: give the horizontal field of view"),
        ("", {"fov": 180.0}, r"fov is 180.0"),
        ("", {"motion_encoding": "uv"}, r"Unknown motion encoding 'uv'"),
        ("", {"motion_direction": "up"}, r"Unknown motion direction 'up'"),
        ("", {"motion_scale": 0.0}, r"motion scale is 0.0"),
        ("", {"depth_files": None}, r"Backward motion becomes forward flow with the help of depth"),
        ("", {"depth_files": None, "motion_files": None}, r"there is no truth to import"),
        ("", {"depth_files": "../*.exr"}, r"write one below the scene's folder"),
        ("", {"frames": "5:9"}, r"has no frame in the range '5:9'"),
        ("", {"frames": "1-3"}, r"--frames is '1-3'; write FIRST:LAST"),
        ("", {"frames": "3:1"}, r"the first is behind the last"),
        ("", {"fps": 0.0}, r"--fps is 0.0; give a positive number"),
        ("", {"clip_frames": 1}, r"--clip-frames is 1"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(tmp_path, kind, options, message):
    root = write_frames(tmp_path / "in", [frame()] * 3)
    spoil(kind, root)
    with pytest.raises(OpenUniError, match=message) as caught:
        run(root, tmp_path / "out", **options)
    assert caught.value.exit_code == 2 and "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_wrong_root_and_an_out_inside_it_are_refused(tmp_path):
    with pytest.raises(BadInput, match="is no folder. Give the folder of ue data with --root"):
        make_importer("ue", tmp_path / "nothing")
    root = write_frames(tmp_path / "in", [frame()] * 2)
    with pytest.raises(BadInput, match="what is written would be read"):
        run(root, root / "out")


def test_a_missing_library_is_one_line(tmp_path, monkeypatch):
    root = write_frames(tmp_path / "in", [frame()] * 2)
    monkeypatch.setitem(__import__("sys").modules, "OpenEXR", None)
    with pytest.raises(BadInput, match=r"OpenEXR is not installed; .*pip install openuni\[bench\]"):
        run(root, tmp_path / "out")


def test_the_command_line_imports_and_shows(tmp_path):
    root, out = write_frames(tmp_path / "Shot", [frame(motion=(1, 0))] * 3), tmp_path / "out"
    arguments = ["unibench", "import-ue", "--root", str(root), "--out", str(out), "--flow-encoding", "pixels"]
    result = CliRunner().invoke(app, [*arguments, "--fov", "90", "--ray", "off", "--workers", "1"])
    assert result.exit_code == 0, result.output
    assert f"imported  1 clips to {out}" in result.output
    shown = CliRunner().invoke(app, ["unibench", "show", str(out), "--out", str(tmp_path / "panel"), "--no-video"])
    assert shown.exit_code == 0 and (tmp_path / "panel" / "Shot.panel.png").is_file()
    # The general command's --set gives the same importer.
    same = make_importer("ue", root, {"motion_encoding": "pixels", "fov": "90"})
    assert json.loads((out / "run.json").read_text())["config"] == {
        **same.options(), "kind": "ue", "root": str(root), "official": False,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sintle"], "Unknown importer 'sintle'. Did you mean 'sintel'"),
        (["ue", "--set", "ue.unti=m"], "Unknown parameter of ue 'unti'. Did you mean 'unit'"),
        (["ue", "--set", "sintel.unit=m"], "Unknown part in --set 'sintel'"),
        (["ue", "--set", "unit=m"], "write part.parameter=value"),
        (["ue", "--limit", "0"], "--limit is 0"),
    ],
)
def test_the_command_line_refuses_what_it_does_not_know(tmp_path, arguments, message):
    root = write_frames(tmp_path / "in", [frame()] * 2)
    options = ["--root", str(root), "--out", str(tmp_path / "out"), "--ray", "off"]
    result = CliRunner().invoke(app, ["unibench", "import", *arguments, *options])
    assert isinstance(result.exception, BadInput) and message in str(result.exception)
