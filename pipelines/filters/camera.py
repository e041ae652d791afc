"""Camera: how the camera moves, as one word and as amounts, from tracked corners (pipelines/camera_path.py)."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from openuni.engine.stage import Column, Result, Stage
from openuni.pipelines import camera_path
from openuni.pipelines.camera_path import KINDS, Gaps
from openuni.pipelines.filters.motion import small_grey
from openuni.pipelines.global_motion import NATIVE_PX, SAMPLE_PX, Picture

TYPES = ("static", *KINDS, "translation", "shake", "mixed")


@dataclass(kw_only=True)
class CameraFilter(Stage):
    """Type and amount of the camera's motion.

    Types: static; pan, tilt, zoom, roll (one of them holds most of the motion); translation (the camera changes its
    place past things at different depths: dolly, orbit, walk, boom); shake (irregular motion outweighs the steady
    one); mixed (several, in turn or at once). Before one flat or far thing a travelling camera is a pan, tilt or
    zoom: its pictures are the same.

    All scores but `coverage` are missing (None) where less than half of the clip can be measured: dark or empty
    pictures, noise, a speaker before a bare wall. `shake_pct_per_s` is missing too with fewer than three pairs of
    consecutive frames that tell it.
    """

    name: ClassVar[str] = "camera"
    wants: ClassVar[tuple[str, ...]] = ("pairs",)
    columns: ClassVar[tuple[Column, ...]] = (
        Column("type", "text", ", ".join(TYPES)),
        Column("pan_pct_per_s", "% of the longer side per s", "mean turn of the camera to the right"),
        Column("tilt_pct_per_s", "% of the longer side per s", "mean turn upwards"),
        Column("zoom_pct_per_s", "% per s", "mean growth of the picture, 100 * ln(scale)"),
        Column("roll_deg_per_s", "degrees per s", "mean turn clockwise about the line of sight"),
        Column("speed_pct_per_s", "% of the longer side per s", "mean speed of the picture, smoothed over time"),
        Column("shake_pct_per_s", "% of the longer side per s", "RMS speed of irregular motion, frame to frame"),
        Column("parallax", "0-1", "share of the picture that departs from the main motion as depth does"),
        Column("coverage", "0-1", "share of the picture that follows the main motion"),
    )

    work_px: int = 320
    """Longer side of the frames in which corners are tracked."""
    min_speed_pct_per_s: float = 0.5
    """Below this speed a camera is static. Ours: a 5 s clip then moves by less than 2.5 % of its width; cameras on a
    tripod gave at most 0.06 with movers on half of the picture, and slower pans are measured to 0.03."""
    min_shake_pct_per_s: float = 2.5
    """From this shake on, if it is more than the speed, the type is shake. Ours: coding made 0.6 of a steady pan of
    10 % per second; of real clips, three on a tripod gave at most 0.3, two in quiet hands 1.2 to 2, others 3 to 22."""
    min_parallax: float = 0.3
    """From this parallax on a moving camera's type is translation. Ours: 18 generated dollies, orbits and walks gave
    0.35 to 0.49, two real ones 0.30 to 0.41, pans and zooms with a mover on 40 % of the picture 0.21 to 0.27."""
    min_share: float = 0.6
    """Share of the squared speed that pan, tilt, zoom or roll must have to name the type: a pan is within 39 degrees
    of level."""
    min_explained: float = 0.3
    """A gap between two frames counts if this share of the picture follows the main motion, parallax included, and half
    of it without. Ours: after a cut 0.12 was found to follow and 0.28 to be parallax; walks have 0.18 and more."""

    def setup(self) -> None:
        """Hold OpenCV to one thread, so that results do not depend on the machine's cores."""
        import cv2

        cv2.setNumThreads(1)

    def __call__(self, clip: Any) -> Result:
        """Score one clip by `clip.frames` and `clip.pairs`."""
        scores: dict[str, Any] = {column.name: None for column in self.columns}
        rgb, times_s = clip.frames.rgb, np.asarray(clip.frames.times_s, dtype=np.float64)
        if not len(rgb):
            return Result(scores)
        size = (int(rgb.shape[1]), int(rgb.shape[2]))
        samples = self._pictures(rgb)
        spans_s = np.stack([times_s[:-1], times_s[1:]], axis=1)
        apart = self._measure(samples[:-1], samples[1:], spans_s, size, SAMPLE_PX, np.zeros(len(spans_s), dtype=bool))
        native, slowest = self._native(clip.pairs, dict(zip(times_s.tolist(), samples, strict=True)), apart, size)
        gaps = camera_path.joined(apart, native)
        seen, known = np.isfinite(gaps.following), np.isfinite(gaps.rates[:, 0])
        if seen.any():
            scores["coverage"] = float(gaps.following[seen].mean())
        if known.any() and known.mean() >= 0.5:
            scores |= self._amounts(gaps, native, slowest, float(gaps.parallax[known].mean()), size)
        return Result(scores)

    def _pictures(self, rgb: np.ndarray) -> list[Picture]:
        if not len(rgb):
            return []
        return [Picture(grey) for grey in small_grey(rgb, work_px=self.work_px, averaged=False)]

    def _native(
        self, pairs: Any, samples: dict[float, Picture], apart: Gaps, size: tuple[int, int]
    ) -> tuple[Gaps, np.ndarray]:
        """Motion from frame to frame, and how fast the camera is at least around each pair, (P,) Around.slowest.

        `samples`: the pictures at their times; a pair starts with one of them.
        """
        times_s = np.asarray(pairs.times_s, dtype=np.float64).reshape(-1, 2)
        told = camera_path.around(apart, times_s[:, 0])
        resting = told.fastest < self.min_speed_pct_per_s
        firsts = [samples[start_s] for start_s in times_s[:, 0].tolist()]
        native = self._measure(firsts, self._pictures(pairs.rgb[:, 1]), times_s, size, NATIVE_PX, resting)
        # Where smooth areas alone tell that the camera rests, corners are on what moves, and say nothing of a tremor.
        silent = (native.anchored == 0) | (resting & (told.anchored < self.min_explained))
        native.rates[silent], native.whole[silent] = np.nan, np.nan
        return native, told.slowest

    def _measure(
        self,
        before: list[Picture],
        after: list[Picture],
        times_s: np.ndarray,
        size: tuple[int, int],
        noise_px: float,
        resting: np.ndarray,
    ) -> Gaps:
        return camera_path.measure(
            before, after, times_s, size=size, noise_px=noise_px, min_explained=self.min_explained, resting=resting
        )

    def _amounts(
        self, gaps: Gaps, native: Gaps, slowest: np.ndarray, parallax: float, size: tuple[int, int]
    ) -> dict[str, Any]:
        """All columns but the coverage."""
        if parallax >= self.min_parallax:  # the plane that most corners are on is now the floor, now the wall
            gaps, native = (each._replace(rates=each.whole) for each in (gaps, native))
        pan, tilt, zoom, roll = (float(rate) for rate in camera_path.mean_rates(gaps))
        radius = camera_path.radius_of(size)
        steady = camera_path.steady_rates(gaps)
        speed, shake = float(np.linalg.norm(steady, axis=1).mean()), camera_path.shake_of(native, slowest)
        return {
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
        if shake is not None and shake >= max(self.min_shake_pct_per_s, speed):
            return "shake"
        if speed < self.min_speed_pct_per_s:
            return "static"
        if parallax >= self.min_parallax:
            return "translation"
        power = np.abs(steady).mean(axis=0) ** 2
        main = int(power.argmax())
        return KINDS[main] if power[main] >= self.min_share * power.sum() else "mixed"
