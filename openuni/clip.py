"""Clip: one span of one source video, with what its source says about it."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

CLIP_ID_HEX_DIGITS = 20  # 80 bits: among 36 million clips (Koala-36M) a collision has a chance of 5e-10.
VALIDATION_PERCENT = 1.0  # ours: 1 % of the source videos.


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """One clip as its source lists it. Immutable; travels as one Parquet row."""

    clip_id: str
    """Key in shards and ledgers: lower-case hex digits, no dots. See `make_clip_id`."""
    source: str
    """Name of the source in SOURCES."""
    source_key: str
    """The source's own name for the clip: Koala's videoID, a folder's relative path."""
    source_video: str
    """The video it was cut from; clips of one video never fall into different splits."""
    path: str
    """The video file, relative to the build's root where it lies below it, else absolute."""
    start_s: float = 0.0
    """Start of the clip inside the file, seconds."""
    end_s: float | None = None
    """End of the clip inside the file, seconds, exclusive. None: the end of the file."""
    caption: str = ""
    licence: str = ""
    """Licence terms of the source, one line."""
    group: str = ""
    """Balance group for training: the paper's four, else the source's name."""
    parent_id: str = ""
    """The listed clip that this one is a window of; empty if it is the listed clip itself."""
    published: Mapping[str, float | str] = field(default_factory=dict)
    """Scores that the source publishes, by their field's names ("aesthetic_score")."""

    def to_row(self) -> dict[str, Any]:
        """Return a flat dict of scalars; `published` becomes JSON text with sorted keys."""
        row = asdict(self)
        row["published"] = json.dumps(dict(self.published), sort_keys=True)
        return row

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> "Clip":
        """Build a clip from what `to_row` gave."""
        return cls(**{**row, "published": json.loads(row["published"])})


def make_clip_id(
    source: str, source_key: str, *, start_s: float = 0.0, end_s: float | None = None, content: str = ""
) -> str:
    """Hash what identifies a clip to its id.

    The same clip has the same id on every machine and in every run.

    Args:
        source: name of the source.
        source_key: the source's own name for the clip.
        start_s: start of the span, seconds.
        end_s: end of the span, seconds; None is the end of the file.
        content: digest of the file's content, for sources whose keys do not name a content.

    Returns:
        CLIP_ID_HEX_DIGITS lower-case hex digits.
    """
    text = json.dumps([source, source_key, round(start_s, 3), None if end_s is None else round(end_s, 3), content])
    return hashlib.sha256(text.encode()).hexdigest()[:CLIP_ID_HEX_DIGITS]


def split_of(source_video: str) -> str:
    """Return "validation" for VALIDATION_PERCENT of all source videos, else "train", by a hash of the name."""
    draw = int.from_bytes(hashlib.sha256(b"split:" + source_video.encode()).digest()[:8], "big") / 2**64
    return "validation" if draw < VALIDATION_PERCENT / 100 else "train"
