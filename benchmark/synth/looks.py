"""Looks: the colour of every surface point, for all tiers: textures on things, clothes, skin and hair on people."""

import numpy as np

from openuni.benchmark.synth.body import BONE_NAMES, CHARTS
from openuni.benchmark.synth.geometry import Posed
from openuni.benchmark.synth.material import MATERIALS, Material
from openuni.benchmark.synth.rotation import dot, turn_back
from openuni.benchmark.synth.scene import Person, Scene
from openuni.benchmark.synth.texture import Texture, texture_of

CLOTH = Material(texture="plain", gloss=0.05, hardness=15)
"""How people shine: all of them, from head to foot."""


def material_of(scene: Scene, component: int) -> Material:
    """Return the material of a thing, or, behind the things, of a person."""
    return MATERIALS[scene.things[component].material] if component < len(scene.things) else CLOTH


def albedo(
    posed: Posed, component: int, face: np.ndarray, weights: np.ndarray, normal: np.ndarray, width_m: np.ndarray
) -> np.ndarray:
    """Diffuse colours of surface points of one thing or person; of metal, its tint.

    Args:
        posed: the surfaces.
        component: which thing, or, behind the things, which person.
        face: (N,) triangles.
        weights: (N, 3) places in them.
        normal: (N, 3) unit shading normals, world.
        width_m: (N,) metres of surface that each point stands for: chooses the size of texture.

    Returns:
        (N, 3) float32, linear, 0..1.
    """
    scene = posed.geometry.scene
    if component >= len(scene.things):
        body = posed.geometry.bodies[component - len(scene.things)]
        own = face - posed.geometry.first_face[component]
        points, bone = body.rest_points(own, weights), body.bone(own, weights)
        return _person_colours(scene.people[component - len(scene.things)], points, bone)
    thing = scene.things[component]
    material = MATERIALS[thing.material]
    texture = texture_of(material.texture, thing.seed)
    local = posed.rest_points(face, weights)
    across = turn_back(posed.rotations[component], normal)
    footprint = width_m / material.tile_m
    if texture.unrolled and thing.kind in ("sphere", "cylinder", "capsule"):
        colour = texture.sample(_unrolled(thing.kind, thing.size, local, across, material.tile_m), footprint)
    else:
        colour = _projected(texture, local / material.tile_m, across, footprint)
    return colour * np.array(thing.colour, np.float32)


def _projected(texture: Texture, place: np.ndarray, normal: np.ndarray, footprint: np.ndarray) -> np.ndarray:
    """Project along the three axes and blend where the normal lies between them."""
    share = np.abs(normal) ** 8
    share /= share.sum(axis=-1, keepdims=True)
    out = np.zeros((len(place), 3), np.float32)
    for axis in range(3):
        mine = np.flatnonzero(share[:, axis] > 0.02)
        if len(mine):
            across = place[mine][:, [(axis + 1) % 3, (axis + 2) % 3]] + 0.37 * (axis + 1)
            out[mine] += texture.sample(across, footprint[mine]) * share[mine, axis, None].astype(np.float32)
    return out


def _unrolled(kind: str, size: tuple[float, ...], local: np.ndarray, normal: np.ndarray, tile_m: float) -> np.ndarray:
    """Place (N, 2) in tiles around a round thing: a whole number of tiles around, so that there is no seam."""
    radius = size[0]
    around = np.arctan2(local[:, 1], local[:, 0]) / (2 * np.pi)
    tiles = max(1, round(2 * np.pi * radius / tile_m))
    if kind == "sphere":
        down = np.arccos(np.clip(local[:, 2] / radius, -1, 1)) / np.pi * max(1, round(np.pi * radius / tile_m))
    else:
        down = local[:, 2] / tile_m
    place = np.stack([around * tiles, down], axis=-1)
    if kind == "cylinder":
        cap = np.abs(normal[:, 2]) > 0.9
        place[cap] = local[cap, :2] / tile_m
    return place


def _person_colours(person: Person, points: np.ndarray, bone: np.ndarray) -> np.ndarray:
    """(N, 3) colours of a person's rest points, of the size of openuni.benchmark.synth.body.REST_HEIGHT."""
    x, y, z = points[:, 0], points[:, 1], points[:, 2]
    names = np.array(BONE_NAMES)[bone]
    along = np.zeros(len(points))
    for number, chart in enumerate(CHARTS):
        mine = bone == number
        line = chart.end - chart.root
        along[mine] = dot(points[mine] - chart.root, line) / dot(line, line)
    arm, forearm = np.char.endswith(names, "upper_arm"), np.char.endswith(names, "forearm")
    thigh, shin, foot = (np.char.endswith(names, part) for part in ("thigh", "shin", "foot"))
    trunk = (names == "pelvis") | (names == "chest")
    long_sleeves, long_legs = person.sleeves == "long", person.legs == "long"
    neck = np.hypot(x + 0.015, y) < 0.08
    shirt = (
        (trunk & (z > 1.0) & ((z < 1.46) | ~neck)) | (arm & (long_sleeves | (along < 0.62))) | (forearm & long_sleeves)
    )
    trousers = (trunk & (z <= 1.0)) | (thigh & (long_legs | (along < 0.75))) | (shin & long_legs & (along < 0.93))
    colour = np.tile(np.array(person.skin), (len(points), 1))
    colour[shirt] = _cloth(person, points[shirt])
    colour[trousers] = np.array(person.trousers)
    colour[trousers & (np.abs(z - 1.0) < 0.016)] *= 0.35  # a belt
    colour[foot | (shin & (along > 0.95))] = np.array(person.shoes)
    colour[foot & (z < 0.022)] = 0.5  # soles
    head = names == "head"
    # Hair above a line that falls from the forehead to the neck.
    hair = head & (z > 1.605 + np.clip(x + 0.06, -0.02, 0.12) * 0.82) & (x < 0.097)
    colour[hair] = np.array(person.hair) * (0.85 + 0.3 * (np.sin(230 * y + 60 * x)[hair, None] > 0))
    eyes = head & (x > 0.05) & (np.hypot(np.abs(y) - 0.033, 1.3 * (z - 1.672)) < 0.0115)
    colour[eyes] = 0.02
    mouth = head & (x > 0.05) & (np.abs(y) < 0.024) & (np.abs(z - 1.585) < 0.005)
    colour[mouth] = np.array(person.skin) * [0.75, 0.4, 0.4]
    return colour.astype(np.float32)


def _cloth(person: Person, points: np.ndarray) -> np.ndarray:
    colour = np.tile(np.array(person.shirt), (len(points), 1))
    if person.pattern == "stripes":
        light = (points[:, 2] * 22) % 1 < 0.4
    elif person.pattern == "checks":
        light = ((points[:, 2] * 16) % 1 < 0.5) != ((points[:, 1] * 16) % 1 < 0.5)
    else:
        light = np.zeros(len(points), bool)
    colour[light] = 0.55 * colour[light] + 0.35
    weave = 0.92 + 0.16 * (np.sin(240 * points[:, 2]) * np.sin(240 * points[:, 1]) > 0)
    return colour * weave[:, None]
