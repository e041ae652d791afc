"""People by RT-DETR (Zhao et al., CVPR 2024) and RT-DETRv2, transformers' networks with their own image processor."""

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from openuni.annotators.detector import tidy
from openuni.annotators.device import Batches
from openuni.annotators.expert import load_pretrained, load_processor
from openuni.annotators.people_tracks import Detections
from openuni.annotators.weights import Found
from openuni.errors import BadInput

if TYPE_CHECKING:
    import torch

PERSON = "person"


class RtDetr:
    """RT-DETR: no suppression of overlapping boxes, each query is its own object."""

    model_class: ClassVar[str] = "RTDetrForObjectDetection"
    model_type: ClassVar[str] = "rt_detr"

    def __init__(self, found: Found, device: "torch.device", dtype: "torch.dtype") -> None:
        """Load it. Raises BadInput if the folder is damaged, holds another network, or one that knows no person."""
        import transformers

        self.device, self.dtype = device, dtype
        model: Any = load_pretrained(getattr(transformers, self.model_class), found, model_type=self.model_type)
        self.model = model.to(device, dtype)
        self.processor = load_processor(found)
        labels = {str(label).lower(): int(number) for number, label in self.model.config.id2label.items()}
        if PERSON not in labels:
            raise BadInput(f"{found.folder} detects {', '.join(sorted(labels)[:5])}, ..., but no {PERSON!r}.")
        self.person = labels[PERSON]

    def detect(self, rgb: np.ndarray, batches: Batches, min_score: float) -> list[Detections]:
        """See Detector.detect."""
        import torch

        size = rgb.shape[1], rgb.shape[2]

        def some(frames: torch.Tensor) -> list[dict[str, Any]]:
            inputs = self.processor(images=list(frames), return_tensors="pt", device=self.device)
            with torch.inference_mode():
                outputs = self.model(inputs["pixel_values"].to(self.device, self.dtype))
            outputs.logits, outputs.pred_boxes = outputs.logits.float(), outputs.pred_boxes.float()
            made: list[dict[str, Any]] = self.processor.post_process_object_detection(
                outputs, threshold=min_score, target_sizes=[size] * len(frames)
            )
            return made

        frames = torch.from_numpy(np.ascontiguousarray(rgb)).permute(0, 3, 1, 2)
        found = [one for part in batches.run(some, frames) for one in part]
        people = [(one, one["labels"] == self.person) for one in found]
        return [tidy(one["boxes"][mine].cpu(), one["scores"][mine].cpu(), size) for one, mine in people]


class RtDetrV2(RtDetr):
    """RT-DETRv2 (Lv et al., 2024), the same with other sampling in its attention."""

    model_class: ClassVar[str] = "RTDetrV2ForObjectDetection"
    model_type: ClassVar[str] = "rt_detr_v2"
