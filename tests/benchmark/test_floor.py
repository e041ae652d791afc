"""The floor: the truth in an answer's own form scores exactly it; a video codec costs; numbers lose nothing."""

from dataclasses import replace

import numpy as np
import pytest

from openuni.benchmark.floor import floor_map, floor_scores, storage_floor
from openuni.benchmark.headline import FLOOR, HEADLINES
from openuni.benchmark.judge import judge, judge_headlines
from openuni.benchmark.predictions import Prediction
from openuni.benchmark.suites.unibench_est import UniBenchEst
from openuni.benchmark.synth.files import clip_names, read_truth
from openuni.benchmark.synth.render import maps_of
from openuni.model.rendering import OWN, PAPER, TINY, Renderings
from openuni.resize import resized_map
from openuni.table import MODALITIES
from openuni.video import decode_rgb, encode_rgb_mp4
from tests.benchmark.rendered import SIDE_PX, render_tiny, small_truth

FPS = 16.0
LOSSLESS = {"rendering": "own", "format": ".mkv", "predicted": {"num_frames": 6, "height": SIDE_PX, "width": SIDE_PX}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = render_tiny(tmp_path_factory.mktemp("floor") / "rendered")
    return root / "clips" / next(name for name in clip_names(root) if name.startswith("one_person"))


@pytest.fixture(scope="module")
def truth(folder):
    return read_truth(folder)


@pytest.mark.parametrize("modality", MODALITIES)
def test_the_truth_drawn_as_an_answer_scores_exactly_the_floor(folder, truth, modality):
    drawn = OWN.to_frames(modality, maps_of(truth)[modality]).frames
    answer = Prediction(map=OWN.to_map(modality, drawn), about={"about": LOSSLESS, "fps": FPS})
    scored = {one[:2]: one.value for one in UniBenchEst().score(folder, "est", modality, answer)}
    floors = {pair: value for pair, value in scored.items() if pair[1].endswith(FLOOR)}
    assert set(floors) == {(metric, protocol + FLOOR) for metric, protocol in HEADLINES[modality]}
    for (metric, protocol), value in floors.items():
        assert value == scored[metric, protocol.removesuffix(FLOOR)]


def test_a_drawing_of_depth_has_a_floor_of_its_eight_bits_and_h264_a_worse_one(truth):
    lossless, lossy, small = (
        {one.metric: one.value for one in floor_scores("depth", truth, LOSSLESS | change, fps=FPS)}
        for change in ({}, {"format": ".mp4"}, {"predicted": {"height": 32, "width": 32}})
    )
    assert 0 < lossless["depth.abs_rel"] < 0.02 < lossy["depth.abs_rel"]
    assert small["depth.boundary_f1"] < lossy["depth.boundary_f1"] < lossless["depth.boundary_f1"]


def test_the_floor_of_a_video_is_the_truth_through_that_codec_step_by_step(truth):
    about = {"rendering": "paper", "format": ".mp4", "predicted": {"num_frames": 6, "height": 48, "width": 32}}
    small = resized_map("segmentation", maps_of(truth)["segmentation"], height=48, width=32, smooth=False)
    frames = decode_rgb(encode_rgb_mp4(PAPER.to_frames("segmentation", small).frames, fps=FPS, crf=18)).frames
    by_hand = resized_map("segmentation", PAPER.to_map("segmentation", frames), height=SIDE_PX, width=SIDE_PX)
    made = floor_map("segmentation", truth, about, fps=FPS)
    np.testing.assert_array_equal(made.data, by_hand.data)


def test_a_checkpoints_own_rendering_is_named_by_its_settings(truth):
    config = TINY.config.to_json()
    by_settings, by_name = (
        floor_map("skeleton", truth, LOSSLESS | {"rendering": said}, fps=FPS) for said in (config, "tiny")
    )
    np.testing.assert_array_equal(by_settings.data, by_name.data)
    assert (
        by_settings.facts["joints"]
        == Renderings.from_json(config).to_frames("skeleton", maps_of(truth)["skeleton"]).known["joints"]
    )


def test_gray_depth_of_few_levels_loses_half_a_step_of_disparity(truth):
    steps = {}
    for levels in (16, 256):
        about = {"format": ".png frames", "levels": levels}
        made = floor_map("depth", truth, about, fps=FPS)
        known = np.isfinite(truth.depth)
        disparity = 1 / truth.depth[known]
        low, high = disparity.min(), disparity.max()
        back = low + made.data[known] / (levels - 1) * (high - low)
        assert np.abs(back - disparity).max() <= (high - low) / (levels - 1) / 2 * 1.001  # float32
        steps[levels] = {one.metric: one for one in floor_scores("depth", truth, about, fps=FPS)}["depth.abs_rel"]
    assert steps[16].value > 5 * steps[256].value and f"levels:{256}" in steps[256].flags


def test_numbers_as_they_are_have_no_floor(folder, truth):
    assert floor_scores("depth", truth, {"format": ".npy"}, fps=FPS) == []
    assert floor_scores("flow", truth, {}, fps=FPS) == []
    none = replace(small_truth(), flow=None, flow_valid=None)
    assert floor_scores("flow", none, LOSSLESS, fps=FPS) == []


@pytest.mark.parametrize("modality", MODALITIES)
def test_headlines_alone_are_those_of_the_whole_judge(truth, modality):
    map = maps_of(truth)[modality]
    short = judge_headlines(modality, map, truth)
    assert [one for one in judge(modality, map, truth) if one[:2] in HEADLINES[modality]] == short


def test_storage_has_a_floor_for_every_modality(truth):
    for modality in MODALITIES:
        found = {one.metric: one.value for one in storage_floor(modality, truth)}
        assert len(found) >= 3
        if modality == "depth":
            assert 0 < found["depth.abs_rel"] < 1e-3  # 12 bits
        if modality == "segmentation":
            assert set(found.values()) == {1.0}
