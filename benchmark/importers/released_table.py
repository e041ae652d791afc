"""The table of the released UniBench: CSV files beside videos, columns found by their headers, never by their place.

Hugging Face lists KlingTeam/UniBench as CSV and videos; its column names are not published, so the names are those of
the released training code (video, prompt and one column a modality, flow called raft) and what is commonly used.
Paths in a table are data from elsewhere: they lead to files under the folder, or nowhere.
"""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from openuni.errors import BadInput, first_line
from openuni.generator import RGB

CAPTION = "caption"
COLUMNS = {
    RGB: ("video", "path", "rgb", "file", "filename"),
    CAPTION: ("prompt", "caption", "text"),
    "depth": ("depth",),
    "flow": ("flow", "raft", "opticalflow"),
    "densepose": ("densepose",),
    "skeleton": ("skeleton", "pose", "keypoints"),
    "segmentation": ("segmentation", "seg", "mask", "masks"),
}
"""What a column is -> its names, without case, spaces and signs, and with or without "path", "video" or "file"."""
ENDINGS = ("path", "video", "file")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One clip of a table."""

    name: str
    """Safe as a file's name, another one for each row, also where case does not count."""
    caption: str
    rgb: Path | None
    maps: dict[str, Path] = field(default_factory=dict)
    """Modality -> its file or folder; only those that are there."""
    lacks: dict[str, str] = field(default_factory=dict)
    """Modality or "rgb" -> path_outside or file_missing."""


def table_files(root: Path) -> list[Path]:
    """Return the CSV files of a folder, and of the folders in it, whose header has a video and more than that."""
    files = [root] if root.suffix.lower() == ".csv" else sorted((*root.glob("*.csv"), *root.glob("*/*.csv")))
    return [path for path in files if path.is_file() and _is_table(path)]


def read_rows(root: Path) -> Iterator[Row]:
    """Yield the rows of all tables of a folder; a clip that stands twice is given once, with the maps of both.

    Raises:
        BadInput: there is no table, or one cannot be read.
    """
    files = table_files(root)
    if not files:
        raise BadInput(f"{root} has no .csv with a column {' or '.join(COLUMNS[RGB][:3])} and one of "
                       f"{', '.join(name for name in COLUMNS if name != RGB)}.")  # fmt: skip
    folder = root if root.is_dir() else root.parent
    found: dict[str, Row] = {}
    for path in files:
        for row in _rows(path, folder):
            before = found.get(row.name)
            if before is not None:
                maps = {**before.maps, **row.maps}
                lacks = {key: why for key, why in {**before.lacks, **row.lacks}.items() if key not in maps}
                row = Row(name=row.name, caption=before.caption or row.caption, rgb=row.rgb, maps=maps, lacks=lacks)
            found[row.name] = row
    yield from found.values()


def _is_table(path: Path) -> bool:
    try:
        with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
            columns = columns_of(next(csv.reader(file), []))
    except (OSError, csv.Error, BadInput):
        return False
    return RGB in columns and len(columns) > 1


def columns_of(header: list[str]) -> dict[str, int]:
    """Return what the columns of a header are -> their place; unknown ones are left out.

    Raises:
        BadInput: two columns are the same thing.
    """
    found: dict[str, int] = {}
    for place, name in enumerate(header):
        plain = re.sub(r"[^a-z]", "", name.lower())
        forms = {plain, *(plain.removesuffix(ending) for ending in ENDINGS)}
        kinds = [kind for kind, names in COLUMNS.items() if forms & set(names) or plain in names]
        # "depth_video" is depth, not the video.
        kinds = [kind for kind in kinds if kind != RGB] or kinds
        if not kinds:
            continue
        if kinds[0] in found:
            raise BadInput(f"two columns are the {kinds[0]}: {header[found[kinds[0]]]!r} and {name!r}")
        found[kinds[0]] = place
    return found


def _rows(path: Path, root: Path) -> Iterator[Row]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            columns = columns_of(next(reader))
            for cells in reader:
                given = {kind: cells[place].strip() for kind, place in columns.items() if place < len(cells)}
                if given.get(RGB):
                    yield _row(given, path.parent, root)
    except (OSError, UnicodeDecodeError, csv.Error, BadInput) as error:
        raise BadInput(f"{path} cannot be read: {first_line(error)}.") from error


def _row(given: dict[str, str], beside: Path, root: Path) -> Row:
    files: dict[str, Path] = {}
    lacks: dict[str, str] = {}
    for kind, text in given.items():
        if kind == CAPTION or not text:
            continue
        place, why = find_inside(root, beside, text)
        if place is None:
            lacks[kind] = why
        else:
            files[kind] = place
    rgb = files.pop(RGB, None)
    return Row(name=row_name(given[RGB]), caption=given.get(CAPTION, ""), rgb=rgb, maps=files, lacks=lacks)


def row_name(text: str) -> str:
    """Return a clip's name for the path of its video: the file's stem, made safe, and a hash of the whole path."""
    import hashlib

    stem = re.sub(r"[^A-Za-z0-9_-]+", "_", _parts(text)[-1].rpartition(".")[0] if _parts(text) else "")[:60]
    return f"{stem or 'clip'}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def find_inside(root: Path, beside: Path, text: str) -> tuple[Path | None, str]:
    """Find a table's path under the folder: beside the table, from the folder, or by the longest end that is there.

    Args:
        root: the folder; nothing outside it is returned, whatever the path or a link says.
        beside: the table's folder.
        text: the path, possibly one of the machine that wrote the table.

    Returns:
        The path, or None and path_outside or file_missing.
    """
    parts, outside = _parts(text), False
    if ".." in parts:
        return None, "path_outside"
    for first in range(len(parts)):
        for base in dict.fromkeys((beside, root)):
            place = base.joinpath(*parts[first:])
            if place.exists():
                if place.resolve().is_relative_to(root.resolve()):
                    return place, ""
                outside = True
    return None, "path_outside" if outside else "file_missing"


def _parts(text: str) -> list[str]:
    return [part for part in re.split(r"[/\\]+", text) if part and part != "." and not part.endswith(":")]
