"""unibench-gen: the sample's own frames score as the original does, noise does not, controls and faults are rows."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from openuni.benchmark.curate.job import CurateConfig, curate
from openuni.benchmark.gen import samples
from openuni.benchmark.model_bench import ModelBenchConfig, bench_model
from openuni.benchmark.predictions import read_prediction
from openuni.cli import app
from openuni.engine.local import LocalEngine
from openuni.engine.monitor import Breaker
from openuni.errors import BadInput
from openuni.pipelines.build import Build, BuildConfig, build
from tests.benchmark import generators
from tests.benchmark.rendered import render_tiny

MODEL = "tests.benchmark.generators:Echo"


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    return render_tiny(tmp_path_factory.mktemp("gen") / "rendered")


def run(data, out, *, workers=0, settings=None, **changes):
    given = {"root": str(data), **(settings or {})}
    config = ModelBenchConfig(
        **{"model": MODEL, "data": data, "out": out, "suites": ("unibench-gen",), "settings": given, **changes}
    )
    return bench_model(config, LocalEngine(workers), breaker=Breaker(), quiet=True)


@pytest.fixture(scope="module")
def echoed(rendered, tmp_path_factory):
    return run(rendered, tmp_path_factory.mktemp("echo") / "out")


@pytest.fixture(scope="module")
def noisy(rendered, tmp_path_factory):
    return run(rendered, tmp_path_factory.mktemp("noise") / "out", settings={"noise": "true"})


def rows(benched, task, modality, protocol):
    return {
        (one.sample, one.metric): one
        for one in benched.records
        if (one.task, one.modality, one.protocol) == (task, modality, protocol)
    }


def test_the_original_frames_score_exactly_as_the_original(echoed):
    for name in ("depth", "flow", "segmentation"):
        made, there = rows(echoed, "cond", name, "control"), rows(echoed, "cond", name, "original")
        assert made and all(made[key].value == there[key].value for key in made)
        assert all(made[key].flags == there[key].flags for key in made)
        outside = rows(echoed, "cond", name, "outside")
        assert outside and all(one.value == there[key].value for key, one in outside.items())


def test_noise_is_worse_than_the_original_and_as_bad_as_shuffled(echoed, noisy):
    epe = [(name, "flow.epe") for name in ("objects-0-000000", "one_person-0-000000")]
    good, bad = (sum(rows(one, "cond", "flow", "control")[key].value for key in epe) for one in (echoed, noisy))
    shuffled = sum(rows(noisy, "cond", "flow", "shuffled")[key].value for key in epe)
    assert bad > 1.2 * good and abs(bad - shuffled) < 0.2 * bad
    for (sample, metric), one in rows(noisy, "cond", "depth", "outside").items():
        if metric != "plain.background":  # colours of noise stay
            assert one.value > 2 * rows(noisy, "cond", "depth", "original")[sample, metric].value, metric


def test_things_are_where_the_masks_are_in_true_frames_and_not_in_noise(echoed, noisy):
    name = "video.foreground_iou"
    for benched, least, most in ((echoed, 0.5, 1), (noisy, 0, 0.3)):
        found = rows(benched, "cond", "depth", "control")
        values = [one.value for (_, metric), one in found.items() if metric == name]
        assert len(values) == 2 and all(least <= value <= most for value in values)
    shuffled = [one.value for (_, metric), one in rows(echoed, "cond", "depth", "shuffled").items() if metric == name]
    assert max(shuffled) < 0.3


def test_a_model_agrees_with_its_own_map_and_not_with_another_samples(echoed):
    own = rows(echoed, "joint", "depth", "same-model")
    other = rows(echoed, "joint", "depth", "same-model-shuffled")
    for (sample, metric), one in own.items():
        if metric == "depth.correlation":
            assert one.value == pytest.approx(1) and other[sample, metric].value < 0.9
        else:
            assert one.value is None and one.flags == "relative_condition"


def test_the_models_own_estimate_is_asked_on_its_frames_and_kept(echoed):
    folder = next(iter(sorted((echoed.out / "predictions" / "joint-depth").glob("*/seed-0"))))
    read = read_prediction(folder)
    assert np.array_equal(read.again.data, generators.bright_is_near(read.rgb).data)
    assert not (folder.parents[1].parent / "est-depth").exists()


@pytest.mark.parametrize(
    ("settings", "reason"),
    [({"looks_up": "true"}, "answers are looked up"), ({"can_estimate": "false"}, "est depth is not answered")],
)
def test_a_model_that_cannot_look_at_its_frames_says_so(rendered, tmp_path, settings, reason):
    benched = run(rendered, tmp_path / "out", settings=settings, limit=1)
    found = rows(benched, "joint", "depth", "same-model")
    assert found and {(one.value, one.flags) for one in found.values()} == {(None, f"absent:{reason}")}
    expert = rows(benched, "joint", "segmentation", "same-model")
    assert {one.flags for one in expert.values()} <= {f"absent:{reason}", "absent:est segmentation is not answered"}


def test_what_an_expert_does_not_see_is_absent_with_its_reason(echoed):
    found = rows(echoed, "cond", "depth", "control")["objects-0-000000", "depth.correlation"]
    assert found.value is None and found.flags.startswith("absent:")
    text = rows(echoed, "text", "rgb", "outside")
    assert {metric for _, metric in text} == {"plain.flicker", "video.warp_error", "plain.background"}


def test_every_sample_of_a_question_has_the_same_rows(echoed):
    by_question = {}
    for one in echoed.records:
        by_question.setdefault((one.task, one.modality), {}).setdefault(one.sample, []).append(
            (one.metric, one.protocol)
        )
    assert len(by_question) == 6 and all(len(set(map(tuple, many.values()))) == 1 for many in by_question.values())


def test_results_name_every_expert_with_its_hash(echoed):
    told = json.loads((echoed.out / "results.json").read_text())["suites"]["unibench-gen"]
    for one in told["experts"].values():
        assert one["expert"] in told["version"] and one["fingerprint"] in told["version"]
    assert told["experts"]["depth"]["expert"] == "depth-motion"


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and ("predictions" in path.parts or path.name == "records.parquet")
    }


def test_a_second_run_does_nothing_and_workers_change_nothing(echoed, rendered, tmp_path, monkeypatch):
    before = contents(echoed.out)
    monkeypatch.setattr(generators, "ASKED", [])
    times = {path: path.stat().st_mtime_ns for path in echoed.out.glob("ledger/**/*.parquet")}
    run(rendered, echoed.out)
    assert generators.ASKED == [] and contents(echoed.out) == before
    assert {path: path.stat().st_mtime_ns for path in echoed.out.glob("ledger/**/*.parquet")} == times


@pytest.mark.slow
def test_results_do_not_depend_on_workers(echoed, rendered, tmp_path):
    run(rendered, tmp_path / "out", workers=2, unit_size=3)
    assert contents(tmp_path / "out") == contents(echoed.out)


def test_one_sample_alone_has_no_shuffled_control(rendered, tmp_path):
    benched = run(rendered, tmp_path / "out", limit=1)
    for task, name, protocol in (("cond", "flow", "shuffled"), ("joint", "depth", "same-model-shuffled")):
        found = rows(benched, task, name, protocol)
        assert found and all(one.value is None for one in found.values())
        assert {one.flags.removeprefix("absent:") for one in found.values()} == {"no_other_sample"}
    # With a second sample the first is scored anew.
    both = run(rendered, tmp_path / "out")
    assert all(one.flags != "no_other_sample" for one in rows(both, "cond", "flow", "shuffled").values())


def test_a_curated_set_is_asked_and_scored_as_a_rendered_folder(rendered, tmp_path):
    config = BuildConfig(source="synthetic", root=str(rendered), out=tmp_path / "build", experts=("truth",),
                         filters=("luminance",))  # fmt: skip
    build(Build.prepare(config), LocalEngine(0), breaker=Breaker(), quiet=True)
    curate(CurateConfig(build=tmp_path / "build", out=tmp_path / "set", clips=2, split="all"))
    assert samples.refuses(tmp_path / "set") == "" and len(list(samples.items(tmp_path / "set"))) == 2
    benched = run(tmp_path / "set", tmp_path / "out")
    assert {counts["ok"] for counts in benched.statuses.values()} == {2}
    found = rows(benched, "cond", "segmentation", "control")
    assert {metric for _, metric in found} >= {"segmentation.miou", "video.foreground_iou"}


def test_a_folder_of_neither_kind_is_refused(tmp_path):
    with pytest.raises(BadInput, match="--suite unibench-gen: .*no rendered clip"):
        run(tmp_path, tmp_path / "out")


def test_a_wrong_expert_is_one_line_and_exit_code_2(rendered, tmp_path):
    out = ["--out", str(tmp_path / "out"), "--ray", "off", "--workers", "1"]
    for text, message in (("depth", "write MODALITY=NAME"), ("depth=depth-moton", "Did you mean 'depth-motion'")):
        found = CliRunner().invoke(
            app, ["bench", "--model", MODEL, "--set", f"model.root={rendered}", "--data", str(rendered), *out,
                  "--expert", text],
        )  # fmt: skip
        assert isinstance(found.exception, BadInput) and message in str(found.exception)
