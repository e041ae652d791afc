"""Selecting and accepting are what the rules say, clip by clip; a stricter rule never keeps more."""

import operator

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openuni.pipelines.accept import judge_all
from openuni.pipelines.select import MISSING, select
from openuni.rule import Rule
from tests.pipelines.ledger_cases import make_ledgers


@pytest.fixture(scope="module")
def passes(tmp_path_factory):
    return make_ledgers(tmp_path_factory.mktemp("ledgers"), count=120, unit_size=16)


def chosen(passes, *texts):
    return select(passes.score, [Rule(text) for text in texts])


def test_a_clip_that_a_stage_dropped_or_failed_on_is_never_selected_and_counts_once(passes):
    selection = chosen(passes)
    assert selection.unusable.sum() == 4 and selection.selected.sum() == 116
    assert selection.unusable_reasons == {
        "decode_failed": 1,
        "light error: ValueError: odd <b>": 1,
        "light error: ValueError: other words": 1,
        "light crash: timeout": 1,
    }


def test_all_failing_rules_count_and_missing_is_told_apart(passes):
    selection = chosen(passes, "light.mean > 100", "duration.seconds >= 10")
    rows = [row for row, bad in zip(selection.scores.to_pylist(), selection.unusable, strict=True) if not bad]
    counts = selection.counts()
    for column, line, sign in (("light.mean", 100, operator.gt), ("duration.seconds", 10, operator.ge)):
        text = f"{column} {'>' if sign is operator.gt else '>='} {line}"
        values = [row[column] for row in rows]
        assert counts[text] == sum(value is not None and not sign(value, line) for value in values)
        assert counts[text + MISSING] == sum(value is None for value in values)
    both = [(r["light.mean"] or -1) > 100 and (r["duration.seconds"] or -1) >= 10 for r in rows]
    assert len(selection.clip_ids) == sum(both)


def test_only_the_columns_that_are_asked_for_are_read(passes):
    selection = select(passes.score, [Rule("duration.seconds >= 10")], scores=["light.kind"])
    names = [name for name in selection.scores.column_names if "." in name]
    assert sorted(names) == ["duration.seconds", "light.kind"]
    assert selection.clip_ids.equals(chosen(passes, "duration.seconds >= 10").clip_ids)


COLUMNS = st.sampled_from(["light.mean", "duration.seconds"])
NUMBERS = st.floats(-50, 250, allow_nan=False).map(lambda value: round(value, 3))


@settings(max_examples=60, deadline=None)
@given(column=COLUMNS, low=NUMBERS, step=st.floats(0, 100), more=st.booleans(), other=NUMBERS)
def test_a_stricter_rule_never_keeps_more(passes, column, low, step, more, other):
    sign, high = (">=", low + step) if more else ("<=", low - step)
    loose = chosen(passes, f"{column} {sign} {low!r}").selected
    strict = chosen(passes, f"{column} {sign} {high!r}").selected
    assert not (strict & ~loose).any()
    # So is one more rule, and a conjunction; a disjunction is looser.
    and_more = chosen(passes, f"{column} {sign} {low!r}", f"light.mean < {other!r}").selected
    joined = chosen(passes, f"{column} {sign} {low!r} and light.mean < {other!r}").selected
    either = chosen(passes, f"{column} {sign} {low!r} or light.mean < {other!r}").selected
    assert np.array_equal(and_more, joined)
    assert not (and_more & ~loose).any() and not (loose & ~either).any()


def test_a_map_is_present_if_it_was_made_and_every_rule_is_true_for_it(passes):
    table = passes.annotate.table()
    rules = {"flow": [Rule("flow_check.photometric < 0.5"), Rule("flow.valid_fraction > 0.3")]}
    verdict = judge_all(table, passes.annotate.stages, rules)["flow"]
    for row, present, reason in zip(
        table.to_pylist(), pa.chunked_array(verdict.present).to_pylist(), pa.chunked_array(verdict.reason).to_pylist(),
        strict=True,
    ):  # fmt: skip
        failing = []
        if row["flow_check.photometric"] is None or not row["flow_check.photometric"] < 0.5:
            failing.append("flow_check.photometric < 0.5")
        if row["flow.valid_fraction"] is None or not row["flow.valid_fraction"] > 0.3:
            failing.append("flow.valid_fraction > 0.3")
        made = row["flow:status"] == "ok"
        assert present == (made and not failing)
        expected = row["flow:reason"] if not made else "rejected: " + "; ".join(failing) if failing else ""
        assert reason == expected


def test_without_acceptance_rules_every_map_that_was_made_is_there(passes):
    table = passes.annotate.table()
    verdicts = judge_all(table, passes.annotate.stages, {})
    assert set(verdicts) == {"rgb", "flow"}
    made = [status == "ok" for status in table["flow:status"].to_pylist()]
    assert pa.chunked_array(verdicts["flow"].present).to_pylist() == made
