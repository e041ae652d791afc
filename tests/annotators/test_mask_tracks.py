"""Key frames and following: known masks, stand-ins that find and follow colours."""

import numpy as np

from openuni.annotators.mask_sets import Proposal, numbered, settle, unknown, wholes
from openuni.annotators.mask_tracks import follow
from tests.annotators.colour_world import BLUE, GREEN, RED, ColourFollower, mask_of, paint, propose

SETTINGS = {"max_objects": 9, "min_area": 0.0, "max_area": 0.9}


def square(x, y, side, height=20, width=30):
    mask = np.zeros((height, width), bool)
    mask[y : y + side, x : x + side] = True
    return mask


def run(rgb, **settings):
    follower = ColourFollower(rgb)
    settings = {**SETTINGS, "keys": range(0, len(rgb), 4), **settings}
    return follow(len(rgb), lambda t: propose(rgb[t]), follower, **settings), follower


def test_ids_are_those_of_the_colours_over_the_whole_clip_and_the_larger_is_first():
    red = (RED, 5, {t: (t, 2) for t in range(10)})
    blue = (BLUE, 8, {t: (18 - t, 10) for t in range(10)})
    rgb = paint(10, 20, 30, [red, blue])
    found, _ = run(rgb)
    assert found.objects == 2 and found.data.dtype == np.uint8
    assert (found.data == 1)[:].sum() == 10 * 64
    for t in range(10):
        assert np.array_equal(found.data[t] == 1, mask_of(rgb[t], BLUE))
        assert np.array_equal(found.data[t] == 2, mask_of(rgb[t], RED))


def test_a_thing_that_comes_in_between_key_frames_is_found_and_followed_back_to_where_it_came_in():
    red = (RED, 6, {t: (2, 2) for t in range(12)})
    green = (GREEN, 6, {t: (20, 8) for t in range(6, 12)})  # between the key frames 4 and 8
    rgb = paint(12, 20, 30, [red, green])
    found, follower = run(rgb)
    assert found.later == 1
    for t in range(12):
        assert np.array_equal(found.data[t] == 2, mask_of(rgb[t], GREEN))
    assert follower.started == [(0, 1), (8, 1)]
    assert [step for step in follower.steps if step[1]] == [(7, True), (6, True), (5, True)]  # back to the key frame


def test_a_thing_out_of_sight_for_a_while_has_its_id_again():
    seen = {t: (4, 4) for t in range(16) if t not in range(3, 11)}  # away on key frames 4 and 8
    rgb = paint(16, 20, 30, [(RED, 6, seen), (BLUE, 4, {t: (20, 10) for t in range(16)})])
    found, _ = run(rgb)
    assert found.objects == 2
    for t in range(16):
        assert np.array_equal(found.data[t] == 1, mask_of(rgb[t], RED))


def test_things_that_cross_keep_their_ids():
    red = (RED, 6, {t: (2 * t, 8) for t in range(12)})
    blue = (BLUE, 8, {t: (22 - 2 * t, 7) for t in range(12)})  # in front, hides red wholly at t = 6
    rgb = paint(12, 20, 30, [red, blue])
    found, _ = run(rgb)
    assert found.objects == 2
    for t in range(12):
        assert np.array_equal(found.data[t] == 2, mask_of(rgb[t], RED))


def test_no_more_things_than_allowed_and_the_rest_is_counted():
    things = [((40 * n, 0, 200), 2 + n, {t: (6 * n, 2) for t in range(3)}) for n in range(1, 5)]
    found, _ = run(paint(3, 20, 40, things), max_objects=2)
    assert (found.objects, found.left_out) == (2, 2)
    assert (found.data == 1).sum() == 3 * 36 and (found.data == 2).sum() == 3 * 25  # the largest two


def test_nothing_found_is_no_thing_and_no_error():
    found, _ = run(paint(5, 20, 30, []))
    assert found.objects == 0 and found.labels == []


def test_labels_stand_in_the_order_of_the_ids():
    rgb = paint(4, 20, 30, [(RED, 4, {t: (2, 2) for t in range(4)}), (BLUE, 8, {t: (12, 2) for t in range(4)})])

    def find(t):
        return [Proposal(mask_of(rgb[t], RED), 1, "ball"), Proposal(mask_of(rgb[t], BLUE), 1, "box")]

    assert follow(4, find, ColourFollower(rgb), keys=[0], **SETTINGS).labels == ["box", "ball"]


def test_a_single_key_frame_is_followed_both_ways_to_the_ends():
    rgb = paint(9, 20, 30, [(RED, 6, {t: (2 * t, 4) for t in range(9)})])
    found, follower = run(rgb, keys=[5])
    assert follower.started == [(5, 1)] and found.later == 0
    for t in range(9):
        assert np.array_equal(found.data[t] == 1, mask_of(rgb[t], RED))


def test_parts_of_a_thing_and_backgrounds_are_left_out():
    whole, part, beside = square(2, 2, 10), square(4, 4, 4), square(20, 2, 6)
    ground = np.ones((20, 30), bool)
    speck = square(28, 18, 1)
    kept = wholes([Proposal(mask, 0.9) for mask in (part, speck, ground, beside, whole)], min_area=0.005, max_area=0.6)
    assert [one.mask.sum() for one in kept] == [100, 36]


def test_of_equal_masks_the_better_one_is_kept_whatever_the_order():
    mask = square(2, 2, 6)
    for order in ((0.3, 0.8), (0.8, 0.3)):
        (kept,) = wholes([Proposal(mask, score) for score in order], min_area=0, max_area=1)
        assert kept.score == 0.8


def test_a_proposal_half_covered_by_a_known_thing_is_not_new():
    ids = np.zeros((20, 30), np.int32)
    ids[:, :10] = 3
    assert unknown([Proposal(square(5, 2, 10), 1)], ids) == []
    assert len(unknown([Proposal(square(6, 2, 10), 1)], ids)) == 1


def test_a_pixel_goes_to_the_highest_logit_above_nought():
    logits = np.array([[[1.0, -1, -2, 0]], [[2.0, -3, 0.5, 0]]], np.float32)
    assert settle(logits, [7, 9]).tolist() == [[9, 0, 9, 0]]
    assert settle(np.array([[[1.0]], [[1.0]]]), [7, 9]).tolist() == [[7]]


def test_more_than_255_ids_are_stored_in_sixteen_bits():
    ids = np.arange(1, 301).reshape(1, 15, 20)
    data, kept = numbered(ids)
    assert data.dtype == np.uint16 and data.max() == 300 and len(kept) == 300
    assert numbered(ids[:, :5])[0].dtype == np.uint8


def test_numbers_go_by_first_appearance_then_size():
    ids = np.zeros((2, 4, 4), np.int32)
    ids[1, 0], ids[0, 1, :1], ids[0, 2] = 1, 5, 9
    data, kept = numbered(ids)
    assert kept == [9, 5, 1] and data[1, 0, 0] == 3
