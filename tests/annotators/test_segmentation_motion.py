"""Motion segmentation finds what moves, keeps ids, and says so where nothing moves."""

from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest

from openuni.annotators.flow_dis import DisFlow
from openuni.annotators.own_motion import residual_score
from openuni.annotators.segmentation_motion import MotionSegmentation
from openuni.annotators.tracks import keep, link, rest
from openuni.benchmark.synth.boxes import scene
from openuni.engine.stage import Absent, Result
from openuni.modality import Map, modality


def measure(rgb, **parameters) -> Result:
    """Run flow and segmentation as a build does."""
    flow, stage = DisFlow(), MotionSegmentation(**parameters)
    flow.setup()
    stage.setup()
    view = SimpleNamespace(frames=SimpleNamespace(rgb=rgb, fps=16.0), maps={})
    view.maps["flow"] = modality("flow").stored(flow(view).map)
    return stage(view)


def texture(height, width, seed):
    import cv2

    noise = np.random.default_rng(seed).normal(size=(height, width, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 3)
    return np.clip(128 + 60 * smooth / smooth.std(), 0, 255).astype(np.uint8)


def squares(paths, *, frames=13, side=40, height=144, width=192, pan=0):
    """Textured squares on a textured background that pans; paths: frame -> (x, y), None where there is none."""
    back = texture(height, width + abs(pan) * frames, 0)
    rgb = np.stack([back[:, pan * t : pan * t + width] for t in range(frames)])
    ids = np.zeros(rgb.shape[:3], np.uint8)
    for number, path in enumerate(paths, start=1):
        thing = texture(side, side, number)
        for t in range(frames):
            if path(t) is not None:
                x, y = path(t)
                rgb[t, y : y + side, x : x + side] = thing
                ids[t, y : y + side, x : x + side] = number
    return rgb, ids


def iou(found, true):
    return float((found & true).sum() / max(1, (found | true).sum()))


def ids_over(data, mask):
    """The id that covers most of a thing in each frame in which it is there; 0 if none covers a quarter of it."""
    found = []
    for t in range(len(data)):
        if mask[t].any():
            counts = np.bincount(data[t][mask[t]], minlength=2)
            best = int(counts[1:].argmax()) + 1
            found.append(best if counts[best] > 0.25 * mask[t].sum() else 0)
    return found


@cache
def two_apart():
    return squares([lambda t: (10 + 3 * t, 10), lambda t: (140 - 3 * t, 95)])


@pytest.fixture(scope="module")
def apart():
    return measure(two_apart()[0])


def test_each_mover_is_covered_by_one_id_of_its_own_over_the_whole_clip(apart):
    _, truth = two_apart()
    found = [ids_over(apart.map.data, truth == number) for number in (1, 2)]
    assert all(len(set(ids)) == 1 and ids[0] > 0 for ids in found)
    assert found[0][0] != found[1][0]
    assert apart.scores["objects"] == 2 and apart.scores["persistence"] == 1.0


def test_masks_meet_the_movers_closely(apart):
    _, truth = two_apart()
    # A square's border is found to 2 px of 40: that is 0.82; the last frames are as good as the others.
    assert np.mean([iou(apart.map.data[t] > 0, truth[t] > 0) for t in range(13)]) > 0.8


def test_ids_are_by_first_appearance_then_area_and_scores_are_the_declared_columns(apart):
    data = apart.map.data
    assert data.dtype == np.uint8 and set(np.unique(data)) == {0, 1, 2}
    areas = np.bincount(data[0].ravel(), minlength=3)[1:]
    assert areas[0] >= areas[1] > 0
    assert list(apart.scores) == [column.name for column in MotionSegmentation.columns]
    assert 0 < apart.scores["coverage"] < 0.2 and apart.scores["left_out"] == 0
    modality("segmentation").check(apart.map)


def test_a_thing_that_rests_for_a_while_keeps_its_mask_and_id():
    rgb, truth = squares([lambda t: (10 + 4 * min(t, 7) + 4 * max(0, t - 12), 50)], frames=20)
    data = measure(rgb).map.data
    found = ids_over(data, truth == 1)
    assert len(set(found)) == 1 and found[0] > 0
    assert iou(data[10] > 0, truth[10] > 0) > 0.6  # in the midst of the rest


def test_two_things_that_cross_keep_their_ids():
    rgb, truth = squares([lambda t: (20 + 4 * t, 40), lambda t: (120 - 4 * t, 70)], frames=21, side=36)
    data = measure(rgb).map.data
    for number in (1, 2):
        found = [one for one in ids_over(data, truth == number) if one]
        assert len(found) >= 19 and max(found.count(one) for one in set(found)) >= 0.95 * len(found)
    first = [ids_over(data, truth == number)[0] for number in (1, 2)]
    last = [ids_over(data, truth == number)[-1] for number in (1, 2)]
    assert first == last and first[0] != first[1]


def test_a_panning_camera_is_told_from_what_moves():
    rgb, truth = squares([lambda t: (20 + 4 * t, 50)], pan=3)
    data = measure(rgb).map.data
    assert np.mean([iou(data[t] > 0, truth[t] > 0) for t in range(13)]) > 0.65  # of a square of 40 px, 3 px around
    with pytest.raises(Absent, match="^nothing_moves$"):
        measure(squares([], pan=3)[0])


@pytest.mark.parametrize("camera", ["static", "pan", "zoom", "dolly"])
def test_where_only_the_camera_moves_the_map_is_absent(camera):
    with pytest.raises(Absent, match="^nothing_moves$"):
        measure(scene(1, num_frames=9, height=128, width=192, camera=camera, num_movers=0).rgb)


@pytest.mark.parametrize(("camera", "least"), [("dolly", 0.73), ("static", 0.6)])
def test_generated_scenes_are_segmented_as_well_as_stated(camera, least):
    clip = scene(1, num_frames=9, height=256, width=256, camera=camera, num_movers=2)
    data = measure(clip.rgb).map.data
    assert np.mean([iou(data[t] > 0, ~clip.static[t]) for t in range(9)]) > least


def test_one_and_two_frames_are_too_short_and_noise_is_absent():
    with pytest.raises(Absent, match="^too_short$"):
        measure(two_apart()[0][:2])
    noise = np.random.default_rng(0).integers(0, 256, (6, 96, 128, 3)).astype(np.uint8)
    with pytest.raises(Absent, match="^(nothing_moves|no_dominant_motion)$"):
        measure(noise)


@pytest.mark.parametrize("shape", [(20, 30), (61, 47), (40, 300)])
def test_odd_sizes_are_taken(shape):
    rgb = np.stack([texture(shape[0], shape[1], 3)] * 4)
    with pytest.raises(Absent, match="^nothing_moves$"):
        measure(rgb)


def test_the_same_clip_gives_the_same_map_twice(apart):
    assert np.array_equal(measure(two_apart()[0]).map.data, apart.map.data)


def test_a_flow_of_other_frames_is_refused():
    stage = MotionSegmentation()
    stage.setup()
    flow = Map(data=np.zeros((3, 32, 40, 2), np.float32), valid=np.ones((3, 32, 40), bool))
    frames = SimpleNamespace(rgb=np.zeros((3, 32, 32, 3), np.uint8), fps=16.0)
    with pytest.raises(ValueError, match=r"flow must be \(3, 32, 32, 2\) for frames"):
        stage(SimpleNamespace(frames=frames, maps={"flow": flow}))


def test_the_score_of_a_shift_is_zero_and_of_what_leaves_it_is_high():
    flow = np.full((60, 80, 2), (3.0, 1.0), np.float32)
    flow[20:30, 30:45] += 4.0
    score = residual_score(flow, np.ones((60, 80), bool), np.random.default_rng(0))
    assert score is not None
    assert score[:15].max() < 0.1 and score[20:30, 30:45].min() == 3.0


def test_few_usable_pixels_have_no_score():
    flow = np.zeros((60, 80, 2), np.float32)
    assert residual_score(flow, np.zeros((60, 80), bool), np.random.default_rng(0)) is None


def test_carried_ids_divide_a_part_and_rests_are_bounded():
    still = [np.zeros((20, 40, 2), np.float32)] * 5
    masks = np.zeros((6, 20, 40), bool)
    masks[:2, 5:15, 2:12] = masks[:2, 5:15, 25:35] = True
    masks[2, 5:15, 2:35] = True  # both in one part
    ids = link(list(masks), still, still)
    assert set(np.unique(ids[0])) == {0, 1, 2} and np.array_equal(ids[1], ids[0])
    assert (ids[2][5:15, 2:12] == ids[0][5:15, 2:12]).all() and (ids[2][5:15, 25:35] == ids[0][5:15, 25:35]).all()
    kept = rest(ids, still, still, frames=2, min_area=0.001)
    assert kept[3].any() and kept[4].any() and not kept[5].any()
    assert set(np.unique(keep(ids, [2]))) == {0, 1}


@pytest.mark.parametrize("seen", [(1, 2), (0, 1), (0,), (2,)])
def test_a_rest_in_a_clip_of_three_frames_is_filled_along_the_flow_from_before_and_after(seen):
    places_px = (10, 10, 15)
    steps = [np.full((20, 40, 2), (shift, 0.0), np.float32) for shift in np.diff(places_px)]
    back = [-step for step in steps]
    ids = np.zeros((3, 20, 40), np.int32)
    for t in seen:
        ids[t, 5:15, places_px[t] : places_px[t] + 8] = 1
    filled = rest(ids, steps, back, frames=2, min_area=0.001)
    assert [np.flatnonzero(frame.any(axis=0)).tolist() for frame in filled] == [[*range(x, x + 8)] for x in places_px]
