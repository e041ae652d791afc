"""Manifest: what a finished build holds: its live stages, its decision, and the SHA-256 of every live shard."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from openuni.engine.atomic import write_bytes
from openuni.engine.record import PassRecord, StageRecord
from openuni.errors import BadInput

MANIFEST = "manifest.json"
MANIFEST_FORMAT = 2


class Passes(NamedTuple):
    """A build's two passes, as they were last finished."""

    score: PassRecord
    annotate: PassRecord


def shards_of(annotate: PassRecord) -> dict[str, list[dict[str, Any]]]:
    """Return modality -> its live shards, with SHA-256, size and number of samples."""
    units = annotate.committed()
    return {
        stage.modality: [
            {"path": commit.shard, "sha256": commit.sha256, "bytes": commit.bytes, "clips": clips}
            for commit, clips in annotate.commits(stage, units)
        ]
        for stage in annotate.stages
        if stage.modality is not None
    }


def write_manifest(passes: Passes, shards: Mapping[str, Any], **facts: Any) -> None:
    """Write manifest.json.

    Args:
        passes: the live stages.
        shards: see `shards_of`.
        facts: more JSON-able entries.
    """
    stages = {record.name: [stage.to_json() for stage in record.stages] for record in passes}
    manifest = {"format": MANIFEST_FORMAT, "passes": stages, "shards": shards, **facts}
    content = json.dumps(manifest, indent=2, sort_keys=True, default=str).encode() + b"\n"
    write_bytes(passes.score.out / MANIFEST, content)


def read_passes(out: Path) -> Passes:
    """Read the live stages of a finished build.

    Raises:
        BadInput: there is no finished build, or it was made by another version.
    """
    path = out / MANIFEST
    try:
        manifest = json.loads(path.read_text())
        if manifest["format"] != MANIFEST_FORMAT:
            raise BadInput(
                f"{path} has format {manifest['format']}, this version reads {MANIFEST_FORMAT}. "
                "Run the same `openuni build` again: it keeps what is done."
            )
        passes = manifest["passes"]
        records = (
            PassRecord(name, out, tuple(StageRecord.from_json(stage) for stage in passes[name]))
            for name in ("score", "annotate")
        )
        return Passes(*records)
    except FileNotFoundError as error:
        raise BadInput(
            f"{path} not found. Give the folder of a finished build (openuni build ... --out DIR)."
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{path} is no manifest of a build ({error}). Run the same `openuni build` again.") from error
