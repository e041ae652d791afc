"""Training renderings: what a map looks like to the network, and back, for a network that gives no scale.

They are not the storage (openuni/codec/): colours are 8 bits, and what a rendering cannot carry is `n/a` in a metric.
docs/renderings.md has each one's bound, and what H.264 does to it.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from openuni.errors import UnknownName
from openuni.modality import Map
from openuni.model.renderings.config import RenderingConfig, paper, tiny
from openuni.model.renderings.densepose import DensePoseRendering
from openuni.model.renderings.depth import DepthRendering
from openuni.model.renderings.flow import FlowRendering
from openuni.model.renderings.rendered import ModalityRendering, Rendered
from openuni.model.renderings.segmentation import SegmentationRendering
from openuni.model.renderings.skeleton import SkeletonRendering
from openuni.table import METRICS

__all__ = ["Rendered", "RenderingConfig", "Renderings", "paper", "tiny"]


class Renderings:
    """The renderings of all modalities under one config."""

    def __init__(self, config: RenderingConfig | None = None) -> None:
        self.config = RenderingConfig() if config is None else config
        self._of: dict[str, ModalityRendering] = {
            "depth": DepthRendering(self.config),
            "flow": FlowRendering(self.config),
            "densepose": DensePoseRendering(self.config),
            "skeleton": SkeletonRendering(self.config),
            "segmentation": SegmentationRendering(self.config),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Renderings":
        """Make the renderings of a config that RenderingConfig.to_json gave; errors as RenderingConfig.from_json."""
        return cls(RenderingConfig.from_json(values))

    def to_frames(self, modality: str, map: Map) -> Rendered:
        """Draw a map as the network sees it.

        Args:
            modality: a name of MODALITIES.
            map: the map, at the size that the network works at.

        Returns:
            (T, H, W, 3) uint8 RGB frames, what is known of them, and what they lost.

        Raises:
            UnknownName: there is no such modality.
            ValueError: the map is not one of the modality, or lacks what the config asks for.
        """
        return self._rendering(modality).to_frames(map)

    def draw(self, modality: str, map: Map) -> np.ndarray:
        """Draw a map: the frames of `to_frames` alone, (T, H, W, 3) uint8 RGB."""
        return self.to_frames(modality, map).frames

    def to_map(self, modality: str, frames: np.ndarray, *, facts: Mapping[str, Any] | None = None) -> Map:
        """Read frames, drawn or generated, as a map. Nothing of the clip is needed; height and width are the frames'.

        Args:
            modality: a name of MODALITIES.
            frames: (T, H, W, 3) uint8 RGB.
            facts: JSON-able facts to add to the map's: the model, the sampler.

        Returns:
            depth: relative disparity 0..1. flow: px per frame, or with facts["scale"] "unknown" parts of the longest.
            segmentation: uint8 numbers 1 to max_instances. densepose: parts, and with "iuv" arrays["uv"].
            skeleton: COCO-17, facts["joints"] has those that the rendering draws.

        Raises:
            UnknownName: there is no such modality.
            ValueError: the frames have another shape or dtype, or facts contradict what the rendering says.
        """
        rendering = self._rendering(modality)
        if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8 or frames.size == 0:
            raise ValueError(f"frames must be non-empty (T, H, W, 3) uint8 RGB, got {frames.shape} {frames.dtype}")
        read = rendering.to_map(frames)
        if clash := sorted(key for key, value in (facts or {}).items() if read.facts.get(key, value) != value):
            raise ValueError(f"facts {', '.join(clash)} contradict what this {modality} rendering says: leave them out")
        return Map(data=read.data, valid=read.valid, arrays=read.arrays, facts={**(facts or {}), **read.facts})

    def carries(self, modality: str, metric: str) -> str | None:
        """Return None if the metric can be computed from this rendering, else the reason, for its `n/a`.

        Args:
            modality: a name of MODALITIES.
            metric: a name of METRICS: "flow.epe".

        Raises:
            UnknownName: there is no such modality or metric.
            ValueError: the metric is of another modality.
        """
        rendering = self._rendering(modality)
        if metric not in METRICS:
            raise UnknownName("metric", metric, METRICS)
        if metric.partition(".")[0] != modality:
            raise ValueError(f"{metric} is no metric of {modality}: give one that starts with {modality!r}")
        return rendering.missing(metric)

    def lacks(self, modality: str) -> dict[str, str]:
        """Return the modality's metrics that cannot be computed from this rendering -> the reason; see `carries`."""
        metrics = [name for name in METRICS if name.partition(".")[0] == modality]
        reasons = {name: self.carries(modality, name) for name in metrics}
        return {name: reason for name, reason in reasons.items() if reason}

    def _rendering(self, modality: str) -> ModalityRendering:
        if modality not in self._of:
            raise UnknownName("modality", modality, self._of)
        return self._of[modality]


OWN = Renderings()
"""RENDERINGS: the defaults, which can be read back best."""
PAPER = Renderings(paper())
TINY = Renderings(tiny())
VACE = Renderings(RenderingConfig(depth_palette="gray"))
"""VACE's gray depth, near is white; the others as OWN."""
