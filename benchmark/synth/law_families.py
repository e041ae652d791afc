"""Scene families for physics probes: one law each, coloured balls that can be told by colour, a camera at rest.

fall: a red ball falls and bounces. collision: a red ball rolls into a green one of its size at rest. hiding: a red ball
rolls behind a grey box and comes out again. Rendered only where they are named (`--families fall collision hiding`).
"""

import numpy as np

from openuni.benchmark.synth.caption import PAINTS
from openuni.benchmark.synth.draft import GROUND_HALF_M, Draft
from openuni.benchmark.synth.rotation import about, quaternion_of
from openuni.benchmark.synth.scene import Sky, Thing

RED_BALL, GREEN_BALL, BOX = "red ball", "green ball", "grey box"


def fall(draft: Draft) -> None:
    """A red ball falls."""
    azimuth, across = _stage(draft)
    rng, radius = draft.rng, round(float(draft.rng.uniform(0.08, 0.13)), 4)
    place, drift = rng.uniform(-0.4, 0.4) * across, rng.uniform(-0.4, 0.4) * across
    draft.add(_ball(RED_BALL, radius), (*place, rng.uniform(1.7, 2.0)), velocity=(*drift, 0))
    draft.sentences.append("A red ball falls onto a concrete yard and bounces.")
    # Level, so that the picture's height is the ball's: a camera that looks down 6 degrees changes the acceleration in
    # the picture by a quarter from the fall's start to its end.
    draft.look("static", (0, 0, 1.0), draft.focal * 2.6, azimuth, 1.0)


def collision(draft: Draft) -> None:
    """A red ball rolls into a green one."""
    azimuth, across = _stage(draft)
    rng, radius = draft.rng, round(float(draft.rng.uniform(0.1, 0.15)), 4)
    side = rng.choice([-1.0, 1.0])
    _roll(draft, radius, -side * rng.uniform(0.75, 0.95) * across, side * rng.uniform(1.2, 1.8) * across)
    draft.add(_ball(GREEN_BALL, radius), (*(side * 0.05 * across), radius))
    draft.sentences.append("A red ball rolls into a green ball of the same size on a concrete yard.")
    _camera(draft, azimuth, 0.25, 2.3)


def hiding(draft: Draft) -> None:
    """A red ball rolls behind a box and comes out."""
    azimuth, across = _stage(draft)
    rng, radius = draft.rng, round(float(draft.rng.uniform(0.09, 0.12)), 4)
    side = rng.choice([-1.0, 1.0])
    _roll(draft, radius, -side * 1.05 * across, side * rng.uniform(1.4, 1.8) * across)
    near = 0.45 * np.array([np.cos(azimuth), np.sin(azimuth)])
    half = round(float(rng.uniform(0.22, 0.3)), 4)
    box = Thing(kind="box", size=(0.05, half, 0.3), material="matte", colour=(0.25, 0.25, 0.25), name=BOX)
    draft.add(box, (*near, 0.3), rotation=quaternion_of(about("z", azimuth)), fixed=True)
    draft.sentences.append("A red ball rolls behind a grey box and comes out on the other side.")
    _camera(draft, azimuth, 0.3, 2.6)


def _stage(draft: Draft) -> tuple[float, np.ndarray]:
    """Add the ground; return the direction to the camera and the one across the picture, (2,)."""
    draft.sky = Sky(sun=draft.sky.sun, haze=0.8, clouds=0.0)
    ground = Thing(kind="plane", size=(GROUND_HALF_M,), material="concrete", scenery=True)
    draft.add(ground, (0, 0, 0), fixed=True)
    draft.facts["ground"] = "concrete"
    draft.focal = float(0.5 / np.tan(np.radians(46) / 2))
    azimuth = float(draft.rng.uniform(0, 2 * np.pi))
    return azimuth, np.array([-np.sin(azimuth), np.cos(azimuth)])


def _roll(draft: Draft, radius: float, place: np.ndarray, velocity: np.ndarray) -> None:
    """Add a red ball that rolls without sliding."""
    spin = (-velocity[1] / radius, velocity[0] / radius, 0)
    draft.add(_ball(RED_BALL, radius), (*place, radius), velocity=(*velocity, 0), spin=spin)


def _ball(name: str, radius: float) -> Thing:
    return Thing(kind="sphere", size=(radius,), material="matte", colour=PAINTS[name.split()[0]], name=name)


def _camera(draft: Draft, azimuth: float, target: float, distance: float) -> None:
    draft.look("static", (0, 0, target), draft.focal * distance, azimuth, target + 0.25)
