"""Feature of clip and prompt: ViCLIP on eight frames, and its text tower."""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import torch

from openuni.annotators.expert import network_of
from openuni.annotators.weights import Found
from openuni.benchmark.vbench.feature import Arrays, Feature
from openuni.benchmark.vbench.frames import ClipFrames, by_parts, middle_frames, viclip_pixels
from openuni.benchmark.vbench.networks.bpe import Tokenizer
from openuni.benchmark.vbench.networks.viclip import viclip_of

FRAMES = 8


class ViClipFeature(Feature):
    """features (D,): ViCLIP of the clip."""

    name: ClassVar[str] = "viclip"
    experts: ClassVar[tuple[str, ...]] = ("viclip-l14",)

    def load(self, found: Mapping[str, Found]) -> None:
        """See Feature.load."""
        path, merges = found["viclip-l14"].files
        self.network = network_of(path, viclip_of, "ViCLIP").to(self.device)
        self.tokenizer = Tokenizer(merges)
        self.texts: dict[str, np.ndarray] = {}

    def __call__(self, clip: ClipFrames) -> Arrays:
        """See Feature.__call__."""
        rgb = clip.video.rgb
        pixels = by_parts(rgb[middle_frames(FRAMES, len(rgb))], viclip_pixels, self.device)[None]
        with torch.inference_mode():
            return {"features": self.network.vision_encoder(pixels)[0].cpu().numpy()}

    def text(self, prompt: str) -> np.ndarray:
        """Return a prompt's (D,) feature."""
        if prompt not in self.texts:
            numbers = self.tokenizer(prompt, context=self.network.text_encoder.context)
            with torch.inference_mode():
                tokens = torch.tensor([numbers], device=self.device)
                self.texts[prompt] = self.network.text_encoder(tokens)[0].cpu().numpy()
        return self.texts[prompt]
