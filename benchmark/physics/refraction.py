"""Refraction: the break that a straw must show in a rendered clip, by Snell's law, and the breaks that frames show."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from openuni.benchmark.physics.straw import Straw, break_of_mask, find_straw
from openuni.benchmark.synth.again import scene_of
from openuni.benchmark.synth.geometry import Geometry
from openuni.benchmark.synth.refracted import refracted
from openuni.engine.stage import Absent

FRAMES = 8
"""Ours: of a clip, evenly taken; cameras move slowly, and eight tell the share of frames as well as all."""
STRAW = "straw"


class Expected(NamedTuple):
    """What one frame must show."""

    break_deg: float
    mask: np.ndarray
    """(H, W) bool: where the straw is seen, but not through the water's surface."""


def chosen_frames(num_frames: int) -> list[int]:
    """Return the frames that are looked at, evenly taken."""
    return sorted({round(frame) for frame in np.linspace(0, num_frames - 1, min(FRAMES, num_frames))})


def expected_breaks(folder: Path, height: int, width: int) -> dict[int, Expected]:
    """Work out the break of a rendered clip's straw in its chosen frames.

    Rays of every pixel are refracted to what they show; lines are fitted to the straw in air and in water as they are
    to a picture's. Without water the break is 0: glass as thin as a tumbler's wall shifts, it does not turn.

    Args:
        folder: of the clip.
        height: of the picture, px.
        width: of it.

    Returns:
        Frame -> degrees and the straw's pixels; a frame that shows too little of the straw is left out.

    Raises:
        Absent: the scene is not known, or has no straw.
    """
    scene = scene_of(folder)
    number = next((index for index, thing in enumerate(scene.things) if thing.name == STRAW), None)
    if number is None:
        raise Absent("scene_has_no_straw")
    wet, geometry = bool(scene.facts.get("water")), Geometry(scene)
    found = {}
    for frame in chosen_frames(scene.num_frames):
        seen = refracted(geometry.at(frame), scene.camera(frame, height, width))
        mask = (seen.component == number) & ~seen.top
        value = break_of_mask(mask & ~seen.wet, mask & seen.wet) if wet else 0.0
        if value is not None:
            found[frame] = Expected(value, mask)
    return found


def seen_breaks(rgb: np.ndarray) -> dict[int, Straw | None]:
    """Find the straw in a clip's chosen frames, (T, H, W, 3) uint8."""
    return {frame: find_straw(rgb[frame]) for frame in chosen_frames(len(rgb))}
