"""Finish: the index, made from ledgers alone. No shard is opened."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from openuni.clip import split_of
from openuni.engine.atomic import replacing
from openuni.engine.record import WHAT, PassRecord
from openuni.pipelines.accept import Verdict, judge_all
from openuni.pipelines.captions import caption_columns, caption_writers
from openuni.pipelines.select import counted
from openuni.rule import Rule
from openuni.sample import INDEX

TOLD = ("ok", "absent", "drop")
"""Statuses whose reasons are few words; those of errors and crashes are counted together."""


class Annotated(NamedTuple):
    """The annotated clips that the rules select now."""

    ledger: pa.Table
    """PassRecord.table of the annotate pass."""
    clips: pa.Table
    """The plan's rows of the same clips, in the same order."""
    verdicts: dict[str, Verdict]
    """Modality -> which of these clips have it, and why the others do not."""
    statuses: pa.Table
    """WHAT of every stage for every annotated clip, selected or not."""
    waiting: int
    """Listed clips that the rules select and that are not annotated yet."""


class Finished(NamedTuple):
    """What the finish step found."""

    clips: int
    """Samples in the index."""
    hours: float
    """Their length."""
    captions: Counter[str]
    """Who wrote the samples' captions: "source", the model asked, or "" for those without one -> samples."""
    modalities: dict[str, Counter[str]]
    """Modality -> "ok" or the reason for its absence -> samples; over all annotated clips that are selected."""


def annotated(annotate: PassRecord, selected: pa.Array, rules: Mapping[str, Sequence[Rule]]) -> Annotated:
    """Read the annotate pass and apply the decision to it.

    Args:
        annotate: the annotate pass.
        selected: ids of the listed clips that the rules select now.
        rules: modality -> acceptance rules.
    """
    units = annotate.committed()
    ledger, clips = annotate.table(units=units), annotate.plan.table(units)
    assert clips["clip_id"].equals(ledger["clip_id"]), "plan and ledgers list other clips"
    listed = pc.if_else(pc.equal(clips["parent_id"], ""), clips["clip_id"], clips["parent_id"])
    chosen = pc.is_in(listed, selected)
    waiting = len(selected) - (pc.sum(pc.is_in(selected, listed.combine_chunks())).as_py() or 0)
    statuses = ledger.select([f"{stage.name}:{name}" for stage in annotate.stages for name in WHAT])
    ledger, clips = ledger.filter(chosen), clips.filter(chosen)
    return Annotated(ledger, clips, judge_all(ledger, annotate.stages, rules), statuses, waiting)


def finish(annotate: PassRecord, there: Annotated) -> Finished:
    """Write index.parquet: one row per sample that has frames.

    Clips that are not selected keep their shards but have no row. A map that is not accepted keeps its bytes, and is
    absent in its clip's row.
    """
    ledger, clips, verdicts = there.ledger, there.clips, there.verdicts
    columns: dict[str, Any] = {
        "key": clips["clip_id"],
        "group": clips["group"],
        "split": _splits(clips["source_video"]),
    }
    columns |= caption_columns(annotate, ledger, clips)
    for word in ("source", "source_key", "source_video", "licence", "published"):
        columns[word] = clips[word]
    modalities: dict[str, Counter[str]] = {}
    for stage in annotate.stages:
        if stage.modality is None:
            continue
        present, reason, _ = verdicts[stage.modality]
        folder = f"shards/{stage.modality}/{stage.fingerprint}/"
        columns[f"{stage.modality}.present"] = present
        columns[f"{stage.modality}.reason"] = reason
        columns[f"{stage.modality}.shard"] = pc.binary_join_element_wise(folder, ledger["unit"], ".tar", "")
        columns[f"{stage.modality}.offset"] = ledger[f"{stage.name}:offset"]
        columns[f"{stage.modality}.size"] = ledger[f"{stage.name}:size"]
        status = ledger[f"{stage.name}:status"]
        words = pc.if_else(pc.is_in(status, pa.array(TOLD)), reason, status)
        modalities[stage.modality] = counted(pc.if_else(present, "ok", words))
    for name in annotate.column_names():
        columns[name] = ledger[name]
    index = pa.table(columns)
    index = index.filter(index["rgb.present"])
    with replacing(annotate.out / INDEX) as file:
        pq.write_table(index, file, compression="zstd")
    seconds = pc.sum(pc.divide(index["rgb.num_frames"], index["rgb.fps"])).as_py() or 0.0
    return Finished(index.num_rows, seconds / 3600, caption_writers(index), modalities)


def _splits(source_videos: pa.ChunkedArray) -> pa.Array:
    """Return the split of each clip; one hash for each source video."""
    encoded = pc.dictionary_encode(source_videos).combine_chunks()
    encoded = encoded.chunk(0) if isinstance(encoded, pa.ChunkedArray) else encoded
    splits = pa.array([split_of(name) for name in encoded.dictionary.to_pylist()], pa.string())
    return splits.take(encoded.indices)
