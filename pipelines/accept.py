"""Accept: which maps of the annotate pass are kept, decided by rules over the ledgers alone. No shard changes."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from openuni.engine.record import StageRecord
from openuni.rule import Rule

REJECTED = "rejected: "
"""Begins the reason of a map that was made and not accepted; the failing rules follow."""


class Verdict(NamedTuple):
    """What became of one modality of N clips."""

    present: pa.ChunkedArray | pa.Array
    """(N,) bool: made and accepted."""
    reason: pa.ChunkedArray | pa.Array
    """(N,) string: why it is not there; empty where it is."""
    against: dict[str, np.ndarray]
    """Acceptance rule -> (N,) bool: the map was made, and the rule is not true for it."""


def judge(table: pa.Table, stage: StageRecord, rules: Sequence[Rule]) -> Verdict:
    """Apply a modality's acceptance rules.

    A map is kept if every rule is true for it; a rule without an answer, because a score is missing, rejects it.

    Args:
        table: PassRecord.table of the annotate pass.
        stage: the stage that made the modality.
        rules: for its maps.

    Raises:
        UnknownName: a rule names a column that the table does not have.
    """
    made = pc.equal(table[f"{stage.name}:status"], "ok")
    failing = pa.chunked_array([pa.array([""] * table.num_rows, pa.string())])
    against = {}
    for rule in rules:
        bad = ~np.asarray(rule.evaluate(table).true)
        against[rule.text] = bad & made.to_numpy()
        longer = pc.binary_join_element_wise(failing, rule.text, pc.if_else(pc.equal(failing, ""), "", "; "))
        failing = pc.if_else(pa.array(bad), longer, failing)
    accepted = pc.equal(failing, "")
    rejected = pc.binary_join_element_wise(REJECTED, failing, "")
    reason = pc.if_else(made, pc.if_else(accepted, "", rejected), table[f"{stage.name}:reason"])
    return Verdict(pc.and_(made, accepted), reason, against)


def judge_all(
    table: pa.Table, stages: Sequence[StageRecord], rules: Mapping[str, Sequence[Rule]]
) -> dict[str, Verdict]:
    """Return modality -> verdict for every stage that makes one."""
    return {stage.modality: judge(table, stage, rules.get(stage.modality, ())) for stage in stages if stage.modality}
