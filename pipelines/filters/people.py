"""People: a weak prior from OpenCV's HOG detector. Experts with weights replace it; no preset goes by it.

HOG with a linear SVM: Dalal and Triggs, "Histograms of Oriented Gradients for Human Detection", CVPR 2005, with the
weights compiled into OpenCV 4 (cv2.HOGDescriptor_getDefaultPeopleDetector; OpenCV 5 left it out).
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from openuni.engine.stage import Column, Result, Stage
from openuni.errors import BadInput

WINDOW_PX = (64, 128)  # width, height of the detector's window
SCALE_STEP = 1.1  # ours: half the cost of OpenCV's default of 1.05, for a prior
STRIDE_PX = 8  # OpenCV's default
OVERLAP = 0.5  # ours: boxes that share half of the smaller one are one person


@dataclass(kw_only=True)
class PeopleFilter(Stage):
    """Upright people by HOG, on a few samples: a weak prior, hence `hog_` in every column.

    It sees people who stand upright and are at least 128 px high in the samples, half of a picture 256 px high; it
    misses most others (on a photo of four people it finds one) and fires on poles and door frames. Frames smaller
    than its window have no scores (None).
    """

    name: ClassVar[str] = "people"
    licence: ClassVar[str] = "Apache-2.0 (OpenCV; its weights are compiled in)"
    columns: ClassVar[tuple[Column, ...]] = (
        Column("hog_count", "people", "upright people found by HOG, median over the frames looked at"),
        Column("hog_max_score", "1", "highest score of the detector's SVM; 0 if nothing passes min_score"),
        Column("hog_height_fraction", "0-1", "height of the tallest find over the picture's; 0 without any"),
    )

    num_frames: int = 3
    """Frames looked at, evenly spread over the samples; 20 CPU-ms each."""
    min_score: float = 0.5
    """Of a find. Ours: people score 0.35 to 1.2 (two photos), textures reach 0.3."""

    def setup(self) -> None:
        """Make the detector.

        Raises:
            BadInput: this OpenCV has none.
        """
        import cv2

        if not hasattr(cv2, "HOGDescriptor"):
            raise BadInput(f"OpenCV {cv2.__version__} has no HOGDescriptor. Install 'opencv-python>=4.10,<5'.")
        cv2.setNumThreads(1)
        self._hog = cv2.HOGDescriptor()
        self._hog.setSVMDetector(cv2.HOGDescriptor_getDefaultPeopleDetector())  # type: ignore[attr-defined]

    def __call__(self, clip: Any) -> Result:
        """Score one clip by `clip.frames.rgb`, (T, H, W, 3) uint8."""
        rgb = clip.frames.rgb
        height, width = rgb.shape[1:3]
        if not len(rgb) or width < WINDOW_PX[0] or height < WINDOW_PX[1]:
            return Result({column.name: None for column in self.columns})
        places = np.unique(np.linspace(0, len(rgb) - 1, min(self.num_frames, len(rgb))).round().astype(int))
        finds = [self._find(rgb[place]) for place in places]
        scores = [score for frame in finds for _, score in frame]
        heights = [box[3] / height for frame in finds for box, _ in frame]
        return Result(
            {
                "hog_count": float(np.median([len(frame) for frame in finds])),
                "hog_max_score": max(scores, default=0.0),
                "hog_height_fraction": min(1.0, max(heights, default=0.0)),
            }
        )

    def _find(self, frame: np.ndarray) -> list[tuple[tuple[int, int, int, int], float]]:
        """Return (x, y, width, height) px and score of each person, the surest first."""
        import cv2

        grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
        boxes, scores = self._hog.detectMultiScale(
            grey, hitThreshold=self.min_score, winStride=(STRIDE_PX, STRIDE_PX), scale=SCALE_STEP, groupThreshold=0
        )
        if not len(boxes):
            return []
        return best_of_each([(int(x), int(y), int(w), int(h)) for x, y, w, h in boxes], np.ravel(scores).tolist())


def best_of_each(
    boxes: list[tuple[int, int, int, int]], scores: list[float]
) -> list[tuple[tuple[int, int, int, int], float]]:
    """Keep the surest of boxes that overlap: those that share more than OVERLAP of the smaller one are one.

    Args:
        boxes: (x, y, width, height) px.
        scores: one for each.
    """
    kept: list[tuple[tuple[int, int, int, int], float]] = []
    for box, score in sorted(zip(boxes, scores, strict=True), key=lambda pair: (-pair[1], pair[0])):
        if all(_shared(box, other) <= OVERLAP for other, _ in kept):
            kept.append((box, score))
    return kept


def _shared(a: tuple[int, int, int, int], b: tuple[int, int, int, int]) -> float:
    """Share of the smaller box that lies in the other."""
    across = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    down = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    return max(0, across) * max(0, down) / min(a[2] * a[3], b[2] * b[3])
