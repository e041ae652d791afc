"""Run-length masks as COCO writes them ("counts" as text), without pycocotools.

The format is that of COCO's maskApi: runs of background and foreground in turn, down the columns; each run is the
difference to the run two before (from the fourth on), in groups of five bits, least first, as characters from "0" on;
bit 0x20 says that more follows, bit 0x10 of the last group is the sign.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

MOST_PIXELS = 100_000_000  # ours: larger than any video frame; a damaged size must not take all memory


def decode_rle(rle: Mapping[str, Any]) -> np.ndarray:
    """Decode one mask.

    Args:
        rle: "size" [height, width] and "counts", text or a list of runs.

    Returns:
        (H, W) bool.

    Raises:
        ValueError: the counts are damaged or do not fill the size.
    """
    try:
        height, width = (int(side) for side in rle["size"])
        counts = rle["counts"]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"an RLE mask has size [height, width] and counts, got {sorted(rle)}") from error
    if min(height, width) < 1 or height * width > MOST_PIXELS:
        raise ValueError(f"an RLE mask must have 1 to {MOST_PIXELS} pixels, got {height} x {width}")
    if isinstance(counts, bytes):
        counts = counts.decode("ascii", "replace")
    runs = _runs_of(counts, height * width) if isinstance(counts, str) else np.array(counts, np.int64)
    if (runs < 0).any() or runs.sum() != height * width:
        raise ValueError(f"the runs of an RLE mask must add up to {height} x {width}, got {int(runs.sum())}")
    inside = np.arange(len(runs)) % 2 == 1
    return np.repeat(inside, runs).reshape(width, height).T


def _runs_of(text: str, most: int) -> np.ndarray:
    runs: list[int] = []
    value = shift = 0
    for character in text:
        code = ord(character) - 48
        if not 0 <= code < 64 or shift > 30:
            raise ValueError(f"the counts of an RLE mask are damaged at {character!r}")
        value |= (code & 0x1F) << shift
        shift += 5
        if code & 0x20:
            continue
        if code & 0x10:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        if not 0 <= runs[-1] <= most:
            raise ValueError(f"the counts of an RLE mask are damaged: a run of {runs[-1]}")
        value = shift = 0
    if shift:
        raise ValueError("the counts of an RLE mask end within a run")
    return np.array(runs, np.int64)
