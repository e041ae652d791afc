"""SAM (Kirillov et al., arXiv 2304.02643) proposes masks for all of a picture, from a grid of points.

Twice, with the same numbers: through its authors' package with the original files, and through transformers.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from openuni.annotators.device import Batches, compute_in_
from openuni.annotators.expert import load_pretrained, load_processor, read_state
from openuni.annotators.mask_sets import Proposal
from openuni.annotators.sam_network import build_sam
from openuni.annotators.weights import Found

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, kw_only=True)
class Grid:
    """How the picture is searched. Defaults are segment_anything's."""

    points_per_side: int = 32
    """The grid has so many points along each side."""
    min_iou: float = 0.88
    """Least quality that the network gives a mask itself."""
    min_stability: float = 0.95
    """Least IoU of a mask cut one logit above and one below 0."""
    max_overlap: float = 0.7
    """Of two masks whose boxes overlap by more (IoU), the better one stays."""


class SegmentAnything:
    """segment_anything's SamAutomaticMaskGenerator on an original checkpoint (vit_b, vit_l, vit_h)."""

    def __init__(
        self, found: Found, device: "torch.device", dtype: "torch.dtype", grid: Grid, batches: Batches
    ) -> None:
        """Load the network.

        Raises:
            BadInput: the file is damaged or for another network.
        """
        from segment_anything import SamAutomaticMaskGenerator

        self.batches = batches
        network = build_sam(read_state(found.files[0]), found.files[0]).to(device)
        compute_in_(network.image_encoder, device, dtype)
        self.generator = SamAutomaticMaskGenerator(
            network,
            points_per_side=grid.points_per_side,
            pred_iou_thresh=grid.min_iou,
            stability_score_thresh=grid.min_stability,
            box_nms_thresh=grid.max_overlap,
        )

    def __call__(self, rgb: np.ndarray) -> list[Proposal]:
        """Propose masks of a picture (H, W, 3) uint8 RGB."""
        import torch

        def some(points: int) -> list[dict[str, Any]]:
            self.generator.points_per_batch = points
            with torch.inference_mode():
                made: list[dict[str, Any]] = self.generator.generate(np.ascontiguousarray(rgb))
            return made

        return [
            Proposal(np.asarray(one["segmentation"], bool), float(one["predicted_iou"]))
            for one in self.batches.shrinking(some, what="point of the grid")
        ]


class TransformersSam:
    """transformers' mask-generation pipeline on a SamModel."""

    def __init__(
        self, found: Found, device: "torch.device", dtype: "torch.dtype", grid: Grid, batches: Batches
    ) -> None:
        """Load network and image processor.

        Raises:
            BadInput: the folder is damaged or holds another network.
        """
        import transformers
        from transformers import MaskGenerationPipeline

        self.grid, self.batches = grid, batches
        model = load_pretrained(transformers.SamModel, found, model_type="sam").to(device)
        compute_in_(model.vision_encoder, device, dtype)
        processor = load_processor(found, "SamImageProcessor")
        self.pipeline = MaskGenerationPipeline(model=model, image_processor=processor, device=device)

    def __call__(self, rgb: np.ndarray) -> list[Proposal]:
        """Propose masks of a picture (H, W, 3) uint8 RGB."""
        from PIL import Image

        def some(points: int) -> Any:
            return self.pipeline(
                Image.fromarray(rgb),
                points_per_batch=points,
                points_per_crop=self.grid.points_per_side,
                pred_iou_thresh=self.grid.min_iou,
                stability_score_thresh=self.grid.min_stability,
                crops_nms_thresh=self.grid.max_overlap,
            )

        made = self.batches.shrinking(some, what="point of the grid")
        return [
            Proposal(np.asarray(mask, bool), float(score))
            for mask, score in zip(made["masks"], made["scores"], strict=True)
        ]
