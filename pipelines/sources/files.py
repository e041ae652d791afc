"""Video files below a folder: ordered, streamed, safe against link loops and unreadable entries."""

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

VIDEO_EXTENSIONS = frozenset({".mp4", ".mkv", ".webm", ".mov", ".avi", ".m4v", ".mpg", ".mpeg", ".ts"})
"""Lower case. GIF is left out: 256 dithered colours spoil every expert."""

DIGEST_BYTES = 1 << 20  # ours: an mp4's index lies at its start or end and differs between any two encodings.
_BUILD_MARKS = frozenset({"events.jsonl", "plan", "ledger"})

Skip = Callable[[str, object], None]
"""Called with a reason and a path for each entry that is passed over."""


def is_video_name(name: str) -> bool:
    """Tell whether a file of this name is listed: a known extension, not hidden (nor macOS's "._name.mp4")."""
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in VIDEO_EXTENSIONS


def is_build_folder(names: set[str]) -> bool:
    """Tell from the names in a folder whether `openuni build` wrote it."""
    return "run.json" in names and bool(names & _BUILD_MARKS)


def walk_videos(folder: Path, *, skip: Skip, max_depth: int | None = None) -> Iterator[str]:
    """Yield the video files below a folder, sorted by the bytes of their relative path.

    Only one folder per level is in memory. Links are followed; each folder is entered once, under the first
    name that leads to it, so loops end. Hidden entries and openuni build folders are left out without a count.

    Args:
        folder: where to start.
        skip: told of "name_not_utf8", "unreadable_folder", "folder_twice", "broken_link", "empty_file".
        max_depth: 1 lists only the folder itself. None: no limit.

    Yields:
        Paths relative to `folder`, with forward slashes.
    """
    seen: set[tuple[int, int]] = set()
    stack = [("", _entries(str(folder), skip, seen))]
    while stack:
        prefix, entries = stack[-1]
        entry = next(entries, None)
        if entry is None:
            stack.pop()
        elif _is_folder(entry):
            if max_depth is None or len(stack) < max_depth:
                stack.append((f"{prefix}{entry.name}/", _entries(entry.path, skip, seen)))
        elif is_video_name(entry.name):
            reason = file_problem(entry.path, prefix + entry.name)
            if reason:
                skip(reason, entry.path)
            else:
                yield prefix + entry.name


def _entries(path: str, skip: Skip, seen: set[tuple[int, int]]) -> Iterator[os.DirEntry[str]]:
    """Give a folder's entries in path order; none, and a word to `skip`, if it cannot or need not be read."""
    try:
        status = os.stat(path)
        with os.scandir(path) as scan:
            entries = list(scan)
    except OSError:
        skip("unreadable_folder", path)
        return iter(())
    if (status.st_dev, status.st_ino) in seen:
        skip("folder_twice", path)
        return iter(())
    seen.add((status.st_dev, status.st_ino))
    if is_build_folder({entry.name for entry in entries}):
        return iter(())
    # "a.mp4" sorts before "a/b.mp4" as a path; the slash in the key gives folders that place.
    shown = [entry for entry in entries if not entry.name.startswith(".")]
    return iter(sorted(shown, key=lambda entry: os.fsencode(entry.name) + (b"/" if _is_folder(entry) else b"")))


def file_problem(path: str, name: str) -> str | None:
    """Return why a file cannot become a clip, None if it can.

    Args:
        path: the file.
        name: the name that would go into ledgers, which are UTF-8.
    """
    try:
        name.encode()
    except UnicodeEncodeError:
        return "name_not_utf8"
    try:
        status = os.stat(path)
    except OSError:
        return "broken_link" if os.path.islink(path) else "file_missing"
    if not os.path.isfile(path):
        return "not_a_file"
    return None if status.st_size else "empty_file"


def content_digest(path: Path) -> str:
    """Return 64 hex digits for a file's content: SHA-256 of its size and its first and last DIGEST_BYTES.

    Files up to 2 MiB are hashed whole. A change in the middle of a longer file that keeps its size and both ends
    is not seen; an encoder cannot make one, a hex editor can.

    Raises:
        OSError: the file cannot be read.
    """
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        digest = hashlib.sha256(f"{size}:".encode())
        digest.update(file.read(DIGEST_BYTES))
        file.seek(max(DIGEST_BYTES, size - DIGEST_BYTES))
        digest.update(file.read(DIGEST_BYTES))
    return digest.hexdigest()


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link loop of one link
        return False
