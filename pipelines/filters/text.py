"""Text: how much of the picture is under letters, and how much of that stays put: subtitles, captions, logos, screens.

UnityVideo names OCR as one check of its list (Fig. 4, arXiv 2512.07831) and gives no threshold. VideoX-Fun measures
the share of the middle frame under text boxes and keeps clips up to 0.02. That the same place is text over time as the
sign of text that was added afterwards is cosmos-curate's idea (its artificial-text filter, there on every third frame).
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from openuni.annotators.ocr import Ocr, weights_hash
from openuni.engine.stage import Column, Result, Stage
from openuni.errors import BadInput

# Texture looks like text to the detector. What tells them apart was chosen on 104 pictures without text (photographs
# that come with scikit-image and scikit-learn, frames of real clips, quarters of both), to which the detector gave 80
# boxes with scores up to 0.83, nearly all as tall as wide, and checked on 144 others. The docs have the figures.
LINE_ASPECT = 4.0  # ours: of those boxes the longest was 3.9 times as long as thick
LINE_SCORE = 0.5  # ours: subtitles in scripts that are not read, letters from 2.5 % of the height up, gave 0.51 to 0.82
LINE_THICKNESS = 0.2  # ours, of the shorter side: a row of coins is 0.21 thick, a line whose letters are 12 % high 0.18
READ_THICKNESS = 0.4  # ours, of the shorter side: "67" was read into a woman who fills the picture
READ_CHARACTERS = 2  # ours: a single character can be read into nearly any blob ("2" with confidence 0.99)
READ_CONFIDENCE = 0.8  # ours: two or more characters were read into texture with at most 0.79


@dataclass(kw_only=True)
class TextFilter(Stage):
    """Finds text by OCR (PP-OCR) on at most three stills.

    This is the costly filter: 0.25 CPU-s a still, 0.75 a clip, where all model-free filters together take 0.08
    (perf/text_filter.py). A box counts as text if it has the shape of a line, or if two or more characters can be read
    in it. With a camera at rest a shop sign stays put as a subtitle does: nothing here tells them apart.
    """

    name: ClassVar[str] = "text"
    wants: ClassVar[tuple[str, ...]] = ("stills",)
    licence: ClassVar[str] = "Apache-2.0"
    columns: ClassVar[tuple[Column, ...]] = (
        Column("area_fraction", "0-1", "share of the picture under text boxes, mean over the stills"),
        Column("max_fraction", "0-1", "the same of the still that has most: a subtitle that comes and goes"),
        Column("stays_fraction", "0-1", "share of the picture that is text in most of the stills"),
        Column("boxes", "boxes", "pieces of text (lines, or words that stand apart), mean over the stills"),
        Column("score", "0-1", "area_fraction + stays_weight * stays_fraction"),
    )

    short_side_px: int = 384
    """Short side of the picture that the detector sees; the cost goes with its square. Ours: 384 finds nearly all text
    whose letters are 2.5 % of the height or more, 320 misses small text of other scripts and pages of small text."""
    max_stills: int = 3
    """How many of the stills are looked at: three, the first and the last, or the middle one."""
    stays_weight: float = 1.0
    """In `score` text that stays counts 1 + this times as much as text that comes, goes or moves. Ours: a subtitle or a
    logo with letters counts double, a sign in a moving scene once."""
    max_read: int = 12
    """Boxes read per still, largest first, which bounds the cost of a page of text: 0.02 CPU-s a box. Further boxes
    count as text if at least half of those were."""

    def __post_init__(self) -> None:
        """Note which weights the scores depend on.

        Raises:
            BadInput: a setting means nothing, or a package or the weights are missing (openuni.annotators.ocr.weights).
        """
        for field, least in (("short_side_px", 32), ("max_stills", 1), ("max_read", 1)):
            if getattr(self, field) < least:
                raise BadInput(f"text.{field} must be {least} or more, got {getattr(self, field)}.")
        setattr(self, "weights_hash", weights_hash())  # noqa: B010 - an instance's own value of a class variable

    def setup(self) -> None:
        """Load the networks."""
        self._ocr = Ocr()

    def __call__(self, clip: Any) -> Result:
        """Score one clip by `clip.stills.rgb`, (T, H, W, 3) uint8, T <= 3.

        One still shows nothing about staying: stays_fraction and score are then missing (None).
        """
        stills = clip.stills.rgb
        count = min(len(stills), self.max_stills)
        if not count:
            return Result({column.name: None for column in self.columns})
        chosen = np.linspace(0, len(stills) - 1, count).round() if count > 1 else [len(stills) // 2]
        texts = [self.find_text(stills[int(index)]) for index in chosen]
        masks = np.stack([text_mask(corners, stills.shape[1:3]) for corners in texts])
        shares = masks.mean(axis=(1, 2))
        area = float(shares.mean())
        stays = float((2 * masks.sum(axis=0) > count).mean()) if count > 1 else None
        return Result(
            {
                "area_fraction": area,
                "max_fraction": float(shares.max()),
                "stays_fraction": stays,
                "boxes": float(np.mean([len(corners) for corners in texts])),
                "score": None if stays is None else area + self.stays_weight * stays,
            }
        )

    def find_text(self, rgb: np.ndarray) -> np.ndarray:
        """Return the boxes of a picture that are text.

        Args:
            rgb: (H, W, 3) uint8.

        Returns:
            (B, 4, 2) float32, corners in pixels.
        """
        boxes = self._ocr.detect(rgb, short_side_px=self.short_side_px)
        across = np.linalg.norm(boxes.corners[:, 1] - boxes.corners[:, 0], axis=1)
        down = np.linalg.norm(boxes.corners[:, 3] - boxes.corners[:, 0], axis=1)
        long, thick = np.maximum(across, down), np.minimum(across, down)
        shorter = min(rgb.shape[:2])
        is_text = (long >= LINE_ASPECT * thick) & (thick <= LINE_THICKNESS * shorter) & (boxes.scores >= LINE_SCORE)
        doubtful = np.flatnonzero(~is_text & (thick <= READ_THICKNESS * shorter))
        doubtful = doubtful[np.argsort(-(long * thick)[doubtful], kind="stable")]
        for index in doubtful[: self.max_read]:
            reading = self._ocr.read(rgb, boxes.corners[index])
            letters = sum(character.isalnum() for character in reading.text)
            is_text[index] = letters >= READ_CHARACTERS and reading.confidence >= READ_CONFIDENCE
        read, rest = doubtful[: self.max_read], doubtful[self.max_read :]
        is_text[rest] = len(rest) > 0 and is_text[read].mean() >= 0.5
        return boxes.corners[is_text]


def text_mask(corners: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return (H, W) bool, True inside any of the boxes.

    Args:
        corners: (B, 4, 2), in pixels.
        shape: height and width of the picture.
    """
    import cv2

    mask = np.zeros(shape, np.uint8)
    for quadrangle in corners:  # one by one: together, overlaps would count as outside
        cv2.fillPoly(mask, [np.round(quadrangle).astype(np.int32)], 1)
    return mask.astype(bool)
