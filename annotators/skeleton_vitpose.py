"""Skeletons by ViTPose (Xu et al., NeurIPS 2022), transformers' network with its own processor."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from openuni.annotators.expert import load_pretrained, load_processor, terms
from openuni.annotators.people import People
from openuni.annotators.skeleton import SkeletonStage, check_joints
from openuni.annotators.weights import Found

if TYPE_CHECKING:
    pass

COCO_EXPERT = 0  # ViTPose+ has an expert for each data set it was trained on; transformers' documentation: 0 is COCO


@dataclass(kw_only=True)
class VitPose(SkeletonStage):
    """17 joints by ViTPose base, people found by RT-DETR, as in transformers' example."""

    expert: ClassVar[str] = "vitpose-base"
    licence: ClassVar[str] = terms("vitpose-base")
    vram_gb: ClassVar[float] = 4.0

    def load(self, found: Found) -> None:
        """Load network and processor."""
        import transformers

        model: Any = load_pretrained(transformers.VitPoseForPoseEstimation, found, model_type="vitpose")
        check_joints(model.config.num_labels, found.folder)
        self.model = model.to(self.torch_device, self.dtype)
        self.processor = load_processor(found)
        self.mixed = model.config.backbone_config.num_experts > 1

    def joints(self, rgb: np.ndarray, people: People) -> list[np.ndarray]:
        """See SkeletonStage.joints."""
        import torch

        places = people.places

        def some(numbers: torch.Tensor) -> list[np.ndarray]:
            chosen = [places[number] for number in numbers.tolist()]
            # Each person as a picture with one box, x, y, width, height: whatever frames a batch is of.
            boxes = [[_corner_and_size(people.tracks.boxes[place])] for place in chosen]
            pictures = [torch.from_numpy(rgb[t]).permute(2, 0, 1) for t, _ in chosen]
            inputs = self.processor(pictures, boxes=boxes, return_tensors="pt")
            pixels = inputs["pixel_values"].to(self.torch_device, self.dtype)
            experts = {"dataset_index": pixels.new_full((len(pixels),), COCO_EXPERT, dtype=torch.long)}
            with torch.inference_mode():
                outputs = self.model(pixels, **(experts if self.mixed else {}))
            outputs.heatmaps = outputs.heatmaps.float()
            found = self.processor.post_process_pose_estimation(outputs, boxes=boxes)
            return [
                np.concatenate([one["keypoints"].numpy(), one["scores"].numpy()[:, None]], axis=1)
                for (one,) in found
            ]  # fmt: skip

        return [one for part in self.batches.run(some, torch.arange(len(places))) for one in part]


def _corner_and_size(box: np.ndarray) -> list[float]:
    x0, y0, x1, y1 = box.tolist()
    return [x0, y0, x1 - x0, y1 - y0]
