"""Ranking: which clips a page shows, and why clips have no number."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from openuni.benchmark.headline import BESIDE, GENERATION, HEADLINES
from openuni.benchmark.records import Record
from openuni.benchmark.runs import BenchRun

FLAGS = ("constant", "inverted", "unusable")
"""Flags of a number that is there all the same."""


class Ranked(NamedTuple):
    """A clip by one metric."""

    sample: str
    seed: int
    """The first of its seeds."""
    value: float
    """Mean over seeds."""
    flags: str


def ranking_metric(records: Sequence[Record], run: BenchRun, modality: str) -> tuple[str, str] | None:
    """Return (metric, protocol) that clips are ranked by: the modality's headline, else the first with a direction.

    Of generations no control: neither shuffled ones nor the original clip's.
    """
    present = list(
        dict.fromkeys(
            (one.metric, one.protocol)
            for one in records
            if one.value is not None and (one.suite != GENERATION or one.protocol in BESIDE)
        )
    )
    wanted = [pair for pair in HEADLINES.get(modality, ()) if pair in present]
    return next(iter(wanted), next((pair for pair in present if run.direction(pair[0]) is not None), None))


def ranked(records: Sequence[Record], metric: str, protocol: str, *, higher_is_better: bool) -> list[Ranked]:
    """Order clips from best to worst; equal ones by name."""
    by_sample: dict[str, list[Record]] = {}
    for one in records:
        if (one.metric, one.protocol) == (metric, protocol) and one.value is not None:
            by_sample.setdefault(one.sample, []).append(one)
    found = [
        Ranked(
            sample,
            min(one.seed for one in many),
            float(np.mean([one.value for one in many if one.value is not None])),
            " ".join(dict.fromkeys(flag for one in many for flag in one.flags.split())),
        )
        for sample, many in by_sample.items()
    ]
    return sorted(found, key=lambda one: (-one.value if higher_is_better else one.value, one.sample))


def best_and_worst(order: Sequence[Ranked], number: int) -> tuple[list[Ranked], list[Ranked]]:
    """Return so many of the best, the best first, and of the worst, the worst first; none is in both."""
    best = list(order[:number])
    rest = order[len(best) :]
    return best, list(rest[max(0, len(rest) - number) :])[::-1]


def failures(records: Sequence[Record]) -> Counter[str]:
    """Count reasons why answers have no number at all: "absent: static" -> how many (sample, seed)."""
    answers: dict[tuple[str, int], list[Record]] = {}
    for one in records:
        answers.setdefault((one.sample, one.seed), []).append(one)
    counted: Counter[str] = Counter()
    for many in answers.values():
        # CPU time is not about the answer; an absent one has it too.
        about = [one for one in many if "." in one.metric] or many
        if all(one.value is None for one in about):
            counted[about[0].flags.replace(":", ": ", 1).replace("_", " ") or "no reason given"] += 1
    return counted


def suspicious(records: Sequence[Record]) -> Counter[str]:
    """Count answers with a number and a flag: constant, inverted, with unusable pixels."""
    counted = {
        (flag, one.sample, one.seed)
        for one in records
        if one.value is not None
        for word in one.flags.split()
        if (flag := word.partition(":")[0]) in FLAGS
    }
    return Counter(flag for flag, _, _ in counted)
