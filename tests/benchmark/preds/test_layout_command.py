"""openuni bench layout and --model preds: folders are checked line by line, ours score as the run that made them."""

import shutil

import numpy as np
import pytest
from typer.testing import CliRunner

from openuni.benchmark.model_bench import ModelBenchConfig, bench_model
from openuni.cli import app
from openuni.engine.local import LocalEngine
from openuni.engine.monitor import Breaker
from openuni.errors import BadInput
from tests.benchmark.rendered import CLIPS, FRAMES, SIDE_PX, render_tiny, truths


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    return render_tiny(tmp_path_factory.mktemp("layout") / "rendered")


def run(rendered, out, model, *, suites=(), **settings):
    config = ModelBenchConfig(model=model, data=rendered, out=out, suites=suites, settings=settings)
    return bench_model(config, LocalEngine(0), breaker=Breaker(), quiet=True)


def layout(*options):
    return CliRunner().invoke(app, ["bench", "layout", *map(str, options)])


def test_our_own_predictions_folder_scores_as_the_run_that_made_it(rendered, tmp_path):
    # A suite that asks the model about its own answers, as unibench-gen does, cannot ask files.
    suites = ("unibench-est",)
    first = run(rendered, tmp_path / "first", "tests.benchmark.generators:Truth", suites=suites, root=str(rendered))
    folder = tmp_path / "first" / "predictions"
    again = run(rendered, tmp_path / "again", f"preds:{folder}", suites=suites, system="truth")
    assert again.records == first.records
    assert layout(tmp_path / "first" / "predictions", "--data", rendered).exit_code == 0


def test_the_layout_names_the_questions_formats_and_samples(rendered):
    printed = layout("--data", rendered).output
    name = sorted(truths(rendered))[0]
    assert all(f"est-{one}/{name}.npz" in printed for one in ("depth", "flow", "skeleton"))
    assert ".flo" in printed and "TASK-MODALITY/SAMPLE/seed-N" in printed
    assert "est-depth/SAMPLE.npz" in layout().output


def test_a_folder_is_checked_line_by_line_and_the_run_counts_the_same(rendered, tmp_path):
    folder = tmp_path / "preds"
    for name in ("depth", "segmentation", "flow"):
        (folder / f"est-{name}").mkdir(parents=True)
    first, second = sorted(truths(rendered))
    depth = np.random.default_rng(0).random((FRAMES, SIDE_PX, SIDE_PX), np.float32)
    np.save(folder / "est-depth" / f"{first}.npy", depth)
    np.save(folder / "est-depth" / f"{second}.npy", np.where(depth > 0.99, np.nan, depth))
    np.save(folder / "est-segmentation" / f"{first}.npy", np.zeros((FRAMES, SIDE_PX, 32), np.uint8))
    np.save(folder / "est-segmentation" / "stranger.npy", np.zeros(3))
    checked = layout(folder, "--data", rendered, "--suite", "unibench-est")
    lines = checked.output.splitlines()
    assert checked.exit_code == 1
    assert f"1 of {3 * CLIPS} predictions are in order; 3 missing, 1 wrong, 1 nan, 1 extra" in lines
    assert f"missing est-flow/{first}/seed-0: is missing" in lines
    expected = (
        "segmentation has 6 frames of 32x64, expected 6 frames of 64x64 (--set model.resize=true takes other sizes)."
    )
    assert f"wrong   est-segmentation/{first}/seed-0: est-segmentation/{first}.npy: {expected}" in lines
    nans = int((depth > 0.99).sum())
    assert (
        f"nan     est-depth/{second}/seed-0: {nans:,} numbers are NaN or infinite; they are scored as invalid" in lines
    )
    assert "extra   est-segmentation/stranger.npy: is of no sample of this data" in lines
    assert "no folder for est-densepose, est-skeleton" in lines
    done = run(rendered, tmp_path / "out", f"preds:{folder}")
    assert done.statuses["unibench-est", "est", "flow"] == {"absent: no_prediction": 2}
    assert done.statuses["unibench-est", "est", "depth"] == {"ok": 2}
    bad = [one.flags for one in done.records if one.modality == "segmentation" and one.sample == first]
    assert bad and all(flags.startswith("error:BadInput:_est-segmentation/") for flags in bad)


def test_a_prediction_that_is_added_later_is_scored_on_the_next_run(rendered, tmp_path):
    folder = tmp_path / "preds"
    (folder / "est-segmentation").mkdir(parents=True)
    names = sorted(truths(rendered))
    for name in names:
        done = None
        np.save(folder / "est-segmentation" / f"{name}.npy", truths(rendered)[name].segmentation)
        done = run(rendered, tmp_path / "out", f"preds:{folder}")
    assert done.statuses["unibench-est", "est", "segmentation"] == {"ok": CLIPS}
    ap = [one.value for one in done.records if one.metric == "segmentation.miou"]
    assert ap == [1.0] * CLIPS


def test_mistakes_of_the_command_are_one_line(rendered, tmp_path):
    shutil.copytree(rendered, tmp_path / "preds")
    for options, message in (
        ((tmp_path / "preds",), "Give --data DIR"),
        ((tmp_path / "preds", "--data", rendered), "has no predictions: expected folders TASK-MODALITY"),
        (("--suite", "unibench-es"), "Unknown suite 'unibench-es'. Did you mean 'unibench-est'?"),
        (("--data", tmp_path), "no rendered folder"),
    ):
        found = layout(*options)
        assert isinstance(found.exception, BadInput) and message in str(found.exception)
