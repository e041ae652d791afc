"""Flow check: how much of what changes between frames the flow explains, and whether it agrees with itself.

Everything is measured on small pictures (see steps.py, pictures.py). Wherever a ratio stands, only points that move
count: those where the flow, or the check's own flow from t + 1 back to t (DIS on the small pictures), is longer than
`moves_px`. So a still background does not hide a wrong flow of what moves, nor does the noise of a still clip count.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar, NamedTuple

import numpy as np

from openuni.annotators.along_flow import SOLID
from openuni.annotators.dis import length, make_dis, sample
from openuni.engine.stage import Column, Result
from openuni.pipelines.checks.base import Check, mean, ratio, read_map
from openuni.pipelines.checks.pictures import Picture, small_picture
from openuni.pipelines.checks.steps import SMALLEST_SIDE_PX, make_grid, steps

FLAT = 1.0
"""Grey levels per pixel added to both pictures' gradients where they are compared for cuts. Ours: noise of 4 levels
leaves 0.3 in each small picture (real clips have 3 to 9), so a dark or empty clip is no row of cuts; 0.5 and 2 tell
cuts from none as well."""


class _Way(NamedTuple):
    """The flow of a step on the small pictures."""

    flow: np.ndarray
    """(h, w, 2) float32, small px."""
    length: np.ndarray
    """(h, w) float32."""
    valid: np.ndarray
    usable: np.ndarray


class _View(NamedTuple):
    """A small picture and how strong its gradients are."""

    picture: Picture
    exposure: float
    """Mean length of the gradients, which grows and shrinks with the exposure; FLAT / 2 for empty pictures."""


Sums = tuple[float, float]
"""A part and the whole it is of, summed over the points of one pair of frames: scores are the sums' quotients."""


