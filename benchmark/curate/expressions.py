"""Expressions: a phrase for each object of a clip that means this one and no other, for referring segmenters.

Where the masks name their objects ("labels" of their facts, or a scene's own names) the phrase starts with that name.
Else it is made of what a mask tells: "the blue object on the left". Words are added only until no two phrases are the
same: colour, then place, then size. Places are the viewer's.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

VERSION = 1
"""Raise it when the same masks get other words."""
COLOURS = {
    "red": (200, 30, 30),
    "orange": (235, 130, 30),
    "yellow": (230, 215, 50),
    "green": (50, 150, 60),
    "teal": (40, 150, 150),
    "blue": (40, 80, 190),
    "purple": (120, 50, 150),
    "pink": (235, 140, 175),
    "brown": (120, 80, 45),
    "white": (235, 235, 235),
    "grey": (128, 128, 128),
    "black": (25, 25, 25),
}
"""Word -> sRGB, ours: the nearest in CIELAB names a colour."""
ENOUGH = 0.25  # ours: YouTube-VOS takes the first appearance, which here may be the four pixels of an arriving hand
LEFT, RIGHT, TOP, BOTTOM = 0.38, 0.62, 0.3, 0.75  # ours: shares of the picture where "in the middle" ends


class Object(NamedTuple):
    """One object of a clip."""

    id: int
    """Its value in the masks."""
    first_frame: int
    """The first in which it has ENOUGH of its median area: there it is described, and its mask taken."""
    frames: int
    """In which it is seen."""
    area: float
    """Share of the picture in its first frame."""
    expression: str
    named_by: str
    """"masks" or "scene": who gave the name; "appearance": the words are made of colour, place and size."""


def objects_of(
    masks: np.ndarray, rgb: np.ndarray, names: Mapping[int, str] | None = None, *, named_by: str = "masks"
) -> list[Object]:
    """Describe every object of a clip.

    Args:
        masks: (T, H, W) unsigned ids, stable over time, 0 is background.
        rgb: (T, H, W, 3) uint8 of the same size.
        names: id -> what the object is, as "person"; ids without one are called object.
        named_by: who gave the names.

    Returns:
        One for each id, by id; all expressions differ.

    Raises:
        ValueError: the sizes differ.
    """
    if masks.shape != rgb.shape[:3]:
        raise ValueError(f"masks are {masks.shape}, frames {rgb.shape}")
    ids = [int(one) for one in np.unique(masks) if one]
    found = [_seen(one, masks, rgb, (names or {}).get(one, "")) for one in ids]
    words = _distinct(found)
    return [
        Object(one.id, one.frame, one.frames, one.area, text, named_by if one.name else "appearance")
        for one, text in zip(found, words, strict=True)
    ]


class _Seen(NamedTuple):
    id: int
    name: str
    colour: str
    place: str
    x: float
    area: float
    frame: int
    frames: int


def _seen(one: int, masks: np.ndarray, rgb: np.ndarray, name: str) -> _Seen:
    areas = (masks == one).sum(axis=(1, 2))
    there = areas > 0
    frame = int((areas >= ENOUGH * np.median(areas[there])).argmax())
    mask = masks[frame] == one
    rows, columns = np.nonzero(mask)
    height, width = mask.shape
    x, y = (columns.mean() + 0.5) / width, (rows.mean() + 0.5) / height
    colour = nearest_colour(rgb[frame][mask])
    return _Seen(one, name, colour, place_of(x, y), float(x), float(mask.mean()), frame, int(there.sum()))


def nearest_colour(pixels: np.ndarray) -> str:
    """Name the median colour of (N, 3) uint8 sRGB pixels, N >= 1."""
    import cv2

    table = np.array([*COLOURS.values(), np.median(pixels, axis=0)], np.float32)[None] / 255
    lab = cv2.cvtColor(table, cv2.COLOR_RGB2LAB)[0]
    return list(COLOURS)[int(np.linalg.norm(lab[:-1] - lab[-1], axis=1).argmin())]


def place_of(x: float, y: float) -> str:
    """Name a place in the picture; x and y are 0..1 from the upper left corner."""
    if x < LEFT or x > RIGHT:
        return "on the left" if x < LEFT else "on the right"
    return "at the top" if y < TOP else "at the bottom" if y > BOTTOM else "in the middle"


def _distinct(found: Sequence[_Seen]) -> list[str]:
    """The shortest phrase of each that no other has at that step; at last they are counted from the left."""
    colours = [f"the {one.name}" if one.name else f"the {one.colour} object" for one in found]
    coloured = [
        text if not one.name or one.colour in one.name else f"the {one.colour} {one.name}"
        for text, one in zip(colours, found, strict=True)
    ]
    placed = [f"{text} {one.place}" for text, one in zip(coloured, found, strict=True)]
    sized = [text.replace("the ", f"the {_size(one, found)}", 1) for text, one in zip(placed, found, strict=True)]
    order = sorted(range(len(found)), key=lambda number: found[number].x)
    counted = [f"{text}, number {order.index(place) + 1} from the left" for place, text in enumerate(sized)]
    chosen: list[str] = [""] * len(found)
    for phrases in (colours, coloured, placed, sized, counted):
        times = Counter(phrases)
        taken = set(chosen)
        for place, text in enumerate(phrases):
            if not chosen[place] and times[text] == 1 and text not in taken:
                chosen[place] = text
    return chosen


def _size(one: _Seen, found: Sequence[_Seen]) -> str:
    """Say largest or smallest, of those that would be called the same."""
    areas = [other.area for other in found if (other.name, other.place) == (one.name, one.place)]
    if len(areas) < 2 or areas.count(one.area) > 1:
        return ""
    return "largest " if one.area == max(areas) else "smallest " if one.area == min(areas) else ""
