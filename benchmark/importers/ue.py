"""Unreal Engine: frames of the Movie Render Queue as EXR, with depth and motion vectors.

Movie Render Queue writes what its post-process materials give, as channels of one multilayer EXR a frame or as files of
their own: MovieRenderQueue_WorldDepth (SceneDepth: along the optical axis, centimetres) and
MovieRenderQueue_MotionVectors. Unreal's velocity is current minus previous position on the screen, x right and y up,
-1 to 1 over the picture (Common.ush, EncodeVelocityToTexture); the material stores 0.5 + velocity / 4. The last is as
public readers of such files decode it, (R - 0.5) * 2 * width and (G - 0.5) * 2 * height; see docs/importers.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

from openuni.benchmark.importers.base import (
    Importer,
    Raw,
    Scene,
    clip_name,
    consecutive,
    numbered_files,
    pinhole,
    sides,
    to_planar,
)
from openuni.benchmark.importers.exr import channels_of, read_exr
from openuni.benchmark.importers.formats import read_picture
from openuni.benchmark.importers.invert import forward_of
from openuni.errors import BadInput, UnknownName

UNITS_M = {"cm": 0.01, "m": 1.0, "mm": 0.001}
DEPTH_KINDS = ("planar", "distance")
DIRECTIONS = ("backward", "forward")
TRANSFERS = ("linear", "srgb")
HALF_SKY = 65504.0  # the largest half: what is farther reads so, 655 m in centimetres
FLOAT_SKY_M = 10_000.0  # ours: Unreal's empty sky reads far above it, what a clip is judged on lies far below


class Encoding(NamedTuple):
    """How a motion vector is stored: px = (value - zero) * size * (x, y), size 1 or the picture's (W, H)."""

    zero: float
    x: float
    y: float
    of_picture: bool


ENCODINGS = {
    "mrq": Encoding(0.5, 2.0, -2.0, True),
    "ndc": Encoding(0.0, 0.5, -0.5, True),
    "screen": Encoding(0.0, 1.0, 1.0, True),
    "pixels": Encoding(0.0, 1.0, 1.0, False),
}
"""mrq: the material's 0 to 1. ndc: Unreal's velocity, -1 to 1 over the picture, y up. screen: part of the picture, y
down. pixels: y down."""


