"""SkeletonStage: base of skeleton experts. Joints of tracked people become one map, with the same P for all frames."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from openuni.annotators.people import People, PeopleStage
from openuni.codec.skeleton import KEYPOINT_COUNTS
from openuni.engine.stage import Column, Result
from openuni.errors import BadInput
from openuni.modality import Map

SURE = 0.3  # as everywhere: joints are drawn above it (openuni/codec/skeleton_drawing.py)
REACH_SIGMAS = 3  # a Gaussian has 0.3 % beyond

COLUMNS = (
    Column("num_people", "people", "people in the clip"),
    Column("presence", "0..1", "share of frames with somebody, at least one sure joint"),
    Column("confidence", "0..1", "mean confidence of the 17 body joints, over people where they are found"),
    Column("sure_joints", "0..1", "share of body joints above 0.3, over people where they are found"),
    Column("detection_score", "0..1", "mean score of the boxes"),
)


@dataclass(kw_only=True)
class SkeletonStage(PeopleStage):
    """Joints of people.

    Result.map: data (T, P, K, 3) float32 x px, y px, confidence, zeros where a person is not found; arrays boxes
    (T, P, 4) and track_ids (P,). K is 17 (COCO) or 133 (COCO-WholeBody).

    Raises:
        Absent: `nobody`.
    """

    smooth_frames: float = 0.0
    """Sigma of a Gaussian over time, weighted by confidence, frames. 0: joints stay as the network gives them."""

    name: ClassVar[str] = "skeleton"
    modality: ClassVar[str | None] = "skeleton"
    columns: ClassVar[tuple[Column, ...]] = COLUMNS

    def __post_init__(self) -> None:
        """Check the settings, then as PeopleStage."""
        if not self.smooth_frames >= 0:
            raise BadInput(f"skeleton.smooth_frames must be 0 or more, got {self.smooth_frames}.")
        super().__post_init__()

    def __call__(self, clip: Any) -> Result:
        """Find the joints of the people of a clip."""
        rgb, people = clip.frames.rgb, self.people(clip)
        return skeleton_result(rgb, people, self.joints(rgb, people), smooth_frames=self.smooth_frames)

    def joints(self, rgb: np.ndarray, people: People) -> Sequence[np.ndarray]:
        """Return (K, 3) float32 x px, y px, confidence for each of `people.places`."""
        raise NotImplementedError


def check_joints(count: int, path: Any) -> None:
    """Raise BadInput unless the network's joints are those of a skeleton map."""
    if count not in KEYPOINT_COUNTS:
        raise BadInput(f"{path} gives {count} joints; openuni stores 17 (COCO) or 133 (COCO-WholeBody).")


def skeleton_result(
    rgb: np.ndarray, people: People, joints: Sequence[np.ndarray], *, smooth_frames: float = 0.0
) -> Result:
    """Make the map and its scores.

    Args:
        rgb: (T, H, W, 3).
        people: whose joints they are.
        joints: (K, 3) for each of `people.places`.
        smooth_frames: see SkeletonStage.
    """
    frames, height, width = rgb.shape[:3]
    data = np.zeros((frames, len(people.tracks.ids), len(joints[0]), 3), np.float32)
    for (t, person), one in zip(people.places, joints, strict=True):
        data[t, person] = one
    data[..., 2] = np.clip(np.nan_to_num(data[..., 2], nan=0.0), 0, 1)
    data[~np.isfinite(data).all(axis=-1)] = 0
    if smooth_frames > 0:
        data = smooth(data, smooth_frames)
    body = data[people.tracks.found >= 0][:, :17, 2]
    somebody = (data[..., :17, 2] > SURE).any(axis=(1, 2))
    scores = {
        "num_people": len(people.tracks.ids),
        "presence": float(somebody.mean()),
        "confidence": float(body.mean()),
        "sure_joints": float((body > SURE).mean()),
        "detection_score": float(people.scores[people.tracks.found >= 0].mean()),
    }
    arrays = {"boxes": people.tracks.boxes, "track_ids": people.tracks.ids}
    return Result(scores=scores, map=Map(data=data, arrays=arrays, facts={"height": height, "width": width}))


def smooth(data: np.ndarray, sigma: float) -> np.ndarray:
    """Move each seen joint to the mean of its places nearby in time, weighted by a Gaussian and by confidence.

    Args:
        data: (T, P, K, 3) float32; what has confidence 0 stays as it is and counts nothing.
        sigma: frames, > 0.
    """
    reach = int(np.ceil(REACH_SIGMAS * sigma))
    total, weights = np.zeros_like(data[..., :2], np.float64), np.zeros(data.shape[:3])
    for step in range(-reach, reach + 1):
        weight = np.exp(-0.5 * (step / sigma) ** 2)
        here = slice(max(0, -step), len(data) - max(0, step))
        there = slice(max(0, step), len(data) - max(0, -step))
        if here.start >= here.stop:
            continue
        weights[here] += weight * data[there][..., 2]
        total[here] += weight * data[there][..., 2:] * data[there][..., :2]
    out = data.copy()
    seen = data[..., 2] > 0
    out[seen, :2] = (total[seen] / weights[seen][:, None]).astype(np.float32)
    return out
