"""Camera path: how fast a clip's picture moves over time, from its samples and from the frames right after them.

Samples half a second apart tell slow motion exactly: a coded slow pan is stepwise from frame to frame (1 % of the
width per second, x264 crf 32: single frames 40 % off, half seconds 2 %). Fast motion leaves the picture within half a
second; consecutive frames still tell it, and they alone tell shake.
"""

from typing import NamedTuple

import numpy as np

from openuni.pipelines.global_motion import Motion, global_motion

KINDS = ("pan", "tilt", "zoom", "roll")
"""Parts of a motion, in the order of Gaps.rates."""

FAR_SHARE = 0.5  # ours: where consecutive frames agree, lost tracks over half a second still do on up to a quarter
STEADY_S = 1.5  # half width of the triangle that smooths; ours: of 1 and 1.5 s, a camera waved by hand needs the longer
SAME_GREY = 0.1  # mean grey levels, as MotionFilter.static_absdiff: below it two frames are one picture shown twice


class Gaps(NamedTuple):
    """Motion of the picture over K gaps, each between two frames."""

    times_s: np.ndarray
    """(K, 2) float64, start and end."""
    rates: np.ndarray
    """(K, 4) float64, KINDS, each as the RMS speed that it gives the picture's points, in % of the longer side per
    second; signs are the camera's: to the right, upwards, inwards, clockwise. NaN where it cannot be measured."""
    following: np.ndarray
    """(K,) float64, as Motion.following; NaN where there is nothing to track."""
    parallax: np.ndarray
    """(K,) float64, as Motion.parallax."""
    anchored: np.ndarray
    """(K,) float64, as Motion.anchored."""
    repeated: np.ndarray
    """(K,) bool, both frames are the same picture."""


def measure(
    before: np.ndarray,
    after: np.ndarray,
    times_s: np.ndarray,
    *,
    size: tuple[int, int],
    noise_px: float,
    min_explained: float,
    resting: np.ndarray,
) -> Gaps:
    """Measure the motion from each frame to its partner.

    Args:
        before: (K, h, w) uint8, grey, small.
        after: (K, h, w) uint8.
        times_s: (K, 2), start and end.
        size: height and width of the frames before they were made small.
        noise_px: noise of a track, see global_motion.
        min_explained: share of the points that must follow the motion, parallax included, for it to count.
        resting: (K,) bool, the camera is known to rest.
    """
    radius = radius_of(size)
    rows, repeated = [], []
    for first, second, (start_s, end_s), rests in zip(before, after, times_s, resting, strict=True):
        repeated.append(np.abs(first.astype(np.int16) - second).mean() < SAME_GREY)
        motion = global_motion(first, second, size=size, noise_px=noise_px, resting=bool(rests))
        if motion is None or end_s <= start_s:
            rows.append([np.nan] * 7)
            continue
        counts = motion.following + motion.parallax >= min_explained
        rates = _rates(motion, end_s - start_s, radius) if counts else [np.nan] * 4
        rows.append([*rates, motion.following, motion.parallax, motion.anchored])
    table = np.array(rows, dtype=np.float64).reshape(-1, 7)
    following, parallax, anchored = table[:, 4:].T
    return Gaps(times_s, table[:, :4], following, parallax, anchored, np.array(repeated, dtype=bool))


def radius_of(size: tuple[int, int]) -> float:
    """RMS distance of a picture's points from its middle, in longer sides: how far a turn by 1 rad moves them."""
    return float(np.hypot(*size) / max(size) / np.sqrt(12))


def _rates(motion: Motion, gap_s: float, radius: float) -> list[float]:
    """KINDS of a motion, as Gaps.rates. The picture moves against the camera."""
    growth = np.log(1 + motion.turn)
    per_s = 100 / gap_s
    pan, tilt = -motion.shift.real * per_s, motion.shift.imag * per_s
    return [pan, tilt, growth.real * radius * per_s, -growth.imag * radius * per_s]


class Around(NamedTuple):
    """What the gaps between samples tell of N moments."""

    speed: np.ndarray
    """(N,) float64, the largest of the gaps that the moment belongs to; NaN where one of them or all are unknown."""
    anchored: np.ndarray
    """(N,) float64, the smallest."""


def around(apart: Gaps, at_s: np.ndarray) -> Around:
    """Look up the gaps between samples at (N,) moments."""
    touches = (apart.times_s[:, 0] <= at_s[:, None]) & (at_s[:, None] <= apart.times_s[:, 1])
    speed = np.where(touches, np.linalg.norm(apart.rates, axis=1), -1.0).max(axis=1, initial=-1.0)
    anchored = np.where(touches, apart.anchored, 1.0).min(axis=1, initial=1.0)
    return Around(np.where(speed < 0, np.nan, speed), anchored)


def joined(apart: Gaps, native: Gaps) -> Gaps:
    """The gaps between samples; where one cannot be tracked well, the mean of the consecutive frames within it.

    With a single sample, its consecutive frames alone.
    """
    if not len(apart.times_s):
        return native
    rates, following, parallax = apart.rates.copy(), apart.following.copy(), apart.parallax.copy()
    known = np.isfinite(native.rates[:, 0])
    for number, (start_s, end_s) in enumerate(apart.times_s):
        near = known & (native.times_s[:, 0] >= start_s) & (native.times_s[:, 0] <= end_s)
        lost = not np.isfinite(rates[number, 0])
        if near.any() and (lost or following[number] < FAR_SHARE * native.following[near].mean()):
            rates[number] = native.rates[near].mean(axis=0)
            following[number] = native.following[near].mean()
            parallax[number] = native.parallax[near].mean()
    return apart._replace(rates=rates, following=following, parallax=parallax)


def mean_rates(gaps: Gaps) -> np.ndarray:
    """Mean over time of the measured rates, (4,)."""
    known = np.isfinite(gaps.rates[:, 0])
    lengths_s = np.diff(gaps.times_s[known], axis=1)
    return np.asarray((gaps.rates[known] * lengths_s).sum(axis=0) / lengths_s.sum())


def steady_rates(gaps: Gaps) -> np.ndarray:
    """Measured rates smoothed over time, (M, 4): what a hand does within a second is no camera movement."""
    known = np.isfinite(gaps.rates[:, 0])
    middles_s = gaps.times_s[known].mean(axis=1)
    weights = np.maximum(0, 1 - np.abs(middles_s[:, None] - middles_s) / STEADY_S)
    return np.asarray(weights @ gaps.rates[known] / weights.sum(axis=1, keepdims=True))


def shake_of(native: Gaps, moving: np.ndarray) -> float | None:
    """How far the motion of consecutive frames is from that of their neighbours in time, median over the clip.

    0 for constant and for evenly changing motion; for motion that is independent from sample to sample, 2-D and
    normal, 1.02 times its RMS. The median, so that starts and stops do not count.

    Args:
        native: consecutive frames.
        moving: (K,) bool, the camera moves at that time. A repeated picture then tells nothing (24 frames shown as 30).

    Returns:
        % of the longer side per second; None with less than three pairs that tell something.
    """
    tells = np.isfinite(native.rates[:, 0]) & ~(native.repeated & moving)
    rates, times_s = native.rates[tells], native.times_s[tells, 0]
    if len(rates) < 3:
        return None
    later = ((times_s[1:-1] - times_s[:-2]) / (times_s[2:] - times_s[:-2]))[:, None]
    expected = (1 - later) * rates[:-2] + later * rates[2:]
    return float(np.median(np.linalg.norm(rates[1:-1] - expected, axis=1)))
