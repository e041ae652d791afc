"""OpenEXR files: named channels of half or float, all parts of a file, cut to the display window."""

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np

from openuni.benchmark.importers.formats import MAX_SIDE_PX, reading
from openuni.errors import BadInput


def read_exr(path: Path) -> dict[str, np.ndarray]:
    """Read every channel of a file.

    Args:
        path: the file; scan lines or tiles, one part or more.

    Returns:
        Channel name -> (H, W) float16, float32 or uint32, as stored. In files of several parts, a name that two parts
        have is "PART.CHANNEL" from the second part on.

    Raises:
        BadInput: OpenEXR is not installed; the file cannot be read, or its pixels do not cover its picture.
    """
    try:
        import OpenEXR
    except ImportError as error:
        raise BadInput("OpenEXR is not installed; EXR files need it: pip install openuni[bench]") from error
    with reading(path):
        with OpenEXR.File(str(path), separate_channels=True, header_only=True) as file:
            for part in range(len(file.parts)):
                _check_window(file.header(part))
        channels: dict[str, np.ndarray] = {}
        with OpenEXR.File(str(path), separate_channels=True) as file:
            for number, part in enumerate(file.parts):
                for name, channel in file.channels(number).items():
                    pixels = _displayed(np.asarray(channel.pixels), file.header(number))
                    channels[name if name not in channels else f"{part.name()}.{name}"] = pixels
        if not channels:  # what OpenEXR gives for a file that ends too early
            raise ValueError("it is cut off or damaged")
        return channels


def channels_of(found: dict[str, np.ndarray], names: Sequence[str], path: Path, option: str) -> np.ndarray:
    """Pick channels by name, stacked in the last axis.

    Args:
        found: what `read_exr` gave.
        names: wanted.
        path: the file, for the message.
        option: the option that names the channels.

    Raises:
        BadInput: one is not there; the message has the nearest name and all.
    """
    for name in names:
        if name not in found:
            close = get_close_matches(name, found, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            known = ", ".join(sorted(found))
            raise BadInput(f"{path} has no channel {name!r}.{hint} It has {known}. Name another with {option}.")
    return np.stack([found[name] for name in names], axis=-1)


def _windows(header: dict[str, Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    (x0, y0), (x1, y1) = header["dataWindow"]
    data = np.array([x0, y0]), np.array([x1, y1])
    (x0, y0), (x1, y1) = header["displayWindow"]
    return *data, np.array([x0, y0]), np.array([x1, y1])


def _check_window(header: dict[str, Any]) -> None:
    low, high, shown_low, shown_high = _windows(header)
    if (high - low >= MAX_SIDE_PX).any() or (shown_high - shown_low >= MAX_SIDE_PX).any():
        raise ValueError(f"it claims more than {MAX_SIDE_PX} px a side")
    if (low > shown_low).any() or (high < shown_high).any():
        raise ValueError("its data window does not cover its display window")


def _displayed(pixels: np.ndarray, header: dict[str, Any]) -> np.ndarray:
    """Cut overscan away."""
    low, high, shown_low, shown_high = _windows(header)
    if pixels.shape[:2] != tuple((high - low + 1)[::-1]):
        raise ValueError("a channel is subsampled")
    left, top = shown_low - low
    width, height = shown_high - shown_low + 1
    return pixels[top : top + height, left : left + width]
