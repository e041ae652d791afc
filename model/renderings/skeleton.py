"""Skeletons as OpenPose limbs on black, all 17 joints or 13, at a stick width that follows from the frame's size.

Bound of the array: docs/renderings.md, measured; joints that others cover, or that no limb touches, are not found.
"""

import numpy as np

from openuni.codec.skeleton import SKELETON
from openuni.codec.skeleton_drawing import MIN_CONFIDENCE, stick_width
from openuni.modality import Map
from openuni.model.renderings.config import RenderingConfig
from openuni.model.renderings.rendered import Rendered, of_all

BODY = 17
EYES_AND_EARS = (1, 2, 3, 4)  # COCO


class SkeletonRendering:
    """See the top of the file."""

    def __init__(self, config: RenderingConfig) -> None:
        self.config = config
        without = EYES_AND_EARS if config.skeleton_joints == 13 else ()
        self.joints = [joint for joint in range(BODY) if joint not in without]

    def stick_px(self, height: int, width: int) -> int:
        """Return half the width of a limb, px."""
        given = self.config.skeleton_stick_px
        return stick_width(height, width) if given is None else given

    def to_frames(self, map: Map) -> Rendered:
        """See ModalityRendering. Drawn at facts["height"] x facts["width"]."""
        SKELETON.check(map)
        hands = self.config.skeleton_hands
        data = map.data.copy() if hands else map.data[:, :, :BODY].copy()
        left_out = [joint for joint in range(BODY) if joint not in self.joints]
        data[:, :, left_out, 2] = 0
        stick_px = self.stick_px(int(map.facts["height"]), int(map.facts["width"]))
        drawn = SKELETON.render(Map(data=data, facts=map.facts), scale={"stick_px": stick_px}).frames
        return Rendered(drawn, {"stick_px": stick_px, "joints": self.joints}, self._lost(map))

    def to_map(self, frames: np.ndarray) -> Map:
        """See ModalityRendering: COCO-17, confidence 1 where found. facts["joints"]: the joints that can be found."""
        stick_px = self.stick_px(*frames.shape[1:3])
        read = SKELETON.parse(frames, {"stick_px": stick_px, "blurred": stick_px == 0})
        return Map(data=read.data, arrays=read.arrays, facts={**read.facts, "joints": self.joints})

    def missing(self, metric: str) -> str | None:
        """See ModalityRendering. PCK is taken over the joints that are drawn; COCO's similarity is of all 17."""
        if len(self.joints) < BODY and not metric.startswith("skeleton.pck"):
            return f"{len(self.joints)} of {BODY} joints are drawn, without eyes and ears, and OKS is over all"
        return None

    def _lost(self, map: Map) -> dict[str, str]:
        there = map.data[:, :, :BODY, 2] > 0
        lost = {}
        if unsure := int((there & (map.data[:, :, :BODY, 2] <= MIN_CONFIDENCE)).sum()):
            lost["unsure"] = of_all(
                unsure, int(there.sum()), f"joints have confidence up to {MIN_CONFIDENCE}, not drawn"
            )
        if len(self.joints) < BODY:
            lost["eyes_and_ears"] = of_all(int(there[:, :, EYES_AND_EARS].sum()), int(there.sum()), "joints")
        if map.data.shape[2] > BODY:
            lost["whole_body"] = f"{map.data.shape[2] - BODY} points of feet, face and hands cannot be read back"
        return lost
