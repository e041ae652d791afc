"""Files that datasets keep pictures and truth in. Every reader raises BadInput with the file's name."""

import json
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from openuni.errors import BadInput

FLO_TAG = struct.pack("<f", 202021.25)
"""First bytes of .flo, .dpt and .cam: "PIEH". Baker et al., IJCV 2011; Sintel's SDK for .dpt and .cam."""
FLO_UNKNOWN = 1e9  # a component beyond is unknown, ibidem
MAX_SIDE_PX = 16384  # ours: four times 4K; what claims more is damaged


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what goes wrong with a file into one line."""
    from PIL import Image

    if not path.is_file():
        raise BadInput(f"{path} is missing: truth or picture of a frame. Complete the data, or choose other frames.")
    try:
        yield
    except BadInput:
        raise
    except (OSError, ValueError, KeyError, IndexError, EOFError, RuntimeError, struct.error, OverflowError,
            MemoryError, SyntaxError, Image.DecompressionBombError) as error:  # fmt: skip
        why = str(error).partition("\n")[0] or type(error).__name__
        raise BadInput(f"{path} cannot be read ({why}).") from error


def read_picture(path: Path) -> np.ndarray:
    """Read PNG or JPEG as (H, W, 3) uint8 RGB; an alpha channel is dropped."""
    from PIL import Image

    with reading(path), Image.open(path) as picture:
        if picture.mode.startswith(("I", "F")):
            raise ValueError(f"mode {picture.mode} is no 8-bit picture")
        return np.asarray(picture.convert("RGB"))


def read_mask(path: Path) -> np.ndarray:
    """Read a gray or palette PNG as (H, W): levels, or numbers of the palette."""
    from PIL import Image

    with reading(path), Image.open(path) as picture:
        if picture.mode not in ("L", "P", "1", "I;16", "I"):
            raise ValueError(f"mode {picture.mode}, expected gray or palette")
        return np.asarray(picture)


def read_png16(path: Path) -> np.ndarray:
    """Read a colour PNG of 16 bits as (H, W, 3) uint16, channels as stored. Pillow would cut it to 8 bits."""
    import cv2

    with reading(path):
        content = path.read_bytes()
        whole = content[-8:-4] == b"IEND"  # OpenCV gives zeros for the rows that a cut file lacks
        found = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED) if whole else None
        if found is None or found.dtype != np.uint16 or found.ndim != 3 or found.shape[2] != 3:
            raise ValueError("expected a whole PNG of 3 channels of 16 bits")
        return np.ascontiguousarray(found[..., ::-1])


def read_float_tiff(path: Path) -> np.ndarray:
    """Read a TIFF of one float channel as (H, W) float32."""
    from PIL import Image

    with reading(path), Image.open(path) as picture:
        if picture.mode != "F":
            raise ValueError(f"mode {picture.mode}, expected one channel of 32-bit floats")
        return np.asarray(picture)


def read_npy(path: Path, shape: tuple[int | None, ...], *, integer: bool = False) -> np.ndarray:
    """Read a .npy of numbers; never unpickles.

    Args:
        path: the file.
        shape: wanted; None is any length.
        integer: whole numbers are wanted, not floats.
    """
    with reading(path):
        # Mapped: a header that lies about the length is found before anything is allocated.
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        fits = array.ndim == len(shape) and all(
            want in (None, got) for want, got in zip(shape, array.shape, strict=True)
        )
        if not fits or array.dtype.kind not in ("iub" if integer else "f"):
            wanted = ", ".join("any" if one is None else str(one) for one in shape)
            raise ValueError(f"got {array.shape} {array.dtype}, expected ({wanted}) {'int' if integer else 'float'}")
        return np.array(array)


def read_flo(path: Path) -> np.ndarray:
    """Read Middlebury's .flo as (H, W, 2) float32 px; NaN where it says unknown."""
    flow = _tagged(path, channels=2)
    unknown = ~(np.abs(flow) <= FLO_UNKNOWN).all(axis=-1)
    flow[unknown] = np.nan
    return flow


def read_dpt(path: Path) -> np.ndarray:
    """Read Sintel's .dpt as (H, W) float32."""
    return _tagged(path, channels=1)[..., 0]


def read_cam(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read Sintel's .cam: intrinsics (3, 3) and world to camera (4, 4), float64."""
    with reading(path):
        content = path.read_bytes()
        if content[:4] != FLO_TAG or len(content) != 4 + 8 * 21:
            raise ValueError(f"not a .cam file: {len(content)} bytes, expected 172 that begin with PIEH")
        values = np.frombuffer(content, "<f8", offset=4)
        return values[:9].reshape(3, 3).copy(), np.vstack([values[9:].reshape(3, 4), [0, 0, 0, 1]])


def read_rows(path: Path, columns: int) -> np.ndarray:
    """Read a text file of finite numbers, (rows, columns) float64."""
    with reading(path):
        rows = [[float(word) for word in line.split()] for line in path.read_text().splitlines() if line.strip()]
        if not rows or any(len(row) != columns for row in rows):
            raise ValueError(f"expected lines of {columns} numbers")
        table = np.array(rows)
        if not np.isfinite(table).all():
            raise ValueError("a number is not finite")
        return table


def read_json(path: Path) -> Any:
    """Read JSON."""
    with reading(path):
        return json.loads(path.read_text())


def read_h5(path: Path, name: str, channels: int) -> np.ndarray:
    """Read one dataset of an HDF5 file as (H, W, channels) or, for one channel, (H, W), float32."""
    try:
        import h5py
    except ImportError as error:
        raise BadInput("h5py is not installed; Spring's files need it: pip install openuni[bench]") from error
    with reading(path), h5py.File(path, "r") as file:
        if not isinstance(file.get(name), h5py.Dataset):
            raise ValueError(f"no dataset {name!r}; it has {', '.join(map(str, file)) or 'none'}")
        found = file[name]
        wanted = 2 if channels == 1 else 3
        if found.ndim != wanted or max(found.shape) > MAX_SIDE_PX or found.dtype.kind != "f":
            raise ValueError(f"{name} is {found.shape} {found.dtype}, expected a picture of floats")
        if channels > 1 and found.shape[2] != channels:
            raise ValueError(f"{name} has {found.shape[2]} channels, expected {channels}")
        return np.asarray(found[()], np.float32)


def _tagged(path: Path, *, channels: int) -> np.ndarray:
    """Read tag, width, height and float32 rows; the file's length must be exactly what they say."""
    with reading(path), path.open("rb") as file:
        tag, size = file.read(4), file.read(8)
        if tag != FLO_TAG or len(size) != 8:
            raise ValueError("it does not begin with PIEH and a size")
        width, height = struct.unpack("<ii", size)
        if not (1 <= width <= MAX_SIDE_PX and 1 <= height <= MAX_SIDE_PX):
            raise ValueError(f"it claims {width}x{height} px")
        wanted, got = 12 + 4 * width * height * channels, os.fstat(file.fileno()).st_size
        if got != wanted:
            raise ValueError(f"{got} bytes, {width}x{height} px need {wanted}")
        values = np.frombuffer(file.read(), "<f4")
        return values.reshape(height, width, channels).astype(np.float32)
