"""Table 1 in one command: the paper's layout, ours in two rows, what is absent marked; a second run does nothing."""

import pytest
from typer.testing import CliRunner

from openuni.benchmark.records import read_records
from openuni.benchmark.table1 import QUESTIONS, suites_of_table1
from openuni.cli import app
from openuni.engine.local import LocalEngine
from openuni.errors import BadInput
from openuni.table import SUITES
from tests.benchmark import generators
from tests.benchmark.rendered import render_tiny


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    return render_tiny(tmp_path_factory.mktemp("table1") / "rendered")


@pytest.fixture(autouse=True)
def in_this_process_without_weights(monkeypatch, tmp_path):
    for name in ("OPENUNI_WEIGHTS", "HF_HOME", "TORCH_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setattr("openuni.engine.run.choose_engine", lambda *given, **more: LocalEngine(0))


def command(rendered, out, *more):
    return CliRunner().invoke(
        app,
        ["bench", "--model", "tests.benchmark.generators:Echo", "--set", f"model.root={rendered}", "--data",
         str(rendered), "--suite", "table1", "--out", str(out), *more],
    )  # fmt: skip


def changed(out):
    return {
        path: path.stat().st_mtime_ns for folder in ("ledger", "predictions") for path in out.glob(f"{folder}/**/*")
    }


def test_table1_prints_the_papers_layout_with_ours_and_a_second_run_does_nothing(rendered, tmp_path):
    out = tmp_path / "out"
    done = command(rendered, out)
    assert done.exit_code == 0, done.output
    table = (out / "table1.txt").read_text()
    assert table in done.output
    for words in ("-- Text2Video --", "-- Video Segmentation --", "Kling1.6", "UnityVideo (Unified)", "0.022", "97.44"):
        assert words in table
    control, unified = (next(line for line in table.splitlines() if f"echo ({name})" in line)
                        for name in ("ControlGen", "Unified"))  # fmt: skip
    assert control.count("n/a") == 4  # VBench's columns
    assert unified.count("n/a") == 6  # and masks, which this model does not estimate
    assert "Its protocol is unknown" in table and "No segmentation was estimated in this run." in table
    assert {(one.task, one.modality) for one in read_records(out / "records.parquet")} == {
        ("est", "depth"), ("cond", "depth"), ("cond", "flow"), ("cond", "segmentation"), ("joint", "depth"),
    }  # fmt: skip
    assert (out / "table1.svg").read_text().startswith("<svg") and "| Model |" in (out / "table1.md").read_text()
    asked = len(generators.ASKED)
    before, written = changed(out), {path.name: path.read_bytes() for path in out.glob("table1.*")}
    again = command(rendered, out)
    assert again.exit_code == 0 and table in again.output and changed(out) == before
    assert len(generators.ASKED) == asked
    assert {path.name: path.read_bytes() for path in out.glob("table1.*")} == written


def test_table1_stands_for_suites_that_there_are_and_is_given_alone(rendered, tmp_path):
    assert set(suites_of_table1()) <= set(SUITES) and {"unibench-est", "unibench-gen"} <= set(suites_of_table1())
    assert ("joint", "depth") in QUESTIONS and len({modality for task, modality in QUESTIONS if task == "cond"}) == 5
    done = command(rendered, tmp_path / "out", "--suite", "plain")
    assert isinstance(done.exception, BadInput) and "give it alone" in str(done.exception)
