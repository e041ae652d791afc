"""Records and summaries: round trip, means by cluster, rates, absent clips counted."""

import math

from openuni.benchmark.records import Record, read_records, write_records
from openuni.benchmark.statistics import interval, wilson
from openuni.benchmark.summary import ALL, bounds_of, summarise


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


def test_the_interval_depends_on_neither_the_order_of_records_nor_the_run():
    records = [record(str(number), float(number)) for number in range(20)]
    assert summarise(records) == summarise(records[::-1]) == summarise(records)


def test_two_clips_of_a_scene_and_seeds_of_a_clip_count_once():
    pair = [record("a", 1.0)._replace(cluster="s1"), record("b", 3.0)._replace(cluster="s1")]
    seeds = [record("c", 6.0), record("c", 8.0)._replace(seed=1)]
    (line,) = summarise([*pair, *seeds])
    assert (line.mean, line.clips, line.clusters) == (4.5, 3, 2)
    (alone,) = summarise([*pair, record("c", None), record("c", None)._replace(seed=1)])
    assert (alone.mean, alone.low, alone.clips, alone.clusters, alone.without) == (2.0, None, 2, 1, 1)


def test_suites_are_not_pooled():
    lines = summarise([record("a", 1.0), record("a", 5.0)._replace(suite="unibench-est")])
    assert [(line.suite, line.mean) for line in lines] == [("annotators", 1.0), ("unibench-est", 5.0)]


def test_a_rate_has_wilson_s_interval():
    moving = [record(str(number), float(number < 48), metric="vbench.dynamic_degree") for number in range(102)]
    (line,) = summarise(moving)
    assert (line.low, line.high) == wilson(48, 102)
    (pooled,) = summarise([one._replace(cluster=str(int(one.sample) // 2)) for one in moving])
    assert (pooled.low, pooled.high) == interval([1.0] * 24 + [0.0] * 27)


def test_an_interval_stays_within_what_a_metric_can_be():
    values = [record(str(number), value, metric="depth.delta1") for number, value in enumerate([0.99, 1, 1, 0.2, 1, 1])]
    (line,) = summarise(values)
    assert 0 <= line.low < line.mean < line.high <= 1
    assert bounds_of("depth.abs_rel") == (0, math.inf) and bounds_of("flow.fl") == (0, 100)
    assert bounds_of("vbench.overall_consistency") == (-1, 1)
