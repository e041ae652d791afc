"""Segmentation codec: exact ids, UnityVideo's colours, and colours for 255 instances that stay apart."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from openuni.codec.segmentation import SEGMENTATION, instance_colours
from openuni.modality import Map, modality
from openuni.video import decode_rgb, encode_rgb_lossless, encode_rgb_mp4
from tests.openuni.codec_cases import label_frames

SHAPES = hnp.array_shapes(min_dims=3, max_dims=3, max_side=5)


@given(st.one_of(hnp.arrays(np.uint8, SHAPES), hnp.arrays(np.uint16, SHAPES)))
@settings(max_examples=40, deadline=None)
def test_any_ids_come_back_exactly_with_their_dtype(ids):
    map = Map(data=ids, facts={"expert": "x"})
    for got in (SEGMENTATION.decode(*SEGMENTATION.encode(map)), SEGMENTATION.stored(map)):
        np.testing.assert_array_equal(got.data, ids)
        assert got.data.dtype == ids.dtype
        assert dict(got.facts) == {"expert": "x"}


def test_first_instances_have_the_colours_of_the_teaser():
    colours = instance_colours()
    assert colours[0].tolist() == [0, 0, 0]
    assert colours[1].tolist() == [217, 108, 12]  # tab10[1] x 0.85; the teaser's mean is (217, 110, 9)
    assert colours[2].tolist() == [37, 136, 37]


def test_colours_keep_their_stated_distances():
    colours = instance_colours().astype(float)
    distance = np.linalg.norm(colours[:, None] - colours[None], axis=-1) + 1e9 * np.eye(256)
    for last, least in ((10, 57), (100, 53), (255, 38)):
        assert distance[: last + 1, : last + 1].min() >= least


def test_all_255_ids_come_back_from_colours():
    ids = np.arange(256, dtype=np.uint8).reshape(1, 16, 16).repeat(3, axis=1)
    frames, scale = SEGMENTATION.render(Map(data=ids))
    assert scale == {"ids": list(range(1, 256))}
    np.testing.assert_array_equal(SEGMENTATION.parse(decode_rgb(encode_rgb_lossless(frames)).frames, scale).data, ids)


def test_h264_errs_only_at_edges():
    map = Map(data=label_frames(height=96, width=128, labels=(1, 2, 5)))
    frames, scale = SEGMENTATION.render(map)
    parsed = SEGMENTATION.parse(decode_rgb(encode_rgb_mp4(frames, fps=16)).frames, scale).data
    assert (parsed == map.data).mean() > 0.99  # measured 0.998
    assert set(np.unique(parsed)) <= {0, 1, 2, 5}


def test_only_the_ids_of_the_scale_are_read():
    frames = np.broadcast_to(instance_colours()[3], (1, 2, 2, 3)).astype(np.uint8)
    assert SEGMENTATION.parse(frames, {"ids": [3]}).data.tolist() == [[[3, 3], [3, 3]]]
    assert 3 not in SEGMENTATION.parse(frames, {"ids": [1, 2]}).data


def test_background_only_is_black_and_comes_back():
    map = Map(data=np.zeros((1, 3, 5), np.uint8))
    frames, scale = SEGMENTATION.render(map)
    assert (frames == 0).all()
    assert scale == {"ids": []}
    assert (SEGMENTATION.parse(frames, scale).data == 0).all()


def test_encoding_is_deterministic_and_small_ids_take_8_bits():
    wide = Map(data=label_frames().astype(np.uint16))
    narrow = Map(data=label_frames())
    assert SEGMENTATION.encode(wide).members == SEGMENTATION.encode(narrow).members
    assert tuple(SEGMENTATION.encode(narrow).members) == SEGMENTATION.members
    assert modality("segmentation") is SEGMENTATION


def test_what_cannot_be_drawn_or_stored_is_refused():
    many = Map(data=np.array([[[0, 256]]], np.uint16))
    with pytest.raises(ValueError, match="only ids up to 255 have a colour, got 256: renumber"):
        SEGMENTATION.render(many)
    with pytest.raises(ValueError, match=r"the scale has the ids \[1\], the map also has \[2, 3\]"):
        SEGMENTATION.render(Map(data=label_frames()), scale={"ids": [1]})
    with pytest.raises(ValueError, match=r"uint8 or uint16, got .* int64"):
        SEGMENTATION.encode(Map(data=np.zeros((1, 2, 2), np.int64)))
    with pytest.raises(ValueError, match="knows the profiles openuni, got 'ade20k'"):
        SEGMENTATION.render(Map(data=label_frames()), profile="ade20k")


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"scores": [0.5]}, r"facts\['scores'\] must give a finite number for ids as text, got \[0.5\]"),
        ({"scores": {"1": float("nan")}}, "must give a finite number"),
        ({"scores": {"one": 0.5}}, "must give a finite number"),
        ({"scores": {"1": True}}, "must give a finite number"),
        ({"classes": {"1": 3}}, r"facts\['classes'\] must give a name for ids as text"),
    ],
)
def test_scores_and_classes_that_are_none_are_refused(facts, message):
    ids = np.ones((1, 2, 2), np.uint8)
    SEGMENTATION.check(Map(data=ids, facts={"scores": {"1": 0.5}, "classes": {"1": "dog"}}))
    with pytest.raises(ValueError, match=message):
        SEGMENTATION.check(Map(data=ids, facts=facts))
