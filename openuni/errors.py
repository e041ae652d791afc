"""Errors a user can act on. Each message says what was given, what was expected and what to do."""

from collections.abc import Iterable
from difflib import get_close_matches


def first_line(error: BaseException) -> str:
    """The first line of an error's message, for a message of one line; its type's name if it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


class OpenUniError(Exception):
    """Base class. The command line prints these as one line, without a traceback."""

    exit_code = 2


class BadInput(OpenUniError):
    """Something the user gave (a path, an option, a rule) cannot be used. Exit code 2."""


class UnknownName(BadInput):
    """A name that is not in its table. The message proposes the nearest one and lists all."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        known = sorted(known)
        close = get_close_matches(name, known, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        super().__init__(f"Unknown {kind} {name!r}.{hint} Known: {', '.join(known)}.")


class MissingWeights(BadInput):
    """A weights file that an expert needs is not there. Exit code 2."""


class RunFailed(OpenUniError):
    """The input was fine but the run could not be finished (disk full, too many errors). Exit code 1."""

    exit_code = 1
