"""Carrying measured maps to the frames between them, along the flow."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from openuni.annotators.dis import invert, lands_inside, length, sample

SOLID = 0.99  # a looked-up pixel is valid if its four neighbours are (bilinear weight of a bool mask)
GRADIENT_PX = 1.0  # ours: one step's flow and its inverse must agree to this, as fb_px asks of pairs


class Layer(NamedTuple):
    """A map and where it holds."""

    values: np.ndarray
    """(H, W) float32, 0 where not valid."""
    valid: np.ndarray
    """(H, W) bool."""


class _Carried(NamedTuple):
    layer: Layer
    age: int


def spread(known: Mapping[int, Layer], steps: list[np.ndarray]) -> list[Layer]:
    """Give every frame a map from the known ones before and after it.

    Both sides are blended with weights that fall linearly with the distance in frames, so what changes steadily
    (disparity of a camera that moves forward) stays right to first order, and a known frame keeps its own map.

    Args:
        known: frame -> its map; at least one.
        steps: T - 1 flows (H, W, 2), frame t -> t + 1.

    Returns:
        T maps. A frame that no known map reaches has no valid pixel.
    """
    count = len(steps) + 1
    backward = [invert(step) for step in steps]
    shape = steps[0].shape[:2]
    nothing = Layer(np.zeros(shape, np.float32), np.zeros(shape, bool))
    from_before = _carry(known, range(count), [None, *backward], [None, *steps], nothing)
    from_after = _carry(known, range(count - 1, -1, -1), [*steps, None], [*backward, None], nothing)
    return [_blend(before, after) for before, after in zip(from_before, from_after, strict=True)]


def _carry(known: Mapping[int, Layer], order: range, back: list, there: list, nothing: Layer) -> list[_Carried]:
    """Carry maps in one direction. back[t]: from t to the frame that was visited before it; there[t]: its inverse."""
    out: list[_Carried] = [_Carried(nothing, 0)] * len(order)
    last = _Carried(nothing, 1)
    for t in order:
        if t in known:
            last = _Carried(known[t], 0)
        elif back[t] is not None and last.layer.valid.any():
            smooth = length(back[t] + sample(there[t], back[t])) < GRADIENT_PX
            weight = sample(last.layer.valid.astype(np.float32), back[t])
            values = sample(last.layer.values, back[t]) / np.maximum(weight, 1e-3)
            valid = smooth & lands_inside(back[t]) & (weight > SOLID)
            last = _Carried(Layer(np.where(valid, values, 0), valid), last.age + 1)
        out[t] = last
    return out


def _blend(before: _Carried, after: _Carried) -> Layer:
    if before.age == 0 and before.layer.valid.any():
        return before.layer
    weight_before = before.layer.valid * np.float32(1 / before.age if before.age else 1.0)
    weight_after = after.layer.valid * np.float32(1 / after.age if after.age else 1.0)
    total = weight_before + weight_after
    values = before.layer.values * weight_before + after.layer.values * weight_after
    return Layer((values / np.maximum(total, 1e-9)).astype(np.float32), total > 0)
