"""Sintel, TartanAir, Kubric and Spring: values by hand from tiny files of their layouts, and one line for bad ones."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from openuni.benchmark.importers.base import finish
from openuni.benchmark.importers.job import import_run, make_importer
from openuni.benchmark.synth.files import clip_names, find_clip, read_clip
from openuni.cli import app
from openuni.engine.local import LocalEngine
from openuni.errors import BadInput, OpenUniError
from tests.benchmark.importers.write import write_cam, write_flo, write_float_tiff, write_png

HEIGHT, WIDTH, FRAMES = 8, 12, 3
GRAY = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)


def make_sintel(root: Path) -> Path:
    """A wall at 7 that moves by (1, 2); pixel (1, 1) is occluded, (2, 2) invalid, (3, 3) unknown in the file."""
    base = root / "training"
    flow, occluded, invalid = (np.zeros((HEIGHT, WIDTH, n)) for n in (2, 1, 1))
    flow[:] = 1, 2
    occluded[1, 1], invalid[2, 2], flow[3, 3] = 255, 255, 1e10
    intrinsics = np.array([[20, 0, 5.5], [0, 20, 3.5], [0, 0, 1]])
    for number in range(1, FRAMES + 1):
        name = f"alley_1/frame_{number:04d}"
        write_png(base / "final" / f"{name}.png", GRAY)
        write_png(base / "clean" / f"{name}.png", GRAY // 2)
        write_png(base / "invalid" / f"{name}.png", invalid[..., 0].astype(np.uint8))
        write_flo(base / "depth" / f"{name}.dpt", np.full((HEIGHT, WIDTH), 7.0))
        pose = np.eye(4)
        pose[:3, 3] = 0, 0, number
        write_cam(base / "camdata_left" / f"{name}.cam", intrinsics, pose)
        if number < FRAMES:
            write_flo(base / "flow" / f"{name}.flo", flow)
            write_png(base / "occlusions" / f"{name}.png", occluded[..., 0].astype(np.uint8))
    return root


def make_tartanair(root: Path) -> Path:
    """The camera at (1, 2, 3) turned by 90 degrees to the right; sky in row 0; every value of the mask once."""
    folder = root / "office" / "office" / "Easy" / "P001"
    depth = np.full((HEIGHT, WIDTH), 4.0, np.float32)
    depth[0] = 10_000
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[5, :3] = 1, 10, 100
    flow = np.full((HEIGHT, WIDTH, 2), (0.5, -0.25), np.float32)
    for number in range(FRAMES):
        write_png(folder / "image_left" / f"{number:06d}_left.png", GRAY)
        for kind in ("depth_left", "flow"):
            (folder / kind).mkdir(exist_ok=True)
        np.save(folder / "depth_left" / f"{number:06d}_left_depth.npy", depth)
        if number + 1 < FRAMES:
            np.save(folder / "flow" / f"{number:06d}_{number + 1:06d}_flow.npy", flow)
            np.save(folder / "flow" / f"{number:06d}_{number + 1:06d}_mask.npy", mask)
    half = np.sqrt(0.5)
    (folder / "pose_left.txt").write_text(f"1 2 3 0 0 {half} {half}\n" * FRAMES)
    return root


def make_kubric(root: Path) -> Path:
    """A wall 5 along the axis, its distances; flow of 2 down and 1 right; one thing; focal length twice the sensor."""
    folder = root / "movi" / "7"
    rows, columns = np.indices((HEIGHT, WIDTH))
    focal = 2 * WIDTH
    x, y = (columns - (WIDTH - 1) / 2) / focal, (rows - (HEIGHT - 1) / 2) / focal
    distance = 5 * np.sqrt(1 + x**2 + y**2)
    distance[0] = 1e10
    low, high = -4.0, 4.0
    codes = np.zeros((HEIGHT, WIDTH, 3), np.uint16)
    codes[..., 0], codes[..., 1] = int((2 - low) * 65535 / (high - low)), int((1 - low) * 65535 / (high - low))
    ids = np.zeros((HEIGHT, WIDTH), np.uint8)
    ids[2:4, 2:5] = 3
    for number in range(FRAMES):
        write_png(folder / f"rgba_{number:05d}.png", GRAY)
        write_png(folder / f"forward_flow_{number:05d}.png", codes)
        write_png(folder / f"segmentation_{number:05d}.png", ids, palette=True)
        write_float_tiff(folder / f"depth_{number:05d}.tiff", distance)
    ranges = {"forward_flow": {"min": low, "max": high}}
    camera = {
        "focal_length": 64.0, "sensor_width": 32.0, "positions": [[0, 0, 10.0]] * FRAMES,
        "quaternions": [[1.0, 0, 0, 0]] * FRAMES,
    }  # fmt: skip
    about = {"metadata": {"frame_rate": 12, "num_frames": 10**9, "video_name": "../../evil"}, "camera": camera}
    (folder / "data_ranges.json").write_text(json.dumps(ranges))
    (folder / "metadata.json").write_text(json.dumps(about))
    return root


def make_spring(root: Path) -> Path:
    """Truth at twice the size: the upper left of four values counts, the others are wrong on purpose."""
    h5py = pytest.importorskip("h5py")
    folder = root / "train" / "0001"

    def save(path: Path, name: str, small: np.ndarray) -> None:
        large = np.full((2 * HEIGHT, 2 * WIDTH, *small.shape[2:]), -99, np.float32)
        large[::2, ::2] = small
        path.parent.mkdir(parents=True, exist_ok=True)
        with h5py.File(path, "w") as file:
            file.create_dataset(name, data=large, compression="gzip")

    disparity = np.full((HEIGHT, WIDTH), 2.6, np.float32)
    disparity[0], disparity[1, 1] = 0, np.nan
    flow = np.full((HEIGHT, WIDTH, 2), (3, -1), np.float32)
    flow[4, 4, 1] = np.nan
    for number in range(1, FRAMES + 1):
        write_png(folder / "frame_left" / f"frame_left_{number:04d}.png", GRAY)
        save(folder / "disp1_left" / f"disp1_left_{number:04d}.dsp5", "disparity", disparity)
        if number < FRAMES:
            save(folder / "flow_FW_left" / f"flow_FW_left_{number:04d}.flo5", "flow", flow)
    (folder / "cam_data").mkdir()
    (folder / "cam_data" / "intrinsics.txt").write_text("200 200 6 4\n" * FRAMES)
    return root


MAKE = {"sintel": make_sintel, "tartanair": make_tartanair, "kubric": make_kubric, "spring": make_spring}
KINDS = pytest.mark.parametrize("kind", MAKE)


def read(kind: str, root: Path, **options):
    """The first clip, without a run and its files."""
    importer = make_importer(kind, root, **options)
    name, scene, numbers = next(importer.clips())
    return finish(name, importer.read(scene, numbers), importer)


def test_sintel_has_flow_occlusion_depth_and_cameras(tmp_path):
    clip = read("sintel", make_sintel(tmp_path))
    truth = clip.truth
    assert clip.name == "alley_1" and clip.fps == 24.0 and (clip.rgb == 90).all()
    assert (truth.depth == 7).all()
    known = np.ones((HEIGHT, WIDTH), bool)
    known[[2, 3], [2, 3]] = False
    assert np.array_equal(truth.flow_valid[:-1], [known] * 2) and not truth.flow_valid[-1].any()
    assert (truth.flow[:-1][:, known] == [1, 2]).all() and not truth.flow[:-1][:, ~known].any()
    hidden = ~known
    hidden[1, 1] = True
    hidden[:, -1] = hidden[-2:] = True  # (1, 2) px leads out of the picture
    assert np.array_equal(truth.occluded[:-1], [hidden] * 2) and truth.occluded[-1].all()
    assert np.allclose(truth.intrinsics[0], [[20, 0, 5.5], [0, 20, 3.5], [0, 0, 1]])
    assert truth.poses[:, 2, 3].tolist() == [1, 2, 3] and set(clip.maps()) == {"depth", "flow"}


def test_sintel_passes_sky_and_what_was_not_downloaded(tmp_path):
    root = make_sintel(tmp_path) / "training"
    clip = read("sintel", root, rgb="clean", sky_from_m=7.0)
    assert (clip.rgb == 45).all() and np.isposinf(clip.truth.depth).all()
    (root / "flow").rename(root / "not_downloaded")
    assert set(read("sintel", root).truth.arrays()) == {"depth", "intrinsics", "poses"}


def test_tartanair_turns_ned_axes_and_reads_its_mask(tmp_path):
    clip = read("tartanair", make_tartanair(tmp_path))
    truth = clip.truth
    assert clip.name == "office-Easy-P001"
    assert np.isposinf(truth.depth[:, 0]).all() and (truth.depth[:, 1:] == 4).all()
    known = np.ones((HEIGHT, WIDTH), bool)
    known[5, [0, 2]] = False  # hidden by something or moving; out of the picture
    assert np.array_equal(truth.flow_valid[:-1], [known] * 2)
    assert (truth.flow[0][known] == [0.5, -0.25]).all()
    assert truth.occluded[0, 5, :3].all() and not truth.occluded[0, 5, 3:-1].any()
    # Turned right by 90 degrees about "down", the camera looks along world y (east). A point 2 m east of it is 2 m
    # ahead; one 2 m north (x) is to its left; one 2 m down (z) is below.
    for world, seen in (((1, 4, 3), (0, 0, 2)), ((3, 2, 3), (-2, 0, 0)), ((1, 2, 5), (0, 2, 0))):
        assert np.allclose((truth.poses[0] @ [*world, 1])[:3], seen, atol=1e-9)
    assert not truth.has("intrinsics")  # they are of 640 x 480


def test_kubric_turns_distance_flow_and_camera(tmp_path):
    clip = read("kubric", make_kubric(tmp_path))
    truth = clip.truth
    assert clip.name == "movi-7" and clip.fps == 12.0
    assert np.isposinf(truth.depth[:, 0]).all() and np.allclose(truth.depth[:, 1:], 5, rtol=1e-6)
    # Stored is (down, right), cut to steps of 8 / 65535 px; half a step is added back.
    assert np.allclose(truth.flow[0], [1, 2], atol=0.5 * 8 / 65535 + 1e-6)
    assert clip.facts["flow_step_px"] == 8 / 65535 and not truth.has("occluded")
    assert (truth.segmentation[0, 2:4, 2:5] == 3).all() and truth.segmentation[0].sum() == 3 * 6
    # 64 mm before a sensor of 32 mm that is 12 px wide.
    assert np.allclose(truth.intrinsics[0], [[24, 0, 5.5], [0, 24, 3.5], [0, 0, 1]])
    # Blender's camera without rotation looks down; world y is up in the picture.
    for world, seen in (((0, 0, 7), (0, 0, 3)), ((0, 1, 10), (0, -1, 0)), ((1, 0, 10), (1, 0, 0))):
        assert np.allclose((truth.poses[0] @ [*world, 1])[:3], seen, atol=1e-9)
    assert set(clip.maps()) == {"depth", "flow", "segmentation"}


def test_spring_takes_every_second_value_and_turns_disparity_to_metres(tmp_path):
    truth = read("spring", make_spring(tmp_path)).truth
    assert np.isposinf(truth.depth[:, 0]).all() and np.isnan(truth.depth[:, 1, 1]).all()
    assert np.allclose(truth.depth[:, 2:], 200 * 0.065 / 2.6)
    assert not truth.flow_valid[0, 4, 4] and (truth.flow[0][truth.flow_valid[0]] == [3, -1]).all()
    assert truth.flow_valid[:-1].sum() == 2 * (HEIGHT * WIDTH - 1)
    assert not truth.has("poses") and not truth.has("occluded")


@KINDS
def test_a_dataset_becomes_a_folder_that_reads_back(tmp_path, kind):
    root, out = MAKE[kind](tmp_path / "in"), tmp_path / "out"
    importer = make_importer(kind, root)
    found = import_run(importer, out, LocalEngine(0), quiet=True)
    assert found.clips == 1 and not found.failed and len(clip_names(out)) == 1
    back, expected = read_clip(find_clip(out)), read(kind, root)
    assert back.truth.sha256 == expected.truth.sha256 and back.facts["importer"] == kind
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out"]  # no name of the data leads out of it


def test_bad_metadata_of_kubric_is_one_line(tmp_path):
    folder = make_kubric(tmp_path) / "movi" / "7"
    about = json.loads((folder / "metadata.json").read_text())
    for camera, message in (
        ({"focal_length": "long"}, "'long' is not made of numbers"),
        ({"focal_length": 0}, "must be above 0"),
        ({"positions": [[0, 0, float("nan")]] * 3}, "must be finite numbers"),
        ({"positions": [[0, 0, 0]]}, "positions end before frame 2"),
        ({"quaternions": [[0, 0, 0, 0]] * 3}, "has not length 1"),
        ({"quaternions": {"../../etc": 1}}, "is not made of numbers"),
    ):
        (folder / "metadata.json").write_text(json.dumps({**about, "camera": {**about["camera"], **camera}}))
        with pytest.raises(BadInput, match=message):
            read("kubric", tmp_path)
    (folder / "metadata.json").write_text(json.dumps([about]))
    with pytest.raises(BadInput, match="does not tell camera.focal_length"):
        read("kubric", tmp_path)
    del about["metadata"]["frame_rate"]
    (folder / "metadata.json").write_text(json.dumps(about))
    with pytest.raises(BadInput, match="no usable frame rate .None.. Give one with --fps"):
        read("kubric", tmp_path)
    assert read("kubric", tmp_path, fps=8.0).fps == 8.0
    for ranges in ({}, {"forward_flow": {"min": 0}}, {"forward_flow": {"min": "a", "max": 1}}, []):
        (folder / "data_ranges.json").write_text(json.dumps(ranges))
        with pytest.raises(BadInput, match="has no forward_flow with min and max"):
            read("kubric", tmp_path, fps=8.0)
    (folder / "data_ranges.json").write_text('{"forward_flow": {"min": 1, "max": Infinity}}')
    with pytest.raises(BadInput, match="from 1.0 to inf is no range"):
        read("kubric", tmp_path, fps=8.0)


BAD = [
    ("sintel", lambda r: (r / "training/flow/alley_1/frame_0002.flo").unlink(), "frame_0002.flo is missing"),
    ("sintel", lambda r: (r / "training/depth/alley_1/frame_0003.dpt").unlink(), "frame_0003.dpt is missing"),
    ("sintel", lambda r: (r / "training/final/alley_1/frame_0002.png").unlink(), "frame 2 is missing between"),
    ("sintel", lambda r: write_flo(r / "training/flow/alley_1/frame_0002.flo", np.zeros((4, 4, 2))), "is 4x4, .*12x8"),
    ("sintel", lambda r: write_png(r / "training/final/alley_1/frame_0002.png", GRAY[:4]), "is 12x4, .*is 12x8"),
    ("sintel", lambda r: (r / "training/final").rename(r / "x"), "has no folder 'final'"),
    ("tartanair", lambda r: next(r.rglob("000001_left_depth.npy")).unlink(), "000001_left_depth.npy is missing"),
    ("tartanair", lambda r: next(r.rglob("000001_000002_mask.npy")).unlink(), "000001_000002_mask.npy is missing"),
    ("tartanair", lambda r: next(r.rglob("pose_left.txt")).write_text("1 2 3 0 0 0 1\n"), "has 1 lines, .* 3 frames"),
    ("tartanair", lambda r: next(r.rglob("pose_left.txt")).write_text("1 2 3 0 0 0 2\n" * 3), "has not length 1"),
    ("tartanair", lambda r: np.save(next(r.rglob("*_flow.npy")), np.zeros((4, 4, 2), "f4")), "expected .8, 12, 2."),
    ("kubric", lambda r: next(r.rglob("depth_00001.tiff")).unlink(), "depth_00001.tiff is missing"),
    ("kubric", lambda r: next(r.rglob("data_ranges.json")).unlink(), "data_ranges.json is missing"),
    ("kubric", lambda r: write_png(next(r.rglob("segmentation_00001.png")), GRAY), "expected gray or palette"),
    ("spring", lambda r: next(r.rglob("*_0002.dsp5")).write_bytes(b"HDF"), "disp1_left_0002.dsp5 cannot be read"),
    ("spring", lambda r: next(r.rglob("*_0001.flo5")).unlink(), "flow_FW_left_0001.flo5 is missing"),
    ("spring", lambda r: next(r.rglob("intrinsics.txt")).unlink(), "depth needs the focal length"),
    ("spring", lambda r: next(r.rglob("intrinsics.txt")).write_text("200 200 6 4\n"), "ends before frame"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "spoil", "message"), BAD)
def test_bad_input_is_one_line_of_exit_code_2_and_leaves_no_clip(tmp_path, kind, spoil, message):
    root = MAKE[kind](tmp_path / "in")
    spoil(root)
    with pytest.raises(OpenUniError, match=message) as caught:
        import_run(make_importer(kind, root), tmp_path / "out", LocalEngine(0), quiet=True)
    assert caught.value.exit_code == 2 and "\n" not in str(caught.value)
    assert not list((tmp_path / "out").glob("clips/*"))


@KINDS
def test_a_wrong_or_empty_root_says_what_is_wanted(tmp_path, kind):
    with pytest.raises(BadInput, match=f"is no folder. Give the folder of {kind} data with --root"):
        make_importer(kind, tmp_path / "nothing")
    with pytest.raises(BadInput, match="with --root"):
        import_run(make_importer(kind, tmp_path), tmp_path / "out", LocalEngine(0), quiet=True)


def test_spring_of_other_datasets_says_what_the_file_has(tmp_path):
    h5py = pytest.importorskip("h5py")
    root = make_spring(tmp_path)
    path = next(root.rglob("*_0001.flo5"))
    for content, message in (
        ({"depth": np.zeros((4, 4))}, "no dataset 'flow'; it has depth"),
        ({"flow": np.zeros((4, 4, 3))}, "flow has 3 channels, expected 2"),
        ({"flow": np.zeros((4, 4, 2), int)}, "expected a picture of floats"),
        ({"flow": np.zeros((4, 4, 2))}, r"flow is 4x4, frames are 12x8"),
    ):
        for one in (path, path.with_name(path.name.replace("0001", "0002"))):
            with h5py.File(one, "w") as file:
                for name, values in content.items():
                    file[name] = values
        with pytest.raises(BadInput, match=message):
            read("spring", root)


def test_too_many_instances_are_refused(tmp_path):
    importer = make_importer("kubric", make_kubric(tmp_path))
    name, scene, numbers = next(importer.clips())
    raw = importer.read(scene, numbers)
    raw.segmentation = raw.segmentation.astype(np.int64) * 100
    with pytest.raises(BadInput, match="instance ids must be 0 to 255, got 0 to 300"):
        finish(name, raw, importer)


def test_the_command_line_ends_with_code_2_and_one_line(tmp_path, monkeypatch, capsys):
    """What the shell sees: main() turns the error into one line."""
    from openuni.cli import main

    root = make_sintel(tmp_path / "in")
    (root / "training" / "depth" / "alley_1" / "frame_0001.dpt").unlink()
    arguments = ["unibench", "import", "sintel", "--root", str(root), "--out", str(tmp_path / "out"), "--ray", "off"]
    monkeypatch.setattr("sys.argv", ["openuni", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and "frame_0001.dpt is missing" in error and error.count("\n") == 1
    bad = CliRunner().invoke(app, [*arguments, "--set", "sintel.rgb=fnial"])
    assert "Unknown Sintel pass 'fnial'. Did you mean 'final'" in str(bad.exception)
