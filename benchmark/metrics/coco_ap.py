"""COCO's average precision over similarities of any kind: greedy matching, 101 recall points."""

from collections.abc import Iterable

import numpy as np

THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0, 1, 101)
MAX_PEOPLE = 20  # of each image, COCO's for keypoints
MAX_INSTANCES = 100  # COCO's for masks

Frame = tuple[np.ndarray, np.ndarray, np.ndarray]
"""(D, G) similarity; (D,) scores of the estimates; (G,) bool, truths that are ignored: neither found nor missed."""


def coco_ap(frames: Iterable[Frame], *, max_estimates: int, tie_aware: bool = False) -> float:
    """AP@[.5:.95] over images.

    Within an image estimates choose in the order of their scores, each the most similar truth that is free, those
    that are ignored last. Over all images precision is made monotone and read at 101 recalls.

    Args:
        frames: the images.
        max_estimates: those with the highest scores of each image.
        tie_aware: estimates with equal scores enter the curve together, so that their order changes nothing. COCO has
            them one by one, in the order in which they are given.

    Returns:
        NaN if there is no truth that counts.

    Source: COCO evaluation (pycocotools COCOeval, evaluateImg and accumulate), without its small bias against ties.
    """
    scores, matched, ignored, wanted = [], [], [], 0
    for similarity, score, ignore in frames:
        order = np.argsort(-score, kind="stable")[:max_estimates]
        truths = np.argsort(ignore, kind="stable")
        found, skip = _match(similarity[np.ix_(order, truths)], ignore[truths])
        scores.append(score[order])
        matched.append(found)
        ignored.append(skip)
        wanted += int((~ignore).sum())
    if not wanted:
        return float("nan")
    given = np.concatenate(scores)
    order = np.argsort(-given, kind="stable")
    # Points of the curve: after each estimate, or after the last one of each score.
    ends = np.append(np.diff(given[order]) != 0, True)[: len(order)] if tie_aware else np.ones(len(order), bool)
    hit = np.concatenate(matched, axis=1)[:, order]
    counts = ~np.concatenate(ignored, axis=1)[:, order]
    values = [_area(*pair, wanted, ends) for pair in zip(hit & counts, ~hit & counts, strict=True)]
    return float(np.mean(values))


def _match(similarity: np.ndarray, ignore: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(thresholds, D) bool: which estimates found a truth, and which found an ignored one."""
    found = np.zeros((len(THRESHOLDS), len(similarity)), bool)
    skip = np.zeros_like(found)
    for number, threshold in enumerate(THRESHOLDS):
        free = np.ones(len(ignore), bool)
        for estimate, row in enumerate(similarity):
            for candidates in (free & ~ignore, free & ignore):
                fits = np.flatnonzero(candidates & (row >= threshold))
                if len(fits):
                    best = fits[len(fits) - 1 - np.argmax(row[fits][::-1])]  # the last of equals, as COCO's loop has it
                    free[best], found[number, estimate], skip[number, estimate] = False, True, bool(ignore[best])
                    break
    return found, skip


def _area(hit: np.ndarray, miss: np.ndarray, wanted: int, ends: np.ndarray) -> float:
    hits, misses = np.cumsum(hit)[ends], np.cumsum(miss)[ends]
    recall, precision = hits / wanted, hits / np.maximum(hits + misses, 1)
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    at = np.searchsorted(recall, RECALLS, side="left")
    return float(np.append(precision, 0.0)[np.minimum(at, len(precision))].mean())
