"""Camera: how the camera moves, as one word and as amounts, from tracked corners (pipelines/global_motion.py)."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from openuni.engine.stage import Column, Result, Stage
from openuni.pipelines import camera_path
from openuni.pipelines.camera_path import KINDS, Gaps
from openuni.pipelines.filters.motion import small_grey
from openuni.pipelines.global_motion import NATIVE_PX, SAMPLE_PX

TYPES = ("static", *KINDS, "translation", "shake", "mixed")


@dataclass(kw_only=True)
class CameraFilter(Stage):
    """Type and amount of the camera's motion.

    Types: static; pan, tilt, zoom, roll (one of them holds most of the motion); translation (the camera changes its
    place past things at different depths: dolly, orbit, walk, boom); shake (irregular motion outweighs the steady
    one); mixed (several, in turn or at once). Before one flat or far thing a travelling camera is a pan, tilt or
    zoom: its pictures are the same.

    All scores but `coverage` are missing (None) where less than half of the clip can be measured: dark, empty or
    changing pictures. `shake_pct_per_s` is missing too with fewer than three pairs of consecutive frames.
    """

    name: ClassVar[str] = "camera"
    columns: ClassVar[tuple[Column, ...]] = (
        Column("type", "text", ", ".join(TYPES)),
        Column("pan_pct_per_s", "% of the longer side per s", "mean turn of the camera to the right"),
        Column("tilt_pct_per_s", "% of the longer side per s", "mean turn upwards"),
        Column("zoom_pct_per_s", "% per s", "mean growth of the picture, 100 * ln(scale)"),
        Column("roll_deg_per_s", "degrees per s", "mean turn clockwise about the line of sight"),
        Column("speed_pct_per_s", "% of the longer side per s", "mean speed of the picture, after smoothing over time"),
        Column("shake_pct_per_s", "% of the longer side per s", "RMS speed of irregular motion, frame to frame"),
        Column("parallax", "0-1", "share of the picture that moves by its depth, against the rest"),
        Column("coverage", "0-1", "share of the picture that follows the camera's main motion"),
    )

    work_px: int = 320
    """Longer side of the frames in which corners are tracked."""
    static_pct_per_s: float = 0.5
    """Below this speed a camera is static. Ours: a 5 s clip then moves by less than 2.5 % of its width; cameras on a
    tripod gave at most 0.01 with movers on half of the picture, and slower pans are measured to 0.02."""
    shake_pct_per_s: float = 1.5
    """From this shake on, if it is more than the steady speed, the type is shake. Ours: codes and noise made 0.7 of a
    steady pan of 10 % per second, a seated hand-held camera gave 1.2 and 1.7, an unsteady one 3."""
    parallax_share: float = 0.3
    """From this parallax on a moving camera's type is translation. Ours: 18 generated dollies, orbits and walks gave
    0.35 to 0.46, two real ones 0.31 and 0.37, pans and zooms with movers on 40 % of the picture up to 0.24."""
    main_share: float = 0.6
    """Share of the squared steady motion that pan, tilt, zoom or roll must have to name the type: a pan is within 39
    degrees of level."""
    min_explained: float = 0.3
    """A gap counts as measured if this share of the picture follows the camera's motion, parallax included. Ours:
    wrong motions found a quarter."""

    def setup(self) -> None:
        """Hold OpenCV to one thread, so that results do not depend on the machine's cores."""
        import cv2

        cv2.setNumThreads(1)

    def __call__(self, clip: Any) -> Result:
        """Score one clip by `clip.frames` and `clip.pairs`."""
        rgb, times_s = clip.frames.rgb, np.asarray(clip.frames.times_s, dtype=np.float64)
        if not len(rgb):
            return Result({column.name: None for column in self.columns})
        size = (int(rgb.shape[1]), int(rgb.shape[2]))
        grey = small_grey(rgb, work_px=self.work_px)
        unknown = np.zeros(len(grey) - 1, dtype=bool)
        spans_s = np.stack([times_s[:-1], times_s[1:]], axis=1)
        apart = self._measure(grey[:-1], grey[1:], spans_s, size, SAMPLE_PX, unknown)
        native, moving = self._native(clip.pairs, apart, size)
        return Result(self._scores(camera_path.joined(apart, native), camera_path.shake_of(native, moving), size))

    def _measure(self, before: Any, after: Any, times_s: np.ndarray, size: Any, noise_px: float, resting: Any) -> Gaps:
        return camera_path.measure(
            before,
            after,
            times_s,
            size=size,
            noise_px=noise_px,
            min_explained=self.min_explained,
            resting=resting,
        )

    def _native(self, pairs: Any, apart: Gaps, size: tuple[int, int]) -> tuple[Gaps, np.ndarray]:
        """Motion from frame to frame, and at which pairs the camera moves by the longer gaps, (P,) bool."""
        times_s = np.asarray(pairs.times_s, dtype=np.float64).reshape(-1, 2)
        told = camera_path.around(apart, times_s[:, 0])
        resting, moving = told.speed < self.static_pct_per_s, told.speed >= self.static_pct_per_s
        rgb = pairs.rgb.reshape(-1, *size, 3)
        grey = small_grey(rgb, work_px=self.work_px) if len(rgb) else np.empty((0, 1, 1), np.uint8)
        native = self._measure(grey[::2], grey[1::2], times_s, size, NATIVE_PX, resting)
        # Where only smooth areas tell that the camera rests, corners are on what moves, and say nothing of a tremor.
        native.rates[resting & (told.anchored < self.min_explained)] = np.nan
        return native, moving

    def _scores(self, gaps: Gaps, shake: float | None, size: tuple[int, int]) -> dict[str, Any]:
        """All columns."""
        scores: dict[str, Any] = {column.name: None for column in self.columns}
        seen = gaps.following[np.isfinite(gaps.following)]
        if len(seen):
            scores["coverage"] = float(seen.mean())
        known = np.isfinite(gaps.rates[:, 0])
        if not known.any() or known.mean() < 0.5:
            return scores
        pan, tilt, zoom, roll = (float(rate) for rate in camera_path.mean_rates(gaps))
        steady = camera_path.steady_rates(gaps)
        speed, parallax = float(np.linalg.norm(steady, axis=1).mean()), float(gaps.parallax[known].mean())
        radius = camera_path.radius_of(size)
        return scores | {
            "type": self._type(steady, speed, shake, parallax),
            "pan_pct_per_s": pan,
            "tilt_pct_per_s": tilt,
            "zoom_pct_per_s": zoom / radius,
            "roll_deg_per_s": float(np.degrees(roll / radius / 100)),
            "speed_pct_per_s": speed,
            "shake_pct_per_s": shake,
            "parallax": parallax,
        }

    def _type(self, steady: np.ndarray, speed: float, shake: float | None, parallax: float) -> str:
        """Name the motion. `steady` is (M, 4), as Gaps.rates."""
        if shake is not None and shake >= max(self.shake_pct_per_s, speed):
            return "shake"
        if speed < self.static_pct_per_s:
            return "static"
        if parallax >= self.parallax_share:
            return "translation"
        power = np.abs(steady).mean(axis=0) ** 2
        main = int(power.argmax())
        return KINDS[main] if power[main] >= self.main_share * power.sum() else "mixed"
