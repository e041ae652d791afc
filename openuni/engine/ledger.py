"""Ledgers: what a stage did to each clip of a unit. The ledger's Parquet file is the commit.

One file per (stage, fingerprint, unit), exactly one row per clip of the unit in the unit's order. The shard the
stage wrote, if any, is named in the file's metadata with its SHA-256.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from openuni.clip import Clip
from openuni.engine.atomic import replacing
from openuni.engine.joined import CACHE, read_joined
from openuni.engine.stage import Column, Score, Stage

STATUSES = ("ok", "absent", "drop", "error", "crash")
"""ok: done. absent: this stage has nothing for the clip. drop: the clip is unusable. error: the stage raised.
crash: the process died on the clip, twice."""

FIXED = [
    ("clip_id", pa.string()),
    ("source", pa.string()),
    ("source_key", pa.string()),
    ("source_video", pa.string()),
    ("group", pa.string()),
    ("status", pa.string()),
    ("reason", pa.string()),
    ("error", pa.string()),
    ("seconds", pa.float64()),
    ("offset", pa.int64()),
    ("size", pa.int64()),
]
"""Columns of every ledger. error: which file of `_errors/` holds the traceback, empty but for status "error". offset
and size: the sample's place in the shard, null where there is none."""

METADATA = b"openuni"


class Described(Protocol):
    """What reading ledgers needs to know of a stage: a Stage or a StageRecord."""

    @property
    def name(self) -> str:
        """Name of the stage."""
        ...

    @property
    def columns(self) -> tuple[Column, ...]:
        """Its scores."""
        ...


@dataclass
class Row:
    """What one stage did to one clip."""

    status: str
    reason: str = ""
    seconds: float = 0.0
    scores: dict[str, Score] = field(default_factory=dict)
    offset: int | None = None
    size: int | None = None
    error: str = ""
    """Name of the error's traceback in the ledger's folder, see `error_path`."""


class Commit(NamedTuple):
    """What a ledger file says about its unit besides the rows."""

    stage: str
    fingerprint: str
    unit: str
    shard: str | None
    """Path of the shard relative to the output folder."""
    sha256: str | None
    bytes: int


def ledger_path(out: Path, stage: str, fingerprint: str, unit: str) -> Path:
    """Return where the ledger of a stage and a unit stands."""
    return out / "ledger" / stage / fingerprint / f"{unit}.parquet"


def error_path(out: Path, stage: str, fingerprint: str, error: str) -> Path:
    """Return where the traceback of a distinct error of a stage stands."""
    return out / "ledger" / stage / fingerprint / "_errors" / f"{error}.txt"


def shard_path(out: Path, modality: str, fingerprint: str, unit: str) -> Path:
    """Return where the shard of a modality and a unit stands."""
    return out / "shards" / modality / fingerprint / f"{unit}.tar"


def write_ledger(out: Path, stage: Stage, commit: Commit, clips: Sequence[Clip], rows: Sequence[Row]) -> None:
    """Write a unit's ledger: the commit of (stage, unit)."""
    assert len(clips) == len(rows), f"{len(rows)} rows for {len(clips)} clips"
    table: dict[str, list[Any]] = {
        "clip_id": [clip.clip_id for clip in clips],
        "source": [clip.source for clip in clips],
        "source_key": [clip.source_key for clip in clips],
        "source_video": [clip.source_video for clip in clips],
        "group": [clip.group for clip in clips],
        "status": [row.status for row in rows],
        "reason": [row.reason for row in rows],
        "error": [row.error for row in rows],
        "seconds": [row.seconds for row in rows],
        "offset": [row.offset for row in rows],
        "size": [row.size for row in rows],
    }
    for column in stage.columns:
        table[f"{stage.name}.{column.name}"] = [row.scores.get(column.name) for row in rows]
    metadata = {METADATA: json.dumps(commit._asdict(), sort_keys=True).encode()}
    with replacing(ledger_path(out, stage.name, commit.fingerprint, commit.unit)) as file:
        pq.write_table(pa.table(table, schema=schema_of(stage, metadata)), file)


def schema_of(stage: Described, metadata: Mapping[bytes, bytes] | None = None) -> pa.Schema:
    """Return the schema of a stage's ledgers: FIXED, then its score columns."""
    scores = [(f"{stage.name}.{column.name}", _type_of(column)) for column in stage.columns]
    return pa.schema([*FIXED, *scores], metadata=dict(metadata or {}))


def read_rows(path: Path, stage: Stage) -> dict[str, Row]:
    """Read one unit's rows: clip_id -> Row."""
    names = [column.name for column in stage.columns]
    rows = {}
    for entry in pq.read_table(path).to_pylist():
        scores = {name: entry[f"{stage.name}.{name}"] for name in names}
        fixed = {name: entry[name] for name in ("status", "reason", "seconds", "offset", "size", "error")}
        rows[entry["clip_id"]] = Row(scores=scores, **fixed)
    return rows


def read_ledger(
    out: Path, stage: Described, fingerprint: str, units: Sequence[str], *, columns: Sequence[str] | None = None
) -> tuple[pa.Table, list[Commit]]:
    """Read the ledgers of a stage over the units that are committed.

    Args:
        out: the output folder.
        stage: the stage, or its record.
        fingerprint: of the stage.
        units: sorted names.
        columns: which columns to read; None reads all.

    Returns:
        The rows in the units' order with a column "unit" added, and each unit's Commit.
    """
    folder = ledger_path(out, stage.name, fingerprint, "x").parent
    cache = out / CACHE / "ledger" / f"{stage.name}-{fingerprint}.parquet"
    joined = read_joined(folder, units, cache=cache, schema=schema_of(stage), metadata_key=METADATA, columns=columns)
    return joined.table, [Commit(**json.loads(text)) for text in joined.about.values()]


def _type_of(column: Column) -> pa.DataType:
    return {"text": pa.string(), "bool": pa.bool_()}.get(column.unit, pa.float64())
