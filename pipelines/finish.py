"""Finish: the index and the manifest, made from ledgers alone. No shard is opened."""

import json
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from openuni.clip import split_of
from openuni.engine.atomic import replacing, write_bytes
from openuni.engine.job import Job
from openuni.engine.ledger import ledger_path, read_commit
from openuni.pipelines.select import join_ledgers
from openuni.sample import INDEX

MANIFEST = "manifest.json"
MANIFEST_FORMAT = 1


class Finished(NamedTuple):
    """What the finish step found."""

    clips: int
    """Samples in the index."""
    hours: float
    """Their length."""
    modalities: dict[str, Counter[str]]
    """Modality -> "ok" or the reason for its absence -> samples; over all annotated clips that are selected."""
    shards: int
    bytes: int


def finish(out: Path, score: Job, annotate: Job, selected: set[str]) -> Finished:
    """Write index.parquet and manifest.json.

    Args:
        out: the build's folder.
        score: the score pass, for the manifest's fingerprints.
        annotate: the annotate pass, whose ledgers become the index.
        selected: ids of the listed clips that the rules select now; others keep their shards but leave the index.
    """
    index, modalities = _index(annotate, selected)
    with replacing(out / INDEX) as file:
        pq.write_table(index, file)
    shards = _shards(out, annotate)
    manifest = {
        "format": MANIFEST_FORMAT,
        "stages": _stages(score) | _stages(annotate),
        "clips": index.num_rows,
        "modalities": {name: dict(sorted(counts.items())) for name, counts in modalities.items()},
        "shards": shards,
    }
    write_bytes(out / MANIFEST, json.dumps(manifest, indent=2, sort_keys=True).encode() + b"\n")
    seconds = pc.sum(pc.divide(index["rgb.num_frames"], index["rgb.fps"])).as_py() or 0.0
    every = [shard for group in shards.values() for shard in group]
    return Finished(index.num_rows, seconds / 3600, modalities, len(every), sum(shard["bytes"] for shard in every))


def _index(job: Job, selected: set[str]) -> tuple[pa.Table, dict[str, Counter[str]]]:
    """Return the index, one row per sample that has frames, and the counts of each modality's reasons.

    Plan and ledgers list a unit's clips in one order, so their columns are set side by side.
    """
    ledger = join_ledgers(job)
    clips = job.plan.table(sorted(set(ledger["unit"].to_pylist())))
    assert clips["clip_id"].equals(ledger["clip_id"]), "plan and ledgers list other clips"
    listed = pc.if_else(pc.equal(clips["parent_id"], ""), clips["clip_id"], clips["parent_id"])
    chosen = pc.is_in(listed, pa.array(sorted(selected), pa.string()))
    ledger, clips = ledger.filter(chosen), clips.filter(chosen)

    columns: dict[str, Any] = {
        "key": clips["clip_id"],
        "group": clips["group"],
        "split": _splits(clips["source_video"]),
    }
    for word in ("caption", "source", "source_key", "source_video", "licence", "published"):
        columns[word] = clips[word]
    modalities: dict[str, Counter[str]] = {}
    for stage in job.stages:
        if stage.modality is None:
            continue
        status, reason = ledger[f"{stage.name}.status"], ledger[f"{stage.name}.reason"]
        present = pc.equal(status, "ok")
        folder = f"shards/{stage.modality}/{job.fingerprints[stage.name]}/"
        columns[f"{stage.modality}.present"] = present
        columns[f"{stage.modality}.reason"] = reason
        columns[f"{stage.modality}.shard"] = pc.binary_join_element_wise(folder, ledger["unit"], ".tar", "")
        columns[f"{stage.modality}.offset"] = ledger[f"{stage.name}.offset"]
        columns[f"{stage.modality}.size"] = ledger[f"{stage.name}.size"]
        told = pc.is_in(status, pa.array(["absent", "drop"]))  # the reasons of errors are too many to count here
        words = pc.if_else(present, "ok", pc.if_else(told, reason, status))
        counted = pc.value_counts(words.combine_chunks() if hasattr(words, "combine_chunks") else words)
        modalities[stage.modality] = Counter({entry["values"]: entry["counts"] for entry in counted.to_pylist()})
    for stage in job.stages:
        for column in stage.columns:
            columns[f"{stage.name}.{column.name}"] = ledger[f"{stage.name}.{column.name}"]
    index = pa.table(columns)
    return index.filter(index["rgb.present"]), modalities


def _splits(source_videos: pa.ChunkedArray) -> pa.Array:
    """Return the split of each clip; one hash for each source video."""
    encoded = pc.dictionary_encode(source_videos).combine_chunks()
    encoded = encoded.chunk(0) if isinstance(encoded, pa.ChunkedArray) else encoded
    splits = pa.array([split_of(name) for name in encoded.dictionary.to_pylist()], pa.string())
    return splits.take(encoded.indices)


def _stages(job: Job) -> dict[str, Any]:
    """Return what the live ledgers of a pass were made with."""
    return {
        stage.name: {
            "pass": job.name,
            "class": f"{type(stage).__module__}.{type(stage).__qualname__}",
            "expert": stage.expert,
            "version": stage.version,
            "parameters": stage.parameters(),
            "weights_sha256": stage.weights_hash,
            "licence": stage.licence,
            "reads": list(stage.reads),
            "fingerprint": job.fingerprints[stage.name],
        }
        for stage in job.stages
    }


def _shards(out: Path, job: Job) -> dict[str, list[dict[str, Any]]]:
    """Return modality -> its live shards, with SHA-256, size and number of samples."""
    units = [name for name in job.plan.names() if not job.todo(name)]
    shards: dict[str, list[dict[str, Any]]] = {}
    for stage in job.stages:
        if stage.modality is None:
            continue
        for unit in units:
            path = ledger_path(out, stage.name, job.fingerprints[stage.name], unit)
            commit = read_commit(path)
            samples = pq.read_metadata(path).num_rows
            entry = {"path": commit.shard, "sha256": commit.sha256, "bytes": commit.bytes, "clips": samples}
            shards.setdefault(stage.modality, []).append(entry)
    return shards
