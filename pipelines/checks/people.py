"""Checks of people across modalities: joints, masks and body parts of one clip must lie on each other.

Each reads two maps that were made apart. Who is behind another is partly hidden, so joints on another person's mask say
nothing, joints on no mask do; and whose mask it is counts only where people's boxes are apart.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from openuni.annotators.boxes import ious
from openuni.engine.stage import Column, Result
from openuni.pipelines.checks.base import Check, ratio, read_map
from openuni.pipelines.checks.skeleton import MIN_JOINTS, Bodies, bodies_of
from openuni.pipelines.checks.steps import make_grid

HEAD, TRUNK = {23, 24}, {1, 2}
JOINT_PARTS: tuple[set[int], ...] = (
    HEAD, HEAD, HEAD, HEAD, HEAD,
    TRUNK | {15, 17}, TRUNK | {16, 18},  # shoulders, left and right as everywhere
    {15, 17, 19, 21}, {16, 18, 20, 22},  # elbows
    {19, 21, 4}, {20, 22, 3},  # wrists
    TRUNK | {8, 10}, TRUNK | {7, 9},  # hips
    {8, 10, 12, 14}, {7, 9, 11, 13},  # knees
    {12, 14, 5}, {11, 13, 6},  # ankles
)  # fmt: skip
"""COCO joint -> DensePose parts that it may lie on."""


@dataclass(kw_only=True)
class SkeletonMaskCheck(Check):
    """Judges skeletons by instance masks: joints on masks, each track on one mask all along, no two on the same."""

    apart: float = 0.05
    """IoU of two people's boxes from which a mask may be the other's: such frames do not tell who is who. Ours."""

    judges: ClassVar[str] = "skeleton"
    name: ClassVar[str] = "skeleton_mask_check"
    reads: ClassVar[tuple[str, ...]] = ("skeleton", "segmentation")
    columns: ClassVar[tuple[Column, ...]] = (
        Column("inside", "0..1", "share of sure joints on any mask"),
        Column("id_agreement", "0..1", "share of a track's frames on its own mask, best pairs of tracks and masks"),
    )

    def __call__(self, clip: Any) -> Result:
        """Score the skeletons of a clip by its masks."""
        masks, bodies = read_map(clip, "segmentation").data, bodies_of(clip.maps["skeleton"])
        under, inside = look_up(masks, bodies)
        counted = bodies.sure & inside & bodies.there[..., None]
        return Result(
            {
                "inside": ratio(int((counted & (under > 0)).sum()), int(counted.sum())),
                "id_agreement": id_agreement(bodies, np.where(counted, under, 0), self.apart),
            }
        )


@dataclass(kw_only=True)
class SkeletonBodyCheck(Check):
    """Judges skeletons by body parts: joints on a body, on the right part of it, and no body without joints."""

    seen: float = 0.6
    """Confidence above which a joint is seen and not hidden. Ours: rendered truth has 1 and 0.5."""
    margin: float = 0.15
    """Share of a box's longer side that a body reaches beyond its joints: a head, a hand, a foot. Ours."""

    judges: ClassVar[str] = "skeleton"
    name: ClassVar[str] = "skeleton_body_check"
    reads: ClassVar[tuple[str, ...]] = ("skeleton", "densepose")
    columns: ClassVar[tuple[Column, ...]] = (
        Column("inside", "0..1", "share of sure joints on a body part"),
        Column("part_agreement", "0..1", "share of seen joints on a body that lie on a part of theirs"),
        Column("covered", "0..1", "share of body pixels in the reach of some skeleton"),
    )

    def __call__(self, clip: Any) -> Result:
        """Score the skeletons of a clip by its body parts."""
        parts, bodies = read_map(clip, "densepose").data, bodies_of(clip.maps["skeleton"])
        under, inside = look_up(parts, bodies)
        counted = bodies.sure & inside & bodies.there[..., None]
        seen = counted & (bodies.confidence > self.seen) & (under > 0)
        right = np.zeros(seen.shape, bool)
        for joint, allowed in enumerate(JOINT_PARTS):
            right[..., joint] = np.isin(under[..., joint], list(allowed))
        return Result(
            {
                "inside": ratio(int((counted & (under > 0)).sum()), int(counted.sum())),
                "part_agreement": ratio(int((seen & right).sum()), int(seen.sum())),
                "covered": _covered(parts, bodies, self.margin),
            }
        )


