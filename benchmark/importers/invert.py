"""Backward motion to forward flow: where each pixel of frame t is seen again in frame t + 1.

A renderer's backward vector at q in t + 1 says where the point seen there came from, s = q - m(q). Forward flow at p in
t is m(q) for the q with q - m(q) = p. It is found in two steps: every q votes for the pixel its s lies in, the vote
whose depth is nearest to the pixel's own wins; then q is moved by fixed-point iteration q <- p + m(q) until it maps to
p's centre. Points that are not seen in t + 1 have no q: their flow stays unknown.
"""

from typing import NamedTuple

import numpy as np

STEPS = 4  # ours: m changes by tenths of a px per px inside a surface, so that four steps leave less than RESIDUAL_PX
RESIDUAL_PX = 0.05  # ours: half of the transport error that the renderer's own flow may have
EXACT_PX = 0.01  # ours: so near the centre a vote is taken as it is, and edges of things at rest stay valid
SPREAD_PX = 1.0  # ours: four neighbours whose motion differs by more lie on different surfaces; nothing between them
DEPTH_CHANGE = 0.05  # ours: relative; the depth of a point changes less within a frame, that of another surface more


class Forward(NamedTuple):
    """Flow of one frame."""

    flow: np.ndarray
    """(H, W, 2) float64 px, NaN where unknown."""
    known: np.ndarray
    """(H, W) bool: the point is seen in both frames."""


def forward_of(motion: np.ndarray, depth: np.ndarray, next_depth: np.ndarray) -> Forward:
    """Invert the motion that led to the next frame.

    Args:
        motion: (H, W, 2) px of frame t + 1: the point at q was at q - motion(q) in t. Not finite is unknown.
        depth: (H, W) of frame t, along the optical axis; inf is sky.
        next_depth: (H, W) of frame t + 1.
    """
    height, width = depth.shape
    rows, columns = np.indices((height, width))
    grid = np.stack([columns, rows], axis=-1).astype(np.float64)
    start, off = _votes(motion, grid, depth, next_depth)
    start = _filled(start, (height, width))
    pixels = np.flatnonzero(start >= 0)
    source = start[pixels]
    p, q = grid.reshape(-1, 2)[pixels], grid.reshape(-1, 2)[source]
    exact = off[pixels] <= EXACT_PX
    found = motion.reshape(-1, 2)[source].astype(np.float64)
    moved, smooth = found.copy(), np.ones(len(p), bool)
    for _ in range(STEPS):
        moved, _, smooth = _between(motion, next_depth, p + moved)
        moved = np.where(smooth[:, None], moved, found)
    q = p + moved
    again, z, still = _between(motion, next_depth, q)
    with np.errstate(invalid="ignore"):
        settled = smooth & still & (np.abs(again - moved).max(axis=-1) <= RESIDUAL_PX)
        settled &= _same_depth(z, depth.reshape(-1)[pixels])
    result = np.where(exact[:, None], found, again)
    known = exact | settled
    flow = np.full((height * width, 2), np.nan)
    flow[pixels[known]] = result[known]
    seen = np.zeros(height * width, bool)
    seen[pixels[known]] = True
    return Forward(flow.reshape(height, width, 2), seen.reshape(height, width))


def _votes(
    motion: np.ndarray, grid: np.ndarray, depth: np.ndarray, next_depth: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """For each pixel of t the index of the q that won it, or -1, and how far from its centre q came from, px."""
    height, width = depth.shape
    origin = (grid - motion).reshape(-1, 2)
    with np.errstate(invalid="ignore"):
        landed = np.rint(origin)
        inside = np.isfinite(origin).all(axis=-1) & (landed >= 0).all(axis=-1) & (landed < [width, height]).all(axis=-1)
    voter = np.flatnonzero(inside)
    at = landed[voter].astype(int)
    pixel = at[:, 1] * width + at[:, 0]
    change = _change(next_depth.reshape(-1)[voter], depth.reshape(-1)[pixel])
    fits = change <= DEPTH_CHANGE
    voter, pixel, change = voter[fits], pixel[fits], change[fits]
    off = np.abs(origin[voter] - landed[voter]).max(axis=-1)
    # The best vote last, since the last of several assignments stays: nearest in depth, then nearest to the centre.
    order = np.lexsort((off, np.round(change, 3)))[::-1]
    winner, distance = np.full(height * width, -1), np.full(height * width, np.inf)
    winner[pixel[order]], distance[pixel[order]] = voter[order], off[order]
    return winner, distance


def _filled(start: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Give pixels without a vote a neighbour's: where the picture shrinks, votes fall more than a pixel apart."""
    filled = start.reshape(shape)
    for axis in (0, 1):
        before, filled = np.moveaxis(filled, axis, 0), np.moveaxis(filled.copy(), axis, 0)
        filled[1:] = np.where(filled[1:] < 0, before[:-1], filled[1:])
        filled[:-1] = np.where(filled[:-1] < 0, before[1:], filled[:-1])
        filled = np.moveaxis(filled, 0, axis)
    return filled.reshape(-1)


def _change(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """|log(a / b)|; 0 for sky and sky, inf for sky and a thing, and where either is unknown."""
    with np.errstate(invalid="ignore", divide="ignore"):
        change = np.abs(np.log(a.astype(np.float64)) - np.log(b.astype(np.float64)))
    change[np.isposinf(a) & np.isposinf(b)] = 0
    return np.nan_to_num(change, nan=np.inf, posinf=np.inf)


def _same_depth(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    same: np.ndarray = _change(a, b) <= DEPTH_CHANGE
    return same


def _between(motion: np.ndarray, depth: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Motion and depth between four pixels, and whether they lie on one surface. at: (N, 2) px."""
    height, width = depth.shape
    with np.errstate(invalid="ignore"):
        inside = np.isfinite(at).all(axis=-1) & (at >= 0).all(axis=-1) & (at <= [width - 1, height - 1]).all(axis=-1)
    safe = np.where(inside[:, None], at, 0)
    low = np.minimum(safe.astype(int), [max(width - 2, 0), max(height - 2, 0)])
    part = safe - low
    corners_m, corners_z, weights = [], [], []
    for dy in (0, 1):
        for dx in (0, 1):
            x, y = np.minimum(low[:, 0] + dx, width - 1), np.minimum(low[:, 1] + dy, height - 1)
            corners_m.append(motion[y, x].astype(np.float64))
            corners_z.append(depth[y, x].astype(np.float64))
            weights.append(np.where(dx, part[:, 0], 1 - part[:, 0]) * np.where(dy, part[:, 1], 1 - part[:, 1]))
    m, z, w = np.stack(corners_m), np.stack(corners_z), np.stack(weights)
    with np.errstate(invalid="ignore"):
        spread = (m.max(axis=0) - m.min(axis=0)).max(axis=-1)
        smooth = inside & (spread <= SPREAD_PX)
        sky = np.isposinf(z)
        smooth &= sky.all(axis=0) | ~sky.any(axis=0)
        between_z = np.where(sky.all(axis=0), np.inf, (np.where(sky, 0, z) * w).sum(axis=0))
        return (m * w[..., None]).sum(axis=0), between_z, smooth
