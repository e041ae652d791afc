"""Baselines and beside: what a model must beat, what it cannot, and the paired gain."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from openuni.benchmark.baselines import Ceiling, CopyRgb, tuned
from openuni.benchmark.beside import PICTURE, RESULT, BesideConfig, beside, beside_table
from openuni.benchmark.synth.files import CLIPS, clip_names, read_clip
from openuni.benchmark.synth.job import render_run
from openuni.benchmark.synth.training_sets import TRAINING_SETS
from openuni.benchmark.table_form import to_text
from openuni.engine.local import LocalEngine
from openuni.engine.monitor import Breaker
from openuni.errors import BadInput
from openuni.generator import Ask, make_generator
from openuni.model.rendering import TINY
from openuni.pipelines.build import Build, BuildConfig, build


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> tuple[Path, Path]:
    """Held-out clips and a build of other clips of the same kind."""
    root = tmp_path_factory.mktemp("beside")
    made = replace(TRAINING_SETS["plain"], held_clips=3)
    render_run(made.held_out(root / "held"), LocalEngine(0), quiet=True)
    render_run(made.training(root / "rendered", 8), LocalEngine(0), quiet=True)
    config = BuildConfig(source="synthetic", root=str(root / "rendered"), out=root / "build", experts=("truth",))
    build(Build.prepare(config), LocalEngine(0), breaker=Breaker(), quiet=True)
    return root / "held", root / "build"


def ask(clip, modality):
    frames, height, width = clip.rgb.shape[:3]
    return Ask(task="est", modality=modality, sample=clip.name, rgb=clip.rgb, num_frames=frames, height=height,
               width=width, fps=clip.fps)  # fmt: skip


def test_constants_are_what_is_commonest_in_the_training_clips(folders):
    maps = tuned(folders[1])
    assert set(maps) == {"depth", "flow", "densepose", "skeleton", "segmentation"}
    assert maps["depth"].data[0, -1].mean() > maps["depth"].data[0, 0].mean()  # the ground is nearer than the sky
    people = maps["densepose"].data[0] > 0
    assert people.any() and people[:, 8:16].sum() > people[:, :8].sum() + people[:, 16:].sum()  # in the middle
    assert maps["skeleton"].data.shape[:3] == (1, 1, 17)


def test_a_constant_does_not_look_at_its_clip(folders):
    held, built = folders
    constant = make_generator(f"constant:{built}")
    constant.setup()
    clips = [read_clip(held / CLIPS / name) for name in clip_names(held)[:2]]
    one, other = (constant(ask(clip, "depth")).map for clip in clips)
    assert np.array_equal(one.data, other.data) and one.data.shape == clips[0].rgb.shape[:3]


def test_the_ceiling_of_parts_is_the_truth_itself(folders):
    clip = read_clip(folders[0] / CLIPS / clip_names(folders[0])[0])
    found = Ceiling(str(folders[0]))(ask(clip, "densepose")).map
    assert np.array_equal(found.data, clip.truth.densepose)


def test_copying_frames_reads_them_as_a_drawing(folders):
    clip = read_clip(folders[0] / CLIPS / clip_names(folders[0])[0])
    assert np.array_equal(CopyRgb("tiny")(ask(clip, "depth")).map.data, TINY.to_map("depth", clip.rgb).data)


def test_a_build_that_is_not_there_is_said(tmp_path):
    with pytest.raises(BadInput, match=r"constant:.*not found. Give the folder of a finished build."):
        make_generator(f"constant:{tmp_path}").fingerprint()


def test_the_truth_itself_beats_both_baselines_and_a_baseline_does_not_beat_itself(folders, tmp_path):
    held, built = folders
    config = BesideConfig(model=f"ceiling:{held}", data=held, build=built, out=tmp_path / "out", steps=(0,), limit=3)
    # The ceiling has no sampler to set: it stands in for a model that is always right.
    found = {(one.metric, one.protocol): one for one in beside(config, LocalEngine(0), quiet=True)}
    parts = found["densepose.part_iou", "clip"]
    assert parts.model == {0: 1.0} == {0: parts.ceiling} and parts.constant < 0.6
    gain, low, high = parts.gains[0]["constant"]
    assert gain == pytest.approx(1 - parts.constant) and low <= gain <= high
    depth = found["depth.abs_rel", "disp-ls"]
    assert depth.gains[0]["copy"][0] == pytest.approx(depth.copy - depth.model[0])  # lower is better: still a gain
    assert "densepose.part_iou (clip)" in to_text(beside_table(list(found.values())))
    assert len(json.loads((config.out / RESULT).read_text())["metrics"]) == len(found)
    assert (config.out / PICTURE).read_bytes()[:4] == b"\x89PNG"
