"""Skeletons by ultralytics' YOLO-pose (AGPL-3.0): people and their 17 joints in one pass over the frame."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from openuni.annotators.detector import tidy
from openuni.annotators.expert import terms
from openuni.annotators.people import People
from openuni.annotators.people_tracks import Detections
from openuni.annotators.skeleton import SkeletonStage
from openuni.annotators.weights import Found, weights_hash
from openuni.annotators.yolo import YoloNetwork
from openuni.errors import BadInput


@dataclass(kw_only=True)
class YoloPose(SkeletonStage):
    """17 joints by YOLO11x-pose, which finds the people itself."""

    expert: ClassVar[str] = "yolo11x-pose"
    licence: ClassVar[str] = terms("yolo11x-pose")
    vram_gb: ClassVar[float] = 4.0

    def __post_init__(self) -> None:
        """Check the settings, then as SkeletonStage."""
        if self.detector:
            raise BadInput(f"{self.expert} finds people itself: skeleton.detector has no effect. Leave it out.")
        super().__post_init__()

    def needed(self) -> tuple[str, ...]:
        """Return nothing: one network does it all."""
        return ()

    def load(self, found: Found) -> None:
        """Load the network."""
        self.network = YoloNetwork(found, self.torch_device, self.dtype, task="pose")
        shape = tuple(self.network.model.model.model[-1].kpt_shape)
        if shape != (17, 3):
            raise BadInput(f"{found.files[-1]} gives joints of the shape {shape}, expected (17, 3).")

    def joints(self, rgb: np.ndarray, people: People) -> list[np.ndarray]:
        """See SkeletonStage.joints."""
        joints = [one.joints for one in people.found]
        return [joints[t][people.tracks.found[t, person]] for t, person in people.places]  # type: ignore[index]

    def _detecting(self) -> str:
        return f"{self.expert} {weights_hash(self.found)}"

    def _detect(self, rgb: np.ndarray) -> list[Detections]:
        size = rgb.shape[1], rgb.shape[2]
        return [
            tidy(one.boxes.xyxy.cpu(), one.boxes.conf.cpu(), size, one.keypoints.data.cpu())
            for one in self.network.predict(rgb, self.batches, self.min_score)
        ]
