"""Answers of a study: files that raters saved, checked, and counted as win rates of A with intervals."""

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from openuni.benchmark.statistics import interval, two_way_interval, wilson
from openuni.benchmark.study.page import AXES, FORMAT
from openuni.benchmark.study.pairs import LEFT, RIGHT, SAME, Pair, Study
from openuni.benchmark.table_form import Cell, Row, Table
from openuni.errors import BadInput

MAX_BYTES = 10_000_000
HALF = 0.5
"""What "no difference" counts for either side."""
_RATER = re.compile(r"[\w.-]{1,64}")


class Vote(NamedTuple):
    """One rater's answer about one pair on one axis."""

    rater: str
    sample: str
    axis: str
    value: float
    """1: A wins, 0: B wins, HALF: no difference."""


class WinRate(NamedTuple):
    """One axis."""

    axis: str
    wins: int
    ties: int
    losses: int
    rate: float
    """Of A: each prompt counts once."""
    low: float | None
    """95 % interval; None with a single prompt or rater's worth of answers."""
    high: float | None
    prompts: int
    raters: int


def read_answers(paths: Iterable[Path], study: Study) -> list[Vote]:
    """Read files that the page saved.

    Raises:
        BadInput: a file cannot be read, is of another study, or names pairs or answers that there are not; a rater is
            there twice.
    """
    votes: list[Vote] = []
    raters: dict[str, Path] = {}
    for path in paths:
        said = _read(path, study)
        rater = said["rater"]
        if rater in raters:
            raise BadInput(f"{raters[rater]} and {path} are of the same rater, {rater}. Give the later file alone.")
        raters[rater] = path
        votes += _votes(path, said, {pair.key: pair for pair in study.pairs})
    if not votes:
        raise BadInput("The files hold no answer. Give files that the study's page saved.")
    return votes


def win_rates(votes: Sequence[Vote]) -> list[WinRate]:
    """Count votes, one row for each axis that has any.

    A prompt's pairs and raters are averaged first. The interval is Wilson's for one rater without ties and with one
    pair a prompt, the bootstrap's over prompts for one rater, and two-way clustered, by prompt and rater, for several.
    """
    rows = []
    for axis in AXES:
        mine = [one for one in votes if one.axis == axis]
        if not mine:
            continue
        by_prompt: dict[str, list[float]] = {}
        for one in mine:
            by_prompt.setdefault(one.sample, []).append(one.value)
        means = [sum(values) / len(values) for _, values in sorted(by_prompt.items())]
        raters = {one.rater for one in mine}
        wins, ties, losses = (sum(one.value == value for one in mine) for value in (1.0, HALF, 0.0))
        low, high = _ends(mine, means, len(raters)) or (None, None)
        rows.append(WinRate(axis, wins, ties, losses, sum(means) / len(means), low, high, len(by_prompt), len(raters)))
    return rows


def win_table(rates: Sequence[WinRate], study: Study) -> Table:
    """Lay win rates out."""
    a, b = study.names
    heads = ("question", "A better", "no difference", "B better", "A's win rate", "95 % interval", "prompts", "raters")
    rows = [
        Row((
            Cell(AXES[one.axis]), Cell(f"{one.wins:,}"), Cell(f"{one.ties:,}"), Cell(f"{one.losses:,}"),
            Cell(f"{100 * one.rate:.1f} %"), Cell(_interval(one)), Cell(f"{one.prompts:,}"), Cell(f"{one.raters:,}"),
        ))
        for one in rates
    ]  # fmt: skip
    notes = [
        '"no difference" counts half for each; a prompt counts once however many raters saw it. An interval that '
        "holds 50 % proves nothing.",
        "intervals: Wilson's for one rater, the bootstrap's over prompts where one rater has ties, and clustered by "
        "prompt and rater for several",
    ]
    return Table(title=f"A = {a}, B = {b}", columns=tuple(Cell(head) for head in heads), rows=rows, notes=notes)


def _ends(votes: Sequence[Vote], means: Sequence[float], raters: int) -> tuple[float, float] | None:
    if raters > 1:
        return two_way_interval([(one.sample, one.rater, one.value) for one in votes], bounds=(0.0, 1.0))
    if len(votes) == len(means) and set(means) <= {0.0, 1.0}:
        return wilson(int(sum(means)), len(means))
    return interval(means, bounds=(0.0, 1.0))


def _interval(one: WinRate) -> str:
    return "-" if one.low is None or one.high is None else f"{100 * one.low:.1f} .. {100 * one.high:.1f} %"


def _read(path: Path, study: Study) -> dict[str, Any]:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError(f"{path.stat().st_size:,} bytes")
        said = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise BadInput(
            f"{path} cannot be read as answers ({error}). Give a file that the study's page saved."
        ) from error
    if not isinstance(said, dict) or said.get("format") != FORMAT or not isinstance(said.get("answers"), list):
        raise BadInput(f"{path} is no file of answers (format {FORMAT}). Give a file that the study's page saved.")
    if said.get("study") != study.id:
        raise BadInput(
            f"{path} is of study {str(said.get('study'))[:32]}, A and B make study {study.id}. Give A and B in the "
            "order, and with the options, that the page was made with; their clips must be the same."
        )
    if not (isinstance(said.get("rater"), str) and _RATER.fullmatch(said["rater"])):
        raise BadInput(f"{path} names no rater. Give a file that the study's page saved.")
    return said


def _votes(path: Path, said: dict[str, Any], pairs: dict[str, Pair]) -> list[Vote]:
    votes, seen = [], set()
    for number, answer in enumerate(said["answers"], 1):
        pair = pairs.get(str(answer.get("pair"))) if isinstance(answer, dict) else None
        if pair is None or pair.key in seen:
            raise BadInput(f"{path}: answer {number} is about no pair of this study, or about one twice.")
        seen.add(pair.key)
        for axis in AXES:
            side = answer.get(axis)
            if side not in (LEFT, RIGHT, SAME):
                raise BadInput(f"{path}: answer {number} says {side!r} about {axis}; expected left, right or same.")
            value = HALF if side == SAME else float((side == LEFT) == pair.first_is_left)
            votes.append(Vote(said["rater"], pair.sample, axis, value))
    return votes
