"""Readers of files: values come back bit for bit, and what is damaged is one line with the file's name."""

import json
import pickle
import struct

import numpy as np
import pytest

from openuni.benchmark.importers import formats
from openuni.benchmark.importers.exr import read_exr
from openuni.errors import BadInput
from tests.benchmark.importers.write import write_cam, write_exr, write_flo, write_float_tiff, write_png

RNG = np.random.default_rng(0)
FLOATS = RNG.normal(size=(5, 7)).astype(np.float32)


def test_pictures_of_every_kind_come_back_as_they_were_written(tmp_path):
    colours = RNG.integers(0, 256, (5, 7, 3), dtype=np.uint8)
    deep = RNG.integers(0, 65536, (5, 7, 3), dtype=np.uint16)
    ids = RNG.integers(0, 256, (5, 7), dtype=np.uint8)
    assert np.array_equal(formats.read_picture(write_png(tmp_path / "a.png", colours)), colours)
    assert np.array_equal(formats.read_png16(write_png(tmp_path / "b.png", deep)), deep)
    assert np.array_equal(formats.read_mask(write_png(tmp_path / "c.png", ids)), ids)
    assert np.array_equal(formats.read_mask(write_png(tmp_path / "d.png", ids, palette=True)), ids)
    assert np.array_equal(formats.read_float_tiff(write_float_tiff(tmp_path / "e.tiff", FLOATS)), FLOATS)


def test_float_files_come_back_bit_for_bit(tmp_path):
    flow = RNG.normal(size=(5, 7, 2)).astype(np.float32)
    flow[1, 2], flow[3, 3, 1], flow[4, 4, 0] = 1e10, 2e9, np.nan
    back = formats.read_flo(write_flo(tmp_path / "a.flo", flow))
    unknown = np.zeros((5, 7), bool)
    unknown[[1, 3, 4], [2, 3, 4]] = True
    assert np.isnan(back[unknown]).all() and np.array_equal(back[~unknown], flow[~unknown])
    assert np.array_equal(formats.read_dpt(write_flo(tmp_path / "b.dpt", FLOATS)), FLOATS)
    intrinsics, pose = np.arange(9.0).reshape(3, 3), np.vstack([np.arange(12.0).reshape(3, 4), [0, 0, 0, 1]])
    back_intrinsics, back_pose = formats.read_cam(write_cam(tmp_path / "c.cam", intrinsics, pose))
    assert np.array_equal(back_intrinsics, intrinsics) and np.array_equal(back_pose, pose)
    np.save(tmp_path / "d.npy", FLOATS)
    assert np.array_equal(formats.read_npy(tmp_path / "d.npy", (5, None)), FLOATS)


def test_exr_channels_keep_their_kind_and_bits(tmp_path):
    channels = {"R": FLOATS.astype(np.float16), "Layer.Z": FLOATS}
    back = read_exr(write_exr(tmp_path / "a.exr", channels))
    assert {name: one.dtype for name, one in back.items()} == {"R": np.float16, "Layer.Z": np.float32}
    assert all(np.array_equal(back[name], one) for name, one in channels.items())


def test_exr_of_several_parts_has_all_their_channels(tmp_path):
    import OpenEXR

    head = {"type": OpenEXR.scanlineimage}
    parts = [OpenEXR.Part({**head, "name": name}, {"Z": FLOATS + at, name: FLOATS}) for at, name in enumerate("ab")]
    OpenEXR.File(parts).write(str(tmp_path / "a.exr"))
    back = read_exr(tmp_path / "a.exr")
    assert sorted(back) == ["Z", "a", "b", "b.Z"] and np.array_equal(back["b.Z"], FLOATS + 1)


