"""Frozen: pictures that stand still, and frames that the source repeats.

Animation drawn at 12 pictures a second is stored at 24 frames, film at 30, a screen recording at whatever the recorder
was set to; the repeats teach a model that nothing moves. `motion.static_fraction` compares samples half a second apart;
here each is also compared with the source's very next frame.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np

from openuni.engine.stage import Column, Result, Stage
from openuni.pipelines.filters.motion import MotionFilter, small_grey

MIN_PAIRS = 4  # ours: fewer moments give a share in steps of a third or more.
PERIODS = (2, 3, 4, 5)
"""Frames after which a pattern of repeated frames returns: 12 or 15 pictures a second in 24 or 30 frames have 2, 8 in
24 have 3, film in 30 has 5 (one frame in five is repeated). Over 8 usual rates and 3 to 60 s, 2 samples a second do not
see all phases in 70 % of the cases, 1.94 in none; the share is then off by 0.11 (at most 0.33) for the worst phase."""


@dataclass(kw_only=True)
class FrozenFilter(Stage):
    """Longest standstill, share of repeated frames, and the rate of new pictures that is left.

    The last two need MIN_PAIRS pairs that fall on different phases of every pattern in PERIODS: samples 12 frames apart
    see either all or none of the repeats in a pattern of two. Else they are missing (None). From about 10 pairs the
    share is exact to about 0.15.
    """

    name: ClassVar[str] = "frozen"
    wants: ClassVar[tuple[str, ...]] = ("pairs",)
    columns: ClassVar[tuple[Column, ...]] = (
        Column("longest_s", "s", "longest time for which the samples show the same picture; 0 if none does"),
        Column("duplicate_fraction", "0-1", "share of the source's frames that repeat the frame before"),
        Column("effective_fps", "1/s", "new pictures per second: the source's rate without repeated frames"),
    )

    work_px: int = 128
    """Longer side of the frames that are compared."""
    same_absdiff: float = 0.8
    """Two frames are the same picture below this mean difference (grey levels) ..."""
    same_local: float = 14.0
    """... and this difference at every place, as what moves may be small. Ours: over 8 real pictures, x264 crf 23, a
    still with key frames, or with noise of 2 grey levels, gave at most 0.47 and 6 (at crf 38 up to 2.0 and 19: such a
    still counts only from one key frame to the next). A cartoon and a screen recording gave at most 0.50 and 12 where
    they repeat, and at least 17 at one place where not; 1033 steps from frame to frame of 7 live clips at least 15."""
    static_absdiff: float = MotionFilter.static_absdiff
    """Below this mean difference nothing moved from one sample to the next, and repeats need not stand out."""
    even_share: float = 0.75
    """Where something moved, a repeated frame differs by less than this share of what even motion from sample to
    sample would make of it: a scene that drifts slowly repeats nothing. Ours: of the repeats in copies of the 7 live
    clips with every frame doubled, 99 % are found at x264 crf 23, 98 % at 28 and 69 % at 33, and no other frame."""

    def __call__(self, clip: Any) -> Result:
        """Score one clip by `clip.frames`, `clip.pairs` (rgb and times_s each) and `clip.source_times_s`."""
        duplicates = self._duplicate_fraction(clip.pairs, clip.source_times_s)
        rate = _rate(clip.source_times_s)
        effective_fps = None if duplicates is None or rate is None else rate * (1.0 - duplicates)
        return Result(
            {
                "longest_s": self._longest_s(clip.frames.rgb, np.asarray(clip.frames.times_s, dtype=np.float64)),
                "duplicate_fraction": duplicates,
                "effective_fps": effective_fps,
            }
        )

    def _longest_s(self, rgb: np.ndarray, times_s: np.ndarray) -> float | None:
        """Return the longest time from a sample to the last one before the picture is another.

        Samples are compared with the first of the run, so that slow drift adds up and what key frames change does not.
        """
        if len(rgb) < 2:
            return None
        grey = small_grey(rgb, work_px=self.work_px)
        longest = 0.0
        for first in range(len(grey) - 1):
            if times_s[-1] - times_s[first] <= longest:
                break
            last = first
            while last + 1 < len(grey) and self._same(*_difference(grey[first], grey[last + 1])):
                last += 1
            longest = max(longest, float(times_s[last] - times_s[first]))
        return longest

    def _duplicate_fraction(self, pairs: Any, source_times_s: np.ndarray) -> float | None:
        """Return the share of pairs whose second frame repeats the first, None if the pairs cannot tell."""
        times_s = np.asarray(pairs.times_s, dtype=np.float64)
        if len(times_s) < MIN_PAIRS or not sees_all_phases(np.searchsorted(source_times_s, times_s[:, 0] - 1e-6)):
            return None
        rgb = pairs.rgb
        grey = small_grey(rgb.reshape(-1, *rgb.shape[2:]), work_px=self.work_px)
        firsts, seconds = grey[::2], grey[1::2]
        moved = np.array([_difference(*two)[0] for two in pairwise(firsts)])  # (P - 1,)
        speeds = moved / np.diff(times_s[:, 0])  # grey levels per second
        repeated = 0
        for k, (first, second) in enumerate(zip(firsts, seconds, strict=True)):
            around = slice(max(0, k - 1), k + 1)
            mean, local = _difference(first, second)
            even = float(speeds[around].mean() * (times_s[k, 1] - times_s[k, 0]))
            stands = bool((moved[around] < self.static_absdiff).all())
            repeated += self._same(mean, local) and (stands or mean < self.even_share * even)
        return repeated / len(rgb)

    def _same(self, mean: float, local: float) -> bool:
        return mean < self.same_absdiff and local < self.same_local


def sees_all_phases(numbers: np.ndarray) -> bool:
    """Whether sampled frames, by their numbers in the source, fall on more than one phase of every pattern."""
    return all(len(set((numbers % period).tolist())) > 1 for period in PERIODS)


def _difference(first: np.ndarray, second: np.ndarray) -> tuple[float, float]:
    """Return mean and greatest absolute difference of two (h, w) uint8 pictures, grey levels."""
    import cv2

    difference = cv2.absdiff(first, second)
    return float(difference.mean()), float(difference.max())


def _rate(times_s: np.ndarray) -> float | None:
    """Return frames per second between the first and the last time, None if there are fewer than two."""
    return (len(times_s) - 1) / float(times_s[-1] - times_s[0]) if len(times_s) > 1 else None
