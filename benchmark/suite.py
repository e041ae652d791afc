"""Suite: the samples of a benchmark, the questions about each, and how an answer is scored. Rows of SUITES."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Protocol

from openuni.benchmark.judge import Scored
from openuni.benchmark.predictions import Prediction
from openuni.config import configured
from openuni.generator import Ask
from openuni.table import SUITES, load


@dataclass(frozen=True, kw_only=True)
class Item:
    """One sample as a suite lists it; nothing of it is decoded."""

    sample: str
    """Its name: a safe file name, another one for each sample, also where case does not count."""
    cluster: str
    """What is drawn together in the bootstrap: the scene, the prompt."""
    family: str
    caption: str
    path: str
    """Relative to the data's folder: what `ask` and `score` read."""
    content: str
    """Digest of all that is read."""
    pairs: tuple[tuple[str, str], ...]
    """(task, modality) questions that this sample can be asked."""
    problem: str = ""
    """Why it cannot be used, one snake_case word; such samples are counted and left out."""


class Suite(Protocol):
    """A suite. Made with its settings alone in each worker; `setup` loads what scoring needs.

    One that costs far more than the others has an attribute `named_only = True`: it is run only where it is named.
    One with `paired = True` also sees another sample in `score`, for a control: Prediction.other.
    """

    name: str
    """Its key in SUITES."""
    title: str
    """What tables call it."""
    version: str
    """Raise it when the same answer gets other numbers."""
    pairs: tuple[tuple[str, str], ...]
    """All (task, modality) questions, in the order they are reported."""
    prompted: bool
    """Its samples are prompts: `refuses` and `items` get a file of prompts, or None for our own, instead of data."""
    samples: int
    """Answers for each question, unless the run says how many."""

    def refuses(self, data: Path | None) -> str:
        """Return why a folder, or a file of prompts, cannot be this suite's data, one line; empty if it can."""
        ...

    def items(self, data: Path | None) -> Iterator[Item]:
        """Yield the samples in a fixed order."""
        ...

    def ask(self, folder: Path, task: str, modality: str) -> Ask:
        """Read what a question gives; the caller fills in caption, sample, number and seed.

        Args:
            folder: the sample's: data / Item.path; of no use where samples are prompts.
            task: one of Item.pairs,
            modality: with it.
        """
        ...

    def setup(self) -> None:
        """Load what `score` needs, once for each worker."""
        ...

    def score(self, folder: Path, task: str, modality: str, prediction: Prediction) -> list[Scored]:
        """Score an answer, read back from its files.

        Returns:
            The same metrics and protocols in the same order for every sample of a question.

        Raises:
            Absent: there is nothing to score it against.
        """
        ...


def make_suite(name: str, settings: Mapping[str, str] | None = None) -> Suite:
    """Return the suite called `name`.

    Args:
        name: a key of SUITES.
        settings: field -> text, of a suite that is a dataclass.

    Raises:
        UnknownName: there is none, or it has no such setting.
        BadInput: it cannot be made with these settings.
    """
    cls = load("suite", SUITES, name)
    suite: Suite = configured(cls, settings, part=name) if settings else cls()
    return suite


def takes(name: str, setting: str) -> bool:
    """Say whether a suite has a setting."""
    cls = load("suite", SUITES, name)
    return is_dataclass(cls) and any(one.name == setting for one in fields(cls))
