"""Refraction metrics: how often a straw is found, how much it breaks, and how far that is from what it must."""

from collections.abc import Mapping

import numpy as np

from openuni.benchmark.metrics.metric import Metric

SOURCE = "ours; UnityVideo's Fig. 5 shows such straws. The detector: openuni/benchmark/physics/straw.py"


def found(breaks: Mapping[int, float | None]) -> float:
    """Share of frames in which a straw is found on both sides of a row. NaN without a frame.

    Args:
        breaks: frame -> break in degrees, lean below less lean above; None where it is not found.
    """
    return float(np.mean([value is not None for value in breaks.values()])) if breaks else float("nan")


def mean_break(breaks: Mapping[int, float | None]) -> float:
    """Mean absolute break over the frames where a straw is found, degrees. NaN where there is none."""
    seen = [abs(value) for value in breaks.values() if value is not None]
    return float(np.mean(seen)) if seen else float("nan")


def break_error(breaks: Mapping[int, float | None], expected: Mapping[int, float]) -> float:
    """Mean absolute difference to the expected break over the frames that have both, degrees. NaN where none has.

    Args:
        breaks: as for `found`.
        expected: frame -> break by Snell's law for the frame's pose; 0 without water.
    """
    both = [abs(value - expected[frame]) for frame, value in breaks.items() if value is not None and frame in expected]
    return float(np.mean(both)) if both else float("nan")


FOUND = Metric(
    name="refract.found", unit="1", higher_is_better=True, protocol="share of eight frames", source=SOURCE,
    function=found,
)  # fmt: skip
BREAK = Metric(
    name="refract.break", unit="deg", higher_is_better=None, protocol="mean |break| of frames where it is found",
    source=SOURCE, function=mean_break,
)  # fmt: skip
BREAK_ERROR = Metric(
    name="refract.break_error", unit="deg", higher_is_better=False, protocol="against Snell's law for the frame's pose",
    source=SOURCE, function=break_error,
)  # fmt: skip
