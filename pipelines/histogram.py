"""Histograms of scores, split into kept and dropped clips, with the lines that rules draw. Bins have round edges."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from openuni.engine.stage import Column
from openuni.rule import Rule

BINS = 32  # ours: half a bin is then a pixel or two of a picture 480 px wide, and a terminal has room for it
TAIL_PERCENT = 0.5  # ours: the outermost bins take what lies beyond, so that one wild value does not squeeze the rest
MAX_WORDS = 12  # values of a text column that are told one by one
OTHERS = "(others)"


class Line(NamedTuple):
    """Where a rule cuts."""

    value: float
    rule: str


class Histogram(NamedTuple):
    """Counts of a number over bins [edge, next edge); the first and last bin also take what lies beyond."""

    column: str
    unit: str
    meaning: str
    edges: tuple[float, ...]
    """B + 1 edges, ascending; empty if no clip has a value."""
    kept: tuple[int, ...]
    dropped: tuple[int, ...]
    missing: int
    """Clips without a value."""
    lines: tuple[Line, ...]


class Shares(NamedTuple):
    """Counts of the values of a text or truth column."""

    column: str
    unit: str
    meaning: str
    values: tuple[tuple[str, int, int], ...]
    """(value, kept, dropped), commonest first."""
    missing: int


def histogram(
    name: str, column: Column, values: pa.ChunkedArray, kept: np.ndarray, rules: Sequence[Rule] = ()
) -> Histogram:
    """Count a numeric column.

    Args:
        name: the column as rules write it.
        column: its unit and meaning.
        values: (N,) numbers; null and NaN are missing.
        kept: (N,) bool.
        rules: whose thresholds on this column become lines.
    """
    numbers = values.cast(pa.float64()).to_numpy()
    known = ~np.isnan(numbers)
    lines = tuple(Line(value, rule.text) for rule in rules for where, value in rule.thresholds() if where == name)
    numbers, kept = numbers[known], kept[known]
    edges = _edges(numbers, [line.value for line in lines])
    counts = [_count(numbers[among], edges) for among in (kept, ~kept)]
    missing = int((~known).sum())
    return Histogram(name, column.unit, column.meaning, edges, counts[0], counts[1], missing, lines)


def shares(name: str, column: Column, values: pa.ChunkedArray, kept: np.ndarray) -> Shares:
    """Count the values of a text or truth column; all but the MAX_WORDS commonest are told together."""
    words = values.cast(pa.string())
    counts: dict[str, list[int]] = {}
    for place, among in enumerate((kept, ~kept)):
        for entry in words.filter(pa.array(among)).drop_null().value_counts().to_pylist():
            counts.setdefault(entry["values"], [0, 0])[place] = entry["counts"]
    ordered = sorted(counts.items(), key=lambda item: (-sum(item[1]), item[0]))
    told = [(word, pair[0], pair[1]) for word, pair in ordered[:MAX_WORDS]]
    if rest := ordered[MAX_WORDS:]:
        told.append((OTHERS, sum(pair[0] for _, pair in rest), sum(pair[1] for _, pair in rest)))
    return Shares(name, column.unit, column.meaning, tuple(told), words.null_count)


def _edges(numbers: np.ndarray, lines: Sequence[float]) -> tuple[float, ...]:
    """Round edges that hold the numbers, but for TAIL_PERCENT at either side, and the lines."""
    if not len(numbers):
        return ()
    low, high = np.percentile(numbers, (TAIL_PERCENT, 100 - TAIL_PERCENT)).tolist()
    low, high = min(low, *lines, high), max(high, *lines, low)
    step = _round_up((high - low) / (BINS - 2)) if high > low else _round_up(max(abs(low), 1.0) / BINS)
    first = math.floor(low / step)
    count = math.floor(high / step) - first + 1
    # Multiples of a step of few digits: the rounding takes away what binary fractions add.
    digits = max(0, 2 - math.floor(math.log10(step)))
    return tuple(round((first + number) * step, digits) for number in range(count + 1))


def _round_up(value: float) -> float:
    """Return the next of 1, 2, 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= value * (1 - 1e-9))


def _count(numbers: np.ndarray, edges: tuple[float, ...]) -> tuple[int, ...]:
    if not edges:
        return ()
    places = np.clip(np.searchsorted(edges, numbers, side="right") - 1, 0, len(edges) - 2)
    return tuple(np.bincount(places, minlength=len(edges) - 1).tolist())
