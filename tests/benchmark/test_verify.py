"""openuni bench verify: it passes on the judge as it is, and sees what can be wrong with a judge."""

import pytest
import typer
from typer.testing import CliRunner

from openuni.benchmark.judge import judge
from openuni.benchmark.synth.frozen import official_scene
from openuni.benchmark.synth.render import maps_of, render_clip
from openuni.benchmark.verify import verify
from openuni.cli.bench_verify import verify_bench
from openuni.errors import BadInput, RunFailed
from openuni.table import MODALITIES
from tests.benchmark.rendered import render_tiny

NAMES = ("truth", "storage", "shuffled", "constant", "inverted")


@pytest.fixture(scope="module")
def truths():
    """A person, things, two people."""
    return [render_clip(official_scene(number, 4), height=64, width=64, tier=None).truth for number in range(3)]


def failures(truths, judged):
    return {(check.modality, check.name) for check in verify(truths, judged) if check.passed is False}


def test_the_judge_passes_every_check_of_every_modality(truths):
    found = list(verify(truths))
    assert [(one.modality, one.name) for one in found] == [(m, n) for m in MODALITIES for n in NAMES]
    assert all(one.passed for one in found), [one for one in found if not one.passed]


@pytest.mark.parametrize(
    "metric",
    ["depth.boundary_f1", "flow.out1", "segmentation.class_miou", "skeleton.ap", "densepose.gps_ap"],
)
def test_one_metric_that_is_off_is_seen(truths, metric):
    def off(modality, map, truth):
        return [
            one._replace(value=one.value - 0.001) if one.metric == metric and one.value is not None else one
            for one in judge(modality, map, truth)
        ]

    assert failures(truths, off) == {(metric.partition(".")[0], "truth")}


def test_a_judge_that_calls_everything_perfect_is_seen(truths):
    def flatters(modality, map, truth):
        return judge(modality, maps_of(truth)[modality], truth)  # whatever was answered

    assert failures(truths, flatters) == {(m, n) for m in MODALITIES for n in ("shuffled", "constant", "inverted")}


def test_a_judge_that_forgets_its_flags_is_seen(truths):
    def silent(modality, map, truth):
        return [one._replace(flags=()) for one in judge(modality, map, truth)]

    assert failures(truths, silent) == {("depth", "constant"), ("depth", "inverted")}


def test_a_modality_that_too_few_scenes_have_is_said_to_be_unchecked(truths):
    found = list(verify(truths[:2]))
    assert {one.modality for one in found if one.passed is None} == {"skeleton", "densepose"}
    assert "1 scenes have it, 2 are needed" in next(one.told for one in found if one.passed is None)
    with pytest.raises(BadInput, match="at least 2 scenes, got 1"):
        list(verify(truths[:1]))
    other = render_clip(official_scene(1, 4), height=64, width=80, tier=None).truth
    with pytest.raises(BadInput, match="scenes of one size"):
        list(verify([truths[0], other]))


def test_the_command_prints_a_line_for_each_check_and_ends_with_1_if_one_fails(tmp_path, monkeypatch):
    app = typer.Typer()
    app.command()(verify_bench)
    data = render_tiny(tmp_path / "rendered")
    done = CliRunner().invoke(app, ["--data", str(data)])
    lines = done.output.splitlines()
    assert done.exit_code == 0 and {line[:4] for line in lines} == {"ok  ", "--  "} and len(lines) == 3 * 5 + 2
    monkeypatch.setattr("openuni.benchmark.verify.BAD_FLOW", 100.0)
    failed = CliRunner().invoke(app, ["--data", str(data)])
    assert isinstance(failed.exception, RunFailed) and failed.exception.exit_code == 1
    assert "1 checks failed: flow shuffled" in str(failed.exception)
    assert any(line.startswith("FAIL  flow          shuffled") for line in failed.output.splitlines())
