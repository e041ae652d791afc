"""Aesthetic: LAION's linear head on CLIP ViT-L/14 features, the score that VBench and many datasets use.

UnityVideo keeps clips "above 80 of 100" (App. C.1, arXiv 2512.07831) and does not say on which scale. LAION's head was
trained on ratings from 1 to 10, so `score` is 10 times it, cut to 0..100: VBench's aesthetic quality is the same number
over 100. On that scale good clips have 50 to 60 (Koala-36M's published means are 4.6 to 5.3 of 10) and hardly any has
80: the paper's threshold belongs to another scale, and the preset `paper` does not use it here.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from openuni.annotators.clip_images import ClipImages
from openuni.annotators.expert import ExpertStage, fill, read_state, terms
from openuni.annotators.weights import Found
from openuni.engine.stage import Column, Result
from openuni.errors import BadInput


@dataclass(kw_only=True)
class AestheticFilter(ExpertStage):
    """How pleasing the frames look, by LAION's head on CLIP; needs weights, so it must be named in --filters."""

    max_frames: int = 8
    """Frames looked at, evenly over the samples. Ours: neighbours at 2 fps look alike, and 0.3 CPU-s a frame at the
    real size adds up."""

    name: ClassVar[str] = "aesthetic"
    expert: ClassVar[str] = "aesthetic"
    licence: ClassVar[str] = terms("aesthetic")
    columns: ClassVar[tuple[Column, ...]] = (
        Column("laion", "1-10", "LAION's head on CLIP features, mean over the frames; may leave 1 to 10"),
        Column("score", "0-100", "10 x laion, cut to 0..100"),
        Column("lowest", "0-100", "the same of the frame that has least"),
    )

    def __post_init__(self) -> None:
        """Check the settings, then as ExpertStage."""
        if self.max_frames < 1:
            raise BadInput(f"aesthetic.max_frames must be 1 or more, got {self.max_frames}.")
        super().__post_init__()

    def load(self, found: Found) -> None:
        """Load CLIP and the head, which must fit it."""
        import torch

        self.clip = ClipImages(self.used["clip-l14"], self.torch_device, self.dtype)
        self.head = torch.nn.Linear(self.clip.model.config.projection_dim, 1)
        fill(self.head, read_state(found.files[0]), found.files[0])

    def __call__(self, clip: Any) -> Result:
        """Score one clip by its samples, (T, H, W, 3) uint8."""
        import torch

        rgb = clip.frames.rgb
        if not len(rgb):
            return Result({column.name: None for column in self.columns})
        chosen = np.unique(np.linspace(0, len(rgb) - 1, min(self.max_frames, len(rgb))).round().astype(int))
        with torch.inference_mode():
            values = self.head(self.clip.embed(rgb[chosen], self.batches))[:, 0].double().numpy()
        scores = np.clip(10 * values, 0, 100)
        return Result(
            {"laion": float(values.mean()), "score": float(scores.mean()), "lowest": float(scores.min())},
        )
