"""Summary: means with intervals, from records alone. Clusters count once, as benchmark/statistics.py has it."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from openuni.benchmark.records import Record
from openuni.benchmark.statistics import cluster_means, interval, wilson
from openuni.table import METRICS, load

ALL = "all"
"""The family that stands for all clips."""
RATES = frozenset({"dynamic_degree"})
"""Metrics, without their suite's prefix, whose value is yes or no for each clip: they get Wilson's interval."""


class Line(NamedTuple):
    """One metric of one system under one protocol, over the clips of a family or all."""

    system: str
    task: str
    modality: str
    family: str
    metric: str
    protocol: str
    clips: int
    """With a value."""
    without: int
    """Where the metric is undefined or the annotator was absent."""
    mean: float | None
    """Mean over clusters of their means; None without a value."""
    low: float | None
    """Lower end of the 95 % interval; None with fewer than two clusters."""
    high: float | None
    suite: str
    clusters: int
    """What the mean and the interval are over: scenes or prompts with a value."""


def summarise(records: Iterable[Record], *, by_family: bool = False) -> list[Line]:
    """Summarise records in the order of their first appearance.

    Args:
        records: of any number of systems.
        by_family: one line for each family instead of one for all clips.
    """
    groups: dict[tuple[str, str, str, str, str, str, str], list[Record]] = {}
    for one in records:
        family = one.family if by_family else ALL
        key = (one.suite, one.system, one.task, one.modality, family, one.metric, one.protocol)
        groups.setdefault(key, []).append(one)
    lines = []
    for (suite, system, task, modality, family, metric, protocol), group in groups.items():
        given = [(one.cluster, one.sample, one.value) for one in group if one.value is not None]
        means = cluster_means(given)
        clips = len({sample for _, sample, _ in given})
        without = len({one.sample for one in group}) - clips
        mean = float(np.mean(list(means.values()))) if means else None
        low, high = _ends(metric, given, list(means.values())) or (None, None)
        about = system, task, modality, family, metric, protocol, clips, without
        lines.append(Line(*about, mean, low, high, suite, len(means)))
    return lines


def bounds_of(metric: str) -> tuple[float, float]:
    """Return the range that a metric cannot leave, so neither can its interval.

    Correlations end at -1 and 1, errors start at 0; percentages end at 100, and pure numbers of which more is better
    are fractions.
    """
    if metric not in METRICS:
        return float("-inf"), float("inf")
    found = load("metric", METRICS, metric)
    if found.unit == "r":
        return -1.0, 1.0
    if found.unit == "%":
        return 0.0, 100.0
    if found.unit == "cosine":
        return -1.0, 1.0
    return 0.0, 1.0 if found.unit == "1" and found.higher_is_better else float("inf")


def _ends(metric: str, given: list[tuple[str, str, float]], means: list[float]) -> tuple[float, float] | None:
    """Wilson's interval for a rate with one clip in each cluster, else the bootstrap's."""
    if metric.rpartition(".")[2] in RATES and len(given) == len(means) and set(means) <= {0.0, 1.0}:
        return wilson(int(sum(means)), len(means))
    return interval(means, bounds=bounds_of(metric))
