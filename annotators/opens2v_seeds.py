"""Masks that OpenS2V publishes, one frame of each clip: found in its json files and brought onto our frames.

The layout was read off OpenS2V-Nexus' demo result (Apache-2.0): {clip key: {metadata, word_tags, annotation}}. A clip
is cropped to metadata.crop [x0, x1, y0, y1] of its video and cut to metadata.cut [first, end) frames; masks are COCO
RLE of the cropped frame whose number is counted from the cut's start.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from openuni.annotators.coco_rle import decode_rle
from openuni.annotators.mask_sets import Proposal
from openuni.errors import BadInput

CHUNK = 1 << 20
PERSON = frozenset(
    {
        *("person", "people", "man", "men", "woman", "women", "boy", "girl", "child", "children", "kid", "baby"),
        *("human", "individual", "lady", "guy"),
    }
)
"""Words that count as a person, ours: OpenS2V names one body "person", "woman" and "individual" at once."""


@dataclass(frozen=True)
class Seeds:
    """The masks of one clip."""

    time_s: float
    """When their frame is, in the file."""
    masks: list[Proposal]
    """(H, W) bool of the whole frame of the file, labelled; backgrounds left out."""


class _Place(NamedTuple):
    path: Path
    start: int
    end: int


class SeedFiles:
    """OpenS2V's json files, read once for the places of their clips; a clip's masks are read when it comes."""

    def __init__(self, path: str | Path) -> None:
        """Find the clips.

        Args:
            path: one json file, or a folder of them.

        Raises:
            BadInput: there is none, or one is no such file.
        """
        given = Path(path)
        files = sorted(given.glob("*.json")) if given.is_dir() else [given]
        if not files or not files[0].is_file():
            raise BadInput(f"segmentation.seeds is {given}: no json file there. Give OpenS2V's Jsons folder or a file.")
        self.places: dict[str, _Place] = {}
        for file in files:
            for key, entry, start, end in entries(file):
                place = _Place(file, start, end)
                self.places[key] = place
                about = entry.get("metadata") if isinstance(entry, dict) else None
                name = about.get("path") if isinstance(about, dict) else None
                if isinstance(name, str):
                    self.places.setdefault(Path(name).name, place)

    def of(self, *names: str) -> Seeds | None:
        """Return the masks of the clip that one of the names (key or file name) is of; None if there is none.

        Raises:
            ValueError: the clip's entry is damaged.
        """
        place = next((self.places[name] for name in names if name in self.places), None)
        if place is None:
            return None
        with place.path.open("rb") as file:
            file.seek(place.start)
            entry = json.loads(file.read(place.end - place.start))
        try:
            return seeds_of(entry)
        except (KeyError, TypeError, IndexError, AttributeError, ZeroDivisionError) as error:
            raise ValueError(f"{place.path} at byte {place.start}: no OpenS2V clip ({error!r})") from error


@cache
def seed_files(path: str) -> SeedFiles:
    """SeedFiles, read once in a process."""
    return SeedFiles(path)


def seeds_of(entry: Mapping[str, Any]) -> Seeds:
    """Decode the masks of one clip's entry."""
    about, masks = entry["metadata"], entry["annotation"]["mask_annotation"]
    names = entry["annotation"]["mask_map"]
    grounds = [set(words.lower().split()) for words in entry.get("word_tags", {}).get("background", [])]
    x0, x1, y0, y1 = (int(side) for side in about["crop"])
    height, width = int(about["resolution"]["height"]), int(about["resolution"]["width"])
    frame = min(masks, key=int)
    found = []
    for number, rle in sorted(masks[frame].items(), key=lambda item: int(item[0])):
        label = str(names[number]["class_name"]).lower()
        if any(set(label.split()) <= ground for ground in grounds):  # "park" of "park or garden setting"
            continue
        mask = np.zeros((height, width), bool)
        inner = decode_rle(rle)
        if inner.shape != mask[y0:y1, x0:x1].shape:
            raise ValueError(f"a mask of {inner.shape} for a crop of {mask[y0:y1, x0:x1].shape}")
        mask[y0:y1, x0:x1] = inner
        found.append(Proposal(mask, float(rle["score"][0]), "person" if label in PERSON else label))
    return Seeds((int(about["cut"][0]) + int(frame)) / float(about["fps"]), found)


def entries(path: Path) -> Iterator[tuple[str, Any, int, int]]:
    """Yield key, value, and the value's first and last byte, of the object in a json file; memory holds one entry.

    Raises:
        BadInput: the file is no json object.
    """
    decoder = json.JSONDecoder()
    # As Latin-1 one character is one byte, so places in the text are places in the file.
    with path.open("r", encoding="latin-1", newline="") as file:
        text, base, at, ended = file.read(CHUNK), 0, 0, False

        def value() -> tuple[Any, int]:
            """Decode what begins at `at`, reading on until it is whole."""
            nonlocal text, ended
            while True:
                try:
                    found, end = decoder.raw_decode(text, at)
                    if end < len(text) or ended:
                        return found, end
                except json.JSONDecodeError:
                    if ended:
                        raise
                more = file.read(max(CHUNK, len(text)))
                text, ended = text + more, not more

        def token() -> str:
            """The next character that is not white; `at` is moved to it."""
            nonlocal text, at, ended
            while True:
                while at < len(text) and text[at] in " \t\r\n":
                    at += 1
                if at < len(text) or ended:
                    return text[at : at + 1]
                more = file.read(CHUNK)
                text, ended = text + more, not more

        try:
            if token() != "{":
                raise ValueError("it does not begin with {")
            at += 1
            while token() != "}":
                key, at = value()
                if token() != ":" or not isinstance(key, str):
                    raise ValueError(f"no key at byte {base + at}")
                at += 1
                token()
                start = at
                found, at = value()
                yield key.encode("latin-1").decode("utf-8", "replace"), found, base + start, base + at
                if token() == ",":
                    at += 1
                elif token() != "}":
                    raise ValueError(f"no comma at byte {base + at}")
                text, base, at = text[at:], base + at, 0
        except ValueError as error:
            raise BadInput(f"{path} is no json file of OpenS2V ({error}).") from error
