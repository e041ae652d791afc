"""Surface nets: the zero surface of a function on a grid as a closed triangle mesh.

Gibson, "Constrained Elastic SurfaceNets", 1998; the naive variant without relaxation: one vertex in each cell that the
surface crosses, at the mean of the crossings of its edges; one quad about each crossed edge.
"""

import itertools

import numpy as np

CORNERS = tuple(itertools.product((0, 1), repeat=3))
EDGES = tuple(
    (a, b) for a, b in itertools.combinations(range(8), 2) if sum(np.abs(np.subtract(CORNERS[a], CORNERS[b]))) == 1
)


def surface_nets(field: np.ndarray, low: np.ndarray, step: float) -> tuple[np.ndarray, np.ndarray]:
    """Make the mesh.

    Args:
        field: (X, Y, Z) values, negative inside; the border must be outside.
        low: (3,) position of field[0, 0, 0].
        step: distance between neighbours.

    Returns:
        Vertices (V, 3) float64 and faces (F, 3) int32, counter-clockwise seen from outside.
    """
    cells = np.array(field.shape) - 1
    corner = [field[tuple(slice(o, o + n) for o, n in zip(offset, cells, strict=True))] for offset in CORNERS]
    inside = np.sum([values < 0 for values in corner], axis=0)
    active = (inside > 0) & (inside < 8)
    number = np.full(active.shape, -1, np.int32)
    number[active] = np.arange(active.sum())
    values = np.stack([one[active] for one in corner], axis=-1)
    total, crossings = np.zeros((len(values), 3)), np.zeros(len(values))
    for a, b in EDGES:
        va, vb = values[:, a], values[:, b]
        crossed = (va < 0) != (vb < 0)
        part = np.where(crossed, va / np.where(crossed, va - vb, 1), 0)[:, None]
        place = np.array(CORNERS[a]) + part * (np.array(CORNERS[b]) - np.array(CORNERS[a]))
        total += np.where(crossed[:, None], place, 0)
        crossings += crossed
    vertices = (total / crossings[:, None] + np.argwhere(active)) * step + low
    faces = [_quads(field < 0, number, cells, axis) for axis in range(3)]
    return vertices, np.concatenate(faces).astype(np.int32)


def _quads(solid: np.ndarray, number: np.ndarray, cells: np.ndarray, axis: int) -> np.ndarray:
    """Two triangles about each crossed grid edge along `axis`."""
    u, v = (axis + 1) % 3, (axis + 2) % 3
    before = np.take(solid, range(solid.shape[axis] - 1), axis=axis)
    after = np.take(solid, range(1, solid.shape[axis]), axis=axis)
    at = np.argwhere(before != after)
    at = at[(at[:, u] > 0) & (at[:, v] > 0) & (at[:, u] < cells[u]) & (at[:, v] < cells[v])]
    leaves = before[tuple(at.T)]  # solid before, empty after: the face looks along the axis
    du, dv = np.eye(3, dtype=int)[u], np.eye(3, dtype=int)[v]
    quad = np.stack([number[tuple((at - shift).T)] for shift in (du + dv, dv, 0 * du, du)], axis=-1)
    quad = np.where(leaves[:, None], quad, quad[:, ::-1])
    return np.concatenate([quad[:, [0, 1, 2]], quad[:, [0, 2, 3]]])
