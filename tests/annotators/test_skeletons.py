"""Skeleton experts: SimCC by plain loops, ViTPose by the library's own path, YOLO-pose, tracks, smoothing."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from openuni.annotators.people import people_in
from openuni.annotators.people_tracks import Detections, Linking
from openuni.annotators.skeleton import skeleton_result, smooth
from openuni.annotators.skeleton_simcc import MEAN, STD, RtmPose, SimccSkeleton, cut_out, decode, region
from openuni.annotators.skeleton_vitpose import VitPose
from openuni.annotators.skeleton_yolo import YoloPose
from openuni.engine.stage import Absent
from openuni.errors import BadInput, MissingWeights, UnknownName
from openuni.modality import modality
from tests.annotators import tiny_people as tiny


def view(rgb):
    return SimpleNamespace(frames=SimpleNamespace(rgb=rgb), shared={}, maps={})


def ready(stage):
    stage.setup()
    return stage


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    tiny.save_yolox(folder / "DWPose")
    tiny.save_simcc(folder / "DWPose", "dw-ll_ucoco_384.onnx")
    tiny.save_simcc(folder / "rtmpose-m", "end2end.onnx", joints=17)
    tiny.save_rtdetr(folder / "rtdetr_r50vd_coco_o365")
    tiny.save_vitpose(folder / "vitpose-base-simple")
    tiny.save_yolo(folder / "yolo", "yolo11x-pose.pt", pose=True)
    return folder


def test_dwpose_finds_the_red_joint_of_each_person_where_it_is(weights):
    rgb = tiny.red_squares((1, 3), (6, 3), frames=4)
    result = ready(SimccSkeleton(weights=str(weights), device="cpu", batch_size=3))(view(rgb))
    modality("skeleton").check(result.map)
    assert result.map.data.shape == (4, 2, 133, 3) and set(result.scores) == {one.name for one in SimccSkeleton.columns}
    assert result.map.arrays["track_ids"].tolist() == [1, 2] and result.scores["num_people"] == 2
    for person, column in enumerate((1, 6) if result.map.arrays["boxes"][0, 0, 0] < 32 else (6, 1)):
        x, y, confidence = result.map.data[0, person, 0]
        # The first red column and row of the square, as far as the cut out picture (25 x 33 px) tells.
        assert abs(x - 8 * column) < 1 and abs(y - 24) < 1 and confidence > 0.3
        assert (np.diff(result.map.data[0, person, :20, 0]) > 0).all()  # each joint farther right than the last


def test_rtmpose_is_the_same_with_17_joints(weights):
    result = ready(RtmPose(weights=str(weights), device="cpu"))(view(tiny.red_squares((3, 3), frames=3)))
    assert result.map.data.shape == (3, 1, 17, 3)


def test_simcc_decoding_is_that_of_plain_loops():
    rng = np.random.default_rng(0)
    x, y = rng.normal(0, 1, (2, 3, 36)).astype(np.float32), rng.normal(0, 1, (2, 3, 48)).astype(np.float32)
    y[1, 2] = -1.0
    regions = np.array([[50, 40, 36, 48], [10, 20, 72, 96]], np.float64)
    found = decode(x, y, regions, (24, 18))
    for n in range(2):
        for k in range(3):
            bx, by = max(range(36), key=lambda b: x[n, k, b]), max(range(48), key=lambda b: y[n, k, b])
            confidence = min(x[n, k, bx], y[n, k, by])
            cx, cy, w, h = regions[n]
            # MMPose: bins over the split ratio are px of the network's picture, 18 x 24.
            expected = [bx / 2 / 18 * w + cx - w / 2, by / 2 / 24 * h + cy - h / 2, confidence]
            assert np.allclose(found[n, k], expected if confidence > 0 else 0, atol=1e-5)


def test_cut_outs_have_the_networks_shape_and_go_back():
    box = np.array([20, 10, 30, 50], np.float32)
    where = region(box, (96, 72))
    assert np.allclose(where, [25, 30, 37.5, 50])  # 40 px times 1.25 high, as wide as 72 to 96
    assert np.allclose(region(np.array([0, 0, 40, 10]), (96, 72)), [20, 5, 50, 50 * 96 / 72])
    rgb = np.zeros((80, 60, 3), np.uint8)
    rgb[30, 25] = 255
    picture = cut_out(rgb, where, (96, 72))
    assert picture.shape == (3, 96, 72) and picture.dtype == np.float32
    row, column = np.unravel_index(picture[0].argmax(), (96, 72))
    assert (row, column) == (48, 36)
    assert np.allclose(picture[:, 0, 0], -MEAN / STD)


def test_vitpose_says_what_the_librarys_own_path_says(weights):
    import transformers

    rng = np.random.default_rng(1)
    rgb = rng.integers(0, 255, (3, 60, 90, 3)).astype(np.uint8)
    found = ready(VitPose(weights=str(weights), device="cpu", batch_size=2))(view(rgb)).map
    assert found.data.shape == (3, 1, 17, 3)

    folder = weights / "vitpose-base-simple"
    model = transformers.VitPoseForPoseEstimation.from_pretrained(folder).eval()
    processor = transformers.AutoProcessor.from_pretrained(folder)
    boxes = [[[x0, y0, x1 - x0, y1 - y0]] for ((x0, y0, x1, y1),) in found.arrays["boxes"].tolist()]
    with torch.no_grad():
        outputs = model(**processor(list(rgb), boxes=boxes, return_tensors="pt"))
    expected = processor.post_process_pose_estimation(outputs, boxes=boxes)
    for t, (one,) in enumerate(expected):
        assert np.abs(found.data[t, 0, :, :2] - one["keypoints"].numpy()).max() < 1e-4  # px; batches of another size
        assert np.abs(found.data[t, 0, :, 2] - np.clip(one["scores"].numpy(), 0, 1)).max() < 1e-5
    assert found.data[..., 2].max() > 0.01


def test_yolo_pose_gives_each_person_their_own_joints(weights):
    rgb = tiny.red_squares((2, 3), (6, 4), frames=3)
    result = ready(YoloPose(weights=str(weights), device="cpu"))(view(rgb))
    modality("skeleton").check(result.map)
    assert result.map.data.shape == (3, 2, 17, 3)
    for person, box in enumerate(result.map.arrays["boxes"][0]):
        column, row = (2, 3) if box[0] < 20 else (6, 4)
        for joint in (0, 1, 5):
            x, y, confidence = result.map.data[0, person, joint]
            assert abs(x - (8 * column + 2 * joint)) < 0.3 and abs(y - (8 * row + 4)) < 0.3  # half precision
            assert abs(confidence - 0.9) < 0.01


def test_tracks_are_made_once_for_all_stages_of_a_clip(weights, monkeypatch):
    calls = []
    monkeypatch.setattr("openuni.annotators.people.track", lambda *a: calls.append(1) or track(*a))
    from openuni.annotators.people_tracks import track

    clip = view(tiny.red_squares((3, 3), frames=3))
    for cls in (SimccSkeleton, RtmPose):
        ready(cls(weights=str(weights), device="cpu"))(clip)
    assert len(calls) == 1
    ready(RtmPose(weights=str(weights), device="cpu", min_score=0.5))(clip)
    assert len(calls) == 2


def test_another_detector_can_be_chosen_and_counts_in_the_hash(weights):
    usual = RtmPose(weights=str(weights), device="cpu")
    other = RtmPose(weights=str(weights), device="cpu", detector="rtdetr-r50")
    assert usual.needed() == ("yolox-l",) and other.needed() == ("rtdetr-r50",)
    assert usual.weights_hash != other.weights_hash
    result = ready(other)(view(tiny.red_squares((3, 3), frames=3)))
    x, _, w, _ = np.array(tiny.RTDETR_BOX) * tiny.SIDE
    assert np.allclose(result.map.arrays["boxes"][0, 0, [0, 2]], [x - w / 2, x + w / 2], atol=1e-2)


def test_nobody_is_absent_and_odd_settings_are_refused(weights, tmp_path):
    stage = ready(SimccSkeleton(weights=str(weights), device="cpu"))
    with pytest.raises(Absent, match="nobody"):
        stage(view(np.zeros((3, 64, 64, 3), np.uint8)))
    with pytest.raises(UnknownName, match="Unknown detector 'yolox'"):
        SimccSkeleton(weights=str(weights), detector="yolox")
    with pytest.raises(BadInput, match="skeleton.min_score must be 0 to 1"):
        SimccSkeleton(weights=str(weights), min_score=2)
    with pytest.raises(BadInput, match="finds people itself"):
        YoloPose(weights=str(weights), detector="yolox-l")
    with pytest.raises(MissingWeights, match="Weights of yolox-l"):
        tiny.save_simcc(tmp_path / "rtmpose-m", "end2end.onnx", joints=17)
        RtmPose(weights=str(tmp_path))


def test_other_numbers_of_joints_are_refused(tmp_path):
    tiny.save_yolox(tmp_path / "DWPose")
    tiny.save_simcc(tmp_path / "rtmpose-m", "end2end.onnx", joints=26)
    with pytest.raises(BadInput, match="gives 26 joints; openuni stores 17"):
        RtmPose(weights=str(tmp_path), device="cpu").setup()


def test_a_person_who_is_not_found_in_a_frame_has_no_joints_there():
    box = np.array([[10, 10, 20, 40]], np.float32)
    seen, gone = Detections(box, np.ones(1, np.float32)), Detections(box[:0], np.ones(0, np.float32))
    rgb = np.zeros((4, 50, 50, 3), np.uint8)
    people = people_in(rgb, [seen, gone, seen, seen], Linking())
    joints = [np.full((17, 3), value, np.float32) for value in (0.2, 0.4, np.nan)]
    result = skeleton_result(rgb, people, joints)
    assert (result.map.data[0] == np.float32(0.2)).all() and (result.map.data[2] == np.float32(0.4)).all()
    assert not result.map.data[1].any() and not result.map.data[3].any()
    assert result.scores["presence"] == 0.25 and result.scores["detection_score"] == 1


def test_smoothing_keeps_steady_motion_and_takes_out_jitter():
    t = np.arange(21, dtype=np.float32)
    data = np.ones((21, 1, 1, 3), np.float32)
    data[:, 0, 0, 0], data[:, 0, 0, 1] = 2 * t, 5 + (-1) ** t
    data[10, 0, 0] = 0  # not seen
    out = smooth(data, 2.0)
    assert np.allclose(out[6:10, 0, 0, 0], 2 * t[6:10], atol=0.6) and not out[10].any()
    assert data[:10, 0, 0, 1].std() == 1 and np.abs(out[3:9, 0, 0, 1] - 5).max() < 0.3
    assert (out[..., 2] == data[..., 2]).all()
    assert np.allclose(smooth(data[:1], 2.0), data[:1])
