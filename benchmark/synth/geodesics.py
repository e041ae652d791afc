"""Geodesics: distances along the rest body's skin, for DensePose's GPS, and the recipe of body_distances.npz.

    python -m openuni.benchmark.synth.geodesics OUT.npz          # minutes; needs nothing else

Shortest paths are Dijkstra's on a graph of the mesh's vertices and of points on its edges, in which any two points of
one triangle are joined by their straight line. Paths on it are a little too long, by less the more points an edge has:
on the body by 0.7 % on average and 3 % at most, against pygeodesic's exact ones from six vertices. The npz holds
distances between landmarks that are spread evenly over the body, and what leads from part, U, V to a surface point and
its landmark. openuni/benchmark/metrics/body_distance.py reads it and says how large errors are.
"""

import itertools
import sys
from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra
from scipy.spatial import cKDTree

from openuni.benchmark.synth.body import CHARTS, REST_HEIGHT, Body, body_of
from openuni.benchmark.synth.npz import write_npz
from openuni.benchmark.synth.rotation import dot, length

EDGE_POINTS = 3  # ours: paths 1.0 % too long on a prism of right triangles; 0, 1 and 2 give 14, 3.3 and 2.2 %
LANDMARKS = 1000  # ours: 19 cm^2 of skin each; 2,000 halve the error and make a file of four times the size
CELLS = 64  # of a part's U and of its V: at most a centimetre on the thigh
CM = 100
PARTS = 24


def surface_graph(vertices: np.ndarray, faces: np.ndarray, edge_points: int = EDGE_POINTS) -> csr_matrix:
    """Make the graph of a triangle mesh.

    Args:
        vertices: (V, 3) metres.
        faces: (F, 3) int.
        edge_points: further points on each edge, evenly spread.

    Returns:
        (N, N) lengths, upper triangle only; the first V nodes are the vertices.
    """
    sides = np.sort(faces[:, [[0, 1], [1, 2], [2, 0]]], axis=-1)  # (F, 3, 2)
    edges, number = np.unique(sides.reshape(-1, 2), axis=0, return_inverse=True)
    number = number.reshape(-1, 3)
    parts = np.arange(1, edge_points + 1) / (edge_points + 1)
    between = vertices[edges[:, :1]] * (1 - parts[None, :, None]) + vertices[edges[:, 1:]] * parts[None, :, None]
    points = np.concatenate([vertices, between.reshape(-1, 3)])
    on_edge = len(vertices) + number[..., None] * edge_points + np.arange(edge_points)  # (F, 3, edge_points)
    nodes = np.concatenate([faces, on_edge.reshape(len(faces), -1)], axis=1)
    pairs = np.array(list(itertools.combinations(range(nodes.shape[1]), 2)))
    ends = np.unique(np.sort(nodes[:, pairs].reshape(-1, 2), axis=1), axis=0)
    far = length(points[ends[:, 0]] - points[ends[:, 1]])
    # Points of two corners at one place are 0 apart, which a sparse matrix would take for no edge.
    return csr_matrix((np.maximum(far, 1e-9), (ends[:, 0], ends[:, 1])), shape=(len(points),) * 2)


def spread(graph: csr_matrix, among: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Choose landmarks, each as far as possible from those before.

    Args:
        graph: see `surface_graph`.
        among: the first so many nodes can be landmarks.
        count: how many.

    Returns:
        Nodes (count,) and their distances to the first `among` nodes, (count, among) float32 metres.
    """
    chosen, rows = [0], []
    nearest = np.full(among, np.inf)
    for _ in range(count):
        far = dijkstra(graph, directed=False, indices=chosen[-1])[:among]
        rows.append(far.astype(np.float32))
        nearest = np.minimum(nearest, far)
        chosen.append(int(np.argmax(nearest)))
    return np.array(chosen[:count]), np.stack(rows)


def vertex_charts(body: Body) -> tuple[np.ndarray, np.ndarray]:
    """Return part (V,) uint8 and U, V (V, 2) of a body's vertices."""
    face, corner = np.zeros((2, len(body.vertices)), np.int64)
    for place in range(3):
        face[body.faces[:, place]], corner[body.faces[:, place]] = np.arange(len(body.faces)), place
    return body.chart(face, np.eye(3)[corner])


def chart_table(body: Body, part: np.ndarray, uv: np.ndarray) -> np.ndarray:
    """Return (24, CELLS, CELLS) uint16: the vertex nearest to the middle of each cell of a part's V (rows) and U."""
    steps = (np.arange(CELLS) + 0.5) / CELLS
    v, u = np.meshgrid(steps, steps, indexing="ij")
    table = np.zeros((PARTS, CELLS, CELLS), np.uint16)
    for number in range(1, PARTS + 1):
        mine = np.flatnonzero(part == number)
        chart = next(one for one in CHARTS if number in one.parts)
        metres = _chart_metres(chart.root, chart.end, chart.parts[0] == chart.parts[1], body.vertices[mine])
        turns = (-1, 0, 1) if chart.parts[0] == chart.parts[1] else (0,)  # U of a whole turn starts again at 1
        places = np.concatenate([(uv[mine] + [turn, 0]) * metres for turn in turns])
        found = cKDTree(places).query(np.stack([u, v], axis=-1) * metres)[1]
        table[number - 1] = np.tile(mine, len(turns))[found]
    return table


def _chart_metres(root: np.ndarray, end: np.ndarray, whole: bool, points: np.ndarray) -> np.ndarray:
    """Metres on the skin of U and of V from 0 to 1: the mean way around and the way along."""
    reach = float(length(end - root))
    axis = (end - root) / reach
    away = points - root
    radius = float(length(away - dot(away, axis)[:, None] * axis).mean())
    return np.array([(2 if whole else 1) * np.pi * radius, reach / 0.8])


def make(landmarks: int = LANDMARKS) -> dict[str, np.ndarray]:
    """Make the arrays of body_distances.npz."""
    body = body_of(REST_HEIGHT, 1.0)
    graph = surface_graph(body.vertices, body.faces)
    chosen, far = spread(graph, len(body.vertices), landmarks)
    if not np.isfinite(far).all():
        raise ValueError("the body's mesh is not in one piece")
    # In the order of height, so that neighbours in the file are alike and it packs well.
    order = np.argsort(body.vertices[chosen, 2], kind="stable")
    chosen, far = chosen[order], far[order]
    between = np.rint(CM * (far[:, chosen] + far[:, chosen].T) / 2).astype(np.uint8)
    part, uv = vertex_charts(body)
    return {
        "table": chart_table(body, part, uv),
        "points": body.vertices.astype(np.float16),
        "landmark": far.argmin(axis=0).astype(np.uint16),
        "centimetres": between[np.triu_indices(landmarks, 1)],
    }


if __name__ == "__main__":
    Path(sys.argv[1]).write_bytes(write_npz(make(), level=9))
