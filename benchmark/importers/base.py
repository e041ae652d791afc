"""Importer: what every reader of a dataset is, and what is done to all clips alike before they are written."""

import dataclasses
import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

from openuni.benchmark.synth.render import RenderedClip
from openuni.benchmark.synth.truth import MAX_FLOW_PX, UNKNOWN_GLASS, Truth
from openuni.errors import BadInput

MAX_INSTANCES = 255  # ids are uint8 on disk


class Scene(NamedTuple):
    """A sequence of frames under the root."""

    name: str
    """A clip's name: letters, digits, ".", "_" and "-"."""
    folder: str
    """Where it lies, relative to the root."""
    numbers: tuple[int, ...]
    """The frames' numbers as in the file names, consecutive."""


@dataclass(kw_only=True)
class Raw:
    """What an importer read of a clip: T frames of H x W pixels, in openuni's units and axes but not yet checked."""

    rgb: np.ndarray
    """(T, H, W, 3) uint8."""
    depth: np.ndarray | None = None
    """(T, H, W) metres along the optical axis; inf is sky; NaN, 0 and negative is unknown."""
    flow: np.ndarray | None = None
    """(T, H, W, 2) px (dx, dy) from t to t + 1; not finite is unknown. What stands in the last frame is not used."""
    occluded: np.ndarray | None = None
    """(T, H, W) bool."""
    segmentation: np.ndarray | None = None
    """(T, H, W) integer instance id, stable over time, 0 background."""
    intrinsics: np.ndarray | None = None
    """(T, 3, 3) px."""
    poses: np.ndarray | None = None
    """(T, 4, 4) world to camera, x right, y down, z forward."""
    fps: float | None = None
    """Frame rate, if the data tells it."""
    caption: str = ""
    facts: dict[str, Any] = field(default_factory=dict)
    """JSON-able; what a reader of the truth should know of where it is from."""


