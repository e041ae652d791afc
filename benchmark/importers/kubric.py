"""Kubric: SCENE/{rgba,depth,forward_flow,segmentation}_00000.* with metadata.json and data_ranges.json.

Greff et al., CVPR 2022; google-research/kubric, file_io.py and challenges/movi. Depth is the distance to the camera's
centre, 1e10 is background. Flow is a 16-bit PNG of (down, right, nothing) between the least and the greatest value
of the whole clip, cut and not rounded by the writer: half a step is added back. Cameras are Blender's: they look along
-z, y is up; quaternions are w, x, y, z.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

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
    to_planar,
)
from openuni.benchmark.importers.formats import read_float_tiff, read_json, read_mask, read_picture, read_png16
from openuni.errors import BadInput

TOP_CODE = 65535
BACKGROUND = 1e9  # ours: a tenth of what Kubric writes where no ray meets anything, 1e10 and more
LOOK = np.diag([1.0, -1, -1])
"""Blender's camera axes -> x right, y down, z forward."""


@dataclass(frozen=True, kw_only=True)
class Kubric(Importer):
    """Kubric's own output folders, as its workers write them (MOVi and others)."""

    kind: ClassVar[str] = "kubric"

    def scenes(self) -> list[Scene]:
        """See Importer.scenes."""
        folders = sorted({path.parent for path in self.root.glob("**/metadata.json")})
        found = []
        for folder in folders:
            files = numbered_files(folder, "rgba_*.png")
            if files:
                where = folder.relative_to(self.root)
                name = clip_name(*where.parts) if where.parts else clip_name(folder.resolve().name)
                found.append(Scene(name, where.as_posix(), consecutive(files, str(folder))))
        if not found:
            raise BadInput(f"{self.root} has no Kubric scene: no folder with metadata.json and rgba_*.png. Give "
                           "Kubric's output with --root.")  # fmt: skip
        return found

    def read(self, scene: Scene, numbers: Sequence[int]) -> Raw:
        """See Importer.read."""
        folder = self.root / scene.folder
        about = _Metadata(folder / "metadata.json")

        def paths(kind: str, suffix: str = ".png") -> list[Path]:
            return [folder / f"{kind}_{number:05d}{suffix}" for number in numbers]

        def there(kind: str) -> bool:
            return next(folder.glob(f"{kind}_*"), None) is not None

        raw = Raw(rgb=stacked(read_picture, paths("rgba")), fps=about.fps())
        height, width = raw.rgb.shape[1:3]
        raw.intrinsics = np.tile(about.intrinsics(height, width), (len(numbers), 1, 1))
        raw.poses = about.poses(numbers)
        if there("depth"):
            distance = stacked(read_float_tiff, paths("depth", ".tiff")).astype(np.float64)
            raw.depth = to_planar(np.where(distance >= BACKGROUND, np.inf, distance), raw.intrinsics)
        if there("forward_flow"):
            raw.flow, raw.facts["flow_step_px"] = self._flow(folder, paths("forward_flow"))
        if there("segmentation"):
            raw.segmentation = stacked(read_mask, paths("segmentation"))
        return raw

    def _flow(self, folder: Path, paths: Sequence[Path]) -> tuple[np.ndarray, float]:
        """Flow (T, H, W, 2) px, and how far apart two values are."""
        path = folder / "data_ranges.json"
        try:
            ranges = read_json(path)["forward_flow"]
            low, high = float(ranges["min"]), float(ranges["max"])
        except (TypeError, KeyError, ValueError) as error:
            raise BadInput(f"{path} has no forward_flow with min and max.") from error
        if not (np.isfinite(low) and np.isfinite(high) and low <= high):
            raise BadInput(f"{path}: forward_flow from {low} to {high} is no range.")
        step = (high - low) / TOP_CODE
        codes = stacked(read_png16, paths)[..., :2].astype(np.float64)
        # The greatest value alone is stored exactly.
        values = low + step * (codes + np.where(codes < TOP_CODE, 0.5, 0))
        return values[..., ::-1], step


class _Metadata:
    """What metadata.json says of the camera. Nothing in it is taken for a path."""

    def __init__(self, path: Path) -> None:
        self._path, self._about = path, read_json(path)

    def fps(self) -> float | None:
        """Frame rate, if it is told."""
        rate = self._get("metadata", "frame_rate", optional=True)
        return None if rate is None else self._numbers(rate, ())[()].item()

    def intrinsics(self, height: int, width: int) -> np.ndarray:
        """(3, 3) px. Blender fits the sensor to the longer side; Kubric's pictures are square or wide."""
        focal = self._numbers(self._get("camera", "focal_length"), ())
        sensor = self._numbers(self._get("camera", "sensor_width"), ())
        if not (focal > 0 and sensor > 0):
            raise BadInput(f"{self._path}: focal_length {focal} and sensor_width {sensor} must be above 0.")
        focal_px = float(focal / sensor * max(width, height))
        return pinhole(focal_px, focal_px, (width - 1) / 2, (height - 1) / 2)

    def poses(self, numbers: Sequence[int]) -> np.ndarray:
        """World to camera (T, 4, 4)."""
        from scipy.spatial.transform import Rotation

        places = self._numbers(self._get("camera", "positions"), (None, 3))
        turns = self._numbers(self._get("camera", "quaternions"), (None, 4))
        if min(len(places), len(turns)) <= max(numbers):
            raise BadInput(f"{self._path}: the camera's positions end before frame {max(numbers)}.")
        poses = np.tile(np.eye(4), (len(numbers), 1, 1))
        for at, number in enumerate(numbers):
            if not np.isclose(np.linalg.norm(turns[number]), 1, atol=1e-2):  # ours: float32 of a unit quaternion
                raise BadInput(f"{self._path}: quaternion {turns[number].tolist()} has not length 1.")
            turn = Rotation.from_quat(turns[number][[1, 2, 3, 0]]).as_matrix()
            poses[at, :3, :3] = LOOK @ turn.T
            poses[at, :3, 3] = -poses[at, :3, :3] @ places[number]
        return poses

    def _get(self, *keys: str, optional: bool = False) -> Any:
        value = self._about
        for key in keys:
            if not isinstance(value, dict) or key not in value:
                if optional:
                    return None
                raise BadInput(f"{self._path} does not tell {'.'.join(keys)}.")
            value = value[key]
        return value

    def _numbers(self, value: Any, shape: tuple[int | None, ...]) -> np.ndarray:
        try:
            array = np.array(value, np.float64)
        except (TypeError, ValueError) as error:
            raise BadInput(f"{self._path}: {str(value)[:60]!r} is not made of numbers.") from error
        fits = array.ndim == len(shape) and all(w in (None, g) for w, g in zip(shape, array.shape, strict=True))
        if not (fits and np.isfinite(array).all()):
            raise BadInput(f"{self._path}: {str(value)[:60]!r} must be finite numbers of shape {shape}.")
        return array
