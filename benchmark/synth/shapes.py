"""Meshes of rigid things in their own axes, metres, closed, with outward faces and a normal at every corner."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from openuni.benchmark.synth.noise import hashed
from openuni.benchmark.synth.rotation import cross, snap_trig, unit

ROUND = 64  # sides of a circle: a 0.3 m sphere then misses its true surface by less than 0.4 mm
AIR, GLASS, WATER = 1.0, 1.5, 1.333  # refractive indices: soda-lime glass (1.50 to 1.52), water at 20 C (1.333)
TUMBLER_WALL, TUMBLER_FLOOR = 0.1, 0.08  # ours: part of the radius, part of the height


@dataclass(frozen=True, eq=False)
class Mesh:
    """Triangles. V vertices, F faces."""

    vertices: np.ndarray
    """(V, 3) float64."""
    faces: np.ndarray
    """(F, 3) int32, counter-clockwise seen from outside."""
    normals: np.ndarray
    """(F, 3, 3) float64: a unit normal for each corner of each face, for shading."""
    indices: np.ndarray
    """(F, 2) float32: refractive index outside and inside of each face; used where the material is refractive."""


@lru_cache(maxsize=256)
def mesh_of(kind: str, size: tuple[float, ...], seed: int = 0) -> Mesh:
    """Make the mesh of a thing.

    Args:
        kind: a key of SHAPES.
        size: what the kind's function says.
        seed: which rock; others do not use it.
    """
    return SHAPES[kind](size, seed)


def box(size: Sequence[float], seed: int = 0) -> Mesh:
    """Box; size: half lengths along x, y, z."""
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], np.float64) * size
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    faces = np.array([[(a, b, c), (a, c, d)] for a, b, c, d in quads], np.int32).reshape(-1, 3)
    return flat(corners, faces)


def sphere(size: Sequence[float], seed: int = 0) -> Mesh:
    """Sphere; size: (radius,)."""
    vertices, faces = _icosphere(4)
    return _smooth(vertices * size[0], faces, vertices)


def rock(size: Sequence[float], seed: int = 0) -> Mesh:
    """Stone: a sphere with a few flats ground off; size: half lengths along x, y, z. Nearly convex."""
    vertices, faces = _icosphere(4)
    number = np.arange(14)
    planes = unit(2 * np.stack([hashed(seed, axis, number) for axis in range(3)], axis=-1) - 1)
    depth = 0.72 + 0.25 * hashed(seed, 3, number)
    reach = np.stack([vertices[:, 0] * p[0] + vertices[:, 1] * p[1] + vertices[:, 2] * p[2] for p in planes], -1)
    shrink = np.minimum(1.0, (depth / np.maximum(reach, 1e-3)).min(axis=-1))
    vertices = snap_trig(vertices * shrink[:, None] * np.asarray(size))
    return _smooth(vertices, faces, vertex_normals(vertices, faces))


def cylinder(size: Sequence[float], seed: int = 0) -> Mesh:
    """Cylinder along z; size: (radius, half length)."""
    radius, half = size
    return lathe([(0, -half), (radius, -half), (radius, half), (0, half)])


def capsule(size: Sequence[float], seed: int = 0) -> Mesh:
    """Capsule along z; size: (radius, half length of the straight part)."""
    radius, half = size
    bend = np.linspace(-np.pi / 2, np.pi / 2, 2 * (ROUND // 4) + 1)
    arc = np.stack([radius * np.cos(bend), radius * np.sin(bend)], axis=-1)
    arc[0, 0] = arc[-1, 0] = 0
    middle = len(arc) // 2
    shift = np.array([0.0, half])
    low, high = arc[: middle + 1] - shift, arc[middle:] + shift
    return lathe([tuple(point) for point in np.concatenate([low, high])], smooth_degrees=30)


def plane(size: Sequence[float], seed: int = 0) -> Mesh:
    """Horizontal square at z = 0, seen from above; size: (half length,)."""
    half = size[0]
    corners = np.array([[-half, -half, 0], [half, -half, 0], [half, half, 0], [-half, half, 0]], np.float64)
    return flat(corners, np.array([[0, 1, 2], [0, 2, 3]], np.int32))


def tumbler(size: Sequence[float], seed: int = 0) -> Mesh:
    """Drinking glass standing on z = 0; size: (radius, height, water level; 0 is dry), all metres.

    Below the water level its inside is left to the water's own surface, whose indices are glass and water.
    """
    radius, height, level = size
    inner, base = radius * (1 - TUMBLER_WALL), height * TUMBLER_FLOOR
    profile = [(0, 0), (radius, 0), (radius, height), (inner, height)]
    return lathe([*profile, (inner, level)] if level else [*profile, (inner, base), (0, base)], indices=(AIR, GLASS))


def water(size: Sequence[float], seed: int = 0) -> Mesh:
    """What stands in a tumbler of the same size."""
    radius, height, level = size
    inner, base = radius * (1 - TUMBLER_WALL), height * TUMBLER_FLOOR
    body = lathe([(0, base), (inner, base), (inner, level)], indices=(GLASS, WATER))
    top = lathe([(inner, level), (0, level)], indices=(AIR, WATER))
    return Mesh(
        np.concatenate([body.vertices, top.vertices]),
        np.concatenate([body.faces, top.faces + len(body.vertices)]).astype(np.int32),
        np.concatenate([body.normals, top.normals]),
        np.concatenate([body.indices, top.indices]),
    )


SHAPES = {
    "box": box,
    "sphere": sphere,
    "rock": rock,
    "cylinder": cylinder,
    "capsule": capsule,
    "plane": plane,
    "tumbler": tumbler,
    "water": water,
}
"""Kind -> function of (size, seed)."""


def lathe(
    profile: Sequence[tuple[float, float]], *, smooth_degrees: float = 30, indices: tuple[float, float] = (AIR, GLASS)
) -> Mesh:
    """Turn a profile of (radius, z) about the z axis.

    Args:
        profile: from the bottom outside to the top inside, so that the outside lies to the right of the way.
        smooth_degrees: kinks below this are shaded smooth.
        indices: refractive index outside and inside.
    """
    points = np.asarray(profile, np.float64)
    angles = 2 * np.pi * np.arange(ROUND) / ROUND
    ring = np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    vertices = np.stack(
        [
            points[:, None, 0] * ring[None, :, 0],
            points[:, None, 0] * ring[None, :, 1],
            np.repeat(points[:, None, 1], ROUND, axis=1),
        ],
        axis=-1,
    ).reshape(-1, 3)
    along = np.diff(points, axis=0)
    outward = np.stack([along[:, 1], -along[:, 0]], axis=-1)
    outward /= np.sqrt((outward**2).sum(axis=-1, keepdims=True))
    ends = _end_normals(outward, smooth_degrees)
    faces, normals = [], []
    here, there = np.arange(ROUND), (np.arange(ROUND) + 1) % ROUND
    for part in range(len(along)):
        a, b = part * ROUND + here, part * ROUND + there
        c, d = b + ROUND, a + ROUND

        def turned(end: int, at: np.ndarray, part: int = part) -> np.ndarray:
            across, up = ends[part, end]
            return np.stack([ring[at, 0] * across, ring[at, 1] * across, np.full(ROUND, up)], axis=-1)

        if points[part, 0] > 0:
            faces.append(np.stack([a, b, c if points[part + 1, 0] > 0 else d], axis=-1))
            last = turned(1, there if points[part + 1, 0] > 0 else here)
            normals.append(np.stack([turned(0, here), turned(0, there), last], axis=1))
        if points[part + 1, 0] > 0:
            faces.append(np.stack([a, c, d], axis=-1))
            normals.append(np.stack([turned(0, here), turned(1, there), turned(1, here)], axis=1))
    joined = np.concatenate(faces).astype(np.int32)
    pair = np.tile(np.array(indices, np.float32), (len(joined), 1))
    return Mesh(snap_trig(vertices), joined, unit(np.concatenate(normals)), pair)


def flat(vertices: np.ndarray, faces: np.ndarray) -> Mesh:
    """Give each face its own normal."""
    a, b, c = (vertices[faces[:, corner]] for corner in range(3))
    normals = np.repeat(unit(cross(b - a, c - a))[:, None], 3, axis=1)
    return Mesh(vertices, faces, normals, _glass(faces))


def vertex_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(V, 3) unit normals: the mean of the faces at each vertex, weighted by area."""
    a, b, c = (vertices[faces[:, corner]] for corner in range(3))
    of_faces = cross(b - a, c - a)
    corner = faces.ravel()
    # bincount sums in the order of its input: the same bits each time.
    sums = [np.bincount(corner, np.repeat(of_faces[:, axis], 3), minlength=len(vertices)) for axis in range(3)]
    return unit(np.stack(sums, axis=-1))


