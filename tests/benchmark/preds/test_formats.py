"""preds:FOLDER: every format of every modality reads as the same prediction given as an array does."""

import json
import math
import struct

import cv2
import numpy as np
import pytest
from PIL import Image

from openuni.benchmark.preds.colours import clusters
from openuni.benchmark.preds.generator import Predictions
from openuni.benchmark.preds.rle import read_rle
from openuni.errors import BadInput, UnknownName
from openuni.generator import Ask, Unanswerable
from openuni.mapfile import write_map
from openuni.modality import Map
from openuni.model.rendering import OWN, PAPER
from openuni.video import encode_gray, encode_rgb_lossless, encode_rgb_mp4

T, H, W = 5, 24, 32
rng = np.random.default_rng(0)
DEPTH = rng.integers(1, 65535, (T, H, W)).astype(np.uint16)
FLOW = rng.normal(0, 3, (T, H, W, 2)).astype(np.float32)
IDS = np.zeros((T, H, W), np.uint8)
IDS[:, 2:12, 3:15], IDS[:, 10:20, 18:30] = 1, 2
PARTS = np.zeros((T, H, W), np.uint8)
PARTS[:, 4:20, 4:28] = np.repeat(np.arange(1, 25), 1)[None, None, :]
UV = rng.integers(0, 256, (T, H, W, 2), dtype=np.uint8)
JOINTS = np.concatenate([rng.uniform(2, 20, (T, 1, 17, 2)), np.full((T, 1, 17, 1), 0.5)], axis=-1).astype(np.float32)
RGB = rng.integers(0, 256, (T, H, W, 3), dtype=np.uint8)


def ask(name, task="est", **changes):
    wanted = {"task": task, "modality": name, "sample": "a", "num_frames": T, "height": H, "width": W, "fps": 16.0}
    return Ask(**{**wanted, **changes})


def answer(root, name, **settings):
    return Predictions(str(root), **settings)(ask(name))


def place(root, name, ending=""):
    folder = root / f"est-{name}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"a{ending}"


def as_array(root, name, array):
    """The prediction as a .npy, read."""
    np.save(place(root / "array", name, ".npy"), array)
    return answer(root / "array", name).map


def same(one, other, *, valid=True):
    mask = slice(None) if other.valid is None or not valid else other.valid
    np.testing.assert_array_equal(one.data[mask], other.data[mask])
    assert one.data.dtype == other.data.dtype and one.data.shape == other.data.shape
    if valid:
        np.testing.assert_array_equal(one.valid, other.valid)


def pictures(folder, frames):
    folder.mkdir(parents=True)
    for number, frame in enumerate(frames):
        Image.fromarray(frame).save(folder / f"{number:04d}.png")


def write_flo(path, flow):
    height, width = flow.shape[:2]
    path.write_bytes(struct.pack("<fii", 202021.25, width, height) + flow.astype("<f4").tobytes())


def write_exr(path, channels):
    openexr = pytest.importorskip("OpenEXR")
    header = {"compression": openexr.ZIP_COMPRESSION, "type": openexr.scanlineimage}
    arrays = {name: np.ascontiguousarray(array, np.float32) for name, array in channels.items()}
    with openexr.File(header, arrays) as file:
        file.write(str(path))


def depth_png16(root):
    place(root, "depth").mkdir(exist_ok=True)
    for number, frame in enumerate(DEPTH):
        cv2.imwrite(str(place(root, "depth") / f"{number}.png"), frame)


def depth_exr(root):
    place(root, "depth").mkdir()
    for number, frame in enumerate(DEPTH):
        write_exr(place(root, "depth") / f"{number}.exr", {"Z": frame})


def depth_npy_frames(root):
    place(root, "depth").mkdir()
    for number, frame in enumerate(DEPTH):
        np.save(place(root, "depth") / f"{number}.npy", frame)


DEPTHS = {
    "npz": lambda root: np.savez(place(root, "depth", ".npz"), DEPTH),
    "npz by name": lambda root: np.savez(place(root, "depth", ".npz"), depth=DEPTH, other=np.zeros(3)),
    "gray16 mkv": lambda root: place(root, "depth", ".mkv").write_bytes(encode_gray(DEPTH, pix_fmt="gray16le")),
    "16-bit PNG": depth_png16,
    "EXR": depth_exr,
    "npy frames": depth_npy_frames,
    "own npz": lambda root: write_map(
        place(root, "depth", ".npz"),
        "depth",
        Map(data=DEPTH.astype(np.float32), valid=np.ones((T, H, W), bool), facts={"kind": "relative_disparity"}),
    ),
}


