"""Reading joints off blurred drawings."""

import cv2
import numpy as np
import pytest

from openuni.codec.skeleton_soft import limb_weights, read_blurred
from openuni.modality import Map
from openuni.model.rendering import TINY

SIDE = 48
STANDING = {
    0: (24, 8), 5: (29, 14), 6: (19, 14), 7: (33, 20), 8: (15, 20), 9: (35, 26), 10: (13, 26), 11: (27, 26),
    12: (21, 26), 13: (28, 34), 14: (20, 34), 15: (29, 42), 16: (19, 42),
}  # fmt: skip
"""COCO joint -> x, y px of a person with arms apart."""


def drawing(*shifts, blur=0.0, dim=1.0):
    data = np.zeros((1, len(shifts), 17, 3), np.float32)
    for place, shift in enumerate(shifts):
        for joint, (x, y) in STANDING.items():
            data[0, place, joint] = (x + shift, y, 1)
    frame = TINY.draw("skeleton", Map(data=data, facts={"height": SIDE, "width": SIDE}))[0]
    if blur:
        frame = cv2.GaussianBlur(frame, (0, 0), blur)
    return (frame * dim).astype(np.uint8), data[0]


def errors(found, wanted):
    seen = wanted[:, 2] > 0
    return np.hypot(*(found[seen, :2] - wanted[seen, :2]).T), found[seen, 2]


@pytest.mark.parametrize(("blur", "dim"), [(0.7, 1.0), (1.0, 0.7)])
def test_joints_of_a_blurred_drawing_are_found_within_some_pixels(blur, dim):
    frame, wanted = drawing(0, blur=blur, dim=dim)
    people = read_blurred(frame)
    assert people.shape == (1, 17, 3)
    away, seen = errors(people[0], wanted[0])
    assert seen.sum() >= 12 and np.median(away[seen > 0]) < 1.5 and (away[seen > 0] < 4.8).mean() > 0.8  # 0.1 of 48 px


def test_what_reads_exact_drawings_reads_none_of_it():
    from openuni.codec.skeleton_parsing import read_people

    frame, _ = drawing(0, blur=1.0, dim=0.7)
    assert len(read_people(frame[None], 0)[0]) == 0


def test_two_people_apart_are_two():
    frame, _ = drawing(-13, 13, blur=0.7)
    assert len(read_blurred(frame)) == 2


def test_black_has_nobody():
    assert read_blurred(np.zeros((SIDE, SIDE, 3), np.uint8)).shape == (0, 17, 3)


def test_a_limb_weighs_where_its_hue_is():
    frame = np.zeros((9, 9, 3), np.uint8)
    frame[4, 4] = (255, 170, 0)  # limb 2: right upper arm
    weights = limb_weights(frame)
    assert max(weights, key=lambda limb: weights[limb][4, 4]) == 2


def test_frames_of_the_small_rendering_are_read_even_if_blurred():
    frame, wanted = drawing(0, blur=1.0)
    read = TINY.to_map("skeleton", frame[None])
    assert read.data.shape == (1, 1, 17, 3) and read.facts["joints"] == [0, *range(5, 17)]
    sharp, _ = drawing(0)
    assert np.abs(TINY.to_map("skeleton", sharp[None]).data[0, 0, 5:, :2] - wanted[0, 5:, :2]).max() < 1.5
