"""Depth check: does depth stay what it is along the flow, in one scale, and do its edges lie on the picture's.

Everything is measured on disparity (larger is nearer; metric depth is turned into 1 / z) and does not change if all
of a clip's disparity is scaled or shifted, but for `far_to_near`.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np

from openuni.annotators.dis import length
from openuni.engine.stage import Column, Result
from openuni.modality import Map
from openuni.pipelines.checks.base import Check, mean, ratio, read_map
from openuni.pipelines.checks.edges import EdgeAgreement, evenly, steps_between
from openuni.pipelines.checks.pictures import small_picture
from openuni.pipelines.checks.steps import Grid, Step, look_up, look_up_mask, make_grid, steps

MIN_POINTS = 64  # ours: a pair's scale from fewer points is chance
NO_RELIEF = 1e-6  # a spread below this share of the disparity itself is rounding (float32, 12-bit storage): a plane


class _Pair(NamedTuple):
    """How the disparity of one frame's points and that at their ends relate; NaN where nothing can be said."""

    change: float
    log_scale: float
    level: float


@dataclass(kw_only=True)
class DepthCheck(Check):
    """Judges depth: change along the flow after a fit of scale and shift for each pair, flicker of both, edges.

    Definitions and what they are on good and bad depth: docs/checks.md. Where no pair has MIN_POINTS that are valid in
    both frames, or disparity has no relief, change and flicker are missing; flicker needs two such pairs.

    Source of the fit: Ranftl et al., "Towards Robust Monocular Depth Estimation", TPAMI 2022, whose robust shift and
    scale of a map are its median and the mean distance from it, the spread.
    """

    work_px: int = 256
    """Points along the longer side."""
    edge_step: float = 0.1
    """A step between neighbouring points is an edge if it is larger than this share of the range from the clip's 5th
    to its 95th percentile. Ours."""
    motion_step: float = 0.15
    """A step of flow between neighbouring points is an edge if it is larger than this share of their distance. Ours: a
    zoom or turn by that much within a frame is no camera's; objects that move half a pixel more than what is behind
    them (at 854 px) have it."""
    edge_frames: int = 16
    """Frames, evenly spaced, on which edges are compared. Ours: neighbours say the same again."""

    judges: ClassVar[str] = "depth"
    name: ClassVar[str] = "depth_check"
    reads: ClassVar[tuple[str, ...]] = ("depth", "flow")
    columns: ClassVar[tuple[Column, ...]] = (
        Column("change", "spreads", "mean change of disparity along the flow, after a fit of scale and shift per pair"),
        Column("scale_flicker", "1", "mean change of the log scale from pair to pair, beyond a steady change"),
        Column("level_flicker", "spreads", "the same of the median disparity"),
        Column("valid_fraction", "0..1", "share of points with valid depth"),
        Column("range_used", "0..1", "5th to 95th percentile of disparity over its whole range"),
        Column("far_to_near", "1", "5th over 95th percentile of disparity; 1 is a plane, 0 has sky"),
        Column("edge_agreement", "at most 1", "share of its edges on picture edges, beyond chance; 0 by chance, 1 all"),
        Column("motion_agreement", "at most 1", "the same of edges of the flow on the strongest steps of depth"),
    )

    def __call__(self, clip: Any) -> Result:
        """Score the depth of a clip by its flow and frames."""
        depth, flow, rgb = read_map(clip, "depth"), read_map(clip, "flow"), clip.frames.rgb
        assert depth.valid is not None  # the codec has made sure
        grid = make_grid(*rgb.shape[1:3], work_px=self.work_px)
        disparity = np.stack([_disparity(grid.at(frame), depth) for frame in depth.data])
        valid = np.stack([grid.at(mask) for mask in depth.valid]) & np.isfinite(disparity)
        disparity = np.where(valid, disparity, np.float32(0))
        looked_at = evenly(len(rgb), self.edge_frames)
        on_depth, pairs = EdgeAgreement(reach=2), []
        for step in steps(flow, grid):
            pairs.append(_pair(depth, step, disparity[step.t], valid[step.t]))
            if step.t in looked_at:
                on_depth.add(*self._motion_edges(step, disparity[step.t], valid[step.t], grid))
        scores: dict[str, float | None] = {
            "change": mean(np.array([pair.change for pair in pairs])),
            "scale_flicker": _flicker(np.array([pair.log_scale for pair in pairs])),
            "level_flicker": _flicker(np.array([pair.level for pair in pairs])),
            "valid_fraction": float(valid.mean()),
            "range_used": None,
            "far_to_near": None,
            "edge_agreement": None,
            "motion_agreement": on_depth.value,
        }
        values = disparity[valid]
        if values.size:
            low, high = (float(edge) for edge in np.percentile(values, (5, 95)))
            scores["range_used"] = ratio(high - low, float(values.max() - values.min()))
            scores["far_to_near"] = ratio(low, high)
            on_picture = EdgeAgreement(reach=1)
            for t in sorted(looked_at):
                edges = steps_between(disparity[t], valid[t]) > self.edge_step * (high - low)
                on_picture.add(edges, length(small_picture(rgb[t], grid).gradient), valid[t])
            scores["edge_agreement"] = on_picture.value
        return Result(scores)

    def _motion_edges(
        self, step: Step, disparity: np.ndarray, valid: np.ndarray, grid: Grid
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        import cv2

        smooth = cv2.GaussianBlur(step.flow, (0, 0), 1.0)
        jumps = np.maximum(*(steps_between(smooth[..., axis], step.valid) for axis in (0, 1)))
        sure = cv2.erode(valid.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
        return jumps > self.motion_step * grid.every, steps_between(disparity, valid), sure


def _pair(depth: Map, step: Step, disparity: np.ndarray, valid: np.ndarray) -> _Pair:
    """Compare the disparity of frame t's points with that at their ends."""
    assert depth.valid is not None
    following = _disparity(depth.data[step.t + 1], depth)
    where = step.usable & valid & look_up_mask(depth.valid[step.t + 1] & np.isfinite(following), step)
    if where.sum() < MIN_POINTS:
        return _Pair(np.nan, np.nan, np.nan)
    here, there = disparity[where], look_up(following, step)[where]
    middle, middle_there = np.median(here), np.median(there)
    spread, spread_there = _spread(here, middle), _spread(there, middle_there)
    if not (spread > 0 and spread_there > 0):
        return _Pair(np.nan, np.nan, np.nan)
    change = np.abs((there - middle_there) / spread_there - (here - middle) / spread)
    level = (middle_there - middle) / ((spread + spread_there) / 2)
    return _Pair(float(change.mean(dtype=np.float64)), float(np.log(spread_there / spread)), float(level))


def _disparity(values: np.ndarray, depth: Map) -> np.ndarray:
    """Disparity of a part of a depth map, float32; sky is 0, what has none is not finite."""
    if depth.facts["kind"] != "metric_depth":
        return np.asarray(values, np.float32)
    with np.errstate(divide="ignore"):
        return np.where(values > 0, 1 / values, np.float32(np.nan)).astype(np.float32)


def _spread(values: np.ndarray, middle: float) -> float:
    """Mean distance from the median, the scale of Ranftl et al.; 0 for a plane."""
    spread = float(np.abs(values - middle).mean(dtype=np.float64))
    return spread if spread > NO_RELIEF * abs(float(middle)) else 0.0


def _flicker(changes: np.ndarray) -> float | None:
    """Mean distance from the median: a camera that comes steadily nearer changes scales too, and does not flicker."""
    known = changes[~np.isnan(changes)]
    return float(np.abs(known - np.median(known)).mean()) if known.size > 1 else None
