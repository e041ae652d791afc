"""Records: one Parquet row for each number about each sample. Tables, intervals and reports derive from them."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from openuni.engine.atomic import replacing

RECORDS = "records.parquet"


class Record(NamedTuple):
    """One number about one sample."""

    suite: str
    """Which benchmark: "annotators", "unibench-est", "unibench-gen"."""
    task: str
    """What was asked: "est" (a map from RGB), "cond" (RGB from a map), "joint" (both from text), "text" (RGB)."""
    modality: str
    """Of the map; "rgb" where there is none."""
    system: str
    """Who answered: the annotator's or the model's name."""
    sample: str
    """The clip."""
    cluster: str
    """What is drawn together in the bootstrap: the scene of a rendered clip, the prompt of a generated one."""
    family: str
    """The clip's scene family."""
    seed: int
    """Which of a sample's generations: 0, 1, ..."""
    metric: str
    protocol: str
    value: float | None
    """None: undefined or absent; the flags say why."""
    valid: int
    """How many pixels, instances or people the value is over."""
    flags: str
    """Words joined by spaces: absent:REASON, inverted, constant, unusable:N, nothing_to_score."""


def schema() -> Any:
    """Return the records' pyarrow schema."""
    import pyarrow as pa

    kinds = {"seed": pa.int64(), "value": pa.float64(), "valid": pa.int64()}
    return pa.schema([(name, kinds.get(name, pa.string())) for name in Record._fields])


def write_records(path: Path, records: Iterable[Record]) -> None:
    """Write records, whole or not at all."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pylist([record._asdict() for record in records], schema=schema())
    with replacing(path) as file:
        pq.write_table(table, file)


def read_records(path: Path) -> list[Record]:
    """Read what `write_records` wrote."""
    import pyarrow.parquet as pq

    return [Record(**row) for row in pq.read_table(path, schema=schema()).to_pylist()]
