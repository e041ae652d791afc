"""Spring: train/SCENE/{frame_left,disp1_left,flow_FW_left,cam_data}/..., truth in HDF5.

Mehl et al., CVPR 2023; cv-stuttgart/flow_library and spring_utils. Truth has twice the frames' width and height but is
in pixels of the frames; as Spring's own loader does, every second value is taken, which is of the upper left quarter of
the pixel. depth = f * 0.065 m / disparity. NaN is unknown.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
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
from openuni.benchmark.importers.formats import read_h5, read_picture, read_rows
from openuni.errors import BadInput

BASELINE_M = 0.065  # spring_utils, pointcloud.py


@dataclass(frozen=True, kw_only=True)
class Spring(Importer):
    """Spring's training scenes, left camera; flow, disparity or both. Poses are not read, see docs/importers.md."""

    kind: ClassVar[str] = "spring"

    fps: float | None = 24.0
    """The film's."""

    @property
    def base(self) -> Path:
        """The folder "train", which may be the root itself."""
        inner = self.root / "train"
        return inner if inner.is_dir() else self.root

    def scenes(self) -> list[Scene]:
        """See Importer.scenes."""
        found = []
        for folder in sorted(path for path in self.base.iterdir() if path.is_dir()):
            files = numbered_files(folder / "frame_left", "frame_left_*.png")
            if files:
                numbers = consecutive(files, str(folder / "frame_left"))
                found.append(Scene(clip_name(folder.name), folder.name, numbers))
        if not found:
            raise BadInput(f"{self.base} has no SCENE/frame_left/frame_left_*.png. Give the folder that holds Spring's "
                           "\"train\" with --root.")  # fmt: skip
        return found

    def read(self, scene: Scene, numbers: Sequence[int]) -> Raw:
        """See Importer.read."""
        folder = self.base / scene.folder

        def paths(kind: str, suffix: str, wanted: Sequence[int] = numbers) -> list[Path]:
            return [folder / kind / f"{kind}_{number:04d}{suffix}" for number in wanted]

        raw = Raw(rgb=stacked(read_picture, paths("frame_left", ".png")))
        if (folder / "cam_data" / "intrinsics.txt").is_file():
            rows = read_rows(folder / "cam_data" / "intrinsics.txt", 4)
            if len(rows) < max(numbers):
                raise BadInput(f"{folder / 'cam_data' / 'intrinsics.txt'} ends before frame {max(numbers)}.")
            raw.intrinsics = np.stack([pinhole(*rows[number - 1]) for number in numbers])
        if (folder / "disp1_left").is_dir():
            if raw.intrinsics is None:
                raise BadInput(f"{folder / 'cam_data' / 'intrinsics.txt'} is missing: depth needs the focal length.")
            disparity = stacked(partial(read_h5, name="disparity", channels=1), paths("disp1_left", ".dsp5"))
            disparity = _halved(disparity, raw.rgb, "disparity").astype(np.float64)
            with np.errstate(divide="ignore"):
                # Left to right, disparity is kept without its sign; 0 is infinitely far.
                raw.depth = raw.intrinsics[:, 0, 0, None, None] * BASELINE_M / np.abs(disparity)
        if (folder / "flow_FW_left").is_dir():
            raw.flow = np.full((*raw.rgb.shape[:3], 2), np.nan)
            if len(numbers) > 1:
                flow = stacked(partial(read_h5, name="flow", channels=2), paths("flow_FW_left", ".flo5", numbers[:-1]))
                raw.flow[:-1] = _halved(flow, raw.rgb[:-1], "flow")
        return raw


def _halved(truth: np.ndarray, rgb: np.ndarray, kind: str) -> np.ndarray:
    """Take every second value where truth is twice as large as the frames."""
    halved = truth[:, ::2, ::2] if truth.shape[1:3] == (2 * rgb.shape[1], 2 * rgb.shape[2]) else truth
    if halved.shape[1:3] != rgb.shape[1:3]:
        given, wanted = (f"{one.shape[2]}x{one.shape[1]}" for one in (truth, rgb))
        raise BadInput(f"{kind} is {given}, frames are {wanted}: truth must have the frames' size, or twice that.")
    return halved
