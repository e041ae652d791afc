"""Funnel: how many clips, and hours, each step and each rule of a build leaves, and why the others fell out.

Every number here is a count or a sum over ledgers; nothing is sampled. Clips that a stage dropped or failed on have
no scores, so rules and histograms are over the others, which are called scored.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from openuni.engine.ledger import STATUSES
from openuni.engine.record import PassRecord, StageRecord
from openuni.pipelines.finish import Annotated
from openuni.pipelines.histogram import Histogram, Shares, histogram, shares
from openuni.pipelines.manifest import Passes
from openuni.pipelines.select import Selection, counted
from openuni.rule import Rule

SECONDS = "duration.seconds"


class Step(NamedTuple):
    """One step of the funnel."""

    name: str
    clips: int
    hours: float
    """Length of these clips; those of unknown length count as 0."""


class RuleRow(NamedTuple):
    """What one rule does to the scored clips."""

    rule: str
    against: int
    """Clips for which it is not true: what it alone would drop."""
    against_hours: float
    missing: int
    """Of these, clips for which it has no answer because a score is missing."""
    only: int
    """Of these, clips that no other rule drops: what leaving it out would win."""


class ModalityRow(NamedTuple):
    """What became of one modality of the annotated clips."""

    modality: str
    expert: str
    present: int
    absent: Counter[str]
    """Reason -> clips: what the expert could not give, and failures."""
    rejected: Counter[str]
    """Acceptance rule -> clips whose map fails it; a clip counts once for each of its rules."""
    not_accepted: int
    """Clips whose map was made and failed one rule or more."""


class StageRow(NamedTuple):
    """What one stage did, over every clip of its pass, selected now or not."""

    pass_name: str
    stage: str
    statuses: Counter[str]
    seconds: float
    """Sum over clips of the time the stage took; the first stage of a pass also pays for decoding."""


class ErrorRow(NamedTuple):
    """One distinct error."""

    stage: str
    fingerprint: str
    error: str
    """Name of its traceback: ledger/<stage>/<fingerprint>/_errors/<error>.txt."""
    reason: str
    """The message of the first clip that met it."""
    clips: int


class GroupRow(NamedTuple):
    """One group of one source."""

    source: str
    group: str
    scored: int
    selected: int
    samples: int


@dataclass(frozen=True)
class Funnel:
    """Everything that the report says in numbers."""

    steps: tuple[Step, ...]
    rules: tuple[RuleRow, ...]
    unusable: Counter[str]
    """"decode_failed" and the like -> clips that could not be scored."""
    waiting: int
    """Selected clips that are not annotated yet: the next `openuni build` does them."""
    modalities: tuple[ModalityRow, ...]
    scores: tuple[Histogram | Shares, ...]
    """Of the score pass; kept are the selected clips."""
    qualities: tuple[Histogram | Shares, ...]
    """Of the annotate pass; kept are the clips whose map is accepted."""
    stages: tuple[StageRow, ...]
    errors: tuple[ErrorRow, ...]
    groups: tuple[GroupRow, ...]


def make_funnel(
    passes: Passes, selection: Selection, there: Annotated, map_rules: Mapping[str, Sequence[Rule]]
) -> Funnel:
    """Count.

    Args:
        passes: the live stages.
        selection: with every score column read.
        there: the annotated clips that are selected.
        map_rules: modality -> acceptance rules.
    """
    scores = selection.scores
    usable = pa.array(~selection.unusable)
    scored = scores.filter(usable)
    kept = selection.selected[~selection.unusable]
    return Funnel(
        steps=_steps(passes, selection, there),
        rules=_rules(selection),
        unusable=selection.unusable_reasons,
        waiting=there.waiting,
        modalities=_modalities(passes.annotate, there),
        scores=_histograms(scored, passes.score.stages, {"": kept}, selection.rules),
        qualities=_histograms(
            there.ledger,
            passes.annotate.stages,
            {name: verdict.present.to_numpy(zero_copy_only=False) for name, verdict in there.verdicts.items()},
            [rule for rules in map_rules.values() for rule in rules],
        ),
        stages=(*_stages(passes.score, scores), *_stages(passes.annotate, there.statuses)),
        errors=(*_errors(passes.score, scores), *_errors(passes.annotate, there.statuses)),
        groups=_groups(selection, there),
    )


def _hours(scores: pa.Table, among: np.ndarray | None = None) -> float:
    """Length of clips in hours; among: (N,) bool."""
    if SECONDS not in scores.column_names:
        return 0.0
    seconds = scores[SECONDS].to_numpy()
    return _sum(seconds if among is None else seconds[among]) / 3600


def _sum(numbers: np.ndarray) -> float:
    """Add up what is not NaN, in one order: Arrow's own sums depend on how a column is cut into chunks."""
    return float(np.nansum(numbers, dtype=np.float64))


