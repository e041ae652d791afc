"""Answers: what a system gave for a sample, what it was given, and the truth, read back for looking at.

A model's answers are files, OUT/predictions/TASK-MODALITY/SAMPLE/seed-N/{map.npz,rgb.mkv}. An annotator's maps are in
the run's shards, found by its ledgers.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from openuni.benchmark.curate.frozen_set import SAMPLE, SAMPLES
from openuni.benchmark.gen.reannotate import Reannotator
from openuni.benchmark.gen.samples import read_sample
from openuni.benchmark.headline import GENERATION
from openuni.benchmark.predictions import PREDICTIONS, prediction_folder, read_prediction
from openuni.benchmark.runs import BenchRun
from openuni.benchmark.synth.files import find_clip, read_clip
from openuni.benchmark.synth.truth import Truth
from openuni.engine.stage import Absent
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
    condition: Map | None = None
    """What cond was given."""
    seen: Map | None = None
    """What an expert sees in `frames`, as it was scored."""
    seen_by: str = ""
    problems: tuple[str, ...] = ()
    """What could not be read, for the page."""


class Answers:
    """Reads answers of one run."""

    def __init__(self, run: BenchRun, data: Path | None = None) -> None:
        """Name the run; `data` is where its samples lie now, if they were moved."""
        self.run = run
        self.data = data or (Path(run.data) if run.data else None)
        self._experts: Reannotator | None = None

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
        if shown.frames is not None and task in ("cond", "joint") and self._named():
            try:
                shown = replace(shown, seen=self._look(shown, seed), seen_by=self._named().get(modality, ""))
            except (Absent, BadInput, ValueError) as error:
                problems.append(f"no expert's map of the generated frames: {first_line(error).replace('_', ' ')}")
        return replace(shown, problems=tuple(problems))

    def _named(self) -> dict[str, str]:
        """Modality -> the expert that looked when the run was scored."""
        told = self.run.about.get("suites", {}).get(GENERATION, {}).get("experts", {})
        return {str(name): str(one["expert"]) for name, one in told.items()}

    def _look(self, shown: Shown, seed: int) -> Map:
        """Let the run's expert look again: its maps are not kept."""
        if self._experts is None:
            weights = self.run.run.get("config", {}).get("weights")
            self._experts = Reannotator(self._named(), weights)
            self._experts.setup()
        assert shown.frames is not None, "checked by the caller"
        key = f"{shown.task} {shown.modality} {shown.sample} {seed}"
        return self._experts(shown.modality, shown.frames, shown.fps, key)

    def _with_sample(self, shown: Shown) -> Shown:
        if self.data is None:
            raise BadInput("the run does not say where its data are")
        curated = self.data / SAMPLES / shown.sample
        if (curated / SAMPLE).is_file():
            read = read_sample(curated)
            condition = read.maps.get(shown.modality)
            return replace(shown, rgb=read.rgb, fps=read.fps, condition=condition)
        clip = read_clip(find_clip(self.data, shown.sample))
        condition = clip.maps().get(shown.modality)
        return replace(
            shown, rgb=clip.rgb, truth=clip.truth, fps=clip.fps, caption=clip.caption, condition=condition
        )  # fmt: skip

    def _with_video(self, shown: Shown) -> Shown:
        from openuni.benchmark.vbench.frames import read_video

        if self.data is None:
            raise BadInput("the run does not say where its videos are")
        video = read_video(self.data / shown.sample)
        return replace(shown, frames=video.rgb, fps=video.fps)

    def _annotated(self, modality: str, sample: str, system: str) -> Map:
        """A map from the shards that a ledger of this modality points to, of this annotator."""
        from openuni.sample import decode_members
        from openuni.shard import Span
        from openuni.shard import read_sample as read_members

        why = "no ledger has it"
        for shard, offset, size in self._spans(modality).get(sample, ()):
            members = read_members(self.run.folder / shard, Span(offset, size))
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
