"""openuni bench --annotator: truth scores perfectly within storage, records are complete, a run resumes, mistakes."""

import shutil
import sys
from dataclasses import dataclass
from types import ModuleType

import numpy as np
import pyarrow.parquet as pq
import pytest

from openuni.benchmark.annotator_bench import AnnotatorBenchConfig, bench_annotators, parse_annotators, rounds_of
from openuni.benchmark.records import read_records
from openuni.cli.bench import print_benched
from openuni.engine.local import LocalEngine
from openuni.engine.monitor import Breaker
from openuni.engine.stage import Stage
from openuni.errors import BadInput, MissingWeights, RunFailed
from openuni.table import ANNOTATORS, METRICS, MODALITIES, load
from tests.benchmark.rendered import CLIPS, FRAMES, render_tiny

TRUTH = parse_annotators(["depth=truth-depth,flow=truth-flow", "segmentation=truth-segmentation",
                          "skeleton=truth-skeleton", "densepose=truth-densepose"])  # fmt: skip


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    return render_tiny(tmp_path_factory.mktemp("bench") / "rendered")


def run(rendered, out, pairs, **options):
    config = AnnotatorBenchConfig(annotators=tuple(pairs), data=rendered, out=out, **options)
    return bench_annotators(config, LocalEngine(0), breaker=Breaker(), quiet=True)


@pytest.fixture(scope="module")
def benched(rendered, tmp_path_factory):
    return run(rendered, tmp_path_factory.mktemp("truth") / "out", TRUTH)


def test_the_truth_as_an_annotator_is_perfect_but_for_storage(benched):
    assert all(counts == {"ok": CLIPS} for counts in benched.statuses.values())
    # Depth in 12 bits, flow in steps of 1/16 px (1/32 px each way), U and V in 8 bits: docs/codecs.md.
    bounds = {"abs_rel": 1e-3, "rmse": 0.2, "rmse_log": 5e-3, "flicker": 1e-3, "epe": 2**0.5 / 32, "uv_error": 0.003}
    bounds |= {"epe_scale_aligned": 2**0.5 / 32} | {f"boundary_{name}": 0.02 for name in ("precision", "recall", "f1")}
    # Towards the horizon neighbouring pixels of the ground differ by just about a threshold.
    seen = set()
    for one in benched.records:
        if one.metric in METRICS and one.value is not None:
            seen.add(one.metric)
            metric = load("metric", METRICS, one.metric)
            bound = bounds.get(one.metric.partition(".")[2], 0)
            assert abs(one.value - float(metric.higher_is_better)) <= bound + 1e-12, one
    # depth.correlation compares two estimates, not one with the truth.
    assert seen == {name for name in METRICS if name.partition(".")[0] in MODALITIES} - {"depth.correlation"}


def test_records_have_a_row_for_every_clip_metric_and_protocol(benched):
    stored = read_records(benched.out / "records.parquet")
    assert stored == benched.records
    keys = [(one.modality, one.system, one.sample, one.metric, one.protocol) for one in stored]
    assert len(set(keys)) == len(keys) and len({(one.sample, one.family) for one in stored}) == CLIPS
    by_sample = {sample: [key[:2] + key[3:] for key in keys if key[2] == sample] for sample in {key[2] for key in keys}}
    first, second = by_sample.values()
    assert first == second
    undefined = [one for one in stored if one.value is None]
    assert undefined and all(one.flags for one in undefined)


def test_the_same_command_again_runs_nothing(benched, rendered):
    before = {path: path.stat().st_mtime_ns for path in benched.out.glob("ledger/**/*.parquet")}
    again = run(rendered, benched.out, TRUTH)
    assert again.records == benched.records
    assert {path: path.stat().st_mtime_ns for path in benched.out.glob("ledger/**/*.parquet")} == before


