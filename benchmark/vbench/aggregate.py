"""A suite's numbers from clips' records: VBench's means, normalised scores, its results files.

Sources: the `compute_*` functions of VBench 45e79ec run in one process, scripts/cal_final_score.py and constant.py.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from openuni.benchmark.headline import VBENCH_SUITES
from openuni.benchmark.records import Record
from openuni.benchmark.vbench.dimensions import (
    COMPUTED,
    DIMENSIONS,
    PREFIX,
    PROTOCOL,
    QUALITY_WEIGHT,
    SEMANTIC_WEIGHT,
)
from openuni.errors import BadInput

STATIC_METRIC = f"{PREFIX}static"
STATIC_CLIPS = 5
"""Clips of each prompt that temporal flickering is over, the first static ones by name, where the filter ran."""
NOT_ASKED = "not_asked_of_this_prompt"
"""Flag of a dimension that the official suite does not look at in a prompt's clips."""


class Mean(NamedTuple):
    """One dimension over a suite."""

    value: float | None
    """VBench's raw value; None without a clip that has one."""
    clips: int
    """With a value."""
    without: int
    """Asked for and without a value."""
    reason: str
    """Commonest reason of those without, empty without any."""


class Final(NamedTuple):
    """VBench's three scores, of 1; None where a dimension of theirs is missing."""

    quality: float | None
    semantic: float | None
    total: float | None


def means(records: Iterable[Record]) -> dict[str, Mean]:
    """Average each dimension over a suite as VBench does: over pairs of frames for the two consistencies, else clips.

    Args:
        records: of one system, task and modality; others than VBench's are left out.
    """
    by_metric: dict[str, list[Record]] = {}
    for one in records:
        if one.suite in VBENCH_SUITES and one.protocol == PROTOCOL:
            by_metric.setdefault(one.metric, []).append(one)
    static = by_metric.get(STATIC_METRIC, [])
    found = {}
    for name in COMPUTED:
        asked = [one for one in by_metric.get(PREFIX + name, []) if one.flags != NOT_ASKED]
        if name == "temporal_flickering" and static:
            asked = _first_static(asked, static)
        if asked:
            found[name] = _mean(asked, by_pairs=DIMENSIONS[name].by_pairs)
    return found


def _mean(records: Sequence[Record], *, by_pairs: bool) -> Mean:
    given = [(one.value, one.valid if by_pairs else 1) for one in records if one.value is not None]
    reasons = [one.flags.split(" ")[0] for one in records if one.value is None]
    total = sum(weight for _, weight in given)
    value = sum(value * weight for value, weight in given) / total if total else None
    return Mean(value, len(given), len(reasons), max(reasons, key=reasons.count) if reasons else "")


def _first_static(asked: Sequence[Record], static: Sequence[Record]) -> list[Record]:
    """Each prompt's first STATIC_CLIPS static clips, in the order of their names."""
    still = {(one.sample, one.seed) for one in static if one.value}
    unknown = {(one.sample, one.seed) for one in static if one.value is None and one.flags != NOT_ASKED}
    taken: dict[str, list[Record]] = {}
    for one in sorted(asked, key=lambda one: (one.sample, one.seed)):
        if (one.sample, one.seed) in unknown:  # without the filter's network nobody knows: as if it had no value
            taken.setdefault(one.cluster, []).append(one._replace(value=None, flags="not_filtered"))
        elif (one.sample, one.seed) in still and len(taken.setdefault(one.cluster, [])) < STATIC_CLIPS:
            taken[one.cluster].append(one)
    return [one for many in taken.values() for one in many]


def final(values: Mapping[str, float]) -> Final:
    """Return VBench's scores from raw values of dimensions. None where one is missing: VBench itself would take 0."""
    quality = _score(values, [name for name, one in DIMENSIONS.items() if one.quality])
    semantic = _score(values, [name for name, one in DIMENSIONS.items() if not one.quality])
    total = None
    if quality is not None and semantic is not None:
        total = (QUALITY_WEIGHT * quality + SEMANTIC_WEIGHT * semantic) / (QUALITY_WEIGHT + SEMANTIC_WEIGHT)
    return Final(quality, semantic, total)


def _score(values: Mapping[str, float], names: Sequence[str]) -> float | None:
    if any(name not in values for name in names):
        return None
    weights = sum(DIMENSIONS[name].weight for name in names)
    return sum(DIMENSIONS[name].normalised(values[name]) * DIMENSIONS[name].weight for name in names) / weights


def read_results(path: Path) -> dict[str, float]:
    """Read raw values of dimensions from a results file of VBench: {dimension: [value, clips]}.

    Raises:
        BadInput: it is no such file.
    """
    try:
        said = json.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise BadInput(f"{path} not found. Give VBench's ..._eval_results.json.") from error
    except (OSError, ValueError, RecursionError) as error:
        raise BadInput(f"{path} cannot be read ({error}). Give VBench's ..._eval_results.json.") from error
    if not isinstance(said, dict):
        raise BadInput(f"{path}: expected an object of dimension -> [value, clips], got {type(said).__name__}.")
    found = {}
    for key, value in said.items():
        name = key.replace(" ", "_")
        if name not in DIMENSIONS:
            raise BadInput(f"{path}: {key!r} is no dimension of VBench. Known: {', '.join(DIMENSIONS)}.")
        found[name] = _raw(path, key, value[0] if isinstance(value, list) and value else value)
    if not found:
        raise BadInput(f"{path} holds no dimension.")
    return found


def _raw(path: Path, key: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise BadInput(f"{path}: {key} is {value!r}; expected [value, clips] with a number.")
    if not -1 <= value <= 1:
        raise BadInput(f"{path}: {key} is {value}; VBench's raw values are at most 1. Divide percentages by 100.")
    return float(value)


def section(records: Sequence[Record], imported: Mapping[str, float] | None = None) -> list[dict[str, Any]]:
    """Return what results.json says of VBench: for each system, task and modality the suite's numbers and scores.

    Args:
        records: of a run.
        imported: raw values that VBench itself computed; used only where none is computed here.
    """
    groups: dict[tuple[str, str, str], list[Record]] = {}
    for one in records:
        if one.suite in VBENCH_SUITES:
            groups.setdefault((one.system, one.task, one.modality), []).append(one)
    found = []
    for (system, task, modality), group in groups.items():
        computed = means(group)
        raw = {name: one.value for name, one in computed.items() if one.value is not None}
        other = {name: value for name, value in (imported or {}).items() if name not in raw}
        scores = final(raw | other)
        found.append(
            {
                "system": system,
                "task": task,
                "modality": modality,
                "dimensions": {
                    name: {
                        **one._asdict(),
                        "percent": None if one.value is None else 100 * one.value,
                        "normalised": None if one.value is None else DIMENSIONS[name].normalised(one.value),
                    }
                    for name, one in computed.items()
                },
                "imported": other,
                **scores._asdict(),
            }
        )
    return found
