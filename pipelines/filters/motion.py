"""Motion: how much moves in a clip, from about two small frames a second.

UnityVideo names optical flow as one check of its list (Fig. 4, arXiv 2512.07831) and gives no method or threshold;
these scores are ours, made to be cheap: the score pass must cost little beside decoding. absdiff and static_fraction
depend on the time between samples, half a second up to 16 s clips, more in longer ones (SCORE_TARGET of the build).
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from openuni.engine.stage import Column, Result, Stage

MIN_SIDE_PX = 32  # ours: DIS needs some pixels at its coarsest scale.


@dataclass(kw_only=True)
class MotionFilter(Stage):
    """Differences and optical flow between consecutive sampled frames, made small and grey.

    Fewer than two sampled frames show no motion and no stillness: all columns are missing (None).
    """

    name: ClassVar[str] = "motion"
    columns: ClassVar[tuple[Column, ...]] = (
        Column("absdiff", "grey levels 0-255", "mean absolute luma difference of consecutive samples"),
        Column("flow_pct_per_s", "% of the longer side per s", "mean length of the optical flow"),
        Column("static_fraction", "0-1", "share of consecutive samples that are the same picture"),
    )

    work_px: int = 128
    """Longer side of the frames that are compared."""
    static_absdiff: float = 0.1
    """Below this mean difference (grey levels) two samples count as the same picture. Ours: over 4 real pictures,
    x264 crf 23 and 38, a still gave at most 0.013 and a still with noise of 2 grey levels 0.042, while a square of
    0.2 % of the picture that moves 20 % of the width per second gave at least 0.14, real clips nearly always 1."""

    def setup(self) -> None:
        """Make the optical flow."""
        import cv2

        # Ultrafast: a rule needs the order of magnitude; the finer presets cost several times as much.
        self._dis = cv2.DISOpticalFlow.create(cv2.DISOpticalFlow_PRESET_ULTRAFAST)

    def __call__(self, clip: Any) -> Result:
        """Score one clip by `clip.frames.rgb`, (T, H, W, 3) uint8, and `clip.frames.times_s`, T seconds."""
        rgb, times_s = clip.frames.rgb, np.asarray(clip.frames.times_s, dtype=np.float64)
        if len(rgb) < 2:
            return Result({column.name: None for column in self.columns})
        grey = small_grey(rgb, work_px=self.work_px)
        differences = absolute_differences(grey)
        return Result(
            {
                "absdiff": float(differences.mean()),
                "flow_pct_per_s": self._flow_pct_per_s(grey, np.diff(times_s)),
                "static_fraction": float((differences < self.static_absdiff).mean()),
            }
        )

    def _flow_pct_per_s(self, grey: np.ndarray, gaps_s: np.ndarray) -> float | None:
        """Return the mean flow length over the pairs whose times differ, None if there is none."""
        scale = 100.0 / max(grey.shape[1:])
        speeds = []
        for before, after, gap_s in zip(grey[:-1], grey[1:], gaps_s, strict=True):
            if gap_s > 0:
                flow = self._dis.calc(before, after, None)  # type: ignore[call-overload]  # (H, W, 2) float32 px
                speeds.append(float(np.hypot(flow[..., 0], flow[..., 1]).mean()) * scale / gap_s)
        return float(np.mean(speeds)) if speeds else None


def small_grey(rgb: np.ndarray, *, work_px: int, averaged: bool = True) -> np.ndarray:
    """Return frames as luma (BT.601), (T, h, w) uint8, longer side `work_px`, shorter at least MIN_SIDE_PX.

    Args:
        rgb: (T, H, W, 3) uint8.
        work_px: longer side, px.
        averaged: by area, which takes sensor and coding noise away before frames are compared; else bilinear, a fifth
            of the time, for those who average themselves and make samples smaller by less than 2.
    """
    import cv2

    height, width = rgb.shape[1:3]
    scale = work_px / max(height, width)
    size = (max(MIN_SIDE_PX, round(width * scale)), max(MIN_SIDE_PX, round(height * scale)))
    interpolation = cv2.INTER_AREA if averaged else cv2.INTER_LINEAR
    # Grey first: half the time.
    grey = (cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in rgb)
    return np.stack([cv2.resize(frame, size, interpolation=interpolation) for frame in grey])


def absolute_differences(grey: np.ndarray) -> np.ndarray:
    """Return the mean absolute difference of each frame and the next, (T - 1,) float64 grey levels."""
    return np.abs(np.diff(grey.astype(np.int16), axis=0)).mean(axis=(1, 2))