def _steps(passes: Passes, selection: Selection, there: Annotated) -> tuple[Step, ...]:
    scores = selection.scores
    listed = passes.score.plan.num_clips()
    steps = [Step("listed", listed, _hours(scores))]
    left = ~selection.unusable
    steps.append(Step("scored", int(left.sum()), _hours(scores, left)))
    for rule, answer in zip(selection.rules, selection.answers, strict=True):
        left = left & answer.true
        steps.append(Step(rule.text, int(left.sum()), _hours(scores, left)))
    ledger = there.ledger
    with_frames = pc.equal(ledger["rgb:status"], "ok")
    seconds = ledger["rgb.num_frames"].to_numpy() / ledger["rgb.fps"].to_numpy()
    samples = pc.sum(with_frames).as_py() or 0
    hours = _sum(seconds[with_frames.to_numpy()]) / 3600
    return (*steps, Step("samples", samples, hours))


def _rules(selection: Selection) -> tuple[RuleRow, ...]:
    usable = ~selection.unusable
    against = [usable & ~answer.true for answer in selection.answers]
    others = np.sum(against, axis=0) if against else np.zeros(len(usable), int)
    return tuple(
        RuleRow(
            rule.text,
            int(bad.sum()),
            _hours(selection.scores, bad),
            int((bad & ~answer.known).sum()),
            int((bad & (others == 1)).sum()),
        )
        for rule, answer, bad in zip(selection.rules, selection.answers, against, strict=True)
    )


def _modalities(annotate: PassRecord, there: Annotated) -> tuple[ModalityRow, ...]:
    rows = []
    for stage in annotate.stages:
        if stage.modality is None:
            continue
        present, reason, against = there.verdicts[stage.modality]
        made = pc.equal(there.ledger[f"{stage.name}:status"], "ok")
        not_accepted = pc.and_(made, pc.invert(present))
        rows.append(
            ModalityRow(
                stage.modality,
                stage.expert,
                pc.sum(present).as_py() or 0,
                counted(reason.filter(pc.invert(made))),
                Counter({rule: int(bad.sum()) for rule, bad in against.items()}),
                pc.sum(not_accepted).as_py() or 0,
            )
        )
    return tuple(rows)


def _histograms(
    table: pa.Table, stages: Sequence[StageRecord], kept: Mapping[str, np.ndarray], rules: Sequence[Rule]
) -> tuple[Histogram | Shares, ...]:
    """Draw up one histogram per score column.

    Args:
        table: the rows.
        stages: whose columns.
        kept: modality -> (N,) bool; "" where one answer holds for all.
        rules: whose thresholds are drawn.
    """
    found: list[Histogram | Shares] = []
    for stage in stages:
        # Captions make and judge no modality: they belong to clips that have frames.
        chosen = kept[""] if "" in kept else kept[stage.modality or stage.judges or "rgb"]
        for column in stage.columns:
            name = f"{stage.name}.{column.name}"
            if column.unit in ("text", "bool"):
                found.append(shares(name, column, table[name], chosen))
            else:
                found.append(histogram(name, column, table[name], chosen, rules))
    return tuple(found)


def _stages(record: PassRecord, table: pa.Table) -> tuple[StageRow, ...]:
    rows = []
    for stage in record.stages:
        statuses = counted(table[f"{stage.name}:status"])
        ordered = Counter({status: statuses[status] for status in STATUSES if statuses[status]})
        rows.append(StageRow(record.name, stage.name, ordered, _sum(table[f"{stage.name}:seconds"].to_numpy())))
    return tuple(rows)


def _errors(record: PassRecord, table: pa.Table) -> tuple[ErrorRow, ...]:
    rows = []
    for stage in record.stages:
        failed = pc.equal(table[f"{stage.name}:status"], "error")
        errors, reasons = table[f"{stage.name}:error"].filter(failed), table[f"{stage.name}:reason"].filter(failed)
        for error, clips in counted(errors).most_common():
            first = reasons.filter(pc.equal(errors, error))[0].as_py()
            rows.append(ErrorRow(stage.name, stage.fingerprint, error, first, clips))
    return tuple(rows)


def _groups(selection: Selection, there: Annotated) -> tuple[GroupRow, ...]:
    scores = selection.scores
    pairs = (
        pa.table({"source": scores["source"], "group": scores["group"]})
        .append_column("scored", pa.array(~selection.unusable))
        .append_column("selected", pa.array(selection.selected))
    )
    sums = pairs.group_by(["source", "group"]).aggregate([("scored", "sum"), ("selected", "sum")])
    ledger = there.ledger
    samples = pa.table(
        {"source": ledger["source"], "group": ledger["group"], "samples": pc.equal(ledger["rgb:status"], "ok")}
    )
    made = {
        (row["source"], row["group"]): row["samples_sum"] or 0
        for row in samples.group_by(["source", "group"]).aggregate([("samples", "sum")]).to_pylist()
    }
    rows = [
        GroupRow(
            row["source"],
            row["group"],
            row["scored_sum"] or 0,
            row["selected_sum"] or 0,
            made.get((row["source"], row["group"]), 0),
        )
        for row in sums.to_pylist()
    ]
    return tuple(sorted(rows))
