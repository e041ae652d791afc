"""preds:FOLDER as a generator: what a system answered elsewhere, looked up by sample."""

import hashlib
import json
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from openuni.benchmark.predictions import check_answer
from openuni.benchmark.preds.files import read_arrays
from openuni.benchmark.preds.layout import find_prediction
from openuni.benchmark.preds.maps import CLUSTERS, Reading, check_kind, read_prediction_map
from openuni.engine.atomic import sha256_of
from openuni.errors import BadInput, UnknownName
from openuni.generator import RGB, TASKS, Answer, Ask, Size, Unanswerable
from openuni.modality import Map
from openuni.resize import resized_frames, resized_map
from openuni.table import MODALITIES, RENDERINGS

VERSION = "3"
"""Raise it when the same files are read otherwise."""
MISSING = "no_prediction"


@dataclass
class Predictions:
    """A folder of predictions; benchmark/preds/layout.py has its layout."""

    folder: str
    """What stands behind preds:."""
    rendering: str = "paper"
    """How colours were drawn: own, paper, tiny, vace; clusters for segmentation of an unknown palette."""
    depth_kind: str = "relative_disparity"
    """Of numbers: relative_disparity (larger is nearer) or metric_depth (larger is farther)."""
    depth_scale: float = 1.0
    """Depth or disparity is the number x this: 0.001 for millimetres in 16-bit PNG."""
    resize: bool = False
    """Take predictions of another size, brought to the clip's by openuni/resize.py."""
    system: str = ""
    """What tables call it; empty: the folder's name."""

    looks_up: ClassVar[bool] = True
    """An answer is what a file holds, whatever frames are given."""

    def __post_init__(self) -> None:
        """Check settings and folder.

        Raises:
            BadInput: a setting or the folder cannot be used.
        """
        if self.rendering not in (*RENDERINGS, CLUSTERS):
            raise UnknownName("rendering", self.rendering, (*RENDERINGS, CLUSTERS))
        check_kind(self.depth_kind)
        if not self._pairs:
            raise BadInput(
                f"{self._root} has no predictions: expected folders TASK-MODALITY, as est-depth. "
                "openuni bench layout prints all of it."
            )

    @property
    def name(self) -> str:
        """See Generator.name."""
        return self.system or self._root.resolve().name

    @property
    def _root(self) -> Path:
        return Path(self.folder).expanduser()

    @cached_property
    def _pairs(self) -> tuple[tuple[str, str], ...]:
        known = [(task, name) for task in TASKS for name in (*MODALITIES, RGB) if (task == "text") == (name == RGB)]
        return tuple((task, name) for task, name in known if (self._root / f"{task}-{name}").is_dir())

    @cached_property
    def _files(self) -> str:
        """Hash of all files that can be predictions."""
        digest = hashlib.sha256()
        for task, name in self._pairs:
            for path in sorted((self._root / f"{task}-{name}").rglob("*")):
                if path.is_file():
                    digest.update(f"{path.relative_to(self._root).as_posix()} {sha256_of(path)}\n".encode())
        return digest.hexdigest()

    def fingerprint(self) -> str:
        """Of all files and of how they are read."""
        text = json.dumps([type(self).__qualname__, VERSION, self._settings(), self._files], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def capabilities(self) -> tuple[tuple[str, str], ...]:
        """The questions that there are folders for."""
        return self._pairs

    def size(self) -> Size | None:
        """Any."""
        return None

    def describe(self) -> dict[str, Any]:
        """See Generator.describe."""
        return {"kind": "preds", "files_sha256": self._files, "settings": self._settings()}

    def _settings(self) -> dict[str, Any]:
        kept = ("rendering", "depth_kind", "depth_scale", "resize")
        return {key: getattr(self, key) for key in kept}

    def setup(self) -> None:
        """Nothing is loaded."""

    def __call__(self, ask: Ask) -> Answer:
        """See Generator.__call__.

        Raises:
            Unanswerable: there is no prediction for the sample.
            BadInput: it is damaged, or of another length or size; the message has the file.
        """
        answer = Answer()
        about: dict[str, Any] = {}
        if ask.task in ("est", "joint"):
            path = self._find(ask, ask.modality)
            read = read_prediction_map(
                path, ask.modality, (ask.num_frames, ask.height, ask.width),
                Reading(self.rendering, self.depth_kind, self.depth_scale),
            )  # fmt: skip
            about |= {**read.said, "predicted": _size_of(ask.modality, read.map)}
            map = _whole_flow(read.map, ask.num_frames) if ask.modality == "flow" else read.map
            if self.resize:
                map = resized_map(ask.modality, map, height=ask.height, width=ask.width)
            answer = replace(answer, map=map, rendering=read.drawn, lacks=read.lacks)
        if ask.task != "est":
            path = self._find(ask, RGB)
            frames = read_arrays(path, RGB)["data"]
            if frames.ndim == 4 and self.resize and frames.dtype == np.uint8 and not ask.any_size:
                frames = resized_frames(frames, height=ask.height, width=ask.width)
            about["rgb_format"] = path.suffix or "frames"
            answer = replace(answer, rgb=frames)
        answer = replace(answer, about=about)
        try:
            check_answer(answer, ask)
        except ValueError as error:
            hint = "" if self.resize or "size" in str(error) else " (--set model.resize=true takes other sizes)"
            raise BadInput(f"{path.relative_to(self._root)}: {error}{hint}.") from error
        return answer

    def _find(self, ask: Ask, kind: str) -> Path:
        found = find_prediction(self._root, ask.task, ask.modality, ask.sample, ask.number, kind=kind)
        if found is None:
            raise Unanswerable(MISSING)
        return found


def _whole_flow(map: Map, num_frames: int) -> Map:
    """Flow of T frames: where T - 1 are given, an invalid one is added; the last of T is invalid in any case."""
    data, valid = map.data, np.ones(map.data.shape[:3], bool) if map.valid is None else map.valid.copy()
    arrays = dict(map.arrays)
    if len(data) == num_frames - 1:
        data = np.concatenate([data, np.zeros_like(data[:1])])
        valid = np.concatenate([valid, np.zeros_like(valid[:1])])
        arrays = {}
    valid[-1:] = False
    return replace(map, data=data, valid=valid, arrays=arrays)


def _size_of(modality: str, map: Map) -> dict[str, int]:
    if modality == "skeleton":
        return {"num_frames": len(map.data), "height": map.facts["height"], "width": map.facts["width"]}
    frames, height, width = map.data.shape[:3]
    return {"num_frames": frames, "height": height, "width": width}
