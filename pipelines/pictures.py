"""Pictures of clips near a rule's line, read from the sources: what a rule is about to keep or to drop.

Dropped clips have no shard, so their middle frame is decoded anew; it is kept in the build's cache.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from openuni.clip import Clip
from openuni.engine.atomic import write_bytes
from openuni.engine.joined import CACHE
from openuni.engine.record import PassRecord
from openuni.frames import DecodeError, FrameTarget, read_frames
from openuni.pipelines.select import Selection
from openuni.rule import Rule

MIDDLE = FrameTarget(fps=2.0, short_side_px=120, num_frames=1)
JPEG_QUALITY = 80
PER_SIDE = 4  # ours: a row of a report; with a dozen rules about a hundred frames are decoded, once


class Picture(NamedTuple):
    """One clip near a line."""

    clip: Clip
    column: str
    """The score that the line is drawn on; empty where the rule has none."""
    value: float | None
    """The clip's score."""
    jpeg: bytes
    """Empty if the clip cannot be read now."""
    problem: str
    """Why it cannot."""


class Margin(NamedTuple):
    """Clips on both sides of one rule's line, nearest first."""

    rule: str
    kept: tuple[Picture, ...]
    dropped: tuple[Picture, ...]


def margins(record: PassRecord, selection: Selection, base: Path) -> tuple[Margin, ...]:
    """Find and draw, for each rule, selected clips and clips that it stands against, those nearest to its line first.

    Args:
        record: the score pass.
        selection: what the rules say.
        base: folder that clips' paths start from.
    """
    found = []
    for rule, answer in zip(selection.rules, selection.answers, strict=True):
        column, distance, values = _distance(rule, selection)
        sides = []
        for among in (selection.selected, ~selection.unusable & ~answer.true):
            rows = np.flatnonzero(among)
            # A stable sort: of equally near clips the first planned come first, so a report is the same twice.
            near = rows[np.argsort(distance[rows], kind="stable")[:PER_SIDE]]
            sides.append(tuple(_picture(record, selection, base, int(row), column, values) for row in near))
        found.append(Margin(rule.text, *sides))
    return tuple(found)


def draw(record: PassRecord, clips: Sequence[Clip], base: Path) -> tuple[Picture, ...]:
    """Draw clips as they are, without a line."""
    return tuple(Picture(clip, "", None, *_jpeg(record.out, clip, base)) for clip in clips)


def _distance(rule: Rule, selection: Selection) -> tuple[str, np.ndarray, np.ndarray]:
    """How far each clip is from a rule's first line, (N,), infinite where it has no score; and the scores."""
    rows = selection.scores.num_rows
    for column, value in rule.thresholds():
        numbers = selection.scores[column].cast("float64").to_numpy()
        return column, np.where(np.isnan(numbers), np.inf, np.abs(numbers - value)), numbers
    return "", np.zeros(rows), np.full(rows, np.nan)


def _picture(
    record: PassRecord, selection: Selection, base: Path, row: int, column: str, values: np.ndarray
) -> Picture:
    clip_id = selection.scores["clip_id"][row].as_py()
    unit = record.plan.read(selection.scores["unit"][row].as_py())
    clip = next(clip for clip in unit.clips if clip.clip_id == clip_id)
    value = float(values[row]) if np.isfinite(values[row]) else None
    return Picture(clip, column, value, *_jpeg(record.out, clip, base))


def _jpeg(out: Path, clip: Clip, base: Path) -> tuple[bytes, str]:
    """Return a clip's middle frame as JPEG, or why there is none."""
    import cv2

    path = out / CACHE / "pictures" / f"{clip.clip_id}.jpg"
    if path.exists():
        return path.read_bytes(), ""
    try:
        frames = read_frames(Path(base, clip.path), start_s=clip.start_s, end_s=clip.end_s, target=MIDDLE)
    except DecodeError as error:
        return b"", error.reason
    _, encoded = cv2.imencode(".jpg", frames.rgb[0][..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    write_bytes(path, encoded.tobytes(), durable=False)
    return encoded.tobytes(), ""
