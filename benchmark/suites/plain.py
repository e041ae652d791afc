"""plain: flicker, smoothness, subject and background of generated clips by textbook formulas, no weights.

Flow is DIS's; the subject is what moves against the camera (annotators/segmentation_motion.py) and covers most. These
are other numbers than VBench's, under other names and protocol; nothing mixes them.
"""

import math
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np

from openuni.annotators.dis import shrink, work_size
from openuni.annotators.flow_dis import DisFlow
from openuni.annotators.segmentation_motion import MotionSegmentation
from openuni.benchmark.judge import Scored
from openuni.benchmark.metrics import plain
from openuni.benchmark.predictions import Prediction
from openuni.benchmark.suites.prompted import Prompted
from openuni.engine.stage import Absent

PROTOCOL = "plain"
WORK_SIDE_PX = 384  # ours: long side at which flow, masks and looks are worked out; flicker is of the clip's own size
MARGIN_PX = 3  # ours: a motion mask's border is as unsure at this size; the background keeps away from it
WHOLE_FRAME = "nothing_moves:whole_frame"
"""Flag of the background where there is no subject."""


class Movers(NamedTuple):
    """What moves in a clip by itself."""

    subject: np.ndarray
    """(T, H, W) bool."""
    all: np.ndarray
    """(T, H, W) bool, with a margin."""


class Plain(Prompted):
    """RGB from text, scored by itself."""

    name = "plain"
    title = "Plain video metrics (weight-free)"
    version = "1"

    def setup(self) -> None:
        """Make the flow's and the masks' objects."""
        self._flow, self._masks = DisFlow(), MotionSegmentation()
        self._flow.setup()
        self._masks.setup()

    def score(self, folder: Path, task: str, modality: str, prediction: Prediction) -> list[Scored]:
        """See Suite.score.

        Raises:
            Absent: `too_short`, fewer than two frames.
        """
        assert prediction.rgb is not None, "text has RGB"
        return self.score_frames(prediction.rgb)

    def score_frames(self, rgb: np.ndarray) -> list[Scored]:
        """Score a clip, (T, H, W, 3) uint8. Raises Absent where it is too short."""
        if len(rgb) < 2:
            raise Absent("too_short")
        small = np.stack(shrink(rgb, *work_size(rgb, WORK_SIDE_PX)))
        clip = SimpleNamespace(frames=SimpleNamespace(rgb=small), maps={})
        flow = self._flow(clip).map
        assert flow is not None, "flow of two frames or more"
        clip.maps["flow"] = flow
        rows = [
            _scored(plain.FLICKER.name, plain.flicker(rgb), len(rgb) - 1),
            _scored(plain.FRAME_FLICKER.name, plain.frame_flicker(rgb), len(rgb) - 1),
            _scored(plain.SMOOTHNESS.name, plain.smoothness(flow.data[:-1]), len(rgb) - 1),
        ]
        try:
            ids = self._masks(clip).map
            assert ids is not None, "a mask or Absent"
            movers = _movers(ids.data)
            rows += [
                _scored(plain.SUBJECT.name, plain.subject(small, movers.subject), len(rgb)),
                _scored(plain.BACKGROUND.name, plain.background(small, movers.all), len(rgb)),
            ]
        except Absent as error:
            rows += _without_subject(small, str(error))
        return [*rows, _scored(plain.MOTION.name, plain.motion(flow.data[:-1]), len(rgb) - 1)]


def _movers(ids: np.ndarray) -> Movers:
    """The id that covers most, and all ids with a margin."""
    import cv2

    kernel = np.ones((2 * MARGIN_PX + 1, 2 * MARGIN_PX + 1), np.uint8)
    counts = np.bincount(ids.ravel())
    counts[0] = 0
    grown = [cv2.dilate((frame > 0).astype(np.uint8), kernel) > 0 for frame in ids]
    return Movers(ids == counts.argmax(), np.stack(grown))


def _without_subject(rgb: np.ndarray, reason: str) -> list[Scored]:
    """Rows of a clip without a subject: where nothing moves, all of it is background; else that is not known."""
    none = Scored(plain.SUBJECT.name, PROTOCOL, None, 0, (f"no_subject:{reason}",))
    if reason == "nothing_moves":
        value = plain.background(rgb, np.zeros(rgb.shape[:3], bool))
        return [none, _scored(plain.BACKGROUND.name, value, len(rgb), WHOLE_FRAME)]
    return [none, Scored(plain.BACKGROUND.name, PROTOCOL, None, 0, (f"no_subject:{reason}",))]


def _scored(name: str, value: float, valid: int, *flags: str) -> Scored:
    if math.isfinite(value):
        return Scored(name, PROTOCOL, value, valid, flags)
    return Scored(name, PROTOCOL, None, 0, (*flags, "nothing_to_score"))
