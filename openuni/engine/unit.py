"""Units: frozen lists of clips, planned once and only appended to.

A plan is a folder of Parquet files, one per unit, one row per clip. A clip once planned stays in its unit for
good, so that a unit's shards never change because of what was added or deselected later.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from openuni.clip import Clip
from openuni.engine.atomic import replacing
from openuni.engine.joined import CACHE, count_rows, read_joined

MAX_UNIT_SIZE = 256  # facts of the field: shards of 256 clips at 480p are 1 to 4 GB over all modalities.
AUTO_UNITS = 16  # ours: a small job still makes this many units, so that several workers have something to do.

SCHEMA = pa.schema(
    [
        ("clip_id", pa.string()),
        ("source", pa.string()),
        ("source_key", pa.string()),
        ("source_video", pa.string()),
        ("path", pa.string()),
        ("start_s", pa.float64()),
        ("end_s", pa.float64()),
        ("caption", pa.string()),
        ("licence", pa.string()),
        ("group", pa.string()),
        ("parent_id", pa.string()),
        ("published", pa.string()),
    ]
)


class Unit(NamedTuple):
    """A unit's name (six digits) and its clips, in the order of every shard made from it."""

    name: str
    clips: tuple[Clip, ...]


@dataclass(frozen=True)
class Plan:
    """The units of one pass, kept in a folder."""

    folder: Path

    @property
    def _cache(self) -> Path:
        # Beside the folder of plans: <out>/cache/plan/<pass>.parquet.
        return self.folder.parent.parent / CACHE / "plan" / f"{self.folder.name}.parquet"

    def names(self) -> list[str]:
        """Return the names of all units, in planning order."""
        return sorted(path.stem for path in self.folder.glob("[0-9]*.parquet"))

    def read(self, name: str) -> Unit:
        """Read one unit."""
        rows = pq.ParquetFile(self.folder / f"{name}.parquet").read().to_pylist()
        return Unit(name, tuple(Clip.from_row(row) for row in rows))

    def table(self, names: Iterable[str], columns: Sequence[str] | None = None) -> pa.Table:
        """Read the clips of units as one table, in the order of their names, with a column "unit" added.

        Args:
            names: the units.
            columns: which columns to read; None reads all.
        """
        return read_joined(self.folder, sorted(names), cache=self._cache, schema=SCHEMA, columns=columns).table

    def clip_ids(self) -> list[str]:
        """Return the ids of all planned clips, in planning order."""
        ids: list[str] = self.table(self.names(), ["clip_id"])["clip_id"].to_pylist()
        return ids

    def num_clips(self) -> int:
        """Count the planned clips; no row is read."""
        return count_rows(self.folder, self.names(), cache=self._cache)

    def append(self, clips: Iterable[Clip], *, unit_size: int | None = None) -> list[str]:
        """Freeze the clips that are not planned yet into new units.

        Clips are taken as they come: a source is streamed, never held. The units depend on the clips and on
        `unit_size` alone, not on workers or interruptions.

        Args:
            clips: the clips, planned ones among them are skipped; a repeated id is planned once.
            unit_size: clips per unit. None: MAX_UNIT_SIZE, or fewer so that few clips make AUTO_UNITS units.

        Returns:
            The names of the new units.
        """
        known = set(self.clip_ids())
        first = len(self.names())
        fresh = _without(clips, known)
        if unit_size is None:
            head = list(itertools.islice(fresh, AUTO_UNITS * MAX_UNIT_SIZE))
            unit_size = min(MAX_UNIT_SIZE, max(1, -(-len(head) // AUTO_UNITS)))
            fresh = itertools.chain(head, fresh)
        names = []
        for number, chunk in enumerate(_batched(fresh, unit_size)):
            names.append(f"{first + number:06d}")
            table = pa.Table.from_pylist([clip.to_row() for clip in chunk], schema=SCHEMA)
            with replacing(self.folder / f"{names[-1]}.parquet") as file:
                pq.write_table(table, file)
        return names


def _without(clips: Iterable[Clip], known: set[str]) -> Iterator[Clip]:
    for clip in clips:
        if clip.clip_id not in known:
            known.add(clip.clip_id)
            yield clip


def _batched(clips: Iterator[Clip], size: int) -> Iterator[tuple[Clip, ...]]:
    while chunk := tuple(itertools.islice(clips, size)):
        yield chunk
