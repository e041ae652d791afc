"""Skeleton metrics: PCK, and COCO's object keypoint similarity (OKS) with its AP. People are matched in every frame.

Joints are COCO's 17. True joints have COCO's visibility: 2 seen, 1 hidden, 0 not labelled. An estimated joint with
confidence 0 is not there: it counts as wrong. PCKh is left out: it needs the top of the head, which COCO's joints lack.
Where a drawing shows only some joints, PCK is over those; OKS needs all 17.
"""

from collections.abc import Sequence

import numpy as np

from openuni.benchmark.metrics.coco_ap import MAX_PEOPLE, coco_ap
from openuni.benchmark.metrics.metric import Metric, check_shapes, ratio

SIGMAS = np.array(
    [
        0.026,
        0.025,
        0.025,
        0.035,
        0.035,
        0.079,
        0.079,
        0.072,
        0.072,
        0.062,
        0.062,
        0.107,
        0.107,
        0.087,
        0.087,
        0.089,
        0.089,
    ]
)
"""COCO's spread of each joint, as a share of the person's size."""
JOINTS = len(SIGMAS)
LEFT_SHOULDER, RIGHT_HIP = 5, 12
PCK_PART = 0.2
PCK_FINE = 0.1  # the other usual threshold


def oks(predicted: np.ndarray, true: np.ndarray, areas: np.ndarray) -> np.ndarray:
    """Similarity of each estimated person with each true one, in one frame.

    Args:
        predicted: (P, 17, 3) x px, y px, confidence.
        true: (G, 17, 3) x px, y px, visibility.
        areas: (G,) px^2 of the true persons' masks.

    Returns:
        (P, G) float64: mean over labelled joints of exp(-d^2 / (2 area (2 sigma)^2)). 0 for a person without one.

    Source: COCO keypoint evaluation (pycocotools computeOks).
    """
    difference = predicted[:, None, :, :2].astype(np.float64) - true[None, :, :, :2]
    variance = (2 * SIGMAS) ** 2 * (np.asarray(areas, np.float64)[:, None] + np.spacing(1))
    similar = np.exp(-(difference**2).sum(-1) / variance[None] / 2) * (predicted[:, None, :, 2] > 0)
    labelled = (true[..., 2] > 0)[None]
    return (similar * labelled).sum(-1) / np.maximum(labelled.sum(-1), 1)


def mean_oks(predicted: np.ndarray, true: np.ndarray, areas: np.ndarray) -> float:
    """Mean OKS over the people in sight, 0 for one that has no estimate; people matched by Hungarian in every frame.

    Args:
        predicted: (T, P, 17, 3) x px, y px, confidence.
        true: (T, G, 17, 3) x px, y px, visibility.
        areas: (T, G) px^2 of the masks; 0 is out of sight.

    Returns:
        1 is perfect. NaN if nobody is in sight.
    """
    _check(predicted, true, areas)
    total, count = 0.0, 0
    for t in range(len(true)):
        similarity, _, _ = _matched(predicted[t], true[t], areas[t])
        total, count = total + float(similarity.sum()), count + int(_in_sight(true[t], areas[t]).sum())
    return ratio(total, count)


def pck(
    predicted: np.ndarray,
    true: np.ndarray,
    areas: np.ndarray,
    sizes: np.ndarray,
    *,
    part: float = PCK_PART,
    seen_only: bool = False,
    joints: Sequence[int] | None = None,
) -> float:
    """Share of true joints with the estimate within a part of the person's size.

    Args:
        predicted: (T, P, 17, 3) x px, y px, confidence.
        true: (T, G, 17, 3) x px, y px, visibility.
        areas: (T, G) px^2 of the masks; 0 is out of sight.
        sizes: (T, G) px, see `box_sizes` and `torso_sizes`; joints of a person without a size (NaN) do not count.
        part: of the size.
        seen_only: leave out joints that are hidden (visibility 1).
        joints: those that the estimate can have; others neither count nor take part in matching people. None: all.

    Returns:
        1 is perfect. Joints of a person without an estimate are wrong. NaN without a joint.

    Source: Yang and Ramanan, TPAMI 2013 (by the box); Sapp and Taskar, CVPR 2013 (by the torso).
    """
    _check(predicted, true, areas)
    true = true if joints is None else _only(true, joints)
    right, count = 0, 0
    for t in range(len(true)):
        _, people, estimates = _matched(predicted[t], true[t], areas[t])
        labelled = (true[t, ..., 2] > (1 if seen_only else 0)) & np.isfinite(sizes[t])[:, None]
        count += int((labelled & _in_sight(true[t], areas[t])[:, None]).sum())
        found = predicted[t, estimates]
        distance = np.hypot(*np.moveaxis(found[..., :2].astype(np.float64) - true[t, people, :, :2], -1, 0))
        near = (distance <= part * sizes[t, people][:, None]) & (found[..., 2] > 0)
        right += int((near & labelled[people]).sum())
    return ratio(right, count)


def average_precision(predicted: np.ndarray, true: np.ndarray, areas: np.ndarray, boxes: np.ndarray) -> float:
    """COCO's keypoint AP@[.5:.95], a frame standing for an image: all areas, at most 20 people a frame.

    A person's score is the mean confidence of its joints. People in the truth without a labelled joint are COCO's
    ignored ones: who is found in and about their box is neither right nor wrong. NaN if nobody is in sight.

    Args:
        predicted: see `mean_oks`.
        true: see `mean_oks`.
        areas: see `mean_oks`.
        boxes: (T, G, 4) x0, y0, x1, y1 px.
    """
    _check(predicted, true, areas)
    frames = []
    for t in range(len(true)):
        there = predicted[t][(predicted[t, ..., 2] > 0).any(-1)]
        number = np.maximum((there[..., 2] > 0).sum(-1), 1)
        here = areas[t] > 0
        ignored = ~_in_sight(true[t], areas[t])[here]
        similarity = oks(there, true[t][here], areas[t][here])
        similarity[:, ignored] = _near_box(there, boxes[t][here][ignored], areas[t][here][ignored])
        frames.append((similarity, there[..., 2].sum(-1) / number, ignored))
    return coco_ap(frames, max_estimates=MAX_PEOPLE)


