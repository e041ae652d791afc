"""Renderings of depth, DensePose and skeletons, and what all renderings share. Flow and masks have their own files."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from openuni.errors import UnknownName
from openuni.modality import Map, modality
from openuni.model.rendering import RenderingConfig, Renderings, paper, tiny
from openuni.model.renderings.densepose import far_colours, part_levels
from openuni.table import METRICS, MODALITIES
from openuni.video import decode_rgb, encode_rgb_mp4
from tests.openuni.codec_cases import densepose_map, depth_map, flow_map, label_frames, skeleton_map

PLANES = RenderingConfig(densepose="iuv")
CONFIGS = {"default": RenderingConfig(), "paper": paper(), "tiny": tiny(), "planes": PLANES}


def case(name):
    """A made map of each modality, 96 px high and even."""
    if name == "segmentation":
        return Map(data=label_frames(frames=3, height=96, width=128))
    made = {"depth": depth_map, "flow": flow_map, "densepose": densepose_map, "skeleton": skeleton_map}
    return made[name](frames=3, height=96, width=192)


def after_h264(frames):
    return decode_rgb(encode_rgb_mp4(frames, fps=8)).frames


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("name", MODALITIES)
def test_what_is_read_is_a_map_of_the_modality_at_the_same_size(name, config):
    true, renderings = case(name), Renderings(CONFIGS[config])
    drawn = renderings.to_frames(name, true)
    read = renderings.to_map(name, drawn.frames, facts={"model": "none"})
    modality(name).check(read)
    assert drawn.frames.dtype == np.uint8
    assert drawn.frames.shape == (3, 96, drawn.frames.shape[2], 3)
    if name != "skeleton":
        assert read.data.shape == true.data.shape
    assert read.facts["model"] == "none"
    json.dumps([drawn.known, drawn.lost, dict(read.facts)])  # raises where a value is not JSON


@pytest.mark.parametrize("kind", ["relative_disparity", "metric_depth"])
@pytest.mark.parametrize("palette", ["spectral", "gray"])
def test_depth_comes_back_as_disparity_over_the_clip_within_half_a_level(kind, palette):
    true = depth_map(kind=kind)
    renderings = Renderings(RenderingConfig(depth_palette=palette))
    drawn = renderings.to_frames("depth", true)
    read = renderings.to_map("depth", drawn.frames)
    disparity = true.data if kind == "relative_disparity" else 1 / true.data
    lo, hi = drawn.known["lo"], drawn.known["hi"]
    expected = (disparity - lo) / (hi - lo)
    assert np.abs(read.data - expected)[true.valid].max() <= 1 / 510 + 1e-6  # float32
    assert read.facts == {"kind": "relative_disparity", "levels": 256}
    assert ("metres" in drawn.lost) == (kind == "metric_depth")
    assert drawn.lost["validity"] == "320 of 15360 pixels are invalid"  # one row of 64 in 5 frames of 48


def test_depth_after_h264_is_within_a_few_levels_but_for_edges():
    true = case("depth")
    drawn = Renderings().to_frames("depth", true)
    read = Renderings().to_map("depth", after_h264(drawn.frames))
    expected = (true.data - drawn.known["lo"]) / (drawn.known["hi"] - drawn.known["lo"])
    error = np.abs(read.data - expected)[true.valid]
    assert np.median(error) < 0.006
    assert (error < 0.05).mean() > 0.95


@pytest.mark.parametrize("palette", ["far", "viridis"])
@settings(max_examples=30, deadline=None)
@given(arrays(np.uint8, (2, 3, 4), elements=st.integers(0, 24)))
def test_part_colours_come_back_exactly(palette, parts):
    renderings = Renderings(RenderingConfig(densepose_palette=palette))
    drawn = renderings.to_frames("densepose", Map(data=parts))
    np.testing.assert_array_equal(renderings.to_map("densepose", drawn.frames).data, parts)
    assert drawn.lost == {}


@settings(max_examples=30, deadline=None)
@given(arrays(np.uint8, (2, 3, 4), elements=st.integers(0, 24)), arrays(np.uint8, (2, 3, 4, 2)))
def test_planes_carry_u_and_v_exactly_on_people(parts, uv):
    renderings = Renderings(PLANES)
    read = renderings.to_map("densepose", renderings.to_frames("densepose", Map(data=parts, arrays={"uv": uv})).frames)
    np.testing.assert_array_equal(read.data, parts)
    np.testing.assert_array_equal(read.arrays["uv"][parts > 0], uv[parts > 0])
    assert (read.arrays["uv"][parts == 0] == 0).all()


def test_part_colours_are_far_apart_and_planes_fill_their_range():
    colours = far_colours().astype(int)
    distance = np.hypot.reduce(colours[:, None] - colours[None], axis=-1)
    assert distance[~np.eye(25, dtype=bool)].min() > 103
    assert colours[0].tolist() == [0, 0, 0]
    assert part_levels()[[0, 24]].tolist() == [0, 255]
    assert set(np.diff(part_levels().astype(int))) == {10, 11}


def test_u_and_v_are_lost_in_part_colours_and_needed_for_planes():
    parts_only = Map(data=densepose_map().data)
    assert Renderings().to_frames("densepose", densepose_map()).lost == {
        "uv": "U and V: part colours do not carry them"
    }
    with pytest.raises(ValueError, match=r"'iuv' needs arrays\['uv'\], got parts alone: set densepose='parts'"):
        Renderings(PLANES).to_frames("densepose", parts_only)


@pytest.mark.parametrize(("config", "least"), [(RenderingConfig(), 0.9), (paper(), 0.9), (PLANES, 0.6)])
def test_parts_after_h264_are_mostly_right(config, least):
    true, renderings = densepose_map(frames=3, width=400), Renderings(config)
    true.arrays["uv"][:] = np.linspace(0, 255, 96)[:, None, None]  # smooth, as on bodies
    read = renderings.to_map("densepose", after_h264(renderings.to_frames("densepose", true).frames))
    assert (read.data == true.data)[true.data > 0].mean() > least  # docs/renderings.md has rendered bodies


def test_far_colours_bear_noise_that_mixes_up_viridis():
    true = densepose_map(frames=2)
    noise = np.random.default_rng(0).normal(0, 16, (*true.data.shape, 3))  # a rough network's: 24 dB
    right = {}
    for palette in ("far", "viridis"):
        renderings = Renderings(RenderingConfig(densepose_palette=palette))
        frames = renderings.to_frames("densepose", true).frames
        noisy = np.clip(np.rint(frames + noise), 0, 255).astype(np.uint8)
        right[palette] = (renderings.to_map("densepose", noisy).data == true.data).mean()
    assert right["far"] > 0.99
    assert right["viridis"] < 0.7


@pytest.mark.parametrize("codec", ["array", "h264"])
def test_skeletons_come_back_within_a_pixel(codec):
    true = skeleton_map(frames=3)
    frames = Renderings().to_frames("skeleton", true).frames
    read = Renderings().to_map("skeleton", after_h264(frames) if codec == "h264" else frames)
    order = np.argsort(read.data[0, :, 0, 0])  # persons from left to right
    assert read.data.shape == true.data.shape
    assert (read.data[..., 2] == 1).all()
    error = np.hypot(*np.moveaxis(read.data[:, order, :, :2] - true.data[..., :2], -1, 0))
    # At a stick of 2 px a disc covers whole pixels, so that its centre jumps by half of one.
    assert error.max() < (0.51 if codec == "array" else 2)
    assert error.mean() < (0.4 if codec == "array" else 0.6)


def test_thirteen_joints_in_one_pixel_lines_are_found_in_a_small_picture():
    true = skeleton_map(frames=3, height=48, width=48, people=1, body_px=34)
    renderings = Renderings(tiny())
    drawn = renderings.to_frames("skeleton", true)
    read = renderings.to_map("skeleton", drawn.frames)
    joints = drawn.known["joints"]
    assert drawn.known["stick_px"] == 0
    assert joints == [0, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]
    assert drawn.lost["eyes_and_ears"] == "12 of 51 joints"
    assert read.facts["joints"] == joints
    assert (read.data[:, 0, joints, 2] == 1).all()
    error = np.hypot(*np.moveaxis(read.data[:, 0, joints, :2] - true.data[:, 0, joints, :2], -1, 0))
    assert error.max() <= 1  # whole pixels: half a pixel in x and in y


def test_unsure_joints_and_whole_body_points_are_counted():
    true = skeleton_map(frames=2, people=1, keypoints=133)
    true.data[0, 0, 9, 2] = 0.2
    assert Renderings().to_frames("skeleton", true).lost == {
        "unsure": "1 of 34 joints have confidence up to 0.3, not drawn",
        "whole_body": "116 points of feet, face and hands cannot be read back",
    }


def test_metrics_that_a_rendering_cannot_carry_say_why():
    of_maps = [name for name in METRICS if name.partition(".")[0] in MODALITIES]
    default = {name: Renderings().carries(name.partition(".")[0], name) for name in of_maps}
    planes = {name: Renderings(PLANES).carries(name.partition(".")[0], name) for name in of_maps}
    small = {name: Renderings(tiny()).carries(name.partition(".")[0], name) for name in of_maps}
    without_uv = "part colours do not carry U and V"
    assert {name: reason for name, reason in default.items() if reason} == {
        "densepose.uv_error": without_uv,
        "densepose.uv_near": without_uv,
        "densepose.gps": without_uv,
        "densepose.gps_ap": without_uv,
    }
    assert not any(planes.values())
    lacking = {name for name, reason in small.items() if name.startswith("skeleton") and reason}
    assert lacking == {"skeleton.oks", "skeleton.ap"}  # PCK is over the joints that are drawn
    assert small["skeleton.oks"] == "13 of 17 joints are drawn, without eyes and ears, and OKS is over all"


def test_wrong_names_and_frames_are_refused():
    frames = np.zeros((2, 4, 4, 3), np.uint8)
    with pytest.raises(UnknownName, match="Unknown modality 'dept'. Did you mean 'depth'"):
        Renderings().to_map("dept", frames)
    with pytest.raises(UnknownName, match="Unknown metric 'flow.epee'"):
        Renderings().carries("flow", "flow.epee")
    with pytest.raises(ValueError, match="flow.epe is no metric of depth"):
        Renderings().carries("depth", "flow.epe")
    for name in MODALITIES:
        with pytest.raises(
            ValueError, match=r"frames must be non-empty \(T, H, W, 3\) uint8 RGB, got \(2, 4, 4, 3\) float"
        ):
            Renderings().to_map(name, frames / 255)
    with pytest.raises(ValueError, match="facts kind contradict what this depth rendering says"):
        Renderings().to_map("depth", frames, facts={"kind": "metric_depth"})


def test_a_config_survives_json_and_says_what_is_wrong_with_it():
    for config in CONFIGS.values():
        assert RenderingConfig.from_json(json.loads(json.dumps(config.to_json()))) == config
    with pytest.raises(UnknownName, match="Unknown rendering setting 'flow_scales'. Did you mean 'flow_scale'"):
        RenderingConfig.from_json({**tiny().to_json(), "flow_scales": "fixed"})
    with pytest.raises(ValueError, match="rendering settings lack flow_scale: give all"):
        RenderingConfig.from_json({name: value for name, value in tiny().to_json().items() if name != "flow_scale"})


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("flow_scale", "clip", "flow_scale must be one of 'fixed', 'per_clip', got 'clip'"),
        ("skeleton_joints", 18, "skeleton_joints must be one of 17, 13, got 18"),
        ("flow_saturation", 0, "a part of the width, above 0 and at most 1, got 0"),
        ("max_instances", 10, "max_instances must be 1 to 9, got 10"),
        ("min_instance_px", 0, "1 or more, got 0"),
        ("skeleton_stick_px", -1, "0 or more, got -1"),
    ],
)
def test_a_setting_out_of_range_is_refused(field, value, message):
    with pytest.raises(ValueError, match=message):
        RenderingConfig(**{field: value})
