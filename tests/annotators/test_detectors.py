"""Detectors of people: networks whose weights are set by hand fire where they must, as the libraries themselves say."""

import numpy as np
import pytest
import torch

from openuni.annotators.detect_rtdetr import RtDetr, RtDetrV2
from openuni.annotators.detect_yolox import STRIDES, Yolox, cells_of, letterbox, people_in
from openuni.annotators.detector import load_detector, tidy
from openuni.annotators.device import Batches
from openuni.annotators.weights import Found, find_weights
from openuni.annotators.yolo import YoloDetector, YoloNetwork
from openuni.errors import BadInput
from tests.annotators import tiny_people as tiny

CPU, FLOAT = torch.device("cpu"), torch.float32


def made(cls, *files, folder=None):
    return cls(Found(folder or files[0].parent, files), CPU, FLOAT)


@pytest.mark.parametrize(("cls", "version"), [(RtDetr, 1), (RtDetrV2, 2)])
def test_rtdetr_finds_the_person_that_was_set_and_says_what_the_library_says(tmp_path, cls, version):
    import transformers

    tiny.save_rtdetr(tmp_path, version=version)
    rgb = np.random.default_rng(0).integers(0, 255, (3, 50, 80, 3)).astype(np.uint8)
    found = made(cls, folder=tmp_path).detect(rgb, Batches(2), 0.5)
    x, y, w, h = np.array(tiny.RTDETR_BOX) * [80, 50, 80, 50]
    assert len(found) == 3
    for one in found:
        assert np.allclose(one.boxes, [[x - w / 2, y - h / 2, x + w / 2, y + h / 2]], atol=1e-3)
        assert np.allclose(one.scores, [0.9], atol=1e-5)

    model = transformers.AutoModelForObjectDetection.from_pretrained(tmp_path).eval()
    processor = transformers.AutoImageProcessor.from_pretrained(tmp_path)
    with torch.no_grad():
        outputs = model(**processor(images=list(rgb), return_tensors="pt"))
    expected = processor.post_process_object_detection(outputs, threshold=0.5, target_sizes=[(50, 80)] * 3)
    for one, other in zip(found, expected, strict=True):
        assert np.abs(one.boxes - other["boxes"].numpy()).max() < 1e-5
        assert np.abs(one.scores - other["scores"].numpy()).max() < 1e-5


def test_rtdetr_leaves_out_what_is_no_person_or_not_sure(tmp_path):
    rgb = np.zeros((1, 40, 40, 3), np.uint8)
    tiny.save_rtdetr(tmp_path, score=0.4)
    detector = made(RtDetr, folder=tmp_path)
    assert len(detector.detect(rgb, Batches(1), 0.5)[0].boxes) == 0
    detector.person = 0  # as if what it finds were the other class
    assert len(detector.detect(rgb, Batches(1), 0.3)[0].boxes) == 0
    tiny.save_rtdetr(tmp_path / "cats", label="cat")
    with pytest.raises(BadInput, match="detects cat, dog, ..., but no 'person'"):
        made(RtDetr, folder=tmp_path / "cats")


@pytest.mark.parametrize("batch", ["N", 1])
def test_yolox_finds_people_where_its_cells_are_red(tmp_path, batch):
    file = tiny.save_yolox(tmp_path, batch=batch)
    rgb = tiny.red_squares((1, 2), (6, 5), frames=3)
    rgb[1] = 0
    rgb[0, 8:16, 48:56, 2] = 255  # a dog
    found = made(Yolox, file).detect(rgb, Batches(8), 0.3)
    assert [len(one.boxes) for one in found] == [2, 0, 2]
    w, h = tiny.YOLOX_SIZE
    for one in (found[0], found[2]):
        centres = {(12.0, 20.0), (52.0, 44.0)}
        for box in one.boxes.tolist():
            x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
            assert min(np.hypot(x - a, y - b) for a, b in centres) < 1e-3
            assert np.allclose([box[2] - box[0], box[3] - box[1]], [w, h], atol=1e-3)


def test_yolox_scales_boxes_back_to_the_frames(tmp_path):
    """Frames of 128 x 96 are made half as large and stand at the top left of the network's square."""
    rgb = np.zeros((1, 96, 128, 3), np.uint8)
    rgb[0, 32:48, 16:32, 0] = 255  # cell (1, 2) of the half size
    found = made(Yolox, tiny.save_yolox(tmp_path)).detect(rgb, Batches(1), 0.3)
    w, h = tiny.YOLOX_SIZE
    assert np.allclose(found[0].boxes, [[24 - w, 40 - h, 24 + w, 40 + h]], atol=1e-3)


def test_yolox_pictures_are_bgr_on_grey():
    rgb = np.zeros((10, 20, 3), np.uint8)
    rgb[..., 0] = 200
    picture = letterbox(rgb, 32, 32)
    assert picture.shape == (3, 32, 32) and picture.dtype == np.float32
    assert (picture[2, :16] == 200).all() and (picture[:2, :16] == 0).all() and (picture[:, 16:] == 114).all()


