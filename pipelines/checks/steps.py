"""Steps: sample points of each frame, and where the flow takes them in the next frame.

All checks of maps along the flow look at the same regular grid of points, about 256 along the longer side. Values of
a frame are taken at the points themselves, values of the next frame at their ends in the full-size map: few points
make it cheap, and no map is blurred by being made small.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from openuni.annotators.along_flow import SOLID
from openuni.annotators.dis import pixel_grid
from openuni.modality import Map

SMALLEST_SIDE_PX = 16
"""Points along the shorter side, where the picture has as many: DIS needs patches of 8 px on at least one level."""


class Grid(NamedTuple):
    """Points at the middles of blocks of `every` x `every` pixels; the rest at the right and below is unused."""

    every: int
    height: int
    """Number of points down."""
    width: int
    """Number of points across."""

    def at(self, array: np.ndarray) -> np.ndarray:
        """Return the values of (H, W, ...) at the points, (height, width, ...)."""
        first = self.every // 2
        return array[first :: self.every, first :: self.every][: self.height, : self.width]


class Step(NamedTuple):
    """The points of frame t and their ends in frame t + 1."""

    t: int
    flow: np.ndarray
    """(h, w, 2) float32, pixels of the frames."""
    valid: np.ndarray
    """(h, w) bool: the flow's own validity."""
    usable: np.ndarray
    """(h, w) bool: valid, ends on the picture, and not known to be hidden in t + 1."""
    x: np.ndarray
    """(h, w) float32: where the points end, pixels of frame t + 1."""
    y: np.ndarray


def make_grid(height: int, width: int, *, work_px: int) -> Grid:
    """Return the grid for frames of `height` x `width` with about `work_px` points along the longer side."""
    every = max(1, min(round(max(height, width) / work_px), min(height, width) // SMALLEST_SIDE_PX))
    return Grid(every, height // every, width // every)


def steps(flow: Map, grid: Grid) -> Iterator[Step]:
    """Yield the steps of a flow map: one for each frame but the last, whose flow means nothing.

    Args:
        flow: data (T, H, W, 2) float32, finite (the stored form is); valid (T, H, W) bool; perhaps arrays["occluded"].
        grid: the points, see `make_grid`.
    """
    assert flow.valid is not None  # the codec has made sure
    frames, height, width = flow.data.shape[:3]
    start_x, start_y = (grid.at(axis) for axis in pixel_grid(height, width))
    for t in range(frames - 1):
        step, valid = np.ascontiguousarray(grid.at(flow.data[t])), grid.at(flow.valid[t])
        x, y = start_x + step[..., 0], start_y + step[..., 1]
        # The picture reaches half a pixel beyond the outer centres; see annotators/dis.py.
        inside = (x >= -0.5) & (x <= width - 0.5) & (y >= -0.5) & (y <= height - 0.5)
        usable = valid & inside
        if "occluded" in flow.arrays:
            usable &= ~grid.at(flow.arrays["occluded"][t])
        yield Step(t, step, valid, usable, x, y)


def look_up(array: np.ndarray, step: Step) -> np.ndarray:
    """Return a map of frame t + 1 at the ends of a step: (h, w), bilinear, edges repeated.

    Args:
        array: (H, W) float32 or uint8.
        step: the step.
    """
    import cv2

    return np.asarray(cv2.remap(array, step.x, step.y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))


def look_up_mask(mask: np.ndarray, step: Step) -> np.ndarray:
    """Return where all four pixels around a step's end are True: (h, w) bool."""
    return look_up(mask.astype(np.float32), step) > SOLID


def look_up_ids(ids: np.ndarray, step: Step) -> np.ndarray:
    """Return ids (H, W) of frame t + 1 at the pixel nearest to a step's end: (h, w), same dtype; edges repeated."""
    height, width = ids.shape
    rows = np.clip(np.rint(step.y), 0, height - 1).astype(np.intp)
    columns = np.clip(np.rint(step.x), 0, width - 1).astype(np.intp)
    return np.asarray(ids[rows, columns])
