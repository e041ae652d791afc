"""Segmentation check: do masks move along the flow and keep their ids, and do borders lie on the picture's edges."""

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np

from openuni.annotators.dis import length
from openuni.engine.stage import Column, Result
from openuni.pipelines.checks.base import Check, mean, ratio, read_map
from openuni.pipelines.checks.edges import EdgeAgreement, borders, evenly
from openuni.pipelines.checks.pictures import small_picture
from openuni.pipelines.checks.steps import look_up_ids, make_grid, steps

MIN_POINTS = 16  # ours: a mask of fewer points (12 x 12 px at 480 x 854) is followed too coarsely to count
MIN_FRAGMENT = 4  # ours: fewer points are crumbs of the sampling, where a mask is one or two points thin
MOST = 0.5  # "covered by": more than half, so that at most one id covers a mask


class _Pair(NamedTuple):
    """The ids of one frame's points against those at their ends; ids with MIN_POINTS in either frame."""

    ious: np.ndarray
    """(N,) float64."""
    followed: int
    """Ids with MIN_POINTS in the first frame."""
    switches: int
    """Of those, how many lie under one other id in the second."""


@dataclass(kw_only=True)
class SegmentationCheck(Check):
    """Judges instance masks: IoU along the flow, id switches, fragments, borders on edges.

    Definitions and what they are on good and bad masks: docs/checks.md. A clip without ids has no IoU and no switches:
    they are missing.

    Source of the word: id switches as in Bernardin and Stiefelhagen, "Evaluating Multiple Object Tracking Performance:
    The CLEAR MOT Metrics", 2008, here along the flow instead of against annotated tracks.
    """

    work_px: int = 256
    """Points along the longer side."""
    still_frames: int = 16
    """Frames, evenly spaced, on which edges and fragments are looked at. Ours: neighbours say the same again."""

    judges: ClassVar[str] = "segmentation"
    name: ClassVar[str] = "segmentation_check"
    reads: ClassVar[tuple[str, ...]] = ("segmentation", "flow")
    columns: ClassVar[tuple[Column, ...]] = (
        Column("iou", "0..1", "IoU of each mask and what lies at its points' ends, mean over ids and pairs"),
        Column("iou_worst", "0..1", "the same, mean over ids, in the worst pair"),
        Column("id_switches", "1", "masks that lie under one other id in the next frame, number in the clip"),
        Column("switch_rate", "0..1", "the same as a share of all masks that could be followed"),
        Column("coverage", "0..1", "share of points in any mask"),
        Column("num_ids", "1", "number of ids"),
        Column("fragments", "1", "connected parts of a mask, mean over ids and frames"),
        Column("edge_agreement", "at most 1", "share of borders on picture edges, beyond chance; 0 by chance, 1 all"),
    )

    def __call__(self, clip: Any) -> Result:
        """Score the masks of a clip by its flow and frames."""
        masks, flow, rgb = read_map(clip, "segmentation"), read_map(clip, "flow"), clip.frames.rgb
        grid = make_grid(*rgb.shape[1:3], work_px=self.work_px)
        ids = np.stack([grid.at(frame) for frame in masks.data])
        pairs = [
            _pair(ids[step.t][step.usable], look_up_ids(masks.data[step.t + 1], step)[step.usable])
            for step in steps(flow, grid)
        ]
        ious = [pair.ious for pair in pairs if pair.ious.size]
        followed, switches = sum(pair.followed for pair in pairs), sum(pair.switches for pair in pairs)
        agreement, fragments, everywhere = EdgeAgreement(reach=1), [], np.ones(ids.shape[1:], bool)
        for t in sorted(evenly(len(rgb), self.still_frames)):
            agreement.add(borders(ids[t]), length(small_picture(rgb[t], grid).gradient), everywhere)
            fragments.append(_fragments(ids[t]))
        return Result(
            {
                "iou": mean(np.concatenate(ious)) if ious else None,
                "iou_worst": min(float(pair.mean()) for pair in ious) if ious else None,
                "id_switches": switches if followed else None,
                "switch_rate": ratio(switches, followed),
                "coverage": float((ids > 0).mean()),
                "num_ids": int(np.count_nonzero(np.bincount(ids.ravel())[1:])),
                "fragments": mean(np.concatenate(fragments)),
                "edge_agreement": agreement.value,
            }
        )


def _pair(here: np.ndarray, there: np.ndarray) -> _Pair:
    """Compare ids (N,) with those at the points' ends (N,), by the number of points of each combination."""
    code = here.astype(np.uint32) << 16 | there
    codes, points = np.unique(code[code > 0], return_counts=True)
    names, place = np.unique(np.concatenate([codes >> 16, codes & 0xFFFF]), return_inverse=True)
    first, second = np.split(place, 2)
    area, area_there = (np.bincount(one, points, len(names)) for one in (first, second))
    same = first == second
    common = np.bincount(first[same], points[same], len(names))
    counts = (np.maximum(area, area_there) >= MIN_POINTS) & (names > 0)
    followed = (area >= MIN_POINTS) & (names > 0)
    taken = ~same & followed[first] & (names[second] > 0) & (points > MOST * area[first])
    ious = common[counts] / (area + area_there - common)[counts]
    return _Pair(ious, int(followed.sum()), int(taken.sum()))


def _fragments(ids: np.ndarray) -> np.ndarray:
    """Number of connected parts (by sides) of each mask of a frame, (N,) float64, without those under MIN_FRAGMENT.

    One labelling for all ids: on a grid twice as fine, the cell between two points is open if the points have the same
    id, so parts of different ids never touch.
    """
    import cv2

    height, width = ids.shape
    fine = np.zeros((2 * height - 1, 2 * width - 1), np.uint8)
    fine[::2, ::2] = ids > 0
    fine[1::2, ::2] = (ids[1:] == ids[:-1]) & (ids[1:] > 0)
    fine[::2, 1::2] = (ids[:, 1:] == ids[:, :-1]) & (ids[:, 1:] > 0)
    _, labels = cv2.connectedComponents(fine, connectivity=4)
    parts = labels[::2, ::2].ravel()
    large = np.bincount(parts) >= MIN_FRAGMENT
    large[0] = False
    owner = np.zeros(len(large), np.int64)
    owner[parts] = ids.ravel()
    of_id = np.bincount(owner[large])
    return of_id[of_id > 0].astype(np.float64)
