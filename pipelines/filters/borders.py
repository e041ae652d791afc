"""Borders: black or uniformly coloured bars around the picture: letterbox, pillarbox, window box.

A dark scene, a night sky and an overexposed one are uniform at the edge of the frame too. What tells a bar from them is
its inner edge: straight over the whole picture, and there in every frame. Behind a bar the picture begins in the same
row in most columns; darkness ends in another row in each.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np

from openuni.engine.stage import Column, Result, Stage

TOLERANCE = 8
"""Grey levels by which a bar's pixels may differ from its colour, in any channel and frame. Ours: black bars on 10 real
clips, x264 crf 18 to 38, stayed within 4, and 95 % of the two rows beside the picture within 7."""
BLACK_MAX = 24
"""A bar whose channels are all at most this is black: the default limit of FFmpeg's cropdetect filter. Bars of video
that was tagged with the wrong range are at 16."""
PAIR_STRAIGHT, PAIR_LIT = 0.5, 0.25
SINGLE_STRAIGHT, SINGLE_LIT = 0.8, 0.6
"""Least shares for two opposite bars, which speak for each other, and for a bar without one. straight: columns whose
picture begins within a row of the edge; the rest is room for subtitles on the bar and for darkness behind it. lit:
columns and frames in which the picture is seen to begin there. Ours: made scenes of a moon, stars, a skyline and a
panning spot light in the dark had at most 0.32, or were lit in at most 0.07; ten real clips, darkened or overexposed,
had no two such sides and one single side of one row. Their copies with bars, at 30 % brightness: 0.9 and 0.61."""
SINGLE_MAX = 0.2
"""Ours: greatest share of height or width of a bar without an opposite one. A wrong crop leaves thin ones; a
flat roof under a night sky would be a thick one."""
MIN_PICTURE = 0.2
"""Ours: least share of height and of width that is picture. A small light in the dark is no window; a 9:16 clip in a
21:9 frame has 0.24 of its width."""
BLACK, WHITE = np.zeros(3, np.uint8), np.full(3, 255, np.uint8)


class Borders(NamedTuple):
    """Thickness of the bars, px of the frames they were found in."""

    top: int
    bottom: int
    left: int
    right: int


@dataclass(kw_only=True)
class BordersFilter(Stage):
    """Bars that lie at the same place in every sampled frame. Missing (None) where all frames are one flat colour.

    A single bar must be black: a clipped sky is white. Bars filled with a blurred copy of the picture are not found.
    Widths are exact to a pixel of the sampled frames (0.4 % of 256 px).
    """

    name: ClassVar[str] = "borders"
    columns: ClassVar[tuple[Column, ...]] = (
        Column("top", "0-1", "height of the bar at the top over the frame's"),
        Column("bottom", "0-1", "height of the bar at the bottom"),
        Column("left", "0-1", "width of the bar on the left over the frame's"),
        Column("right", "0-1", "width of the bar on the right"),
        Column("area_fraction", "0-1", "share of the frame that bars cover"),
    )

    tolerance: int = TOLERANCE
    """Grey levels by which a bar's pixels may differ from its colour."""

    def __call__(self, clip: Any) -> Result:
        """Score one clip by `clip.frames.rgb`, (T, H, W, 3) uint8."""
        rgb = clip.frames.rgb
        found = find_borders(rgb, tolerance=self.tolerance)
        if found is None:
            return Result({column.name: None for column in self.columns})
        height, width = rgb.shape[1:3]
        top, bottom, left, right = found.top / height, found.bottom / height, found.left / width, found.right / width
        area_fraction = 1.0 - (1.0 - top - bottom) * (1.0 - left - right)
        return Result({"top": top, "bottom": bottom, "left": left, "right": right, "area_fraction": area_fraction})


def find_borders(rgb: np.ndarray, *, tolerance: int = TOLERANCE) -> Borders | None:
    """Find bars around the picture.

    Args:
        rgb: (T, H, W, 3) uint8.
        tolerance: grey levels by which a bar's pixels may differ from its colour.

    Returns:
        The bars, 0 where there is none; None if the frames show nothing but one colour, or there are no frames.
    """
    if not rgb.size:
        return None
    none = Borders(0, 0, 0, 0)
    turned = rgb.swapaxes(1, 2)
    if not any(_may_be_bar(line, tolerance) for side in (rgb, turned) for line in (side[:, 0], side[:, -1])):
        return none  # Most clips end here, at a tenth of the cost.
    darkest, brightest = rgb.min(axis=0), rgb.max(axis=0)  # (H, W, 3), over time
    if (brightest.max(axis=(0, 1)).astype(int) - darkest.min(axis=(0, 1)) <= tolerance).all():
        return None
    top, bottom = _opposite_bars(rgb, darkest, brightest, tolerance)
    left, right = _opposite_bars(turned, darkest.swapaxes(0, 1), brightest.swapaxes(0, 1), tolerance)
    height, width = rgb.shape[1:3]
    if height - top - bottom < MIN_PICTURE * height or width - left - right < MIN_PICTURE * width:
        return none
    return Borders(top, bottom, left, right)


