"""Masks of one picture: which proposals are whole things, which are new, and who owns a pixel that several claim."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

INSIDE = 0.7  # ours: a mask of which so much lies in larger ones is a part of them; SAM's own duplicates go at 0.7 IoU
KNOWN = 0.5  # ours: a mask of which so much belongs to things that are followed is no new thing


class Proposal(NamedTuple):
    """A mask that a network proposes for one picture."""

    mask: np.ndarray
    """(H, W) bool."""
    score: float
    """The network's own confidence, larger is better; only the order counts."""
    label: str = ""
    """What it is, where the network was asked by name: "person"."""


def wholes(proposals: Sequence[Proposal], *, min_area: float, max_area: float) -> list[Proposal]:
    """Keep whole things: no specks, nothing as large as a background, no parts of what is kept.

    Args:
        proposals: masks of one picture.
        min_area, max_area: smallest and largest share of the picture.

    Returns:
        The larger first; of equal ones the higher score, then the one that begins further up and left.
    """
    fits = [one for one in proposals if min_area <= one.mask.mean() <= max_area and one.mask.any()]
    kept: list[Proposal] = []
    for one in sorted(fits, key=_order):
        covered = np.zeros_like(one.mask)
        for other in kept:
            covered |= other.mask
        if (one.mask & covered).sum() < INSIDE * one.mask.sum():
            kept.append(one)
    return kept


def unknown(proposals: Sequence[Proposal], ids: np.ndarray) -> list[Proposal]:
    """Return the proposals that no thing in `ids` (H, W), 0 where nothing is, covers already."""
    return [one for one in proposals if (ids[one.mask] > 0).mean() < KNOWN]


def settle(logits: np.ndarray, ids: Sequence[int]) -> np.ndarray:
    """Give each pixel to the thing whose logit is highest there and above 0; of equal ones to the first.

    Args:
        logits: (N, H, W) float.
        ids: N ids above 0.

    Returns:
        (H, W) int32, 0 is background.
    """
    if not len(ids):
        return np.zeros(logits.shape[1:], np.int32)
    best = logits.argmax(axis=0)
    owner = np.asarray(ids, np.int32)[best]
    return np.where(np.take_along_axis(logits, best[None], axis=0)[0] > 0, owner, 0).astype(np.int32)


def numbered(ids: np.ndarray, order: Sequence[int] | None = None) -> tuple[np.ndarray, list[int]]:
    """Renumber a clip's ids 1, 2, ... by first appearance, of those that appear together the larger first.

    Args:
        ids: (T, H, W) integers, 0 is background.
        order: keep only these; None keeps all.

    Returns:
        (T, H, W) uint8, or uint16 beyond 255 ids; and the old id of each new one, from 1 on.
    """
    counts = {one: (ids == one).sum(axis=(1, 2)) for one in np.unique(ids[ids > 0]).tolist()}
    kept = [one for one in counts if order is None or one in order]
    first = {one: int(np.flatnonzero(counts[one])[0]) for one in kept}
    kept.sort(key=lambda one: (first[one], -int(counts[one][first[one]]), one))
    table = np.zeros(int(ids.max(initial=0)) + 1, np.uint16 if len(kept) > 255 else np.uint8)
    for number, one in enumerate(kept, start=1):
        table[one] = number
    return table[ids], kept


def _order(one: Proposal) -> tuple[int, float, int]:
    return -int(one.mask.sum()), -one.score, int(one.mask.argmax())
