"""PeopleStage: base of experts that look at people. It finds them, and gives all stages of a clip the same tracks."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from openuni.annotators.detector import Detector, load_detector
from openuni.annotators.expert import ExpertStage
from openuni.annotators.experts import EXPERTS
from openuni.annotators.people_tracks import Detections, Linking, Tracks, track
from openuni.annotators.weights import Found, weights_hash
from openuni.engine.stage import Absent
from openuni.errors import BadInput, UnknownName
from openuni.table import DETECTORS


class People(NamedTuple):
    """The people of a clip."""

    found: list[Detections]
    """T frames' detections."""
    tracks: Tracks

    @property
    def scores(self) -> np.ndarray:
        """(T, P) float32 detection scores, 0 where a person is not found."""
        scores = np.zeros(self.tracks.found.shape, np.float32)
        for t, row in enumerate(self.tracks.found):
            scores[t, row >= 0] = self.found[t].scores[row[row >= 0]]
        return scores

    @property
    def places(self) -> list[tuple[int, int]]:
        """(frame, person) wherever somebody is found, frame by frame."""
        return [(int(t), int(person)) for t, person in np.argwhere(self.tracks.found >= 0)]


@dataclass(kw_only=True)
class PeopleStage(ExpertStage):
    """A stage that needs to know where people are.

    Its detector is the one among `uses` of its row in EXPERTS, or the user's. Stages of one clip that use the same
    detector alike get the same tracks, computed once, so that a person has the same id in all their maps.
    """

    detector: str = ""
    """A name in DETECTORS; empty: the one that this expert is published with."""
    min_score: float = 0.3
    """What a detection must reach, 0..1. DWPose's and ViTPose's own examples: 0.3."""
    min_frames: int = 3
    """People seen in fewer frames are left out; see people_tracks.Linking."""

    def __post_init__(self) -> None:
        """Check the settings, then as ExpertStage."""
        if not 0 <= self.min_score <= 1 or self.min_frames < 1:
            raise BadInput(
                f"{self.name}.min_score must be 0 to 1 and {self.name}.min_frames 1 or more, "
                f"got {self.min_score} and {self.min_frames}."
            )
        if self.detector and self.detector not in DETECTORS:
            raise UnknownName("detector", self.detector, DETECTORS)
        super().__post_init__()

    def needed(self) -> tuple[str, ...]:
        """Return the other rows of EXPERTS whose files this stage uses; the user's detector instead of its own."""
        uses = EXPERTS[self.expert].uses
        others = tuple(name for name in uses if name not in DETECTORS)
        return (*others, self.detector or next(name for name in uses if name in DETECTORS))

    def people(self, clip: Any) -> People:
        """Return the people of a clip.

        Args:
            clip: the job's view of a clip; `frames.rgb` is (T, H, W, 3) uint8.

        Raises:
            Absent: `nobody`, no one is found in enough frames.
        """
        rgb = clip.frames.rgb
        if rgb.ndim != 4 or rgb.shape[-1] != 3 or rgb.dtype != np.uint8:
            raise ValueError(f"frames must be (T, H, W, 3) uint8, got {rgb.shape} {rgb.dtype}")
        key = f"people {self._detecting()} {self.min_score} {self.min_frames}"
        if key not in clip.shared:
            clip.shared[key] = people_in(rgb, self._detect(rgb), Linking(min_frames=self.min_frames))
        people: People = clip.shared[key]
        if not len(people.tracks.ids):
            raise Absent("nobody")
        return people

    def finder(self) -> tuple[str, Found]:
        """Return what finds people: a name in DETECTORS, and its files."""
        name = self.needed()[-1]
        return name, self.used[name]

    def _detecting(self) -> str:
        """Name what finds people, and its weights."""
        name, found = self.finder()
        return f"{name} {weights_hash(found)}"

    def _detect(self, rgb: np.ndarray) -> list[Detections]:
        name, found = self.finder()
        detector: Detector = load_detector(name, found, self.torch_device, self.dtype)
        return detector.detect(rgb, self.batches, self.min_score)


def people_in(rgb: np.ndarray, found: list[Detections], linking: Linking) -> People:
    """Track detections. (T, H, W, 3) uint8, T frames' detections."""
    import cv2

    cv2.setNumThreads(1)
    return People(found, track(rgb, found, linking))
