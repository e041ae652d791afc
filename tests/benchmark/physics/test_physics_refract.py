"""Suite physics-refract on rendered pairs: right frames have the break, another's have not, text has no truth."""

from dataclasses import dataclass

import numpy as np
import pytest

from openuni.benchmark.metrics import refract
from openuni.benchmark.model_bench import ModelBenchConfig, bench_model
from openuni.benchmark.physics.refraction import expected_breaks
from openuni.benchmark.suite import make_suite
from openuni.benchmark.synth.again import scene_of
from openuni.benchmark.synth.files import clip_names, read_frames_of
from openuni.benchmark.synth.job import RenderConfig, render_run
from openuni.engine.local import LocalEngine
from openuni.engine.monitor import Breaker
from openuni.engine.stage import Absent
from openuni.generator import Answer, Size
from openuni.modality import Map
from tests.benchmark.rendered import render_tiny

MODEL = "tests.benchmark.physics.test_physics_refract:Painter"
SIDE_PX, FRAMES = 256, 2


@dataclass
class Painter:
    """Answers cond with the frames of a rendered clip, est with the straw that they show, text with gray."""

    root: str
    others: bool = False
    """Answer with the frames of the pair's other clip."""

    name = "painter"

    def fingerprint(self):
        return f"painter {self.others}"

    def capabilities(self):
        return (("cond", "depth"), ("est", "segmentation"), ("text", "rgb"))

    def size(self):
        return Size(FRAMES, SIDE_PX, SIDE_PX, 16.0)

    def describe(self):
        return {}

    def setup(self):
        pass

    def __call__(self, ask):
        from pathlib import Path

        clips = Path(self.root, "clips")
        if ask.task == "text":
            return Answer(rgb=np.full((ask.num_frames, ask.height, ask.width, 3), 120, np.uint8))
        names = sorted(path.name for path in clips.iterdir())
        name = names[1 - names.index(ask.sample)] if self.others else ask.sample
        if ask.task == "cond":
            assert ask.map is not None and ask.rgb is None
            return Answer(rgb=read_frames_of(clips / name)[0])
        ids = np.zeros((ask.num_frames, ask.height, ask.width), np.uint8)
        for frame, one in expected_breaks(clips / name, ask.height, ask.width).items():
            ids[frame] = 3 * one.mask
        return Answer(map=Map(data=ids))


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    out = tmp_path_factory.mktemp("refract") / "rendered"
    config = RenderConfig(
        out=out, clips=2, seed=3, families=("refraction",), height=SIDE_PX, width=SIDE_PX, num_frames=FRAMES
    )
    render_run(config, LocalEngine(0), quiet=True)
    return out


def run(rendered, out, **settings):
    config = ModelBenchConfig(
        model=MODEL, data=rendered, out=out, suites=("physics-refract",), settings={"root": str(rendered), **settings}
    )
    done = bench_model(config, LocalEngine(0), breaker=Breaker(), quiet=True)
    return {(one.task, one.sample, one.metric, one.protocol): one for one in done.records}


def test_right_frames_break_as_the_rays_do_and_the_rendered_ones_beside_them_too(rendered, tmp_path):
    found = run(rendered, tmp_path / "out")
    wet, dry = sorted(clip_names(rendered))
    for name in (wet, dry):
        for protocol in ("generated", "rendered"):
            assert found["cond", name, "refract.found", protocol].value == 1
            assert found["cond", name, "refract.break_error", protocol].value < 1
        assert found["est", name, "refract.break_error", "generated"].value < 1
    assert found["cond", wet, "refract.break", "generated"].value > 3
    assert found["cond", dry, "refract.break", "generated"].value < 1
    text = found["text", "text-water", "refract.found", "generated"]
    assert text.value == 0 and text.flags == "no_truth"
    missing = found["text", "text-empty", "refract.break", "generated"]
    assert missing.value is None and missing.flags == "no_truth no_straw_found"
    assert not [key for key in found if key[0] == "text" and key[2] == "refract.break_error"]


def test_frames_with_water_where_there_is_none_have_the_break_as_their_error(rendered, tmp_path):
    found = run(rendered, tmp_path / "out", others="true")
    wet, dry = sorted(clip_names(rendered))
    truth = np.mean(
        [abs(one.break_deg) for one in expected_breaks(rendered / "clips" / wet, SIDE_PX, SIDE_PX).values()]
    )
    for name in (wet, dry):
        assert found["cond", name, "refract.break_error", "generated"].value == pytest.approx(truth, abs=1)
        assert found["cond", name, "refract.break_error", "rendered"].value < 1


def test_the_scene_is_made_again_only_where_it_is_the_one(rendered, tmp_path):
    wet = sorted(clip_names(rendered))[0]
    assert scene_of(rendered / "clips" / wet).facts["water"] is True
    other = tmp_path / "refraction-4-000000"
    other.symlink_to(rendered / "clips" / wet)
    with pytest.raises(Absent, match="scene_is_not_known"):
        scene_of(other)
    mine = tmp_path / "mine"
    mine.symlink_to(rendered / "clips" / wet)
    with pytest.raises(Absent, match="scene_is_not_known"):
        scene_of(mine)


def test_data_without_such_scenes_is_refused(tmp_path):
    suite = make_suite("physics-refract")
    assert "no scenes of the family refraction" in suite.refuses(render_tiny(tmp_path / "rendered"))
    assert "no --data" in suite.refuses(None) and "no rendered" in suite.refuses(tmp_path / "none")


def test_metrics_of_breaks_by_hand():
    breaks = {0: 5.0, 7: None, 13: -3.0, 20: 1.0}
    assert refract.found(breaks) == 0.75 and refract.mean_break(breaks) == 3
    assert refract.break_error(breaks, {0: 4.0, 7: 4.0, 13: -5.0}) == 1.5
    assert np.isnan(refract.break_error(breaks, {7: 1.0})) and np.isnan(refract.found({}))
    assert np.isnan(refract.mean_break({0: None}))
