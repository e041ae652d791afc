"""Segmentation check: masks that move along the flow, swapped and lost ids, fragments, and empty maps."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from openuni.modality import Map
from openuni.pipelines.checks.segmentation import SegmentationCheck
from tests.pipelines.checks_cases import grey_to_rgb, run, texture, uniform_flow

FRAMES, HEIGHT, WIDTH, DX = 6, 48, 80, 2
FLOW = uniform_flow(FRAMES, HEIGHT, WIDTH, DX)
STILL = uniform_flow(FRAMES, HEIGHT, WIDTH, 0)
RGB = grey_to_rgb(np.stack([texture(HEIGHT, WIDTH)] * FRAMES))


def two_boxes() -> np.ndarray:
    """Ids 1 and 2, 10 x 12 and 10 x 8 px, that move as FLOW says and stay on the picture."""
    ids = np.zeros((FRAMES, HEIGHT, WIDTH), np.uint8)
    for t in range(FRAMES):
        ids[t, 5:15, 10 + DX * t : 22 + DX * t] = 1
        ids[t, 25:35, 40 + DX * t : 48 + DX * t] = 2
    return ids


def judge(ids: np.ndarray, flow: Map = FLOW, rgb: np.ndarray = RGB) -> dict:
    return run(SegmentationCheck(), rgb, flow=flow, segmentation=Map(data=ids))


def test_masks_that_move_along_the_flow_have_iou_one_and_no_switch():
    scores = judge(two_boxes())
    assert scores["iou"] == scores["iou_worst"] == 1.0
    assert scores["id_switches"] == 0 and scores["switch_rate"] == 0.0
    assert scores["coverage"] == pytest.approx(200 / (HEIGHT * WIDTH))
    assert scores["num_ids"] == 2 and scores["fragments"] == 1.0


def test_masks_that_rest_while_the_flow_moves_have_the_iou_of_shifted_boxes():
    ids = np.repeat(two_boxes()[:1], FRAMES, axis=0)
    assert judge(ids)["iou"] == pytest.approx((10 / 14 + 6 / 10) / 2)  # 12 and 8 px wide, shifted by 2


def test_ids_swapped_at_one_frame_are_counted():
    ids = two_boxes()
    ids[3:] = np.array([0, 2, 1], np.uint8)[ids[3:]]
    scores = judge(ids)
    assert scores["id_switches"] == 2 and scores["switch_rate"] == pytest.approx(2 / 10)  # two masks, five pairs
    assert scores["iou"] == pytest.approx(4 / 5) and scores["iou_worst"] == 0.0


def test_a_mask_taken_over_by_another_is_one_switch():
    ids = two_boxes()
    ids[3:][ids[3:] == 1] = 2
    assert judge(ids)["id_switches"] == 1


def test_a_mask_that_is_lost_to_the_background_is_no_switch():
    ids = two_boxes()
    ids[3:][ids[3:] == 1] = 0
    scores = judge(ids)
    assert scores["id_switches"] == 0
    assert scores["iou"] == pytest.approx((5 + 2) / (5 + 3))  # id 1 is followed three times, the last time to nothing


def test_what_gets_hidden_does_not_count_where_the_flow_says_so():
    ids = np.zeros((2, HEIGHT, WIDTH), np.uint8)
    ids[:, 10:30, 20:40] = 1
    ids[0, 10:30, 0:12] = ids[1, 10:30, 16:28] = 2  # covers 8 columns of the first, 4 of the ground
    data = np.zeros((2, HEIGHT, WIDTH, 2), np.float32)
    data[0, 10:30, 0:12] = 16, 0
    hidden = np.zeros((2, HEIGHT, WIDTH), bool)
    hidden[0, 10:30, 16:28] = True
    valid = STILL.valid[-2:]
    told = judge(ids, Map(data=data, valid=valid, arrays={"occluded": hidden}), RGB[:2])
    assert told["iou"] == 1.0
    assert judge(ids, Map(data=data, valid=valid), RGB[:2])["iou"] < 0.9


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**16), share=st.floats(0.05, 0.4))
def test_holes_never_make_right_masks_look_better(seed, share):
    chance = np.random.default_rng(seed).random((FRAMES, HEIGHT, WIDTH))
    ious = [
        judge(np.where(chance < amount, 0, two_boxes()).astype(np.uint8))["iou"] for amount in (0, share, 2 * share)
    ]
    assert ious[0] > ious[1] > ious[2]


@settings(max_examples=40, deadline=None)
@given(hnp.arrays(np.uint16, (2, 20, 20), elements=st.sampled_from([0, 1, 2, 300, 65535])))
def test_iou_and_switches_are_those_of_sets_of_pixels(ids):
    ids = np.repeat(np.repeat(ids, 2, 1), 2, 2)
    scores = judge(ids, uniform_flow(2, 40, 40, 0), RGB[:2, :40, :40])
    ious, switches, followed = [], 0, 0
    for one in set(ids.ravel().tolist()) - {0}:
        here, there = (set(np.flatnonzero(frame == one).tolist()) for frame in ids)
        if max(len(here), len(there)) >= 16:
            ious.append(len(here & there) / len(here | there))
        if len(here) >= 16:
            followed += 1
            under = ids[1].ravel()[list(here)].tolist()
            switches += any(under.count(other) > len(here) / 2 for other in set(under) - {0, one})
    assert scores["iou"] == (pytest.approx(np.mean(ious)) if ious else None)
    assert scores["id_switches"] == (switches if followed else None)
    assert scores["num_ids"] == len(set(ids.ravel().tolist()) - {0})


@settings(max_examples=20, deadline=None)
@given(hnp.arrays(np.uint8, (12, 15), elements=st.integers(0, 3)))
def test_fragments_are_the_connected_parts_that_scipy_finds(small):
    from scipy.ndimage import label

    frame = np.repeat(np.repeat(small, 2, 0), 2, 1)  # so that every part has four points
    expected = [label(frame == one)[1] for one in np.unique(frame[frame > 0])]
    found = judge(frame[None].repeat(2, 0), uniform_flow(2, 24, 30, 0), RGB[:2, :24, :30])["fragments"]
    assert found == (pytest.approx(np.mean(expected)) if expected else None)


def test_parts_of_one_id_count_and_ids_that_touch_are_apart():
    ids = np.zeros((2, HEIGHT, WIDTH), np.uint8)
    ids[:, 5:15, 5:15] = ids[:, 5:15, 30:40] = 1
    ids[:, 5:15, 15:30] = 2  # touches both parts
    ids[:, 40, 40] = 2  # one point: a crumb
    assert judge(ids, Map(data=STILL.data[-2:], valid=STILL.valid[-2:]), RGB[:2])["fragments"] == pytest.approx(1.5)


def test_borders_on_edges_of_the_picture_agree_and_elsewhere_do_not():
    ids = np.repeat(two_boxes()[:1], FRAMES, axis=0)
    rgb = grey_to_rgb((60 + 50 * ids).astype(np.uint8))
    assert judge(ids, STILL, rgb)["edge_agreement"] == pytest.approx(1)
    elsewhere = np.zeros_like(ids)
    elsewhere[:, 5:15, 60:72] = 1
    assert judge(elsewhere, STILL, rgb)["edge_agreement"] < 0  # never, and by chance it would sometimes be


def test_a_clip_without_ids_has_coverage_zero_and_nothing_to_follow():
    scores = judge(np.zeros((FRAMES, HEIGHT, WIDTH), np.uint8))
    assert scores["coverage"] == 0.0 and scores["num_ids"] == 0
    rest = set(scores) - {"coverage", "num_ids"}
    assert all(scores[name] is None for name in rest)


def test_masks_of_a_few_points_are_not_followed():
    ids = np.zeros((FRAMES, HEIGHT, WIDTH), np.uint8)
    ids[:, 5:8, 5:10] = 1  # 15 points
    scores = judge(ids)
    assert scores["iou"] is None and scores["id_switches"] is None and scores["num_ids"] == 1


def test_without_valid_flow_nothing_is_followed():
    scores = judge(two_boxes(), replace(FLOW, valid=np.zeros_like(FLOW.valid)))
    assert scores["iou"] is None and scores["iou_worst"] is None and scores["switch_rate"] is None
    assert scores["num_ids"] == 2 and scores["fragments"] == 1.0


def test_one_frame_is_scored_by_what_stands_in_it():
    last = Map(data=FLOW.data[-1:], valid=FLOW.valid[-1:])
    scores = judge(two_boxes()[:1], last, RGB[:1])
    assert scores["iou"] is None and scores["num_ids"] == 2


@pytest.mark.parametrize("shape", [(1, 1), (7, 9), (8, 1000), (33, 47), (517, 261)])
def test_masks_of_odd_shapes_are_scored(shape):
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 256, (3, *shape, 3), dtype=np.uint8)
    ids = np.ones((3, *shape), np.uint16)
    scores = run(SegmentationCheck(), rgb, flow=uniform_flow(3, *shape, 0), segmentation=Map(data=ids))
    assert scores["coverage"] == 1.0
    assert scores["iou"] == (1.0 if shape[0] * shape[1] >= 16 else None)
    assert scores["edge_agreement"] is None  # no border


def test_masks_of_a_clip_larger_than_the_grid_are_followed_to_the_pixel():
    height, width = 400, 640  # every second pixel
    ids = np.zeros((3, height, width), np.uint8)
    data = np.zeros((3, height, width, 2), np.float32)
    for t in range(3):
        ids[t, 100:200, 50 + 5 * t : 151 + 5 * t] = 1
    data[..., 0] = 5  # odd: points land between the next frame's points
    valid = np.ones(ids.shape, bool)
    valid[-1] = False
    rgb = np.zeros((*ids.shape, 3), np.uint8)
    assert run(SegmentationCheck(), rgb, flow=Map(data=data, valid=valid), segmentation=Map(data=ids))["iou"] == 1.0


def test_masks_of_other_frames_are_refused():
    with pytest.raises(ValueError, match=r"segmentation must have the frames' shape \(6, 48, 80\), got \(6, 48, 79\)"):
        judge(two_boxes()[:, :, :-1])
