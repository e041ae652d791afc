"""Files of a build's folder, here or far away: byte ranges by name."""

from pathlib import Path
from typing import IO, Any, Protocol, cast

from openuni.shard import Span


class Files(Protocol):
    """A folder."""

    def exists(self, name: str) -> bool:
        """Whether there is such a file."""

    def open(self, name: str) -> IO[bytes]:
        """Open a file for reading."""

    def read(self, name: str, span: Span) -> bytes:
        """Return the bytes of a span; fewer where the file ends before."""


class LocalFiles:
    """A folder of this machine. Files are opened for each read: any number of processes may."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def exists(self, name: str) -> bool:
        """See Files."""
        return (self._folder / name).is_file()

    def open(self, name: str) -> IO[bytes]:
        """See Files."""
        return (self._folder / name).open("rb")

    def read(self, name: str, span: Span) -> bytes:
        """See Files. Unbuffered: one system call for a span."""
        with (self._folder / name).open("rb", buffering=0) as file:
            file.seek(span.offset)
            parts = []
            left = span.size
            while left and (part := file.read(left)):
                parts.append(part)
                left -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)


class RemoteFiles:
    """A folder behind fsspec: one range request for a span. Make it in the process that uses it."""

    def __init__(self, address: str) -> None:
        import fsspec

        self._fs: Any
        self._fs, self._root = fsspec.core.url_to_fs(address)

    def exists(self, name: str) -> bool:
        """See Files."""
        return bool(self._fs.exists(f"{self._root}/{name}"))

    def open(self, name: str) -> IO[bytes]:
        """See Files."""
        return cast(IO[bytes], self._fs.open(f"{self._root}/{name}", "rb"))

    def read(self, name: str, span: Span) -> bytes:
        """See Files."""
        return bytes(self._fs.cat_file(f"{self._root}/{name}", start=span.offset, end=span.offset + span.size))


def open_folder(address: str) -> Files:
    """Return the files of a folder: a path, or an address with a protocol ("s3://...", "memory://...")."""
    return RemoteFiles(address) if "://" in address else LocalFiles(Path(address))