@dataclass(kw_only=True)
class FlowCheck(Check):
    """Judges optical flow: photometric error along it, a second opinion backward, coverage, smoothness, hidden cuts.

    Definitions and what they are on good and bad flow: docs/checks.md. Fewer than two frames: every score is missing.

    Sources: differences along the flow, of grey values and of gradients: Brox et al., "High Accuracy Optical Flow
    Estimation Based on a Theory for Warping", ECCV 2004, section 2; dividing each frame's gradients by their mean
    length, so that a change of exposure does not count, is ours. There and back: as in the check of the flow stage
    (Sundaram, Brox and Keutzer, ECCV 2010, eq. 5), as a mean instead of a threshold.
    """

    work_px: int = 256
    """Longer side of the small pictures. Ours: at 384 the photometric ratio of right flow is 0.06 to 0.09 lower on
    rendered clips, 0 to 0.06 on real ones, that of wrong flow is the same; but it takes 1.7 times as long."""
    preset: str = "medium"
    """DIS preset of the check's own flow. Ours: over the first 24 frames of ten real clips right flow has a round-trip
    ratio of 0.2 to 1.7 with "fast" (median 0.7), of 0.1 to 1.2 with "medium" (0.4)."""
    moves_px: float = 0.25
    """A point moves if a flow is longer than this there, pixels of the small picture. Ours: four steps of stored flow
    (1/16 px) at the frames' size; less is lost in noise."""
    implausible_share: float = 0.1
    """A pair is implausible if its mean flow is longer than this share of the longer side. Ours: things would cross
    the picture in 10 frames."""

    judges: ClassVar[str] = "flow"
    name: ClassVar[str] = "flow_check"
    reads: ClassVar[tuple[str, ...]] = ("flow",)
    columns: ClassVar[tuple[Column, ...]] = (
        Column("photometric", "grey levels 0-255", "mean difference of a frame and the next along the flow"),
        Column("photometric_ratio", "1", "that difference over the one without flow, moving points; 0 all explained"),
        Column("gradient_ratio", "1", "the same of exposure-normalised gradients"),
        Column("round_trip_ratio", "0..2", "distance from the start, there and back by DIS, over the flow's length"),
        Column("moving_fraction", "0..1", "share of usable points that move"),
        Column("valid_fraction", "0..1", "share of points with valid flow, last frame left out"),
        Column("valid_worst", "0..1", "the same in the pair with the least"),
        Column("acceleration_ratio", "1", "change of the flow from pair to pair along itself, over its length"),
        Column("implausible_fraction", "0..1", "share of pairs whose mean flow is longer than implausible_share"),
        Column("cut", "0..1", "difference of gradients that neither this flow nor DIS nor rest explains, worst pair"),
    )

    def setup(self) -> None:
        """Make the DIS object, once per worker."""
        super().setup()
        self._dis = make_dis(self.preset)

    def __call__(self, clip: Any) -> Result:
        """Score the flow of a clip by its frames."""
        flow, rgb = read_map(clip, "flow"), clip.frames.rgb
        if len(rgb) < 2:
            return Result({column.name: None for column in self.columns})
        grid = make_grid(*rgb.shape[1:3], work_px=self.work_px)
        views = pairwise(_view(small_picture(frame, grid)) for frame in rgb)
        pairs: list[dict[str, Sums]] = []
        before: _Way | None = None
        for step, (now, following) in zip(steps(flow, grid), views, strict=True):
            small = step.flow / np.float32(grid.every)
            way = _Way(small, length(small), step.valid, step.usable)
            pairs.append(self._explain(way, now, following) | self._plausible(before, way))
            before = way
        return Result(self._scores(pairs))

    def _explain(self, way: _Way, now: _View, following: _View) -> dict[str, Sums]:
        """Compare the two pictures along the flow and at rest, and the flow with the check's own."""
        own = self._own_flow(now, following)
        back = np.zeros_like(way.flow) if own is None else sample(own, way.flow)
        back_length = length(back)
        moving = way.usable & ((way.length > self.moves_px) | (back_length > self.moves_px))
        soft, gradient = (sample(array, way.flow) for array in (following.picture.soft, following.picture.gradient))
        error, change = (np.abs(other - now.picture.soft) for other in (soft, following.picture.soft))
        scaled = now.picture.gradient / now.exposure
        gradient_error, gradient_change = (
            _distance(other / following.exposure, scaled) for other in (gradient, following.picture.gradient)
        )
        sums = {
            "photometric": (_sum(error, way.usable), float(way.usable.sum())),
            "photometric_ratio": (_sum(error, moving), _sum(change, moving)),
            "gradient_ratio": (_sum(gradient_error, moving), _sum(gradient_change, moving)),
            "round_trip_ratio": (0.0, 0.0),
            "moving_fraction": (float(moving.sum()), float(way.usable.sum())),
        }
        unlike = [_unlike(now.picture.gradient, other) for other in (gradient, following.picture.gradient)]
        if own is not None:
            lengths = (way.length + back_length) / 2
            sums["round_trip_ratio"] = (_sum(length(way.flow + back), moving), _sum(lengths, moving))
            unlike.append(_unlike(sample(now.picture.gradient, own), following.picture.gradient))
        return sums | {"cut": (min(unlike), 1.0)}

    def _own_flow(self, now: _View, following: _View) -> np.ndarray | None:
        """DIS from t + 1 back to t, small px; None where the picture is too small for it."""
        if min(now.picture.grey.shape) < SMALLEST_SIDE_PX:
            return None
        return np.asarray(self._dis.calc(following.picture.grey, now.picture.grey, None))

    def _plausible(self, before: _Way | None, way: _Way) -> dict[str, Sums]:
        """Look at the flow alone."""
        longer_px = max(way.length.shape)
        return {
            "valid_fraction": (float(way.valid.sum()), float(way.valid.size)),
            "acceleration_ratio": (0.0, 0.0) if before is None else self._acceleration(before, way),
            "mean_length": (_sum(way.length, way.valid), float(way.valid.sum()) * longer_px),
        }

    def _acceleration(self, before: _Way, way: _Way) -> Sums:
        """Change of the flow along itself since the step before, and its length then; over points that move."""
        after = sample(way.flow, before.flow)
        usable = before.usable & (sample(way.usable.astype(np.float32), before.flow) > SOLID)
        where = usable & ((before.length > self.moves_px) | (length(after) > self.moves_px))
        return _sum(length(after - before.flow), where), _sum(before.length, where)

    def _scores(self, pairs: list[dict[str, Sums]]) -> dict[str, float | None]:
        of = {name: np.array([pair[name] for pair in pairs], np.float64) for name in pairs[0]}  # (T - 1, 2)
        scores = {name: ratio(*sums.sum(axis=0)) for name, sums in of.items()}
        lengths = _each(of["mean_length"])
        scores["valid_worst"] = float(_each(of["valid_fraction"]).min())
        scores["implausible_fraction"] = mean(np.where(np.isnan(lengths), np.nan, lengths > self.implausible_share))
        scores["cut"] = float(_each(of["cut"]).max())
        return {column.name: scores[column.name] for column in self.columns}


def _view(picture: Picture) -> _View:
    return _View(picture, max(float(length(picture.gradient).mean(dtype=np.float64)), FLAT / 2))


def _distance(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(h, w): sum of the absolute differences of both components."""
    difference = np.abs(one - other)
    return difference[..., 0] + difference[..., 1]  # many times quicker than a sum over an axis of two


def _sum(values: np.ndarray, where: np.ndarray) -> float:
    return float(values[where].sum(dtype=np.float64))


def _each(sums: np.ndarray) -> np.ndarray:
    """(N, 2) parts and wholes to (N,) quotients, NaN where the whole is 0."""
    part, whole = sums.T
    return np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)


def _unlike(one: np.ndarray, other: np.ndarray) -> float:
    """Sum of the differences of gradients over the sum of gradients (and FLAT): 0 equal, near 1 unrelated."""
    import cv2

    there = cv2.norm(one, cv2.NORM_L1) + cv2.norm(other, cv2.NORM_L1)
    return float(cv2.norm(one, other, cv2.NORM_L1) / (there + FLAT * one[..., 0].size))
