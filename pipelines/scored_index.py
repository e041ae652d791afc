"""Scored index: a build's samples with every score of its filters, experts and checks beside them, one row each."""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from openuni.errors import BadInput
from openuni.pipelines.manifest import read_passes
from openuni.sample import INDEX


def scored_index(build: Path) -> pa.Table:
    """Read index.parquet and add the score pass's columns, which stand in ledgers only.

    Args:
        build: a finished build's folder.

    Returns:
        The index's rows in their order and its columns, then "stage.score" of each filter. A sample that is a window
        has the scores of the clip it was cut from.

    Raises:
        BadInput: there is no finished build.
    """
    passes = read_passes(build)
    path = build / INDEX
    if not path.is_file():
        raise BadInput(f"{path} not found. Run the same `openuni build` again: it makes the index anew.")
    index = pq.read_table(path)
    scores = passes.score.table(passes.score.column_names())
    windows = passes.annotate.plan.table(passes.annotate.committed()).select(["clip_id", "parent_id"])
    listed = pc.if_else(pc.equal(windows["parent_id"], ""), windows["clip_id"], windows["parent_id"])
    parent_of = dict(zip(windows["clip_id"].to_pylist(), listed.to_pylist(), strict=True))
    row_of = {clip_id: row for row, clip_id in enumerate(scores["clip_id"].to_pylist())}
    rows = pa.array([row_of.get(parent_of.get(key, key)) for key in index["key"].to_pylist()], pa.int64())
    for name in passes.score.column_names():
        if name not in index.column_names:
            index = index.append_column(name, scores[name].combine_chunks().take(rows))
    return index
