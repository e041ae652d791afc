from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from openuni.modality import Map
from openuni.model.rendering import RenderingConfig, Renderings
from openuni.model.renderings.segmentation import instance_cells, instance_order, solid_ids
from openuni.video import decode_rgb, encode_rgb_mp4
from tests.openuni.codec_cases import label_frames

SMALL_TOO = RenderingConfig(min_instance_px=1)


def test_order_is_area_in_the_first_frame_then_left_to_right():
    ids = np.zeros((2, 3, 10), np.uint8)
    ids[0, 0, 6:8] = 3  # two pixels, right
    ids[0, 0, 1:3] = 7  # two pixels, left
    ids[0, 2, 0:5] = 9  # five pixels
    ids[1, 0, :9] = 4  # nine pixels, but in the second frame only: counts with its own first frame
    ids[1, 2, :1] = 9  # later areas do not matter
    assert instance_order(ids) == [4, 9, 7, 3]


def test_equal_areas_above_each_other_go_downwards():
    ids = np.array([[[5], [0], [2]]], np.uint8)
    assert instance_order(ids) == [5, 2]


def test_by_place_an_instance_has_the_number_of_its_cell_and_the_next_where_that_is_taken():
    ids = np.zeros((2, 6, 6), np.uint8)
    ids[0, :2, :2] = 4  # first cell
    ids[0, 2, 2] = 8  # middle cell, the fifth
    ids[0, 3, 3] = 2  # the middle cell too
    ids[1, 5, 5] = 6  # last cell, in the second frame
    assert instance_cells(ids, [4, 8, 2, 6], 9) == {4: 1, 8: 5, 2: 6, 6: 9}
    assert instance_cells(ids, [6], 4) == {6: 1}  # nine cells on four numbers


@pytest.mark.parametrize("rule", ["area", "place"])
@settings(max_examples=60, deadline=None)
@given(arrays(np.uint8, (2, 4, 6), elements=st.integers(0, 9)))
def test_up_to_nine_instances_come_back_exactly_under_their_numbers(rule, ids):
    renderings = Renderings(replace(SMALL_TOO, instance_rule=rule))
    drawn = renderings.to_frames("segmentation", Map(data=ids))
    read = renderings.to_map("segmentation", drawn.frames).data
    names = np.array([0, *drawn.known["ids"]], np.uint8)
    np.testing.assert_array_equal(names[read], ids)
    assert drawn.lost == {}


def test_numbers_do_not_depend_on_the_names_of_the_instances():
    ids = label_frames(labels=(1, 2, 3)).astype(np.uint16)
    renamed = np.array([0, 900, 11, 500], np.uint16)[ids]
    one, other = (Renderings().to_frames("segmentation", Map(data=data)) for data in (ids, renamed))
    np.testing.assert_array_equal(one.frames, other.frames)
    assert [{1: 900, 2: 11, 3: 500}[name] for name in one.known["ids"]] == other.known["ids"]


def test_the_tenth_instance_is_background_and_counted():
    ids = np.zeros((1, 11, 20), np.uint8)
    for one in range(1, 12):
        ids[0, one - 1, :one] = one  # id k has k pixels
    drawn = Renderings(SMALL_TOO).to_frames("segmentation", Map(data=ids))
    assert drawn.known["ids"] == [11, 10, 9, 8, 7, 6, 5, 4, 3]
    assert drawn.lost == {"instances": "2 of 11 instances are beyond the first 9"}
    read = Renderings(SMALL_TOO).to_map("segmentation", drawn.frames).data
    assert (read[ids == 2] == 0).all()
    assert (read[ids == 11] == 1).all()


def test_what_fills_no_square_is_neither_drawn_nor_believed():
    ids = np.zeros((2, 20, 20), np.uint8)
    ids[:, 5:8, 5:8], ids[0, 0:2, 2:20] = 1, 2  # 3 x 3 px, and a bar of 2 x 18
    drawn = Renderings().to_frames("segmentation", Map(data=ids))
    assert drawn.known["ids"] == [1]
    assert drawn.lost == {"small": "1 of 2 instances nowhere fill 3 x 3 px"}
    with_bar = Renderings(SMALL_TOO).to_frames("segmentation", Map(data=ids))
    read = Renderings().to_map("segmentation", with_bar.frames).data
    # The bar was largest and so number 1, orange; the nearest colour of those believed is black.
    assert with_bar.known["ids"] == [2, 1]
    assert (read == np.where(ids == 1, 2, read)).all()
    assert set(np.unique(read[ids != 1])) <= {0, 2}


@pytest.mark.parametrize(("side", "found"), [(1, {3, 4}), (2, {3}), (3, {3}), (4, set())])
def test_solid_ids_fill_a_square_also_at_the_border(side, found):
    ids = np.zeros((2, 6, 9), np.uint16)
    ids[1, :3, :3], ids[0, 4, :] = 3, 4  # 3 x 3 px in the corner, a line
    assert solid_ids(ids, side) == found


def test_nothing_but_background_is_a_map_too():
    drawn = Renderings().to_frames("segmentation", Map(data=np.zeros((2, 4, 4), np.uint8)))
    assert (drawn.frames == 0).all()
    assert (Renderings().to_map("segmentation", drawn.frames).data == 0).all()


@pytest.mark.parametrize("labels", [(1, 2, 3), (1, 2, 3, 4, 5, 6, 7, 8, 9)])
def test_after_h264_instances_keep_their_numbers_and_get_no_companions(labels):
    ids = label_frames(frames=5, height=96, width=256, labels=labels)
    drawn = Renderings().to_frames("segmentation", Map(data=ids))
    read = Renderings().to_map("segmentation", decode_rgb(encode_rgb_mp4(drawn.frames, fps=8)).frames).data
    true = Renderings().to_map("segmentation", drawn.frames).data
    for number in range(1, len(labels) + 1):
        both, either = ((read == number) & (true == number)).sum(), ((read == number) | (true == number)).sum()
        assert both / either > 0.85  # discs of some 22 px: at edges, chroma has half the resolution
    assert len(np.unique(read)) == len(labels) + 1
