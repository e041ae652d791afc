"""The released UniBench (KlingTeam/UniBench): a table beside videos, of which the estimation suites can use the truth.

Colours carry no truth of depth and flow: 256 levels of disparity on an unknown scale, and directions without pixels.
They are left out with the reason; depth and flow as numbers (.npz, .npy, .exr, .flo, 16-bit PNG) are truth. Instance
masks are truth in colours too. Formats are those of preds: (docs/bench.md); the layout: released_table.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from openuni.benchmark.importers.base import Importer, Raw, Scene, with_last
from openuni.benchmark.importers.released_table import Row, read_rows
from openuni.benchmark.preds.maps import CLUSTERS, Reading, read_prediction_map
from openuni.errors import BadInput, UnknownName
from openuni.table import RENDERINGS

NUMBERS = (".npz", ".npy", ".exr", ".flo")
"""Endings of files that hold numbers; a folder of frames may."""
TRUTH = ("depth", "flow", "segmentation")
"""What an imported clip may have of truth; joints and parts need more than a table has."""


@dataclass(frozen=True, kw_only=True)
class Released(Importer):
    """The released UniBench: CSV with a column for the video, the caption and each modality."""

    kind: ClassVar[str] = "released"

    rendering: str = "paper"
    """How colours were drawn: own, paper, tiny, vace; clusters for instances of an unknown palette."""
    depth_scale: float = 1.0
    """Metres of a number of depth."""

    def check(self) -> None:
        """See Importer.check."""
        super().check()
        if self.rendering not in (*RENDERINGS, CLUSTERS):
            raise UnknownName("rendering", self.rendering, (*RENDERINGS, CLUSTERS))

    def scenes(self) -> list[Scene]:
        """See Importer.scenes: the rows with a map that can be truth. Those whose video is missing fail one by one."""
        rows = [row for row in _rows(self.root).values() if any(_may_be_truth(row, name) for name in TRUTH)]
        if not rows:
            raise BadInput(f"{self.root} has no row with depth or flow as numbers, or masks: no truth to import.")
        return [Scene(row.name, row.name, tuple(range(_length(row)))) for row in rows]

    def read(self, scene: Scene, numbers: Sequence[int]) -> Raw:
        """See Importer.read."""
        row = _rows(self.root)[scene.folder]
        if row.rgb is None:
            raise BadInput(f"the video of {scene.name} is not there: {row.lacks['rgb']}.")
        frames, fps = read_clip_frames(row.rgb, numbers[-1] + 1)
        raw = Raw(rgb=frames[numbers[0] :], fps=fps, caption=row.caption, facts={"left_out": {}})
        for name in TRUTH:
            if name in row.maps:
                self._add(raw, row, name, numbers, frames.shape)
        if raw.depth is None and raw.flow is None and raw.segmentation is None:
            reasons = "; ".join(f"{name}: {why}" for name, why in raw.facts["left_out"].items())
            raise BadInput(f"{scene.name} has no truth to score estimates against ({reasons}).")
        return raw

    def _add(self, raw: Raw, row: Row, name: str, numbers: Sequence[int], shape: tuple[int, ...]) -> None:
        read = read_prediction_map(
            row.maps[name], name, (shape[0], shape[1], shape[2]),
            Reading(self.rendering, "metric_depth", self.depth_scale),
        )  # fmt: skip
        map, coloured = read.map, read.drawn is not None or "levels" in read.said
        if coloured and name != "segmentation":
            raw.facts["left_out"][name] = "colours or 8 bits, of no known scale"
            return
        data = map.data
        if map.valid is not None:
            data = np.where(map.valid if data.ndim == 3 else map.valid[..., None], data, np.float32(np.nan))
        if name == "flow" and len(data) == numbers[-1]:  # T - 1 flows of T frames
            data = with_last(data, np.nan)
        if len(data) <= numbers[-1]:
            raise BadInput(f"{row.maps[name]} has {len(data)} frames, the video more than {numbers[-1]}.")
        setattr(raw, name, data[numbers[0] : numbers[-1] + 1])


def read_clip_frames(path: Path, count: int | None, *, at_most: int | None = None) -> tuple[np.ndarray, float | None]:
    """Return the first frames of a video or folder of frames, and the rate if it is told.

    Args:
        path: the video or folder.
        count: exactly so many frames; None: all, or `at_most`.
        at_most: frames.

    Raises:
        BadInput: it cannot be read, or is shorter than `count`.
    """
    from openuni.benchmark.preds.files import read_arrays
    from openuni.frames import DecodeError, FrameTarget, read_frames
    from openuni.generator import RGB

    fps: float | None = None
    if path.is_dir():
        frames = read_arrays(path, RGB)["data"][: count or at_most]
    else:
        try:
            target = FrameTarget(fps=None, short_side_px=None, num_frames=count or at_most, window="head")
            read = read_frames(path, target=target)
        except DecodeError as error:
            raise BadInput(f"{path} cannot be read: {error}") from error
        frames, fps = read.rgb, read.fps
    if count is not None and len(frames) < count:
        raise BadInput(f"{path} has {len(frames)} frames, {count} were expected.")
    return frames, fps


def _may_be_truth(row: Row, name: str) -> bool:
    """Whether a row's map may be numbers, as its name has it; instances are truth in colours too."""
    path = row.maps.get(name)
    return path is not None and (name == "segmentation" or path.is_dir() or path.suffix.lower() in NUMBERS)


@cache
def _rows(root: Path) -> dict[str, Row]:
    """The table of a folder, read once in a process."""
    return {row.name: row for row in read_rows(root)}


def _length(row: Row) -> int:
    """Frames of a row's video; 1 where it cannot be told, so that reading says why."""
    from openuni.frames import DecodeError, probe

    if row.rgb is None:
        return 1
    if row.rgb.is_dir():
        return sum(path.is_file() for path in row.rgb.iterdir())
    try:
        info: Any = probe(row.rgb)
    except DecodeError:
        return 1
    return int(info.num_frames or 0) or len(read_clip_frames(row.rgb, None)[0])
