"""VACE's control videos: maps as its own annotators draw them, which are not our colours.

Read in ali-vilab/VACE @48eb44f, vace/annotators:
depth     gray, near is white; each frame over its own range (depth.py, both experts).
flow      Middlebury wheel, each frame by its own longest vector (flow.py: RAFT's flow_to_image); the picture of frames
          t - 1 to t stands at t, the first one twice.
skeleton  OpenPose limbs on black (pose.py, body alone; the default adds face points, which 17 joints do not have).
"""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from openuni.codec.depth import DEPTH
from openuni.codec.flow import FLOW, wheel_colours
from openuni.modality import Map
from openuni.model.rendering import VACE

UNKNOWN = {
    "segmentation": "VACE has no control by coloured instances: its layout is the outline of one subject",
    "densepose": "VACE has no control by body parts",
}
"""Modality -> why there is no control video of it."""


class Control(NamedTuple):
    """A control video."""

    frames: np.ndarray
    """(T, H, W, 3) uint8."""
    lost: dict[str, str]
    """What the drawing does not carry, for people."""


def draw_control(modality: str, map: Map) -> Control:
    """Draw a map as VACE's control.

    Args:
        modality: a key of CONTROLS.
        map: at the size that the network works at.

    Raises:
        ValueError: the map is not one of the modality.
    """
    return CONTROLS[modality](map)


def _depth(map: Map) -> Control:
    DEPTH.check(map)
    assert map.valid is not None  # check() has made sure
    single = (replace(map, data=map.data[t : t + 1], valid=map.valid[t : t + 1]) for t in range(len(map.data)))
    drawn = [DEPTH.render(one, profile="vace").frames for one in single]
    return Control(np.concatenate(drawn), {"range": "each frame is drawn over its own range of disparity"})


def _flow(map: Map) -> Control:
    FLOW.check(map)
    assert map.valid is not None  # check() has made sure
    frames = []
    for flow, valid in zip(map.data[:-1], map.valid[:-1], strict=True):
        known = np.where(valid[..., None], flow, 0).astype(np.float64)
        longest = float(np.hypot(known[..., 0], known[..., 1]).max())
        frames.append(wheel_colours(known / (longest or 1.0)))
    if not frames:  # a clip of one frame
        frames.append(wheel_colours(np.zeros(map.data.shape[1:])))
        return Control(np.stack(frames), {})
    return Control(np.stack([frames[0], *frames]), {"scale": "each frame is drawn by its own longest vector"})


def _skeleton(map: Map) -> Control:
    drawn = VACE.to_frames("skeleton", map)
    return Control(drawn.frames, dict(drawn.lost))


CONTROLS: dict[str, Callable[[Map], Control]] = {"depth": _depth, "flow": _flow, "skeleton": _skeleton}
"""Modality -> what draws it."""
