"""openuni bench compare: paired differences, what is in common, what may not be compared."""

import json

import pytest
import typer
from typer.testing import CliRunner

from openuni.benchmark.compare import compare
from openuni.benchmark.comparison_table import comparison_table
from openuni.benchmark.records import read_records, write_records
from openuni.benchmark.runs import read_run
from openuni.benchmark.table_form import to_text
from openuni.cli.bench_compare import compare_runs
from openuni.errors import BadInput
from tests.benchmark.synthetic_runs import depth_records, record, write_run


@pytest.fixture
def runs(tmp_path):
    """A worse by 0.01 than B in every scene; scenes differ five times as much."""
    a = write_run(tmp_path / "a", depth_records(worse=0.01, seed=1, system="one"))
    b = write_run(tmp_path / "b", depth_records(seed=2, system="two"))
    return read_run(a), read_run(b)


def test_a_small_difference_is_found_because_scenes_are_paired(runs):
    found = compare(*runs)
    one = next(line for line in found.differences if line.metric == "depth.abs_rel")
    assert (one.samples, one.clusters, one.better, one.lost_a, one.lost_b) == (12, 12, "B", 0, 0)
    assert 0 < one.low < 0.01 < one.high < 0.03 and one.difference == pytest.approx(one.mean_a - one.mean_b)
    assert one.proven and one.p_holm in (one.p, 2 * one.p, 3 * one.p)
    delta = next(line for line in found.differences if line.metric == "depth.delta1")
    assert delta.difference < 0 and delta.better == "B"  # higher is better there


def test_a_run_against_itself_proves_nothing(runs):
    for line in compare(runs[0], runs[0]).differences:
        assert (line.difference, line.low, line.high, line.p, line.better) == (0, 0, 0, 1.0, "")
        assert not line.proven and line.needed is None


def test_p_values_are_corrected_for_what_is_tested(runs):
    alone = compare(*runs, primary=[("depth.abs_rel", "disp-ls")]).differences
    assert [line.metric for line in alone] == ["depth.abs_rel"] and alone[0].p_holm == alone[0].p
    assert "Holm-corrected for 3 tests" in compare(*runs).notes[0]


def test_only_samples_with_a_value_in_both_count(tmp_path):
    records = depth_records(6)
    fewer = [one._replace(value=None, flags="absent:static") if one.sample == "scene-03" else one for one in records]
    a, b = write_run(tmp_path / "a", fewer), write_run(tmp_path / "b", [*records, *depth_records(8)[18:]])
    found = compare(read_run(a), read_run(b))
    assert {(line.samples, line.lost_a, line.lost_b) for line in found.differences} == {(5, 3, 0)}
    assert any("up to 3 samples without a value in A" in note for note in found.notes)
    assert any("no p can be below 0.062" in note for note in found.notes)


def test_two_clips_of_a_scene_are_one_observation(tmp_path):
    def pair(value):
        return [record("depth.abs_rel", value + n, f"clip-{n}", cluster=f"scene-{n // 2}") for n in range(12)]

    found = compare(
        read_run(write_run(tmp_path / "a", pair(0.2))), read_run(write_run(tmp_path / "b", pair(0.1)))
    ).differences
    assert [(line.samples, line.clusters, line.p) for line in found] == [(12, 6, 2 / 2**6)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"judge": "2"}, "judge is version 1 in one and 2 in the other"),
        ({"suites": {"unibench-est": {"version": "9"}}}, "suite unibench-est is version 1 in one and 9 in the other"),
        ({"sha256": "e" * 64}, "the data differ (sha256 dddddddddddd and eeeeeeeeeeee)"),
        (
            {"sha256": "e" * 64, "samples": 4, "data": {"folder": "x", "samples": 4, "sha256": "e"}},
            "the data differ (un",
        ),
    ],
)
def test_what_cannot_be_compared_is_refused_and_can_be_forced(tmp_path, change, message):
    a = read_run(write_run(tmp_path / "a", depth_records()))
    b = read_run(write_run(tmp_path / "b", depth_records(seed=2), **change))
    with pytest.raises(BadInput) as caught:
        compare(a, b)
    assert message in str(caught.value) and "--force" in str(caught.value) and "\n" not in str(caught.value)
    forced = compare(a, b, force=True)
    text = to_text(comparison_table(forced))
    assert "NOT COMPARABLE, forced" in text.splitlines()[0] and message in text


def test_runs_on_the_first_samples_of_one_folder_can_be_compared(tmp_path):
    a = read_run(write_run(tmp_path / "a", depth_records()))
    b = read_run(write_run(tmp_path / "b", depth_records(5), sha256="e" * 64, samples=5))
    assert compare(a, b).differences[0].samples == 5


def test_annotator_runs_say_what_they_do_not_know(tmp_path):
    for name in ("a", "b"):
        folder = write_run(tmp_path / name, depth_records(6))
        (folder / "results.json").unlink()
        (folder / "run.json").write_text(json.dumps({"config": {"data": "here"}, "versions": {"commit": name}}))
    found = compare(read_run(tmp_path / "a"), read_run(tmp_path / "b"))
    assert any("does not say by which version of the judge" in note for note in found.notes)
    assert "commit is a in A and b in B" in found.notes
    (tmp_path / "b" / "run.json").write_text(json.dumps({"config": {"data": "there"}}))
    with pytest.raises(BadInput, match="one was scored on here, the other on there"):
        compare(read_run(tmp_path / "a"), read_run(tmp_path / "b"))


def test_what_is_no_run_is_one_clear_line(tmp_path, runs):
    with pytest.raises(BadInput, match="has no records.parquet. Give the output folder of openuni bench."):
        read_run(tmp_path)
    (tmp_path / "a" / "results.json").write_text("{")
    with pytest.raises(BadInput, match="results.json cannot be read"):
        read_run(tmp_path / "a")
    (tmp_path / "a" / "results.json").write_text('{"schema": 99}')
    with pytest.raises(BadInput, match="has schema 99, expected 1"):
        read_run(tmp_path / "a")
    (tmp_path / "a" / "records.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(BadInput, match="records.parquet cannot be read"):
        read_run(tmp_path / "a")
    two = [*depth_records(3), *depth_records(3, system="other")]
    with pytest.raises(BadInput, match="A run holds two systems for depth"):
        compare(read_run(write_run(tmp_path / "two", two)), runs[1])
    with pytest.raises(BadInput, match="have no sample in common"):
        compare(read_run(write_run(tmp_path / "no", [record("depth.abs_rel", 1.0, "other")])), runs[1])


def test_the_command_prints_headline_metrics_or_all(tmp_path, runs):
    for name in ("a", "b"):
        path = tmp_path / name / "records.parquet"
        more = [record("depth.rmse", float(number), f"scene-{number:02d}") for number in range(12)]
        write_records(path, [one._replace(system=name) for one in [*read_records(path), *more]])
    app = typer.Typer()
    app.command()(compare_runs)
    folders = [str(tmp_path / "a"), str(tmp_path / "b")]
    printed = CliRunner().invoke(app, folders)
    assert printed.exit_code == 0 and printed.output.startswith("A = a, B = b\n")
    assert "abs_rel" in printed.output and "rmse" not in printed.output and "better with Holm's p" in printed.output
    assert "depth.rmse" in CliRunner().invoke(app, [*folders, "--all"]).output
    assert "\\toprule" in CliRunner().invoke(app, [*folders, "--form", "latex"]).output
    assert "Unknown form 'latx'. Did you mean 'latex'?" in str(
        CliRunner().invoke(app, [*folders, "--form", "latx"]).exception
    )
