"""Tracks of people: drawn figures that cross, hide and come back keep their ids; what is nobody's gets none."""

import numpy as np
import pytest

from openuni.annotators.people_tracks import Detections, Linking, track

HEIGHT, WIDTH, FRAMES = 80, 160, 25
RED, BLUE, GREEN = (200, 30, 30), (30, 30, 200), (30, 180, 30)


def draw(paths, colours, size=(14, 40)):
    """Paint figures in order, the last in front; return the clip and the boxes of what is seen, (T, P, 4)."""
    rgb = np.full((len(paths[0]), HEIGHT, WIDTH, 3), 120, np.uint8)
    boxes = np.zeros((len(paths[0]), len(paths), 4), np.float32)
    for t in range(len(rgb)):
        ids = np.zeros((HEIGHT, WIDTH), int)
        for number, (path, colour) in enumerate(zip(paths, colours, strict=True), start=1):
            x, y = (round(one) for one in path[t])
            rgb[t, y : y + size[1], x : x + size[0]] = colour
            ids[y : y + size[1], x : x + size[0]] = number
        for number in range(1, len(paths) + 1):
            rows, columns = np.nonzero(ids == number)
            if len(rows):
                boxes[t, number - 1] = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
    return rgb, boxes


def shuffled(boxes, seed=0):
    """Detections in another order in each frame, and whose each is."""
    rng = np.random.default_rng(seed)
    orders = [rng.permutation(np.flatnonzero(frame[:, 3] > 0)) for frame in boxes]
    found = [
        Detections(frame[order], np.ones(len(order), np.float32)) for frame, order in zip(boxes, orders, strict=True)
    ]
    return found, orders


def people_of(tracks, orders):
    """The true people behind each track."""
    return [
        {int(orders[t][index]) for t, index in enumerate(column) if index >= 0} for column in tracks.found.T
    ]  # fmt: skip


def line(start, stop, y=20.0):
    return [(x, y) for x in np.linspace(start, stop, FRAMES)]


def test_people_who_pass_each_other_keep_their_ids():
    rgb, boxes = draw([line(10, 130), line(130, 10, 24)], [RED, BLUE])
    found, orders = shuffled(boxes)
    tracks = track(rgb, found)
    assert people_of(tracks, orders) == [{0}, {1}] or people_of(tracks, orders) == [{1}, {0}]
    assert tracks.ids.tolist() == [1, 2]
    for t, order in enumerate(orders):
        for column, index in enumerate(tracks.found[t]):
            expected = boxes[t, order[index]] if index >= 0 else np.zeros(4)
            assert (tracks.boxes[t, column] == expected).all()


def test_people_who_look_alike_are_told_apart_by_their_motion():
    rgb, boxes = draw([line(10, 130), line(130, 10, 24)], [RED, RED])
    found, orders = shuffled(boxes)
    assert sorted(map(sorted, people_of(track(rgb, found), orders))) == [[0], [1]]


def test_people_who_turn_round_behind_each_other_are_told_apart_by_their_colours():
    """Both meet in the middle and go back: motion alone would exchange them."""
    way = [*np.linspace(10, 74, FRAMES // 2), *np.linspace(74, 10, FRAMES - FRAMES // 2)]
    left, right = [(x, 20.0) for x in way], [(150 - x, 22.0) for x in way]
    rgb, boxes = draw([left, right], [RED, BLUE])
    found, orders = shuffled(boxes)
    assert sorted(map(sorted, people_of(track(rgb, found), orders))) == [[0], [1]]


def test_who_was_hidden_comes_back_with_the_same_id():
    rgb, boxes = draw([line(10, 130)], [GREEN])
    boxes[8:16] = 0
    found, _ = shuffled(boxes)
    tracks = track(rgb, found)
    assert tracks.ids.tolist() == [1]
    assert (tracks.found[8:16] == -1).all() and not tracks.boxes[8:16].any()


def test_somebody_else_elsewhere_is_a_new_person():
    paths = [line(10, 20), line(140, 140)]
    rgb, boxes = draw(paths, [RED, BLUE])
    boxes[12:, 0], boxes[:12, 1] = 0, 0
    found, orders = shuffled(boxes)
    assert people_of(track(rgb, found), orders) == [{0}, {1}]


def test_ids_go_by_appearance_and_size():
    rgb = np.zeros((4, HEIGHT, WIDTH, 3), np.uint8)
    small, large, late = [5, 5, 15, 25], [60, 5, 90, 70], [120, 5, 150, 75]
    first = Detections(np.array([small, large], np.float32), np.ones(2, np.float32))
    later = Detections(np.array([late, small, large], np.float32), np.ones(3, np.float32))
    tracks = track(rgb, [first, later, later, later])
    assert tracks.boxes[1].tolist() == [large, small, late]
    assert tracks.found[0].tolist() == [1, 0, -1]


def test_a_flash_of_a_detection_is_nobody():
    rgb, boxes = draw([line(10, 130)], [RED])
    found, _ = shuffled(boxes)
    false = np.array([[100, 40, 130, 78]], np.float32)
    found[5] = Detections(np.concatenate([false, found[5].boxes]), np.ones(2, np.float32))
    tracks = track(rgb, found)
    assert tracks.ids.tolist() == [1] and tracks.found[5].tolist() == [1]
    assert len(track(rgb, found, Linking(min_frames=1)).ids) == 2


def test_short_clips_keep_people_and_empty_ones_have_none():
    rgb, boxes = draw([line(10, 130)], [RED])
    found, _ = shuffled(boxes)
    assert track(rgb[:1], found[:1]).ids.tolist() == [1]
    nobody = [Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32))] * 3
    tracks = track(rgb[:3], nobody)
    assert tracks.ids.shape == (0,) and tracks.found.shape == (3, 0) and tracks.boxes.shape == (3, 0, 4)


def test_detections_for_other_frames_are_refused():
    with pytest.raises(ValueError, match="for each of 3 frames, got 2"):
        track(np.zeros((3, 8, 8, 3), np.uint8), [Detections(np.zeros((0, 4)), np.zeros(0))] * 2)
