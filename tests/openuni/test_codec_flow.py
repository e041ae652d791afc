"""Flow codec: 1/32 px, dense values kept, and Baker's colour wheel both ways."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from openuni.codec.flow import FLOW, colour_wheel, wheel_colours
from openuni.modality import Map, modality
from openuni.video import decode_rgb, encode_rgb_lossless, encode_rgb_mp4
from tests.openuni.codec_cases import flow_map


def assert_same(first, second):
    np.testing.assert_array_equal(first.data, second.data)
    np.testing.assert_array_equal(first.valid, second.valid)
    assert first.arrays.keys() == second.arrays.keys()
    for name in first.arrays:
        np.testing.assert_array_equal(first.arrays[name], second.arrays[name])
    assert dict(first.facts) == dict(second.facts)


@given(
    hnp.arrays(np.float32, st.tuples(*[st.integers(1, 4)] * 3, st.just(2)), elements=st.floats(width=32)),
    st.booleans(),
    st.randoms(use_true_random=False),
)
@settings(max_examples=60, deadline=None)
def test_any_flow_is_stored_as_it_will_be_decoded_and_within_a_32nd_of_a_pixel(data, occluded, random):
    draw = np.array([random.random() for _ in range(data.size // 2)]).reshape(data.shape[:3])
    with np.errstate(invalid="ignore"):
        valid = (np.abs(data) <= 2047).all(axis=-1) & (draw < 0.8)
    valid[-1] = False
    map = Map(data=data, valid=valid, arrays={"occluded": draw < 0.3} if occluded else {}, facts={"expert": "x"})
    stored = FLOW.stored(map)
    assert_same(stored, FLOW.decode(*FLOW.encode(map)))
    assert (np.abs(stored.data[valid] - data[valid]) <= 1 / 32).all()
    assert np.isfinite(stored.data).all()


def test_invalid_pixels_keep_their_dense_values():
    map = flow_map()
    stored = FLOW.stored(map)
    assert not map.valid[:, :, 0].any()
    assert np.abs(stored.data[:, :, 0] - map.data[:, :, 0]).max() <= 1 / 32


def test_multiples_of_a_16th_are_exact_to_the_ends():
    data = np.zeros((2, 1, 4, 2), np.float32)
    data[0, 0] = [(2047, -2047), (0.0625, -0.0625), (0, 1.5), (-1000.1875, 3)]
    valid = np.array([[[True] * 4], [[False] * 4]])
    np.testing.assert_array_equal(FLOW.decode(*FLOW.encode(Map(data=data, valid=valid))).data, data)


def baker_colour(u, v):
    """colorcode.cpp by hand, one vector with norm <= 1."""
    wheel = [(255, 255 * i // 15, 0) for i in range(15)]
    wheel += [(255 - 255 * i // 6, 255, 0) for i in range(6)]
    wheel += [(0, 255, 255 * i // 4) for i in range(4)]
    wheel += [(0, 255 - 255 * i // 11, 255) for i in range(11)]
    wheel += [(255 * i // 13, 0, 255) for i in range(13)]
    wheel += [(255, 0, 255 - 255 * i // 6) for i in range(6)]
    position = (math.atan2(-v, -u) / math.pi + 1) / 2 * 54
    below = int(position)
    part = position - below
    mixed = [(1 - part) * wheel[below][c] / 255 + part * wheel[(below + 1) % 55][c] / 255 for c in range(3)]
    return [int(255 * (1 - math.hypot(u, v) * (1 - colour))) for colour in mixed]


def test_colours_are_bakers():
    rng = np.random.default_rng(0)
    angle, radius = rng.uniform(-math.pi, math.pi, 300), rng.uniform(0, 1, 300)
    vectors = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1)
    ours = wheel_colours(vectors).astype(int)
    theirs = np.array([baker_colour(u, v) for u, v in vectors])
    assert np.abs(ours - theirs).max() <= 1  # the order of float operations may move a floor
    assert (ours == theirs).mean() > 0.97  # measured 0.986
    assert colour_wheel().shape == (55, 3)


def test_still_and_invalid_are_white_and_right_is_red():
    data = np.zeros((2, 1, 3, 2), np.float32)
    data[0, 0] = [(5, 0), (0, 0), (9, 9)]
    map = Map(data=data, valid=np.array([[[True, True, False]], [[False] * 3]]))
    frames, scale = FLOW.render(map)
    assert scale == {"max_norm_px": 5.0}
    assert frames[0, 0, 0].tolist() == [255, 0, 0]  # +x is where the wheel starts
    assert frames[0, 0, 1:].tolist() == [[255] * 3] * 2
    assert (frames[1] == 255).all()


def test_longer_flow_than_the_given_scale_saturates():
    map = flow_map(longest=12.0)
    frames, scale = FLOW.render(map, scale={"max_norm_px": 3.0})
    parsed = FLOW.parse(frames, scale)
    norm = np.hypot(*np.moveaxis(parsed.data, -1, 0))
    long = np.hypot(*np.moveaxis(map.data, -1, 0)) >= 3.0
    np.testing.assert_allclose(norm[long & map.valid], 3.0, rtol=0.02)  # 8-bit colours
    assert norm.max() <= 3.0 + 1e-6


def relative_error(map, encode):
    """Endpoint error after drawing, encoding, decoding and parsing, in units of the longest flow."""
    frames, scale = FLOW.render(map)
    parsed = FLOW.parse(decode_rgb(encode(frames)).frames, scale)
    error = np.hypot(*np.moveaxis(parsed.data - map.data, -1, 0))
    return error[map.valid & parsed.valid] / scale["max_norm_px"]


def test_colours_give_flow_back_within_2_percent_of_the_longest():
    error = relative_error(flow_map(height=97, width=131), encode_rgb_lossless)
    assert error.mean() < 0.006  # measured 0.0037: 8-bit colours
    assert error.max() < 0.02  # measured 0.014


def test_colours_survive_h264_with_a_mean_error_of_3_percent_of_the_longest():
    error = relative_error(flow_map(height=96, width=128), lambda frames: encode_rgb_mp4(frames, fps=16))
    assert error.mean() < 0.03  # measured 0.013: half-resolution chroma at the edges of the disc


def test_a_clip_without_motion_is_white_and_comes_back_still():
    map = Map(data=np.zeros((1, 3, 5, 2), np.float32), valid=np.zeros((1, 3, 5), bool))
    frames, scale = FLOW.render(map)
    assert (frames == 255).all()
    assert (FLOW.parse(frames, scale).data == 0).all()
    assert_same(FLOW.stored(map), FLOW.decode(*FLOW.encode(map)))


def test_encoding_is_deterministic_and_names_its_members():
    assert FLOW.encode(flow_map()) == FLOW.encode(flow_map())
    assert set(FLOW.encode(flow_map()).members) == {"flow.mkv", "flow.valid.mkv"}
    assert modality("flow") is FLOW


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"valid": np.ones((5, 48, 64), bool)}, "the last frame of flow has no next frame, got 3072 valid pixels"),
        ({"valid": None}, "flow needs a valid mask"),
        ({"data": np.full((5, 48, 64, 2), 2048, np.float32)}, r"within \+-2047 px"),
        ({"data": np.full((5, 48, 64, 2), np.nan, np.float32)}, "not NaN"),
        ({"data": np.zeros((5, 48, 64, 3), np.float32)}, r"\(T, H, W, 2\) float32, got \(5, 48, 64, 3\)"),
        ({"arrays": {"backward": np.zeros(1)}}, "cannot store the arrays backward; it knows: occluded"),
        ({"arrays": {"occluded": np.zeros((5, 48, 64))}}, "arrays.'occluded'. of flow must be .* bool"),
    ],
)
def test_wrong_maps_are_refused(change, message):
    good = flow_map()
    with pytest.raises(ValueError, match=message):
        FLOW.encode(Map(**({"data": good.data, "valid": good.valid} | change)))
    with pytest.raises(ValueError, match="knows the profiles openuni, got 'vace'"):
        FLOW.render(good, profile="vace")
