"""Strides: which frames make a sample of a given rate and length, and the flow between those that are left.

Frames are picked by their times and never interpolated.
"""

from itertools import pairwise

import numpy as np
import torch
from torch.nn import functional

SAME_RATE = 0.1
"""Rates within this part of each other count as the same: 15 fps is read as 16. Ours; a stride of 1 and one of 2 are
100 % apart."""

INVALID_WEIGHT = 1e-3
"""Share of a value that may come from pixels that are not valid: more than rounding of positions gives, and nothing
that matters. Ours."""


def is_strided(clip_fps: np.ndarray, fps: float | None) -> np.ndarray:
    """Whether frames are left out to come from clip_fps to fps; bool of the same shape."""
    return np.zeros(np.shape(clip_fps), dtype=bool) if fps is None else np.asarray(clip_fps) > fps * (1 + SAME_RATE)


def usable_frames(num_frames: np.ndarray, clip_fps: np.ndarray, fps: float | None) -> np.ndarray:
    """How many frames a clip has at a rate.

    Args:
        num_frames: (N,) as stored.
        clip_fps: (N,) mean rate, (T - 1) / (last time - first time).
        fps: wanted; None: as stored.

    Returns:
        (N,) int64; 0 for a clip that is slower than wanted, since frames are not repeated.
    """
    stored = np.asarray(num_frames, dtype=np.int64)
    if fps is None:
        return stored
    # The last picked frame may be half a stored frame off the wanted time, as any other.
    picked = np.floor(1 + (stored - 0.5) * fps / np.asarray(clip_fps, dtype=np.float64) - 1e-6).astype(np.int64)
    frames = np.where(is_strided(clip_fps, fps), np.minimum(picked, stored), stored)
    slow = (np.asarray(clip_fps) < fps * (1 - SAME_RATE)) & (stored > 1)
    return np.where(slow, 0, frames)


def pick(times_s: np.ndarray, *, num_frames: int, clip_fps: float, fps: float | None, place: float) -> np.ndarray:
    """Choose a sample's frames.

    Args:
        times_s: (T,) float64, increasing.
        num_frames: how many.
        clip_fps: the clip's mean rate, by which the plan counted its frames.
        fps: wanted; None: every frame.
        place: 0 to 1, where among the possible starts; 0 is the first, just below 1 the last.

    Returns:
        (num_frames,) int64 indices, strictly increasing.

    Raises:
        ValueError: the clip is too short, or its times are so uneven that one frame is nearest to two wanted times.
    """
    total = len(times_s)
    if not is_strided(np.array(clip_fps), fps) or fps is None:
        starts = total - num_frames + 1
        if starts < 1:
            raise ValueError(f"{num_frames} frames were planned, the clip has {total}")
        return min(int(place * starts), starts - 1) + np.arange(num_frames)
    last = times_s[-1] + 0.5 / clip_fps - (num_frames - 1) / fps
    starts = int(np.searchsorted(times_s, last, side="right"))
    if starts < 1:
        raise ValueError(
            f"{num_frames} frames at {fps:g} fps were planned, the clip has {times_s[-1] - times_s[0]:g} s"
        )
    wanted = times_s[min(int(place * starts), starts - 1)] + np.arange(num_frames) / fps
    after = np.clip(np.searchsorted(times_s, wanted), 1, total - 1)
    picks = np.where(wanted - times_s[after - 1] <= times_s[after] - wanted, after - 1, after)
    if (np.diff(picks) < 1).any():
        raise ValueError(f"its frames are too unevenly spaced to be read at {fps:g} fps")
    return picks.astype(np.int64)


def compose(flow: np.ndarray, valid: np.ndarray, picks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sum flow along its path from each picked frame to the next: f(x) + f'(x + f(x)) and so on.

    Args:
        flow: (T, H, W, 2) float32 px per frame, (dx, dy).
        valid: (T, H, W) bool.
        picks: (n,) increasing frame indices.

    Returns:
        (n, H, W, 2) float32 px per picked frame, 0 where not valid, and (n, H, W) bool: False where the path leaves
        the picture or meets a pixel that is not valid, and in the whole last frame.
    """
    height, width = flow.shape[1:3]
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    out = np.zeros((len(picks), height, width, 2), dtype=np.float32)
    out_valid = np.zeros((len(picks), height, width), dtype=bool)
    for place, (start, stop) in enumerate(pairwise(picks)):
        total, good = out[place], out_valid[place]
        total[...], good[...] = flow[start], valid[start]
        np.copyto(total, 0, where=~good[..., None])
        for frame in range(start + 1, stop):
            step, known = sampled(flow[frame], valid[frame], columns + total[..., 0], rows + total[..., 1])
            total += step
            good &= known
        np.copyto(total, 0, where=~good[..., None])
    return out, out_valid


def sampled(flow: np.ndarray, valid: np.ndarray, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Read a flow field between its pixels, bilinearly.

    Args:
        flow: (H, W, 2) float32.
        valid: (H, W) bool.
        x: (H, W) float32 columns; whole numbers are pixel centres.
        y: (H, W) float32 rows.

    Returns:
        (H, W, 2) float32, and (H, W) bool: inside the picture, and pixels that are not valid weigh less than
        INVALID_WEIGHT. Positions are within 1e-4 px; OpenCV's remap, as fast, would round them to 1/32 px.
    """
    height, width = valid.shape
    inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    field = np.empty((3, height, width), dtype=np.float32)
    unknown = ~valid
    field[:2], field[2] = np.moveaxis(flow, -1, 0), unknown
    np.copyto(field[:2], 0, where=unknown)  # not by a product: it may be NaN
    # grid_sample counts from -1 to 1; a side of one pixel has no length.
    at = np.empty((height, width, 2), dtype=np.float32)
    at[..., 0], at[..., 1] = x * (2 / max(1, width - 1)) - 1, y * (2 / max(1, height - 1)) - 1
    read = functional.grid_sample(
        torch.from_numpy(field)[None], torch.from_numpy(at)[None], padding_mode="border", align_corners=True
    )[0].numpy()
    return np.moveaxis(read[:2], 0, -1), inside & (read[2] < INVALID_WEIGHT)
