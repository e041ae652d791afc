"""CLIP's picture features, once for every filter and metric that stands on them. transformers' network, ViT-L/14."""

from typing import TYPE_CHECKING, Any

import numpy as np

from openuni.annotators.device import Batches
from openuni.annotators.expert import load_pretrained
from openuni.annotators.weights import Found
from openuni.errors import BadInput, first_line

if TYPE_CHECKING:
    import torch


class ClipImages:
    """CLIP's image tower with its projection."""

    def __init__(self, found: Found, device: "torch.device", dtype: "torch.dtype") -> None:
        """Load it.

        Raises:
            BadInput: the folder is damaged or holds another network.
        """
        import transformers

        self.device, self.dtype = device, dtype
        self.model: Any = load_pretrained(transformers.CLIPModel, found, model_type="clip").to(device, dtype)
        try:
            self.processor = transformers.CLIPImageProcessor.from_pretrained(found.folder, local_files_only=True)
        except (OSError, ValueError, KeyError, TypeError, ImportError) as error:
            reason = first_line(error)
            raise BadInput(f"preprocessor_config.json in {found.folder} cannot be used ({reason}).") from error

    def embed(self, rgb: np.ndarray, batches: Batches) -> "torch.Tensor":
        """Return (N, D) float32 features of length 1, on the CPU.

        Args:
            rgb: (N, H, W, 3) uint8 RGB, N >= 1.
            batches: how many at a time.
        """
        import torch

        def some(frames: torch.Tensor) -> torch.Tensor:
            pixels = self.processor(images=list(frames), return_tensors="pt", device=self.device)["pixel_values"]
            with torch.inference_mode():
                hidden = self.model.vision_model(pixel_values=pixels.to(self.device, self.dtype)).pooler_output
                return self.model.visual_projection(hidden).float().cpu()

        frames = torch.from_numpy(np.ascontiguousarray(rgb)).permute(0, 3, 1, 2)
        features = torch.cat(batches.run(some, frames))
        return features / features.norm(dim=-1, keepdim=True)
