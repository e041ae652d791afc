"""Grounding DINO (Liu et al., arXiv 2303.05499) finds boxes of what it is asked for by name: transformers' network."""

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from openuni.annotators.device import Batches
from openuni.annotators.expert import load_pretrained, load_processor
from openuni.annotators.weights import Found

if TYPE_CHECKING:
    import torch


class Boxes(NamedTuple):
    """What was found in one picture, the surest first."""

    boxes: np.ndarray
    """(N, 4) float32 x0, y0, x1, y1 px."""
    scores: np.ndarray
    """(N,) float32, 0 to 1."""
    concepts: list[str]
    """Which of the asked concepts each is."""


class GroundingDino:
    """The network and its processor."""

    def __init__(self, found: Found, device: "torch.device", dtype: "torch.dtype", *, box: float, text: float) -> None:
        """Load them.

        Args:
            found: the files.
            device: where it computes.
            dtype: number format; the network is autocast to it, as its deformable attention wants float32 weights.
            box: least score of a box.
            text: least score of a word for it to belong to a box.

        Raises:
            BadInput: the folder is damaged or holds another network.
        """
        import transformers

        self.device, self.dtype, self.box, self.text = device, dtype, box, text
        model = load_pretrained(transformers.GroundingDinoForObjectDetection, found, model_type="grounding-dino")
        self.model: Any = model.to(device)
        self.processor: Any = load_processor(found, "GroundingDinoProcessor")

    def find(self, rgb: np.ndarray, concepts: tuple[str, ...], batches: Batches) -> list[Boxes]:
        """Find concepts in pictures.

        Args:
            rgb: (N, H, W, 3) uint8 RGB, N >= 1.
            concepts: nouns, "person".
            batches: how many pictures at a time.
        """
        import torch

        size = (int(rgb.shape[1]), int(rgb.shape[2]))

        def some(frames: torch.Tensor) -> list[Boxes]:
            text = [list(concepts)] * len(frames)
            inputs = self.processor(images=list(frames), text=text, return_tensors="pt").to(self.device)
            half = self.dtype != torch.float32
            with torch.inference_mode(), torch.autocast(self.device.type, self.dtype, enabled=half):
                said = self.model(**inputs)
            said.logits, said.pred_boxes = said.logits.float(), said.pred_boxes.float()
            made = self.processor.post_process_grounded_object_detection(
                said, inputs["input_ids"], threshold=self.box, text_threshold=self.text,
                target_sizes=[size] * len(frames),
            )  # fmt: skip
            return [_of_concepts(one, concepts) for one in made]

        frames = torch.from_numpy(np.ascontiguousarray(rgb)).permute(0, 3, 1, 2)
        return [one for part in batches.run(some, frames) for one in part]


def _of_concepts(made: Any, concepts: tuple[str, ...]) -> Boxes:
    """Name boxes by the concept that their words are from; those whose words fit none are left out."""
    names = [concept_of(words, concepts) for words in made["text_labels"]]
    scores = made["scores"].cpu().numpy()
    order = [number for number in np.argsort(-scores, kind="stable").tolist() if names[number]]
    boxes = made["boxes"].cpu().numpy()
    return Boxes(boxes[order].astype(np.float32), scores[order].astype(np.float32), [names[one] for one in order])


def concept_of(words: str, concepts: tuple[str, ...]) -> str:
    """Return the concept with the largest share of its words in `words`; the first of equal ones, "" if none has any.

    The network marks words, not phrases: asked for "traffic light. person." it may say "light", or "person light".
    """
    said = set(words.lower().split())
    shares = [len(said & set(concept.lower().split())) / len(concept.split()) for concept in concepts]
    best = max(shares, default=0.0)
    return concepts[shares.index(best)] if best > 0 else ""
