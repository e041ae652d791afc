"""Select: which clips of the score pass are annotated, decided by rules over the ledgers alone."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from openuni.engine.record import PassRecord
from openuni.expression import Truth
from openuni.rule import Rule

BAD = ("drop", "error", "crash")
MISSING = " (missing)"
"""Ends the reason of a clip for which a rule has no answer because a value is missing."""


@dataclass
class Selection:
    """What the rules say of every clip that was scored. N clips."""

    scores: pa.Table
    """PassRecord.table of the score pass."""
    rules: tuple[Rule, ...]
    answers: tuple[Truth, ...]
    """What each rule says; nothing is meant by it where `unusable`."""
    unusable: np.ndarray
    """(N,) bool: a stage dropped the clip or failed on it, so its rules say nothing."""
    unusable_reasons: Counter[str]
    """"decode_failed" and the like -> clips, each clip counted once, under the first stage that it stopped."""

    @property
    def selected(self) -> np.ndarray:
        """(N,) bool: usable, and every rule is true."""
        chosen = ~self.unusable
        for answer in self.answers:
            chosen = chosen & answer.true
        return chosen

    @property
    def clip_ids(self) -> pa.Array:
        """The selected clips' ids, in planning order."""
        return self.scores["clip_id"].filter(pa.array(self.selected)).combine_chunks()

    def counts(self) -> Counter[str]:
        """Return reason -> clips it stands against; a clip counts once for each of its reasons."""
        found = Counter(self.unusable_reasons)
        for rule, answer in zip(self.rules, self.answers, strict=True):
            found[rule.text] += int((~self.unusable & answer.known & ~answer.true).sum())
            found[rule.text + MISSING] += int((~self.unusable & ~answer.known).sum())
        return +found


def select(record: PassRecord, rules: Sequence[Rule], *, scores: Sequence[str] | None = None) -> Selection:
    """Apply rules to the ledgers of the score pass. All failing rules of a clip are told, not only the first.

    Args:
        record: the score pass.
        rules: all must be true.
        scores: which score columns to read besides those of the rules; None reads all.

    Raises:
        UnknownName: a rule names a column that no filter of the pass has.
        BadInput: a rule compares a text with a number.
    """
    named = [column for rule in rules for column in rule.columns]
    known = set(record.column_names())
    table = record.table(None if scores is None else [*scores, *(name for name in named if name in known)])
    unusable, reasons = failures(table, record)
    return Selection(table, tuple(rules), tuple(rule.evaluate(table) for rule in rules), unusable, reasons)


def failures(table: pa.Table, record: PassRecord) -> tuple[np.ndarray, Counter[str]]:
    """Find the clips that a stage dropped or failed on.

    Returns:
        (N,) bool, and the reasons with the number of clips, each clip counted under the first such stage.
    """
    failed = np.zeros(table.num_rows, bool)
    reasons: Counter[str] = Counter()
    for stage in record.stages:
        status, reason = table[f"{stage.name}:status"], table[f"{stage.name}:reason"]
        bad = pc.is_in(status, pa.array(BAD)).to_numpy()
        fresh = pa.array(bad & ~failed)
        words = pc.if_else(
            pc.equal(status, "drop"), reason, pc.binary_join_element_wise(stage.name + " ", status, ": ", reason, "")
        )
        reasons.update(counted(words.filter(fresh)))
        failed |= bad
    return failed, reasons


def counted(column: pa.ChunkedArray | pa.Array) -> Counter[str]:
    """Count the values of a text column; null is left out."""
    pairs = pc.value_counts(column.drop_null())
    return Counter(dict(zip(pairs.field(0).to_pylist(), pairs.field(1).to_pylist(), strict=True)))
