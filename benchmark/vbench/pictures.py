"""Features of single frames: DINO, both CLIP networks, MUSIQ."""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import torch

from openuni.annotators.clip_images import ClipImages
from openuni.annotators.dino import DinoImages
from openuni.annotators.expert import fill, network_of, read_state
from openuni.annotators.weights import Found
from openuni.benchmark.vbench.feature import Arrays, Feature
from openuni.benchmark.vbench.frames import ClipFrames, by_parts, dino_pixels, imaging_pixels, planes
from openuni.benchmark.vbench.networks.musiq import musiq_of


class DinoFeature(Feature):
    """features (T, D): DINO's class token of each frame."""

    name: ClassVar[str] = "dino"
    experts: ClassVar[tuple[str, ...]] = ("dino-vitb16",)

    def load(self, found: Mapping[str, Found]) -> None:
        """See Feature.load."""
        self.network = DinoImages(found["dino-vitb16"], self.device, torch.float32)

    def __call__(self, clip: ClipFrames) -> Arrays:
        """See Feature.__call__."""
        pixels = by_parts(clip.video.rgb, dino_pixels, self.device)
        return {"features": self.network.features(pixels, self.batches).numpy()}


class ClipFeature(Feature):
    """features (T, D): CLIP ViT-B/32 of each frame."""

    name: ClassVar[str] = "clip"
    experts: ClassVar[tuple[str, ...]] = ("clip-b32",)

    def load(self, found: Mapping[str, Found]) -> None:
        """See Feature.load."""
        self.network = ClipImages(found["clip-b32"], self.device, torch.float32)

    def __call__(self, clip: ClipFrames) -> Arrays:
        """See Feature.__call__."""
        return {"features": self.network.features(clip.clip_pixels(self.device), self.batches).numpy()}


class AestheticFeature(Feature):
    """scores (T,): LAION's head on CLIP ViT-L/14 of each frame, about 1 to 10."""

    name: ClassVar[str] = "aesthetic"
    experts: ClassVar[tuple[str, ...]] = ("aesthetic", "clip-l14")

    def load(self, found: Mapping[str, Found]) -> None:
        """See Feature.load."""
        self.network = ClipImages(found["clip-l14"], self.device, torch.float32)
        path = found["aesthetic"].files[0]
        self.head = torch.nn.Linear(self.network.model.config.projection_dim, 1)
        fill(self.head, read_state(path), path)

    def __call__(self, clip: ClipFrames) -> Arrays:
        """See Feature.__call__."""
        features = self.network.features(clip.clip_pixels(self.device), self.batches)
        with torch.inference_mode():
            return {"scores": self.head(torch.nn.functional.normalize(features, dim=-1))[:, 0].numpy()}


class MusiqFeature(Feature):
    """scores (T,): MUSIQ's score of each frame, 0 to 100 with the SPAQ weights."""

    name: ClassVar[str] = "musiq"
    experts: ClassVar[tuple[str, ...]] = ("musiq-spaq",)
    batch: ClassVar[int] = 4  # each frame is 200 to 450 patches, on which convolutions run at full size

    def load(self, found: Mapping[str, Found]) -> None:
        """See Feature.load."""
        self.network = network_of(found["musiq-spaq"].files[0], musiq_of, "MUSIQ").to(self.device)

    def __call__(self, clip: ClipFrames) -> Arrays:
        """See Feature.__call__."""

        def some(frames: torch.Tensor) -> np.ndarray:
            with torch.inference_mode():
                scores: np.ndarray = self.network(imaging_pixels(planes(frames.numpy(), self.device))).cpu().numpy()
                return scores

        return {"scores": np.concatenate(self.batches.run(some, torch.from_numpy(clip.video.rgb)))}
