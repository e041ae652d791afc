"""Flow on the Middlebury wheel: hue is direction, strength is speed / full speed, or its square root.

Full speed is a fixed part of the width, so that a network's colours mean pixels per frame, or the clip's maximum, which
a network's output does not tell. Invalid pixels, and so the whole last frame, are white as if still.

Bound of the array: UNIT_ERROR times the full speed for "linear". The square root makes it finer for slow pixels and
coarser for fast ones: (2 r + UNIT_ERROR) UNIT_ERROR times the full speed, r = sqrt(speed / full speed).
"""

import numpy as np

from openuni.codec.flow import FLOW
from openuni.modality import Map
from openuni.model.renderings.config import RenderingConfig
from openuni.model.renderings.rendered import Rendered, of_all

UNIT_ERROR = 0.025
"""Bound of the distance from a vector in the unit disc to what its colour is read as. Measured: mean .004, at most .020
over two million random vectors."""


class FlowRendering:
    """See the top of the file."""

    def __init__(self, config: RenderingConfig) -> None:
        self.config = config

    def full_speed_px(self, width: int) -> float:
        """Return the speed of full colour for a fixed scale, px per frame."""
        return self.config.flow_saturation * width

    def to_frames(self, map: Map) -> Rendered:
        """See ModalityRendering. Faster pixels than full speed are drawn at full speed, and counted."""
        FLOW.check(map)
        assert map.valid is not None  # check() has made sure
        flow = np.where(map.valid[..., None], map.data, np.float32(0))
        speed = np.hypot(flow[..., 0], flow[..., 1])
        longest = float(speed.max())
        fixed = self.config.flow_scale == "fixed"
        full = self.full_speed_px(map.data.shape[2]) if fixed else (longest or 1.0)
        unit = flow / np.float32(full)
        if self.config.flow_magnitude == "sqrt":
            unit = unit / np.sqrt(np.maximum(speed / np.float32(full), np.finfo(np.float32).tiny))[..., None]
        drawn = FLOW.render(Map(data=unit, valid=map.valid), scale={"max_norm_px": 1.0}).frames
        return Rendered(drawn, {"full_speed_px": full, "longest_px": longest}, self._lost(map, speed, full))

    def to_map(self, frames: np.ndarray) -> Map:
        """See ModalityRendering: px per frame, or parts of an unknown scale. All frames but the last are valid."""
        read = FLOW.parse(frames, {"max_norm_px": 1.0})
        unit = read.data
        if self.config.flow_magnitude == "sqrt":
            unit = unit * np.hypot(unit[..., 0], unit[..., 1])[..., None]
        if self.config.flow_scale == "per_clip":
            return Map(data=unit, valid=read.valid, facts={"scale": "unknown"})
        return Map(data=unit * np.float32(self.full_speed_px(frames.shape[2])), valid=read.valid)

    def missing(self, metric: str) -> str | None:
        """See ModalityRendering. All flow metrics but one are in pixels."""
        if self.config.flow_scale == "per_clip" and metric != "flow.epe_scale_aligned":
            return "scale unknown: flow was drawn by each clip's longest"
        return None

    def _lost(self, map: Map, speed: np.ndarray, full: float) -> dict[str, str]:
        assert map.valid is not None
        lost = {}
        # The factor keeps a speed of exactly `full` from being counted for float32's rounding.
        if clipped := int((speed > full * (1 + 1e-6)).sum()):
            count = of_all(clipped, int(map.valid.sum()), "valid pixels")
            lost["speed"] = (
                f"{count} are faster than {full:.4g} px and drawn at it; the fastest has {speed.max():.4g} px"
            )
        if invalid := int((~map.valid[:-1]).sum()):
            lost["validity"] = of_all(
                invalid, map.valid[:-1].size, "pixels before the last frame are invalid, drawn still"
            )
        if "occluded" in map.arrays:
            lost["occluded"] = "which points are hidden in the next frame"
        if self.config.flow_scale == "per_clip":
            lost["scale"] = "pixels per frame: colours are parts of the clip's longest"
        return lost
