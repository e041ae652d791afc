"""Colours of maps: published colour tables, and the way back from a pixel to the nearest table entry."""

from collections.abc import Sequence
from functools import cache

import numpy as np

GRID_LEVELS = 16  # ours: candidates are 0, 17, .., 255 in each channel; a finer grid gains under 2 in distance

# ColorBrewer "Spectral", 11 classes (Brewer, Harrower; Apache-2.0), the control points of matplotlib's Spectral.
SPECTRAL = (
    (158, 1, 66), (213, 62, 79), (244, 109, 67), (253, 174, 97), (254, 224, 139), (255, 255, 191),
    (230, 245, 152), (171, 221, 164), (102, 194, 165), (50, 136, 189), (94, 79, 162),
)  # fmt: skip

# matplotlib's tab10 (Tableau 10).
TAB10 = (
    (31, 119, 180), (255, 127, 14), (44, 160, 44), (214, 39, 40), (148, 103, 189),
    (140, 86, 75), (227, 119, 194), (127, 127, 127), (188, 189, 34), (23, 190, 207),
)  # fmt: skip

# matplotlib's viridis (CC0) at entries floor(k * 255 / 24), k = 0..24.
VIRIDIS_25 = (
    (68, 1, 84), (71, 15, 98), (72, 30, 112), (71, 43, 122), (68, 57, 130), (63, 69, 135), (59, 81, 138),
    (53, 92, 140), (48, 103, 141), (44, 113, 142), (40, 123, 142), (36, 133, 141), (32, 143, 140), (30, 153, 138),
    (31, 163, 134), (39, 173, 128), (53, 183, 120), (69, 191, 111), (91, 200, 98), (114, 207, 85), (141, 214, 68),
    (170, 219, 50), (197, 223, 33), (225, 227, 24), (253, 231, 36),
)  # fmt: skip


@cache
def spectral_r() -> np.ndarray:
    """Return matplotlib's Spectral_r: (256, 3) uint8, from purple (0) to dark red (255); all entries differ."""
    points = np.array(SPECTRAL[::-1]) / 255
    at, given_at = np.linspace(0, 1, 256), np.linspace(0, 1, len(points))
    table = np.stack([np.interp(at, given_at, points[:, channel]) for channel in range(3)], axis=-1)
    # matplotlib cuts to bytes instead of rounding; 1e-9 keeps exact control points from falling below themselves.
    return np.floor(table * 255 + 1e-9).astype(np.uint8)


def spread_colours(first: Sequence[tuple[float, ...]], count: int) -> np.ndarray:
    """Choose colours far apart: each is the point of a 16 x 16 x 16 grid that is farthest from all colours before it.

    Args:
        first: at least one RGB colour to begin with, whole numbers 0..255.
        count: how many colours to return, with the first ones.

    Returns:
        (count, 3) uint8; of equally far points the first in the order of red, green, blue.
    """
    colours = [np.array(colour, dtype=np.float64) for colour in first]
    levels = np.linspace(0, 255, GRID_LEVELS)
    grid = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1).reshape(-1, 3)
    distance = np.min([np.square(grid - colour).sum(axis=1) for colour in colours], axis=0)
    while len(colours) < count:
        colours.append(grid[distance.argmax()])
        distance = np.minimum(distance, np.square(grid - colours[-1]).sum(axis=1))
    return np.array(colours).astype(np.uint8)


def nearest(frames: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """Find the table entry nearest to each pixel, by Euclidean distance in RGB.

    Args:
        frames: (T, H, W, 3) uint8 RGB.
        colours: (N, 3) RGB in 0..255, without duplicates.

    Returns:
        (T, H, W) int32 index into `colours`. An exact colour finds itself; ties go to some entry, always the same.

    Raises:
        ValueError: `frames` has another shape or dtype.
    """
    from scipy.spatial import cKDTree

    if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8:
        raise ValueError(f"colour video must be (T, H, W, 3) uint8 RGB, got {frames.shape} {frames.dtype}")
    # A clip has many pixels but few different colours: search each colour once.
    seen = np.zeros(1 << 24, dtype=bool)
    for frame in frames:
        seen[_packed(frame)] = True
    keys = np.flatnonzero(seen)
    rgb = np.stack([keys >> 16, (keys >> 8) & 255, keys & 255], axis=-1)
    entry_of = np.zeros(1 << 24, dtype=np.int32)
    entry_of[keys] = cKDTree(np.asarray(colours, dtype=np.float64)).query(rgb)[1]
    return np.stack([entry_of[_packed(frame)] for frame in frames])


def _packed(frame: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 -> (H, W) int32, 0xRRGGBB."""
    red, green, blue = (frame[..., channel].astype(np.int32) for channel in range(3))
    return (red << 16) | (green << 8) | blue
