"""Joined: the per-unit Parquet files of a folder read as one table, through a cache that is brought up to date.

A million clips are four thousand units, so that a dozen stages make fifty thousand files: opening them takes most of a
minute, reading the same rows from one file a second. The cache holds size and modification time of each file it was
made from, reads only files that are new or changed, and may be deleted at any time.
"""

import json
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from openuni.engine.atomic import replacing

logger = logging.getLogger(__name__)

CACHE = "cache"
"""Folder of an output that may be deleted at any time."""
UNIT = "unit"
"""Column added to every row: the name of its unit."""
INDEX = b"openuni.units"


class Part(NamedTuple):
    """One unit's file, as it was when it was joined."""

    size: int
    mtime_ns: int
    rows: int
    about: str
    """What the file's own metadata say (ledgers: their commit), as text; empty if nothing."""


class Joined(NamedTuple):
    """Rows of several units, and what their files say about themselves."""

    table: pa.Table
    """The rows in the order of the units, with the column "unit"."""
    about: dict[str, str]
    """Unit -> its file's metadata."""


def stamps(folder: Path) -> dict[str, tuple[int, int]]:
    """Return unit -> size and modification time (ns) of its file; empty if the folder is not there."""
    found = {}
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                name, dot, suffix = entry.name.rpartition(".")
                if dot and suffix == "parquet" and not name.startswith("."):
                    status = entry.stat()
                    found[name] = (status.st_size, status.st_mtime_ns)
    except FileNotFoundError:
        return {}
    return found


def read_joined(
    folder: Path,
    units: Sequence[str],
    *,
    cache: Path,
    schema: pa.Schema,
    metadata_key: bytes = b"",
    columns: Sequence[str] | None = None,
) -> Joined:
    """Read the files of units as one table.

    Args:
        folder: holds <unit>.parquet.
        units: the units wanted, sorted; those without a file are left out.
        cache: where the joined table of all units of the folder is kept.
        schema: of one file. Columns that an older file lacks are null.
        metadata_key: which metadata of a file is kept as its `about`.
        columns: which columns to read; None reads all.
    """
    there = stamps(folder)
    wanted = [unit for unit in units if unit in there]
    names = [*(schema.names if columns is None else columns), UNIT]
    parts = _parts(cache)
    if {unit: (part.size, part.mtime_ns) for unit, part in parts.items()} == there:
        table = pq.read_table(cache, columns=names) if there else None
    else:
        table, parts = _refresh(folder, there, cache, parts, schema, metadata_key)
        table = table.select(names)
    if table is None:
        table = schema.append(pa.field(UNIT, pa.string())).empty_table().select(names)
    if len(wanted) < len(there):
        table = table.filter(pc.is_in(table[UNIT], pa.array(wanted, pa.string())))
    return Joined(table.replace_schema_metadata(None), {unit: parts[unit].about for unit in wanted})


def count_rows(folder: Path, units: Sequence[str], *, cache: Path) -> int:
    """Count the rows of the files of units from Parquet metadata alone: the cache's, or a file's own if it is newer.

    Args:
        folder: as in `read_joined`.
        units: the units wanted; those without a file count as 0.
        cache: as in `read_joined`; it is not brought up to date.
    """
    there, parts, rows = stamps(folder), _parts(cache), 0
    for unit in there.keys() & set(units):
        part = parts.get(unit)
        if part is not None and (part.size, part.mtime_ns) == there[unit]:
            rows += part.rows
        else:
            rows += pq.read_metadata(folder / f"{unit}.parquet").num_rows
    return rows


def _parts(cache: Path) -> dict[str, Part]:
    """Return what a cache holds, in the order of its rows; empty if there is none or it cannot be read."""
    try:
        metadata = pq.read_schema(cache).metadata or {}
        return {unit: Part(*values) for unit, *values in json.loads(metadata.get(INDEX, b"[]"))}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, pa.ArrowException):  # made by another version, or damaged
        return {}


def _refresh(
    folder: Path,
    there: Mapping[str, tuple[int, int]],
    cache: Path,
    parts: Mapping[str, Part],
    schema: pa.Schema,
    metadata_key: bytes,
) -> tuple[pa.Table, dict[str, Part]]:
    """Join all files of a folder: unchanged ones from the cache, the others anew."""
    kept = {}
    if any((part.size, part.mtime_ns) == there.get(unit) for unit, part in parts.items()):
        old, row = pq.read_table(cache), 0
        for unit, part in parts.items():
            if (part.size, part.mtime_ns) == there.get(unit):
                kept[unit] = old.slice(row, part.rows)
            row += part.rows
    full = schema.append(pa.field(UNIT, pa.string())).remove_metadata()
    tables, joined = [], {}
    for unit in sorted(there):
        if unit in kept:
            part, table = parts[unit], kept[unit].replace_schema_metadata(None)
        else:
            table = pq.ParquetFile(folder / f"{unit}.parquet").read()
            about = (table.schema.metadata or {}).get(metadata_key, b"").decode()
            part = Part(*there[unit], table.num_rows, about)
            table = table.replace_schema_metadata(None).append_column(UNIT, pa.array([unit] * table.num_rows))
        tables.append(table)
        joined[unit] = part
    whole = pa.concat_tables([full.empty_table(), *tables], promote_options="default").select(full.names)
    _write(cache, whole, joined)
    return whole, joined


def _write(cache: Path, table: pa.Table, parts: Mapping[str, Part]) -> None:
    text = json.dumps([[unit, *part] for unit, part in parts.items()])
    try:
        with replacing(cache, durable=False) as file:
            pq.write_table(table.replace_schema_metadata({INDEX: text.encode()}), file, compression="zstd")
    except OSError as error:  # a dataset on a read-only disk can still be looked at
        logger.debug("cannot keep %s", cache, exc_info=error)
