"""Judge: scores an annotator's map against the truth of its clip, every metric under every protocol of its modality."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from openuni.benchmark.headline import HEADLINES
from openuni.benchmark.metrics.depth_alignment import ALIGNMENTS, Aligned, align, depth_mask
from openuni.benchmark.metrics.flow import speed_masks
from openuni.benchmark.metrics.skeleton import JOINTS, box_sizes, torso_sizes
from openuni.benchmark.synth.truth import Truth
from openuni.modality import Map
from openuni.table import METRICS, load

VERSION = "4"
"""Raise it when the same map gets other numbers."""
COVERAGE = "coverage"
"""Not in METRICS: the share of the pixels that can be scored which the annotator itself calls valid."""
DEPTH_METRICS = ("abs_rel", "delta1", "delta2", "delta3", "rmse", "rmse_log")
BOUNDARY_METRICS = ("boundary_precision", "boundary_recall", "boundary_f1")
HEADLINE_ALIGNMENT = "disp-ls"
FLOW_METRICS = ("epe", "fl", "out1", "out3", "out5")
OWN_VALID = "-own-valid"
"""Suffix of a protocol: over pixels only that the annotator calls valid."""


class Scored(NamedTuple):
    """One number about one clip."""

    metric: str
    """Key in METRICS, or modality.coverage."""
    protocol: str
    value: float | None
    """None: undefined."""
    valid: int
    """How many pixels, instances, people or (person, frame) pairs the value is over."""
    flags: tuple[str, ...] = ()
    """What to know of it: inverted, constant, unusable:N, levels:N, no_scale, no_scores, no_uv, class_by_match,
    truth_has_no_classes, joints:13_of_17, nothing_to_score."""


def judge(modality: str, predicted: Map, truth: Truth) -> list[Scored]:
    """Score a map.

    Refractive pixels (glass and water) are left out: what is right there is a matter of definition.

    Args:
        modality: a key of JUDGES.
        predicted: the annotator's map, of the truth's T, H, W.
        truth: the clip's truth.

    Returns:
        The same metrics and protocols in the same order for every clip.

    Raises:
        ValueError: the map does not belong to the truth.
    """
    _check_size(modality, predicted, truth)
    return list(JUDGES[modality](predicted, truth))


def judge_headlines(modality: str, predicted: Map, truth: Truth) -> list[Scored]:
    """Score a map under the headline metrics and protocols alone; arguments and errors as for `judge`."""
    _check_size(modality, predicted, truth)
    # Depth's alignments are most of the work, and one of them is in the headlines.
    if modality == "depth":
        found = _depth(predicted, truth, (HEADLINE_ALIGNMENT,))
    else:
        found = JUDGES[modality](predicted, truth)
    return [one for one in found if one[:2] in HEADLINES[modality]]


def _check_size(modality: str, predicted: Map, truth: Truth) -> None:
    size = truth.size
    given = predicted.data.shape[:1] if modality == "skeleton" else predicted.data.shape[:3]
    if given != size[: len(given)]:
        raise ValueError(f"{modality} has shape {predicted.data.shape}, the truth {size}")


def _score(name: str, protocol: str, valid: int, flags: tuple[str, ...], *arrays: np.ndarray, **options: Any) -> Scored:
    value = float(load("metric", METRICS, name)(*arrays, **options))
    if math.isfinite(value):
        return Scored(name, protocol, value, valid, flags)
    return Scored(name, protocol, None, valid, (*flags, "nothing_to_score"))


def _depth(predicted: Map, truth: Truth, alignments: Sequence[str] = tuple(ALIGNMENTS)) -> Iterator[Scored]:
    """Every alignment, over all scored pixels and over those that the annotator calls valid; sky is left out."""
    mask = depth_mask(truth.depth, _clear(truth))
    own = mask & _own_valid(predicted, mask)
    yield _coverage("depth", own, mask)
    visible = truth.flow_valid & ~truth.occluded if truth.has("flow", "occluded") else None
    coarse = (f"levels:{predicted.facts['levels']}",) if "levels" in predicted.facts else ()
    for name in alignments:
        for suffix, where in (("", mask), (OWN_VALID, own)):
            found = align(name, predicted.data, str(predicted.facts["kind"]), truth.depth, where)
            if found is not None:
                found = found._replace(flags=found.flags + coarse)
            protocol = name + suffix
            for metric in DEPTH_METRICS:
                yield _depth_score(metric, protocol, found, truth, pooled=ALIGNMENTS[name].pooled)
            if name == HEADLINE_ALIGNMENT:
                for metric in BOUNDARY_METRICS:
                    yield _depth_score(metric, protocol, found, truth)
                yield _flicker(protocol, found, truth, visible)  # a scale alone would change nothing


def _depth_score(metric: str, protocol: str, found: Aligned | None, truth: Truth, **options: bool) -> Scored:
    name = f"depth.{metric}"
    if found is None:
        return Scored(name, protocol, None, 0, ("no_scale" if protocol.startswith("none") else "nothing_to_score",))
    return _score(name, protocol, int(found.valid.sum()), found.flags, found.depth, truth.depth, found.valid, **options)


def _flicker(protocol: str, found: Aligned | None, truth: Truth, visible: np.ndarray | None) -> Scored:
    if found is None or visible is None:
        return Scored("depth.flicker", protocol, None, 0, ("nothing_to_score",))
    count = int((found.valid & visible).sum())
    arrays = found.depth, truth.depth, found.valid, truth.flow, visible
    return _score("depth.flicker", protocol, count, found.flags, *arrays)


def _flow(predicted: Map, truth: Truth) -> Iterator[Scored]:
    """All pixels with a true flow; those seen again (noc) and not (occ); of people and things (fg), the rest (bg); by
    speed; those the annotator calls valid."""
    mask = truth.flow_valid & _clear(truth)
    number = np.isfinite(predicted.data).all(axis=-1)
    flags = (f"unusable:{int((mask & ~number).sum())}",) if (mask & ~number).any() else ()
    own = mask & _own_valid(predicted, mask)
    yield _coverage("flow", own, mask)
    usable = mask & number
    # Where occlusion is not known, neither noc nor occ has a pixel; without masks all is background.
    noc, occ = (~truth.occluded, truth.occluded) if truth.has("occluded") else (False, False)
    things = truth.segmentation > 0 if truth.has("segmentation") else np.False_
    scopes = {
        "all": usable, "noc": usable & noc, "occ": usable & occ, "fg": usable & things,
        "bg": usable & np.logical_not(things), "all" + OWN_VALID: own & number,
    }  # fmt: skip
    scaled = predicted.facts.get("scale") != "unknown"
    for protocol, where in (scopes | speed_masks(truth.flow, usable)).items():
        # By speed only the error itself, as Sintel gives it.
        for metric in FLOW_METRICS if protocol in scopes else ("epe",):
            if scaled:
                count = int(where.sum())
                yield _score(f"flow.{metric}", protocol, count, flags, predicted.data, truth.flow, where)
            else:
                yield Scored(f"flow.{metric}", protocol, None, 0, ("no_scale",))
    for protocol in ("all", "noc"):
        where = scopes[protocol]
        arrays = predicted.data, truth.flow, where
        yield _score("flow.epe_scale_aligned", protocol, int(where.sum()), flags, *arrays)


def _segmentation(predicted: Map, truth: Truth) -> Iterator[Scored]:
    clear = _clear(truth)
    instances = len(np.unique(truth.segmentation[clear & (truth.segmentation > 0)]))
    arrays = predicted.data, truth.segmentation, clear
    for metric in ("miou", "miou_by_frame", "foreground_iou", "ap", "j", "f"):
        yield _score(f"segmentation.{metric}", "clip", instances, (), *arrays)
    said = predicted.facts.get("scores")
    if said is None:
        yield Scored("segmentation.ap", "scored", None, 0, ("no_scores",))
    else:
        scores = {int(one): float(score) for one, score in said.items()}
        yield _score("segmentation.ap", "scored", instances, (), *arrays, scores=scores)
    yield _class_miou(predicted, truth, clear)
    people = truth.person_ids if truth.has("person_ids") else ()
    things = clear & ~np.isin(truth.segmentation, people)
    for protocol, where in (("clip", clear), ("things", things)):
        count = len(np.unique(truth.segmentation[where & (truth.segmentation > 0)]))
        yield _score("segmentation.apart", protocol, count, (), predicted.data, truth.segmentation, where)


def _class_miou(predicted: Map, truth: Truth, clear: np.ndarray) -> Scored:
    name = "segmentation.class_miou"
    if truth.classes is None:
        return Scored(name, "clip", None, 0, ("truth_has_no_classes",))
    said = predicted.facts.get("classes")
    own = None if said is None else {int(one): str(kind) for one, kind in said.items()}
    seen = {truth.classes.get(int(one)) for one in np.unique(truth.segmentation[clear])} - {None}
    flags = ("class_by_match",) if own is None else ()
    arrays = predicted.data, truth.segmentation, clear
    return _score(name, "clip", len(seen), flags, *arrays, classes=truth.classes, predicted_classes=own)


def _skeleton(predicted: Map, truth: Truth) -> Iterator[Scored]:
    areas, boxes = person_sizes(truth)
    true = truth.keypoints
    people = predicted.data[:, :, :JOINTS]  # whole-body estimates begin with COCO's 17
    sizes = {"box": box_sizes(boxes), "torso": torso_sizes(true)}
    count = int((areas > 0).sum())
    drawn = predicted.facts.get("joints", range(JOINTS))
    some = len(drawn) < JOINTS
    flags = (f"joints:{len(drawn)}_of_{JOINTS}",) if some else ()
    for name, size in sizes.items():
        for metric in (f"pck_{name}", f"pck_{name}_seen", f"pck10_{name}"):
            metric = f"skeleton.{metric}"
            yield _score(metric, "frame", count, flags, people, true, areas, size, joints=drawn if some else None)
    if some:  # COCO's similarity is of all its joints
        yield Scored("skeleton.oks", "frame", None, 0, flags)
        yield Scored("skeleton.ap", "frame", None, 0, flags)
        return
    yield _score("skeleton.oks", "frame", count, (), people, true, areas)
    yield _score("skeleton.ap", "frame", count, (), people, true, areas, boxes)


def _densepose(predicted: Map, truth: Truth) -> Iterator[Scored]:
    clear = _clear(truth)
    count = int((clear & (truth.densepose > 0)).sum())
    for metric in ("part_iou", "part_accuracy", "person_iou"):
        yield _score(f"densepose.{metric}", "clip", count, (), predicted.data, truth.densepose, clear)
    for metric in ("uv_error", "uv_near"):
        name = f"densepose.{metric}"
        if "uv" not in predicted.arrays:
            yield Scored(name, "clip", None, 0, ("no_uv",))
            continue
        uv = predicted.arrays["uv"].astype(np.float32) / 255
        yield _score(name, "clip", count, (), predicted.data, truth.densepose, uv, truth.uv, clear)
    people = truth.segmentation if truth.has("segmentation") else (truth.densepose > 0).astype(np.uint8)
    for metric in ("gps", "gps_ap"):
        name = f"densepose.{metric}"
        if "uv" not in predicted.arrays:
            yield Scored(name, "frame", None, 0, ("no_uv",))
            continue
        # Both in 8 bits, so that rounding alone leads to no other point.
        uv, true_uv = predicted.arrays["uv"].astype(np.float32) / 255, np.rint(truth.uv * 255) / 255
        yield _score(name, "frame", count, (), predicted.data, truth.densepose, uv, true_uv, people, clear)


def person_sizes(truth: Truth) -> tuple[np.ndarray, np.ndarray]:
    """Return each person's mask area (T, P) px^2 and box (T, P, 4) x0, y0, x1, y1 px, zeros out of sight."""
    frames, height, width = truth.segmentation.shape
    areas = np.zeros((frames, len(truth.person_ids)))
    boxes = np.zeros((frames, len(truth.person_ids), 4))
    for number, one in enumerate(truth.person_ids):
        mask = truth.segmentation == one
        areas[:, number] = mask.sum(axis=(1, 2))
        columns, rows = mask.any(axis=1), mask.any(axis=2)
        first = np.stack([columns.argmax(1), rows.argmax(1)], axis=1)
        end = np.stack([width - columns[:, ::-1].argmax(1), height - rows[:, ::-1].argmax(1)], axis=1)
        boxes[:, number] = np.where(areas[:, number, None] > 0, np.concatenate([first, end], axis=1), 0)
    return areas, boxes


def _clear(truth: Truth) -> np.ndarray:
    """(T, H, W) bool: no glass or water, as far as the truth knows."""
    return ~truth.refractive if truth.has("refractive") else np.ones(truth.size, bool)


def _own_valid(predicted: Map, mask: np.ndarray) -> np.ndarray:
    return np.ones_like(mask) if predicted.valid is None else predicted.valid


def _coverage(modality: str, own: np.ndarray, mask: np.ndarray) -> Scored:
    count = int(mask.sum())
    flags = () if count else ("nothing_to_score",)
    return Scored(f"{modality}.{COVERAGE}", "own-valid", own.sum() / count if count else None, count, flags)


JUDGES: dict[str, Callable[[Map, Truth], Iterator[Scored]]] = {
    "depth": _depth,
    "flow": _flow,
    "segmentation": _segmentation,
    "skeleton": _skeleton,
    "densepose": _densepose,
}
"""Modality -> what scores its maps."""
