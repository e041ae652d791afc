"""Select: which clips of the score pass are annotated, decided by rules over the ledgers alone."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from openuni.engine.job import Job
from openuni.engine.ledger import read_ledger
from openuni.rule import Rule, failing

BAD = ("drop", "error", "crash")


@dataclass
class Selection:
    """What the rules say of every clip that was scored."""

    scores: pa.Table
    """One row per clip: clip_id, unit and the score columns of every filter."""
    reasons: list[list[str]]
    """For each row all reasons against the clip: failing rules, then stages that could not score it."""
    stage_failures: Counter[str] = field(default_factory=Counter)
    """"decode_failed" and the like -> clips, each clip counted once."""

    @property
    def selected(self) -> np.ndarray:
        """(N,) bool."""
        return np.array([not reasons for reasons in self.reasons], bool)

    @property
    def clip_ids(self) -> list[str]:
        """The selected clips' ids."""
        ids = self.scores["clip_id"].to_pylist()
        return [clip_id for clip_id, reasons in zip(ids, self.reasons, strict=True) if not reasons]

    def counts(self) -> Counter[str]:
        """Return reason -> clips it stands against; a clip counts once for each of its reasons."""
        return Counter(reason for reasons in self.reasons for reason in reasons)


def join_ledgers(job: Job) -> pa.Table:
    """Join the ledgers of all stages of a pass: clip_id, unit, the scores, and `<stage>.status` / `.reason`.

    Only units that every stage has committed count.
    """
    units = [name for name in job.plan.names() if not job.todo(name)]
    joined: pa.Table | None = None
    for stage in job.stages:
        table, _ = read_ledger(job.out, stage, job.fingerprints[stage.name], units)
        if joined is None:
            joined = table.select(["clip_id", "unit", "source", "source_key", "source_video", "group"])
        assert joined["clip_id"].equals(table["clip_id"]), f"ledger of {stage.name} lists other clips"
        for name in table.column_names:
            if name.startswith(f"{stage.name}."):
                joined = joined.append_column(name, table[name])
        for name in ("status", "reason", "offset", "size"):
            joined = joined.append_column(f"{stage.name}.{name}", table[name])
    assert joined is not None, "a pass has at least one stage"
    return joined


def select(job: Job, rules: Sequence[Rule]) -> Selection:
    """Apply rules to the ledgers of the score pass. All failing rules of a clip are recorded, not only the first.

    Raises:
        UnknownName: a rule names a column that no filter has.
    """
    scores = join_ledgers(job)
    failures: Counter[str] = Counter()
    unusable: dict[int, str] = {}
    for stage in job.stages:
        bad = pc.is_in(scores[f"{stage.name}.status"], pa.array(BAD))
        for row in np.flatnonzero(bad.to_numpy(zero_copy_only=False)).tolist():
            reason = scores[f"{stage.name}.reason"][row].as_py()
            status = scores[f"{stage.name}.status"][row].as_py()
            unusable.setdefault(row, reason if status == "drop" else f"{stage.name} {status}: {reason}")
    reasons = failing(rules, scores) if scores.num_rows else []
    for row, reason in unusable.items():
        # A clip that could not be scored has no values: its rules say nothing more.
        reasons[row] = [reason]
        failures[reason] += 1
    return Selection(scores, reasons, failures)
