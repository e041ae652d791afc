"""Generator: what `openuni bench` asks of a model. Every system answers the same questions through this one door.

A checkpoint of ours, the released one, a diffusers model and a folder of files each are a class that answers an Ask
with an Answer. GENERATORS in openuni/table.py names them; `module:Class` is a user's own.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

from openuni.config import configured
from openuni.errors import BadInput
from openuni.modality import Map
from openuni.table import GENERATORS, load

TASKS = ("est", "cond", "joint", "text")
"""est: a map from RGB. cond: RGB from a map. joint: RGB and a map from text. text: RGB from text."""
RGB = "rgb"
"""An Ask's modality where there is no map: task text."""
OWN = "openuni"
"""The scheme of a path or a Hub id without one."""
PART = "model"
"""The generator's name in --set."""
_CLASS = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


class Size(NamedTuple):
    """Of a clip."""

    num_frames: int
    height: int
    """px"""
    width: int
    """px"""
    fps: float


@dataclass(frozen=True, kw_only=True)
class Ask:
    """One question about one sample. What is given and what is wanted go by the task; the size is the answer's."""

    task: str
    """One of TASKS."""
    modality: str
    """A name of MODALITIES; RGB in task text."""
    sample: str
    """The sample's name, a safe file name; a folder of predictions is looked up by it."""
    caption: str = ""
    """C_r. In est it may be used only by a model that was trained to read it there."""
    modality_prompt: str = ""
    """C_m, in place of the generator's own wording; empty: its own."""
    rgb: np.ndarray | None = None
    """(T, H, W, 3) uint8; given in est."""
    map: Map | None = None
    """Given in cond: at exactly T, H, W."""
    num_frames: int
    """T of the answer."""
    height: int
    """H of the answer, px."""
    width: int
    """W of the answer, px."""
    fps: float
    """Of the clip given, or wanted."""
    any_size: bool = False
    """Size and length are wishes: the answer may have others, as where only a prompt is given."""
    number: int = 0
    """Which of this sample's answers: 0, 1, ..."""
    seed: int = 0
    """Of the noise, below 2^63; another one for each sample and number. Ignored by what draws nothing."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a generator gives. est: the map. cond, text: RGB. joint: both."""

    rgb: np.ndarray | None = None
    """(T, H, W, 3) uint8, of the Ask's T, H, W unless that says any_size."""
    map: Map | None = None
    """Of the Ask's T, H, W, whatever size it was predicted at."""
    rendering: np.ndarray | None = None
    """(t, h, w, 3) uint8: the map as the system drew it, at the size it drew it, where it draws colours. In cond it
    may be the control video that the system was given."""
    about: Mapping[str, Any] = field(default_factory=dict)
    """JSON-able: sampler settings (steps, guidance, seed), prompts, "predicted" (num_frames, height, width)."""
    lacks: Mapping[str, str] = field(default_factory=dict)
    """Metric that cannot be computed from this answer -> reason, one short line: {"flow.epe": "scale unknown"}."""


class Unanswerable(Exception):
    """A generator has no answer for this sample: a counted row. The reason is one short line."""


@runtime_checkable
class Generator(Protocol):
    """What answers. A dataclass: its first field is what stands behind the scheme, the others are set by --set.

    It travels to workers by pickle before `setup`; what `setup` loads is kept in attributes that are no fields. Where
    it needs a GPU it says so by an attribute `needs`, an openuni.engine.stage.Needs. A method `unanswered`, where there
    is one, gives (task, modality) -> why it cannot be asked that; a bench says these as n/a.
    """

    name: str
    """Of the system, in records and tables: short, no machine's paths."""

    def fingerprint(self) -> str:
        """Hash everything that decides its answers: weights, settings, versions. Called without `setup`.

        Raises:
            BadInput: there is nothing that could answer.
        """
        ...

    def capabilities(self) -> tuple[tuple[str, str], ...]:
        """Return the (task, modality) pairs that it answers, without `setup`."""
        ...

    def size(self) -> Size | None:
        """Return the size that it works best at, without `setup`; None: any."""
        ...

    def describe(self) -> dict[str, Any]:
        """Return JSON-able facts for results.json, without `setup`: source, hashes, settings, what is untrained."""
        ...

    def setup(self) -> None:
        """Load what is needed, once for each worker."""
        ...

    def __call__(self, ask: Ask) -> Answer:
        """Answer.

        Raises:
            Unanswerable: it has no answer for this sample.
        """
        ...


def make_generator(text: str, settings: Mapping[str, str] | None = None) -> Generator:
    """Make the generator that --model names; nothing is loaded.

    Args:
        text: SCHEME:REST for a scheme of GENERATORS, `module:Class`, else a path or Hub id of our own models.
        settings: field -> text, of --set model.FIELD=VALUE.

    Raises:
        UnknownName: there is no such setting.
        BadInput: it cannot be made.
    """
    from importlib import import_module

    scheme, colon, rest = text.partition(":")
    if scheme in GENERATORS and colon:
        return _made(load("kind of model", GENERATORS, scheme), rest, settings)
    if not is_own(text):
        try:
            cls = getattr(import_module(scheme), rest)
        except (ImportError, AttributeError) as error:
            known = ", ".join(f"{name}:" for name in GENERATORS)
            raise BadInput(
                f"--model {text}: {error}. Give a folder, a kind that is known ({known}), or module:Class."
            ) from error
        return _made(cls, None, settings)
    return _made(load("kind of model", GENERATORS, OWN), text, settings)


def unanswered(generator: Generator) -> Mapping[tuple[str, str], str]:
    """Return (task, modality) -> why a generator cannot be asked that, where it says so."""
    told: Mapping[tuple[str, str], str] = getattr(generator, "unanswered", dict)()
    return told


def is_own(text: str) -> bool:
    """Whether --model names one of our own models: a path, a Hub id or preset:NAME, no other scheme and no class."""
    scheme, colon, _ = text.partition(":")
    if scheme in GENERATORS and colon:
        return scheme == OWN
    return not _CLASS.fullmatch(text) or scheme == "preset" or Path(text).exists()


def _made(cls: Any, source: str | None, settings: Mapping[str, str] | None) -> Generator:
    """An object of a generator's dataclass; `source` is its first field."""
    from dataclasses import fields, is_dataclass

    if not (isinstance(cls, type) and is_dataclass(cls)):
        raise BadInput(f"--model names {cls!r}, which is no dataclass with the methods of openuni.generator.Generator.")
    if source == "":
        raise BadInput(f"--model names nothing behind its colon: give {cls.__name__}'s {fields(cls)[0].name}.")
    fixed = {} if source is None else {fields(cls)[0].name: source}
    try:
        made = configured(cls, settings or {}, part=PART, **fixed)
    except TypeError as error:
        raise BadInput(f"--model {cls.__name__} cannot be made ({error}); set its fields with --set {PART}.FIELD=VALUE"
                       ".") from error  # fmt: skip
    if not isinstance(made, Generator):
        missing = [name for name in ("name", "fingerprint", "capabilities", "size", "describe", "setup", "__call__")
                   if not hasattr(made, name)]  # fmt: skip
        raise BadInput(f"--model {cls.__name__} lacks {', '.join(missing)} of openuni.generator.Generator.")
    return made
