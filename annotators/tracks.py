"""Tracks: masks of single frames become things with an id for the whole clip, by carrying ids along the flow.

A connected part of a mask takes the id that the flow carries into it. A part into which several ids are carried is
divided among them, as two people who pass each other; parts of one thing that come apart keep its id. A thing that
rests for a while keeps its mask and id: its mask is carried along the flow, from before and from after the rest.
"""

from collections.abc import Sequence

import numpy as np

from openuni.annotators.dis import lands_inside, pixel_grid, round_trip_error
from openuni.annotators.own_motion import without_specks

COMES_BACK_PX = 1.0  # as elsewhere: flow and inverse agree to this
SHARE_OF_PART = 0.15  # ours: ids that cover less of a part are a neighbour's ragged edge
SHARE_OF_THING = 0.3  # ours: less of a thing than this carried into a part is not the thing


def link(masks: Sequence[np.ndarray], steps: Sequence[np.ndarray], back: Sequence[np.ndarray]) -> np.ndarray:
    """Give the parts of all masks ids that follow things over time.

    Args:
        masks: T masks (h, w) bool.
        steps: T - 1 flows (h, w, 2) float32 px, frame t -> t + 1.
        back: T - 1 flows, frame t + 1 -> t.

    Returns:
        (T, h, w) int32, 0 where no mask is; ids from 1 in the order of appearance.
    """
    ids = np.zeros((len(masks), *masks[0].shape), np.int32)
    carried = np.zeros(masks[0].shape, np.int32)
    fresh = 1
    for t, mask in enumerate(masks):
        if t:
            carried = _carry(_latest(ids[t - 1], carried), steps[t - 1], back[t - 1])
        ids[t], fresh = _assign(mask, carried, fresh)
    return ids


def rest(
    ids: np.ndarray, steps: Sequence[np.ndarray], back: Sequence[np.ndarray], *, frames: int, min_area: float
) -> np.ndarray:
    """Fill the frames in which a known thing does not move with its mask, carried along the flow.

    Args:
        ids: (T, h, w) int32.
        steps: as in `link`.
        back: as in `link`.
        frames: at most so many frames from the one in which the thing last moved, or will move.
        min_area: what is carried must keep this share of the picture.

    Returns:
        (T, h, w) int32.
    """
    filled = ids.copy()
    last = len(ids) - 1
    forward = [(t - 1, t, steps[t - 1], back[t - 1]) for t in range(1, last + 1)]
    backward = [(t + 1, t, back[t], steps[t]) for t in range(last - 1, -1, -1)]
    for one in np.unique(ids[ids > 0]).tolist():
        present = (ids == one).any(axis=(1, 2))
        for hops in (forward, backward):
            mask, age = np.zeros(ids.shape[1:], bool), 0
            for start, end, step, inverse in hops:
                if present[start]:
                    mask, age = ids[start] == one, 0
                if present[end] or age >= frames or not mask.any():
                    continue
                mask = _carry(mask.astype(np.int32), step, inverse) > 0
                mask, age = without_specks(mask, min_area), age + 1
                filled[end][mask & (filled[end] == 0)] = one
    return filled


def keep(ids: np.ndarray, chosen: Sequence[int]) -> np.ndarray:
    """Keep some ids, renumbered 1, 2, ... in the order given; all others become background. (T, h, w) uint8."""
    table = np.zeros(int(ids.max()) + 1, np.uint8)
    for number, one in enumerate(chosen, start=1):
        table[one] = number
    return table[ids]


def _latest(ids: np.ndarray, carried: np.ndarray) -> np.ndarray:
    """Ids of a frame; where there is none, what was carried into it: a thing may rest for a frame or two."""
    return np.where(ids > 0, ids, np.where(np.isin(carried, ids[ids > 0]), 0, carried))


def _carry(ids: np.ndarray, step: np.ndarray, back: np.ndarray) -> np.ndarray:
    """Bring a frame's ids to the next frame.

    Args:
        ids: (h, w) int32.
        step: flow from the frame of the ids to the next one.
        back: flow from the next frame to that of the ids.
    """
    import cv2

    x, y = pixel_grid(*ids.shape)
    places = x + back[..., 0], y + back[..., 1]
    found = cv2.remap(ids.astype(np.float32), *places, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT)
    sure = (round_trip_error(back, step) < COMES_BACK_PX) & lands_inside(back)
    return np.where(sure, found, 0).astype(np.int32)


def _assign(mask: np.ndarray, carried: np.ndarray, fresh: int) -> tuple[np.ndarray, int]:
    """Name the connected parts of a mask by the ids carried into them; returns ids and the next free one."""
    import cv2

    ids = np.zeros(mask.shape, np.int32)
    count, parts = cv2.connectedComponents(mask.astype(np.uint8))
    sizes = np.bincount(carried.ravel())
    for part in range(1, count):
        inside = parts == part
        found = np.bincount(carried[inside], minlength=1)
        area = int(inside.sum())
        claims = [
            one
            for one in np.flatnonzero(found).tolist()
            if one and (found[one] > SHARE_OF_THING * sizes[one] or found[one] > 0.5 * area)
            and found[one] > SHARE_OF_PART * area
        ]  # fmt: skip
        if not claims and (best := int(found[1:].argmax()) + 1 if len(found) > 1 else 0):
            # A thing that grows as it comes into view: little of the part was there, but most of the thing was.
            claims = [best] if found[best] > 0.5 * sizes[best] else []
        if not claims:
            ids[inside] = fresh
            fresh += 1
        elif len(claims) == 1:
            ids[inside] = claims[0]
        else:
            ids[inside] = _divide(inside, carried, claims)[inside]
    return ids, fresh


def _divide(inside: np.ndarray, carried: np.ndarray, claims: Sequence[int]) -> np.ndarray:
    """Give each pixel of a part the nearest of the ids that are carried into it."""
    import cv2

    distances = []
    for one in claims:
        elsewhere = (~(inside & (carried == one))).astype(np.uint8)
        distances.append(cv2.distanceTransform(elsewhere, cv2.DIST_L2, 3))
    return np.asarray(claims, np.int32)[np.argmin(distances, axis=0)]
