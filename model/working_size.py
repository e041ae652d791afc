"""Working size: how a clip gets to a size that a network takes, whatever size it has.

It is brought to the model's short side, its aspect kept as far as the grid of codec and network lets it, nothing
cropped; frames go in one for one, the last one repeated until the codec takes their number. Answers come back to the
clip's own size by openuni/resize.py.
"""

from dataclasses import replace

import numpy as np

from openuni.generator import Ask
from openuni.modality import Map


def working_size(ask: Ask, *, short_side_px: int, grid: tuple[int, int], stride: int) -> tuple[int, int, int]:
    """Return frames, height and width at which the model works on a clip.

    Args:
        ask: its num_frames, height and width are the clip's.
        short_side_px: of the model.
        grid: heights and widths are multiples of these, px.
        stride: frames of a latent frame; the codec takes stride n + 1 frames.
    """
    scale = short_side_px / min(ask.height, ask.width)
    height, width = (max(step, round(side * scale / step) * step)
                     for side, step in ((ask.height, grid[0]), (ask.width, grid[1])))  # fmt: skip
    return -(-(ask.num_frames - 1) // stride) * stride + 1, height, width


def longer(frames: np.ndarray, count: int) -> np.ndarray:
    """Return (count, ...) frames: the last one is repeated."""
    return np.concatenate([frames, np.repeat(frames[-1:], count - len(frames), axis=0)])


def longer_map(name: str, map: Map, count: int) -> Map:
    """Return a map of `count` frames, the last one repeated; flow's is invalid already."""
    per_frame = ("boxes",) if name == "skeleton" else tuple(map.arrays)
    arrays = {key: longer(array, count) if key in per_frame else array for key, array in map.arrays.items()}
    valid = None if map.valid is None else longer(map.valid, count)
    return replace(map, data=longer(map.data, count), valid=valid, arrays=arrays)
