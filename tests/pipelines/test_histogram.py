"""Histograms lose no clip, have round edges, and hold every rule's line."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openuni.engine.stage import Column
from openuni.pipelines.histogram import BINS, MAX_WORDS, OTHERS, histogram, shares
from openuni.rule import Rule

COLUMN = Column("x", "px", "a number")
NUMBERS = st.lists(st.none() | st.floats(-1e6, 1e6, allow_nan=False), min_size=1, max_size=60)


def drawn(values, kept=None, *rules):
    kept = np.ones(len(values), bool) if kept is None else np.array(kept)
    return histogram("f.x", COLUMN, pa.chunked_array([pa.array(values, pa.float64())]), kept, [Rule(r) for r in rules])


def test_counts_are_those_of_a_loop_over_the_edges():
    values = [0.0, 0.1, 0.5, 0.5, 0.99, 3.0, None]
    kept = [True, False, True, False, True, True, True]
    found = drawn(values, kept)
    assert found.missing == 1 and sum(found.kept) == 4 and sum(found.dropped) == 2
    for number, (low, high) in enumerate(zip(found.edges, found.edges[1:], strict=False)):
        last = number == len(found.kept) - 1
        inside = [v is not None and low <= v and (v < high or last) for v in values]
        assert found.kept[number] == sum(i and k for i, k in zip(inside, kept, strict=True))
        assert found.dropped[number] == sum(i and not k for i, k in zip(inside, kept, strict=True))


@settings(max_examples=150, deadline=None)
@given(values=NUMBERS, line=st.none() | st.floats(-1e6, 1e6, allow_nan=False))
def test_no_clip_is_lost_and_edges_ascend_whatever_the_values(values, line):
    found = drawn(values, [number % 2 == 0 for number in range(len(values))], *([f"f.x > {line!r}"] if line else []))
    known = [value for value in values if value is not None]
    assert found.missing == len(values) - len(known)
    assert sum(found.kept) + sum(found.dropped) == len(known)
    if known:
        assert np.all(np.diff(found.edges) > 0) and len(found.edges) == len(found.kept) + 1 <= 2 * BINS
        for cut in found.lines:
            assert found.edges[0] <= cut.value <= found.edges[-1]


def test_edges_are_round_numbers_and_one_wild_value_does_not_squeeze_the_rest():
    values = [*np.linspace(0, 1, 1000), 1e9]
    found = drawn(values)
    assert found.edges[-1] < 1.2 and sum(found.kept) == 1001
    assert all(edge == round(edge, 2) for edge in found.edges)


def test_a_rules_line_is_on_its_column_only():
    found = drawn([1.0, 2.0], None, "f.x > 1.5 and f.y < 7", "missing(f.x) or f.x < 9")
    assert [(line.value, line.rule) for line in found.lines] == [
        (1.5, "f.x > 1.5 and f.y < 7"),
        (9.0, "missing(f.x) or f.x < 9"),
    ]


@pytest.mark.parametrize("values", [[None, None], [float("nan")]])
def test_a_column_without_any_value_has_no_bins(values):
    found = drawn(values)
    assert found.edges == () and found.kept == () and found.missing == len(values)


def test_words_are_counted_commonest_first_and_the_rest_together():
    words = [f"w{number:02d}" for number in range(20) for _ in range(number + 1)] + [None]
    kept = np.array([number % 2 == 0 for number in range(len(words))])
    found = shares("f.kind", Column("kind", "text", "a word"), pa.chunked_array([pa.array(words)]), kept)
    assert found.missing == 1 and len(found.values) == MAX_WORDS + 1
    assert found.values[0][0] == "w19" and sum(found.values[0][1:]) == 20
    assert found.values[-1][0] == OTHERS
    assert sum(k + d for _, k, d in found.values) == len(words) - 1


def test_truths_are_counted_as_words():
    found = shares(
        "f.dark", Column("dark", "bool", "x"), pa.chunked_array([pa.array([True, False, True])]), np.ones(3, bool)
    )
    assert dict((word, kept) for word, kept, _ in found.values) == {"true": 2, "false": 1}