@pytest.mark.parametrize("kind", DEPTHS)
def test_depth_in_every_format_is_the_array(tmp_path, kind):
    place(tmp_path, "depth")
    DEPTHS[kind](tmp_path)
    given = answer(tmp_path, "depth")
    same(given.map, as_array(tmp_path, "depth", DEPTH))
    assert given.map.facts["kind"] == "relative_disparity" and "levels" not in given.about


def test_eight_bit_depth_says_so_and_gray_colours_are_its_levels(tmp_path):
    gray = (DEPTH >> 8).astype(np.uint8)
    pictures(place(tmp_path, "depth"), gray)
    given = answer(tmp_path, "depth")
    same(given.map, as_array(tmp_path, "depth", gray))
    assert given.about["levels"] == 256
    place(tmp_path / "colour", "depth", ".mkv").write_bytes(encode_rgb_lossless(np.repeat(gray[..., None], 3, axis=3)))
    same(answer(tmp_path / "colour", "depth").map, given.map)


def test_metric_depth_takes_a_unit_and_what_is_not_above_zero_is_invalid(tmp_path):
    depth_png16(tmp_path)
    map = answer(tmp_path, "depth", depth_kind="metric_depth", depth_scale=0.001).map
    np.testing.assert_allclose(map.data, DEPTH / 1000, rtol=1e-6)
    holes = DEPTH.astype(np.float32)
    holes[0, 0, :3] = np.nan, 0, np.inf
    np.save(place(tmp_path / "holes", "depth", ".npy"), holes)
    map = answer(tmp_path / "holes", "depth", depth_kind="metric_depth").map
    assert map.valid[0, 0, :3].tolist() == [False, False, True] and map.valid.sum() == T * H * W - 2


def flo_frames(root):
    place(root, "flow").mkdir()
    for number, frame in enumerate(FLOW[:-1]):
        write_flo(place(root, "flow") / f"{number}.flo", frame)


def flow_exr(names):
    def write(root):
        place(root, "flow").mkdir()
        for number, frame in enumerate(FLOW):
            channels = {name: frame[..., at] for at, name in enumerate(names)}
            write_exr(place(root, "flow") / f"{number}.exr", channels)

    return write


FLOWS = {
    "flo of T - 1 frames": flo_frames,
    "EXR u, v": flow_exr("uv"),
    "EXR R, G": flow_exr("RG"),
    "npz": lambda root: np.savez(place(root, "flow", ".npz"), flow=FLOW),
    "npy of channels first": lambda root: np.save(place(root, "flow", ".npy"), FLOW.transpose(0, 3, 1, 2)),
}


@pytest.mark.parametrize("kind", FLOWS)
def test_flow_in_every_format_is_the_array_and_its_last_frame_is_invalid(tmp_path, kind):
    place(tmp_path, "flow")
    FLOWS[kind](tmp_path)
    map = answer(tmp_path, "flow").map
    same(map, as_array(tmp_path, "flow", FLOW))
    assert map.valid[:-1].all() and not map.valid[-1].any()


def rle(mask, *, compressed):
    if compressed:
        coco = pytest.importorskip("pycocotools.mask")
        found = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
        return {"size": list(found["size"]), "counts": found["counts"].decode()}
    flat = np.concatenate([[False], mask.T.ravel(), [not mask.T.ravel()[-1]]])
    edges = np.flatnonzero(np.diff(flat.astype(int)) != 0)
    return {"size": list(mask.shape), "counts": np.diff(np.concatenate([[0], edges])).tolist()}


def tubes(compressed):
    def write(root):
        objects = [
            {"score": 0.9, "segmentations": [rle(frame == one, compressed=compressed) for frame in IDS]}
            for one in (1, 2)
        ]
        place(root, "segmentation", ".json").write_text(json.dumps(objects))

    return write


def coco_results(root):
    said = [
        {"image_id": frame, "id": one, "score": 0.5, "segmentation": rle(IDS[frame] == one, compressed=True)}
        for one in (1, 2)
        for frame in range(T)
    ]
    place(root, "segmentation", ".json").write_text(json.dumps(said))


def palette_png(root):
    place(root, "segmentation").mkdir()
    for number, frame in enumerate(IDS):
        picture = Image.fromarray(frame, mode="P")
        picture.putpalette([0, 0, 0, 200, 30, 90, 3, 250, 7])
        picture.save(place(root, "segmentation") / f"{number}.png")


def colours(name, map, rendering):
    return rendering.to_frames(name, map).frames


