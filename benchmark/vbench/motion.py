"""Features of pairs of frames: grey-level differences, RAFT's motions, AMT's guesses of every second frame."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from openuni.annotators.expert import network_of
from openuni.annotators.flow_raft import SMALLEST_SIDE_PX as RAFT_SMALLEST_PX
from openuni.annotators.flow_raft import load_raft
from openuni.annotators.weights import Found
from openuni.benchmark.vbench.feature import Arrays, Feature, NotScored
from openuni.benchmark.vbench.formulas import DYNAMIC_TOP, STATIC_TOP, dynamic_stride, top_mean
from openuni.benchmark.vbench.frames import ClipFrames, padding, planes
from openuni.benchmark.vbench.networks.amt import MULTIPLE, SMALLEST_SIDE_PX, amt_of

UPDATES = 20
RAFT_MULTIPLE = 8
PAIRS_PX = 4 * 1280 * 720
"""Ours: pixels of the frames that one batch of pairs has on a side; RAFT needs 1.1 GB for a pair at 1280 x 720."""


class DifferencesFeature(Feature):
    """differences (T - 1,): mean absolute difference of neighbouring frames, [0, 255], all pixels and channels."""

    name: ClassVar[str] = "differences"

    def __call__(self, clip: ClipFrames) -> Arrays:
        """See Feature.__call__."""
        rgb = clip.video.rgb
        return {"differences": np.array([_difference(one, other) for one, other in itertools.pairwise(rgb)])}


class RaftFeature(Feature):
    """motions (kept - 1,) px between kept frames; kept; shorter_side px. Flows are of the padded frames."""

    name: ClassVar[str] = "raft"
    experts: ClassVar[tuple[str, ...]] = ("raft-things",)

    def load(self, found: Mapping[str, Found]) -> None:
        """See Feature.load."""
        self.network = load_raft("raft_large", found["raft-things"].files[0]).to(self.device)

    def __call__(self, clip: ClipFrames) -> Arrays:
        """See Feature.__call__."""
        rgb, fps = clip.video
        kept = rgb[:: dynamic_stride(fps)]
        return self.motions(kept, [(one, one + 1) for one in range(len(kept) - 1)], DYNAMIC_TOP)

    def motions(self, rgb: np.ndarray, pairs: Sequence[tuple[int, int]], share: float) -> Arrays:
        """Return the motions of pairs of (T, H, W, 3) frames, by the share of pixels that move most.

        Raises:
            NotScored: the frames are too small for the network.
        """
        height, width = rgb.shape[1:3]
        if min(height, width) < RAFT_SMALLEST_PX:
            raise NotScored("smaller_than_128_px")
        pads = padding(height, width, RAFT_MULTIPLE)
        found: list[float] = []

        def some(numbers: Tensor) -> None:
            first, second = (
                F.pad(planes(rgb[one.numpy()], self.device), pads, mode="replicate") / 255 * 2 - 1
                for one in numbers.unbind(1)
            )
            with torch.inference_mode():
                flows = self.network(first, second, num_flow_updates=UPDATES)[-1].permute(0, 2, 3, 1).cpu().numpy()
            found.extend(top_mean(flow, share) for flow in flows)

        if pairs:
            self.batches.size = min(self.batches.size, max(1, PAIRS_PX // (height * width)))
            self.batches.run(some, torch.tensor(pairs))
        return {"motions": np.array(found), "kept": np.array(len(rgb)), "shorter_side": np.array(min(height, width))}


class StaticFeature(RaftFeature):
    """As RaftFeature of all frames, then first to last and last to first: what the static filter looks at."""

    name: ClassVar[str] = "static"

    def __call__(self, clip: ClipFrames) -> Arrays:
        """See Feature.__call__."""
        last = len(clip.video.rgb) - 1
        pairs = [*((one, one + 1) for one in range(last)), (0, last), (last, 0)]
        return self.motions(clip.video.rgb, pairs, STATIC_TOP)


class MiddleFeature(Feature):
    """differences: mean absolute difference of every second frame and what AMT makes of its neighbours, [0, 255]."""

    name: ClassVar[str] = "amt"
    experts: ClassVar[tuple[str, ...]] = ("amt-s",)

    def load(self, found: Mapping[str, Found]) -> None:
        """See Feature.load."""
        self.network = network_of(found["amt-s"].files[0], amt_of, "AMT-S").to(self.device)

    def __call__(self, clip: ClipFrames) -> Arrays:
        """See Feature.__call__."""
        rgb = clip.video.rgb
        height, width = rgb.shape[1:3]
        if len(rgb) < 3:
            raise NotScored("fewer_than_3_frames")
        if min(height, width) < SMALLEST_SIDE_PX:
            raise NotScored("smaller_than_128_px")
        return {"differences": np.array(list(self._differences(rgb)))}

    def _differences(self, rgb: np.ndarray) -> Iterator[float]:
        height, width = rgb.shape[1:3]
        left, right, top, bottom = padding(height, width, MULTIPLE)

        def some(first: Tensor, second: Tensor) -> np.ndarray:
            pair = (F.pad(planes(one.numpy(), self.device) / 255, (left, right, top, bottom), mode="replicate")
                    for one in (first, second))  # fmt: skip
            with torch.inference_mode():
                made = self.network(*pair)[..., top : top + height, left : left + width]
                # Cut off, not rounded.
                pictures: np.ndarray = (made * 255).to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
                return pictures

        self.batches.size = min(self.batches.size, max(1, PAIRS_PX // (height * width)))
        ends = torch.from_numpy(rgb[::2])
        at = 1
        for made in self.batches.run(some, ends[:-1], ends[1:]):
            for picture in made:
                yield _difference(rgb[at], picture)
                at += 2


def _difference(one: np.ndarray, other: np.ndarray) -> float:
    import cv2

    return cv2.norm(one, other, cv2.NORM_L1) / one.size
