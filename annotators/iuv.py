"""IUV: what DensePose says of single people becomes one map of a frame.

A network gives for each box coarse scores (background and body), fine scores (background and 24 parts) and U and V for
each part, all on a small grid over the box. After Guler et al., "DensePose", CVPR 2018, as detectron2's DensePose reads
them: grids are resized to the box, a pixel is of the best part where the best coarse class is not background.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import torch


class BodyInBox(NamedTuple):
    """One person's parts."""

    corner: tuple[int, int]
    """x and y of the top left pixel."""
    part: np.ndarray
    """(h, w) uint8, 0 to 24."""
    uv: np.ndarray
    """(h, w, 2) uint8, U and V times 255, 0 where the part is 0."""


def read_box(
    box: np.ndarray, coarse: "torch.Tensor", fine: "torch.Tensor", u: "torch.Tensor", v: "torch.Tensor"
) -> BodyInBox:
    """Read the grids of one box.

    Args:
        box: (4,) x0, y0, x1, y1 px.
        coarse: (2 or 15, S, S) float scores, 0 is background.
        fine: (25, S, S) float scores.
        u: (25, S, S) float, 0 to 1.
        v: (25, S, S).
    """
    import torch
    from torch.nn import functional as F

    x, y = int(box[0]), int(box[1])
    size = max(int(box[3] - box[1]), 1), max(int(box[2] - box[0]), 1)
    fitted = [
        F.interpolate(grid[None].float(), size, mode="bilinear", align_corners=False)[0]
        for grid in (coarse, fine, u, v)
    ]
    part = fitted[1].argmax(dim=0) * (fitted[0].argmax(dim=0) > 0)
    both = torch.stack([one.gather(0, part[None])[0] for one in fitted[2:]], dim=-1)
    both = (both.clamp(0, 1) * 255).round() * (part > 0)[..., None]
    return BodyInBox((x, y), part.to(torch.uint8).cpu().numpy(), both.to(torch.uint8).cpu().numpy())


def merge(bodies: Sequence[BodyInBox], order: Sequence[int], height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Paint people over each other.

    Args:
        bodies: the people.
        order: their numbers; a later one covers an earlier one.
        height: of the frame, px.
        width: of the frame, px.

    Returns:
        Part (height, width) uint8, and U and V (height, width, 2) uint8.
    """
    part, uv = np.zeros((height, width), np.uint8), np.zeros((height, width, 2), np.uint8)
    for number in order:
        rows, columns, inside = where(bodies[number], height, width)
        body = bodies[number].part[inside]
        seen = body > 0
        part[rows, columns][seen] = body[seen]
        uv[rows, columns][seen] = bodies[number].uv[inside][seen]
    return part, uv


def nearest_last(bodies: Sequence[BodyInBox], depth: np.ndarray, *, larger_is_nearer: bool) -> list[int]:
    """Order people so that nearer ones come later, by the median depth under each.

    Args:
        bodies: the people.
        depth: (H, W) float32 of the frame.
        larger_is_nearer: whether it is disparity.
    """
    distances = []
    for body in bodies:
        rows, columns, inside = where(body, *depth.shape)
        values = depth[rows, columns][body.part[inside] > 0]
        values = values[np.isfinite(values)]
        middle = float(np.median(values)) if values.size else np.nan
        distances.append(-middle if larger_is_nearer else middle)
    far_first = np.argsort(-np.nan_to_num(np.array(distances), nan=np.inf), kind="stable")
    return [int(number) for number in far_first]


def where(body: BodyInBox, height: int, width: int) -> tuple[slice, slice, tuple[slice, slice]]:
    """Return the rows and columns of the frame that a body's box covers, and the part of the box that is inside."""
    (x, y), (h, w) = body.corner, body.part.shape
    top, left, bottom, right = max(y, 0), max(x, 0), min(y + h, height), min(x + w, width)
    inside = slice(top - y, max(bottom - y, top - y)), slice(left - x, max(right - x, left - x))
    return slice(top, max(bottom, top)), slice(left, max(right, left)), inside
