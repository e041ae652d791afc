"""VBench's formulas, from features to numbers; pure functions of arrays. Sources are files of VBench 45e79ec."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

DYNAMIC_RATE = 8  # frames a second that dynamic degree keeps
DYNAMIC_TOP, STATIC_TOP = 0.05, 0.02  # share of the pixels that move most, whose mean is a pair's motion
DYNAMIC_PX, STATIC_PX = 6.0, 3.0  # motion of a moving pair, px in a frame whose shorter side is 256


class Consistency(NamedTuple):
    """How alike a clip's frames are."""

    mean: float | None
    """Over pairs; None without one."""
    pairs: int
    """Frames behind the first. Over a suite these are what is averaged over, not clips."""


def consistency(features: np.ndarray) -> Consistency:
    """Mean over frames behind the first of how alike each is to the one before and to the first, halves each.

    Args:
        features: (T, D), of any length. Likeness is the cosine, at least 0.

    Source: subject_consistency.py and background_consistency.py.
    """
    unit = features.astype(np.float64)
    unit /= np.maximum(np.linalg.norm(unit, axis=1, keepdims=True), 1e-12)
    before, first = (unit[1:] * unit[:-1]).sum(1), unit[1:] @ unit[0]
    likeness = (np.maximum(before, 0) + np.maximum(first, 0)) / 2
    return Consistency(float(likeness.mean()) if len(likeness) else None, len(likeness))


def steadiness(differences: np.ndarray) -> float | None:
    """1 less the mean difference of grey levels over 255: temporal flickering and motion smoothness.

    Args:
        differences: (N,) mean absolute differences, [0, 255].

    Source: temporal_flickering.py and motion_smoothness.py.
    """
    return float((255 - differences.mean()) / 255) if len(differences) else None


def dynamic_stride(fps: float) -> int:
    """Every how manyth frame dynamic degree keeps; Python's round, which takes .5 to the even number."""
    return max(1, round(fps / DYNAMIC_RATE))


def is_dynamic(motions: Sequence[float], *, shorter_side: int, kept: int) -> bool:
    """Say whether enough pairs of kept frames move.

    Enough is round(4 kept / 16), and Python rounds .5 to the even number: 2 kept frames ask for none, so any pair
    makes them dynamic; 6 ask for 2, 10 for 2.

    Args:
        motions: (kept - 1,) px, see `top_mean`.
        shorter_side: of the frame, px.
        kept: frames.

    Source: dynamic_degree.py, set_params and check_move.
    """
    threshold, enough, count = DYNAMIC_PX * shorter_side / 256, round(4 * kept / 16), 0
    for motion in motions:
        count += motion > threshold
        if count >= enough:
            return True
    return False


def is_static(motions: Sequence[float], *, shorter_side: int, frames: int) -> bool:
    """Say whether a clip is static enough for temporal flickering on the official prompts.

    Args:
        motions: px, of the frames - 1 neighbours, then of (first, last) and (last, first); see `top_mean`.
        shorter_side: of the frame, px.
        frames: of the clip.

    Source: static_filter.py, set_params and check_static.
    """
    threshold, allowed = STATIC_PX * shorter_side / 256, round(2 * frames / 16)
    moving = sum(motion > threshold for motion in motions[:-2])
    return moving <= allowed and all(motion <= threshold * allowed * 2 for motion in motions[-2:])


def top_mean(flow: np.ndarray, share: float) -> float:
    """Mean length of the share of a flow's vectors that is longest; (H, W, 2) float32 px.

    Source: get_score of dynamic_degree.py and static_filter.py.
    """
    lengths = np.sqrt(np.square(flow).sum(axis=-1)).ravel()
    count = int(len(lengths) * share)
    return float(np.partition(lengths, len(lengths) - count)[len(lengths) - count :].mean())


def likeness(first: np.ndarray, second: np.ndarray) -> float:
    """Cosine of two (D,) features; may be negative. Overall consistency: clip and prompt."""
    return float(first @ second / (np.linalg.norm(first) * np.linalg.norm(second)))
