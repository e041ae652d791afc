"""What is seen through glass and water: rays that bend by Snell's law until they meet something opaque.

Truth of rendered clips is along straight lines; this is its counterpart for what a picture shows, from the same
surfaces and indices, without reflections: where light is reflected totally, nothing is known.
"""

from typing import NamedTuple

import numpy as np

from openuni.benchmark.synth.geometry import MISS, Posed
from openuni.benchmark.synth.rotation import dot, unit
from openuni.benchmark.synth.scene import Camera
from openuni.benchmark.synth.shapes import AIR, WATER

INTERFACES = 12  # a straw in a full tumbler is behind at most five
LIFT_M = 1e-6  # a ray starts so far beyond the surface that it has passed
UPRIGHT = 0.7
"""A water surface whose normal is nearer to the vertical than acos of this is the top one."""


class Refracted(NamedTuple):
    """What each pixel shows."""

    component: np.ndarray
    """(H, W) int16: number of the thing or person, -1 where it is the sky or not known."""
    wet: np.ndarray
    """(H, W) bool: it lies in the water: the ray's last medium is water."""
    top: np.ndarray
    """(H, W) bool: seen through the water's upper surface."""


def refracted(posed: Posed, camera: Camera) -> Refracted:
    """Follow a frame's rays through its glass and water.

    Args:
        posed: the surfaces at the frame.
        camera: its camera.
    """
    geometry = posed.geometry
    ways = unit(camera.directions(camera.pixels()))
    starts = np.tile(camera.position, (len(ways), 1))
    component = np.full(len(ways), -1, np.int16)
    wet, top = np.zeros(len(ways), bool), np.zeros(len(ways), bool)
    alive, medium = np.arange(len(ways)), np.full(len(ways), AIR)
    for _ in range(INTERFACES):
        hits = posed.cast(starts[alive], ways[alive])
        met = hits.face != MISS
        alive, face, weights, distance = alive[met], hits.face[met], hits.weights[met], hits.distance[met]
        clear = geometry.refractive[face]
        done = alive[~clear]
        component[done] = geometry.component[face[~clear]]
        wet[done] = np.abs(medium[done] - WATER) < 1e-6
        alive, face, weights, distance = alive[clear], face[clear], weights[clear], distance[clear]
        if not len(alive):
            break
        way = ways[alive]
        flat, normal = posed.face_normals(face), posed.shading_normals(face, weights)
        entering = dot(way, flat) < 0
        indices = geometry.indices[face].astype(np.float64)
        before, after = np.where(entering, indices.T, indices.T[::-1])
        normal = np.where(entering[:, None], normal, -normal)
        cosine = np.clip(-dot(way, normal), 0, 1)
        ratio = before / after
        square = 1 - ratio**2 * (1 - cosine**2)
        passes = square > 0
        bent = ratio[:, None] * way + (ratio * cosine - np.sqrt(np.maximum(square, 0)))[:, None] * normal
        open_water = np.abs(before + after - AIR - WATER) < 1e-6
        top[alive] |= open_water & (np.abs(flat[:, 2]) > UPRIGHT)
        medium[alive] = after
        starts[alive] = starts[alive] + distance[:, None] * way + LIFT_M * unit(bent)
        ways[alive] = unit(bent)
        alive = alive[passes]
    shape = (camera.height, camera.width)
    return Refracted(component.reshape(shape), wet.reshape(shape), top.reshape(shape))
