"""Pictures for tests of text: smooth moving scenery, and words on it in several scripts."""

import base64
import zlib
from typing import NamedTuple

import numpy as np

HEIGHT, WIDTH = 288, 512


class Box(NamedTuple):
    """Where words stand, px: first and last column and row, exclusive."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def area(self) -> int:
        """Pixels inside."""
        return (self.right - self.left) * (self.bottom - self.top)


SOFT = ((64, 50.0), (16, 25.0), (6, 10.0))
"""Texture: size of its spots in px, and their strength in grey levels."""


def scenery(
    seed: int, *, shift: int = 0, height: int = HEIGHT, width: int = WIDTH, spots: tuple[tuple[int, float], ...] = SOFT
) -> np.ndarray:
    """Return (height, width, 3) uint8: coloured texture of several sizes, moved to the left by `shift` px."""
    import cv2

    rng = np.random.default_rng(seed)
    wide = width + 1024
    total = np.zeros((height, wide, 3), np.float32)
    for size, strength in spots:
        coarse = rng.normal(0, strength, (height // size + 2, wide // size + 2, 3)).astype(np.float32)
        total += cv2.resize(coarse, (wide, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(110 + total, 0, 255).astype(np.uint8)[:, shift : shift + width].copy()


def moving_scenery(seed: int, count: int = 3) -> np.ndarray:
    """Return (count, HEIGHT, WIDTH, 3) uint8: scenery that moves by 150 px from one picture to the next."""
    return np.stack([scenery(seed, shift=150 * number) for number in range(count)])


def write(rgb: np.ndarray, words: str, *, at: tuple[int, int], size_px: int = 14, fill: str = "white") -> Box:
    """Write words with an outline into a picture, in Pillow's own font; `at` is the middle of the left edge."""
    from PIL import Image, ImageDraw, ImageFont

    picture = Image.fromarray(rgb)
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(size_px)
    options = {"font": font, "anchor": "lm", "stroke_width": max(1, size_px // 12)}
    draw.text(at, words, fill=fill, stroke_fill="black" if fill == "white" else "white", **options)
    rgb[:] = np.asarray(picture)
    return Box(*(round(side) for side in draw.textbbox(at, words, **options)))


def stamp(rgb: np.ndarray, script: str, *, at: tuple[int, int], turned: bool = False) -> Box:
    """Write a line of another script, white with a dark outline; `at` is its top left corner.

    Args:
        rgb: (H, W, 3) uint8, is written to.
        script: a key of LINES.
        at: x and y, px.
        turned: by 90 degrees.
    """
    import cv2

    width, height, packed = LINES[script]
    rows = np.frombuffer(zlib.decompress(base64.b85decode(packed)), np.uint8).reshape(height, -1)
    letters = np.pad(np.unpackbits(rows, axis=1)[:, :width], 1)
    if turned:
        letters = np.ascontiguousarray(np.rot90(letters))
    (high, wide), (x, y) = letters.shape, at
    part = rgb[y : y + high, x : x + wide]
    part[cv2.dilate(letters, np.ones((3, 3), np.uint8)) > 0] = 20
    part[letters > 0] = 240
    return Box(x, y, x + wide, y + high)


LINES = {
    # "Today the weather is very good", Droid Sans Fallback at 20 px.
    "chinese": (
        141,
        21,
        "c-oE7ze>e06bA4wrZh{a8AL8vG@END|3IMuL0{wIa9#5T>EttX>nr#O=TYk9;?U9I!to?U#LYlR_;Hf+CBUEIWCqP&1CM~3@aT7muty~f+"
        "Qi9b-Gq-K2k+FVry^>^Fn{pTX&AdnzNdy|gXXD-POC`zysdHfKv_;oui&pM#J!wOOur)CEkKHwVW!|;c#(_^Ad8opv>Ym2F-{?&iqsH+!3"
        "ESC(5XrB+Kbe<&oPU<x>m#@lEg%p=J!o@SYl&-YA!`OO?|Hk=UL)S&STI<MK~+Ho<-zYRgmwnMM8`JjBg5{NC5",
    ),
    # "Hello, world, how", DejaVu Sans at 20 px, letters not joined.
    "arabic": (
        149,
        22,
        "c-oE6F%E+;3<b~+L8Jp})@)oMM}iw<>{QHNsaJB9i*N+S3`j1Cs6?Bk9&G99d-wog0mldc<1?`!#RVA@)csOb5^yb2q%(0MLy0u2L}AUeC"
        "Tho-;9YQ`+kbD+G&CbIq6<Eg?+g#^PSwM`mP|`ydC+H4)LM2*gw%7DDMW}sZ`@0|vfTSQV%lJYOgt)`+TojQS~VYZK@IpKrI(WM@4Nx|r%_x",
    ),
}
"""Script -> width, height and packed bits of a rendered line: no font of these scripts is at hand in tests."""
