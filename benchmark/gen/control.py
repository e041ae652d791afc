"""Control: two maps of one modality compared, one seen in what a model made, the other what it was to follow.

The metrics are those of estimation where they need no more than the two maps; their protocol says who was compared with
whom. A condition without a scale (relative disparity) has a correlation only: a scaled error would need a truth.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from openuni.benchmark.judge import Scored
from openuni.benchmark.metrics.depth_alignment import align, depth_mask
from openuni.benchmark.metrics.skeleton import JOINTS, box_sizes
from openuni.modality import Map
from openuni.resize import resized_map
from openuni.table import METRICS, load

METRICS_OF = {
    "depth": ("depth.correlation", "depth.abs_rel", "depth.delta1"),
    "flow": ("flow.epe", "flow.fl"),
    "densepose": ("densepose.part_iou", "densepose.person_iou"),
    "skeleton": ("skeleton.pck_box",),
    "segmentation": ("segmentation.miou", "segmentation.foreground_iou"),
}
"""Modality -> what is scored, in this order; the first is its headline."""
RELATIVE = "relative_condition"
BOX_AREA = 0.53  # of a box that a person's mask fills: what COCO-WholeBody's tools take where there is no mask
SEEN = 0.3  # confidence from which a joint of a condition counts; DWPose's


def compare(modality: str, found: Map, wanted: Map, protocol: str) -> list[Scored]:
    """Score a map against the one it should agree with.

    Args:
        modality: of both.
        found: an expert's, or the model's own estimate.
        wanted: the condition, or the map that was generated with the frames; brought to `found`'s size and length
            where it is another sample's.
        protocol: who is compared with whom.

    Returns:
        One for each of METRICS_OF[modality].
    """
    found, wanted = _same_size(modality, found, wanted)
    return list(_COMPARED[modality](found, wanted, protocol))


def absent(modality: str, protocol: str, reason: str) -> list[Scored]:
    """The same rows without a value."""
    return [Scored(name, protocol, None, 0, (reason,)) for name in METRICS_OF[modality]]


def disparity_of(map: Map) -> tuple[np.ndarray, np.ndarray]:
    """Return a depth map's disparity, larger is nearer, and where it is a number; sky has 0."""
    valid = np.ones(map.data.shape, bool) if map.valid is None else map.valid
    if map.facts.get("kind") != "metric_depth":
        return map.data, valid & np.isfinite(map.data)
    with np.errstate(divide="ignore", invalid="ignore"):
        disparity = np.where(map.data > 0, 1 / map.data, np.nan).astype(np.float32)
    return disparity, valid & np.isfinite(disparity)


def _same_size(modality: str, found: Map, wanted: Map) -> tuple[Map, Map]:
    if modality == "skeleton":
        height, width = int(found.facts["height"]), int(found.facts["width"])
    else:
        height, width = found.data.shape[1:3]
    wanted = resized_map(modality, wanted, height=height, width=width)
    length = min(len(found.data), len(wanted.data))
    return _first(modality, found, length), _first(modality, wanted, length)


def _first(modality: str, map: Map, length: int) -> Map:
    if len(map.data) == length:
        return map
    arrays = {key: array if key == "track_ids" else array[:length] for key, array in map.arrays.items()}
    valid = None if map.valid is None else map.valid[:length]
    return replace(map, data=map.data[:length], valid=valid, arrays=arrays)


def _score(name: str, protocol: str, valid: int, *arrays: np.ndarray, flags: tuple[str, ...] = ()) -> Scored:
    value = float(load("metric", METRICS, name)(*arrays))
    if math.isfinite(value):
        return Scored(name, protocol, value, valid, flags)
    return Scored(name, protocol, None, valid, (*flags, "nothing_to_score"))


def _depth(found: Map, wanted: Map, protocol: str) -> Iterator[Scored]:
    (seen, seen_valid), (given, given_valid) = disparity_of(found), disparity_of(wanted)
    both = seen_valid & given_valid
    flat = ("constant",) if both.any() and (np.ptp(seen[both]) == 0 or np.ptp(given[both]) == 0) else ()
    yield _score("depth.correlation", protocol, int(both.sum()), seen, given, both, flags=flat)
    rest = METRICS_OF["depth"][1:]
    if wanted.facts.get("kind") != "metric_depth":
        yield from (Scored(name, protocol, None, 0, (RELATIVE,)) for name in rest)
        return
    mask = depth_mask(wanted.data, both)
    aligned = align("disp-ls", found.data, str(found.facts["kind"]), wanted.data, mask)
    if aligned is None:
        yield from (Scored(name, protocol, None, 0, ("nothing_to_score",)) for name in rest)
        return
    for name in rest:
        count = int(aligned.valid.sum())
        yield _score(name, protocol, count, aligned.depth, wanted.data, aligned.valid, flags=aligned.flags)


def _flow(found: Map, wanted: Map, protocol: str) -> Iterator[Scored]:
    valid = np.ones(wanted.data.shape[:3], bool) if wanted.valid is None else wanted.valid
    valid = valid & np.isfinite(found.data).all(axis=-1)
    for name in METRICS_OF["flow"]:
        yield _score(name, protocol, int(valid.sum()), found.data, wanted.data, valid)


def _densepose(found: Map, wanted: Map, protocol: str) -> Iterator[Scored]:
    everywhere = np.ones(wanted.data.shape, bool)
    for name in METRICS_OF["densepose"]:
        yield _score(name, protocol, int((wanted.data > 0).sum()), found.data, wanted.data, everywhere)


def _skeleton(found: Map, wanted: Map, protocol: str) -> Iterator[Scored]:
    """Joints within a part of the condition's box; a condition has no masks, so areas are those of boxes."""
    true = wanted.data[:, :, :JOINTS].copy()
    seen = true[..., 2] >= SEEN
    true[..., 2] = np.where(seen, 2, 0)
    boxes = wanted.arrays.get("boxes")
    boxes = _boxes_of(true) if boxes is None else boxes
    areas = BOX_AREA * np.prod(boxes[..., 2:] - boxes[..., :2], axis=-1) * seen.any(axis=-1)
    count = int((areas > 0).sum())
    yield _score("skeleton.pck_box", protocol, count, found.data[:, :, :JOINTS], true, areas, box_sizes(boxes))


def _boxes_of(joints: np.ndarray) -> np.ndarray:
    """(T, P, 4) about the joints that count; zeros where there is none."""
    seen = joints[..., 2:] > 0
    low = np.where(seen, joints[..., :2], np.inf).min(axis=2)
    high = np.where(seen, joints[..., :2], -np.inf).max(axis=2)
    return np.where(seen.any(axis=2), np.concatenate([low, high], axis=-1), 0)


def _segmentation(found: Map, wanted: Map, protocol: str) -> Iterator[Scored]:
    everywhere = np.ones(wanted.data.shape, bool)
    instances = len(np.unique(wanted.data[wanted.data > 0]))
    for name in METRICS_OF["segmentation"]:
        yield _score(name, protocol, instances, found.data, wanted.data, everywhere)


_COMPARED: dict[str, Callable[[Map, Map, str], Iterator[Scored]]] = {
    "depth": _depth,
    "flow": _flow,
    "densepose": _densepose,
    "skeleton": _skeleton,
    "segmentation": _segmentation,
}
