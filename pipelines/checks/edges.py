"""Edges of maps, and whether those of one thing lie on those of another."""

import numpy as np

STRONGEST = 0.1
"""Share of a frame's points that count as its edges: those with the strongest steps. Ours: Canny (100, 200) marks 3 to
14 % of the small pictures of ten real clips; a share instead of a threshold makes dark, hazy and slow clips count like
others, and makes chance about the same for all."""

NEIGHBOURS = ((np.s_[1:], np.s_[:-1]), (np.s_[:, 1:], np.s_[:, :-1]))
"""Slices of (h, w) that lay each point on the one above it, and on the one to its left."""


class EdgeAgreement:
    """Counts, frame by frame, how many edges of one thing lie on the strongest steps of another, against chance."""

    def __init__(self, *, reach: int) -> None:
        """Set how far an edge may lie from a step, in points."""
        self._side = 2 * reach + 1
        self._edges = self._hits = 0
        self._chance = 0.0

    def add(self, edges: np.ndarray, strength: np.ndarray, where: np.ndarray) -> None:
        """Count one frame.

        Args:
            edges: (h, w) bool.
            strength: (h, w) float32, how strong the other thing's step is at each point.
            where: (h, w) bool, the points that count. Chance is that of a point among them.
        """
        import cv2

        count = int((edges & where).sum())
        if count == 0:
            return
        strong = strength > np.quantile(strength[where], 1 - STRONGEST)
        near = cv2.dilate(strong.astype(np.uint8), np.ones((self._side, self._side), np.uint8)) > 0
        self._edges += count
        self._hits += int((edges & where & near).sum())
        self._chance += count * float(near[where].mean())

    @property
    def value(self) -> float | None:
        """(share of edges on steps - share expected by chance) / (1 - that): 1 all, 0 as by chance.

        None if there was no edge, or all points were on edges.
        """
        if self._edges <= self._chance:
            return None
        return (self._hits - self._chance) / (self._edges - self._chance)


def steps_between(values: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Return the largest step from each point to one of its four neighbours, (h, w) float32.

    Args:
        values: (h, w) float32.
        where: (h, w) bool; steps from and to other points are 0.
    """
    largest = np.zeros(values.shape, np.float32)
    for near, far in NEIGHBOURS:
        step = np.where(where[near] & where[far], np.abs(values[near] - values[far]), 0)
        largest[near] = np.maximum(largest[near], step)
        largest[far] = np.maximum(largest[far], step)
    return largest


def borders(ids: np.ndarray) -> np.ndarray:
    """Return where a point has a neighbour at its side with another id, (h, w) bool; `ids` is (h, w)."""
    beside = np.zeros(ids.shape, bool)
    for near, far in NEIGHBOURS:
        other = ids[near] != ids[far]
        beside[near] |= other
        beside[far] |= other
    return beside


def evenly(frames: int, count: int) -> set[int]:
    """Return at most `count` evenly spaced frames of `frames`, both ends included."""
    return {int(t) for t in np.linspace(0, frames - 1, count).round()}