def inside(rgb: np.ndarray, borders: Borders | None) -> np.ndarray:
    """Return the picture inside of the bars: a view of `rgb`, (..., H, W, 3)."""
    if borders is None:
        return rgb
    height, width = rgb.shape[-3:-1]
    return rgb[..., borders.top : height - borders.bottom, borders.left : width - borders.right, :]


class _Edge(NamedTuple):
    """Inner edge of what may be a bar. `straight` and `lit` as in PAIR_STRAIGHT and PAIR_LIT."""

    depth: int
    colour: np.ndarray
    straight: float
    lit: float


def _opposite_bars(rgb: np.ndarray, darkest: np.ndarray, brightest: np.ndarray, tolerance: int) -> tuple[int, int]:
    """Return the thickness of the bars in the first and in the last rows; arguments as in `_edge`."""
    first = _edge(rgb, darkest, brightest, tolerance)
    last = _edge(rgb[:, ::-1], darkest[::-1], brightest[::-1], tolerance)
    if first and last and _are_pair(first, last, tolerance):
        return first.depth, last.depth
    length = len(darkest)
    return _depth_alone(first, length), _depth_alone(last, length)


def _are_pair(first: _Edge, last: _Edge, tolerance: int) -> bool:
    clear = all(edge.straight >= PAIR_STRAIGHT and edge.lit >= PAIR_LIT for edge in (first, last))
    return clear and bool((np.abs(first.colour - last.colour) <= tolerance).all())


def _depth_alone(edge: _Edge | None, length: int) -> int:
    """Return the thickness of a bar that has none opposite, in a frame of `length` rows; 0 if it is no bar."""
    if edge is None or edge.colour.max() > BLACK_MAX or edge.depth > SINGLE_MAX * length:
        return 0
    return edge.depth if edge.straight >= SINGLE_STRAIGHT and edge.lit >= SINGLE_LIT else 0


def _edge(rgb: np.ndarray, darkest: np.ndarray, brightest: np.ndarray, tolerance: int) -> _Edge | None:
    """Find where a bar in the first rows would end. None: there can be none.

    Args:
        rgb: (T, H, W, 3) uint8.
        darkest: (H, W, 3) uint8, over the frames.
        brightest: likewise.
        tolerance: see `find_borders`.
    """
    import cv2

    if not _may_be_bar(rgb[:, 0], tolerance):
        return None
    colour, low, high = _colour(rgb[:, 0], tolerance)
    # inRange takes all channels at once: ten times as fast as comparing and joining them.
    never_darker = cv2.inRange(np.ascontiguousarray(darkest), low, WHITE)
    never_brighter = cv2.inRange(np.ascontiguousarray(brightest), BLACK, high)
    picture = (never_darker == 0) | (never_brighter == 0)  # (H, W): not of the bar's colour, in any frame
    columns = picture.any(axis=0)  # without those that bars at the other sides fill
    begins = picture.argmax(axis=0)[columns]  # row in which each column's picture begins
    depth = int(np.bincount(begins, minlength=1).argmax())
    if depth == 0:
        return None
    straight = float((np.abs(begins - depth) <= 1).mean())
    strip = rgb[:, depth : depth + 2, columns]
    lit = ((strip < low) | (strip > high)).any(axis=(1, 3))  # (T, columns)
    return _Edge(depth, colour, straight, float(lit.mean()))


def _may_be_bar(line: np.ndarray, tolerance: int) -> bool:
    """Whether the outermost row of all frames, (T, W, 3), has one colour in enough columns."""
    _, low, high = _colour(line, tolerance)
    return bool(((line < low) | (line > high)).any(axis=(0, 2)).mean() <= 1 - PAIR_STRAIGHT)


def _colour(line: np.ndarray, tolerance: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the colour of most of a line, (3,) int16, and the least and greatest, uint8, that count as the same."""
    colour = np.median(line, axis=(0, 1)).astype(np.int16)
    low, high = (np.clip(colour + step, 0, 255).astype(np.uint8) for step in (-tolerance, tolerance))
    return colour, low, high
