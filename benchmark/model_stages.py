"""The two stages of a model's bench: one predicts and writes files, one reads files and scores. Both on the engine.

A question (task, modality, sample, number) is one clip of the engine, so that each is committed, retried and resumed
by itself. Scoring has a pass of its own for each suite and never sees the model.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

from openuni.benchmark.predictions import (
    Again,
    Other,
    check_answer,
    kept,
    prediction_folder,
    read_prediction,
    write_prediction,
)
from openuni.benchmark.suite import Item, Suite, make_suite
from openuni.clip import Clip, make_clip_id
from openuni.engine.stage import Absent, Column, Needs, Result, Stage
from openuni.generator import Answer, Ask, Generator, Unanswerable
from openuni.modality import Map

SOURCE = "bench"
RECORDED_AS = "records"
SEED_BITS = 63
AGAIN = " again"
"""Ends the content of joint questions: after them the model estimates the map once more, from its own frames."""
LOOKED_UP = "answers are looked up"


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is asked about one sample. Travels as a Clip."""

    suite: str
    task: str
    modality: str
    item: Item
    number: int

    def clip(self) -> Clip:
        """Return it as the engine's clip. Its id does not name the suite: suites share predictions."""
        item = self.item
        key = f"{self.task}-{self.modality}/{item.sample}/seed-{self.number}"
        about: dict[str, float | str] = {
            "suite": self.suite,
            "task": self.task,
            "modality": self.modality,
            "sample": item.sample,
            "number": self.number,
        }
        content = f"{item.content} {item.caption}{AGAIN if self.task == 'joint' else ''}"
        return Clip(
            clip_id=make_clip_id(SOURCE, key, content=content), source=SOURCE, source_key=key,
            source_video=item.cluster, path=item.path, caption=item.caption, group=item.family, published=about,
        )  # fmt: skip


class QuestionView:
    """What both stages are called with."""

    def __init__(self, clip: Clip, data: Path, out: Path) -> None:
        self.clip, self.data, self.out = clip, data, out
        self.maps: dict[str, Map] = {}
        about = clip.published
        self.suite, self.task, self.modality = (str(about[key]) for key in ("suite", "task", "modality"))
        self.sample, self.number = str(about["sample"]), int(about["number"])

    @property
    def source(self) -> Path:
        """The sample's folder in the data."""
        return self.data / self.clip.path

    @property
    def folder(self) -> Path:
        """The prediction's folder."""
        return prediction_folder(self.out, self.task, self.modality, self.sample, self.number)

    def describe(self) -> dict[str, Any]:
        """See openuni.engine.job.View."""
        return dict(self.clip.published)

    def close(self) -> None:
        """Nothing is held."""


@dataclass(frozen=True)
class OpenQuestion:
    """Opens questions. Pickles."""

    data: str
    out: str

    def __call__(self, clip: Clip) -> QuestionView:
        """Open a question; nothing is read yet."""
        return QuestionView(clip, Path(self.data), Path(self.out))


def noise_seed(seed: int, view: QuestionView) -> int:
    """Return a question's own seed: another one for each sample, number, task and modality, the same on any worker."""
    text = f"{seed} {view.task} {view.modality} {view.sample} {view.number}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> (64 - SEED_BITS)


def prediction_key(clip_id: str, generator: str, seed: int) -> str:
    """Hash what decides a prediction: the question with its data, the generator's fingerprint, the run's seed."""
    return hashlib.sha256(json.dumps([clip_id, generator, seed]).encode()).hexdigest()[:24]


