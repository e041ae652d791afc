"""Skeleton metrics: distances by hand, and pycocotools as an independent witness of OKS and AP."""

import contextlib
import io
import math

import numpy as np
import pytest

from openuni.benchmark.metrics.skeleton import (
    SIGMAS,
    average_precision,
    box_sizes,
    mean_oks,
    oks,
    pck,
    torso_sizes,
)
from openuni.table import METRICS, load

FACE = (1, 2, 3, 4)
THIRTEEN = (0, *range(5, 17))


def person(x=50.0, y=50.0, *, visibility=2.0, spread=20.0, seed=0):
    joints = np.random.default_rng(seed).uniform(-spread, spread, (17, 3)) + np.array([x, y, 0])
    joints[:, 2] = visibility
    return joints.astype(np.float32)


def clip(*people):
    """One frame of people."""
    return np.stack(people)[None]


AREA = np.array([[900.0]])
FRAME_BOXES = np.array([[[0.0, 0.0, 60.0, 60.0], [40.0, 20.0, 140.0, 120.0]]])
BOX = np.array([[100.0]])


def test_oks_by_hand():
    true = person()
    moved = true.copy()
    moved[:, 2] = 1
    moved[:, 0] += 3
    expected = np.mean(np.exp(-9 / (2 * 900 * (2 * SIGMAS) ** 2)))
    assert oks(moved[None], true[None], AREA[0])[0, 0] == pytest.approx(expected)


def test_a_joint_without_a_label_does_not_count_and_one_without_an_estimate_is_wrong():
    true = person()
    predicted = true.copy()
    predicted[3, :2] += 1000
    true[3, 2] = 0
    assert oks(predicted[None], true[None], AREA[0])[0, 0] == pytest.approx(1)
    predicted[4, 2] = 0
    assert oks(predicted[None], true[None], AREA[0])[0, 0] == pytest.approx(15 / 16)


def test_perfect_people_are_perfect_in_any_order_and_nobody_is_undefined():
    true = clip(person(30, 30, seed=1), person(80, 60, seed=2))
    areas, sizes = np.array([[500.0, 700.0]]), np.array([[60.0, 60.0]])
    for predicted in (true, true[:, ::-1]):
        assert mean_oks(predicted, true, areas) == pytest.approx(1)
        assert pck(predicted, true, areas, sizes) == pytest.approx(1)
        assert average_precision(predicted, true, areas, FRAME_BOXES) == pytest.approx(1)
    assert math.isnan(mean_oks(true, true, 0 * areas)) and math.isnan(mean_oks(true, true[:, :0], areas[:, :0]))
    assert math.isnan(average_precision(true, true, 0 * areas, FRAME_BOXES))
    assert math.isnan(average_precision(true, true[:, :0], areas[:, :0], FRAME_BOXES[:, :0]))
    assert math.isnan(pck(true, true, 0 * areas, sizes))


def test_pck_is_the_share_of_joints_within_a_fifth_of_the_size():
    true = clip(person())
    predicted = true.copy()
    predicted[0, 0, :5, 0] += 20  # 0.2 of 100 is just within
    predicted[0, 0, 0, 0] += 1
    predicted[0, 0, 9, 2] = 0  # not there
    assert pck(predicted, true, AREA, BOX) == pytest.approx(15 / 17)


def test_pck_counts_hidden_joints_unless_only_seen_ones_are_asked_for():
    true = clip(person())
    predicted = true.copy()
    true[0, 0, :4, 2] = 1  # hidden
    predicted[0, 0, :4, 0] += 500
    assert pck(predicted, true, AREA, BOX) == pytest.approx(13 / 17)
    assert pck(predicted, true, AREA, BOX, seen_only=True) == 1


def test_the_fine_pck_is_the_share_within_a_tenth_of_the_size():
    true = clip(person())
    predicted = true.copy()
    predicted[0, 0, :5, 0] += 10
    predicted[0, 0, 0, 0] += 1
    fine, usual = (load("metric", METRICS, f"skeleton.{name}") for name in ("pck10_box", "pck_box"))
    assert (fine(predicted, true, AREA, BOX), usual(predicted, true, AREA, BOX)) == (pytest.approx(16 / 17), 1)


