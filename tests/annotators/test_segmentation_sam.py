"""SAM and SAM 2: the libraries' own numbers, sizes read off a checkpoint, known masks, what is refused."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from openuni.annotators.device import Batches, OutOfMemory
from openuni.annotators.sam2_follower import Sam2
from openuni.annotators.sam_network import build_sam
from openuni.annotators.sam_proposals import Grid
from openuni.annotators.segmentation_sam import Sam, SamTransformers
from openuni.annotators.weights import find_weights
from openuni.engine.stage import Absent
from openuni.errors import BadInput
from openuni.modality import modality
from tests.annotators.colour_world import BLUE, RED, ColourFollower, mask_of, paint, propose
from tests.annotators.tiny_experts import hide_caches
from tests.annotators.tiny_masks import save_sam, save_sam2, save_sam_hf

ALL = {"points_per_side": 4, "min_iou": -9.0, "min_stability": -9.0, "max_overlap": 1.0}
"""Takes every mask: a random network trusts none."""


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    save_sam(folder / "sam")
    save_sam_hf(folder / "sam-vit-huge")
    save_sam2(folder / "sam2.1-hiera-large")
    return folder


@pytest.fixture(autouse=True)
def nothing_cached(tmp_path, monkeypatch):
    hide_caches(monkeypatch, tmp_path)


def make(cls, weights, **settings):
    stage = cls(weights=str(weights), device="cpu", **{"min_area": 0.0, "max_area": 1.0, **ALL, **settings})
    stage.setup()
    return stage


@pytest.fixture(scope="module")
def sam(weights):
    return make(Sam, weights)


@pytest.fixture(scope="module")
def sam2(weights):
    return Sam2(find_weights("sam2.1-large", str(weights)), torch.device("cpu"), torch.float32)


@pytest.fixture(scope="module")
def rgb():
    rng = np.random.default_rng(0)
    things = [(RED, 16, {t: (4 + t, 6) for t in range(5)}), (BLUE, 20, {t: (40 - t, 20) for t in range(5)})]
    return paint(5, 48, 64, things) // 2 + rng.integers(0, 60, (5, 48, 64, 3), dtype=np.uint8)


def view(rgb):
    return SimpleNamespace(frames=SimpleNamespace(rgb=rgb))


def test_proposals_are_segment_anythings_own(sam, rgb, weights):
    from segment_anything import SamAutomaticMaskGenerator

    path = weights / "sam" / "sam_vit_b_01ec64.pth"
    network = build_sam(torch.load(path, weights_only=True), path)
    reference = SamAutomaticMaskGenerator(
        network, points_per_side=4, pred_iou_thresh=-9, stability_score_thresh=-9, box_nms_thresh=1.0
    ).generate(rgb[0])
    found = sam.find(rgb, None, 0)
    assert len(found) == len(reference) > 10
    for ours, theirs in zip(found, reference, strict=True):
        assert np.array_equal(ours.mask, theirs["segmentation"])
        assert ours.score == pytest.approx(theirs["predicted_iou"], abs=1e-5)


def test_proposals_are_transformers_own(weights, rgb):
    import transformers
    from PIL import Image

    stage = make(SamTransformers, weights)
    folder = weights / "sam-vit-huge"
    reference = transformers.pipeline("mask-generation", model=str(folder), image_processor=str(folder), device="cpu")(
        Image.fromarray(rgb[0]), points_per_crop=4, pred_iou_thresh=-9, stability_score_thresh=-9, crops_nms_thresh=1.0
    )
    found = stage.find(rgb, None, 0)
    assert len(found) == len(reference["masks"]) > 10
    for ours, mask, score in zip(found, reference["masks"], reference["scores"], strict=True):
        assert np.array_equal(ours.mask, mask) and ours.score == pytest.approx(float(score), abs=1e-5)


@pytest.mark.parametrize("name", ["vit_b", "vit_l", "vit_h"])
def test_a_checkpoints_shapes_tell_which_of_the_released_sizes_it_is(name, tmp_path):
    from segment_anything import sam_model_registry

    with torch.device("meta"):
        official = sam_model_registry[name]()
        network = build_sam(official.state_dict(), tmp_path)  # no values: only sizes count here
    ours, theirs = network.image_encoder, official.image_encoder
    assert [block.window_size for block in ours.blocks] == [block.window_size for block in theirs.blocks]
    assert [block.attn.num_heads for block in ours.blocks] == [block.attn.num_heads for block in theirs.blocks]
    assert (ours.img_size, len(ours.blocks)) == (1024, len(theirs.blocks))
    heads = network.mask_decoder.transformer.layers[0].self_attn.num_heads
    assert heads == official.mask_decoder.transformer.layers[0].self_attn.num_heads


def test_following_gives_the_librarys_own_masks_on_every_frame(sam2, rgb):
    masks = [mask_of(paint(1, 48, 64, [(RED, 16, {0: (4, 6)})])[0], RED), np.zeros((48, 64), bool)]
    masks[1][20:40, 40:60] = True
    session = sam2.processor.init_video_session(video=list(rgb))
    sam2.processor.add_inputs_to_inference_session(session, frame_idx=0, obj_ids=[1, 2], input_masks=masks)
    reference = []
    for said in sam2.model.propagate_in_video_iterator(session, start_frame_idx=0):
        (made,) = sam2.processor.post_process_masks([said.pred_masks], original_sizes=[[48, 64]], binarize=False)
        reference.append(made[:, 0].numpy())
    clip = sam2.open(rgb, cache=3)
    group = clip.start(0, masks)
    for t in range(5):
        ours = clip.enlarge(group.step(t))
        assert ours.shape == (2, 48, 64) and np.abs(ours - reference[t]).max() < 1e-5
    assert np.abs(reference[4]).max() > 0  # not the masks of a thing that is not there


def test_on_its_own_frame_a_mask_is_itself_but_for_the_networks_coarser_grid(sam2, rgb):
    mask = np.zeros((48, 64), bool)
    mask[12:36, 16:48] = True
    clip = sam2.open(rgb, cache=2)
    found = clip.enlarge(clip.start(2, [mask]).step(2))[0] > 0
    assert (found & mask).sum() / (found | mask).sum() > 0.85  # 16 cells a side
    wrong = np.roll(mask, 16, axis=1)
    assert (found & wrong).sum() / (found | wrong).sum() < 0.5


def test_boxes_are_segmented_as_the_library_does(sam2, rgb):
    boxes = np.array([[4.0, 6, 20, 22], [38, 20, 58, 40]])
    session = sam2.processor.init_video_session(video=list(rgb))
    sam2.processor.add_inputs_to_inference_session(session, frame_idx=1, obj_ids=[1, 2], input_boxes=[boxes.tolist()])
    with torch.inference_mode():
        said = sam2.model(session, frame_idx=1)
    (reference,) = sam2.processor.post_process_masks([said.pred_masks], original_sizes=[[48, 64]])
    assert np.array_equal(sam2.open(rgb, cache=2).masks_in(1, boxes), reference[:, 0].numpy())


def test_a_clip_gets_stable_ids_that_the_codec_stores(sam, rgb):
    result = sam(view(rgb))
    codec = modality("segmentation")
    codec.check(result.map)
    assert result.map.data.shape == (5, 48, 64) and result.scores["objects"] == result.map.data.max() > 0
    assert set(result.scores) == {column.name for column in sam.columns}
    encoded = codec.encode(result.map)
    assert np.array_equal(codec.decode(encoded.members, encoded.facts).data, result.map.data)
    assert np.array_equal(sam(view(rgb)).map.data, result.map.data)


def test_known_masks_pass_through_the_stage(sam, monkeypatch):
    red = (RED, 12, {t: (2 + 2 * t, 4) for t in range(9)})
    late = (BLUE, 14, {t: (40, 20) for t in range(3, 9)})
    clip = paint(9, 48, 64, [red, late])
    monkeypatch.setattr(sam, "key_every", 4)
    monkeypatch.setattr(sam, "max_area", 0.6)
    monkeypatch.setattr(sam, "proposer", propose)
    monkeypatch.setattr(sam.sam2, "open", lambda rgb, cache: ColourFollower(rgb))
    result = sam(view(clip))
    for t in range(9):
        assert np.array_equal(result.map.data[t] == 1, mask_of(clip[t], RED))
        assert np.array_equal(result.map.data[t] == 2, mask_of(clip[t], BLUE))
    assert result.scores["found_later"] == 1 and result.scores["lost"] == 0
    assert result.scores["persistence"] == pytest.approx((9 + 6) / 18)
    with pytest.raises(Absent, match="nothing_found"):
        sam(view(np.zeros_like(clip)))


def test_full_memory_halves_the_points_and_gives_up_at_one(sam, rgb, monkeypatch):
    asked = []

    def full(picture):
        asked.append(sam.proposer.generator.points_per_batch)
        if asked[-1] > 3:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory.")
        return []

    monkeypatch.setattr(sam.proposer, "batches", Batches(16))
    monkeypatch.setattr(sam.proposer.generator, "generate", full)
    assert sam.find(rgb, None, 0) == [] and asked == [16, 8, 4, 2]

    def never(picture):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(sam.proposer.generator, "generate", never)
    with pytest.raises(OutOfMemory, match="out of memory with a batch of one, point of the grid"):
        sam.find(rgb, None, 0)


def test_full_memory_while_following_moves_the_clip_to_the_cpu_and_then_gives_up(weights, caplog):
    sam2 = Sam2(find_weights("sam2.1-large", str(weights)), torch.device("cpu"), torch.float32)
    tries = []

    def call():
        tries.append(sam2.offload)
        if len(tries) < 2:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory.")
        return "done"

    assert sam2.shrinking(call) == "done" and tries == [False, True]
    assert "going on with the clip kept on the CPU" in caplog.text
    tries.clear()
    with pytest.raises(OutOfMemory, match="smaller checkpoint .sam2.1-hiera-tiny. or fewer max_objects"):
        sam2.shrinking(call)


@pytest.mark.parametrize("cls", [Sam, SamTransformers])
def test_half_precision_gives_nearly_the_same_masks(cls, weights, rgb):
    whole, half = (make(cls, weights, precision=precision) for precision in ("float32", "bfloat16"))
    first, second = (stage.find(rgb, None, 0) for stage in (whole, half))
    assert len(first) == len(second) > 10
    scores = [sorted(one.score for one in found) for found in (first, second)]
    assert np.abs(np.subtract(*scores)).max() < 0.02  # bfloat16 has 8 bits
    result = half(view(rgb))
    modality("segmentation").check(result.map)
    assert result.scores["objects"] > 0


def test_what_is_no_sam_is_refused_with_one_line(tmp_path, weights):
    save_sam2(tmp_path / "sam2.1-hiera-large")
    (tmp_path / "sam").mkdir()
    torch.save({"conv.weight": torch.zeros(2)}, tmp_path / "sam" / "sam_vit_b_01ec64.pth")
    with pytest.raises(BadInput, match="holds no SAM of segment_anything .'image_encoder.pos_embed'"):
        make(Sam, tmp_path)
    state = torch.load(weights / "sam" / "sam_vit_b_01ec64.pth", weights_only=True)
    del state["mask_decoder.iou_token.weight"]
    torch.save(state, tmp_path / "sam" / "sam_vit_b_01ec64.pth")
    with pytest.raises(BadInput, match="another network than Sam: 1 of .* as mask_decoder.iou_token.weight"):
        make(Sam, tmp_path)
    (tmp_path / "sam" / "sam_vit_b_01ec64.pth").write_bytes(b"<html>")
    with pytest.raises(BadInput, match="cannot be read as weights"):
        make(Sam, tmp_path)


def test_sam2_loads_as_it_lies_on_the_hub_with_a_file_for_each_part_of_its_processor(weights, tmp_path, rgb, sam2):
    import json
    import shutil

    folder = tmp_path / "sam2.1-hiera-large"
    shutil.copytree(weights / "sam2.1-hiera-large", folder)
    (folder / "processor_config.json").unlink()
    sam2.processor.image_processor.save_pretrained(folder)
    sam2.processor.video_processor.save_pretrained(folder)
    assert (folder / "preprocessor_config.json").is_file() and (folder / "video_preprocessor_config.json").is_file()
    about = {"point_pad_value": -10, "processor_class": "Sam2VideoProcessor", "target_size": 64}
    (folder / "processor_config.json").write_text(json.dumps(about))
    other = Sam2(find_weights("sam2.1-large", str(tmp_path)), torch.device("cpu"), torch.float32)
    boxes = np.array([[4.0, 6, 20, 22]])
    assert np.array_equal(other.open(rgb, cache=2).masks_in(0, boxes), sam2.open(rgb, cache=2).masks_in(0, boxes))


def test_settings_that_mean_nothing_are_refused(weights):
    for setting, said in (
        ({"key_every": 0}, "key_every must be 1 or more"),
        ({"max_objects": 70000}, "max_objects 1 to 65535"),
        ({"min_area": 0.7, "max_area": 0.6}, "0 <= min_area < max_area <= 1"),
    ):
        with pytest.raises(BadInput, match=said):
            Sam(weights=str(weights), **setting)
    assert Sam(weights=str(weights)).grid == Grid()
