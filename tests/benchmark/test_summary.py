"""Records and summaries: round trip, means, intervals against theory, absent clips counted."""

import math

import numpy as np
import pytest

from openuni.benchmark.records import Record, read_records, write_records
from openuni.benchmark.summary import ALL, interval, summarise


def record(sample, value, *, family="objects", metric="flow.epe", flags=""):
    return Record("annotators", "est", "flow", "flow-dis", sample, sample, family, 0, metric, "all", value, 7, flags)


def test_records_come_back_as_they_were_written(tmp_path):
    records = [record("a", 0.1), record("b", None, flags="absent:static")]
    write_records(tmp_path / "records.parquet", records)
    assert read_records(tmp_path / "records.parquet") == records


def test_the_mean_is_over_clips_with_a_value_and_the_others_are_counted():
    (line,) = summarise([record("a", 1.0), record("b", 3.0), record("c", None, flags="absent:static")])
    assert (line.clips, line.without, line.mean, line.family) == (2, 1, 2.0, ALL)
    (line,) = summarise([record("a", None)])
    assert (line.clips, line.mean, line.low, line.high) == (0, None, None, None)


def test_families_have_lines_of_their_own():
    lines = summarise([record("a", 1.0), record("b", 3.0, family="one_person")], by_family=True)
    assert [(line.family, line.mean, line.low) for line in lines] == [("objects", 1.0, None), ("one_person", 3.0, None)]


def test_the_interval_has_the_width_that_theory_gives():
    values = np.random.default_rng(0).normal(5, 2, 400)
    low, high = interval(values, seed=1)
    wanted = 1.96 * values.std() / math.sqrt(400)
    assert low == pytest.approx(values.mean() - wanted, abs=0.02)  # 10,000 draws: the ends vary by 0.005
    assert high == pytest.approx(values.mean() + wanted, abs=0.02)


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(5)
    hits = 0
    for seed in range(300):
        low, high = interval(rng.exponential(1.0, 60), seed=seed, draws=500)
        hits += low <= 1.0 <= high
    assert 0.88 <= hits / 300 <= 0.98  # 0.95 less what percentiles of skewed data lose; sampling error 0.013


def test_the_interval_depends_on_neither_the_order_of_records_nor_the_run():
    records = [record(str(number), float(number)) for number in range(20)]
    assert summarise(records) == summarise(records[::-1]) == summarise(records)


def test_equal_values_have_an_interval_of_no_width_and_one_value_has_none():
    assert interval([2.0, 2.0, 2.0], seed=0) == (2.0, 2.0)
    assert interval([2.0], seed=0) is None