def pck_by_loops(predicted, true, sizes, joints, part):
    """One person in each frame, so that nobody is matched."""
    right = count = 0
    for frame, found, size in zip(true[:, 0], predicted[:, 0], sizes[:, 0], strict=True):
        for joint in joints:
            if frame[joint, 2] > 0:
                count += 1
                distance = math.dist(frame[joint, :2], found[joint, :2])
                right += bool(found[joint, 2] > 0 and distance <= part * size)
    return right / count


@pytest.mark.parametrize("part", [0.1, 0.2])
def test_pck_over_some_joints_is_a_loop_over_those(part):
    rng = np.random.default_rng(3)
    true = np.stack([[person(*rng.uniform(20, 120, 2), seed=number)] for number in range(8)])
    true[..., 2] = rng.choice([0, 1, 2], true.shape[:3])
    predicted = true.copy()
    predicted[..., :2] += rng.normal(0, 8, predicted[..., :2].shape)
    predicted[..., 2] = rng.random(predicted.shape[:3]) < 0.8
    predicted[..., list(FACE), 2] = 0
    areas, sizes = np.full((8, 1), 900.0), rng.uniform(40, 120, (8, 1))
    found = pck(predicted, true, areas, sizes, part=part, joints=THIRTEEN)
    assert 0.1 < found < 0.9
    assert found == pytest.approx(pck_by_loops(predicted, true, sizes, THIRTEEN, part))
    assert found > pck(predicted, true, areas, sizes, part=part)  # over all, what is not drawn is wrong


def test_joints_that_are_not_drawn_do_not_decide_who_is_who():
    true = clip(person(30, 30, seed=1), person(36, 30, seed=2))
    predicted = true.copy()
    predicted[0, :, list(FACE), :2] = predicted[0, ::-1, list(FACE), :2]  # faces exchanged
    areas, sizes = np.array([[40.0, 40.0]]), np.array([[60.0, 60.0]])
    assert pck(predicted, true, areas, sizes, joints=THIRTEEN) == 1


def test_a_person_of_whom_only_joints_that_are_not_drawn_have_labels_does_not_count():
    true = clip(person(30, 30, seed=1), person(80, 60, seed=2))
    true[0, 1, list(THIRTEEN), 2] = 0
    areas, sizes = np.array([[500.0, 700.0]]), np.array([[60.0, 60.0]])
    assert pck(true[:, :1], true, areas, sizes, joints=THIRTEEN) == 1
    assert pck(true[:, :1], true, areas, sizes) == 17 / 21


def test_a_person_who_is_not_found_has_all_joints_wrong():
    true = clip(person(30, 30, seed=1), person(80, 60, seed=2))
    areas, sizes = np.array([[500.0, 700.0]]), np.array([[60.0, 60.0]])
    assert pck(true[:, :1], true, areas, sizes) == 0.5
    assert mean_oks(true[:, :1], true, areas) == pytest.approx(0.5)
    assert pck(true[:, :0], true, areas, sizes) == mean_oks(true[:, :0], true, areas) == 0
    assert average_precision(true[:, :0], true, areas, FRAME_BOXES) == 0


def test_sizes_by_hand():
    boxes = np.array([[[0, 0, 30, 20], [5, 5, 5, 5]]], np.float32)
    assert box_sizes(boxes)[0, 0] == 30 and math.isnan(box_sizes(boxes)[0, 1])
    true = clip(person())
    true[0, 0, 5, :2], true[0, 0, 12, :2] = (10, 10), (13, 14)
    assert torso_sizes(true)[0, 0] == 5
    true[0, 0, 12, 2] = 0
    assert math.isnan(torso_sizes(true)[0, 0])


