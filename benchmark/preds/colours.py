"""Colours of unknown palettes to instance ids: the clip's commonest colours that are far enough apart."""

import numpy as np

from openuni.codec.palette import nearest

MIN_DISTANCE = 40.0
"""Of two palette colours in RGB. Ours: tab10 x 0.85 on black has 57; a video codec moves flat colours by some 10."""
MIN_SHARE = 1e-3
"""Of a clip's pixels that a colour must have. Ours: at 256 px a square of 8 px; blurred edges have less each."""
MAX_COLOURS = 64
BLACK_DISTANCE = 60.0
"""A colour so near to black is the background, if there is one; else the commonest colour is."""
BITS = 3
"""Lowest bits of a channel that are dropped when colours are counted."""


def clusters(frames: np.ndarray) -> np.ndarray:
    """Return (T, H, W) uint8 ids of (T, H, W, 3) uint8 RGB frames, 0 is background, commoner colours first."""
    cells = (frames >> BITS).astype(np.int64)
    keys = (cells[..., 0] << 16 | cells[..., 1] << 8 | cells[..., 2]).ravel()
    values, inverse, counts = np.unique(keys, return_inverse=True, return_counts=True)
    sums = np.stack([np.bincount(inverse, weights=frames[..., channel].ravel()) for channel in range(3)], axis=1)
    means = sums / counts[:, None]
    chosen: list[np.ndarray] = []
    for place in np.lexsort((values, -counts)):
        if counts[place] < MIN_SHARE * keys.size or len(chosen) == MAX_COLOURS:
            break
        if all(np.linalg.norm(means[place] - one) >= MIN_DISTANCE for one in chosen):
            chosen.append(means[place])
    if not chosen:  # no colour is common: a photograph, or noise
        return np.zeros(frames.shape[:3], np.uint8)
    dark = [number for number, one in enumerate(chosen) if np.linalg.norm(one) < BLACK_DISTANCE]
    background = dark[0] if dark else 0
    order = [background, *(number for number in range(len(chosen)) if number != background)]
    return nearest(frames, np.array([chosen[number] for number in order])).astype(np.uint8)
