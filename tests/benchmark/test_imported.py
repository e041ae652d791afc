"""Imported clips in the commands: scored where there is truth, absent where there is none; truth as experts."""

import numpy as np
import pytest

from openuni.benchmark.annotator_bench import AnnotatorBenchConfig, bench_annotators
from openuni.benchmark.importers.job import import_run, make_importer
from openuni.engine.local import LocalEngine
from openuni.engine.monitor import Breaker
from openuni.pipelines.build import Build, BuildConfig, build
from openuni.sample import SampleReader
from tests.benchmark.importers.write import write_exr

DEPTH, MOTION = "FinalImageMovieRenderQueue_WorldDepth.R", "FinalImageMovieRenderQueue_MotionVectors"
SIDE_PX, FRAMES = 64, 6


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    """A picture that slides right by 2 px a frame, before a plane that tilts away; flow is known to be (2, 0)."""
    root = tmp_path_factory.mktemp("ue") / "Slide"
    noise = np.random.default_rng(0).random((SIDE_PX, SIDE_PX + 2 * FRAMES)).astype(np.float32)
    light = (noise + np.roll(noise, 1, 1) + np.roll(noise, 1, 0) + np.roll(noise, 2, 1)) / 4
    depth = np.tile(np.linspace(300, 600, SIDE_PX, dtype=np.float32)[:, None], (1, SIDE_PX))
    for frame in range(FRAMES):
        start = 2 * (FRAMES - frame)
        picture = np.ascontiguousarray(light[:, start : start + SIDE_PX])
        motion = np.full((SIDE_PX, SIDE_PX), 0.5 + 2 / (2 * SIDE_PX), np.float32)
        write_exr(root / f"Slide.{frame:04d}.exr", {"R": picture, "G": picture, "B": picture, DEPTH: depth,
                  f"{MOTION}.R": motion, f"{MOTION}.G": np.full_like(motion, 0.5)})  # fmt: skip
    out = root.parent / "out"
    import_run(make_importer("ue", root, fps=16.0), out, LocalEngine(0), quiet=True)
    return out


def test_what_has_truth_is_scored_and_what_has_none_is_absent(imported, tmp_path):
    pairs = (("flow", "flow-dis"), ("depth", "depth-motion"))
    config = AnnotatorBenchConfig(annotators=pairs, data=imported, out=tmp_path / "bench")
    found = bench_annotators(config, LocalEngine(0), breaker=Breaker(), quiet=True)
    assert found.clips == 1 and not found.skipped
    value = {(one.metric, one.protocol): one.value for one in found.records}
    assert value["flow.epe", "all"] < 0.5  # DIS on noise that slides by 2 px
    assert value["flow.epe", "all"] == value["flow.epe", "noc"] and value["flow.epe", "occ"] is None


def test_a_build_takes_the_truth_that_there_is(imported, tmp_path):
    experts = ("truth-depth", "truth-flow", "truth-segmentation")
    config = BuildConfig(source="synthetic", root=str(imported), out=tmp_path / "data", experts=experts)
    build(Build.prepare(config), LocalEngine(0), breaker=Breaker(), quiet=True)
    sample = SampleReader(tmp_path / "data")[0]
    # 12 bits of disparity between 1 / 3 and 1 / 6: half a step, (1 / 3 - 1 / 6) / 8190, times z^2.
    assert np.allclose(sample.maps["depth"].data[:, 0], 3, atol=2e-4) and sample.facts["licence"].startswith("imported")
    valid = sample.maps["flow"].valid
    assert valid[:-1, :, :-2].all() and np.allclose(sample.maps["flow"].data[valid], [2, 0], atol=1 / 32)
    assert sample.absent["segmentation"] == "truth_has_no_segmentation"
