"""Masks by name: Grounding DINO's boxes where they were planted, SAM 3's answers gathered, subjects in words."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from openuni.annotators.device import Batches
from openuni.annotators.grounding_dino import GroundingDino, concept_of
from openuni.annotators.segmentation_text import GroundedSam2, Sam3, gather
from openuni.annotators.weights import find_weights
from openuni.engine.stage import Absent
from openuni.errors import BadInput
from openuni.modality import modality
from openuni.subjects import subjects_of
from tests.annotators.colour_world import BLUE, RED, ColourFollower, mask_of, paint
from tests.annotators.tiny_experts import hide_caches
from tests.annotators.tiny_masks import DINO_BOXES, save_grounding_dino, save_sam2, save_sam3


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    save_sam2(folder / "sam2.1-hiera-large")
    save_grounding_dino(folder / "grounding-dino-tiny")
    save_sam3(folder / "sam3")
    return folder


@pytest.fixture(autouse=True)
def nothing_cached(tmp_path, monkeypatch):
    hide_caches(monkeypatch, tmp_path)


@pytest.fixture(scope="module")
def dino(weights):
    found = find_weights("grounded-sam2", str(weights))
    return GroundingDino(found, torch.device("cpu"), torch.float32, box=0.25, text=0.25)


def view(rgb):
    return SimpleNamespace(frames=SimpleNamespace(rgb=rgb))


def planted(height, width):
    """The boxes that the network's weights were made for, x0, y0, x1, y1 px."""
    return np.array(
        [
            [(x - w / 2) * width, (y - h / 2) * height, (x + w / 2) * width, (y + h / 2) * height]
            for x, y, w, h in DINO_BOXES
        ]
    )


@pytest.mark.parametrize("size", [(40, 60), (90, 50)])
def test_planted_boxes_are_found_in_pixels_of_the_frames(dino, size):
    rgb = np.random.default_rng(0).integers(0, 255, (3, *size, 3), dtype=np.uint8)
    found = dino.find(rgb, ("person",), Batches(2))
    assert len(found) == 3
    for one in found:
        assert one.concepts == ["person", "person"]
        assert np.abs(one.boxes - planted(*size)).max() < 0.1  # px; the box head's last layer is steep
        assert one.scores == pytest.approx([1 / (1 + np.exp(-3))] * 2, abs=0.04)  # queries differ a little


def test_what_it_is_not_asked_for_it_does_not_find(dino):
    rgb = np.zeros((1, 40, 60, 3), np.uint8)
    assert len(dino.find(rgb, ("dog", "traffic light"), Batches(1))[0].boxes) == 0


def test_detections_are_the_librarys_own(dino, weights):
    import transformers

    folder = weights / "grounding-dino-tiny"
    processor = transformers.AutoProcessor.from_pretrained(folder)
    model = transformers.GroundingDinoForObjectDetection.from_pretrained(folder).eval()
    rgb = np.random.default_rng(1).integers(0, 255, (1, 40, 60, 3), dtype=np.uint8)
    inputs = processor(images=[rgb[0]], text="person. dog.", return_tensors="pt")
    with torch.no_grad():
        said = model(**inputs)
    (reference,) = processor.post_process_grounded_object_detection(
        said, inputs.input_ids, threshold=0.25, text_threshold=0.25, target_sizes=[(40, 60)]
    )
    (found,) = dino.find(rgb, ("person", "dog"), Batches(1))
    assert len(found.boxes) == 2
    assert np.abs(found.boxes - reference["boxes"].numpy()).max() < 1e-5
    assert np.abs(found.scores - reference["scores"].numpy()).max() < 1e-5
    assert reference["text_labels"] == ["person", "person"] == found.concepts


@pytest.mark.parametrize(
    ("words", "concept"),
    [("person", "person"), ("light", "traffic light"), ("person light", "person"), ("", ""), ("cat", "")],
)
def test_the_words_of_a_box_name_the_concept_they_are_most_of(words, concept):
    assert concept_of(words, ("person", "traffic light")) == concept