@dataclass(kw_only=True)
class PredictStage(Stage):
    """Asks the generator and keeps its answer as files.

    Raises:
        Absent: the generator has no answer.
    """

    generator: Generator
    generator_fingerprint: str
    seed: int

    name: ClassVar[str] = "predict"
    columns: ClassVar[tuple[Column, ...]] = (Column("reused", "bool", "The files were there already."),)

    def __post_init__(self) -> None:
        """Take the generator's needs."""
        self.needs = getattr(self.generator, "needs", Needs())  # type: ignore[misc]
        self._suites: dict[str, Suite] = {}

    def parameters(self) -> dict[str, Any]:
        """What decides the predictions."""
        return {"generator": self.generator_fingerprint, "seed": self.seed}

    def setup(self) -> None:
        """Load the model."""
        self.generator.setup()

    def __call__(self, view: QuestionView) -> Result:
        """Answer one question."""
        key = prediction_key(view.clip.clip_id, self.generator_fingerprint, self.seed)
        if kept(view.folder, key):
            return Result({"reused": True})
        ask = self._ask(view)
        try:
            answer = self.generator(ask)
        except Unanswerable as error:
            raise Absent(str(error)) from error
        check_answer(answer, ask)
        again = self._again(ask, answer) if view.task == "joint" else None
        write_prediction(view.folder, ask, answer, key=key, system=self.generator.name, again=again)
        return Result({"reused": False})

    def _again(self, ask: Ask, answer: Answer) -> Again:
        """Let the model estimate the map from the frames that it just made."""
        if getattr(self.generator, "looks_up", False):
            return Again(None, LOOKED_UP)
        if ("est", ask.modality) not in self.generator.capabilities():
            return Again(None, f"est {ask.modality} is not answered")
        estimate = replace(ask, task="est", rgb=answer.rgb, seed=ask.seed ^ 1)
        try:
            found = self.generator(estimate)
        except Unanswerable as error:
            return Again(None, str(error))
        check_answer(found, estimate)
        return Again(found.map)

    def _ask(self, view: QuestionView) -> Ask:
        suite = self._suites.setdefault(view.suite, make_suite(view.suite))
        given = suite.ask(view.source, view.task, view.modality)
        size = self.generator.size()
        if given.any_size and size is not None:
            given = replace(given, **size._asdict())
        return replace(
            given, sample=view.sample, caption=view.clip.caption, number=view.number, seed=noise_seed(self.seed, view)
        )


@dataclass(kw_only=True)
class ScoreStage(Stage):
    """Scores predictions from their files. All numbers of a question are one JSON text in the ledger.

    Raises:
        Absent: the suite has nothing to score against.
        BadInput: the prediction is damaged.
    """

    suite: str
    suite_version: str
    predicted: str
    """The generator's fingerprint."""
    seed: int
    settings: Mapping[str, str] = field(default_factory=dict)
    """Of the suite."""
    partners: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Question without its number -> another sample and its path, of a suite that is `paired`."""

    name: ClassVar[str] = "score"
    columns: ClassVar[tuple[Column, ...]] = (Column(RECORDED_AS, "text", "Every metric and protocol, JSON."),)

    def setup(self) -> None:
        """Load what the suite scores with."""
        self._suite = make_suite(self.suite, self.settings)
        self._suite.setup()

    def parameters(self) -> dict[str, Any]:
        """What decides the numbers. The suite's version says what its settings do, without where weights lie."""
        return {key: value for key, value in super().parameters().items() if key != "settings"}

    def __call__(self, view: QuestionView) -> Result:
        """Score one prediction."""
        prediction = read_prediction(view.folder)
        if prediction.about["key"] != prediction_key(view.clip.clip_id, self.predicted, self.seed):
            raise ValueError("the prediction's files are another run's: run the same command again")
        prediction = replace(prediction, other=self._other(view))
        # Where the answer is RGB, a map to be scored is an expert's, not one that the system drew.
        lacks = prediction.about["lacks"] if view.task in ("est", "joint") else {}
        rows: list[list[Any]] = []
        for one in self._suite.score(view.source, view.task, view.modality, prediction):
            if reason := lacks.get(one.metric):
                rows.append([one.metric, one.protocol, None, 0, [f"not_carried:{reason}".replace(" ", "_")]])
            else:
                rows.append([one.metric, one.protocol, one.value, one.valid, list(one.flags)])
        return Result({RECORDED_AS: json.dumps(rows, allow_nan=False)})

    def _other(self, view: QuestionView) -> Other | None:
        found = self.partners.get(f"{view.task}-{view.modality}/{view.sample}")
        if found is None:
            return None
        sample, path = found
        folder = prediction_folder(view.out, view.task, view.modality, sample, view.number)
        return Other(view.data / path, folder)


def partners_of(questions: Sequence[Question]) -> dict[str, tuple[str, str]]:
    """Give each question another sample of another cluster that is asked the same: the next one, the last the first.

    Returns:
        "TASK-MODALITY/SAMPLE" -> the other's name and path; none where all are of one cluster.
    """
    by_pair: dict[tuple[str, str], list[Item]] = {}
    for one in questions:
        if one.number == 0:
            by_pair.setdefault((one.task, one.modality), []).append(one.item)
    found = {}
    for (task, modality), items in by_pair.items():
        for place, item in enumerate(items):
            following = (*items[place + 1 :], *items[:place])
            other = next((one for one in following if one.cluster != item.cluster), None)
            if other is not None:
                found[f"{task}-{modality}/{item.sample}"] = (other.sample, other.path)
    return found
