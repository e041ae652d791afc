"""Depth codec: the 12-bit bound, sky, invalid pixels, and matplotlib's colours."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from openuni.codec.depth import DEPTH
from openuni.modality import Map, modality
from openuni.video import decode_rgb, encode_rgb_lossless, encode_rgb_mp4
from tests.openuni.codec_cases import depth_map

KINDS = ("relative_disparity", "metric_depth")
BOUND = 1 / 8190  # half a step of 12 bits


def disparity(map):
    values = map.data.astype(np.float64)
    with np.errstate(divide="ignore"):  # invalid pixels may be 0
        return 1 / values if map.facts["kind"] == "metric_depth" else values


def assert_same(first, second):
    np.testing.assert_array_equal(first.data, second.data)
    np.testing.assert_array_equal(first.valid, second.valid)
    assert dict(first.facts) == dict(second.facts)
    assert first.data.dtype == second.data.dtype == np.float32


@given(
    st.sampled_from(KINDS),
    hnp.arrays(np.float32, hnp.array_shapes(min_dims=3, max_dims=3, max_side=5), elements=st.floats(width=32)),
    st.randoms(use_true_random=False),
)
@settings(max_examples=60, deadline=None)
def test_any_map_is_stored_as_it_will_be_decoded_and_within_the_bound(kind, data, random):
    allowed = (data > 0) if kind == "metric_depth" else np.isfinite(data)
    valid = allowed & np.array([random.random() < 0.7 for _ in range(data.size)]).reshape(data.shape)
    map = Map(data=data, valid=valid, facts={"kind": kind, "expert": "x"})
    stored = DEPTH.stored(map)
    assert_same(stored, DEPTH.decode(*DEPTH.encode(map)))
    true, got = disparity(map)[valid], disparity(stored)[valid]
    if valid.any():
        # float32 rounds the decoded value itself by 6e-8 of its size; its subnormals by 1.4e-45.
        np.testing.assert_array_less(np.abs(got - true), BOUND * np.ptp(true) + 1e-6 * np.abs(true).max() + 1e-44)
    assert not np.isnan(stored.data).any()


def test_half_a_step_is_the_largest_error_of_a_clip():
    map = depth_map()
    error = np.abs(DEPTH.stored(map).data - map.data)[map.valid].max()
    span = np.ptp(map.data[map.valid])
    assert 0.9 * BOUND * span < error <= BOUND * span * 1.001  # 0.001: float32


def test_storing_twice_changes_nothing_more():
    for kind in KINDS:
        once = DEPTH.stored(depth_map(kind=kind))
        assert_same(once, DEPTH.stored(once))


def test_sky_is_valid_infinite_and_coldest():
    map = depth_map(kind="metric_depth")
    stored = DEPTH.stored(map)
    np.testing.assert_array_equal(np.isinf(stored.data[:, 1:5]), True)
    assert stored.valid[:, 1:5].all()
    np.testing.assert_array_equal(DEPTH.render(map).frames[:, 1:5], np.broadcast_to((94, 79, 162), (5, 4, 64, 3)))


@pytest.mark.parametrize("kind", KINDS)
def test_near_is_dark_red_and_far_is_purple(kind):
    values = [3.0, 2.0, 1.0] if kind == "relative_disparity" else [1.0, 2.0, 4.0]
    map = Map(data=np.array([[values]], np.float32), valid=np.ones((1, 1, 3), bool), facts={"kind": kind})
    frames = DEPTH.render(map).frames
    assert frames[0, 0, 0].tolist() == [158, 1, 66]
    assert frames[0, 0, 2].tolist() == [94, 79, 162]
    assert DEPTH.render(map, profile="vace").frames[0, 0, 0].tolist() == [255, 255, 255]


def test_palette_is_matplotlibs():
    matplotlib = pytest.importorskip("matplotlib")
    from openuni.codec.palette import spectral_r

    np.testing.assert_array_equal(spectral_r(), matplotlib.colormaps["Spectral_r"](np.arange(256), bytes=True)[:, :3])


def test_invalid_garbage_does_not_touch_the_valid_range():
    data = np.array([[[np.nan, np.inf, -np.inf, 1e30, 1.0, 2.0]]], np.float32)
    valid = np.array([[[False, False, False, False, True, True]]])
    stored = DEPTH.stored(Map(data=data, valid=valid, facts={"kind": "relative_disparity"}))
    assert stored.data.tolist() == [[[1.0, 1.0, 1.0, 2.0, 1.0, 2.0]]]


@pytest.mark.parametrize("kind", KINDS)
def test_no_valid_pixel_and_constant_depth_are_stored(kind):
    data = np.full((1, 3, 5), 7.0, np.float32)
    for valid in (np.zeros(data.shape, bool), np.ones(data.shape, bool)):
        map = Map(data=data, valid=valid, facts={"kind": kind})
        stored = DEPTH.stored(map)
        assert_same(stored, DEPTH.decode(*DEPTH.encode(map)))
        np.testing.assert_allclose(stored.data, 7.0 if valid.all() else 1.0, rtol=1e-6)
        assert DEPTH.render(map).frames.shape == (1, 3, 5, 3)


@pytest.mark.parametrize("profile", DEPTH.profiles)
@pytest.mark.parametrize("kind", KINDS)
def test_colours_give_depth_back_within_half_a_colour_step(kind, profile):
    map = depth_map(kind=kind, height=33, width=47)
    frames, scale = DEPTH.render(map, profile=profile)
    parsed = DEPTH.parse(decode_rgb(encode_rgb_lossless(frames)).frames, scale, profile=profile)
    error = np.abs(disparity(parsed) - disparity(map))[map.valid].max()
    assert error <= (scale["hi"] - scale["lo"]) / 510 * 1.001
    assert parsed.facts["kind"] == kind


@pytest.mark.parametrize("profile", DEPTH.profiles)
def test_colours_survive_h264_with_an_error_of_one_percent_of_the_range(profile):
    map = depth_map(height=96, width=128)
    frames, scale = DEPTH.render(map, profile=profile)
    parsed = DEPTH.parse(decode_rgb(encode_rgb_mp4(frames, fps=16)).frames, scale, profile=profile)
    error = np.abs(parsed.data - map.data)[map.valid] / (scale["hi"] - scale["lo"])
    assert error.mean() < 0.01  # measured 0.0034 (openuni), 0.0023 (vace); edges err by up to the whole range


def test_a_given_scale_is_used_and_clips():
    map = depth_map()
    scale = {"kind": "relative_disparity", "lo": -100.0, "hi": -50.0}
    frames, used = DEPTH.render(map, scale=scale)
    assert used == scale
    assert (frames == (158, 1, 66)).all()


def test_encoding_is_deterministic_and_names_its_members():
    first, second = DEPTH.encode(depth_map()), DEPTH.encode(depth_map())
    assert first == second
    assert tuple(first.members) == DEPTH.members
    assert modality("depth") is DEPTH


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"facts": {"kind": "inverse"}}, "relative_disparity, metric_depth, got 'inverse'"),
        ({"valid": None}, "depth needs a valid mask"),
        ({"valid": np.ones((5, 4, 4), bool)}, "valid mask of depth"),
        ({"data": np.zeros((5, 48, 64))}, r"\(T, H, W\) float32, got \(5, 48, 64\) float64"),
        ({"data": np.full((5, 48, 64), np.nan, np.float32)}, "must be finite"),
        ({"data": np.zeros((5, 48, 64), np.float32), "facts": {"kind": "metric_depth"}}, "must be > 0"),
        ({"arrays": {"sky": np.zeros(3)}}, "cannot store the arrays sky; it knows: none"),
        ({"facts": {"kind": "metric_depth", "storage": {}}}, "must not have the key 'storage'"),
    ],
)
def test_wrong_maps_are_refused(change, message):
    good = depth_map()
    parts = {"data": good.data, "valid": good.valid, "facts": good.facts} | change
    with pytest.raises(ValueError, match=message):
        DEPTH.encode(Map(**parts))


def test_damaged_missing_and_foreign_members_are_refused():
    members, facts = DEPTH.encode(depth_map())
    damaged = bytearray(members["depth.mkv"])
    damaged[len(damaged) // 2] ^= 255
    with pytest.raises(ValueError, match=r"depth.mkv \(\d+ bytes\) is damaged or of another clip"):
        DEPTH.decode({**members, "depth.mkv": bytes(damaged)}, facts)
    with pytest.raises(ValueError, match=r"needs the member 'depth.valid.mkv', got \['depth.mkv'\]"):
        DEPTH.decode({"depth.mkv": members["depth.mkv"]}, facts)
    with pytest.raises(ValueError, match="no 'storage' key"):
        DEPTH.decode(members, {"kind": "metric_depth"})
    with pytest.raises(ValueError, match="the scale is for metric_depth"):
        DEPTH.render(depth_map(), scale={"kind": "metric_depth", "lo": 0, "hi": 1})
    with pytest.raises(ValueError, match="openuni, vace, got 'midas'"):
        DEPTH.render(depth_map(), profile="midas")
