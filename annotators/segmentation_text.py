"""Segmentation of what is asked for by name: Grounding DINO's boxes with SAM 2's masks, or SAM 3, which does both."""

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from openuni.annotators.expert import ExpertStage, load_pretrained, load_processor, terms
from openuni.annotators.grounding_dino import GroundingDino
from openuni.annotators.mask_sets import Proposal, numbered, settle
from openuni.annotators.mask_tracks import Followed, Follower
from openuni.annotators.segmentation_sam import COLUMNS, FollowedMasks, result_of
from openuni.annotators.weights import Found
from openuni.engine.stage import Column, Result
from openuni.errors import BadInput
from openuni.subjects import subject_phrase


def check_concepts(concepts: tuple[str, ...]) -> None:
    """Raise BadInput unless concepts can be asked for: some, not blank, without the full stop that parts them."""
    if not concepts or any(not one.strip() or "." in one for one in concepts):
        raise BadInput(
            "segmentation.concepts must be nouns without full stops, as \"('person', 'dog')\", "
            f"got {', '.join(map(repr, concepts)) or 'none'}."
        )


def with_subjects(result: Result) -> Result:
    """Add what is to be seen to a map whose facts have labels: facts["subjects"], "two persons and one dog"."""
    assert result.map is not None
    facts: dict[str, Any] = dict(result.map.facts)
    facts["subjects"] = subject_phrase(Counter(facts["labels"]))
    result.map = replace(result.map, facts=facts)
    return result


@dataclass(kw_only=True)
class GroundedSam2(FollowedMasks):
    """Masks of named concepts: Grounding DINO finds boxes on key frames, SAM 2 segments and follows them.

    Facts besides those of FollowedMasks: `labels`, the concept of each id; `subjects`, the concepts counted in words.
    """

    concepts: tuple[str, ...] = ("person",)
    """What to look for, as singular nouns: they are counted in `subjects`."""
    min_box: float = 0.25
    """Least score of a box. Grounding DINO's and OpenS2V's step 5."""
    min_text: float = 0.25
    """Least score of a word for it to belong to a box. As min_box."""
    max_area: float = 0.95
    """Largest thing, as a share of the picture: what was asked for may fill it. Ours."""

    expert: ClassVar[str] = "grounded-sam2"
    licence: ClassVar[str] = terms("grounded-sam2")
    vram_gb: ClassVar[float] = 10.0

    def __post_init__(self) -> None:
        """Check the settings, then as FollowedMasks."""
        check_concepts(self.concepts)
        super().__post_init__()

    def load_finder(self, found: Found) -> None:
        """Load Grounding DINO."""
        self.detector = GroundingDino(found, self.torch_device, self.dtype, box=self.min_box, text=self.min_text)

    def find(self, rgb: np.ndarray, follower: Follower, frame: int) -> list[Proposal]:
        """Masks of the boxes of a key frame."""
        (found,) = self.detector.find(rgb[frame : frame + 1], self.concepts, self.batches)
        if not len(found.boxes):
            return []
        masks = follower.masks_in(frame, found.boxes)  # type: ignore[attr-defined]
        return [
            Proposal(mask, float(score), concept)
            for mask, score, concept in zip(masks, found.scores, found.concepts, strict=True)
        ]

    def __call__(self, clip: Any) -> Result:
        """Segment a clip and count what was asked for."""
        return with_subjects(super().__call__(clip))


@dataclass(kw_only=True)
class Sam3(ExpertStage):
    """Masks of named concepts by SAM 3 (transformers' Sam3VideoModel): found, segmented and followed by one network.

    Result.map: as GroundedSam2. Where masks of two concepts overlap, the pixel goes to the surer thing.

    Raises:
        Absent: `nothing_found`.
    """

    concepts: tuple[str, ...] = ("person",)
    """What to look for, as singular nouns: they are counted in `subjects`."""
    max_objects: int = 32
    """No more ids than this: those that cover most. As FollowedMasks."""

    name: ClassVar[str] = "segmentation"
    modality: ClassVar[str | None] = "segmentation"
    expert: ClassVar[str] = "sam3"
    licence: ClassVar[str] = terms("sam3")
    vram_gb: ClassVar[float] = 16.0
    columns: ClassVar[tuple[Column, ...]] = COLUMNS

    def __post_init__(self) -> None:
        """Check the settings, then as ExpertStage."""
        check_concepts(self.concepts)
        if self.max_objects < 1:
            raise BadInput(f"segmentation.max_objects must be 1 or more, got {self.max_objects}.")
        super().__post_init__()

    def load(self, found: Found) -> None:
        """Load network and processor."""
        import torch
        import transformers

        # The authors run it in bfloat16; its tracker's memory is that in any case.
        self.number_format = torch.bfloat16 if self.dtype == torch.float16 else self.dtype
        model = load_pretrained(transformers.Sam3VideoModel, found, model_type="sam3_video")
        self.model: Any = model.to(self.torch_device, self.number_format)
        self.processor: Any = load_processor(found, "Sam3VideoProcessor")

    def said(self, rgb: np.ndarray) -> dict[int, dict[str, Any]]:
        """What the processor's postprocess_outputs gives for each frame of a clip (T, H, W, 3) uint8 RGB."""
        session = self.processor.init_video_session(
            video=list(rgb),
            inference_device=self.torch_device,
            video_storage_device="cpu",
            dtype=self.number_format,
        )
        self.processor.add_text_prompt(session, list(self.concepts))
        return {
            int(one.frame_idx): self.processor.postprocess_outputs(session, one)
            for one in self.model.propagate_in_video_iterator(session)
        }

    def __call__(self, clip: Any) -> Result:
        """Segment a clip and count what was asked for."""
        rgb = clip.frames.rgb
        if rgb.ndim != 4 or rgb.shape[-1] != 3 or rgb.dtype != np.uint8:
            raise ValueError(f"frames must be (T, H, W, 3) uint8, got {rgb.shape} {rgb.dtype}")
        return with_subjects(result_of(gather(self.said(rgb), rgb.shape[:3], max_objects=self.max_objects)))


def gather(said: dict[int, dict[str, Any]], shape: tuple[int, int, int], *, max_objects: int) -> Followed:
    """Put what was said of single frames together.

    Args:
        said: frame -> object_ids (N,), scores (N,), masks (N, H, W) bool, prompt_to_obj_ids {concept: ids}.
        shape: T, H, W.
        max_objects: keep those that cover most.
    """
    ids = np.zeros(shape, np.int32)
    concept: dict[int, str] = {}
    for t, one in said.items():
        numbers = [int(number) + 1 for number in one["object_ids"]]  # 0 is background
        concept |= {int(of) + 1: name for name, some in one["prompt_to_obj_ids"].items() for of in some}
        if numbers:
            masks, scores = np.asarray(one["masks"].cpu(), bool), np.asarray(one["scores"].float().cpu())
            ids[t] = settle(np.where(masks, scores[:, None, None] + 1e-6, 0), numbers)
    covers = Counter(ids[ids > 0].tolist())
    largest = [number for number, _ in sorted(covers.items(), key=lambda item: (-item[1], item[0]))[:max_objects]]
    data, kept = numbered(ids, largest)
    seen = {number: int(np.flatnonzero((ids == number).any(axis=(1, 2)))[0]) for number in kept}
    return Followed(
        data,
        [concept[number] for number in kept],
        proposals=len(covers),
        later=sum(first > 0 for first in seen.values()),
        left_out=len(covers) - len(kept),
    )
