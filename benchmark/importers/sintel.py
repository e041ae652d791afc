"""MPI Sintel: training/{clean,final,flow,occlusions,invalid,depth,camdata_left}/SCENE/frame_0001.*.

Butler et al., "A naturalistic open source movie for optical flow evaluation", ECCV 2012; the depth download adds depth
and cameras. Flow is forward and ends one frame early; .flo, .dpt and .cam begin with the same tag. Occlusions are white
where the point is not seen in the next frame, "invalid" where flow must not be trusted.
"""

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
    fitting,
    numbered_files,
    stacked,
    with_last,
)
from openuni.benchmark.importers.formats import read_cam, read_dpt, read_flo, read_mask, read_picture
from openuni.errors import BadInput, UnknownName

PASSES = ("final", "clean")


@dataclass(frozen=True, kw_only=True)
class Sintel(Importer):
    """MPI Sintel's training scenes, of which flow, depth or both were downloaded."""

    kind: ClassVar[str] = "sintel"

    fps: float | None = 24.0
    """The film's."""
    rgb: str = "final"
    """final or clean pass."""
    sky_from_m: float | None = None
    """Depth from which on it is sky, in Sintel's unit. None: depth stays as it is, the far background finite."""

    def check(self) -> None:
        """See Importer.check."""
        super().check()
        if self.rgb not in PASSES:
            raise UnknownName("Sintel pass", self.rgb, PASSES)

    @property
    def base(self) -> Path:
        """The folder "training", which may be the root itself."""
        inner = self.root / "training"
        return inner if inner.is_dir() else self.root

    def scenes(self) -> list[Scene]:
        """See Importer.scenes."""
        pictures = self.base / self.rgb
        if not pictures.is_dir():
            raise BadInput(f"{self.base} has no folder {self.rgb!r}: Sintel's training frames lie there. Give the "
                           "folder that holds \"training\" with --root.")  # fmt: skip
        if not any((self.base / name).is_dir() for name in ("flow", "depth")):
            raise BadInput(f'{self.base} has neither "flow" nor "depth": there is no truth to import.')
        found = []
        for folder in sorted(path for path in pictures.iterdir() if path.is_dir()):
            files = numbered_files(folder, "frame_*.png")
            if files:
                found.append(Scene(clip_name(folder.name), folder.name, consecutive(files, str(folder))))
        if not found:
            raise BadInput(f"{pictures} holds no scene with frame_*.png. Give Sintel's folder with --root.")
        return found

    def read(self, scene: Scene, numbers: Sequence[int]) -> Raw:
        """See Importer.read."""

        def paths(kind: str, suffix: str, wanted: Sequence[int] = numbers) -> list[Path]:
            return [self.base / kind / scene.folder / f"frame_{number:04d}{suffix}" for number in wanted]

        def there(kind: str) -> bool:
            return (self.base / kind).is_dir()

        raw = Raw(rgb=stacked(read_picture, paths(self.rgb, ".png")))
        moving = numbers[:-1]  # of the last frame no flow is used, and of a scene's last there is none
        if there("flow") and moving:
            raw.flow = fitting("flow", with_last(stacked(read_flo, paths("flow", ".flo", moving)), np.nan), raw.rgb)
            if there("invalid"):
                invalid = fitting("invalid", stacked(read_mask, paths("invalid", ".png")), raw.rgb)
                raw.flow = np.where(invalid[..., None] > 0, np.nan, raw.flow)
            if there("occlusions"):
                raw.occluded = with_last(stacked(read_mask, paths("occlusions", ".png", moving)), 255) > 0
        if there("depth"):
            raw.depth = stacked(read_dpt, paths("depth", ".dpt"))
            if self.sky_from_m is not None:
                raw.depth = np.where(raw.depth >= self.sky_from_m, np.inf, raw.depth)
        if there("camdata_left"):
            cameras = [read_cam(path) for path in paths("camdata_left", ".cam")]
            raw.intrinsics = np.stack([camera[0] for camera in cameras])
            raw.poses = np.stack([camera[1] for camera in cameras])
        return raw
