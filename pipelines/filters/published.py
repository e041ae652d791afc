"""Published: scores that the source gives with a clip, as ledger columns, so that rules can use them."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from openuni.engine.stage import Column, Result, Score, Stage
from openuni.errors import BadInput

_KNOWN = {
    "aesthetic_score": Column("aesthetic_score", "source's scale", "aesthetics; Koala-36M: LAION, 1 to 10"),
    "clarity_score": Column("clarity_score", "source's scale", "sharpness; Koala-36M: 0 to 1"),
    "motion_score": Column("motion_score", "source's scale", "amount of motion; Koala-36M: 0.7 to 51 seen"),
    "vtss": Column("vtss", "source's scale", "video training suitability; Koala-36M: 1 to 5"),
}


@dataclass(kw_only=True)
class PublishedScores(Stage):
    """Passes `clip.clip.published` on. A name that the source does not give for a clip is missing (None)."""

    name: ClassVar[str] = "published"
    columns: ClassVar[tuple[Column, ...]] = tuple(_KNOWN.values())

    names: tuple[str, ...] = tuple(_KNOWN)
    """Which fields become columns: fixed for a run, so that all ledgers have the same ones. For fields of one's own:
    `--set published.names='["sharpness", "vtss"]'`."""

    def __post_init__(self) -> None:
        """Set this stage's `columns` to its names.

        Raises:
            BadInput: a name could not stand in a rule.
        """
        for name in self.names:
            if not (isinstance(name, str) and name.isidentifier()):
                raise BadInput(f"published.names: {name!r} is no name for a column; use letters, digits and '_'.")
        unknown = "the source's own field"
        self.names = tuple(self.names)
        columns = tuple(_KNOWN.get(name) or Column(name, "source's scale", unknown) for name in self.names)
        setattr(self, "columns", columns)  # noqa: B010 - an instance's own value of a class variable

    def __call__(self, clip: Any) -> Result:
        """Pass on one clip's published scores."""
        return Result({name: _score(clip.clip.published.get(name)) for name in self.names})


def _score(value: Any) -> Score:
    """Return a number or text as it is; NaN and infinity are missing."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
