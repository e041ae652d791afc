"""Summary: means over clips with bootstrap intervals, from records alone."""

import hashlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from openuni.benchmark.records import Record

DRAWS = 10_000  # percentiles of so many draws move by less than a hundredth of the interval's width
LEVEL = 0.95
ALL = "all"
"""The family that stands for all clips."""


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
    """Mean over clips; None without one."""
    low: float | None
    """Lower end of the 95 % bootstrap interval by clip; None with fewer than two clips."""
    high: float | None


def interval(values: Sequence[float], *, seed: int, draws: int = DRAWS) -> tuple[float, float] | None:
    """Percentile bootstrap interval of the mean: clips are drawn with replacement (Efron 1979).

    Args:
        values: one for each clip.
        seed: of the draws.
        draws: how many.

    Returns:
        Its ends at LEVEL; None with fewer than two values.
    """
    if len(values) < 2:
        return None
    array = np.asarray(values, np.float64)
    # Multinomial counts are the draws with replacement, in draws x clips numbers; a block at a time.
    rng, means, block = np.random.default_rng(seed), [], max(1, 2**22 // len(array))
    for start in range(0, draws, block):
        counts = rng.multinomial(len(array), np.full(len(array), 1 / len(array)), size=min(block, draws - start))
        means.append(counts @ array / len(array))
    ends = np.quantile(np.concatenate(means), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(ends[0]), float(ends[1])


def summarise(records: Iterable[Record], *, by_family: bool = False) -> list[Line]:
    """Summarise records in the order of their first appearance.

    Args:
        records: of any number of systems.
        by_family: one line for each family instead of one for all clips.
    """
    groups: dict[tuple[str, ...], list[Record]] = {}
    for one in records:
        family = one.family if by_family else ALL
        groups.setdefault((one.system, one.task, one.modality, family, one.metric, one.protocol), []).append(one)
    lines = []
    for key, group in groups.items():
        # Sorted by sample, so that the draws do not depend on the order of records.
        values = [one.value for one in sorted(group, key=lambda one: one.sample) if one.value is not None]
        seed = int.from_bytes(hashlib.sha256("\0".join(key).encode()).digest()[:8], "big")
        ends = interval(values, seed=seed)
        mean = float(np.mean(values)) if values else None
        low, high = ends or (None, None)
        system, task, modality, family, metric, protocol = key
        counts = len(values), len(group) - len(values)
        lines.append(Line(system, task, modality, family, metric, protocol, *counts, mean, low, high))
    return lines