def test_people_farther_off_score_less():
    true = clip(person())
    values = []
    for step in (0, 2, 5, 10, 20):
        predicted = true.copy()
        predicted[..., 0] += step
        values.append(mean_oks(predicted, true, AREA))
    assert values == sorted(values, reverse=True) and values[-1] < 0.3


def test_people_of_another_skeleton_are_refused():
    with pytest.raises(ValueError, match=r"people must be \(T, P, 17, 3\)"):
        mean_oks(np.zeros((1, 1, 18, 3)), clip(person()), AREA)


def random_clip(seed):
    """Frames with missed, invented, shifted and unlabelled people, and unequal scores."""
    rng = np.random.default_rng(seed)
    frames, people = 6, 3
    true = np.stack(
        [[person(*rng.uniform(20, 120, 2), seed=rng.integers(99)) for _ in range(people)] for _ in range(frames)]
    )
    true[..., 2] = rng.choice([0, 1, 2], true.shape[:3], p=[0.1, 0.2, 0.7])
    true[0, 0, :, 2] = 0  # nothing of this person is labelled: COCO ignores it
    areas = rng.uniform(200, 3000, (frames, people))
    predicted = np.concatenate([true, true[:, :1]], axis=1)
    predicted[..., :2] += rng.normal(0, 1, predicted[..., :2].shape) * rng.choice(
        [0.2, 2, 6], (frames, people + 1, 1, 1)
    )
    predicted[..., 2] = rng.uniform(0.2, 1, predicted.shape[:3])
    predicted[rng.random((frames, people + 1)) < 0.2, :, 2] = 0  # not found
    corner = true[..., :2].min(2)
    boxes = np.concatenate([corner, corner + rng.uniform(5, 30, corner.shape)], axis=-1)
    return predicted.astype(np.float32), true.astype(np.float32), areas, boxes


def coco_eval(predicted, true, areas, boxes):
    """pycocotools' OKS of the first image, and AP over all areas."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    truth = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "person"}]}
    found = []
    for t in range(len(true)):
        truth["images"].append({"id": t})
        for joints, area, (x0, y0, x1, y1) in zip(true[t], areas[t], boxes[t].tolist(), strict=True):
            box = [x0, y0, x1 - x0, y1 - y0]
            entry = {"id": len(truth["annotations"]) + 1, "image_id": t, "category_id": 1, "iscrowd": 0, "bbox": box}
            labelled = int((joints[:, 2] > 0).sum())
            entry |= {
                "area": float(area),
                "num_keypoints": labelled,
                "keypoints": joints.astype(float).ravel().tolist(),
            }
            truth["annotations"].append(entry)
        for joints in predicted[t]:
            if (joints[:, 2] > 0).any():
                entry = {"image_id": t, "category_id": 1, "score": float(joints[:, 2].sum() / (joints[:, 2] > 0).sum())}
                found.append(entry | {"keypoints": joints.astype(float).ravel().tolist()})
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = truth
        coco.createIndex()
        run = COCOeval(coco, coco.loadRes(found), "keypoints")
        run.params.areaRng, run.params.areaRngLbl = [[0, 1e10]], ["all"]
        run.evaluate()
        run.accumulate()
    precision = run.eval["precision"]
    return run.ious, float(precision[precision > -1].mean())


@pytest.mark.parametrize("seed", range(5))
def test_oks_and_ap_are_pycocotools(seed):
    pytest.importorskip("pycocotools")
    predicted, true, areas, boxes = random_clip(seed)
    similarity, ap = coco_eval(predicted, true, areas, boxes)
    # Frame 1: all people have labels. pycocotools orders estimates by score.
    there = predicted[1][(predicted[1, ..., 2] > 0).any(-1)]
    order = np.argsort(-there[..., 2].mean(-1), kind="stable")
    np.testing.assert_allclose(oks(there[order], true[1], areas[1]), similarity[1, 1], rtol=1e-6)
    assert 0.1 < ap < 0.95  # the clip tells good from bad
    assert average_precision(predicted, true, areas, boxes) == pytest.approx(ap, rel=1e-9)
