"""DensePose codec: exact I, U, V; viridis parts both ways."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from openuni.codec.densepose import DENSEPOSE
from openuni.modality import Map, modality
from openuni.video import decode_rgb, encode_rgb_lossless, encode_rgb_mp4
from tests.openuni.codec_cases import densepose_map

SHAPES = hnp.array_shapes(min_dims=3, max_dims=3, max_side=5)


@given(hnp.arrays(np.uint8, SHAPES, elements=st.integers(0, 24)), st.booleans())
@settings(max_examples=40, deadline=None)
def test_any_map_comes_back_exactly(parts, with_uv):
    uv = np.random.default_rng(0).integers(0, 256, (*parts.shape, 2), dtype=np.uint8)
    map = Map(data=parts, arrays={"uv": uv} if with_uv else {}, facts={"expert": "x"})
    for got in (DENSEPOSE.decode(*DENSEPOSE.encode(map)), DENSEPOSE.stored(map)):
        np.testing.assert_array_equal(got.data, parts)
        assert set(got.arrays) == set(map.arrays)
        if with_uv:
            np.testing.assert_array_equal(got.arrays["uv"], uv)
        assert got.data.dtype == np.uint8
        assert dict(got.facts) == {"expert": "x"}


def test_colours_are_matplotlibs_viridis():
    matplotlib = pytest.importorskip("matplotlib")
    parts = np.arange(25, dtype=np.uint8).reshape(1, 5, 5)
    expected = matplotlib.colormaps["viridis"](np.arange(25) * 255 // 24, bytes=True)[:, :3]
    np.testing.assert_array_equal(DENSEPOSE.render(Map(data=parts)).frames.reshape(25, 3), expected)
    assert DENSEPOSE.render(Map(data=parts)).frames[0, 0, 0].tolist() == [68, 1, 84]  # read off UnityVideo's teaser


def test_parts_come_back_from_colours_exactly_and_uv_does_not():
    map = densepose_map(height=33, width=107)
    frames, scale = DENSEPOSE.render(map)
    parsed = DENSEPOSE.parse(decode_rgb(encode_rgb_lossless(frames)).frames, scale)
    np.testing.assert_array_equal(parsed.data, map.data)
    assert parsed.arrays == {}
    DENSEPOSE.check(parsed)


def test_h264_leaves_most_parts_right():
    map = densepose_map(height=96, width=416)  # bars of 16 px
    frames, scale = DENSEPOSE.render(map)
    parsed = DENSEPOSE.parse(decode_rgb(encode_rgb_mp4(frames, fps=16)).frames, scale)
    assert (parsed.data == map.data).mean() > 0.97  # measured 0.986: neighbours mix at edges


def test_encoding_is_deterministic():
    assert DENSEPOSE.encode(densepose_map()) == DENSEPOSE.encode(densepose_map())
    assert tuple(DENSEPOSE.encode(densepose_map()).members) == DENSEPOSE.members
    assert modality("densepose") is DENSEPOSE


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data": np.full((1, 2, 2), 25, np.uint8)}, "densepose parts are 0 to 24, got 25"),
        ({"data": np.zeros((1, 2, 2), np.int64)}, "uint8, got .* int64"),
        ({"data": np.zeros((1, 2, 2), np.uint8), "arrays": {"uv": np.zeros((1, 2, 2, 3), np.uint8)}}, "arrays.'uv'."),
        ({"data": np.zeros((1, 2, 2), np.uint8), "valid": np.ones((1, 2, 2), bool)}, "has no valid mask"),
    ],
)
def test_wrong_maps_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        DENSEPOSE.encode(Map(**change))
    with pytest.raises(ValueError, match="knows the profiles"):
        DENSEPOSE.parse(np.zeros((1, 2, 2, 3), np.uint8), {}, profile="parula")
