"""Answers: what a system gave for a sample, what it was given, and the truth, read back for looking at.

A model's answers are files, OUT/predictions/TASK-MODALITY/SAMPLE/seed-N/{map.npz,rgb.mkv}. An annotator's maps are in
the run's shards, found by its ledgers.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from openuni.benchmark.predictions import PREDICTIONS, prediction_folder, read_prediction
from openuni.benchmark.runs import BenchRun
from openuni.benchmark.synth.files import find_clip, read_clip
from openuni.benchmark.synth.truth import Truth
from openuni.errors import BadInput, first_line
from openuni.modality import Map

VIDEOS = "videos"
"""Kind of a run of `openuni bench --videos`: its answers are the files in the data's folder."""


@dataclass(frozen=True, kw_only=True)
class Shown:
    """One answer with what is needed to judge it by eye."""

    task: str
    modality: str
    sample: str
    caption: str = ""
    fps: float = 8.0
    rgb: np.ndarray | None = None
    """(T, H, W, 3) uint8: the sample's frames, input of est and what cond's condition is of."""
    truth: Truth | None = None
    map: Map | None = None
    """The answer of est and joint."""
    frames: np.ndarray | None = None
    """(T, H, W, 3) uint8: the answer of cond, joint and text."""
    problems: tuple[str, ...] = ()
    """What could not be read, for the page."""


class Answers:
    """Reads answers of one run."""

    def __init__(self, run: BenchRun, data: Path | None = None) -> None:
        """Name the run; `data` is where its samples lie now, if they were moved."""
        self.run = run
        self.data = data or (Path(run.data) if run.data else None)

    def read(self, task: str, modality: str, sample: str, seed: int, system: str) -> Shown:
        """Read an answer. What is not there or is damaged is told in `problems`, never raised."""
        shown, problems = Shown(task=task, modality=modality, sample=sample), []
        if any(Path(part).name != part for part in (task, modality, sample)):
            return replace(shown, problems=(f"{task}, {modality}, {sample}: no names of files",))
        try:
            if task != "text":  # a prompt has no clip
                shown = self._with_sample(shown)
        except (BadInput, OSError, ValueError, KeyError) as error:
            problems.append(f"input and truth cannot be read: {first_line(error)}")
        try:
            folder = prediction_folder(self.run.folder, task, modality, sample, seed)
            if (self.run.folder / PREDICTIONS).is_dir():
                shown = _with_prediction(shown, folder)
            elif self.run.about.get("model", {}).get("kind") == VIDEOS:
                shown = self._with_video(shown)
            else:
                shown = replace(shown, map=self._annotated(modality, sample, system))
        except (BadInput, OSError, ValueError, KeyError) as error:
            problems.append(f"the answer cannot be read: {first_line(error)}")
        return replace(shown, problems=tuple(problems))

    def _with_sample(self, shown: Shown) -> Shown:
        if self.data is None:
            raise BadInput("the run does not say where its data are")
        clip = read_clip(find_clip(self.data, shown.sample))
        return replace(shown, rgb=clip.rgb, truth=clip.truth, fps=clip.fps, caption=clip.caption)

    def _with_video(self, shown: Shown) -> Shown:
        from openuni.benchmark.vbench.frames import read_video

        if self.data is None:
            raise BadInput("the run does not say where its videos are")
        video = read_video(self.data / shown.sample)
        return replace(shown, frames=video.rgb, fps=video.fps)

    def _annotated(self, modality: str, sample: str, system: str) -> Map:
        """A map from the shards that a ledger of this modality points to, of this annotator."""
        from openuni.sample import decode_members
        from openuni.shard import Span, read_sample

        why = "no ledger has it"
        for shard, offset, size in self._spans(modality).get(sample, ()):
            members = read_sample(self.run.folder / shard, Span(offset, size))
            about = json.loads(members[f"{modality}.json"])
            if about.get("expert", system) != system:
                continue
            if "absent" in about:
                why = str(about["absent"])
                continue
            return decode_members(modality, members)[0]
        raise BadInput(why)

    def _spans(self, modality: str) -> dict[str, list[tuple[str, int, int]]]:
        """Sample -> shard and place, over all annotators of a modality."""
        import pyarrow.parquet as pq

        found: dict[str, list[tuple[str, int, int]]] = {}
        for path in sorted((self.run.folder / "ledger" / modality).glob("*/*.parquet")):
            table = pq.read_table(path, columns=["source_key", "offset", "size"])
            shard = json.loads((pq.read_schema(path).metadata or {})[b"openuni"])["shard"]
            for row in table.to_pylist():
                if row["size"]:
                    found.setdefault(row["source_key"], []).append((shard, row["offset"], row["size"]))
        return found


def _with_prediction(shown: Shown, folder: Path) -> Shown:
    prediction = read_prediction(folder)
    caption = shown.caption or str(prediction.about.get("caption", ""))
    fps = float(prediction.about.get("fps") or shown.fps)
    return replace(shown, caption=caption, fps=fps, map=prediction.map, frames=prediction.rgb)