def test_an_annotator_gets_what_it_reads_from_the_named_or_the_embedded_expert(rendered, tmp_path):
    (alone,) = rounds_of(AnnotatorBenchConfig(annotators=(("depth", "depth-motion"),), data=rendered, out=tmp_path))
    assert [stage.expert for stage in alone.job.stages[:2]] == ["flow-dis", "depth-motion"]
    pairs = parse_annotators(["depth=depth-motion", "depth=truth-depth", "flow=truth-flow"])
    first, second = rounds_of(AnnotatorBenchConfig(annotators=pairs, data=rendered, out=tmp_path))
    assert [stage.expert for stage in first.job.stages if stage.modality] == ["truth-flow", "depth-motion"]
    assert [stage.expert for stage in second.job.stages if stage.modality] == ["truth-depth"]


def test_absent_clips_have_rows_with_the_reason_and_flow_has_its_number(rendered, tmp_path, capsys):
    done = run(rendered, tmp_path / "out", parse_annotators(["depth=depth-motion", "flow=flow-dis"]))
    absent = [one for one in done.records if one.modality == "depth" and one.flags.startswith("absent:")]
    assert absent and {one.value for one in absent} == {None}
    assert sum(count for why, count in done.statuses["depth", "depth-motion"].items() if "absent: " in why) >= 1
    epe = {one.sample: one.value for one in done.records if (one.metric, one.protocol) == ("flow.epe", "all")}
    assert len(epe) == CLIPS and all(0 < value < 10 for value in epe.values())
    cpu = [one.value for one in done.records if one.metric == "cpu_s_per_frame" and one.modality == "flow"]
    assert len(cpu) == CLIPS and all(value > 0 for value in cpu)
    print_benched(done)
    printed = capsys.readouterr().out
    assert f"flow=flow-dis: {CLIPS} of {CLIPS} clips scored; " in printed and "CPU-s a frame" in printed
    assert "absent: " in printed and "95 % interval" in printed and str(done.out / "records.parquet") in printed
    assert all(family in printed for family in ("one_person", "objects"))


def test_flow_is_absent_where_frames_are_left_out_and_depth_is_not(rendered, tmp_path):
    half = {"frames": {"fps": "8"}}
    done = run(rendered, tmp_path / "out", parse_annotators(["flow=flow-dis", "depth=truth-depth"]), settings=half)
    assert done.statuses["flow", "flow-dis"] == {"absent: frames_left_out": CLIPS}
    assert done.statuses["depth", "truth-depth"] == {"ok": CLIPS}


def test_scores_do_not_depend_on_the_number_of_workers_or_the_units(benched, rendered, tmp_path):
    config = AnnotatorBenchConfig(annotators=TRUTH[1:3], data=rendered, out=tmp_path / "out", unit_size=CLIPS)
    two = bench_annotators(config, LocalEngine(2), breaker=Breaker(), quiet=True)

    def numbers(records):
        return sorted(one for one in records if one.modality in ("flow", "segmentation") and "cpu" not in one.metric)

    assert [one._replace(value=one.value or 0) for one in numbers(two.records)] == [
        one._replace(value=one.value or 0) for one in numbers(benched.records)
    ]


def test_a_damaged_clip_is_a_counted_row(rendered, tmp_path):
    copy = tmp_path / "rendered"
    shutil.copytree(rendered, copy)
    names = sorted(path.name for path in (copy / "clips").iterdir())
    (copy / "clips" / names[0] / "truth.npz").write_bytes(b"not an npz")
    done = run(copy, tmp_path / "out", parse_annotators(["flow=flow-dis"]))
    (bad,) = [why for why in done.statuses["flow", "flow-dis"] if why != "ok"]
    assert bad.startswith("error: BadInput") and "truth.npz cannot be read" in bad
    (copy / "clips" / names[0] / "truth.npz").unlink()
    assert run(copy, tmp_path / "out2", parse_annotators(["flow=flow-dis"])).skipped == {"no_truth": 1}
    for name in names:
        (copy / "clips" / name / "rgb.mp4").write_bytes(b"no video")
        (copy / "clips" / name / "truth.npz").touch()
    with pytest.raises(RunFailed, match="Annotator flow-dis failed on all 2 clips. Commonest reason: drop: "):
        run(copy, tmp_path / "out3", parse_annotators(["flow=flow-dis"]))


