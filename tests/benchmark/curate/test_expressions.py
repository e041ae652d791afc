"""Expressions: names, colours and places of objects, and no two of a clip alike."""

import numpy as np
import pytest

from openuni.benchmark.curate.expressions import nearest_colour, objects_of, place_of


def scene(boxes, frames=3, size=(40, 60)):
    """Masks and frames of coloured boxes: (id, rows, columns, colour, first frame)."""
    masks, rgb = np.zeros((frames, *size), np.uint8), np.full((frames, *size, 3), 90, np.uint8)
    for one, rows, columns, colour, start in boxes:
        masks[start:, rows, columns], rgb[start:, rows, columns] = one, colour
    return masks, rgb


RED, BLUE = (205, 25, 25), (30, 70, 200)


def words(boxes, names=None):
    return [one.expression for one in objects_of(*scene(boxes), names)]


def test_a_colour_is_enough_where_it_differs():
    boxes = [(1, slice(5, 15), slice(5, 15), RED, 0), (2, slice(5, 15), slice(40, 50), BLUE, 0)]
    assert words(boxes) == ["the red object", "the blue object"]


def test_a_name_comes_first_and_colour_and_place_tell_apart():
    boxes = [(1, slice(5, 15), slice(2, 12), RED, 0), (2, slice(5, 15), slice(45, 55), RED, 0),
             (3, slice(5, 15), slice(26, 36), BLUE, 0)]  # fmt: skip
    names = {1: "ball", 2: "ball", 3: "person"}
    assert words(boxes, names) == ["the red ball on the left", "the red ball on the right", "the person"]
    found = objects_of(*scene(boxes), {1: "ball"})
    assert [one.named_by for one in found] == ["masks", "appearance", "appearance"]


def test_size_and_at_last_a_number_tell_apart_what_looks_the_same():
    big_small = [(1, slice(2, 22), slice(2, 14), RED, 0), (2, slice(30, 35), slice(2, 8), RED, 0)]
    assert words(big_small) == ["the largest red object on the left", "the smallest red object on the left"]
    twins = [(1, slice(2, 8), slice(10, 16), RED, 0), (2, slice(2, 8), slice(1, 7), RED, 0)]
    assert words(twins) == ["the red object on the left, number 2 from the left",
                            "the red object on the left, number 1 from the left"]  # fmt: skip


def test_no_two_expressions_of_a_clip_are_the_same():
    rng = np.random.default_rng(0)
    for _ in range(40):
        boxes = []
        for one in range(1, 8):
            row, column = rng.integers(0, 34), rng.integers(0, 54)
            colour = [RED, BLUE, (128, 128, 128)][rng.integers(3)]
            boxes.append((one, slice(row, row + 5), slice(column, column + 5), colour, int(rng.integers(2))))
        names = {one: ["person", "ball"][rng.integers(2)] for one in range(1, 8) if rng.random() < 0.7}
        masks, rgb = scene(boxes)
        found = objects_of(masks, rgb, names)
        assert [one.id for one in found] == sorted(set(np.unique(masks)) - {0})
        assert len({one.expression for one in found}) == len(found)


def test_an_object_that_comes_later_is_described_where_it_is_first_seen():
    (one,) = objects_of(*scene([(7, slice(0, 20), slice(0, 30), BLUE, 2)]))
    assert (one.id, one.first_frame, one.frames, one.area) == (7, 2, 1, 0.25)


def test_an_object_is_taken_where_it_has_a_quarter_of_its_size():
    masks, rgb = scene([(1, slice(0, 20), slice(0, 20), BLUE, 2)], frames=8)
    masks[0, 0, 0] = masks[1, 0, :99] = 1  # 1 px, then 60 of 400
    assert objects_of(masks, rgb)[0].first_frame == 2
    masks[1, 1, :40] = 1
    (one,) = objects_of(masks, rgb)
    assert (one.first_frame, one.frames, one.area) == (1, 8, 100 / 2400)


def test_colours_and_places_have_the_viewers_words():
    for word, colour in (("red", (220, 40, 40)), ("green", (40, 160, 50)), ("white", (250, 250, 250))):
        assert nearest_colour(np.array([colour], np.uint8)) == word
    assert [place_of(*at) for at in ((0.1, 0.5), (0.9, 0.5), (0.5, 0.1), (0.5, 0.9), (0.5, 0.5))] == [
        "on the left", "on the right", "at the top", "at the bottom", "in the middle",
    ]  # fmt: skip


def test_masks_of_another_size_are_refused():
    with pytest.raises(ValueError, match="masks are"):
        objects_of(np.zeros((2, 4, 4), np.uint8), np.zeros((2, 4, 5, 3), np.uint8))
