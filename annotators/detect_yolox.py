"""People by YOLOX (Ge et al., 2021) from an ONNX file: its raw heads, as DWPose's yolox_l.onnx, or with boxes decoded.

Raw: (N, cells, 5 + classes), cells of strides 8, 16 and 32 one after the other, row by row; a cell gives the centre
from its own corner and the log of the size, both in strides, then object and class probabilities. With boxes decoded,
as MMDeploy exports: "dets" (N, M, 5) x0, y0, x1, y1, score, and "labels" (N, M). Pictures are BGR, 0 to 255, at the
top left of a grey square (YOLOX's ValTransform).
"""

from typing import TYPE_CHECKING

import numpy as np

from openuni.annotators.boxes import suppress
from openuni.annotators.detector import tidy
from openuni.annotators.device import Batches
from openuni.annotators.onnx_net import OnnxNetwork
from openuni.annotators.people_tracks import Detections
from openuni.annotators.weights import Found
from openuni.errors import BadInput

if TYPE_CHECKING:
    import torch

STRIDES = (8, 16, 32)
PERSON = 0  # COCO's first class, and the only one of detectors of people
GREY = 114
MAX_IOU = 0.45  # of two boxes for one person: DWPose's and YOLOX's demos


class Yolox:
    """YOLOX in an ONNX file."""

    def __init__(self, found: Found, device: "torch.device", dtype: "torch.dtype") -> None:
        """Load it; the file decides the number format. Raises BadInput if it holds another network."""
        self.network = OnnxNetwork(found.files[-1], device)
        self.decoded = {"dets", "labels"} <= set(self.network.names)
        cells = sum((self.network.height // s) * (self.network.width // s) for s in STRIDES)
        shape = self.network.session.get_outputs()[0].shape
        if not self.decoded and (len(shape) != 3 or shape[1] != cells or not isinstance(shape[2], int) or shape[2] < 6):
            raise BadInput(
                f"{found.files[-1]} gives {shape}, expected YOLOX's (N, {cells}, 5 + classes) or dets and labels. "
                "Fetch the file that openuni weights names."
            )

    def detect(self, rgb: np.ndarray, batches: Batches, min_score: float) -> list[Detections]:
        """See Detector.detect."""
        import torch

        network, size = self.network, (rgb.shape[1], rgb.shape[2])
        ratio = min(network.height / size[0], network.width / size[1])

        def some(frames: torch.Tensor) -> list[Detections]:
            outputs = network(np.stack([letterbox(frame, network.height, network.width) for frame in frames.numpy()]))
            if self.decoded:
                rows = zip(outputs["dets"], outputs["labels"], strict=True)
                people = [(dets[mine, :4], dets[mine, 4]) for dets, labels in rows for mine in [labels == PERSON]]
            else:
                raw = outputs[network.names[0]]
                people = [people_in(one, network.height, network.width, min_score) for one in raw]
            return [
                tidy(boxes[scores >= min_score] / ratio, scores[scores >= min_score], size) for boxes, scores in people
            ]

        parts = batches.run(some, torch.from_numpy(np.ascontiguousarray(rgb)))
        return [one for part in parts for one in part]


def letterbox(rgb: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return a picture made to fit the network, (3, height, width) float32 BGR; grey at the right and below."""
    import cv2

    ratio = min(height / rgb.shape[0], width / rgb.shape[1])
    down, across = int(rgb.shape[0] * ratio), int(rgb.shape[1] * ratio)
    canvas = np.full((height, width, 3), GREY, np.uint8)
    canvas[:down, :across] = cv2.resize(rgb, (across, down), interpolation=cv2.INTER_LINEAR)
    return canvas[..., ::-1].transpose(2, 0, 1).astype(np.float32)


def people_in(raw: np.ndarray, height: int, width: int, min_score: float) -> tuple[np.ndarray, np.ndarray]:
    """Decode the raw heads of one picture.

    Args:
        raw: (cells, 5 + classes) float32.
        height: of the network's picture, px.
        width: of the network's picture, px.
        min_score: what object times class probability must reach.

    Returns:
        Boxes (M, 4) px of the network's picture and scores (M,), each person once.
    """
    corners, strides = cells_of(height, width)
    scores = raw[:, 4] * raw[:, 5 + PERSON]
    sure = scores >= min_score
    centres = (raw[sure, :2] + corners[sure]) * strides[sure]
    halves = np.exp(raw[sure, 2:4]) * strides[sure] / 2
    boxes = np.concatenate([centres - halves, centres + halves], axis=1)
    kept = suppress(boxes, scores[sure], MAX_IOU)
    return boxes[kept], scores[sure][kept]


def cells_of(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Corners (cells, 2), x and y in strides, and strides (cells, 1) px of all cells."""
    corners, strides = [], []
    for stride in STRIDES:
        y, x = np.mgrid[: height // stride, : width // stride]
        corners.append(np.stack([x.ravel(), y.ravel()], axis=1))
        strides.append(np.full((x.size, 1), stride))
    return np.concatenate(corners).astype(np.float32), np.concatenate(strides).astype(np.float32)