@dataclass(kw_only=True)
class DenseposeMaskCheck(Check):
    """Judges body parts by instance masks: bodies on masks, and masks of people full of body."""

    work_px: int = 256
    """Points along the longer side."""
    person_share: float = 0.2
    """A mask with body parts on less of it is no person's. Ours."""

    judges: ClassVar[str] = "densepose"
    name: ClassVar[str] = "densepose_mask_check"
    reads: ClassVar[tuple[str, ...]] = ("densepose", "segmentation")
    columns: ClassVar[tuple[Column, ...]] = (
        Column("inside", "0..1", "share of body points on any mask"),
        Column("covered", "0..1", "share of people's masks with a body part"),
        Column("presence", "0..1", "share of frames with body parts"),
        Column("coverage", "0..1", "share of points with a body part"),
    )

    def __call__(self, clip: Any) -> Result:
        """Score the body parts of a clip by its masks."""
        parts, masks = read_map(clip, "densepose").data, read_map(clip, "segmentation").data
        grid = make_grid(*parts.shape[1:], work_px=self.work_px)
        body = np.stack([grid.at(frame) for frame in parts]) > 0
        ids = np.stack([grid.at(frame) for frame in masks])
        area = np.bincount(ids.ravel())
        shared = np.bincount(ids[body], minlength=len(area))
        people = [one for one in range(1, len(area)) if area[one] and shared[one] >= self.person_share * area[one]]
        return Result(
            {
                "inside": ratio(int(shared[1:].sum()), int(shared.sum())),
                "covered": ratio(int(shared[people].sum()), int(area[people].sum())),
                "presence": float(body.any(axis=(1, 2)).mean()),
                "coverage": float(body.mean()),
            }
        )


def look_up(array: np.ndarray, bodies: Bodies) -> tuple[np.ndarray, np.ndarray]:
    """Return a map's values at the pixels nearest to the joints.

    Args:
        array: (T, H, W) integers.
        bodies: the joints.

    Returns:
        (T, P, 17) values, and bool: the joint is on the picture.
    """
    height, width = array.shape[1:]
    columns, rows = np.rint(np.nan_to_num(bodies.places)).astype(np.int64).transpose(3, 0, 1, 2)
    inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    times = np.arange(len(array))[:, None, None]
    return array[times, np.clip(rows, 0, height - 1), np.clip(columns, 0, width - 1)], inside


def id_agreement(bodies: Bodies, under: np.ndarray, apart: float) -> float | None:
    """Say how well tracks and masks agree on who is who.

    In each frame a track votes for the mask under most of its joints; frames in which its box meets another track's do
    not count. Tracks and masks are paired, one to one, so that most votes are right; the share of right votes is
    returned, None without votes.

    Args:
        bodies: P tracks.
        under: (T, P, 17) mask ids under joints that count, 0 elsewhere.
        apart: IoU of boxes that meet.
    """
    from scipy.optimize import linear_sum_assignment

    names = np.unique(under[under > 0])
    votes = np.zeros((under.shape[1], len(names)))
    for t, there in enumerate(bodies.there):
        people = np.flatnonzero(there)
        meets = ious(bodies.boxes[t, people], bodies.boxes[t, people]) > apart
        for number, person in enumerate(people):
            ids = under[t, person][under[t, person] > 0]
            if len(ids) >= MIN_JOINTS and meets[number].sum() == 1:
                values, counts = np.unique(ids, return_counts=True)
                votes[person, np.searchsorted(names, values[counts.argmax()])] += 1
    if not votes.any():
        return None
    rows, columns = linear_sum_assignment(-votes)
    return float(votes[rows, columns].sum() / votes.sum())


def _covered(parts: np.ndarray, bodies: Bodies, share: float) -> float | None:
    """Share of body pixels in the boxes about some skeleton's sure joints, made larger by a share."""
    inside = total = 0
    for t, frame in enumerate(parts):
        reached = np.zeros(frame.shape, bool)
        for box in bodies.boxes[t, bodies.there[t]]:
            margin = share * (box[2:] - box[:2]).max()
            x0, y0 = np.maximum(np.floor(box[:2] - margin), 0).astype(int)
            x1, y1 = np.maximum(np.ceil(box[2:] + margin) + 1, 0).astype(int)
            reached[y0:y1, x0:x1] = True
        inside += int((reached & (frame > 0)).sum())
        total += int((frame > 0).sum())
    return ratio(inside, total)
