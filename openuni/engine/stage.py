"""Stage: the only base class of long jobs. A filter, an expert and a check are all stages.

A stage is a dataclass whose fields are its parameters: they are recorded, hashed into its fingerprint and
set with `--set stage.parameter=value`. A stage is called with a view of one clip and returns scores for the
ledger, a map for the shards, or both. What it loads in `setup` is kept in attributes that are not fields.
"""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

from openuni.modality import Map

Score = float | int | bool | str | None


class Drop(Exception):
    """The whole clip is unusable. The reason is a short snake_case word: it is counted in the funnel."""


class Absent(Exception):
    """Only this stage has nothing to give for this clip. The reason is a short snake_case word."""


class Needs(NamedTuple):
    """What one worker needs to run a stage."""

    cpus: float = 1.0
    gpus: float = 0.0
    vram_gb: float = 0.0


class Column(NamedTuple):
    """One score column of a stage, as `openuni list filters` prints it."""

    name: str
    unit: str
    meaning: str


@dataclass
class Result:
    """What a stage gives for one clip."""

    scores: Mapping[str, Score] = field(default_factory=dict)
    """Scalars for the ledger, by the names in the stage's `columns`."""
    map: Map | None = None
    """The map, if the stage makes one; encoded by the codec of `Stage.modality`."""


class Stage:
    """Base of all stages. Subclasses are dataclasses and set the class attributes below."""

    name: ClassVar[str]
    """Name of the stage in ledgers, rules and settings. An annotator's is its modality's name."""
    version: ClassVar[str] = "1"
    """Raise it when the same parameters give other results."""
    needs: ClassVar[Needs] = Needs()
    reads: ClassVar[tuple[str, ...]] = ()
    """Names of stages whose maps this one uses, as `clip.maps[name]`."""
    wants: ClassVar[tuple[str, ...]] = ()
    """Parts of the job's view that cost extra and that this stage looks at: a job reads what some stage wants."""
    modality: ClassVar[str | None] = None
    """Which modality's map the stage makes, if it makes one; "rgb" for the frames themselves."""
    judges: ClassVar[str] = ""
    """Which modality the stage checks, if it is a check."""
    columns: ClassVar[tuple[Column, ...]] = ()
    """Every score the stage can give. Unit "text" makes a string column, "bool" a boolean one, all others float64."""
    expert: ClassVar[str] = ""
    """The stage's name in ANNOTATORS, if it is an expert."""
    licence: ClassVar[str] = ""
    """Licence of the expert's weights, or of the method's code where it has none."""
    weights_hash: ClassVar[str] = ""
    """SHA-256 of the weights a stage uses; empty without weights. Set on the instance by loaders."""

    def setup(self) -> None:
        """Load what is needed once per worker."""

    def __call__(self, clip: Any) -> Result:
        """Work on one clip.

        Args:
            clip: the job's view of a clip; in the build an openuni.view.ClipView.

        Raises:
            Drop: the clip is unusable.
            Absent: this stage has nothing to give for it.
        """
        raise NotImplementedError

    def parameters(self) -> dict[str, Any]:
        """Return the stage's parameters: its dataclass fields."""
        if not dataclasses.is_dataclass(self):
            return {}
        return dataclasses.asdict(self)


def fingerprint(stage: Stage, *, read: Mapping[str, str], view: str = "") -> str:
    """Hash everything that decides what a stage gives: 12 hex digits.

    Args:
        stage: the stage.
        read: name -> fingerprint of each stage that it reads.
        view: fingerprint of the view (for the build: the frames' target size and rate).
    """
    cls = type(stage)
    parts = [f"{cls.__module__}.{cls.__qualname__}", stage.version, stage.parameters(), stage.weights_hash]
    text = json.dumps([*parts, [read[name] for name in stage.reads], view], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
