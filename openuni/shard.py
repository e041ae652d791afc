"""Shards: WebDataset tars with reproducible bytes, written in one go and read back by offset.

USTAR headers, modification time 0, fixed owner and mode, a sample's members sorted by name: the same samples
give the same bytes on every machine. `webdataset` reads them without this code.
"""

import hashlib
import io
import os
import re
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, NamedTuple

BLOCK = tarfile.BLOCKSIZE  # 512 bytes: every member's header and padded content are multiples of it.
KEY = re.compile(r"[A-Za-z0-9_-]+")
MEMBER = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)*")


class Span(NamedTuple):
    """Where a sample lies in its tar: all its members, headers included."""

    offset: int
    size: int


class TarWriter:
    """Write samples to an open binary file, one after the other."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self._offset = 0

    def add(self, key: str, members: Mapping[str, bytes]) -> Span:
        """Append one sample.

        Args:
            key: the sample's name in every tar; no dots, since WebDataset splits a name at its first dot.
            members: extension ("depth.mkv") -> content.

        Raises:
            ValueError: a key or a member that WebDataset would read differently, or no members.
        """
        if not KEY.fullmatch(key):
            raise ValueError(f"a key has letters, digits, '_' and '-' only, got {key!r}")
        if not members:
            raise ValueError(f"sample {key} has no members")
        start = self._offset
        for name in sorted(members):
            if not MEMBER.fullmatch(name):
                raise ValueError(f"a member's name is lower-case words joined by dots, got {name!r}")
            info = tarfile.TarInfo(f"{key}.{name}")
            info.size, info.mode, info.mtime = len(members[name]), 0o644, 0
            self._write(info.tobuf(tarfile.USTAR_FORMAT))
            self._write(members[name])
            self._write(bytes(-info.size % BLOCK))
        return Span(start, self._offset - start)

    def finish(self) -> str:
        """Write the end of the archive and return the SHA-256 of all of it, 64 hex digits."""
        self._write(bytes(2 * BLOCK))
        self._write(bytes(-self._offset % tarfile.RECORDSIZE))
        return self._hash.hexdigest()

    def _write(self, content: bytes) -> None:
        self._file.write(content)
        self._hash.update(content)
        self._offset += len(content)


def read_sample(path: str | os.PathLike[str], span: Span) -> dict[str, bytes]:
    """Read one sample from a tar by its place.

    Args:
        path: the tar.
        span: as TarWriter.add gave it.

    Returns:
        Extension -> content.

    Raises:
        ValueError: the span does not hold the members of exactly one sample.
    """
    with open(path, "rb") as file:
        file.seek(span.offset)
        content = file.read(span.size)
    if len(content) != span.size:
        raise ValueError(f"{path} ends before byte {span.offset + span.size}: it is not the tar the index was made for")
    return members_of(content, what=f"{path} at byte {span.offset}")[1]


def members_of(content: bytes, *, what: str = "sample") -> tuple[str, dict[str, bytes]]:
    """Take a sample's bytes apart into its key and its members."""
    members: dict[str, bytes] = {}
    keys = set()
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as tar:
            for info in tar:
                key, _, name = Path(info.name).name.partition(".")
                file = tar.extractfile(info) if info.isreg() else None
                if file is None:
                    raise ValueError(f"{what}: {info.name!r} is not a plain file")
                members[name] = file.read()
                keys.add(key)
    except tarfile.TarError as error:
        raise ValueError(f"{what} is not part of a tar ({error})") from error
    if len(keys) != 1:
        raise ValueError(f"{what} holds the members of {len(keys)} samples, expected one")
    return keys.pop(), members
