"""Folder: video files of the user's own, as a folder, a glob pattern or a list file, with captions beside them."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import ClassVar

from openuni.clip import Clip, make_clip_id
from openuni.errors import BadInput
from openuni.pipelines.sources.base import Source
from openuni.pipelines.sources.files import (
    Skip,
    content_digest,
    file_problem,
    is_build_folder,
    is_video_name,
    walk_videos,
)
from openuni.pipelines.sources.sidecar import BadSpan, Sidecar, read_sidecar

EXPECTED = (
    "a folder with videos (mp4, mkv, webm, mov, avi, m4v, mpg, mpeg, ts), one video, "
    "a pattern ('clips/**/*.mp4'), or a .txt list with one path a line"
)


@dataclass(kw_only=True)
class Folder(Source):
    """Video files, one clip each, or one span of each where a sidecar says so.

    Beside `name.mp4` may lie `name.txt` (the caption) or `name.json` (see `parse_sidecar`). The id of a clip hashes
    its path relative to `base`, its span and its content (see `content_digest`).
    """

    name: ClassVar[str] = "folder"
    default_preset: ClassVar[str] = "basic"

    group: str = "folder"
    sidecars: bool = True
    """False leaves captions and all else beside the videos unread."""

    @property
    def base(self) -> Path:
        """The folder, the list file's folder, or the part of the pattern before its first wildcard."""
        root = self._root()
        if root.is_file():
            return root.parent
        return root if root.is_dir() else _split_pattern(root)[0]

    def check(self) -> None:
        """Find a missing, wrong or empty root.

        Raises:
            BadInput: nothing was given, it is not there, it is none of the forms, or it holds no video.
        """
        root = self._root()
        if root.is_dir() and is_build_folder(set(os.listdir(root))):
            raise BadInput(f"{root} is a folder that `openuni build` wrote, not a source. Pass {EXPECTED}.")
        if next(_keys(root, _ignore), None) is None:
            what = "names no video that exists" if _is_list(root) else "holds no video"
            raise BadInput(f"{root} {what}. Pass {EXPECTED}.")

    def _list(self) -> Iterator[Clip]:
        root, base = self._root(), self.base
        named_twice: set[str] | None = set() if _is_list(root) else None  # folders cannot name a file twice
        for key in _keys(root, self.skip):
            if named_twice is not None:
                if key in named_twice:
                    self.skip("duplicate_key", key)
                    continue
                named_twice.add(key)
            try:
                said = read_sidecar(base / key, warn=self.warn) if self.sidecars else Sidecar()
                yield self._clip(key, said, content_digest(base / key))
            except BadSpan:
                self.skip("bad_span", key)
            except OSError:
                self.skip("unreadable_file", key)

    def _clip(self, key: str, said: Sidecar, digest: str) -> Clip:
        return Clip(
            clip_id=make_clip_id(self.name, key, start_s=said.start_s, end_s=said.end_s, content=digest),
            source=self.name,
            source_key=key,
            source_video=key,
            path=key,
            start_s=said.start_s,
            end_s=said.end_s,
            caption=said.caption,
            licence=said.licence or self.licence,
            group=said.group or self.group,
            published=dict(said.scores),
        )

    def _root(self) -> Path:
        """Return the root if it has one of the known forms."""
        if self.root is None:
            raise BadInput(f"Source 'folder' needs --root PATH: {EXPECTED}.")
        root = Path(self.root)
        if root.is_dir() or _is_list(root) or (root.is_file() and is_video_name(root.name)):
            return root
        if root.exists():
            raise BadInput(f"{root} is neither a video nor a list. Pass {EXPECTED}.")
        if not any(_is_wild(part) for part in root.parts):
            raise BadInput(f"{root} not found. Pass {EXPECTED}.")
        folder = _split_pattern(root)[0]
        if not folder.is_dir():
            raise BadInput(f"{folder}, the start of the pattern {root}, is not a folder. Pass {EXPECTED}.")
        return root


def _keys(root: Path, skip: Skip) -> Iterator[str]:
    """Yield the videos' paths relative to the base, or absolute where they do not lie below it."""
    if root.is_dir():
        yield from walk_videos(root, skip=skip)
    elif _is_list(root):
        yield from _listed(root, skip)
    elif root.is_file():
        reason = file_problem(str(root), root.name)
        if reason:
            skip(reason, root)
        else:
            yield root.name
    else:
        folder, pattern = _split_pattern(root)
        for path in walk_videos(folder, skip=skip, max_depth=None if "**" in pattern else len(pattern)):
            if _matches(path.split("/"), pattern):
                yield path


def _listed(path: Path, skip: Skip) -> Iterator[str]:
    """Yield the videos that a list names: a path a line, relative to the list; # starts a comment line.

    What is named here is taken at its word: hidden files and any suffix.
    """
    base = Path(os.path.abspath(path.parent))
    with open(path, encoding="utf-8-sig", errors="surrogateescape") as file:
        for line in file:
            name = line.strip()
            if not name or name.startswith("#"):
                continue
            whole = Path(os.path.abspath(base / name))
            # A NUL can stand in a text file, but in no path.
            reason = "bad_line" if "\0" in name else file_problem(str(whole), name)
            if reason:
                skip(reason, name)
            else:
                yield (whole.relative_to(base) if whole.is_relative_to(base) else whole).as_posix()


def _is_list(root: Path) -> bool:
    return root.suffix.lower() == ".txt" and root.is_file()


def _is_wild(part: str) -> bool:
    return any(letter in part for letter in "*?[")


def _split_pattern(root: Path) -> tuple[Path, list[str]]:
    """Split "a/b/*/c*.mp4" into the folder a/b and the parts ["*", "c*.mp4"]."""
    first = next(i for i, part in enumerate(root.parts) if _is_wild(part))
    return Path(*root.parts[:first]), list(root.parts[first:])


def _matches(path: list[str], pattern: list[str]) -> bool:
    """Tell whether path parts match pattern parts; "**" stands for any number of folders, also none.

    Own code, since glob and pathlib neither stream in order nor survive link loops.
    """
    if not pattern or not path:
        return not path and not pattern
    if pattern[0] == "**":
        return _matches(path, pattern[1:] or ["*"]) or _matches(path[1:], pattern)
    return fnmatchcase(path[0], pattern[0]) and _matches(path[1:], pattern[1:])


def _ignore(reason: str, what: object) -> None:
    """Stand in for `Source.skip` while only looking whether there is a video."""
