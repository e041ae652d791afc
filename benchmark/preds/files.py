"""Files of predictions to arrays, whatever the modality: videos, folders of frames, .npy and .npz."""

import io
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from openuni.benchmark.importers.exr import read_exr
from openuni.benchmark.importers.formats import read_flo, reading
from openuni.benchmark.preds.layout import VIDEOS, frame_files
from openuni.errors import BadInput
from openuni.generator import RGB
from openuni.video import decode_gray, decode_rgb

MAX_BYTES = 2**33  # ours: 8 GiB of one clip's arrays; what claims more is damaged or no prediction
EXR_CHANNELS = {"depth": (("Y",), ("Z",), ("depth",), ("R",)), "flow": (("u", "v"), ("U", "V"), ("X", "Y"), ("R", "G"))}
"""Modality -> channels of an EXR that are taken, the first that are there. Of one channel alone: that one."""


def read_arrays(path: Path, modality: str) -> dict[str, np.ndarray]:
    """Read a clip's file or folder of frames.

    Returns:
        "data" and, of an .npz, its other arrays. Colour videos and pictures give (T, H, W, 3) uint8, others (T, H, W).

    Raises:
        BadInput: it cannot be read; the message has the file.
    """
    if path.is_dir():
        return {"data": _frames(frame_files(path, modality), modality)}
    ending = path.suffix.lower()
    with reading(path):
        if ending in VIDEOS:
            return {"data": _video(path.read_bytes())}
        if ending == ".npy":
            return {"data": _npy(path)}
        return _npz(path, modality)


def _video(content: bytes) -> np.ndarray:
    """Gray video as it is, else RGB."""
    import av

    try:
        with av.open(io.BytesIO(content), "r") as container:
            streams = container.streams.video
            gray = bool(streams) and str(streams[0].codec_context.pix_fmt).startswith("gray")
    except av.FFmpegError as error:
        raise ValueError(f"no video that can be read: {error}") from error
    return decode_gray(content) if gray else decode_rgb(content).frames


def _npy(path: Path) -> np.ndarray:
    # Mapped: a header that lies about the length is found before anything is allocated.
    return _sane(np.load(path, mmap_mode="r", allow_pickle=False))


def _npz(path: Path, modality: str) -> dict[str, np.ndarray]:
    with zipfile.ZipFile(path) as archive:
        if sum(info.file_size for info in archive.infolist()) > MAX_BYTES:
            raise ValueError(f"it unpacks to more than {MAX_BYTES} bytes")
    with np.load(path, allow_pickle=False) as file:
        found = {name: _sane(file[name]) for name in file.files}
    main = next((name for name in ("data", modality, "arr_0") if name in found), None)
    if main is None and len(found) == 1:
        main = next(iter(found))
    if main is None:
        raise ValueError(f"it has {', '.join(found) or 'no array'}: call the clip's array 'data' or {modality!r}")
    return {"data": found.pop(main), **found}


def _sane(array: np.ndarray) -> np.ndarray:
    if array.dtype.kind not in "fiub" or array.nbytes > MAX_BYTES:
        raise ValueError(f"{array.shape} {array.dtype} is no array of numbers that fits")
    return np.array(array)


def _frames(paths: Sequence[Path], modality: str) -> np.ndarray:
    frames = [_frame(path, modality) for path in paths]
    for path, frame in zip(paths, frames, strict=True):
        if frame.shape != frames[0].shape or frame.dtype != frames[0].dtype:
            raise BadInput(f"{path} is {frame.shape} {frame.dtype}, {paths[0].name} {frames[0].shape} "
                           f"{frames[0].dtype}: all frames of a clip must be alike.")  # fmt: skip
    return np.stack(frames)


def _frame(path: Path, modality: str) -> np.ndarray:
    ending = path.suffix.lower()
    if ending == ".flo":
        return read_flo(path)
    if ending == ".exr":
        return _exr(path, modality)
    with reading(path):
        return _npy(path) if ending == ".npy" else _picture(path, modality)


def _exr(path: Path, modality: str) -> np.ndarray:
    found = read_exr(path)
    for names in EXR_CHANNELS[modality]:
        if all(name in found for name in names):
            picked = np.stack([found[name] for name in names], axis=-1).astype(np.float32)
            return picked[..., 0] if len(names) == 1 else picked
    if len(found) == 1 and modality == "depth":
        return next(iter(found.values())).astype(np.float32)
    wanted = ", or ".join(" and ".join(names) for names in EXR_CHANNELS[modality])
    raise BadInput(f"{path} has the channels {', '.join(found)}; {modality} wants {wanted}.")


def _picture(path: Path, modality: str) -> np.ndarray:
    """Gray or palette pictures as numbers, 8 or 16 bits; colour as RGB. A palette's numbers are ids, as DAVIS has."""
    from PIL import Image

    with Image.open(path) as picture:
        if modality != RGB and picture.mode in ("L", "P", "1", "I;16", "I"):
            array = np.asarray(picture)
            return array.astype(np.uint16) if picture.mode in ("I;16", "I") else array.astype(np.uint8)
        if picture.mode.startswith(("I", "F")):
            raise ValueError(f"mode {picture.mode}, expected 8-bit colour or gray of 8 or 16 bits")
        return np.asarray(picture.convert("RGB"))
