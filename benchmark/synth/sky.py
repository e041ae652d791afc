"""Sky: its colour in every direction, and the light of sun and sky on surfaces. Linear colour; 1 is white paper."""

import numpy as np

from openuni.benchmark.synth.rotation import dot, unit
from openuni.benchmark.synth.scene import Sky
from openuni.benchmark.synth.texture import texture_of

ZENITH, HORIZON = np.array([0.16, 0.34, 0.78]), np.array([0.62, 0.74, 0.90])
WHITE = np.array([0.86, 0.88, 0.92])
SUN = np.array([1.0, 0.93, 0.80])
SUN_STRENGTH = 1.55  # ours: with the sky's light, white paper square to the sun is a little above 1
GROUND_BOUNCE = np.array([0.22, 0.20, 0.18])
CLOUD_TILE = 6.0  # heights of the cloud layer to one tile of cloud texture
FOG_M = 90.0  # ours: distant ground takes the horizon's colour, so that its edge is not seen


def sun_direction(sky: Sky) -> np.ndarray:
    """(3,) unit."""
    return unit(np.array(sky.sun, np.float64))


def sun_light(sky: Sky) -> np.ndarray:
    """(3,) light of the sun on a surface square to it."""
    low = 1 - sun_direction(sky)[2]  # redder when low
    colour = SUN * np.array([1.0, 1 - 0.15 * low, 1 - 0.35 * low])
    return SUN_STRENGTH * (1 - 0.55 * sky.haze) * colour


def sky_light(sky: Sky) -> np.ndarray:
    """(3,) light of the whole sky on level ground."""
    blue = 0.5 * ZENITH + 0.5 * HORIZON
    return (0.55 + 0.25 * sky.haze) * (blue + sky.haze * (WHITE - blue))


def horizon_colour(sky: Sky) -> np.ndarray:
    """(3,) what far ground fades to."""
    return HORIZON + (0.4 + 0.6 * sky.haze) * (WHITE - HORIZON)


def sky_colour(sky: Sky, directions: np.ndarray) -> np.ndarray:
    """Colour seen along directions.

    Args:
        sky: which sky.
        directions: (N, 3) unit, world.

    Returns:
        (N, 3) float32.
    """
    up = np.clip(directions[:, 2], 0, 1)
    blend = (1 - up) ** 4
    zenith = ZENITH + sky.haze * (WHITE - ZENITH) * 0.7
    colour = zenith + blend[:, None] * (horizon_colour(sky) - zenith)
    if sky.clouds > 0:
        high = np.flatnonzero(directions[:, 2] > 0.015)
        cover = _cloud_cover(sky, directions[high])
        lit = 0.80 + 0.25 * np.clip(dot(directions[high], sun_direction(sky)), 0, 1)
        colour[high] += cover[:, None] * (WHITE * lit[:, None] - colour[high])
    towards = dot(directions, sun_direction(sky))
    near = np.flatnonzero(towards > 0.6)  # elsewhere the glow is below a thousandth of a level
    glow = np.minimum(towards[near], 1)
    glow = 0.25 * glow**24 + 0.5 * glow**200 + 6 * glow**6000
    colour[near] += ((1 - 0.7 * sky.haze) * glow)[:, None] * SUN
    return colour.astype(np.float32)


def _cloud_cover(sky: Sky, directions: np.ndarray) -> np.ndarray:
    """(N,) 0..1: clouds of a flat layer, thinned out towards the horizon."""
    up = directions[:, 2]
    place = directions[:, :2] / (up + 0.08)[:, None] / CLOUD_TILE
    value = texture_of("clouds", sky.seed).sample(place, 0.004 / (up + 0.08) ** 2 / CLOUD_TILE)[:, 0]
    edge = np.clip((value - (0.62 - 0.35 * sky.clouds)) / 0.22, 0, 1)
    soft = edge * edge * (3 - 2 * edge)
    return soft * np.clip(up / 0.12, 0, 1) * 0.9