def test_named_things_have_masks_labels_and_subjects(weights, monkeypatch):
    """Planted boxes lie on planted squares; SAM 2's place is taken by one that segments a box's colour."""

    class Boxed(ColourFollower):
        def masks_in(self, frame, boxes):
            inside = [self.rgb[frame][int(y0) : int(y1), int(x0) : int(x1)] for x0, y0, x1, y1 in boxes]
            return np.stack([mask_of(self.rgb[frame], one[len(one) // 2, one.shape[1] // 2]) for one in inside])

    stage = GroundedSam2(weights=str(weights), device="cpu", key_every=3)
    stage.setup()
    monkeypatch.setattr(stage.sam2, "open", lambda rgb, cache: Boxed(rgb))
    things = [(RED, 14, {t: (8, 13) for t in range(5)}), (BLUE, 10, {t: (40, 15) for t in range(5)})]
    clip = paint(5, 40, 60, things)
    result = stage(view(clip))
    for t in range(5):
        assert np.array_equal(result.map.data[t] == 1, mask_of(clip[t], RED))
        assert np.array_equal(result.map.data[t] == 2, mask_of(clip[t], BLUE))
    assert result.map.facts == {"labels": ["person", "person"], "subjects": "two persons"}
    codec = modality("segmentation")
    encoded = codec.encode(result.map)
    assert subjects_of({"facts": encoded.facts}) == "two persons"
    assert codec.decode(encoded.members, encoded.facts).facts["labels"] == ["person", "person"]

    other = GroundedSam2(weights=str(weights), device="cpu", concepts=("dog",))
    other.setup()
    with pytest.raises(Absent, match="nothing_found"):
        other(view(clip))


def test_with_the_real_sam2_boxes_become_masks_of_both(weights):
    stage = GroundedSam2(weights=str(weights), device="cpu", min_area=0.0, max_area=1.0)
    stage.setup()
    rgb = np.random.default_rng(0).integers(0, 255, (3, 40, 60, 3), dtype=np.uint8)
    clip = stage.sam2.open(rgb, cache=2)
    found = stage.find(rgb, clip, 1)
    assert len(found) == 2 and [one.label for one in found] == ["person", "person"]
    assert all(one.mask.shape == (40, 60) for one in found)


def test_what_sam3_says_of_frames_becomes_one_map():
    masks = np.zeros((3, 2, 4, 6), bool)
    masks[:, 0, :2, :3], masks[:, 1, 1:, 2:5] = True, True  # they overlap in one pixel
    said = {
        t: {
            "object_ids": torch.tensor([0, 4]),
            "scores": torch.tensor([0.6, 0.9]),
            "masks": torch.from_numpy(masks[t]),
            "prompt_to_obj_ids": {"person": [4], "dog": [0]},
        }
        for t in range(3)
    }
    said[2] = {**said[2], "object_ids": torch.tensor([]), "masks": torch.zeros(0, 4, 6), "scores": torch.zeros(0)}
    found = gather(said, (3, 4, 6), max_objects=9)
    assert found.labels == ["person", "dog"]  # the larger first
    assert (found.data[0] == 1).sum() == 9 and (found.data[0] == 2).sum() == 5 and found.data[0, 1, 2] == 1
    assert not found.data[2].any()
    assert gather(said, (3, 4, 6), max_objects=1).left_out == 1
    assert gather({}, (3, 4, 6), max_objects=1).objects == 0


def test_sam3_annotates_a_clip_as_its_own_processor_says(weights):
    import transformers

    stage = Sam3(weights=str(weights), device="cpu", concepts=("person", "dog"))
    stage.setup()
    rgb = np.random.default_rng(0).integers(0, 255, (3, 42, 56, 3), dtype=np.uint8)
    folder = weights / "sam3"
    model = transformers.Sam3VideoModel.from_pretrained(folder).eval()
    processor = transformers.Sam3VideoProcessor.from_pretrained(folder)
    session = processor.init_video_session(video=list(rgb))
    processor.add_text_prompt(session, ["person", "dog"])
    reference = {
        one.frame_idx: processor.postprocess_outputs(session, one) for one in model.propagate_in_video_iterator(session)
    }
    said = stage.said(rgb)
    assert sorted(said) == [0, 1, 2] and len(said[0]["object_ids"]) > 0
    for t in said:
        assert said[t]["object_ids"].tolist() == reference[t]["object_ids"].tolist()
        assert torch.equal(said[t]["masks"], reference[t]["masks"])
        assert (said[t]["scores"] - reference[t]["scores"]).abs().max() < 1e-5
    result = stage(view(rgb))
    modality("segmentation").check(result.map)
    assert set(result.scores) == {column.name for column in stage.columns}
    assert result.map.facts["subjects"]


def test_concepts_that_cannot_be_asked_for_are_refused(weights):
    for concepts in ((), (" ",), ("a person. a dog",)):
        with pytest.raises(BadInput, match="segmentation.concepts must be nouns without full stops"):
            GroundedSam2(weights=str(weights), concepts=concepts)
        with pytest.raises(BadInput, match="segmentation.concepts must be nouns without full stops"):
            Sam3(weights=str(weights), concepts=concepts)


def test_another_network_in_the_folder_is_refused(weights, tmp_path):
    import shutil

    shutil.copytree(weights / "grounding-dino-tiny", tmp_path / "sam3")
    stage = Sam3(weights=str(tmp_path), device="cpu")
    with pytest.raises(BadInput, match="holds a 'grounding-dino' model, not 'sam3_video'"):
        stage.setup()
