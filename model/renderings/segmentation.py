"""Segmentation: at most nine instances in tab10's colours x 0.85 on black, numbered by a rule a network can learn.

Random numbers keep a network from learning which colour to give. The rules, RenderingConfig.instance_rule:

"area", `instance_order`: an instance counts with its area in the first frame where it appears. The largest is number
1; of equal ones the one whose centre is farther left in that frame, then the higher one.
"place", `instance_cells`: the picture has 3 x 3 cells, and an instance has the number of the cell where its centre is
in that frame, so that a network need not compare instances; if that is taken, the next one that is free.

Numbers beyond max_instances are background.

Bound of the array: exact for what is drawn.
"""

import numpy as np

from openuni.codec.segmentation import SEGMENTATION
from openuni.modality import Map
from openuni.model.renderings.config import RenderingConfig
from openuni.model.renderings.rendered import Rendered, of_all


def instance_order(ids: np.ndarray) -> list[int]:
    """Order the instances of a clip: area in their first frame, largest first; then left to right, then downwards.

    Args:
        ids: (T, H, W) uint8 or uint16; 0 is background.

    Returns:
        The ids in order.
    """
    found: dict[int, tuple[float, ...]] = {}
    for frame in ids:
        areas = np.bincount(frame.ravel())
        for one in map(int, np.flatnonzero(areas)):
            if one > 0 and one not in found:
                rows, columns = np.nonzero(frame == one)
                found[one] = (-float(areas[one]), float(columns.mean()), float(rows.mean()), one)
    return sorted(found, key=found.__getitem__)


def instance_cells(ids: np.ndarray, order: list[int], count: int) -> dict[int, int]:
    """Number instances by where they first appear.

    Args:
        ids: (T, H, W) uint8 or uint16.
        order: those to number, first come first served.
        count: numbers that there are, at least as many as instances; cells beyond it wrap around.

    Returns:
        id -> number, 1 to `count`, no two the same.
    """
    height, width = ids.shape[1:]
    taken: dict[int, int] = {}
    for one in order:
        frame = next(frame for frame in ids if (frame == one).any())
        rows, columns = np.nonzero(frame == one)
        cell = 3 * int(3 * (rows.mean() + 0.5) / height) + int(3 * (columns.mean() + 0.5) / width)
        free = (1 + (cell + step) % count for step in range(count))
        taken[one] = next(number for number in free if number not in taken.values())
    return taken


def solid_ids(ids: np.ndarray, side_px: int) -> set[int]:
    """Return the ids that fill a square of side_px in at least one frame.

    Args:
        ids: (T, H, W) uint8 or uint16; 0 is background and not returned.
        side_px: at least 1.
    """
    from scipy.ndimage import minimum_filter1d

    found: set[int] = set()
    size = (min(side_px, ids.shape[1]), min(side_px, ids.shape[2]))
    for frame in ids:
        for one in {int(one) for one in np.flatnonzero(np.bincount(frame.ravel()))} - found - {0}:
            mask = frame == one
            for axis, side in enumerate(size):
                mask = minimum_filter1d(mask, side, axis=axis, mode="constant", cval=0)
            if mask.any():
                found.add(one)
    return found


class SegmentationRendering:
    """See the top of the file."""

    def __init__(self, config: RenderingConfig) -> None:
        self.max_instances = config.max_instances
        self.min_px = config.min_instance_px
        self.by_place = config.instance_rule == "place"

    def to_frames(self, map: Map) -> Rendered:
        """See ModalityRendering. known["ids"]: the map's id of number 1, 2, ..., 0 for a number that is not drawn."""
        SEGMENTATION.check(map)
        order, solid = instance_order(map.data), solid_ids(map.data, self.min_px)
        large = [one for one in order if one in solid]
        kept = large[: self.max_instances]
        numbers = dict(zip(kept, range(1, len(kept) + 1), strict=True))
        if self.by_place:
            numbers = instance_cells(map.data, kept, self.max_instances)
        number_of = np.zeros(int(map.data.max()) + 1, dtype=np.uint8)
        drawn = [0] * max(numbers.values(), default=0)
        for one, number in numbers.items():
            number_of[one], drawn[number - 1] = number, one
        frames = SEGMENTATION.render(Map(data=number_of[map.data])).frames
        lost = {}
        if more := len(large) - len(kept):
            lost["instances"] = of_all(more, len(order), f"instances are beyond the first {self.max_instances}")
        if small := len(order) - len(large):
            lost["small"] = of_all(small, len(order), f"instances nowhere fill {self.min_px} x {self.min_px} px")
        return Rendered(frames, {"ids": drawn}, lost)

    def to_map(self, frames: np.ndarray) -> Map:
        """See ModalityRendering: numbers 1 to max_instances. Colours that fill no square are read as others."""
        ids = list(range(1, self.max_instances + 1))
        read = SEGMENTATION.parse(frames, {"ids": ids})
        solid = solid_ids(read.data, self.min_px)
        return read if len(solid) == len(ids) else SEGMENTATION.parse(frames, {"ids": sorted(solid)})

    def missing(self, metric: str) -> str | None:
        """See ModalityRendering. Metrics match instances by overlap, so numbers need not be the truth's."""
        return None
