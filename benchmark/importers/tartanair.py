"""TartanAir: ENV/Easy|Hard/P000/{image_left,depth_left,flow,pose_left.txt}, also ENV/ENV/Easy/P000 as it unpacks.

Wang et al., IROS 2020; castacks/tartanair_tools, data_type.md. Depth is planar, metres, sky a far sphere. Flow is
forward, worked out from depth and cameras as if nothing moved; its mask says 0 sound, 1 hidden by something else or a
thing that moves, 10 hidden by the scene itself, 100 out of the picture. Poses are camera to world, "tx ty tz qx qy qz
qw", in NED axes: x forward, y right, z down, of the camera and of the world alike.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from openuni.benchmark.importers.base import (
    Importer,
    Raw,
    Scene,
    clip_name,
    consecutive,
    numbered_files,
    pinhole,
    stacked,
)
from openuni.benchmark.importers.formats import read_npy, read_picture, read_rows
from openuni.errors import BadInput

PINHOLE = pinhole(320, 320, 320, 240)  # data_type.md; 640 x 480
HEIGHT, WIDTH = 480, 640
SOUND, SELF_OCCLUDED = 0, 10  # flow_and_warping_error.py; the others hold flow that may be wrong
SKY_FROM_M = 1000.0  # theirs: distanceRange of flow_and_warping_error.py; the sky's sphere lies beyond
AXES = np.array([[0.0, 1, 0], [0, 0, 1], [1, 0, 0]])
"""NED camera axes -> x right, y down, z forward."""


@dataclass(frozen=True, kw_only=True)
class TartanAir(Importer):
    """TartanAir's left camera; depth, flow or both."""

    kind: ClassVar[str] = "tartanair"

    fps: float | None = 10.0
    """Ours: the data has no times."""
    sky_from_m: float = SKY_FROM_M
    """Depth from which on it is sky, metres."""

    def scenes(self) -> list[Scene]:
        """See Importer.scenes."""
        found = []
        for folder in sorted({path.parent for path in self.root.glob("**/image_left")}):
            files = numbered_files(folder / "image_left", "*_left.png")
            if files:
                where = folder.relative_to(self.root)
                # Zip files hold ENV/ENV/Easy/P000: one ENV is enough in a name.
                name = clip_name(*(part for part, _ in itertools.groupby(where.parts or (folder.resolve().name,))))
                found.append(Scene(name, where.as_posix(), consecutive(files, str(folder / "image_left"))))
        if not found:
            raise BadInput(f"{self.root} has no trajectory: no image_left/*_left.png below it. Give TartanAir's folder "
                           "with --root.")  # fmt: skip
        return found

    def read(self, scene: Scene, numbers: Sequence[int]) -> Raw:
        """See Importer.read."""
        folder = self.root / scene.folder
        raw = Raw(rgb=stacked(read_picture, [folder / "image_left" / f"{number:06d}_left.png" for number in numbers]))
        size = raw.rgb.shape[1:3]
        if (folder / "depth_left").is_dir():
            paths = [folder / "depth_left" / f"{number:06d}_left_depth.npy" for number in numbers]
            depth = np.stack([read_npy(path, size) for path in paths])
            raw.depth = np.where(depth >= self.sky_from_m, np.inf, depth)
        if (folder / "flow").is_dir():
            raw.flow, raw.occluded = self._flow(folder / "flow", numbers, size)
        if size == (HEIGHT, WIDTH):
            raw.intrinsics = np.tile(PINHOLE, (len(numbers), 1, 1))
        if (folder / "pose_left.txt").is_file():
            rows = read_rows(folder / "pose_left.txt", 7)
            total = numbered_files(folder / "image_left", "*_left.png")
            if len(rows) != len(total):
                raise BadInput(f"{folder / 'pose_left.txt'} has {len(rows)} lines, image_left {len(total)} frames.")
            raw.poses = np.stack([_pose(rows[number - min(total)], folder / "pose_left.txt") for number in numbers])
        return raw

    def _flow(self, folder: Path, numbers: Sequence[int], size: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        flow, occluded = np.full((len(numbers), *size, 2), np.nan), np.ones((len(numbers), *size), bool)
        for at, number in enumerate(numbers[:-1]):
            stem = f"{number:06d}_{number + 1:06d}"
            mask = read_npy(folder / f"{stem}_mask.npy", size, integer=True)
            moved = read_npy(folder / f"{stem}_flow.npy", (*size, 2))
            flow[at] = np.where(np.isin(mask, (SOUND, SELF_OCCLUDED))[..., None], moved, np.nan)
            occluded[at] = mask != SOUND
        return flow, occluded


def _pose(row: np.ndarray, path: Path) -> np.ndarray:
    """World to camera (4, 4). row: tx ty tz qx qy qz qw, camera to world in NED axes."""
    from scipy.spatial.transform import Rotation

    if abs(np.linalg.norm(row[3:]) - 1) > 1e-2:  # ours: text of a unit quaternion is off by 1e-6
        raise BadInput(f"{path}: quaternion {row[3:].tolist()} has not length 1.")
    pose = np.eye(4)
    pose[:3, :3] = AXES @ Rotation.from_quat(row[3:]).as_matrix().T
    pose[:3, 3] = -pose[:3, :3] @ row[:3]
    return pose
