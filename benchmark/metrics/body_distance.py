"""Distances along the skin of our rest body, 1.75 m tall, between points that are given as DensePose part, U and V.

body_distances.npz is made by `python -m openuni.benchmark.synth.geodesics`, which says how.

    table        (24, 64, 64) uint16: the surface point of a part's V (rows) and U (columns)
    points       (S, 3) float16 metres in the rest pose
    landmark     (S,) uint16: the landmark that is nearest along the skin
    centimetres  between landmarks, the upper triangle row by row, uint8

Points whose landmarks are farther apart than NEAR_M are as far apart as these; nearer ones, on one side of the body,
as a straight line says. Measured from 40 of the 10,522 points to all: 1.5 cm off on average, 4.4 cm in one of a
hundred, 6.5 cm at most; the test repeats it with two.
"""

from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

FILE = Path(__file__).with_name("body_distances.npz")
NEAR_M = 0.06  # ours: between the distance of neighbouring landmarks, 4 to 5 cm, and the thickness of a forearm
CM = 100


class _Body(NamedTuple):
    table: np.ndarray
    points: np.ndarray
    landmark: np.ndarray
    metres: np.ndarray
    """(L, L) float32."""


@cache
def _body() -> _Body:
    with np.load(FILE, allow_pickle=False) as file:
        packed = {name: file[name] for name in file.files}
    count = int(packed["landmark"].max()) + 1
    metres = np.zeros((count, count), np.float32)
    metres[np.triu_indices(count, 1)] = packed["centimetres"].astype(np.float32) / CM
    return _Body(packed["table"], packed["points"].astype(np.float32), packed["landmark"], metres + metres.T)


def surface_points(part: np.ndarray, uv: np.ndarray) -> np.ndarray:
    """Return (N,) numbers of surface points.

    Args:
        part: (N,) 1-24.
        uv: (N, 2) float 0..1.
    """
    table = _body().table
    cell = np.clip((np.asarray(uv, np.float64) * table.shape[1]).astype(np.int64), 0, table.shape[1] - 1)
    found: np.ndarray = table[np.asarray(part, np.int64) - 1, cell[:, 1], cell[:, 0]]
    return found


def skin_distances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return (N,) float32 metres along the skin between pairs of `surface_points`; 0 for the same point."""
    body = _body()
    far = body.metres[body.landmark[first], body.landmark[second]]
    straight = np.linalg.norm(body.points[first] - body.points[second], axis=-1)
    distances: np.ndarray = np.where(far > NEAR_M, far, straight).astype(np.float32)
    return distances
