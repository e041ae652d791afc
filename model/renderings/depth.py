"""Depth as disparity in 0..1 over the clip: near is 1. Scale and shift are lost, as all depth metrics expect.

Bound of the array: 1/510 (half of 8 bits) of the clip's range of disparity.
"""

from dataclasses import replace

import numpy as np

from openuni.codec.depth import DEPTH
from openuni.modality import Map
from openuni.model.renderings.config import RenderingConfig
from openuni.model.renderings.rendered import Rendered, of_all

LEVELS = 256  # colours of both palettes
UNIT = {"kind": "relative_disparity", "lo": 0.0, "hi": 1.0}
PROFILES = {"spectral": "openuni", "gray": "vace"}
"""RenderingConfig.depth_palette -> the codec's profile."""


class DepthRendering:
    """See the top of the file."""

    def __init__(self, config: RenderingConfig) -> None:
        self.profile = PROFILES[config.depth_palette]

    def to_frames(self, map: Map) -> Rendered:
        """See ModalityRendering. Invalid pixels show their value, clipped into the valid range."""
        frames, known = DEPTH.render(map, profile=self.profile)
        lost = {}
        assert map.valid is not None  # render() has checked
        if invalid := int((~map.valid).sum()):
            lost["validity"] = of_all(invalid, map.valid.size, "pixels are invalid")
        if map.facts["kind"] == "metric_depth":
            lost["metres"] = "scale and shift of disparity, so metres"
        return Rendered(frames, known, lost)

    def to_map(self, frames: np.ndarray) -> Map:
        """See ModalityRendering: relative disparity 0..1, all valid, facts["levels"] of them."""
        read = DEPTH.parse(frames, UNIT, profile=self.profile)
        return replace(read, facts={**read.facts, "levels": LEVELS})

    def missing(self, metric: str) -> str | None:
        """See ModalityRendering. Every depth metric is taken after an alignment to the truth."""
        return None
