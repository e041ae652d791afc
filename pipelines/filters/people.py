"""People: a weak first guess at whether upright people are in a clip, by OpenCV's HOG detector, without weights.

Histograms of oriented gradients and a linear SVM (Dalal and Triggs, CVPR 2005), trained on pedestrians: upright, whole,
at least 96 px high (37 % of a picture 256 px high). It misses most people that sit, are cut off or near, and finds some
where none are: of ten real clips, eight of which show people or drawn figures, it found somebody in the middle frame of
five, one of them a screen recording. For a first look at what a source holds; detectors with weights replace it, and no
preset uses it.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from openuni.engine.stage import Column, Result, Stage
from openuni.errors import BadInput

PERSON_SHARE = 96 / 128  # a person's height in the detector's window of 64 x 128 px (Dalal and Triggs 2005)
STRIDE_PX, PADDING_PX = 8, 8  # a cell; people touch the picture's edge
PYRAMID = 1.1  # ours: 12 ms a frame at 455 x 256, half of OpenCV's 1.05; 1.2 finds nobody on a photo of four people


@dataclass(kw_only=True)
class HogPeopleFilter(Stage):
    """Counts what OpenCV's HOG detector takes for upright people in a few frames. A weak prior: see above.

    No frames, or frames smaller than its window (48 x 112 px without the padding): all columns are missing (None).
    Nothing found is 0, not missing.
    """

    name: ClassVar[str] = "people"
    licence: ClassVar[str] = "Apache-2.0 (OpenCV; the SVM's weights are compiled in)"
    columns: ClassVar[tuple[Column, ...]] = (
        Column("hog_count", "people", "HOG detector, weak: median over the frames of how many it finds"),
        Column("hog_max_score", "1", "HOG detector, weak: largest SVM score of all frames, 0 if it finds nobody"),
        Column("hog_height_fraction", "0-1", "HOG detector, weak: height of the tallest found over the picture's"),
    )

    num_frames: int = 1
    """Frames that are looked at, spread evenly over the clip: the middle one, or more for 12 CPU-ms each."""
    min_score: float = 0.5
    """SVM score from which a find counts. Ours: on the real clips most true finds have 0.8 to 2.3; no line keeps out
    the false ones of the screen recording, up to 2.1."""

    def __post_init__(self) -> None:
        """Check the parameters.

        Raises:
            BadInput: `num_frames` is below 1.
        """
        if self.num_frames < 1:
            raise BadInput(f"people.num_frames must be at least 1, got {self.num_frames}")

    def setup(self) -> None:
        """Make the detector.

        Raises:
            BadInput: this OpenCV has none.
        """
        import cv2

        if not hasattr(cv2, "HOGDescriptor"):
            raise BadInput(
                f"The people filter needs OpenCV 4's HOGDescriptor; OpenCV {cv2.__version__} has none. "
                "Install 'opencv-python>=4.10,<5' or leave the filter out."
            )
        cv2.setNumThreads(1)
        self._hog = cv2.HOGDescriptor()
        self._hog.setSVMDetector(cv2.HOGDescriptor.getDefaultPeopleDetector())  # type: ignore[call-overload]

    def __call__(self, clip: Any) -> Result:
        """Score one clip by `clip.frames.rgb`, (T, H, W, 3) uint8."""
        rgb = clip.frames.rgb
        width, height = self._hog.winSize
        if not len(rgb) or rgb.shape[1] < height - 2 * PADDING_PX or rgb.shape[2] < width - 2 * PADDING_PX:
            return Result({column.name: None for column in self.columns})
        found = [self._find(rgb[number]) for number in spread(len(rgb), self.num_frames)]
        best = max((score for frame in found for score, _ in frame), default=0.0)
        tallest = max((height for frame in found for _, height in frame), default=0.0)
        return Result(
            {
                "hog_count": int(np.median([len(frame) for frame in found])),
                "hog_max_score": best,
                "hog_height_fraction": tallest,
            }
        )

    def _find(self, rgb: np.ndarray) -> list[tuple[float, float]]:
        """Score and height, as a share of the picture's, of each find in a frame."""
        import cv2

        boxes, scores = self._hog.detectMultiScale(
            cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY),
            winStride=(STRIDE_PX, STRIDE_PX),
            padding=(PADDING_PX, PADDING_PX),
            scale=PYRAMID,
        )
        heights = [min(1.0, PERSON_SHARE * box[3] / rgb.shape[0]) for box in boxes]
        pairs = zip(np.ravel(scores).tolist(), heights, strict=True)
        return [(score, float(size)) for score, size in pairs if score >= self.min_score]


def spread(total: int, count: int) -> list[int]:
    """Return up to `count` different indices below `total`: the middles of as many equal parts."""
    count = min(count, total)
    return [(2 * part + 1) * total // (2 * count) for part in range(count)]
