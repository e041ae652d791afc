"""Choose: which of a build's clips make a benchmark, by rules over index and ledgers, spread over people and motion.

Nothing is drawn at random: clips are ordered by a hash of seed and key, so that the same build gives the same choice.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from openuni.errors import BadInput
from openuni.rule import Rule

PEOPLE = ("skeleton.people", "densepose.people", "people.count", "people.hog_count")
"""Columns that count people, the best first; the first that the build has is used."""
MOTION = ("flow.magnitude_mean_px", "motion.flow_pct_per_s", "motion.absdiff")
"""Columns that measure motion, likewise."""
MOTION_CLASSES = ("slow", "medium", "fast")
"""Thirds of the clips that are left, by motion."""
UNKNOWN = "unknown"


class Step(NamedTuple):
    """What one rule left."""

    rule: str
    before: int
    after: int
    reasons: dict[str, int]
    """Why maps are absent, of a rule that asks for them -> clips; most frequent first."""


class Choice(NamedTuple):
    """The clips chosen, in order of preference: whoever cannot freeze one takes the next."""

    keys: tuple[str, ...]
    """All that the rules leave."""
    cells: dict[str, str]
    """Key -> "people, motion": its cell."""
    steps: tuple[Step, ...]
    people: str
    """Column that counts people; empty if the build has none."""
    motion: str
    """Column of motion; likewise."""


def choose(
    table: Any,
    *,
    split: str = "validation",
    modalities: Sequence[str] = (),
    captions: bool = True,
    rules: Sequence[str] = (),
    seed: int = 0,
) -> Choice:
    """Choose clips.

    Args:
        table: pyarrow Table, a row for each sample of the build: index.parquet's columns and any scores.
        split: "validation" (source videos that training never reads), "train", or "all".
        modalities: maps that each clip must have; none: at least one of the build's.
        captions: each clip must have one.
        rules: more rules, see openuni.rule.
        seed: another one orders clips otherwise.

    Raises:
        BadInput: a rule cannot be read, or leaves no clip; the message says which and what to do.
        UnknownName: a rule names a column that there is not.
    """
    steps: list[Step] = []
    for text, hint in _rules(table, split, modalities, captions, rules):
        before = table.num_rows
        kept = Rule(text).evaluate(table).true
        reasons = _absences(table, text, kept)
        table = table.filter(_arrow(kept))
        steps.append(Step(text, before, table.num_rows, reasons))
        if not table.num_rows:
            raise BadInput(_emptied(steps, hint))
    people, motion = (next((one for one in names if one in table.column_names), "") for names in (PEOPLE, MOTION))
    keys = [str(key) for key in table["key"].to_pylist()]
    classes = zip(
        _people_classes(table[people].to_pylist() if people else [None] * len(keys)),
        _motion_classes(table[motion].to_pylist() if motion else [None] * len(keys)),
        strict=True,
    )
    cells = {key: f"{one} people, {two}" for key, (one, two) in zip(keys, classes, strict=True)}
    videos = dict(zip(keys, map(str, table["source_video"].to_pylist()), strict=True))
    return Choice(_spread(keys, cells, videos, seed), cells, tuple(steps), people, motion)


def _rules(
    table: Any, split: str, modalities: Sequence[str], captions: bool, rules: Sequence[str]
) -> list[tuple[str, str]]:
    """Texts of all rules in order, each with what to do where it leaves nothing."""
    have = [name.removesuffix(".present") for name in table.column_names if name.endswith(".present")]
    have = [name for name in have if name != "rgb"]
    for name in modalities:
        if name not in have:
            raise BadInput(f"The build has no modality {name!r}; it has {', '.join(have) or 'none'}.")
    found = []
    if split != "all":
        found.append((f'split == "{split}"', "Build more source videos (1 % of them are validation), or take "
                      "--split all, whose clips training may have seen."))  # fmt: skip
    wanted = [f"{name}.present" for name in modalities]
    if not wanted and have:
        wanted = [" or ".join(f"{name}.present" for name in have)]
    found += [(text, "Require another modality with --require, or build with an expert that gives it.")
              for text in wanted]  # fmt: skip
    if captions:
        found.append(('caption != ""', "Caption the build, or take --no-captions: then only maps are given."))
    return [*found, *((text, "Relax the rule.") for text in rules)]


def _absences(table: Any, text: str, kept: np.ndarray) -> dict[str, int]:
    """Why maps are absent in the clips that a rule about presence drops."""
    names = [name.removesuffix(".present") for name in Rule(text).columns if name.endswith(".present")]
    dropped = table.filter(_arrow(~kept))
    counts: Counter[str] = Counter()
    for name in names:
        if f"{name}.reason" in table.column_names:
            counts.update(f"{name}: {reason}" for reason in dropped[f"{name}.reason"].to_pylist() if reason)
    return dict(counts.most_common(5))


def _emptied(steps: Sequence[Step], hint: str) -> str:
    last = steps[-1]
    if not last.before:
        return "The build's index has no clips. Build some first: openuni build ... --out DIR"
    why = ", ".join(f"{count} x {reason}" for reason, count in last.reasons.items())
    return f"Rule {last.rule!r} leaves none of {last.before} clips{f' ({why})' if why else ''}. {hint}"


def _people_classes(counts: Sequence[Any]) -> list[str]:
    """0, 1, or 2+ people in the clip."""
    return [UNKNOWN if value is None or value != value else ("0", "1", "2+")[min(2, int(value))] for value in counts]


def _motion_classes(values: Sequence[Any]) -> list[str]:
    """Thirds by rank; equal values are of one class."""
    known = sorted(value for value in values if value is not None and value == value)
    if not known:
        return [UNKNOWN] * len(values)
    limits = [known[len(known) * part // 3] for part in (1, 2)]
    return [
        UNKNOWN if value is None or value != value else MOTION_CLASSES[sum(value >= limit for limit in limits)]
        for value in values
    ]


def _spread(keys: Sequence[str], cells: Mapping[str, str], videos: Mapping[str, str], seed: int) -> tuple[str, ...]:
    """Order clips: cells take turns, and within a cell a source video's second clip stands behind all first ones."""
    ordered = sorted(keys, key=lambda key: hashlib.sha256(f"{seed} {key}".encode()).digest())
    rounds: Counter[str] = Counter()
    queues: dict[str, list[tuple[int, int, str]]] = defaultdict(list)
    for place, key in enumerate(ordered):
        queues[cells[key]].append((rounds[videos[key]], place, key))
        rounds[videos[key]] += 1
    sorted_queues = [[key for _, _, key in sorted(queues[cell])] for cell in sorted(queues)]
    longest = max(map(len, sorted_queues), default=0)
    return tuple(queue[turn] for turn in range(longest) for queue in sorted_queues if turn < len(queue))


def _arrow(mask: np.ndarray) -> Any:
    import pyarrow as pa

    return pa.array(np.asarray(mask, bool))