def test_yolox_decoding_is_that_of_plain_loops():
    rng = np.random.default_rng(3)
    raw = rng.normal(0, 1, ((64 // 8) * (96 // 8) + 4 * 6 + 2 * 3, 7)).astype(np.float32)
    raw[:, 4:] = rng.random(raw[:, 4:].shape) ** 3
    expected, cell = [], 0
    for stride in STRIDES:
        for row in range(64 // stride):
            for column in range(96 // stride):
                dx, dy, w, h, thing, person, _ = raw[cell].astype(float)
                x, y, w, h = (column + dx) * stride, (row + dy) * stride, np.exp(w) * stride, np.exp(h) * stride
                if thing * person >= 0.2:
                    expected.append((thing * person, x - w / 2, y - h / 2, x + w / 2, y + h / 2))
                cell += 1
    best = max(expected)
    boxes, scores = people_in(raw, 64, 96, 0.2)
    assert np.isclose(scores[0], best[0]) and np.allclose(boxes[0], best[1:], rtol=1e-4)
    assert {round(float(score), 4) for score in scores} <= {round(one[0], 4) for one in expected}
    assert len(cells_of(64, 96)[0]) == len(raw)


def test_yolox_with_decoded_boxes_is_read_too(tmp_path):
    from onnx import helper

    dets = np.float32([[[10, 10, 30, 60, 0.8], [0, 0, 20, 20, 0.9], [5, 5, 9, 9, 0.1]]])
    nodes = [
        helper.make_node("ReduceMean", ["images"], ["mean"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Mul", ["mean", "zero"], ["nothing"]),
        helper.make_node("Add", ["nothing", "boxes"], ["dets"]),
        helper.make_node("Add", ["nothing", "classes"], ["labels"]),
    ]
    constants = {"zero": np.float32(0), "boxes": dets, "classes": np.float32([[0, 1, 0]])}
    outputs = [("dets", (1, 3, 5)), ("labels", (1, 3))]
    file = tiny.save_onnx(tmp_path / "end2end.onnx", nodes, outputs, constants, shape=(1, 3, 64, 64))
    found = made(Yolox, file).detect(np.zeros((2, 64, 64, 3), np.uint8), Batches(4), 0.3)
    assert [one.boxes.tolist() for one in found] == [[[10, 10, 30, 60]]] * 2


def test_a_wrong_onnx_file_is_one_clear_line(tmp_path):
    (tmp_path / "yolox_l.onnx").write_bytes(b"no network")
    with pytest.raises(BadInput, match="yolox_l.onnx cannot be read as ONNX"):
        made(Yolox, tmp_path / "yolox_l.onnx")
    with pytest.raises(BadInput, match=r"expected YOLOX's \(N, \d+, 5 \+ classes\) or dets and labels"):
        made(Yolox, tiny.save_simcc(tmp_path, "other.onnx", joints=17))


def test_yolo_finds_people_where_its_cells_are_red(tmp_path):
    file = tiny.save_yolo(tmp_path, "yolo11n.pt")
    found = made(YoloDetector, file).detect(tiny.red_squares((2, 3), (6, 4), frames=2), Batches(8), 0.3)
    left, top, right, bottom = (8 * reach for reach in tiny.YOLO_REACH)
    expected = [[20 - left, 28 - top, 20 + right, 28 + bottom], [52 - left, 36 - top, 52 + right, 36 + bottom]]
    for one in found:
        assert np.allclose(sorted(one.boxes.tolist()), expected, atol=0.6)  # half precision in the file
        assert (one.scores > 0.9).all()


def test_yolo_refuses_other_tasks_classes_and_code(tmp_path):
    file = tiny.save_yolo(tmp_path, "yolo11n.pt", label="cat")
    with pytest.raises(BadInput, match="detects cat, but no 'person'"):
        made(YoloDetector, file)
    with pytest.raises(BadInput, match="is a network for 'detect', not 'pose'"):
        YoloNetwork(Found(tmp_path, (file,)), CPU, FLOAT, task="pose")

    class Harm:
        def __reduce__(self):
            return (open, (str(tmp_path / "harm"), "w"))

    torch.save({"model": Harm()}, tmp_path / "bad.pt")
    with pytest.raises(BadInput, match="bad.pt cannot be read as ultralytics weights"):
        made(YoloDetector, tmp_path / "bad.pt")
    assert not (tmp_path / "harm").exists()


def test_a_detector_is_loaded_once_in_a_process(tmp_path):
    tiny.save_yolox(tmp_path / "DWPose")
    found = find_weights("yolox-l", tmp_path)
    assert load_detector("yolox-l", found, CPU, FLOAT) is load_detector("yolox-l", found, CPU, FLOAT)


def test_boxes_are_tidied_best_first_inside_and_without_specks():
    boxes = np.array([[0, 0, 10, 10], [-5, 5, 50, 100], [3, 3, 4, 4]])
    joints = np.arange(9).reshape(3, 1, 3)
    found = tidy(boxes, [0.2, 0.8, 0.9], (60, 40), joints)
    assert found.boxes.tolist() == [[0, 5, 40, 60], [0, 0, 10, 10]]
    assert np.allclose(found.scores, [0.8, 0.2]) and found.joints.tolist() == [[[3, 4, 5]], [[0, 1, 2]]]
