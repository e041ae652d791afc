"""COCO's run lengths: counts of 0, 1, 0, ... down the columns; compressed ones are differences in base 32.

Format: pycocotools, common/maskApi.c (rleFrString, rleDecode). Read here in a few lines, since a file of predictions
is not to be trusted and the library checks no length.
"""

from typing import Any

import numpy as np

FIRST_CODE = 48  # ASCII of a zero digit
MORE, SIGN, DIGIT = 0x20, 0x10, 0x1F


def read_rle(rle: Any, *, height: int, width: int) -> np.ndarray:
    """Turn {"size": [height, width], "counts": text or list} into an (H, W) bool mask.

    Raises:
        ValueError: it is none, or of another size.
    """
    if not isinstance(rle, dict) or "counts" not in rle or "size" not in rle:
        raise ValueError('a run length mask must be {"size": [height, width], "counts": text or list}')
    if list(rle["size"]) != [height, width]:
        raise ValueError(f"a mask has size {rle['size']}, expected [{height}, {width}]")
    counts = rle["counts"]
    lengths = uncompressed(counts) if isinstance(counts, str) else counts
    if not isinstance(lengths, list) or not all(type(one) is int and 0 <= one <= height * width for one in lengths):
        raise ValueError("counts must be text or a list of whole numbers from 0 on")
    if sum(lengths) != height * width:
        raise ValueError(f"counts add up to {sum(lengths)}, expected {height} x {width} = {height * width}")
    runs = np.repeat(np.arange(len(lengths)) % 2 == 1, lengths)
    return runs.reshape(width, height).T


def uncompressed(text: str) -> list[int]:
    """Read compressed counts: 5 bits a letter, lowest first; from the third on, differences to the count before last.

    Raises:
        ValueError: a letter is none of the code's, or the text ends inside a number.
    """
    counts: list[int] = []
    value, shift = 0, 0
    for letter in text:
        code = ord(letter) - FIRST_CODE
        if not 0 <= code < 64 or shift > 60:
            raise ValueError(f"{letter!r} is no letter of compressed counts")
        value |= (code & DIGIT) << shift
        shift += 5
        if code & MORE:
            continue
        if code & SIGN:
            value -= 1 << shift
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
        value, shift = 0, 0
    if shift:
        raise ValueError("compressed counts end inside a number")
    return counts