WHOLE = {
    "flo": lambda path: write_flo(path, np.zeros((4, 6, 2))),
    "dpt": lambda path: write_flo(path, np.zeros((4, 6))),
    "cam": lambda path: write_cam(path, np.eye(3), np.eye(4)),
    "npy": lambda path: np.save(path, np.zeros((64, 64), np.float32)),
    "png": lambda path: write_png(path, RNG.integers(0, 255, (40, 60, 3), dtype=np.uint8)),
    "png16": lambda path: write_png(path, RNG.integers(0, 65535, (40, 60, 3), dtype=np.uint16)),
    "tiff": lambda path: write_float_tiff(path, np.zeros((40, 60))),
    "exr": lambda path: write_exr(path, {"R": np.zeros((40, 60), np.float32)}),
}
READ = {
    "flo": formats.read_flo, "dpt": formats.read_dpt, "cam": formats.read_cam, "png": formats.read_picture,
    "png16": formats.read_png16, "tiff": formats.read_float_tiff, "exr": read_exr,
    "npy": lambda path: formats.read_npy(path, (64, 64)),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@pytest.mark.parametrize("kind", WHOLE)
@pytest.mark.parametrize("damage", ["empty", "garbage", "half", "short", "head", "missing", "folder"])
def test_a_damaged_file_is_one_line_with_its_name(tmp_path, kind, damage):
    path = tmp_path / f"frame.{kind}"
    WHOLE[kind](path)
    content = path.read_bytes()
    path.unlink()
    left = {
        "empty": b"", "garbage": bytes(range(256)) * 8, "half": content[: len(content) // 2], "head": content[:6],
        "short": content[:-40],
    }  # fmt: skip
    if damage in left:
        path.write_bytes(left[damage])
    elif damage == "folder":
        path.mkdir()
    with pytest.raises(BadInput, match=rf"frame.{kind} (cannot be read|is missing)") as caught:
        READ[kind](path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("size", [(-1, 5), (0, 5), (10**9, 10**9), (6, 5), (2**31 - 1, 1)])
def test_a_size_that_lies_is_found_before_memory_is_taken(tmp_path, size):
    (tmp_path / "a.flo").write_bytes(b"PIEH" + struct.pack("<ii", *size) + bytes(4 * 6 * 8))
    with pytest.raises(BadInput, match=r"a.flo cannot be read \(.*(claims|need)"):
        formats.read_flo(tmp_path / "a.flo")
    head = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {(10**6, 10**6)}, }}".encode()
    (tmp_path / "b.npy").write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head + bytes(64))
    with pytest.raises(BadInput, match="b.npy cannot be read"):
        formats.read_npy(tmp_path / "b.npy", (None, None))


def test_objects_are_never_unpickled(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    (tmp_path / "b.npy").write_bytes(pickle.dumps([1, 2]))
    for name in "ab":
        with pytest.raises(BadInput, match="cannot be read"):
            formats.read_npy(tmp_path / f"{name}.npy", (1,))


def test_files_of_another_kind_are_refused(tmp_path):
    gray = write_png(tmp_path / "gray.png", np.zeros((4, 4), np.uint8))
    colour = write_png(tmp_path / "colour.png", np.zeros((4, 4, 3), np.uint8))
    for read, path, message in (
        (formats.read_png16, colour, "expected a whole PNG of 3 channels of 16 bits"),
        (formats.read_mask, colour, "expected gray or palette"),
        (formats.read_float_tiff, gray, "expected one channel of 32-bit floats"),
    ):
        with pytest.raises(BadInput, match=message):
            read(path)
    np.save(tmp_path / "a.npy", np.zeros((4, 4), np.int32))
    with pytest.raises(BadInput, match=r"got \(4, 4\) int32, expected \(4, any\) float"):
        formats.read_npy(tmp_path / "a.npy", (4, None))


@pytest.mark.parametrize("text", ["", "1 2\n", "1 2 x\n", "1 2 nan\n", "1 2 3\n1 2\n"])
def test_text_that_is_no_table_is_refused(tmp_path, text):
    (tmp_path / "a.txt").write_text(text)
    with pytest.raises(BadInput, match="a.txt cannot be read"):
        formats.read_rows(tmp_path / "a.txt", 3)


def test_hdf5_without_h5py_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    with pytest.raises(BadInput, match=r"h5py is not installed; .*pip install openuni\[bench\]"):
        formats.read_h5(tmp_path / "a.flo5", "flow", 2)


def test_json_that_is_none_is_refused(tmp_path):
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(BadInput, match="a.json cannot be read"):
        formats.read_json(tmp_path / "a.json")
    (tmp_path / "a.json").write_text(json.dumps({"a": 1}))
    assert formats.read_json(tmp_path / "a.json") == {"a": 1}
