"""Errors as pictures: where an estimate is wrong, one rule for each modality. Grey is not scored."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from openuni.benchmark.metrics.depth_alignment import align, depth_mask
from openuni.benchmark.metrics.segmentation import match, overlaps
from openuni.benchmark.synth.truth import Truth
from openuni.modality import Map

GREY = np.array([104, 108, 116], np.uint8)
RIGHT, MISSED, EXTRA, CONFUSED = ((24, 32, 44), (224, 68, 60), (66, 140, 240), (242, 192, 60))
DEPTH_TOP = 0.3  # of the true depth: delta1's limit is 0.25
FLOW_LEAST_PX = 3.0  # KITTI's limit of a wrong flow


class ErrorPicture(NamedTuple):
    """Where an estimate is wrong."""

    frames: np.ndarray
    """(T, H, W, 3) uint8."""
    legend: str


def error_picture(modality: str, map: Map, truth: Truth, rgb: np.ndarray | None) -> ErrorPicture:
    """Draw where a map is wrong.

    Args:
        modality: a key of DRAWN.
        map: the estimate, of the truth's size.
        truth: the truth.
        rgb: (T, H, W, 3) uint8, dimmed below skeletons; None: black.
    """
    return DRAWN[modality](map, truth, rgb)


def aligned_depth(map: Map, truth: Truth) -> tuple[np.ndarray, np.ndarray] | None:
    """Return depth in metres as the headline metric sees it (disp-ls), and where it is scored; None without a fit."""
    mask = depth_mask(truth.depth, ~truth.refractive if truth.has("refractive") else None)
    found = align("disp-ls", map.data, str(map.facts["kind"]), truth.depth, mask)
    return None if found is None else (found.depth, found.valid)


def matched_ids(map: Map, truth: Truth) -> np.ndarray:
    """Return (T, H, W) uint16 estimated ids, renamed to those of the true instances they are matched with.

    Others get ids above all true ones, up to 255, the last that has a colour.
    """
    found = overlaps(map.data, truth.segmentation)
    highest = max(int(map.data.max(initial=0)), int(truth.segmentation.max(initial=0)))
    names = np.zeros(highest + 1, np.uint16)
    top = int(truth.segmentation.max(initial=0))
    names[found.predicted_ids] = np.minimum(top + 1 + np.arange(len(found.predicted_ids)), 255)
    rows, columns = match(found.iou)
    names[found.predicted_ids[columns]] = found.true_ids[rows]
    return names[map.data]


def heat(values: np.ndarray) -> np.ndarray:
    """Map 0..1 to dark blue, red, yellow, white, as (..., 3) uint8; beyond 1 stays white."""
    stops = np.array([[14, 18, 40], [120, 28, 109], [229, 92, 48], [252, 208, 92], [255, 255, 255]], np.float32)
    place = np.clip(np.nan_to_num(values, nan=1.0), 0, 1) * (len(stops) - 1)
    low = np.minimum(place.astype(int), len(stops) - 2)
    share = (place - low)[..., None].astype(np.float32)
    return np.rint(stops[low] * (1 - share) + stops[low + 1] * share).astype(np.uint8)


def _depth(map: Map, truth: Truth, rgb: np.ndarray | None) -> ErrorPicture:
    found = aligned_depth(map, truth)
    if found is None:
        return ErrorPicture(np.broadcast_to(GREY, (*truth.size, 3)), "no pixel can be scored")
    depth, valid = found
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = np.abs(depth - truth.depth) / truth.depth
    frames = np.where(valid[..., None], heat(relative / DEPTH_TOP), GREY)
    return ErrorPicture(frames, f"relative error, dark 0 to white {DEPTH_TOP:.0%} and more")


def _flow(map: Map, truth: Truth, rgb: np.ndarray | None) -> ErrorPicture:
    error = np.linalg.norm(map.data - truth.flow, axis=-1)
    valid = truth.flow_valid & np.isfinite(error)
    top = max(FLOW_LEAST_PX, float(np.quantile(error[valid], 0.99)) if valid.any() else 0.0)
    frames = np.where(valid[..., None], heat(error / top), GREY)
    return ErrorPicture(frames, f"end-point error, dark 0 to white {top:.1f} px")


def _segmentation(map: Map, truth: Truth, rgb: np.ndarray | None) -> ErrorPicture:
    return _classes(matched_ids(map, truth), truth.segmentation, "wrong instance")


def _densepose(map: Map, truth: Truth, rgb: np.ndarray | None) -> ErrorPicture:
    return _classes(map.data, truth.densepose, "wrong part")


def _classes(predicted: np.ndarray, true: np.ndarray, confused: str) -> ErrorPicture:
    p, g = predicted.astype(int), true.astype(int)
    frames = np.empty((*g.shape, 3), np.uint8)
    frames[:] = RIGHT
    frames[(g > 0) & (p == 0)], frames[(g == 0) & (p > 0)] = MISSED, EXTRA
    frames[(g > 0) & (p > 0) & (g != p)] = CONFUSED
    frames[(g > 0) & (g == p)] = [46, 92, 70]
    return ErrorPicture(frames, f"green right, red missed, blue too much, yellow {confused}")


def _skeleton(map: Map, truth: Truth, rgb: np.ndarray | None) -> ErrorPicture:
    import cv2

    frames = np.zeros((*truth.size, 3), np.uint8) if rgb is None else (rgb // 3).astype(np.uint8)
    radius = max(1, round(max(truth.size[1:]) / 90))
    for frame, true, found in zip(frames, truth.keypoints, map.data, strict=True):
        for joints, least, colour in ((true, 1, (90, 214, 130)), (found[:, : true.shape[1]], 1e-6, (240, 84, 84))):
            for x, y, seen in joints.reshape(-1, 3):
                if seen >= least and np.isfinite([x, y]).all() and max(abs(x), abs(y)) < 1e5:
                    cv2.circle(frame, (round(float(x)), round(float(y))), radius, colour, -1, cv2.LINE_AA)
    return ErrorPicture(frames, "true joints green, estimated red")


DRAWN: dict[str, Callable[[Map, Truth, np.ndarray | None], ErrorPicture]] = {
    "depth": _depth,
    "flow": _flow,
    "segmentation": _segmentation,
    "skeleton": _skeleton,
    "densepose": _densepose,
}
"""Modality -> what draws its errors."""
