"""Frame target: which frames of a clip are taken, and at which size. Pure arithmetic, no decoder."""

from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

import numpy as np

WINDOWS = ("head", "centre")
NEARER_S = 1e-6
"""A later frame must be nearer than an earlier one by this much to be taken; decides ties, whatever the rounding."""
SPAN_SLACK_S = 5e-4
"""Half a millisecond: spans are listed in milliseconds (Koala-36M), frame times are not rounded."""


class Size(NamedTuple):
    """Width and height in pixels."""

    width: int
    height: int


@dataclass(frozen=True, kw_only=True)
class FrameTarget:
    """The most that is wanted of a clip. A source that has less in rate, size or length is kept as it is.

    The defaults are Wan's clip: 81 frames at 16 fps, short side 480 px.
    """

    fps: float | None = 16.0
    """Frames per second, at most. None keeps every frame of the source."""
    short_side_px: int | None = 480
    """Length of the shorter side, at most; never upsampled. None keeps the source's size."""
    num_frames: int | None = 81
    """Number of frames, at most. None: as many as the clip has at `fps`."""
    window: str = "centre"
    """Which part is taken of a clip that is longer than num_frames / fps seconds: head | centre."""
    multiple: int = 2
    """Sides are rounded down to a multiple of this. 2, because 4:2:0 chroma needs even sides."""
    spread: bool = False
    """Instead of a window of a longer clip, take num_frames samples from its first to its last frame."""
    followers: int = 0
    """Take this many of the source's next frames after each frame as well; num_frames does not count them."""

    def __post_init__(self) -> None:
        """Refuse a target that means nothing."""
        if self.window not in WINDOWS:
            raise ValueError(f"window must be one of {', '.join(WINDOWS)}, got {self.window!r}")
        if self.fps is not None and not 0 < self.fps < float("inf"):
            raise ValueError(f"fps must be positive or None, got {self.fps}")
        for name in ("short_side_px", "num_frames", "multiple"):
            value = getattr(self, name)
            if value is None and name != "multiple":
                continue
            if value is None or value < 1:
                raise ValueError(f"{name} must be at least 1{'' if name == 'multiple' else ' or None'}, got {value}")
        if self.followers < 0:
            raise ValueError(f"followers must not be negative, got {self.followers}")
        if self.spread and self.num_frames is None:
            raise ValueError("spread needs num_frames: say how many samples span the clip")


def frames_in_span(times_s: np.ndarray, start_s: float, end_s: float | None) -> np.ndarray:
    """Return the positions of the frames that begin in [start_s, end_s), with SPAN_SLACK_S at both ends.

    Args:
        times_s: (N,) float64, presentation times, ascending.
        start_s: start of the span, seconds.
        end_s: end of the span, exclusive. None: no end.

    Returns:
        (M,) int64, consecutive; empty if no frame begins in the span.
    """
    first = np.searchsorted(times_s, start_s - SPAN_SLACK_S, side="left")
    last = len(times_s) if end_s is None else np.searchsorted(times_s, end_s - SPAN_SLACK_S, side="left")
    return np.arange(first, max(first, last))


def pick(times_s: np.ndarray, target: FrameTarget) -> np.ndarray:
    """Choose frames of a clip by their presentation times.

    Target times are t_k = t_0 + k / fps, none after the last frame's time. The frame whose time is nearest is
    taken; of two equally near ones the earlier. No frame is taken twice, so a source slower than `fps` keeps its
    own frames and rate.

    Args:
        times_s: (N,) float64, presentation times of the clip's frames, strictly ascending.
        target: what is wanted.

    Returns:
        (T,) int64, positions in `times_s`, strictly ascending. T <= N; without followers T <= target.num_frames.
    """
    if len(times_s) == 0:
        return np.zeros(0, np.int64)
    picked = _pick_samples(times_s, target)
    if target.followers:
        followed = picked[:, None] + np.arange(target.followers + 1)
        picked = np.unique(np.minimum(followed, len(times_s) - 1))
    return picked


def _pick_samples(times_s: np.ndarray, target: FrameTarget) -> np.ndarray:
    """Choose frames by time, without their followers."""
    if target.fps is None:
        return _pick_positions(len(times_s), target)
    first, last = float(times_s[0]), float(times_s[-1])
    # NEARER_S lets a clip of exactly k / fps seconds have its k-th sample in spite of rounding.
    count = int((last - first + NEARER_S) * target.fps) + 1
    wanted = first + np.arange(count) / target.fps
    if target.num_frames is not None and count > target.num_frames:
        wanted = _shorten(first, last, target)
    return nearest(times_s, wanted)


def _shorten(first: float, last: float, target: FrameTarget) -> np.ndarray:
    """Target times for a clip that is longer than num_frames / fps seconds."""
    count, fps = target.num_frames, target.fps
    assert count is not None and fps is not None
    if target.spread and count > 1:
        return np.linspace(first, last, count)
    slack = (last - first) - (count - 1) / fps
    start = first + slack / 2 if target.window == "centre" or target.spread else first
    return start + np.arange(count) / fps


def _pick_positions(total: int, target: FrameTarget) -> np.ndarray:
    """Choose among `total` frames by position: for targets that keep the source's rate."""
    count = target.num_frames
    if count is None or count >= total:
        return np.arange(total)
    if target.spread and count > 1:
        return np.arange(count) * (total - 1) // (count - 1)
    start = (total - count) // 2 if target.window == "centre" or target.spread else 0
    return np.arange(start, start + count)


def nearest(times_s: np.ndarray, wanted_s: np.ndarray) -> np.ndarray:
    """Return, without repeats, the positions in `times_s` that are nearest to the wanted times.

    Args:
        times_s: (N,) float64, ascending, N >= 1.
        wanted_s: (K,) float64, ascending.

    Returns:
        (T,) int64, strictly ascending, T <= min(N, K).
    """
    after = np.clip(np.searchsorted(times_s, wanted_s), 0, len(times_s) - 1)
    before = np.maximum(after - 1, 0)
    take_after = times_s[after] - wanted_s < wanted_s - times_s[before] - NEARER_S
    return np.unique(np.where(take_after | (after == 0), after, before))


def output_size(width: int, height: int, target: FrameTarget) -> Size | None:
    """Return the size that a displayed picture of width x height is scaled to.

    The aspect ratio changes by less than multiple / side through the rounding; nothing is cropped.

    Args:
        width: displayed width, px.
        height: displayed height, px.
        target: what is wanted.

    Returns:
        The size; None if a side would be shorter than target.multiple.
    """
    scale = Fraction(1)
    if target.short_side_px is not None:
        scale = min(scale, Fraction(target.short_side_px, min(width, height)))
    sides = [int(side * scale) // target.multiple * target.multiple for side in (width, height)]
    return Size(*sides) if min(sides) > 0 else None