@dataclass(frozen=True, kw_only=True)
class Importer:
    """Base of all importers. Fields are options: they are recorded, and set with `--set name=value`. Pickles."""

    kind: ClassVar[str]
    """Its name in IMPORTERS; the family of its clips and what their index calls the tier."""

    root: Path
    fps: float | None = None
    """Frames a second. None: what the data says."""
    frames: str | None = None
    """"FIRST:LAST", numbers as in the file names, both included; either may be left out. None: all."""
    clip_frames: int = 100
    """Longer scenes are cut into clips of at most so many frames, of equal length but for one frame."""

    def check(self) -> None:
        """Raise BadInput unless the options can be used."""
        if self.fps is not None and not (np.isfinite(self.fps) and self.fps > 0):
            raise BadInput(f"--fps is {self.fps}; give a positive number.")
        if self.clip_frames < 2:
            raise BadInput(f"--clip-frames is {self.clip_frames}; give at least 2: flow needs a next frame.")
        if not self.root.is_dir():
            raise BadInput(f"{self.root} is no folder. Give the folder of {self.kind} data with --root.")
        self._range()

    def scenes(self) -> list[Scene]:
        """List what there is under the root, by name.

        Raises:
            BadInput: nothing that this importer knows.
        """
        raise NotImplementedError

    def read(self, scene: Scene, numbers: Sequence[int]) -> Raw:
        """Read some consecutive frames of a scene.

        Raises:
            BadInput: a file is missing, damaged, or does not fit the others; the message names it.
        """
        raise NotImplementedError

    def options(self) -> dict[str, Any]:
        """Return the options but for the root: JSON-able values."""
        return {name: value for name, value in dataclasses.asdict(self).items() if name != "root"}

    def clips(self) -> Iterator[tuple[str, Scene, tuple[int, ...]]]:
        """Yield the name, the scene and the frames of every clip.

        Raises:
            BadInput: see `scenes`; two scenes have one name; no frame is in the range.
        """
        first, last = self._range()
        seen: dict[str, Scene] = {}
        for scene in self.scenes():
            if scene.name in seen:
                raise BadInput(f"{seen[scene.name].folder} and {scene.folder} both give the clip name {scene.name!r}.")
            seen[scene.name] = scene
            numbers = [number for number in scene.numbers if first <= number <= last]
            if not numbers:
                continue
            parts = -(-len(numbers) // self.clip_frames)
            for part, chosen in enumerate(np.array_split(np.array(numbers), parts)):
                name = scene.name if parts == 1 else f"{scene.name}-{part:03d}"
                yield name, scene, tuple(int(number) for number in chosen)

    def _range(self) -> tuple[float, float]:
        if self.frames is None:
            return -np.inf, np.inf
        found = re.fullmatch(r"(\d*):(\d*)", self.frames)
        if not found:
            raise BadInput(f"--frames is {self.frames!r}; write FIRST:LAST, numbers as in the file names, as in 1:48.")
        first = float(found[1]) if found[1] else -np.inf
        last = float(found[2]) if found[2] else np.inf
        if first > last:
            raise BadInput(f"--frames is {self.frames!r}: the first is behind the last.")
        return first, last


def finish(name: str, raw: Raw, importer: Importer) -> RenderedClip:
    """Check what was read and bring it to the form of a rendered clip.

    Depth that is no positive number becomes NaN. Flow that is unknown or longer than MAX_FLOW_PX becomes zeros that
    are not valid; the last frame's has no meaning. Pictures of odd sides lose their last row or column, because mp4
    cannot hold them; what then lands outside is occluded.

    Args:
        name: the clip's name.
        raw: what was read.
        importer: by whom.

    Raises:
        BadInput: shapes do not fit each other, or there is no truth.
    """
    _check_shapes(name, raw)
    fps = raw.fps if importer.fps is None else importer.fps
    if fps is None or not (np.isfinite(fps) and fps > 0):
        raise BadInput(f"{name}: the data tells no usable frame rate ({fps}). Give one with --fps.")
    arrays: dict[str, np.ndarray] = {}
    height, width = (side - side % 2 for side in raw.rgb.shape[1:3])
    facts = {**raw.facts, "importer": importer.kind, "options": importer.options()}
    if (height, width) != raw.rgb.shape[1:3]:
        facts["cropped_from"] = list(raw.rgb.shape[1:3])
    if raw.depth is not None:
        depth = raw.depth[:, :height, :width].astype(np.float32)
        arrays["depth"] = np.where(depth > 0, depth, np.float32(np.nan))
    if raw.flow is not None:
        arrays |= _motion(raw.flow[:, :height, :width], raw.occluded)
    if raw.segmentation is not None:
        arrays["segmentation"] = _ids(name, raw.segmentation[:, :height, :width])
    for key, matrix in (("intrinsics", raw.intrinsics), ("poses", raw.poses)):
        if matrix is not None:
            arrays[key] = matrix.astype(np.float64)
    truth = Truth(**arrays, behind_glass=UNKNOWN_GLASS, classes=None)
    rgb = np.ascontiguousarray(raw.rgb[:, :height, :width])
    return RenderedClip(
        name=name, family=importer.kind, seed=None, caption=raw.caption, fps=float(fps), tier=importer.kind, rgb=rgb,
        truth=truth, facts=facts,
    )  # fmt: skip


def _check_shapes(name: str, raw: Raw) -> None:
    frames, height, width = raw.rgb.shape[:3]
    if height < 2 or width < 2:
        raise BadInput(f"{name}: frames of {width}x{height} are too small for a video.")
    pictures = {"depth": raw.depth, "flow": raw.flow, "occluded": raw.occluded, "segmentation": raw.segmentation}
    if raw.depth is None and raw.flow is None and raw.segmentation is None:
        raise BadInput(f"{name}: there is no truth beside the frames: neither depth nor flow nor masks.")
    for kind, array in pictures.items():
        if array is not None:
            fitting(f"{name}: {kind}", array, raw.rgb)
    for kind, array in (("intrinsics", raw.intrinsics), ("poses", raw.poses)):
        if array is not None and not (len(array) == frames and np.isfinite(array).all()):
            raise BadInput(f"{name}: {kind} must be finite, one for each of {frames} frames.")


def _motion(flow: np.ndarray, occluded: np.ndarray | None) -> dict[str, np.ndarray]:
    height, width = flow.shape[1:3]
    with np.errstate(invalid="ignore"):
        valid = (np.abs(flow) <= MAX_FLOW_PX).all(axis=-1)
    valid[-1] = False
    flow = np.where(valid[..., None], flow, 0).astype(np.float32)
    arrays = {"flow": flow, "flow_valid": valid}
    if occluded is not None:
        rows, columns = np.indices((height, width))
        landed = np.rint(flow + np.stack([columns, rows], axis=-1))
        inside = ((landed >= 0) & (landed < [width, height])).all(axis=-1)
        arrays["occluded"] = occluded[:, :height, :width] | ~inside | ~valid
    return arrays


def _ids(name: str, segmentation: np.ndarray) -> np.ndarray:
    if segmentation.min() < 0 or segmentation.max() > MAX_INSTANCES:
        given = f"{segmentation.min()} to {segmentation.max()}"
        raise BadInput(f"{name}: instance ids must be 0 to {MAX_INSTANCES}, got {given}.")
    return segmentation.astype(np.uint8)


def numbered_files(folder: Path, pattern: str) -> dict[int, Path]:
    """Return the files that match a pattern by their frame number: the last run of digits of their names.

    Args:
        folder: where they lie.
        pattern: as in a shell, relative to the folder: "*.exr", "depth/*.exr".

    Raises:
        BadInput: a name has no number; two files have one number; a number is missing in between.
    """
    found: dict[int, Path] = {}
    for path in sorted(folder.glob(pattern)):
        digits = re.findall(r"\d+", path.stem)
        if not digits:
            raise BadInput(f"{path} has no frame number in its name. Choose files with a narrower pattern.")
        number = int(digits[-1])
        if number in found:
            raise BadInput(f"Frame {number} has two files, {found[number]} and {path}. Choose with a narrower pattern.")
        found[number] = path
    return dict(sorted(found.items()))


def consecutive(found: Mapping[int, Path], what: str) -> tuple[int, ...]:
    """Return the numbers of frames.

    Raises:
        BadInput: one is missing in between.
    """
    numbers = sorted(found)
    for before, number in itertools.pairwise(numbers):
        if number != before + 1:
            raise BadInput(f"{what}: frame {before + 1} is missing between {found[before].name} and "
                           f"{found[number].name}. Choose files or a range without gaps.")  # fmt: skip
    return tuple(numbers)


def stacked(read: Callable[[Path], np.ndarray], paths: Sequence[Path]) -> np.ndarray:
    """Read files of one shape.

    Raises:
        BadInput: a file is missing, or its shape is not that of the first.
    """
    arrays: list[np.ndarray] = []
    for path in paths:
        array = read(path)
        if arrays and array.shape != arrays[0].shape:
            raise BadInput(f"{path} is {sides(array)}, {paths[0].name} is {sides(arrays[0])}: sizes must not change.")
        arrays.append(array)
    return np.stack(arrays)


def with_last(array: np.ndarray, value: float) -> np.ndarray:
    """Put a frame of one value behind what there is of all frames but the last."""
    return np.concatenate([array, np.full((1, *array.shape[1:]), value, array.dtype)])


def fitting(kind: str, array: np.ndarray, rgb: np.ndarray) -> np.ndarray:
    """Return the array.

    Raises:
        BadInput: it has not the frames' number or size.
    """
    if array.shape[:3] != rgb.shape[:3]:
        given, wanted = (f"{len(one)} frames of {one.shape[2]}x{one.shape[1]}" for one in (array, rgb))
        raise BadInput(f"{kind} has {given}, RGB {wanted}: there must be as many, of one size.")
    return array


def sides(array: np.ndarray) -> str:
    """Say the size of a picture."""
    return f"{array.shape[1]}x{array.shape[0]}" if array.ndim > 1 else str(array.shape)


def clip_name(*parts: str) -> str:
    """Join the names of folders to a clip's name that is safe as a folder's."""
    text = re.sub(r"[^A-Za-z0-9._-]+", "_", "-".join(part for part in parts if part))
    return text.lstrip(".") or "clip"


def pinhole(fx: float, fy: float, cx: float, cy: float) -> np.ndarray:
    """Return (3, 3) float64 intrinsics."""
    return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]], np.float64)


def to_planar(distance: np.ndarray, intrinsics: np.ndarray) -> np.ndarray:
    """Turn distances along the ray into depth along the optical axis.

    Args:
        distance: (T, H, W).
        intrinsics: (T, 3, 3) px.

    Returns:
        (T, H, W) float64: distance / |ray|, where the ray through a pixel has z = 1.
    """
    height, width = distance.shape[1:]
    fx, fy = intrinsics[:, 0, 0, None, None], intrinsics[:, 1, 1, None, None]
    cx, cy = intrinsics[:, 0, 2, None, None], intrinsics[:, 1, 2, None, None]
    x, y = (np.arange(width) - cx) / fx, (np.arange(height)[:, None] - cy) / fy
    planar: np.ndarray = distance.astype(np.float64) / np.sqrt(1 + x**2 + y**2)
    return planar