def _smooth(vertices: np.ndarray, faces: np.ndarray, normals: np.ndarray) -> Mesh:
    return Mesh(vertices, faces, normals[faces], _glass(faces))


def _glass(faces: np.ndarray) -> np.ndarray:
    return np.tile(np.array([AIR, GLASS], np.float32), (len(faces), 1))


def _end_normals(outward: np.ndarray, smooth_degrees: float) -> np.ndarray:
    """Normals (across, up) at both ends of each part of a profile: (P, 2, 2)."""
    ends = np.repeat(outward[:, None], 2, axis=1)
    for part in range(len(outward) - 1):
        if (outward[part] * outward[part + 1]).sum() > np.cos(np.radians(smooth_degrees)):
            mean = outward[part] + outward[part + 1]
            ends[part, 1] = ends[part + 1, 0] = mean / np.sqrt((mean**2).sum())
    return ends


@lru_cache(maxsize=4)
def _icosphere(levels: int) -> tuple[np.ndarray, np.ndarray]:
    """Unit sphere: an icosahedron, each face cut in four `levels` times. (V, 3), (F, 3)."""
    g = (1 + np.sqrt(5)) / 2
    corners = [(-1, g, 0), (1, g, 0), (-1, -g, 0), (1, -g, 0), (0, -1, g), (0, 1, g)]
    corners += [(0, -1, -g), (0, 1, -g), (g, 0, -1), (g, 0, 1), (-g, 0, -1), (-g, 0, 1)]
    faces = [(0, 11, 5), (0, 5, 1), (0, 1, 7), (0, 7, 10), (0, 10, 11), (1, 5, 9), (5, 11, 4), (11, 10, 2)]
    faces += [(10, 7, 6), (7, 1, 8), (3, 9, 4), (3, 4, 2), (3, 2, 6), (3, 6, 8), (3, 8, 9), (4, 9, 5)]
    faces += [(2, 4, 11), (6, 2, 10), (8, 6, 7), (9, 8, 1)]
    points = unit(np.array(corners, np.float64))
    triangles = np.array(faces, np.int64)
    for _ in range(levels):
        edges = np.sort(np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]), axis=1)
        pairs, inverse = np.unique(edges, axis=0, return_inverse=True)
        ab, bc, ca = inverse.ravel().reshape(3, -1) + len(points)
        points = np.concatenate([points, unit(points[pairs[:, 0]] + points[pairs[:, 1]])])
        a, b, c = triangles.T
        parts = [(a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca)]
        triangles = np.concatenate([np.stack(part, axis=-1) for part in parts])
    return points, triangles.astype(np.int32)
