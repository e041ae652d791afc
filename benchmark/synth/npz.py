"""Compressed npz files whose bytes depend on their arrays alone, read without unpickling."""

import io
import zipfile
from collections.abc import Mapping

import numpy as np

ZIP_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest that zip can say: the bytes must not depend on the clock
LEVEL = 6


def write_npz(arrays: Mapping[str, np.ndarray], *, level: int = LEVEL) -> bytes:
    """Return an npz of arrays; numpy.load reads it. No object arrays."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=level) as archive:
        for name, array in arrays.items():
            info = zipfile.ZipInfo(f"{name}.npy", ZIP_TIME)
            info.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(info, "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.ascontiguousarray(array).reshape(array.shape), allow_pickle=False)
    return buffer.getvalue()


def read_npz(content: bytes) -> dict[str, np.ndarray]:
    """Read an npz.

    Raises:
        ValueError: the bytes are no npz, are damaged, or hold Python objects.
    """
    problem = f"not a readable npz of {len(content)} bytes"
    if not content.startswith(b"PK"):  # numpy would take it for a pickle, and say so
        raise ValueError(problem)
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (zipfile.BadZipFile, EOFError, OSError, KeyError) as error:
        raise ValueError(f"{problem}: {error}") from error
