"""Skeletons by DWPose and the RTMPose family: top-down networks in ONNX files that give SimCC vectors.

DWPose: Yang et al., ICCV workshop 2023; RTMPose: Jiang et al., 2023; SimCC: Li et al., ECCV 2022. A person's box, 1.25
times as large and widened to the network's shape, is cut out; the network gives for each joint a vector over x and one
over y, in half pixels; the larger bin is the place, and the smaller of both maxima the confidence (MMPose's
get_simcc_maximum). Pictures are RGB less ImageNet's mean, as MMPose's configurations train them (bgr_to_rgb=True).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from openuni.annotators.expert import terms
from openuni.annotators.onnx_net import OnnxNetwork
from openuni.annotators.people import People
from openuni.annotators.skeleton import SkeletonStage, check_joints
from openuni.annotators.weights import Found

if TYPE_CHECKING:
    pass

MEAN = np.array([123.675, 116.28, 103.53], np.float32)  # MMPose's PoseDataPreprocessor
STD = np.array([58.395, 57.12, 57.375], np.float32)
PADDING = 1.25  # MMPose's GetBBoxCenterScale
OUTPUTS = ("simcc_x", "simcc_y")


@dataclass(kw_only=True)
class SimccSkeleton(SkeletonStage):
    """133 joints by DWPose (large, 384 x 288), people found by YOLOX."""

    expert: ClassVar[str] = "dwpose"
    licence: ClassVar[str] = terms("dwpose")
    vram_gb: ClassVar[float] = 4.0

    def load(self, found: Found) -> None:
        """Load the network; its file says how large its pictures are."""
        self.network = OnnxNetwork(found.files[-1], self.torch_device, outputs=OUTPUTS)
        shapes = {one.name: one.shape for one in self.network.session.get_outputs()}
        check_joints(shapes[OUTPUTS[0]][1], found.files[-1])

    def joints(self, rgb: np.ndarray, people: People) -> list[np.ndarray]:
        """See SkeletonStage.joints."""
        import torch

        size = self.network.height, self.network.width
        places = people.places

        def some(numbers: torch.Tensor) -> np.ndarray:
            chosen = [places[number] for number in numbers.tolist()]
            regions = [region(people.tracks.boxes[place], size) for place in chosen]
            pictures = [
                cut_out(rgb[t], one, size) for (t, _), one in zip(chosen, regions, strict=True)
            ]  # fmt: skip
            outputs = self.network(np.stack(pictures))
            return decode(outputs[OUTPUTS[0]], outputs[OUTPUTS[1]], np.stack(regions), size)

        return [one for part in self.batches.run(some, torch.arange(len(places))) for one in part]


@dataclass(kw_only=True)
class RtmPose(SimccSkeleton):
    """17 joints by RTMPose m (256 x 192), people found by YOLOX."""

    expert: ClassVar[str] = "rtmpose-m"
    licence: ClassVar[str] = terms("rtmpose-m")


@dataclass(kw_only=True)
class RtmwPose(SimccSkeleton):
    """133 joints by RTMW x (384 x 288), people found by YOLOX."""

    expert: ClassVar[str] = "rtmw-x"
    licence: ClassVar[str] = terms("rtmw-x")


def region(box: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return the region that is cut out for a box: (4,) float64 centre x, y, width, height, of the network's shape.

    Args:
        box: (4,) x0, y0, x1, y1 px.
        size: height and width of the network's picture.
    """
    x0, y0, x1, y1 = box.astype(np.float64)
    width, height = (x1 - x0) * PADDING, (y1 - y0) * PADDING
    width, height = max(width, height * size[1] / size[0]), max(height, width * size[0] / size[1])
    return np.array([(x0 + x1) / 2, (y0 + y1) / 2, width, height])


def cut_out(rgb: np.ndarray, where: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return a region as the network's picture, (3, height, width) float32; black beyond the borders."""
    import cv2

    height, width = size
    scale = width / where[2]
    offset = np.array([width, height]) / 2 - scale * where[:2]
    matrix = np.array([[scale, 0, offset[0]], [0, scale, offset[1]]])
    picture = cv2.warpAffine(rgb, matrix, (width, height), flags=cv2.INTER_LINEAR)
    return np.ascontiguousarray(((picture - MEAN) / STD).transpose(2, 0, 1), np.float32)


def decode(x: np.ndarray, y: np.ndarray, regions: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Turn SimCC vectors into joints.

    Args:
        x: (N, K, bins) float32 over the width.
        y: (N, K, bins) float32 over the height.
        regions: (N, 4) where the pictures were cut out.
        size: height and width of the network's picture.

    Returns:
        (N, K, 3) float32 x px, y px, confidence; a joint whose maximum is not above 0 has confidence 0.
    """
    bins = np.stack([x.argmax(axis=-1), y.argmax(axis=-1)], axis=-1).astype(np.float64)
    confidence = np.minimum(x.max(axis=-1), y.max(axis=-1))
    share = bins / np.array([x.shape[-1], y.shape[-1]])
    places = regions[:, None, :2] + (share - 0.5) * regions[:, None, 2:]
    out = np.concatenate([places, confidence[..., None]], axis=-1).astype(np.float32)
    out[confidence <= 0] = 0
    return out
