"""Skeleton check: confidence, coverage, and whether each track stays one person, by the joints alone."""

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np

from openuni.engine.stage import Column, Result
from openuni.modality import Map
from openuni.pipelines.checks.base import Check, mean

SURE = 0.3  # joints are drawn above it
MIN_JOINTS = 4  # ours: fewer sure joints of 17 do not say where a person is


class Bodies(NamedTuple):
    """The 17 body joints of a clip."""

    places: np.ndarray
    """(T, P, 17, 2) float64 px."""
    confidence: np.ndarray
    """(T, P, 17) float32."""
    sure: np.ndarray
    """(T, P, 17) bool: above SURE."""
    there: np.ndarray
    """(T, P) bool: MIN_JOINTS are sure."""
    boxes: np.ndarray
    """(T, P, 4) float64 about the sure joints; zeros where a person is not there."""
    size: np.ndarray
    """(P,) float64 px: median over the frames of the longer side of the boxes; NaN if never there."""


@dataclass(kw_only=True)
class SkeletonCheck(Check):
    """Judges skeletons by themselves: confidence, presence, jumps of a track, two tracks on one person.

    Definitions and what they are on good and bad skeletons: docs/checks.md.
    """

    same_place: float = 0.05
    """Two tracks lie on one person if the median distance of their joints is below this share of the smaller's size.
    Ours: about COCO's sigmas, the spread of annotators' clicks on one person (0.03 to 0.1 of its scale)."""

    judges: ClassVar[str] = "skeleton"
    name: ClassVar[str] = "skeleton_check"
    reads: ClassVar[tuple[str, ...]] = ("skeleton",)
    columns: ClassVar[tuple[Column, ...]] = (
        Column("num_people", "people", "tracks that are there in some frame"),
        Column("presence", "0..1", "share of frames with somebody"),
        Column("confidence", "0..1", "mean confidence of body joints, over people where they are there"),
        Column("sure_joints", "0..1", "share of body joints above 0.3, alike"),
        Column("jump", "sizes", "largest step of a person from a frame to the next, median over joints"),
        Column("shake", "sizes", "median over pairs of frames of how far joints leave a steady motion"),
        Column("doubles", "0..1", "share of frames in which two tracks lie on one person"),
    )

    def __call__(self, clip: Any) -> Result:
        """Score the skeletons of a clip."""
        bodies = bodies_of(clip.maps["skeleton"])
        there = bodies.there
        confidence = bodies.confidence[there]
        steps = _steps(bodies)
        return Result(
            {
                "num_people": int(there.any(axis=0).sum()),
                "presence": float(there.any(axis=1).mean()),
                "confidence": float(confidence.mean()) if confidence.size else None,
                "sure_joints": float((confidence > SURE).mean()) if confidence.size else None,
                "jump": float(np.nanmax(steps)) if np.isfinite(steps).any() else None,
                "shake": mean(np.array([_shake(bodies)])),
                "doubles": _doubles(bodies, self.same_place),
            }
        )


def bodies_of(skeleton: Map) -> Bodies:
    """Return the body joints of a skeleton map."""
    joints = skeleton.data[:, :, :17]
    places, confidence = joints[..., :2].astype(np.float64), joints[..., 2]
    sure = confidence > SURE
    there = sure.sum(axis=-1) >= MIN_JOINTS
    low = np.where(sure[..., None], places, np.inf).min(axis=2)
    high = np.where(sure[..., None], places, -np.inf).max(axis=2)
    boxes = np.where(there[..., None], np.concatenate([low, high], axis=-1), 0)
    longer = np.where(there, (boxes[..., 2:] - boxes[..., :2]).max(axis=-1), np.nan)
    size = np.array([np.nanmedian(one) if np.isfinite(one).any() else np.nan for one in longer.T])
    return Bodies(places, confidence, sure, there, boxes, np.maximum(size, 1.0))


def _steps(bodies: Bodies) -> np.ndarray:
    """(T - 1, P) median over joints that are sure in both frames of how far they move, in sizes; NaN if unknown."""
    moved = np.hypot(*np.moveaxis(bodies.places[1:] - bodies.places[:-1], -1, 0))
    both = bodies.sure[1:] & bodies.sure[:-1]
    known = both.sum(axis=-1) >= MIN_JOINTS
    steps = np.full(known.shape, np.nan)
    for t, person in np.argwhere(known):
        steps[t, person] = np.median(moved[t, person][both[t, person]]) / bodies.size[person]
    return steps


def _shake(bodies: Bodies) -> float:
    """Median over frames and people of the mean distance of joints from the middle of their neighbours in time."""
    if len(bodies.places) < 3:
        return np.nan
    middle = (bodies.places[2:] + bodies.places[:-2]) / 2
    off = np.hypot(*np.moveaxis(bodies.places[1:-1] - middle, -1, 0)) / bodies.size[None, :, None]
    sure = bodies.sure[2:] & bodies.sure[1:-1] & bodies.sure[:-2]
    enough = sure.sum(axis=-1) >= MIN_JOINTS
    if not enough.any():
        return np.nan
    means = np.where(sure, off, 0).sum(axis=-1)[enough] / sure.sum(axis=-1)[enough]
    return float(np.median(means))


def _doubles(bodies: Bodies, same_place: float) -> float | None:
    """Share of the frames in which two tracks' joints coincide; None if never two are there."""
    frames = [t for t, there in enumerate(bodies.there) if there.sum() > 1]
    if not frames:
        return None
    found = 0
    for t in frames:
        people = np.flatnonzero(bodies.there[t]).tolist()
        found += any(
            _coincide(bodies, t, first, second, same_place)
            for n, first in enumerate(people)
            for second in people[n + 1 :]
        )
    return found / len(frames)


def _coincide(bodies: Bodies, t: int, first: int, second: int, same_place: float) -> bool:
    both = bodies.sure[t, first] & bodies.sure[t, second]
    if both.sum() < MIN_JOINTS:
        return False
    apart = np.hypot(*(bodies.places[t, first] - bodies.places[t, second])[both].T)
    return bool(np.median(apart) < same_place * min(bodies.size[first], bodies.size[second]))
