"""Baked colours: a surface's looks as a picture and coordinates, for renderers that know textures but not our looks.

Each triangle has a right-angled cell of its own in the picture, as fine as asked for. Looks do not move on a surface,
so one picture serves all frames of a clip.
"""

from dataclasses import dataclass

import numpy as np

from openuni.benchmark.synth.geometry import Posed
from openuni.benchmark.synth.looks import albedo
from openuni.benchmark.synth.rotation import length

WIDTH = 2048  # texels; the picture grows downwards
MAX_CELL = 513  # texels along a side of a triangle's cell
MAX_TEXELS = 3_000_000  # ours: a second or two to bake; a surface that would need more gets coarser


@dataclass(frozen=True, eq=False)
class Sheet:
    """A picture of a surface's colours, and where each corner of each of its F triangles lies in it."""

    picture: np.ndarray
    """(h, w, 3) float32, linear, 0..1."""
    places: np.ndarray
    """(F, 3, 2) float32, x y in 0..1 of the picture: texel centres, so that bilinear sampling stays in the cell."""


def bake(posed: Posed, component: int, texel_m: float) -> Sheet:
    """Bake the colours of a thing or person.

    Args:
        posed: the surfaces; any frame will do.
        component: which thing, or, behind the things, which person.
        texel_m: metres of surface to one texel; doubled until the picture has at most MAX_TEXELS.
    """
    geometry = posed.geometry
    first = geometry.first_face[component]
    faces = np.arange(first, geometry.first_face[component + 1])
    corners = posed.vertices[geometry.faces[faces]]
    edges = length((np.roll(corners, -1, axis=1) - corners).reshape(-1, 3)).reshape(-1, 3)
    start = edges.argmin(axis=1)  # the shortest edge runs along x
    order = (start[:, None] + np.arange(3)) % 3
    across = np.take_along_axis(edges, order, axis=1)[:, 0]
    down = np.take_along_axis(edges, order, axis=1)[:, 2]
    cells = np.stack([_side(across, texel_m), _side(down, texel_m)], axis=-1)
    while cells.prod(axis=-1).sum() > MAX_TEXELS and cells.max() > 2:
        texel_m *= 2
        cells = np.stack([_side(across, texel_m), _side(down, texel_m)], axis=-1)
    corner_px, height = _packed(cells)

    picture = np.zeros((height, WIDTH, 3), np.float32)
    for wide, tall in np.unique(cells, axis=0):
        mine = np.flatnonzero((cells == (wide, tall)).all(axis=-1))
        x, y = (one.ravel() for one in np.meshgrid(np.arange(wide), np.arange(tall)))
        second, third = x / (wide - 1), y / (tall - 1)
        over = np.maximum(second + third, 1)  # beyond the slanted side the nearest colours go on
        second, third = second / over, third / over
        along = np.stack([1 - second - third, second, third], axis=-1)
        weights = np.zeros((len(mine), len(x), 3))
        np.put_along_axis(weights, np.repeat(order[mine, None], len(x), axis=1), along[None], axis=-1)
        places_in = weights.reshape(-1, 3)
        face = np.repeat(faces[mine], len(x))
        normal = posed.shading_normals(face, places_in)
        colour = albedo(posed, component, face, places_in, normal, np.full(len(face), texel_m))
        picture[(corner_px[mine, 1, None] + y).ravel(), (corner_px[mine, 0, None] + x).ravel()] = colour
    ends = np.stack([np.zeros_like(cells), (cells - 1) * [1, 0], (cells - 1) * [0, 1]], axis=1)
    places = np.zeros((len(faces), 3, 2))
    np.put_along_axis(places, np.repeat(order[..., None], 2, axis=-1), corner_px[:, None] + ends + 0.5, axis=1)
    return Sheet(picture, (places / [WIDTH, height]).astype(np.float32))


def _side(edge_m: np.ndarray, texel_m: float) -> np.ndarray:
    """Texels for edges: a power of two plus one, at least 2."""
    power = np.ceil(np.log2(np.maximum(edge_m / texel_m, 1)))
    return np.minimum(2 ** power.astype(int) + 1, MAX_CELL)


def _packed(cells: np.ndarray) -> tuple[np.ndarray, int]:
    """Upper left texel (F, 2) of each cell, equal cells in rows, and the height of all."""
    out, row = np.zeros_like(cells), 0
    for wide, tall in np.unique(cells, axis=0):
        mine = np.flatnonzero((cells == (wide, tall)).all(axis=-1))
        many = WIDTH // wide
        number = np.arange(len(mine))
        out[mine] = np.stack([number % many * wide, row + number // many * tall], axis=-1)
        row += -(-len(mine) // many) * tall
    return out, int(row)