@dataclass(kw_only=True)
class Weightless(Stage):
    """An annotator whose weights are not there."""

    name = "flow"
    modality = "flow"
    expert = "weightless"

    def setup(self):
        raise MissingWeights("raft.pth not found. Put it into weights/, or pass --weights DIR.")


def test_an_annotator_without_its_weights_says_so_in_one_line(rendered, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "annotator_of_a_test", ModuleType("annotator_of_a_test"))
    sys.modules["annotator_of_a_test"].Weightless = Weightless
    monkeypatch.setitem(ANNOTATORS, "weightless", "annotator_of_a_test:Weightless")
    with pytest.raises(BadInput, match="raft.pth not found") as caught:
        run(rendered, tmp_path / "out", parse_annotators(["flow=weightless"]))
    assert caught.value.exit_code == 2


def test_other_data_into_the_same_folder_is_refused(benched, rendered, tmp_path):
    copy = tmp_path / "other"
    shutil.copytree(rendered, copy)
    with pytest.raises(BadInput, match="holds scores on .* Choose another --out"):
        run(copy, benched.out, TRUTH)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["depth"], "--annotator 'depth' is not understood; write MODALITY=NAME"),
        (["dept=depth-motion"], "Unknown modality 'dept'. Did you mean 'depth'?"),
        (["depth=depth-motoin"], "Unknown annotator 'depth-motoin'. Did you mean 'depth-motion'?"),
        (["depth=flow-dis"], "Annotator flow-dis makes flow, not depth. For depth: depth-motion, "),
    ],
)
def test_a_mistake_in_an_annotator_is_one_clear_line(texts, message):
    with pytest.raises(BadInput) as caught:
        parse_annotators(texts)
    assert str(caught.value).startswith(message) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"data": "missing"}, "missing not found. Make a rendered folder with: openuni unibench render --out"),
        ({"data": "."}, "no rendered folder"),
        ({"limit": 0}, "--limit is 0; give at least 1."),
        ({"settings": {"flwo": {"x": "1"}}}, "Unknown part in --set 'flwo'. Did you mean 'flow'?"),
        ({"settings": {"frames": {"fpss": "1"}}}, "Unknown parameter of frames 'fpss'. Did you mean 'fps'?"),
    ],
)
def test_a_mistake_in_a_run_is_one_clear_line_and_nothing_is_written(rendered, tmp_path, options, message):
    data = tmp_path / options.pop("data") if "data" in options else rendered
    with pytest.raises(BadInput) as caught:
        run(data, tmp_path / "out", parse_annotators(["flow=flow-dis"]), **options)
    assert message in str(caught.value) and "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_the_command_says_what_is_missing():
    from typer.testing import CliRunner

    from openuni.cli import app

    result = CliRunner().invoke(app, ["bench"])
    assert isinstance(result.exception, BadInput) and "Name what to score: --model ckpt/" in str(result.exception)
    result = CliRunner().invoke(app, ["bench", "--annotator", "flow=flow-dis"])
    assert isinstance(result.exception, BadInput) and "--data DIR" in str(result.exception)


def test_maps_are_kept_for_looking_at(benched):
    rows = pq.read_table(next(benched.out.glob("ledger/flow/*/*.parquet"))).to_pylist()
    assert all(row["size"] > 0 for row in rows) and np.isfinite([row["flow.cpu_s_per_frame"] for row in rows]).all()
    assert {name.partition("-")[0] for name in ANNOTATORS} >= {"truth", "flow", "depth"} and FRAMES > 1
