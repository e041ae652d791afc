"""Clouds: one frame of estimated and true depth as points in space, for the page and as PLY files."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from openuni.benchmark.report.answers import Shown
from openuni.benchmark.report.error_picture import aligned_depth
from openuni.engine.atomic import write_bytes

MOST_POINTS = 6000
"""In the page, 9 bytes each; PLY files have all."""
NEAR = 2.5
"""Points of the page are nearer than so many median depths: ground up to the horizon would shrink all else to a dot."""


class Cloud(NamedTuple):
    """Points of one frame."""

    name: str
    points: np.ndarray
    """(N, 3) float32 metres: x right, y up, z towards the viewer; the camera is at 0."""
    colours: np.ndarray
    """(N, 3) uint8 RGB."""


def clouds(shown: Shown) -> list[Cloud]:
    """Return the points of the middle frame: of the truth and of the estimate, aligned as it is scored (disp-ls).

    Only pixels that are scored. Empty where there is no such answer.
    """
    truth, rgb = shown.truth, shown.rgb
    if (shown.task, shown.modality) != ("est", "depth") or truth is None or shown.map is None or rgb is None:
        return []
    if shown.map.data.shape != truth.size or (found := aligned_depth(shown.map, truth)) is None:
        return []
    if not truth.has("depth", "intrinsics"):
        return []
    depth, valid = found
    middle = len(depth) // 2
    seen, intrinsics = valid[middle], truth.intrinsics[middle]
    return [
        Cloud(name, unproject(z[middle], intrinsics)[seen].astype(np.float32), rgb[middle][seen])
        for name, z in (("truth", truth.depth), ("prediction", depth))
        if seen.any()
    ]


def unproject(depth: np.ndarray, intrinsics: np.ndarray) -> np.ndarray:
    """Turn depth into points.

    Args:
        depth: (H, W) metres along the optical axis.
        intrinsics: (3, 3) px; pixel (0, 0) is a centre.

    Returns:
        (H, W, 3) float64: x right, y up, z towards the viewer.
    """
    v, u = np.indices(depth.shape)
    x = (u - intrinsics[0, 2]) / intrinsics[0, 0] * depth
    y = (v - intrinsics[1, 2]) / intrinsics[1, 1] * depth
    return np.stack([x, -y, -depth], axis=-1)


def write_ply(path: Path, cloud: Cloud) -> None:
    """Write a binary PLY file (Turk 1994; float x, y, z, uchar red, green, blue), whole or not at all."""
    rows = np.zeros(
        len(cloud.points), [(n, "<f4") for n in ("x", "y", "z")] + [(n, "u1") for n in ("red", "green", "blue")]
    )
    for number, name in enumerate(("x", "y", "z")):
        rows[name] = cloud.points[:, number]
    for number, name in enumerate(("red", "green", "blue")):
        rows[name] = cloud.colours[:, number]
    head = ["ply", "format binary_little_endian 1.0", f"element vertex {len(rows)}"]
    head += [f"property float {name}" for name in ("x", "y", "z")]
    head += [f"property uchar {name}" for name in ("red", "green", "blue")]
    content = io.BytesIO()
    content.write("\n".join([*head, "end_header", ""]).encode())
    content.write(rows.tobytes())
    write_bytes(path, content.getvalue(), durable=False)


class Packed(NamedTuple):
    """A cloud as the page's script reads it."""

    name: str
    file: str
    """Its PLY file's name; empty where none was written."""
    positions: bytes
    """(N, 3) little-endian int16: -32767..32767 for -1..1, about the centre of the near points."""
    colours: bytes
    """(N, 3) uint8."""
    number: int


def pack(found: list[Cloud], names: Sequence[str] = ()) -> list[Packed]:
    """Thin clouds out and bring them into -1..1, all by the box of the first's near points, so that they compare.

    Points outside that box are left out. `names` are their PLY files'.
    """
    if not found:
        return []
    depth = -found[0].points[:, 2]
    near = found[0].points[depth <= NEAR * np.median(depth)]
    centre = (near.min(axis=0) + near.max(axis=0)) / 2
    size = float(np.ptp(near, axis=0).max()) / 2 or 1.0
    packed = []
    for cloud, file in zip(found, names or [""] * len(found), strict=True):
        places = (cloud.points - centre) / size
        inside = np.flatnonzero((np.abs(places) <= 1).all(axis=1))
        step = max(1, -(-len(inside) // MOST_POINTS))
        kept = inside[::step]
        positions = np.rint(places[kept] * 32767).astype("<i2")
        packed.append(Packed(cloud.name, file, positions.tobytes(), cloud.colours[kept].tobytes(), len(kept)))
    return packed
