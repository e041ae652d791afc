"""Compare: two runs on the samples they have in common. Paired, because scenes differ more than systems do."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from openuni.benchmark.records import Record
from openuni.benchmark.runs import BenchRun
from openuni.benchmark.statistics import cluster_means, clusters_needed, holm, interval, paired_p
from openuni.errors import BadInput

ALPHA = 0.05


class Difference(NamedTuple):
    """One metric of two systems over the samples where both have a value."""

    suite: str
    task: str
    modality: str
    metric: str
    protocol: str
    samples: int
    """In common, with a value in both."""
    clusters: int
    lost_a: int
    """Samples with a value in B alone."""
    lost_b: int
    mean_a: float
    """Over clusters of the common samples; so may differ from the run's own table."""
    mean_b: float
    difference: float
    """A - B."""
    low: float | None
    """95 % interval of the difference; None with fewer than two clusters."""
    high: float | None
    p: float | None
    """Sign-flip permutation test."""
    p_holm: float | None
    """Corrected for the number of tests of this comparison."""
    needed: int | None
    """Clusters that would show this difference with 80 % power."""
    better: str
    """"A" or "B", whichever the mean favours; empty where they are equal or neither way is better."""

    @property
    def proven(self) -> bool:
        """Whether the corrected p is below ALPHA."""
        return self.p_holm is not None and self.p_holm < ALPHA


@dataclass
class Comparison:
    """Two runs compared."""

    a: str
    """A's system."""
    b: str
    differences: list[Difference]
    forced: str = ""
    """Why the numbers cannot be compared, where --force compared them all the same."""
    notes: list[str] = field(default_factory=list)
    """What a reader should know."""


def compare(a: BenchRun, b: BenchRun, *, force: bool = False, primary: Iterable[tuple[str, str]] = ()) -> Comparison:
    """Compare two runs, each of one system for a modality.

    Args:
        a: one run.
        b: the other.
        force: compare even what cannot be compared; the result says so.
        primary: (metric, protocol) to test; empty: all. Fewer tests cost less in the correction.

    Raises:
        BadInput: data or protocols differ, or nothing is in common.
    """
    problem = incomparable(a, b)
    if problem and not force:
        raise BadInput(f"{a.folder} and {b.folder} cannot be compared: {problem}. --force compares them all the same.")
    one, other = _values(a.records), _values(b.records)
    wanted = set(primary)
    pairs = [key for key in one if key in other and (not wanted or key[3:] in wanted)]
    found = [made for key in pairs if (made := _difference(key, one[key], other[key], a.direction(key[3]))) is not None]
    if not found:
        raise BadInput(
            f"{a.folder} and {b.folder} have no sample in common with a value in both. Give two runs on the same data "
            "that were asked the same."
        )
    tested = [one.p for one in found if one.p is not None]
    corrected = iter(holm(tested))
    found = [one if one.p is None else one._replace(p_holm=next(corrected)) for one in found]
    return Comparison(", ".join(a.systems), ", ".join(b.systems), found, problem, _notes(a, b, found))


def incomparable(a: BenchRun, b: BenchRun) -> str:
    """Return why two runs' numbers cannot be compared; empty if nothing says so.

    Runs on the first samples of one folder can: the samples in common are compared.
    """
    for part in a.protocols.keys() & b.protocols.keys():
        if a.protocols[part] != b.protocols[part]:
            return f"{part} is version {a.protocols[part]} in one and {b.protocols[part]} in the other"
    digests = [run.about.get("data", {}).get("sha256") for run in (a, b)]
    counts = [run.about.get("data", {}).get("samples") for run in (a, b)]
    if all(digests) and digests[0] != digests[1]:
        if counts[0] == counts[1]:
            return f"the data differ (sha256 {digests[0][:12]} and {digests[1][:12]})"
        if a.data != b.data:
            return f"the data differ ({a.data}, {counts[0]} samples, and {b.data}, {counts[1]})"
    if not all(digests) and a.data and b.data and a.data != b.data:
        return f"one was scored on {a.data}, the other on {b.data}"
    return ""


Key = tuple[str, str, str, str, str]


def _values(records: Iterable[Record]) -> dict[Key, dict[str, list[Record]]]:
    """(suite, task, modality, metric, protocol) -> sample -> records with a value.

    Raises:
        BadInput: two systems answered the same question.
    """
    found: dict[Key, dict[str, list[Record]]] = {}
    systems: dict[tuple[str, str, str], str] = {}
    for one in records:
        if systems.setdefault((one.suite, one.task, one.modality), one.system) != one.system:
            both = f"{systems[one.suite, one.task, one.modality]} and {one.system}"
            raise BadInput(
                f"A run holds two systems for {one.modality} ({both}); bench them into folders of their own."
            )
        if one.value is not None:
            key = (one.suite, one.task, one.modality, one.metric, one.protocol)
            found.setdefault(key, {}).setdefault(one.sample, []).append(one)
    return found


def _difference(
    key: Key, a: dict[str, list[Record]], b: dict[str, list[Record]], higher_is_better: bool | None
) -> Difference | None:
    common = sorted(a.keys() & b.keys())
    if not common:
        return None
    # A's clusters for both: a sample is of one scene.
    means = [
        cluster_means(
            (a[sample][0].cluster, sample, one.value)
            for sample in common
            for one in side[sample]
            if one.value is not None
        )
        for side in (a, b)
    ]
    values = np.array([list(side.values()) for side in means])
    differences = values[0] - values[1]
    mean = float(differences.mean())
    low, high = interval(list(differences)) or (None, None)
    better = "" if higher_is_better is None or mean == 0 else "A" if (mean > 0) == higher_is_better else "B"
    lost = len(b.keys() - a.keys()), len(a.keys() - b.keys())
    return Difference(
        *key, len(common), len(differences), *lost, float(values[0].mean()), float(values[1].mean()), mean, low, high,
        paired_p(differences), None, clusters_needed(differences), better,
    )  # fmt: skip


def _notes(a: BenchRun, b: BenchRun, found: list[Difference]) -> list[str]:
    notes = []
    tests = sum(one.p is not None for one in found)
    notes.append(
        f"differences are A - B over the samples where both have a value; p by sign flips of clusters, Holm-corrected "
        f"for {tests} {'test' if tests == 1 else 'tests'}"
    )
    few = max((one.clusters for one in found), default=0)
    if 2 / 2**few > ALPHA:
        notes.append(f"with {few} clusters no p can be below {2 / 2**few:.2g}: nothing can be proven on so few")
    if any(one.lost_a or one.lost_b for one in found):
        lost = max(one.lost_a for one in found), max(one.lost_b for one in found)
        notes.append(f"left out: up to {lost[0]} samples without a value in A, {lost[1]} in B")
    for name in ("openuni", "commit"):
        pair = a.versions.get(name), b.versions.get(name)
        if all(pair) and pair[0] != pair[1]:
            notes.append(f"{name} is {pair[0]} in A and {pair[1]} in B")
    if not (a.protocols and b.protocols):
        notes.append("a run without results.json does not say by which version of the judge it was scored")
    return notes
