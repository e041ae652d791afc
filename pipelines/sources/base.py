"""Source: what every collection of clips has in common; listing is streamed, and nothing is left out uncounted."""

import logging
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar

from openuni.clip import Clip

logger = logging.getLogger(__name__)

MAX_CAPTION_CHARS = 20_000  # ours: 15 times Koala-36M's mean caption (202 words); longer is not a caption.

# Captions come from strangers. Removed: C0 and C1 controls but tab and newline, lone surrogates (they cannot be
# written as UTF-8), and the bidirectional overrides, which make a text read otherwise than it is stored.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]")


def clean_text(text: str, *, max_chars: int = MAX_CAPTION_CHARS) -> str:
    """Return `text` without control characters and outer blanks, cut to `max_chars`."""
    text = text[: 2 * max_chars].replace("\r\n", "\n").replace("\r", "\n")
    return _UNSAFE.sub("", text).strip()[:max_chars]


@dataclass(kw_only=True)
class Source:
    """One collection of clips. Subclasses are dataclasses: their fields are set with `--set source.option=value`."""

    name: ClassVar[str]
    """The source's key in SOURCES."""
    default_preset: ClassVar[str] = "basic"
    """Preset of rules (pipelines/presets.py) used unless the user names one: "paper" for named datasets."""

    root: Path | None = None
    """Where the collection lies on this machine: `--root`."""
    licence: str = ""
    """Licence terms of the clips, one line."""
    group: str = ""
    """Balance group of the clips for training; empty takes the source's name."""

    skipped: Counter[str] = field(default_factory=Counter, init=False, repr=False, compare=False)
    """Reason -> number of entries that could not be listed as clips."""
    warned: Counter[str] = field(default_factory=Counter, init=False, repr=False, compare=False)
    """Reason -> number of clips that are listed, but without something: a caption, a score."""

    @property
    def base(self) -> Path:
        """The folder that relative clip paths are relative to.

        Raises:
            BadInput: no root was given.
        """
        if self.root is None:
            self.check()
        assert self.root is not None  # else check() has raised
        return Path(self.root)

    def locate(self, clip: Clip) -> Path:
        """Return the path of a clip's file. An absolute `clip.path` stays as it is."""
        return self.base / clip.path

    def check(self) -> None:
        """Find the user's mistakes early and cheaply.

        Raises:
            BadInput: root is missing or does not hold what the source needs; the message says what to do.
        """
        raise NotImplementedError

    def clips(self) -> Iterator[Clip]:
        """List the clips, one at a time, in the same order on every machine.

        `skipped` and `warned` are set back, and are complete when the iterator is exhausted.

        Raises:
            BadInput: see `check`; raised by the call itself, before the first clip is asked for.
        """
        self.check()
        self.skipped.clear()
        self.warned.clear()
        return self._list()

    def _list(self) -> Iterator[Clip]:
        """Yield the clips. Subclasses write this; `check` has passed."""
        raise NotImplementedError

    def parameters(self) -> dict[str, Any]:
        """Return the options by name, for run.json and `openuni list sources`."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.init}

    def skip(self, reason: str, what: object) -> None:
        """Count an entry that is not listed; the first of each reason is logged with its name."""
        self._count(self.skipped, "left out", reason, what)

    def warn(self, reason: str, what: object) -> None:
        """Count a clip that is listed without something; the first of each reason is logged."""
        self._count(self.warned, "listed, but", reason, what)

    def _count(self, counter: Counter[str], verdict: str, reason: str, what: object) -> None:
        counter[reason] += 1
        if counter[reason] == 1:
            # ascii(): an odd file name must break neither the line nor the terminal.
            message = "source %s: %s %s: %s (further ones are only counted)"
            logger.warning(message, self.name, verdict, reason, ascii(str(what)))
