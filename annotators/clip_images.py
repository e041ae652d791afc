"""CLIP's picture features, once for every filter and metric that stands on them. transformers' network."""

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
        """Load it from transformers' folder, or from OpenAI's own file where that is what was found.

        Raises:
            BadInput: the files are damaged or hold another network.
        """
        import transformers

        self.device, self.dtype = device, dtype
        if len(found.files) == 1:
            from openuni.annotators.openai_clip import load_openai_vision

            self.model: Any = load_openai_vision(found.files[0]).to(device, dtype)
            side = self.model.config.image_size
            sizes: Any = {"size": {"shortest_edge": side}, "crop_size": {"height": side, "width": side}}
            self.processor = transformers.CLIPImageProcessor(**sizes)  # the other defaults are CLIP's own
            return
        self.model = load_pretrained(transformers.CLIPModel, found, model_type="clip").to(device, dtype)
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
            return self._run(
                self.processor(images=list(frames), return_tensors="pt", device=self.device)["pixel_values"]
            )

        frames = torch.from_numpy(np.ascontiguousarray(rgb)).permute(0, 3, 1, 2)
        features = torch.cat(batches.run(some, frames))
        return features / features.norm(dim=-1, keepdim=True)

    def features(self, pixels: "torch.Tensor", batches: Batches) -> "torch.Tensor":
        """Return (N, D) float32 features on the CPU, of whatever length the network gives them.

        Args:
            pixels: (N, 3, H, W) float32, of the network's size, normalised with CLIP's mean and deviation; N >= 1.
            batches: how many at a time.
        """
        import torch

        return torch.cat(batches.run(self._run, pixels))

    def _run(self, pixels: "torch.Tensor") -> "torch.Tensor":
        import torch

        with torch.inference_mode():
            hidden = self.model.vision_model(pixel_values=pixels.to(self.device, self.dtype)).pooler_output
            found: torch.Tensor = self.model.visual_projection(hidden).float().cpu()
            return found
