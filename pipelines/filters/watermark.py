"""Watermark: what stays in its place while the picture behind it changes: logos, stamps, banners.

The median over time of the image gradient keeps what a watermark adds and loses what moves behind it: Dekel et al.,
"On the Effectiveness of Visible Watermarks", CVPR 2017 (their first estimate, there over many pictures with one
watermark). Here it is taken over the samples of one clip, and what stays counts only where its surroundings change.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np

from openuni.engine.stage import Column, Result, Stage
from openuni.pipelines.filters.motion import small_grey

# All ours, chosen on 221 pans, zooms and shakes over 30 pictures, each without and with a mark (three kinds, six
# opacities), and on 54 clips of a camera at rest with large moving things. The docs have the figures.
TEXTURE = 6.0  # grey levels over 2 px, mean over time: twice what noise and coding give
MOVES = 0.5  # gradients that cancel to less than this share of their mean length belong to what moves
CHANGES = 2.5  # grey levels between samples; coding noise of a still gives at most 1
RING = 0.02  # of the picture's width: how far the surroundings of a mark reach
MIN_RING = 0.5  # share of the surroundings that must change
MIN_ISOTROPY = 0.1  # edges along the camera's motion stay as well, but have one direction
MIN_PRESENCE = 0.5  # share of a mark's gradients that must be there in nearly every sample
MAX_BOX = 0.15  # share of the picture; larger things that stay are frames, or the scene itself
MIN_PIXELS = 12  # of a work picture of about 256 x 144
CORNER = 0.3  # of width and of height: nearer than this to two borders is a corner


class Gradients(NamedTuple):
    """Gradients of the work pictures, grey levels over 2 px, without their outermost pixels."""

    each: np.ndarray
    """(T, 2, h, w) float32, x and y."""
    median: np.ndarray
    """(2, h, w) float32."""


class Mark(NamedTuple):
    """One thing that stays: its box in the work picture, px."""

    x: int
    y: int
    width: int
    height: int


@dataclass(kw_only=True)
class WatermarkFilter(Stage):
    """Finds what stays put over a changing picture, by gradients; no network.

    Where the picture does not change, everything stays and nothing can be told: with less than `min_evidence`, or
    fewer than `min_samples` samples, the areas are missing (None). Not found are marks over plain, unchanging ground
    (a clear sky, black bars), marks that wander or vanish, and faint ones. What moves with the camera (a dashboard)
    looks like a mark, and so may the centre of a slow zoom, which is seldom in a corner: rules had better use
    corner_area_fraction.
    """

    name: ClassVar[str] = "watermark"
    columns: ClassVar[tuple[Column, ...]] = (
        Column("area_fraction", "0-1", "share of the picture in boxes around what stays while its surroundings change"),
        Column("corner_area_fraction", "0-1", "the same, of boxes in a corner: centre in the outer 30 % of both sides"),
        Column("evidence", "0-1", "share of the textured picture that moves; below watermark.min_evidence no areas"),
    )

    work_px: int = 256
    """Longer side of the pictures that are compared."""
    max_samples: int = 16
    """Samples that are compared, evenly chosen: more cost more and say little new."""
    min_samples: int = 8
    """With fewer, scenery stays by chance. Ours: of 135 clips without marks, 7 samples put one into a corner of 5, 8
    samples of none."""
    min_evidence: float = 0.6
    """Ours: real clips from a tripod have 0.14 to 0.37, with a moving camera 0.65 to 0.96."""
    min_gradient: float = 8.0
    """Grey levels over 2 px that the median gradient must have: fainter edges are lost in noise."""
    max_spread: float = 0.6
    """How far the gradients of half of the samples may lie from their median, as a share of its length."""

    def __call__(self, clip: Any) -> Result:
        """Score one clip by `clip.frames.rgb`, (T, H, W, 3) uint8."""
        rgb = clip.frames.rgb
        scores: dict[str, float | None] = {column.name: None for column in self.columns}
        if len(rgb) < self.min_samples:
            return Result(scores)
        chosen = np.unique(np.linspace(0, len(rgb) - 1, min(len(rgb), self.max_samples)).round().astype(int))
        grey = small_grey(rgb[chosen], work_px=self.work_px).astype(np.int16)
        gradients = gradients_of(grey)
        moves, textured = what_moves(gradients)
        scores["evidence"] = float(moves.sum() / textured.sum()) if textured.any() else None
        if scores["evidence"] is None or scores["evidence"] < self.min_evidence:
            return Result(scores)
        changes = np.abs(np.diff(grey, axis=0)).mean(axis=0)[1:-1, 1:-1] >= CHANGES
        marks = find_marks(gradients, self.what_stays(gradients), changes & (moves | ~textured))
        shape = moves.shape
        scores["area_fraction"] = covered(marks, shape)
        scores["corner_area_fraction"] = covered([mark for mark in marks if in_corner(mark, shape)], shape)
        return Result(scores)

    def what_stays(self, gradients: Gradients) -> np.ndarray:
        """Return (h, w) bool: strong gradients that are much the same in most samples."""
        length = np.hypot(*gradients.median)
        away = gradients.each - gradients.median
        spread = _median(np.hypot(away[:, 0], away[:, 1]))
        return (length >= self.min_gradient) & (spread <= self.max_spread * length)


def gradients_of(grey: np.ndarray) -> Gradients:
    """Return central differences of (T, h + 2, w + 2) int16 pictures, and their median over time."""
    across = grey[:, 1:-1, 2:] - grey[:, 1:-1, :-2]
    down = grey[:, 2:, 1:-1] - grey[:, :-2, 1:-1]
    each = np.stack([across, down], axis=1)
    return Gradients(each.astype(np.float32), _median(each).astype(np.float32))


def what_moves(gradients: Gradients) -> tuple[np.ndarray, np.ndarray]:
    """Tell textured pixels, and those of them whose gradients cancel over time.

    Returns:
        Two (h, w) bool arrays: moves, textured. What moves is textured.
    """
    mean_length = np.hypot(gradients.each[:, 0], gradients.each[:, 1]).mean(axis=0)
    textured = mean_length >= TEXTURE
    return textured & (np.hypot(*gradients.median) < MOVES * mean_length), textured


def find_marks(gradients: Gradients, stays: np.ndarray, changes: np.ndarray) -> list[Mark]:
    """Group pixels that stay, and keep the groups that look like marks.

    Args:
        gradients: of all samples.
        stays: (h, w) bool.
        changes: (h, w) bool, what changes over time.

    Returns:
        Boxes: not too large, with edges of more than one direction, there in nearly every sample (a thing of the scene
        is hidden when something passes before it), and with surroundings that change.
    """
    import cv2

    height, width = stays.shape
    # Letters of one logo become one group.
    joined = cv2.morphologyEx(stays.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    count, labels, boxes, _ = cv2.connectedComponentsWithStats(joined, connectivity=8)
    sums = cv2.integral(changes.astype(np.uint8))
    reach = max(3, round(RING * width))
    marks = []
    for label in range(1, count):
        x, y, wide, high = (int(value) for value in boxes[label, :4])
        inside = np.s_[y : y + high, x : x + wide]
        pixels = (labels[inside] == label) & stays[inside]
        if pixels.sum() < MIN_PIXELS or wide * high > MAX_BOX * width * height:
            continue
        left, top = max(0, x - reach), max(0, y - reach)
        right, bottom = min(width, x + wide + reach), min(height, y + high + reach)
        ring = (right - left) * (bottom - top) - wide * high
        changed = _sum(sums, left, top, right, bottom) - _sum(sums, x, y, x + wide, y + high)
        pattern = gradients.median[:, *inside][:, pixels]
        if changed < MIN_RING * ring or isotropy(pattern) < MIN_ISOTROPY:
            continue
        if presence(gradients.each[:, :, *inside][:, :, pixels], pattern) >= MIN_PRESENCE:
            marks.append(Mark(x, y, wide, high))
    return marks


def isotropy(pattern: np.ndarray) -> float:
    """Return the ratio of the structure tensor's eigenvalues: 0 for edges of one direction, 1 for all alike.

    Args:
        pattern: (2, N) float32 gradients, not all zero.
    """
    smaller, larger = np.linalg.eigvalsh(pattern @ pattern.T)
    return float(max(smaller, 0.0) / larger)


def presence(each: np.ndarray, pattern: np.ndarray) -> float:
    """Return how much of a pattern is in the samples: matched filter, 1 if it is all there, 0 if it is hidden.

    Args:
        each: (T, 2, N) float32, gradients of the samples.
        pattern: (2, N) float32, the gradients to look for.

    Returns:
        The least over the samples; of more than 10 the second least, so that one sample may be a title or a fade.
    """
    responses = (each * pattern).sum(axis=(1, 2)) / np.square(pattern).sum()
    return float(np.sort(responses)[(len(responses) - 1) // 10])


def in_corner(mark: Mark, shape: tuple[int, int]) -> bool:
    """Tell whether a mark's centre is in one of the corners of a picture of (height, width)."""
    down, across = (mark.y + mark.height / 2) / shape[0], (mark.x + mark.width / 2) / shape[1]
    return min(down, 1 - down) <= CORNER and min(across, 1 - across) <= CORNER


def covered(marks: list[Mark], shape: tuple[int, int]) -> float:
    """Return the share of a picture of (height, width) under the boxes; where they overlap it counts once."""
    under = np.zeros(shape, bool)
    for x, y, wide, high in marks:
        under[y : y + high, x : x + wide] = True
    return float(under.mean())


def _median(values: np.ndarray) -> np.ndarray:
    """Return the median over the first axis; of an even number the upper one, which takes half of the time.

    By odd-even transposition of whole pictures: each of T rounds puts neighbours in order. It takes a quarter of
    np.partition's time, which looks at one pixel after the other.
    """
    ordered = list(values)
    for turn in range(len(ordered)):
        for place in range(turn % 2, len(ordered) - 1, 2):
            low, high = ordered[place], ordered[place + 1]
            ordered[place], ordered[place + 1] = np.minimum(low, high), np.maximum(low, high)
    return np.asarray(ordered[len(ordered) // 2])


def _sum(sums: np.ndarray, left: int, top: int, right: int, bottom: int) -> int:
    """Return a box's sum, from an integral image."""
    return int(sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left])
