"""Ledgers: what a stage did to each clip of a unit. The ledger's Parquet file is the commit.

One file per (stage, fingerprint, unit), exactly one row per clip of the unit in the unit's order. The shard the
stage wrote, if any, is named in the file's metadata with its SHA-256.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from openuni.clip import Clip
from openuni.engine.atomic import replacing
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
    ("seconds", pa.float64()),
    ("offset", pa.int64()),
    ("size", pa.int64()),
]
"""Columns of every ledger. offset and size: the sample's place in the shard, null where there is none."""

METADATA = b"openuni"


@dataclass
class Row:
    """What one stage did to one clip."""

    status: str
    reason: str = ""
    seconds: float = 0.0
    scores: dict[str, Score] = field(default_factory=dict)
    offset: int | None = None
    size: int | None = None


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
        "seconds": [row.seconds for row in rows],
        "offset": [row.offset for row in rows],
        "size": [row.size for row in rows],
    }
    for column in stage.columns:
        table[f"{stage.name}.{column.name}"] = [row.scores.get(column.name) for row in rows]
    metadata = {METADATA: json.dumps(commit._asdict(), sort_keys=True).encode()}
    with replacing(ledger_path(out, stage.name, commit.fingerprint, commit.unit)) as file:
        pq.write_table(pa.table(table, schema=schema_of(stage, metadata)), file)


def schema_of(stage: Stage, metadata: Mapping[bytes, bytes] | None = None) -> pa.Schema:
    """Return the schema of a stage's ledgers: FIXED, then its score columns."""
    scores = [(f"{stage.name}.{column.name}", _type_of(column)) for column in stage.columns]
    return pa.schema([*FIXED, *scores], metadata=dict(metadata or {}))


def read_commit(path: Path) -> Commit:
    """Read what a ledger file says about its unit, without its rows."""
    return Commit(**json.loads(pq.read_schema(path).metadata[METADATA]))


def read_rows(path: Path, stage: Stage) -> dict[str, Row]:
    """Read one unit's rows: clip_id -> Row."""
    names = [column.name for column in stage.columns]
    rows = {}
    for entry in pq.read_table(path).to_pylist():
        scores = {name: entry[f"{stage.name}.{name}"] for name in names}
        rows[entry["clip_id"]] = Row(
            entry["status"], entry["reason"], entry["seconds"], scores, entry["offset"], entry["size"]
        )
    return rows


def read_ledger(out: Path, stage: Stage, fingerprint: str, units: Iterable[str]) -> tuple[pa.Table, list[Commit]]:
    """Read the ledgers of a stage over the units that are committed.

    Returns:
        The rows in the units' order with a column "unit" added, and each unit's Commit.
    """
    tables, commits = [], []
    for unit in units:
        path = ledger_path(out, stage.name, fingerprint, unit)
        if not path.exists():
            continue
        table = pq.read_table(path)
        commits.append(Commit(**json.loads(table.schema.metadata[METADATA])))
        table = table.replace_schema_metadata(None)
        tables.append(table.append_column("unit", pa.array([unit] * table.num_rows, pa.string())))
    if not tables:
        empty = schema_of(stage).append(pa.field("unit", pa.string())).remove_metadata()
        return empty.empty_table(), []
    return pa.concat_tables(tables), commits


def _type_of(column: Column) -> pa.DataType:
    return {"text": pa.string(), "bool": pa.bool_()}.get(column.unit, pa.float64())
