"""Openness: how much of the sky's light near things leave to a surface, each thing taken as a few balls."""

import numpy as np

from openuni.benchmark.synth.body import BONE_NAMES
from openuni.benchmark.synth.geometry import Posed
from openuni.benchmark.synth.material import MATERIALS
from openuni.benchmark.synth.rotation import dot

REACH = 4  # radii: farther away a ball takes less than 5 % of the light, and is left out
STRENGTH = 0.85  # ours: balls overlap, so that each takes a little less than its due


def openness(posed: Posed, points: np.ndarray, normal: np.ndarray, component: np.ndarray) -> np.ndarray:
    """Share of the sky's light that near things leave.

    Args:
        posed: the surfaces.
        points: (N, 3) world.
        normal: (N, 3) unit.
        component: (N,) the thing or person each point is on, which does not darken itself.

    Returns:
        (N,) float32 in 0..1.

    Occlusion by a ball: cosine towards it over its squared distance in radii (Quilez, "sphere ambient occlusion").
    """
    out = np.ones(len(points), np.float32)
    for number, centre, radius in _balls(posed):
        # A square about the ball first: it spares most points.
        low, high = centre - REACH * radius, centre + REACH * radius
        near = np.flatnonzero(
            (points[:, 0] > low[0]) & (points[:, 0] < high[0]) & (points[:, 1] > low[1]) & (points[:, 1] < high[1])
            & (component != number)
        )  # fmt: skip
        if len(near):
            away = centre - points[near]
            far2 = np.maximum(dot(away, away), radius * radius)
            cosine = np.clip(dot(away, normal[near]) / np.sqrt(far2), 0, 1)
            out[near] *= (1 - STRENGTH * cosine * (radius * radius) / far2).astype(np.float32)
    return out


def _balls(posed: Posed) -> list[tuple[int, np.ndarray, float]]:
    """Things and limbs as balls: component, centre, radius."""
    scene, balls = posed.geometry.scene, []
    for number, thing in enumerate(scene.things):
        if thing.scenery or MATERIALS[thing.material].refractive:
            continue
        part = slice(posed.geometry.first_vertex[number], posed.geometry.first_vertex[number + 1])
        half = np.ptp(posed.geometry.rest[part], axis=0) / 2
        middle = posed.geometry.rest[part].min(axis=0) + half
        axis, radius = int(half.argmax()), float(np.sort(half)[1])
        count = int(np.clip(np.ceil(half[axis] / radius), 1, 5))
        offsets = (np.arange(count) - (count - 1) / 2) * (2 * (half[axis] - radius) / max(1, count - 1))
        centre = scene.thing_positions[posed.frame, number] + (
            posed.rotations[number][:, 0] * middle[0]
            + posed.rotations[number][:, 1] * middle[1]
            + posed.rotations[number][:, 2] * middle[2]
        )
        balls += [(number, centre + posed.rotations[number][:, axis] * offset, radius) for offset in offsets]
    for person, (rotations, joints) in enumerate(posed.bones):
        body = posed.geometry.bodies[person]
        ends = body.pose_ends(rotations, joints)
        for bone, radius in _LIMB_RADII:
            for along in (0.25, 0.75):
                centre = joints[bone] + along * (ends[bone] - joints[bone])
                balls.append((len(scene.things) + person, centre, radius * body.scale))
    return balls


_LIMB_RADII = tuple(
    (number, {"pelvis": 0.14, "chest": 0.14, "head": 0.09, "foot": 0.045, "hand": 0.03}.get(name.split("_")[-1], 0.06))
    for number, name in enumerate(BONE_NAMES)
)
"""Bones and the radius of the balls that stand for them, metres, in the rest size."""
