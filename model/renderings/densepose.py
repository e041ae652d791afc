"""DensePose as colours of the 24 parts, or as planes: red is the part, green U, blue V.

Bound of the array: exact (U and V on people, and only as planes).
"""

from functools import cache

import numpy as np

from openuni.codec.densepose import DENSEPOSE, PARTS
from openuni.codec.palette import VIRIDIS_25, nearest, spread_colours
from openuni.modality import Map
from openuni.model.renderings.config import RenderingConfig
from openuni.model.renderings.rendered import Rendered


@cache
def far_colours() -> np.ndarray:
    """Return background, which is black, and 24 colours far apart: (25, 3) uint8, any two at least 103 apart in RGB."""
    return spread_colours([(0, 0, 0)], PARTS + 1)


def part_levels() -> np.ndarray:
    """Return red of each part for "iuv": (25,) uint8, evenly over 0..255, neighbours 10 or 11 apart."""
    return np.rint(np.arange(PARTS + 1) * 255 / PARTS).astype(np.uint8)


class DensePoseRendering:
    """See the top of the file."""

    def __init__(self, config: RenderingConfig) -> None:
        self.planes = config.densepose == "iuv"
        viridis = np.array(VIRIDIS_25, dtype=np.uint8)
        self.colours = viridis if config.densepose_palette == "viridis" else far_colours()

    def to_frames(self, map: Map) -> Rendered:
        """See ModalityRendering. Raises ValueError where "iuv" is asked for and the map has no U and V."""
        DENSEPOSE.check(map)
        if not self.planes:
            lost = {"uv": "U and V: part colours do not carry them"} if "uv" in map.arrays else {}
            return Rendered(self.colours[map.data], {}, lost)
        if "uv" not in map.arrays:
            raise ValueError("densepose 'iuv' needs arrays['uv'], got parts alone: set densepose='parts'")
        uv = np.where(map.data[..., None] > 0, map.arrays["uv"], np.uint8(0))
        return Rendered(np.concatenate([part_levels()[map.data][..., None], uv], axis=-1), {}, {})

    def to_map(self, frames: np.ndarray) -> Map:
        """See ModalityRendering. Nearest colour, or nearest red; U and V are 0 off people."""
        if not self.planes:
            return Map(data=nearest(frames, self.colours).astype(np.uint8))
        part = np.rint(frames[..., 0] * (PARTS / 255)).astype(np.uint8)
        return Map(data=part, arrays={"uv": np.where(part[..., None] > 0, frames[..., 1:], np.uint8(0))})

    def missing(self, metric: str) -> str | None:
        """See ModalityRendering."""
        if metric.partition(".")[2].startswith(("uv_", "gps")) and not self.planes:
            return "part colours do not carry U and V"
        return None
