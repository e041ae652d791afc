"""Koala-36M: the published CSV files, and clips that were already cut and lie in a folder.

Format: Koala-36M-v1, `Koala_36M_1.csv` to `_10.csv`, 4.9 GB each, about 36 million rows of metadata without video;
columns videoID, url, timestamp, caption, clarity_score, aesthetic_score, motion_score and the training suitability
score (VTSS), whose column people spell differently. The files are streamed: a row is in memory at a time.
"""

import csv
import logging
import math
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, NamedTuple

from openuni.clip import Clip, make_clip_id
from openuni.errors import BadInput
from openuni.pipelines.sources.base import Source, clean_text
from openuni.pipelines.sources.files import walk_videos

logger = logging.getLogger(__name__)

LAYOUT = (
    "a folder with the published CSV files (Koala_36M_*.csv) and, at any depth below it, clips named <videoID>.mp4, "
    "each cut to its row's timestamp"
)
REQUIRED = ("videoID", "url", "timestamp", "caption")
SCORES = {
    "clarity_score": re.compile(r"clarity(_score)?", re.IGNORECASE),
    "aesthetic_score": re.compile(r"aesthetics?(_score)?", re.IGNORECASE),
    "motion_score": re.compile(r"motion(_score)?", re.IGNORECASE),
    "vtss": re.compile(r".*(vtss|training_suitability).*", re.IGNORECASE),
}
"""Our name of a published score -> spellings of its column. Scales: clarity 0-1; aesthetic 1-10 (LAION, not the
0-100 of UnityVideo); motion 0.7-51 seen; vtss 1-5, for which the Koala-36M paper takes 2.5 as threshold."""

MAX_FIELD_CHARS = 1 << 20  # ours: a missing quote swallows at most this much; captions have about 1,200 characters.
_MAX_TIMESTAMP_CHARS = 200  # ours: the longest real one has 36.
_TIME = r"""['"]\s*(?:(\d{1,4}):)?(\d{1,4}):(\d{1,2}(?:\.\d{1,9})?)\s*['"]"""
_TIMESTAMP = re.compile(rf"\s*[\[(]\s*{_TIME}\s*,\s*{_TIME}\s*,?\s*[\])]\s*")


@dataclass(kw_only=True)
class Koala36M(Source):
    """Rows of the Koala-36M CSV files whose clip lies below the root.

    The file is the cut clip, so the clip's span is the whole file; the span in the source video goes to `published`
    as source_start_s and source_end_s, beside url and the scores.
    """

    name: ClassVar[str] = "koala36m"
    default_preset: ClassVar[str] = "paper"

    licence: str = "research use only; YouTube videos under the HD-VILA-100M terms (Koala-36M)"
    group: str = "koala36m"
    tables: str = "*.csv"
    """Pattern of the CSV files, relative to the root."""

    def check(self) -> None:
        """Find a missing root, missing CSV files or columns, and a root without clips.

        Raises:
            BadInput: one of these; the message tells the expected layout.
        """
        if self.root is None:
            raise BadInput(
                f"Source 'koala36m' needs --root DIR: {LAYOUT}. Fetching from the URLs does not exist yet; "
                "`openuni demo` makes a folder to try the build on."
            )
        root = Path(self.root)
        if not root.is_dir():
            raise BadInput(f"{root} is {'not a folder' if root.exists() else 'not there'}. Give --root DIR: {LAYOUT}.")
        tables = self._csv_files(root)
        if not tables:
            raise BadInput(f"{root} holds no CSV file ({self.tables}). Give --root DIR: {LAYOUT}.")
        for table in tables:
            _read_header(table)
        if next(walk_videos(root, skip=lambda reason, what: None), None) is None:
            raise BadInput(
                f"{root} holds no video file. Give --root DIR: {LAYOUT}. Fetching from the URLs does not exist yet."
            )

    def _list(self) -> Iterator[Clip]:
        root = self.base
        files = _Index(root, self)
        for table in self._csv_files(root):
            columns = _read_header(table)
            for score in sorted(set(SCORES) - set(columns.scores)):
                logger.warning("%s has no column for %s: rules on published.%s find it missing", table, score, score)
            for row in self._rows(table, columns):
                clip = self._clip(row, columns, files)
                if clip is not None:
                    yield clip
        if len(files):
            self.skipped["no_csv_row"] += len(files)

    def _csv_files(self, root: Path) -> list[Path]:
        try:
            found = [path for path in root.glob(self.tables) if path.is_file() and not path.name.startswith(".")]
        except (ValueError, NotImplementedError) as error:  # an empty or an absolute pattern
            raise BadInput(f"tables must be a pattern relative to {root}, got {self.tables!r} ({error}).") from error
        return sorted(found, key=os.fsencode)

    def _rows(self, table: Path, columns: "_Columns") -> Iterator[list[str]]:
        """Yield the well-formed rows of one file, and count the others."""
        with open(table, encoding="utf-8-sig", errors="replace", newline="") as text:
            reader = csv.reader(text)
            next(reader)  # the header
            while True:
                # The limit is the process's, not the reader's: set it each time, other code sets it too.
                csv.field_size_limit(MAX_FIELD_CHARS)
                try:
                    row = next(reader)
                except StopIteration:
                    return
                except csv.Error:  # a field beyond the limit; the reader goes on with the next line
                    self.skip("bad_row", f"{table.name}, line {reader.line_num}")
                    continue
                if len(row) == columns.num and row[columns.video_id]:
                    yield row
                elif row:
                    self.skip("bad_row", f"{table.name}, line {reader.line_num}")

    def _clip(self, row: list[str], columns: "_Columns", files: "_Index") -> Clip | None:
        key = row[columns.video_id]
        if key not in files:
            # Not `skip`: it is the usual case (36 million rows, few clips), and worth no warning.
            self.skipped["duplicate_key" if files.was_taken(key) else "file_missing"] += 1
            return None
        path = files.take(key)
        span = parse_timestamp(row[columns.timestamp])
        if span is None:
            self.skip("bad_timestamp", key)
            return None
        caption = clean_text(row[columns.caption])
        if "\ufffd" in caption:
            self.warn("caption_not_utf8", key)
        published: dict[str, float | str] = {"source_start_s": span[0], "source_end_s": span[1]}
        published["url"] = clean_text(row[columns.url], max_chars=2000)
        for name, index in columns.scores.items():
            score = _number(row[index])
            if score is None:
                self.warn(f"no_{name}", key)
            else:
                published[name] = score
        return Clip(
            clip_id=make_clip_id(self.name, key),
            source=self.name,
            source_key=key,
            source_video=source_video(key),
            path=path,
            caption=caption,
            licence=self.licence,
            group=self.group,
            published=published,
        )