@dataclass(frozen=True, kw_only=True)
class Unreal(Importer):
    """Movie Render Queue's EXR. A scene is the root, or each folder in it, where the frames lie."""

    kind: ClassVar[str] = "ue"

    fps: float | None = 30.0
    """Sequencer's own default."""
    rgb_files: str = "*.exr"
    """Pattern below a scene's folder; EXR, PNG or JPEG."""
    depth_files: str | None = "*.exr"
    """None: there is no depth."""
    motion_files: str | None = "*.exr"
    """None: there is no motion."""
    rgb_channels: str = "R,G,B"
    depth_channel: str = "FinalImageMovieRenderQueue_WorldDepth.R"
    motion_channels: str = "FinalImageMovieRenderQueue_MotionVectors.R,FinalImageMovieRenderQueue_MotionVectors.G"
    rgb_transfer: str = "linear"
    """What the colours of an EXR are: linear light, or srgb, encoded already. PNG and JPEG are taken as they are."""
    unit: str = "cm"
    """Of depth: cm, m or mm."""
    depth_kind: str = "planar"
    """planar: along the optical axis. distance: along the ray, which needs `fov`."""
    fov: float | None = None
    """Horizontal field of view, degrees. With it, intrinsics are written."""
    sky_from_m: float | None = None
    """Depth from which on it is sky, metres. None: 65504 in the file's unit, the largest half; in float also 10 km."""
    motion_direction: str = "backward"
    """backward: the motion that led to this frame, Unreal's. forward: the motion to the next frame."""
    motion_encoding: str = "mrq"
    motion_scale: float = 1.0
    """A factor on top of the encoding; -1 for vectors that point the other way."""

    def check(self) -> None:
        """See Importer.check."""
        super().check()
        for what, value, known in (
            ("unit", self.unit, UNITS_M),
            ("depth kind", self.depth_kind, DEPTH_KINDS),
            ("motion direction", self.motion_direction, DIRECTIONS),
            ("motion encoding", self.motion_encoding, ENCODINGS),
            ("RGB transfer", self.rgb_transfer, TRANSFERS),
        ):
            if value not in known:
                raise UnknownName(what, value, known)
        for name, text, count in (("rgb", self.rgb_channels, 3), ("motion", self.motion_channels, 2)):
            if len(_split(text)) != count:
                raise BadInput(f"{name} channels are {text!r}; give {count} names with commas between.")
        if self.fov is not None and not 0 < self.fov < 180:
            raise BadInput(f"fov is {self.fov}; give the horizontal field of view, above 0 and below 180 degrees.")
        if self.depth_kind == "distance" and self.fov is None:
            raise BadInput("Depth along the ray needs the camera: give the horizontal field of view in degrees (fov).")
        if not (np.isfinite(self.motion_scale) and self.motion_scale):
            raise BadInput(f"motion scale is {self.motion_scale}; give a finite number, not 0.")
        if self.sky_from_m is not None and not self.sky_from_m > 0:
            raise BadInput(f"sky_from_m is {self.sky_from_m}; give metres, above 0.")
        if self.depth_files is None and self.motion_files is None:
            raise BadInput("Neither depth nor motion is to be read: there is no truth to import.")
        if self.motion_files and self.motion_direction == "backward" and not self.depth_files:
            raise BadInput(
                "Backward motion becomes forward flow with the help of depth, which tells what is hidden. Give depth, "
                "or leave motion out."
            )
        for pattern in (self.rgb_files, self.depth_files, self.motion_files):
            if pattern is not None and (not pattern or Path(pattern).is_absolute() or ".." in Path(pattern).parts):
                raise BadInput(f"Pattern {pattern!r}: write one below the scene's folder, as in *.exr or depth/*.exr.")

    def scenes(self) -> list[Scene]:
        """See Importer.scenes."""
        folders = [self.root, *sorted(path for path in self.root.iterdir() if path.is_dir())]
        found = []
        for folder in folders:
            files = numbered_files(folder, self.rgb_files)
            if files:
                name = clip_name(folder.resolve().name)
                numbers = consecutive(files, str(folder))
                found.append(Scene(name, folder.relative_to(self.root).as_posix(), numbers))
                if folder == self.root:
                    break
        if not found:
            raise BadInput(f"{self.root} has no frames {self.rgb_files!r}, nor has any folder in it. Give the folder "
                           "that Movie Render Queue wrote to, or the files' pattern.")  # fmt: skip
        return found

    def read(self, scene: Scene, numbers: Sequence[int]) -> Raw:
        """See Importer.read."""
        folder = self.root / scene.folder
        patterns = {"rgb": self.rgb_files, "depth": self.depth_files, "motion": self.motion_files}
        files = {what: numbered_files(folder, pattern) for what, pattern in patterns.items() if pattern is not None}
        frames = [self._frame(number, files) for number in numbers]
        for number, frame in zip(numbers, frames, strict=True):
            for what, array in frame.arrays.items():
                if array.shape[:2] != frames[0].arrays["rgb"].shape[:2]:
                    raise BadInput(f"{files[what][number]} is {sides(array)}, {files['rgb'][numbers[0]]} is "
                                   f"{sides(frames[0].arrays['rgb'])}: sizes must not change.")  # fmt: skip
        height, width = frames[0].arrays["rgb"].shape[:2]
        raw = Raw(rgb=np.stack([frame.arrays["rgb"] for frame in frames]), facts={"precision": frames[0].precision})
        if self.fov is not None:
            focal = width / 2 / np.tan(np.radians(self.fov) / 2)
            raw.intrinsics = np.tile(pinhole(focal, focal, (width - 1) / 2, (height - 1) / 2), (len(numbers), 1, 1))
        if self.depth_files is not None:
            raw.depth = self._metres(np.stack([frame.arrays["depth"] for frame in frames]), raw.intrinsics)
        if self.motion_files is not None:
            motion = np.stack([frame.arrays["motion"] for frame in frames])
            raw.flow, raw.occluded = self._flow(motion, raw.depth)
        return raw

    def _frame(self, number: int, files: Mapping[str, Mapping[int, Path]]) -> "_Frame":
        opened: dict[Path, dict[str, np.ndarray]] = {}
        arrays: dict[str, np.ndarray] = {}
        precision: dict[str, str] = {}
        wanted = {
            "rgb": (_split(self.rgb_channels), "--rgb-channels"),
            "depth": ([self.depth_channel], "--depth-channel"),
            "motion": (_split(self.motion_channels), "--motion-channels"),
        }
        for what, by_number in files.items():
            if number not in by_number:
                raise BadInput(f"Truth is missing for frame {number}: no {what} file of that number.")
            path = by_number[number]
            if path.suffix.lower() != ".exr":
                if what != "rgb":
                    raise BadInput(f"{path} is no EXR; depth and motion are read from EXR files alone.")
                arrays[what] = read_picture(path)
                continue
            if path not in opened:
                opened[path] = read_exr(path)
            names, option = wanted[what]
            channels = channels_of(opened[path], names, path, option)
            precision[what] = str(opened[path][names[0]].dtype)
            arrays[what] = self._colours(channels) if what == "rgb" else channels.astype(np.float64)
        arrays = {what: array[..., 0] if what == "depth" else array for what, array in arrays.items()}
        if "depth" in arrays:
            arrays["depth"] = self._sky(arrays["depth"], precision["depth"])
        return _Frame(arrays, precision)

    def _colours(self, channels: np.ndarray) -> np.ndarray:
        """(H, W, 3) uint8 of what an EXR has; sRGB's transfer function is IEC 61966-2-1."""
        light = np.clip(np.nan_to_num(channels.astype(np.float64), nan=0.0, posinf=1.0), 0, 1)
        if self.rgb_transfer == "linear":
            light = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
        return np.rint(255 * light).astype(np.uint8)

    def _sky(self, depth: np.ndarray, precision: str) -> np.ndarray:
        """Set sky to inf. depth: (H, W) in the file's unit."""
        if self.sky_from_m is not None:
            sky = depth >= self.sky_from_m / UNITS_M[self.unit]
        elif precision == "float16":
            sky = depth >= HALF_SKY
        else:  # a material of half bits may have been written to a float file, then sky is exactly the largest half
            sky = (depth >= FLOAT_SKY_M / UNITS_M[self.unit]) | (depth == HALF_SKY)
        return np.where(sky, np.inf, depth)

    def _metres(self, depth: np.ndarray, intrinsics: np.ndarray | None) -> np.ndarray:
        metres = depth * UNITS_M[self.unit]
        if self.depth_kind == "distance":
            assert intrinsics is not None  # check() has made sure
            metres = to_planar(metres, intrinsics)
        return metres

    def _flow(self, motion: np.ndarray, depth: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
        """Forward flow (T, H, W, 2) px, NaN where unknown, and occlusion where it is known."""
        encoding = ENCODINGS[self.motion_encoding]
        size = np.array(motion.shape[2:0:-1]) if encoding.of_picture else np.ones(2)
        pixels = (motion - encoding.zero) * size * [encoding.x, encoding.y] * self.motion_scale
        if self.motion_direction == "forward":
            return pixels, None
        assert depth is not None  # check() has made sure
        flow, occluded = np.full_like(pixels, np.nan), np.ones(pixels.shape[:3], bool)
        for frame in range(len(pixels) - 1):
            found = forward_of(pixels[frame + 1], depth[frame], depth[frame + 1])
            flow[frame], occluded[frame] = found.flow, ~found.known  # what is known is seen in the next frame
        return flow, occluded


class _Frame(NamedTuple):
    arrays: dict[str, Any]
    """"rgb", "depth" and "motion" as far as they are read."""
    precision: dict[str, str]
    """What of them came from EXR -> dtype of its channel."""


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