MASKS = {
    "npz": lambda root: np.savez(place(root, "segmentation", ".npz"), IDS),
    "wide npy": lambda root: np.save(place(root, "segmentation", ".npy"), IDS.astype(np.int64)),
    "gray PNG": lambda root: pictures(place(root, "segmentation"), IDS),
    "palette PNG": palette_png,
    "gray mkv": lambda root: place(root, "segmentation", ".mkv").write_bytes(encode_gray(IDS)),
    "RLE": tubes(False),
    "compressed RLE": tubes(True),
    "RLE frame by frame": coco_results,
    "colours": lambda root: place(root, "segmentation", ".mkv").write_bytes(
        encode_rgb_lossless(colours("segmentation", Map(data=IDS), PAPER))
    ),
    "colours in mp4": lambda root: place(root, "segmentation", ".mp4").write_bytes(
        encode_rgb_mp4(colours("segmentation", Map(data=np.repeat(np.repeat(IDS, 1, 1), 1, 2)), PAPER), fps=16, crf=0)
    ),
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Pillow's, of `mode`
@pytest.mark.parametrize("kind", MASKS)
def test_masks_in_every_format_are_the_array(tmp_path, kind):
    place(tmp_path, "segmentation")
    MASKS[kind](tmp_path)
    given = answer(tmp_path, "segmentation").map
    wanted = as_array(tmp_path, "segmentation", IDS)
    if kind == "colours in mp4":  # 4:2:0 blurs edges
        assert (given.data == wanted.data).mean() > 0.97
    else:
        same(given, wanted)


def test_scores_and_classes_of_masks_are_kept_by_id(tmp_path):
    objects = [
        {"score": score, "category": name, "segmentations": [rle(frame == one, compressed=False) for frame in IDS]}
        for one, score, name in ((1, 0.25, "box"), (2, 0.75, "person"))
    ]
    place(tmp_path, "segmentation", ".json").write_text(json.dumps(objects))
    facts = answer(tmp_path, "segmentation").map.facts
    assert facts == {"scores": {"1": 0.25, "2": 0.75}, "classes": {"1": "box", "2": "person"}}
    del objects[1]["score"], objects[0]["category"]  # one of two says nothing: as if none did
    place(tmp_path / "some", "segmentation", ".json").write_text(json.dumps(objects))
    assert answer(tmp_path / "some", "segmentation").map.facts == {}
    np.savez(place(tmp_path / "npz", "segmentation", ".npz"), data=IDS, scores=np.array([0.25, 0.75]))
    assert answer(tmp_path / "npz", "segmentation").map.facts == {"scores": {"1": 0.25, "2": 0.75}}
    np.savez(place(tmp_path / "few", "segmentation", ".npz"), data=IDS, scores=np.array([0.25]))
    with pytest.raises(BadInput, match="'scores' must be 2 finite numbers, of the ids 1, 2"):
        answer(tmp_path / "few", "segmentation")


def test_eight_bit_depth_says_so(tmp_path):
    np.save(place(tmp_path / "fine", "depth", ".npy"), DEPTH)
    np.save(place(tmp_path / "coarse", "depth", ".npy"), DEPTH.astype(np.uint8))
    assert "levels" not in answer(tmp_path / "fine", "depth").map.facts
    assert answer(tmp_path / "coarse", "depth").map.facts["levels"] == 256


def test_unknown_palettes_are_read_by_clustering(tmp_path):
    palette = np.array([[12, 8, 20], [240, 40, 200], [30, 220, 120]], np.uint8)
    noisy = palette[IDS].astype(int) + np.random.default_rng(1).integers(-3, 4, (T, H, W, 3))
    place(tmp_path, "segmentation", ".mkv").write_bytes(encode_rgb_lossless(noisy.clip(0, 255).astype(np.uint8)))
    found = answer(tmp_path, "segmentation", rendering="clusters").map.data
    pairs = set(zip(found.ravel().tolist(), IDS.ravel().tolist(), strict=True))
    assert len(pairs) == 3 and (0, 0) in pairs
    assert not clusters(RGB).any()  # noise has no palette


PEOPLE = {
    "npz of parts and uv": lambda root: np.savez(place(root, "densepose", ".npz"), data=PARTS, uv=UV),
    "npy of I, U, V": lambda root: np.save(
        place(root, "densepose", ".npy"), np.concatenate([PARTS[..., None], UV], axis=3)
    ),
    "float uv": lambda root: np.savez(place(root, "densepose", ".npz"), data=PARTS, uv=UV / np.float32(255)),
}


@pytest.mark.parametrize("kind", PEOPLE)
def test_densepose_in_every_format_is_the_array(tmp_path, kind):
    PEOPLE[kind](tmp_path)
    map = answer(tmp_path, "densepose").map
    same(map, as_array(tmp_path, "densepose", PARTS))
    np.testing.assert_array_equal(map.arrays["uv"], UV)


@pytest.mark.parametrize("write", ["gray", "colours"])
def test_densepose_pictures_are_the_parts(tmp_path, write):
    frames = PARTS if write == "gray" else colours("densepose", Map(data=PARTS), PAPER)
    pictures(place(tmp_path, "densepose"), frames)
    given = answer(tmp_path, "densepose")
    same(given.map, as_array(tmp_path, "densepose", PARTS))
    assert ("densepose.uv_error" in given.lacks) == (write == "colours")


def joints_json(root):
    said = [
        {"image_id": frame, "category_id": 1, "keypoints": JOINTS[frame, 0].ravel().tolist(), "score": 0.7}
        for frame in range(T)
    ]
    place(root, "skeleton", ".json").write_text(json.dumps(said))


POSES = {
    "npz": lambda root: np.savez(place(root, "skeleton", ".npz"), JOINTS),
    "npy of one person": lambda root: np.save(place(root, "skeleton", ".npy"), JOINTS[:, 0]),
    "COCO results": joints_json,
}


@pytest.mark.parametrize("kind", POSES)
def test_joints_in_every_format_are_the_array(tmp_path, kind):
    place(tmp_path, "skeleton")
    POSES[kind](tmp_path)
    map = answer(tmp_path, "skeleton").map
    same(map, as_array(tmp_path, "skeleton", JOINTS))
    assert (map.facts["height"], map.facts["width"]) == (H, W)


@pytest.mark.parametrize("name", ["depth", "flow"])
def test_colours_are_read_by_the_rendering_that_is_named(tmp_path, name):
    if name == "depth":
        ramp = np.broadcast_to(np.linspace(0, 1, W, dtype=np.float32), (T, H, W)).copy()
        map = Map(data=ramp, valid=np.ones((T, H, W), bool), facts={"kind": "relative_disparity"})
    else:
        valid = np.ones((T, H, W), bool)
        valid[-1] = False
        map = Map(data=(FLOW / 8).astype(np.float32), valid=valid)
    drawn = colours(name, map, OWN)
    place(tmp_path, name, ".mkv").write_bytes(encode_rgb_lossless(drawn))
    given = answer(tmp_path, name, rendering="own")
    read = OWN.to_map(name, drawn)
    same(given.map, read)
    np.testing.assert_array_equal(given.rendering, drawn)
    assert given.lacks == {}
    if name == "flow":
        assert "flow.epe" in answer(tmp_path, name, rendering="paper").lacks  # the clip's longest is not told


@pytest.mark.parametrize("kind", ["mkv", "png", "npy"])
def test_frames_in_every_format_are_the_array(tmp_path, kind):
    folder = tmp_path / "text-rgb"
    folder.mkdir()
    if kind == "mkv":
        (folder / "a.mkv").write_bytes(encode_rgb_lossless(RGB))
    elif kind == "png":
        pictures(folder / "a" / "seed-0", RGB)
    else:
        np.save(folder / "a.npy", RGB)
    given = Predictions(str(tmp_path))(ask("rgb", "text"))
    np.testing.assert_array_equal(given.rgb, RGB)


def test_joint_answers_have_frames_beside_the_map(tmp_path):
    for name in ("joint-depth", "joint-depth-rgb"):
        (tmp_path / name).mkdir()
    np.save(tmp_path / "joint-depth" / "a.npy", DEPTH)
    np.save(tmp_path / "joint-depth-rgb" / "a.npy", RGB)
    given = Predictions(str(tmp_path))(ask("depth", "joint"))
    np.testing.assert_array_equal(given.rgb, RGB)
    np.testing.assert_array_equal(given.map.data, DEPTH)
    assert Predictions(str(tmp_path)).capabilities() == (("joint", "depth"),)


def test_run_lengths_equal_pycocotools_on_random_masks():
    coco = pytest.importorskip("pycocotools.mask")
    for seed in range(20):
        mask = np.random.default_rng(seed).random((37, 53)) < (seed + 1) / 22
        found = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
        said = {"size": [37, 53], "counts": found["counts"].decode()}
        np.testing.assert_array_equal(read_rle(said, height=37, width=53), mask)
        np.testing.assert_array_equal(read_rle(rle(mask, compressed=False), height=37, width=53), mask)


def test_other_sizes_are_brought_to_the_clips_own_on_request(tmp_path):
    large = np.repeat(np.repeat(IDS, 2, axis=1), 2, axis=2)
    np.save(place(tmp_path, "segmentation", ".npy"), large)
    np.save(place(tmp_path, "flow", ".npy"), np.full((T, 2 * H, 2 * W, 2), 4, np.float32))
    np.testing.assert_array_equal(answer(tmp_path, "segmentation", resize=True).map.data, IDS)
    flow = answer(tmp_path, "flow", resize=True)
    assert (flow.map.data[:-1] == 2).all() and flow.about["predicted"] == {
        "num_frames": T,
        "height": 2 * H,
        "width": 2 * W,
    }
    with pytest.raises(
        BadInput, match=r"est-segmentation/a.npy: segmentation has 5 frames of 64x48, expected 5 frames of"
    ):
        answer(tmp_path, "segmentation")


def twice(root):
    np.save(place(root, "depth", ".npy"), DEPTH)
    np.savez(place(root, "depth", ".npz"), DEPTH)


def mixed(root):
    pictures(place(root, "depth"), DEPTH >> 8)
    np.save(place(root, "depth") / "x.npy", 1)


def saved(array):
    return lambda root: np.save(place(root, "depth", ".npy"), array)


BAD = {
    "two files": (twice, "are both predictions for one question"),
    "wrong length": (saved(DEPTH[:3]), "depth has 3 frames of 32x24, expected"),
    "a pickle": (saved(np.array([{}], object)), "a.npy cannot be read"),
    "no depth": (saved(RGB[..., :2]), "depth must be (T, H, W), got"),
    "cut video": (lambda root: place(root, "depth", ".mp4").write_bytes(b"\0" * 40), "a.mp4 cannot be read"),
    "mixed frames": (mixed, "mixes .npy and .png files"),
    "unlike frames": (lambda root: pictures(place(root, "depth"), [IDS[0], IDS[0, :4]]), "all frames of a clip must"),
    "several arrays": (lambda root: np.savez(place(root, "depth", ".npz"), a=DEPTH, b=DEPTH), "call the clip's array"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_prediction_is_one_line_with_its_file(tmp_path, kind):
    write, message = BAD[kind]
    write(tmp_path)
    with pytest.raises(BadInput) as caught:
        answer(tmp_path, "depth")
    assert message in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({}, "expected a list of objects"),
        ([{"segmentations": [None]}], "an object has 1 masks, expected 5"),
        ([{"segmentations": [None] * 5, "score": math.nan}], "a score must be a finite number, got nan"),
        ([{"image_id": 9, "segmentation": None}], "image_id must be a frame from 0 to 4, got 9"),
        (
            [{"image_id": 0, "segmentation": {"size": [3, 4], "counts": "0"}}],
            "a mask has size [3, 4], expected [24",
        ),
        ([{"image_id": 0, "segmentation": {"size": [H, W], "counts": [5]}}], "counts add up to 5, expected 24 x 32"),
        ([{"image_id": 0, "segmentation": {"size": [H, W], "counts": [-1, 769]}}], "whole numbers from 0 on"),
        ([{"image_id": 0, "segmentation": {"size": [H, W], "counts": "~"}}], "is no letter of compressed counts"),
        ([{"image_id": 0, "segmentation": {"size": [H, W], "counts": "P"}}], "end inside a number"),
    ],
)
def test_bad_run_lengths_are_named(tmp_path, said, message):
    place(tmp_path, "segmentation", ".json").write_text(json.dumps(said))
    with pytest.raises(BadInput) as caught:
        answer(tmp_path, "segmentation")
    assert message in str(caught.value)


def test_a_missing_prediction_is_no_answer_and_a_folder_without_any_is_refused(tmp_path):
    place(tmp_path, "depth")
    with pytest.raises(Unanswerable, match="no_prediction"):
        answer(tmp_path, "depth")
    with pytest.raises(BadInput, match="has no predictions: expected folders TASK-MODALITY"):
        Predictions(str(tmp_path / "est-depth"))
    with pytest.raises(UnknownName, match="Did you mean 'paper'"):
        Predictions(str(tmp_path), rendering="papr")
    with pytest.raises(BadInput, match="depth_kind=metres: give relative_disparity or metric_depth"):
        Predictions(str(tmp_path), depth_kind="metres")


def test_the_fingerprint_goes_by_the_files_and_how_they_are_read(tmp_path):
    np.save(place(tmp_path, "depth", ".npy"), DEPTH)
    first = Predictions(str(tmp_path)).fingerprint()
    assert Predictions(str(tmp_path)).fingerprint() == first
    assert Predictions(str(tmp_path), depth_scale=0.1).fingerprint() != first
    np.save(place(tmp_path, "depth", ".npy"), DEPTH + 1)
    assert Predictions(str(tmp_path)).fingerprint() != first
