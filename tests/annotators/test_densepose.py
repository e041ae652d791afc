"""DensePose experts: both published forms of TorchScript, reading of the grids, who covers whom, Sapiens' labels."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from openuni.annotators.body_parts import LABEL_SPACE, SapiensParts, as_densepose, plain_label
from openuni.annotators.densepose_script import DensePoseDict, DensePoseScript
from openuni.annotators.iuv import BodyInBox, merge, nearest_last, read_box
from openuni.engine.stage import Absent
from openuni.errors import BadInput
from openuni.modality import Map, modality
from openuni.pipelines.parts import make_experts
from tests.annotators import tiny_people as tiny

HUB = "DensePose-TorchScript-with-hint-image"


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    tiny.save_densepose(folder / HUB)
    tiny.save_densepose(folder / "densepose", "densepose.pt")
    return folder


def view(rgb, **maps):
    return SimpleNamespace(frames=SimpleNamespace(rgb=rgb), shared={}, maps=maps)


def ready(cls, weights, **settings):
    stage = cls(weights=str(weights), device="cpu", **settings)
    stage.setup()
    return stage


def two_people(frames=2):
    """A red one at x 8..24, a green one at x 20..36; where both are, yellow."""
    rgb = np.zeros((frames, 48, 64, 3), np.uint8)
    rgb[:, 8:40, 8:24, 0] = 255
    rgb[:, 8:40, 20:36, 1] = 255
    return rgb


@pytest.mark.parametrize("cls", [DensePoseScript, DensePoseDict])
def test_both_forms_give_the_parts_of_a_person_in_their_box(weights, cls):
    rgb = np.zeros((3, 48, 64, 3), np.uint8)
    rgb[:2, 8:40, 8:24, 0] = 255
    result = ready(cls, weights)(view(rgb))
    modality("densepose").check(result.map)
    assert set(result.scores) == {column.name for column in cls.columns}
    part = result.map.data
    body = part[0, 8:40, 8:24]
    assert (body[:16, 4:12] == 2).all() and (body[16:, 4:12] == 9).all()
    assert not body[:, :3].any() and not body[:, 13:].any() and (part[0] > 0).sum() == (body > 0).sum()
    assert (part[1] == part[0]).all() and not part[2].any()
    u, v = (result.map.arrays["uv"][0, 8:40, 8:24, axis].astype(int) for axis in (0, 1))
    assert (np.diff(u[:, 4:12], axis=1) > 0).all() and (np.abs(u + v - 255)[body > 0] <= 1).all()
    assert result.scores["presence"] == pytest.approx(2 / 3) and result.scores["num_parts"] == 2


def test_reading_a_box_is_that_of_another_bilinear_resize():
    import cv2

    rng = np.random.default_rng(0)
    coarse, fine = rng.normal(size=(15, 12, 12)).astype(np.float32), rng.normal(size=(25, 12, 12)).astype(np.float32)
    u, v = rng.random((25, 12, 12)).astype(np.float32), rng.random((25, 12, 12)).astype(np.float32)
    body = read_box(np.array([3.7, 5.2, 33.9, 60.1]), *map(torch.from_numpy, (coarse, fine, u, v)))
    assert body.corner == (3, 5) and body.part.shape == (54, 30)

    def resize(grid):
        return np.stack([cv2.resize(one, (30, 54), interpolation=cv2.INTER_LINEAR) for one in grid])

    part = resize(fine).argmax(0) * (resize(coarse).argmax(0) > 0)
    assert (body.part != part).mean() < 1e-3  # ties within rounding
    for y in range(0, 54, 7):
        for x in range(0, 30, 5):
            if body.part[y, x] == part[y, x]:
                expected = [255 * resize(one)[part[y, x], y, x] if part[y, x] else 0 for one in (u, v)]
                assert np.abs(body.uv[y, x] - np.array(expected)).max() <= 0.51


def test_the_surer_person_covers_the_other(weights):
    """In the tuple's form the red one comes first; in the dict's the green one has the higher score."""
    first = ready(DensePoseScript, weights)(view(two_people())).map.data[0]
    second = ready(DensePoseDict, weights)(view(two_people())).map.data[0]
    alone = np.zeros((1, 48, 64, 3), np.uint8)
    alone[:, 8:40, 20:36, 1] = 255
    green = ready(DensePoseDict, weights)(view(alone)).map.data[0]
    assert (second[green > 0] == green[green > 0]).all()
    assert (first > 0).sum() == (second > 0).sum()
    assert not ready(DensePoseDict, weights, min_score=0.8)(view(two_people())).map.data[0][:, 8:20].any()


@pytest.mark.parametrize("kind", ["metric_depth", "relative_disparity"])
def test_the_nearer_person_covers_the_other(kind):
    near = BodyInBox((2, 2), np.full((4, 4), 2, np.uint8), np.full((4, 4, 2), 7, np.uint8))
    far = BodyInBox((4, 2), np.full((4, 4), 9, np.uint8), np.full((4, 4, 2), 8, np.uint8))
    metres = np.full((10, 10), 5.0, np.float32)
    metres[:, :4], metres[:, 6:] = 2.0, 9.0
    depth = metres if kind == "metric_depth" else 1 / metres
    for bodies in ([near, far], [far, near]):
        order = nearest_last(bodies, depth, larger_is_nearer=kind != "metric_depth")
        part, uv = merge(bodies, order, 10, 10)
        assert (part[2:6, 2:6] == 2).all() and (part[2:6, 6:8] == 9).all() and part.astype(bool).sum() == 24
        assert (uv[2:6, 2:6] == 7).all()


def test_bodies_are_cut_at_the_frame():
    body = BodyInBox((-2, 7), np.arange(1, 17, dtype=np.uint8).reshape(4, 4), np.zeros((4, 4, 2), np.uint8))
    outside = BodyInBox((30, 30), np.ones((4, 4), np.uint8), np.zeros((4, 4, 2), np.uint8))
    part, _ = merge([body, outside], [0, 1], 10, 10)
    assert part[7:10, :2].tolist() == [[3, 4], [7, 8], [11, 12]] and (part > 0).sum() == 6


def test_depth_order_needs_a_depth_expert_and_uses_its_map(weights):
    with pytest.raises(BadInput, match=r"Expert densepose-r101 \(densepose\) reads depth; add an expert for it"):
        make_experts(["densepose-r101"], {"densepose": {"order": "depth"}}, str(weights))
    settings = {"densepose": {"order": "depth"}}
    stages = make_experts(["densepose-r101", "depth-motion", "flow-dis"], settings, str(weights))
    assert [stage.name for stage in stages] == ["flow", "depth", "densepose"]
    rgb = two_people(1)
    depth = np.full((1, 48, 64), 5.0, np.float32)
    depth[:, :, 24:] = 1.0  # the green one is nearer
    stage = ready(DensePoseScript, weights, order="depth")
    by_depth = stage(view(rgb, depth=Map(data=depth, valid=depth > 0, facts={"kind": "metric_depth"}))).map.data
    assert (by_depth == ready(DensePoseDict, weights)(view(rgb)).map.data).all()


def test_nobody_damage_and_other_scripts_are_said(weights, tmp_path):
    with pytest.raises(Absent, match="nobody"):
        ready(DensePoseScript, weights)(view(np.zeros((2, 48, 64, 3), np.uint8)))
    with pytest.raises(BadInput, match="densepose.order must be score or depth"):
        DensePoseScript(weights=str(weights), order="size")
    (tmp_path / "densepose").mkdir()
    (tmp_path / "densepose" / "densepose.pt").write_bytes(b"no script")
    with pytest.raises(BadInput, match="densepose.pt cannot be read as TorchScript"):
        ready(DensePoseDict, tmp_path)
    torch.jit.script(torch.nn.Identity()).save(str(tmp_path / "densepose" / "densepose.pt"))
    with pytest.raises(BadInput, match="gives Tensor, expected DensePose's boxes, parts, U and V"):
        ready(DensePoseDict, tmp_path)(view(np.zeros((1, 48, 64, 3), np.uint8)))


LABELS = {0: "Background", 1: "Left_Hand", 2: "Right_Upper_Leg", 3: "Face_Neck", 4: "Lower_Clothing", 5: "Left_Shoe",
          6: "Spaceship", 7: "Right_Hand"}  # fmt: skip


def test_sapiens_labels_become_densepose_parts():
    names = {number: plain_label(label) for number, label in LABELS.items()}
    labels = np.zeros((6, 12), np.int64)
    labels[0, 1], labels[0, 10] = 7, 1  # the person faces the camera: their right hand is on the picture's left
    labels[0, 4:8] = 3
    labels[3, 1:11] = 4
    labels[5, 1], labels[5, 10], labels[5, 5] = 2, 5, 6
    part = as_densepose(labels, names)
    assert part[0, 1] == 3 and part[0, 10] == 4 and part[5].tolist() == [0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0]
    assert part[0, 4:8].tolist() == [23, 23, 24, 24]
    assert part[3, 1:11].tolist() == [9] * 5 + [10] * 5


def test_sapiens_says_what_the_librarys_own_path_says(tmp_path):
    import transformers

    folder = tiny.save_sapiens(tmp_path / "sapiens2-parts", LABELS)
    stage = ready(SapiensParts, tmp_path)
    rgb = np.random.default_rng(0).integers(0, 255, (3, 40, 60, 3)).astype(np.uint8)
    model = transformers.Sapiens2ForSemanticSegmentation.from_pretrained(folder).eval()
    processor = transformers.AutoImageProcessor.from_pretrained(folder)
    with torch.no_grad():
        outputs = model(**processor(images=list(rgb), return_tensors="pt"))
    expected = processor.post_process_semantic_segmentation(outputs, target_sizes=[(40, 60)] * 3)
    found = stage.predict(rgb)
    assert all((one == other.numpy()).mean() > 0.999 for one, other in zip(found, expected, strict=True))
    assert len(np.unique(np.stack(found))) > 1
    result = stage(view(rgb))
    modality("densepose").check(result.map)
    assert result.map.facts["label_space"] == LABEL_SPACE and "uv" not in result.map.arrays
