"""Scratch: the finished clips of a unit that is not committed yet, and the journal of those in flight.

A finished clip is one file, so that a kill loses only clips in flight. The journal tells which clip a dead worker
was working on.
"""

import io
import json
import tarfile
import zlib
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from openuni.engine.atomic import disk_full, is_full, write_bytes
from openuni.engine.ledger import Row

HEADER = "part.json"


@dataclass
class Outcome:
    """What one stage, of one fingerprint, made of one clip."""

    fingerprint: str
    row: Row
    members: dict[str, bytes] = field(default_factory=dict)
    """Shard members, the json among them. Empty for stages without a modality."""
    facts: dict[str, Any] = field(default_factory=dict)
    """What decoding the members needs."""


class Scratch:
    """The folder of one unit's finished clips."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.journal = Journal(folder / "journal")

    def save(self, clip_id: str, outcomes: dict[str, Outcome]) -> None:
        """Keep a finished clip: stage name -> outcome."""
        header: dict[str, Any] = {}
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
            for stage, outcome in outcomes.items():
                sums = {}
                for name, content in outcome.members.items():
                    info = tarfile.TarInfo(f"{stage}/{name}")
                    info.size = len(content)
                    tar.addfile(info, io.BytesIO(content))
                    sums[name] = zlib.crc32(content)
                entry = {"fingerprint": outcome.fingerprint, "row": asdict(outcome.row), "facts": outcome.facts}
                header[stage] = {**entry, "crc32": sums}
            text = json.dumps(header).encode()
            info = tarfile.TarInfo(HEADER)
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text))
        # Not flushed to the disk: a power cut may cost finished clips, which `load` notices by their sums.
        write_bytes(self._path(clip_id), buffer.getvalue(), durable=False)

    def load(self, clip_id: str, stage: str | None = None) -> dict[str, Outcome]:
        """Read a finished clip back.

        Args:
            clip_id: the clip.
            stage: read this stage's members only; the others come without.

        Returns:
            Stage name -> outcome; empty if the clip is not finished or its file is damaged.
        """
        try:
            with tarfile.open(self._path(clip_id), mode="r:") as tar:
                files = {info.name: info for info in tar}
                header = json.loads(_content(tar, files[HEADER]))
                outcomes = {}
                for name, entry in header.items():
                    members = {}
                    for member, crc in entry["crc32"].items() if stage in (None, name) else ():
                        members[member] = _content(tar, files[f"{name}/{member}"])
                        if zlib.crc32(members[member]) != crc:
                            return {}
                    outcomes[name] = Outcome(entry["fingerprint"], Row(**entry["row"]), members, entry["facts"])
                return outcomes
        except (OSError, tarfile.TarError, KeyError, ValueError, TypeError):
            return {}

    def finished(self) -> int:
        """Count the clips kept here."""
        return sum(1 for _ in self.folder.glob("*.part"))

    def remove(self) -> None:
        """Delete the folder; the unit is committed."""
        for path in sorted(self.folder.glob("*")) + sorted(self.folder.glob(".*")):
            path.unlink(missing_ok=True)
        if self.folder.exists():
            self.folder.rmdir()

    def _path(self, clip_id: str) -> Path:
        return self.folder / f"{clip_id}.part"


class Journal:
    """Appended lines "attempt", "start CLIP" and "end CLIP": a start without its end is a death."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def attempt(self) -> int:
        """Note that a worker takes the unit up; return how many have since a clip last came to an orderly end."""
        attempts = 1
        for line in reversed(self._lines()):
            if line.startswith("end"):
                break
            attempts += line == "attempt"
        self._append("attempt\n")
        return attempts

    def start(self, clip_id: str) -> None:
        """Note that work on a clip begins."""
        self._append(f"start {clip_id}\n")

    def end(self, clip_id: str) -> None:
        """Note that work on a clip ended in any orderly way."""
        self._append(f"end {clip_id}\n")

    def deaths(self) -> Counter[str]:
        """Count for each clip how often a worker died (or was killed) while working on it."""
        open_starts: Counter[str] = Counter()
        for line in self._lines():
            word, _, clip_id = line.partition(" ")
            if word == "start":
                open_starts[clip_id] += 1
            elif word == "end":
                # An orderly end also clears the deaths before it: the clip has been proven harmless.
                del open_starts[clip_id]
        return open_starts

    def _lines(self) -> list[str]:
        try:
            return self.path.read_text().splitlines()
        except FileNotFoundError:
            return []

    def _append(self, line: str) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with open(self.path, "ab", buffering=0) as file:
                file.write(line.encode())
        except OSError as error:
            if is_full(error):
                raise disk_full(self.path.parent) from error
            raise


def _content(tar: tarfile.TarFile, info: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(info)
    assert file is not None, f"{info.name} is not a file"
    return file.read()