def box_sizes(boxes: np.ndarray) -> np.ndarray:
    """Return (T, G) the longer side of boxes (T, G, 4) x0, y0, x1, y1; NaN for empty ones."""
    sides = np.maximum(boxes[..., 2] - boxes[..., 0], boxes[..., 3] - boxes[..., 1]).astype(np.float64)
    return np.where(sides > 0, sides, np.nan)


def torso_sizes(true: np.ndarray) -> np.ndarray:
    """Return (T, G) the distance from left shoulder to right hip; NaN where one is not labelled."""
    shoulder, hip = true[..., LEFT_SHOULDER, :], true[..., RIGHT_HIP, :]
    length = np.hypot(*np.moveaxis((shoulder - hip)[..., :2].astype(np.float64), -1, 0))
    return np.where((shoulder[..., 2] > 0) & (hip[..., 2] > 0), length, np.nan)


def _only(true: np.ndarray, joints: Sequence[int]) -> np.ndarray:
    """People of which only these joints are labelled."""
    others = [joint for joint in range(JOINTS) if joint not in joints]
    true = true.copy()
    true[..., others, 2] = 0
    return true


def _near_box(predicted: np.ndarray, boxes: np.ndarray, areas: np.ndarray) -> np.ndarray:
    """(P, G) COCO's similarity with people without a label: by the distance of joints to a box of thrice the side."""
    low, high = boxes[:, None, :2].astype(np.float64), boxes[:, None, 2:].astype(np.float64)
    at = predicted[:, None, :, :2].astype(np.float64)
    beyond = np.maximum(0, low - (high - low) - at) + np.maximum(0, at - (high + (high - low)))
    variance = (2 * SIGMAS) ** 2 * (areas[:, None] + np.spacing(1))
    similarity: np.ndarray = np.exp(-(beyond**2).sum(-1) / variance[None] / 2).mean(-1)
    return similarity


def _in_sight(true: np.ndarray, areas: np.ndarray) -> np.ndarray:
    """(G,) bool: some of the person is seen, and some joint is labelled."""
    return (areas > 0) & (true[..., 2] > 0).any(-1)


def _matched(predicted: np.ndarray, true: np.ndarray, areas: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """OKS of the pairs of one frame, and the pairs: true persons in sight, estimated persons."""
    from scipy.optimize import linear_sum_assignment

    people = np.flatnonzero(_in_sight(true, areas))
    estimates = np.flatnonzero((predicted[..., 2] > 0).any(-1))
    similarity = oks(predicted[estimates], true[people], areas[people]).T
    rows, columns = linear_sum_assignment(similarity, maximize=True)
    return similarity[rows, columns], people[rows], estimates[columns]


def _check(predicted: np.ndarray, true: np.ndarray, areas: np.ndarray) -> None:
    if true.ndim != 4 or true.shape[2:] != (JOINTS, 3) or predicted.shape[2:] != (JOINTS, 3):
        raise ValueError(f"people must be (T, P, {JOINTS}, 3), got {predicted.shape} and {true.shape}")
    check_shapes(true.shape[:1], predicted=predicted)
    check_shapes(true.shape[:2], areas=areas)


def _pck(size: str, *, part: float = PCK_PART, seen_only: bool = False) -> Metric:
    def function(
        predicted: np.ndarray,
        true: np.ndarray,
        areas: np.ndarray,
        sizes: np.ndarray,
        *,
        joints: Sequence[int] | None = None,
    ) -> float:
        return pck(predicted, true, areas, sizes, part=part, seen_only=seen_only, joints=joints)

    counted = "seen joints" if seen_only else "labelled joints, hidden ones too"
    return Metric(
        name=f"skeleton.pck{'10' if part == PCK_FINE else ''}_{size}" + ("_seen" if seen_only else ""),
        unit="1",
        higher_is_better=True,
        protocol=f"{counted} within {part} of the {'longer side of the box' if size == 'box' else 'torso'}",
        source="Yang and Ramanan, TPAMI 2013" if size == "box" else "Sapp and Taskar, CVPR 2013 (MODEC)",
        function=function,
    )


PCK_BOX = _pck("box")
PCK_BOX_SEEN = _pck("box", seen_only=True)
PCK10_BOX = _pck("box", part=PCK_FINE)
PCK_TORSO = _pck("torso")
PCK_TORSO_SEEN = _pck("torso", seen_only=True)
PCK10_TORSO = _pck("torso", part=PCK_FINE)
OKS = Metric(
    name="skeleton.oks",
    unit="1",
    higher_is_better=True,
    protocol="mean over (person, frame) in sight, Hungarian in every frame, 0 without an estimate",
    source="COCO keypoints (similarity); mean over people: ours",
    function=mean_oks,
)
AP = Metric(
    name="skeleton.ap",
    unit="1",
    higher_is_better=True,
    protocol="a clip's frames as images, OKS .5:.05:.95, all areas, at most 20 people",
    source="COCO keypoint evaluation",
    function=average_precision,
)
