"""The shipped model: it is there, it is small, and it still scores what docs/tiny.md says."""

from dataclasses import replace

import numpy as np
import pytest

from openuni.benchmark.judge import judge
from openuni.benchmark.synth.files import CLIPS, clip_names, read_clip
from openuni.benchmark.synth.job import render_run
from openuni.benchmark.synth.training_sets import TRAINING_SETS
from openuni.engine.local import LocalEngine
from openuni.model.launch import Settings, prepared
from openuni.model.pipeline import UnityVideoPipeline
from openuni.model.shipped import SHIPPED, shipped
from openuni.table import MODALITIES

CLIPS_SCORED = 6
RANGES = {
    ("depth.abs_rel", "disp-ls"): (0.12, 0.20),
    ("segmentation.miou", "clip"): (0.27, 0.42),
    ("segmentation.foreground_iou", "clip"): (0.66, 0.82),
    ("densepose.part_iou", "clip"): (0.07, 0.14),
}
"""(metric, protocol) -> what the first held-out clips may give; docs/tiny.md has 64 clips."""


@pytest.fixture(scope="module")
def pipeline():
    return UnityVideoPipeline.from_pretrained("tiny", device="cpu")


@pytest.fixture(scope="module")
def scores(pipeline, tmp_path_factory):
    """(metric, protocol) -> values, of one sampling step each."""
    out = tmp_path_factory.mktemp("held")
    render_run(replace(TRAINING_SETS["varied"], held_clips=CLIPS_SCORED).held_out(out), LocalEngine(0), quiet=True)
    sampler = replace(pipeline.default_sampler(), steps=1)
    found = {}
    for name in clip_names(out):
        clip = read_clip(out / CLIPS / name)
        made = pipeline("est", modalities=list(MODALITIES), rgb=clip.rgb, sampler=sampler, seed=0)
        for modality in MODALITIES:
            for one in judge(modality, made.maps[modality].map, clip.truth):
                if one.value is not None:
                    found.setdefault((one.metric, one.protocol), []).append(one.value)
    return found


def test_the_shipped_weights_score_within_their_documented_range(scores):
    means = {key: float(np.mean(scores[key])) for key in RANGES}
    assert all(low <= means[key] <= high for key, (low, high) in RANGES.items()), means


def test_every_shipped_model_is_whole_and_small():
    for name in SHIPPED:
        folder = shipped(name)
        files = [path for path in folder.rglob("*") if path.is_file()]
        assert {"openuni.json", "README.md", "config.json", "diffusion_pytorch_model.safetensors"} == {
            path.name for path in files
        }
        assert sum(path.stat().st_size for path in files) < 12e6


def test_a_path_of_that_name_comes_before_the_shipped_model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert shipped("tiny") is not None and shipped("large") is None
    (tmp_path / "tiny").mkdir()
    assert shipped("tiny") is None


def test_training_from_the_shipped_model_takes_its_preset(tmp_path):
    ready = prepared(Settings(data=("nowhere",), init="tiny", out=str(tmp_path)))
    assert ready.preset_name == "tiny" and ready.run.model.num_maps == 1
