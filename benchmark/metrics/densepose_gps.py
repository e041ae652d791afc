"""Geodesic point similarity (GPS) of DensePose: how far along the skin each estimated surface point is from the truth.

Distances are those of our own rest body (body_distance.py), because its charts are those of our truth: U and V of a
network that was trained on SMPL's charts mean other points, and its GPS here says nothing of its worth.

A map has no instances, so each estimated pixel belongs to the person whose mask is nearest. The similarity of a person
in a frame is over all pixels of the mask, where DensePose has some hundred annotated points; masked, it is
sqrt(GPS IoU), as in DensePose's evaluation (GPSm).
"""

from typing import NamedTuple

import numpy as np

from openuni.benchmark.metrics.body_distance import skin_distances, surface_points
from openuni.benchmark.metrics.coco_ap import THRESHOLDS
from openuni.benchmark.metrics.metric import Metric, check_shapes, ratio

KAPPA_M = np.array([0.351, 0.107, 0.126, 0.237, 0.173, 0.142, 0.128, 0.150])
"""Spread of each coarse part, metres: trunk, hands, feet, thighs, shins, upper arms, forearms, head. Source:
detectron2, projects/DensePose, densepose_coco_evaluation.py (Mean_Distances)."""
COARSE = np.array([0, 0, 0, 1, 1, 2, 2, *[3] * 4, *[4] * 4, *[5] * 4, *[6] * 4, 7, 7])
"""(25,) coarse part of each of DensePose's parts; 0 is none."""


class Similar(NamedTuple):
    """Similarities of a clip, one for each person in sight in each frame."""

    gps: np.ndarray
    """(N,) 0..1."""
    masked: np.ndarray
    """(N,) sqrt(GPS IoU)."""
    found: np.ndarray
    """(N,) bool: some estimated pixel belongs to the person."""
    nobody: int
    """Frames without a person in which the estimate has one."""


def point_similarity(
    predicted: np.ndarray, true: np.ndarray, predicted_uv: np.ndarray, true_uv: np.ndarray
) -> np.ndarray:
    """Similarity of points: exp(-g^2 / (2 kappa^2)), kappa of the true part; 0 where the estimate has no person.

    Args:
        predicted: (N,) part 0-24.
        true: (N,) part 1-24.
        predicted_uv: (N, 2) 0..1.
        true_uv: (N, 2) 0..1.

    Returns:
        (N,) float64.

    Source: Guler, Neverova and Kokkinos, CVPR 2018 (arXiv 1802.00434), section 2.3.
    """
    out = np.zeros(len(true))
    there = predicted > 0
    first = surface_points(predicted[there], predicted_uv[there])
    second = surface_points(true[there], true_uv[there])
    kappa = KAPPA_M[COARSE[true[there]]]
    out[there] = np.exp(-(skin_distances(first, second).astype(np.float64) ** 2) / (2 * kappa**2))
    return out


def similarities(
    predicted: np.ndarray,
    true: np.ndarray,
    predicted_uv: np.ndarray,
    true_uv: np.ndarray,
    people: np.ndarray,
    valid: np.ndarray | None = None,
) -> Similar:
    """Compare the people of a clip.

    Args:
        predicted: (T, H, W) uint8 part 0-24.
        true: (T, H, W) uint8 part 0-24.
        predicted_uv: (T, H, W, 2) float 0..1.
        true_uv: (T, H, W, 2) float 0..1.
        people: (T, H, W) instance id of the person that a true part belongs to; elsewhere it does not matter.
        valid: (T, H, W) bool, pixels that count; None: all.

    Raises:
        ValueError: shapes differ.
    """
    given = {} if valid is None else {"valid": valid}
    check_shapes(true.shape, predicted=predicted, predicted_uv=predicted_uv, true_uv=true_uv, people=people, **given)
    gps, masked, found, nobody = [], [], [], 0
    for t in range(len(true)):
        seen = np.ones(true[t].shape, bool) if valid is None else valid[t]
        body, guess = (true[t] > 0) & seen, (predicted[t] > 0) & seen
        ids = np.unique(people[t][body])
        nobody += int(len(ids) == 0 and bool(guess.any()))
        owner = _owner(people[t], body, ids)
        for one in ids:
            mine, theirs = body & (people[t] == one), guess & (owner == one)
            points = predicted[t][mine], true[t][mine], predicted_uv[t][mine], true_uv[t][mine]
            gps.append(float(point_similarity(*points).mean()))
            masked.append(float(np.sqrt(gps[-1] * (mine & theirs).sum() / (mine | theirs).sum())))
            found.append(bool(theirs.any()))
    return Similar(np.array(gps), np.array(masked), np.array(found, bool), nobody)


def _owner(people: np.ndarray, body: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """(H, W) the id of the person whose mask is nearest to each pixel."""
    if len(ids) < 2:
        return np.full(people.shape, ids[0] if len(ids) else 0)
    from scipy.ndimage import distance_transform_edt

    far = [distance_transform_edt(~(body & (people == one))) for one in ids]
    nearest: np.ndarray = ids[np.argmin(far, axis=0)]
    return nearest


def gps(
    predicted: np.ndarray,
    true: np.ndarray,
    predicted_uv: np.ndarray,
    true_uv: np.ndarray,
    people: np.ndarray,
    valid: np.ndarray | None = None,
) -> float:
    """Mean GPS over (person, frame) in sight, 0 for one who is not found. NaN without one. See `similarities`."""
    found = similarities(predicted, true, predicted_uv, true_uv, people, valid).gps
    return ratio(found.sum(), len(found))


def gps_ap(
    predicted: np.ndarray,
    true: np.ndarray,
    predicted_uv: np.ndarray,
    true_uv: np.ndarray,
    people: np.ndarray,
    valid: np.ndarray | None = None,
) -> float:
    """AP@[.5:.95] of masked GPS: mean over thresholds of precision times recall, as maps have no scores.

    An estimate is what belongs to one person in one frame, or what is seen in a frame without a person. NaN if nobody
    is in sight. See `similarities`.
    """
    similar = similarities(predicted, true, predicted_uv, true_uv, people, valid)
    if not len(similar.masked):
        return float("nan")
    right = (similar.masked[None] >= THRESHOLDS[:, None] - 1e-12).sum(axis=1)  # float64: 0.95 is not above itself
    estimates = int(similar.found.sum()) + similar.nobody
    return float(np.mean(right / max(estimates, 1) * right / len(similar.masked)))


SOURCE = "DensePose (arXiv 1802.00434) and its evaluation in detectron2; distances on our own body"
GPS = Metric(
    name="densepose.gps",
    unit="1",
    higher_is_better=True,
    protocol="over a person's pixels, mean over (person, frame) in sight, 0 without an estimate",
    source=SOURCE,
    function=gps,
)
GPS_AP = Metric(
    name="densepose.gps_ap",
    unit="1",
    higher_is_better=True,
    protocol="masked GPS .5:.05:.95, no scores: precision times recall over (person, frame)",
    source=SOURCE,
    function=gps_ap,
)
