"""Charts: interval bars laid out as numbers that the page's template draws."""

from collections.abc import Sequence
from typing import NamedTuple

from openuni.benchmark.summary import ALL, Line

WIDTH, ROW_PX = 420, 22


class Bar(NamedTuple):
    """One family's mean and interval."""

    name: str
    clips: int
    mean: float
    low: float | None
    high: float | None
    x: float
    """Of the mean, 0..WIDTH."""
    x_low: float
    x_high: float
    y: float


class Bars(NamedTuple):
    """One metric: all clips, then each family."""

    metric: str
    protocol: str
    unit: str
    better: str
    """"more is better", "less is better", or empty."""
    low: float
    """Left end of the axis."""
    high: float
    bars: tuple[Bar, ...]
    height: float


def bars(lines: Sequence[Line], *, unit: str, higher_is_better: bool | None) -> Bars | None:
    """Lay out the lines of one metric under one protocol.

    Args:
        lines: of all clips and of families, those without a value are left out.
        unit: of the metric.
        higher_is_better: None where neither way is.

    Returns:
        None without a value.
    """
    given = [(line, line.mean) for line in lines if line.mean is not None]
    if not given:
        return None
    given.sort(key=lambda pair: (pair[0].family != ALL, pair[0].family))
    ends = [end for line, mean in given for end in (line.low, line.high, mean) if end is not None]
    low, high = min(ends), max(ends)
    margin = 0.06 * (high - low) or 0.05 * abs(high) or 1.0
    low = max(0.0, low - margin) if low >= 0 else low - margin
    high += margin

    def place(value: float) -> float:
        return round(WIDTH * (value - low) / (high - low), 1)

    made = []
    for number, (line, mean) in enumerate(given):
        ends_x = place(mean if line.low is None else line.low), place(mean if line.high is None else line.high)
        made.append(
            Bar(line.family, line.clips, mean, line.low, line.high, place(mean), *ends_x, ROW_PX * (number + 0.5))
        )
    words = {True: "more is better", False: "less is better", None: ""}
    first = given[0][0]
    return Bars(first.metric, first.protocol, unit, words[higher_is_better], low, high, tuple(made), ROW_PX * len(made))
