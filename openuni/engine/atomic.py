"""Whole files or none: writing beside the final name, then renaming."""

import errno
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from openuni.errors import RunFailed

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
TEMPORARY = ".tmp-"


def is_full(error: BaseException) -> bool:
    """Say whether an error means that the disk (or the quota on it) is full."""
    return isinstance(error, OSError) and error.errno in FULL


@contextmanager
def replacing(path: Path, *, durable: bool = True) -> Iterator[IO[bytes]]:
    """Open a file for writing that gets its name only when all of it is written.

    Args:
        path: final name; folders above it are made.
        durable: flush to the disk before the rename. Off for files that a crash may lose.

    Raises:
        RunFailed: the disk is full; the unfinished file is removed.
    """
    temporary = path.with_name(f".{path.name}{TEMPORARY}{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "wb") as file:
            yield file
            file.flush()
            if durable:
                os.fsync(file.fileno())
        os.replace(temporary, path)
        if durable:
            _sync_folder(path.parent)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if is_full(error):
            raise disk_full(path.parent) from error
        raise


@contextmanager
def replacing_folder(folder: Path) -> Iterator[Path]:
    """Give a new folder that takes the place and name of `folder` only when all of it is written.

    Args:
        folder: final name; folders above it are made. One that is there is replaced.

    Raises:
        RunFailed: the disk is full; what was written is removed.
    """
    building = folder.with_name(f".{folder.name}{TEMPORARY}{os.getpid()}")
    shutil.rmtree(building, ignore_errors=True)
    try:
        building.mkdir(parents=True)
        yield building
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(building, folder)
    except OSError as error:
        if is_full(error):
            raise disk_full(folder.parent) from error
        raise
    finally:
        shutil.rmtree(building, ignore_errors=True)


def write_bytes(path: Path, content: bytes, *, durable: bool = True) -> None:
    """Write a whole file or none. Raises RunFailed on a full disk."""
    with replacing(path, durable=durable) as file:
        file.write(content)


def disk_full(folder: Path) -> RunFailed:
    """Return the error that tells the user about a full disk."""
    return RunFailed(
        f"No space left on the device of {folder}. Free some space (or choose another --out) and run the same "
        "command again: all that was committed is kept."
    )


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's content, 64 hex digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync_folder(folder: Path) -> None:
    """Make a rename inside `folder` durable, where the system allows it."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:  # Windows cannot open folders; the rename is then as durable as the system makes it.
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