def parse_timestamp(text: str) -> tuple[float, float] | None:
    """Read "['0:12:31.240', '0:12:40.400']" or "['12:31.240', '12:40.400']" as seconds; None if it is not a span.

    The field is a Python literal; it is matched, never evaluated.
    """
    found = _TIMESTAMP.fullmatch(text) if len(text) <= _MAX_TIMESTAMP_CHARS else None
    if found is None:
        return None
    numbers = [float(part or 0) for part in found.groups()]
    start_s, end_s = (round(3600 * h + 60 * m + s, 3) for h, m, s in (numbers[:3], numbers[3:]))
    return (start_s, end_s) if start_s < end_s else None


def source_video(video_id: str) -> str:
    """Return the YouTube id: the videoID without its clip number. Ids may hold "_" themselves."""
    stem, _, number = video_id.rpartition("_")
    return stem if stem and number.isdecimal() else video_id


class _Columns(NamedTuple):
    """Where the columns stand in one CSV file."""

    num: int
    video_id: int
    url: int
    timestamp: int
    caption: int
    scores: dict[str, int]


def _read_header(table: Path) -> _Columns:
    with open(table, encoding="utf-8-sig", errors="replace", newline="") as text:
        try:
            names = [name.strip() for name in next(csv.reader([text.readline(MAX_FIELD_CHARS)]), [])]
        except csv.Error:
            names = []
    missing = [name for name in REQUIRED if name not in names]
    if missing:
        raise BadInput(
            f"{table} lacks the column{'s' * (len(missing) > 1)} {', '.join(missing)}; it begins with "
            f"{', '.join(names)[:120]!r}. Expected a Koala-36M CSV with {', '.join(REQUIRED)}, scores; "
            "choose files with --set source.tables=PATTERN."
        )
    scores = {}
    for score, spelling in SCORES.items():
        found = [index for index, name in enumerate(names) if spelling.fullmatch(name)]
        if found:
            scores[score] = found[0]
    video_id, url, timestamp, caption = (names.index(name) for name in REQUIRED)
    return _Columns(len(names), video_id, url, timestamp, caption, scores)


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


class _Index:
    """Stem -> path of the video files below a folder, about 170 bytes a file. A taken file leaves the index."""

    def __init__(self, root: Path, source: Source) -> None:
        self._places: list[tuple[str, str]] = []  # (folder with slash, suffix): few, shared by all files
        self._files: dict[str, int] = {}  # stem -> number of its place; -1 once taken
        self._left = 0
        numbers: dict[tuple[str, str], int] = {}
        for path in walk_videos(root, skip=source.skip):
            folder, slash, name = path.rpartition("/")
            stem, suffix = os.path.splitext(name)
            if stem in self._files:
                source.skip("duplicate_file", path)
                continue
            place = (folder + slash, suffix)
            if place not in numbers:
                numbers[place] = len(self._places)
                self._places.append(place)
            self._files[stem] = numbers[place]
            self._left += 1

    def __len__(self) -> int:
        """Return how many files no row has taken yet."""
        return self._left

    def __contains__(self, stem: str) -> bool:
        return self._files.get(stem, -1) >= 0

    def was_taken(self, stem: str) -> bool:
        return stem in self._files

    def take(self, stem: str) -> str:
        folder, suffix = self._places[self._files[stem]]
        self._files[stem] = -1
        self._left -= 1
        return f"{folder}{stem}{suffix}"
