"""Clips: the rows of one or several builds that training, or validation, may read; and the leak guard.

Training never reads a source video of the validation split, a scene of the frozen UniBench set, or a source video that
a bench list names. How many clips are left out, and why, is counted.
"""

import hashlib
import logging
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from openuni.errors import BadInput, UnknownName
from openuni.model.data.config import SPLITS, LoaderConfig
from openuni.model.data.files import open_folder
from openuni.model.data.strides import is_strided
from openuni.sample import INDEX
from openuni.table import MODALITIES, RENDERED, load

logger = logging.getLogger(__name__)

GROUPS = {
    "one_person": "single_human",
    "two_people": "two_human",
    "objects": "rendered",
    "refraction": "rendered",
    "camera_only": "rendered",
}
"""Families of rendered scenes -> the group that they count as in balancing; other groups are what the index says. The
paper's are single human, two human, Koala36M and OpenS2V (Fig. 4)."""
TEXTS = ("key", "group", "split", "caption", "source", "source_key", "source_video")
NUMBERS = ("rgb.num_frames", "rgb.fps", "rgb.height_px", "rgb.width_px")
PLACES = (("present", pa.bool_()), ("shard", pa.string()), ("offset", pa.int64()), ("size", pa.int64()))


@dataclass(frozen=True, kw_only=True)
class Clips:
    """What may be read."""

    table: pa.Table
    """One row a clip: key, group, caption, "build" (number of its folder), NUMBERS, and for rgb and each modality
    present, shard, offset, size."""
    modalities: tuple[str, ...]
    present: np.ndarray
    """(N, M) bool: which of the modalities a clip can give, in their order."""
    left_out: Counter[str]
    """Reason -> clips that are not in the table."""

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def row(self, number: int) -> dict[str, Any]:
        """One clip's columns."""
        row: dict[str, Any] = self.table.slice(number, 1).to_pylist()[0]
        return row

    def fingerprint(self) -> str:
        """Return 16 hex digits of what is read: keys, groups and the shards that the maps are in, in their order."""
        digest = hashlib.blake2b(digest_size=8)
        for name in ("key", "group", *(f"{name}.{word}" for name in ("rgb", *self.modalities) for word in ("shard",))):
            digest.update("\n".join(map(str, self.table[name].to_pylist())).encode() + b"\0")
        digest.update(np.packbits(self.present).tobytes())
        return digest.hexdigest()


def read_clips(config: LoaderConfig, split: str = "train") -> Clips:
    """Read the indexes and keep what may be read.

    A key that several builds have is read from the first of them.

    Args:
        config: builds, modalities, num_maps, bench lists.
        split: "train" or "validation".

    Raises:
        BadInput: a folder without an index, a modality nobody has, no clip left, a bench list that is not there.
        UnknownName: no such split.
    """
    if split not in SPLITS:
        raise UnknownName("split", split, SPLITS)
    tables = [_read_index(folder, number) for number, folder in enumerate(config.builds)]
    modalities = _modalities(config, tables)
    table = pa.concat_tables([_with_all(table, modalities) for table in tables]).combine_chunks()
    if not len(table):
        raise BadInput(f"{', '.join(config.builds)}: the index has no clip. Build with rules that keep some.")
    left_out: Counter[str] = Counter()
    for reason, keep in (
        ("other_split", lambda rows: pc.equal(rows["split"], split)),
        ("in_an_earlier_build", _first_of_each_key),
        ("frozen_unibench_scene", lambda rows: pc.invert(_frozen(rows))),
        ("bench_list", lambda rows: pc.invert(_listed(rows, config.bench_lists))),
        ("too_few_modalities", lambda rows: pa.array(_present(rows, modalities, config).sum(1) >= config.num_maps)),
    ):
        kept = table.filter(keep(table))
        if len(kept) < len(table):
            left_out[reason] = len(table) - len(kept)
        table = kept
    if config.groups is not None:
        kept = table.filter(pc.is_in(_grouped(table), pa.array(list(config.groups), pa.string())))
        if len(kept) < len(table):
            left_out["other_group"] = len(table) - len(kept)
        table = kept
    said = ", ".join(f"{count:,} {reason}" for reason, count in left_out.items()) or "none"
    logger.info("%s: %d clips; left out: %s", split, len(table), said)
    if not len(table):
        raise BadInput(f"No clip is left for {split} in {', '.join(config.builds)}. Left out: {said}.")
    present = _present(table, modalities, config)
    table = table.set_column(table.column_names.index("group"), "group", _grouped(table))
    return Clips(table=table, modalities=modalities, present=present, left_out=left_out)


def _grouped(rows: pa.Table) -> pa.Array:
    """The groups that clips count as."""
    return pa.array([GROUPS.get(group, group) for group in rows["group"].to_pylist()], pa.string())


def read_bench_list(path: str) -> set[str]:
    """Read the names of a frozen bench list.

    Raises:
        BadInput: there is no such file, or it names nothing.
    """
    try:
        lines = Path(path).read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"Bench list {path} cannot be read ({error}). Give a text file, one clip a line.") from error
    names = {line.partition("#")[0].strip() for line in lines} - {""}
    if not names:
        raise BadInput(f"Bench list {path} names no clip. Give a key, source_key or source_video a line.")
    return names


def _read_index(folder: str, number: int) -> pa.Table:
    """Read the columns of a build's index that training needs, and "build"."""
    files = open_folder(folder)
    if not files.exists(INDEX):
        raise BadInput(f"{folder} has no {INDEX}. Give the folder of a finished build (openuni build ... --out DIR).")
    with files.open(INDEX) as file:
        index = pq.ParquetFile(file)
        names = index.schema_arrow.names
        places = [f"{name}.{word}" for name in ("rgb", *MODALITIES) for word, _ in PLACES if f"{name}.{word}" in names]
        if missing := [name for name in (*TEXTS, *NUMBERS, "rgb.shard") if name not in names]:
            raise BadInput(f"{folder}/{INDEX} lacks {', '.join(missing)}. Make it anew with this version of openuni.")
        table = index.read(columns=[*TEXTS, *NUMBERS, *places])
    return table.append_column("build", pa.array(np.full(len(table), number, np.int32)))


def _modalities(config: LoaderConfig, tables: Iterable[pa.Table]) -> tuple[str, ...]:
    """Return what to read. A modality nobody has is an error, not a loader that waits for it."""
    have = [
        name
        for name in MODALITIES
        if any(f"{name}.present" in t.column_names and pc.any(t[f"{name}.present"]).as_py() for t in tables)
    ]
    for name in config.modalities or ():
        if name not in have:
            raise BadInput(f"No clip has {name}: {', '.join(config.builds)} have {', '.join(have) or 'no maps'}.")
    return tuple(have if config.modalities is None else config.modalities)


def _with_all(table: pa.Table, modalities: tuple[str, ...]) -> pa.Table:
    """Give a build's table the columns of all modalities, in one order and with one type each."""
    columns: dict[str, Any] = {name: pc.fill_null(table[name].cast(pa.string()), "") for name in TEXTS}
    columns |= {name: table[name].cast(pa.float64()) for name in NUMBERS}
    columns["build"] = table["build"]
    for name in ("rgb", *modalities):
        for word, kind in PLACES:
            place = f"{name}.{word}"
            columns[place] = table[place].cast(kind) if place in table.column_names else pa.nulls(len(table), kind)
        columns[f"{name}.present"] = pc.fill_null(columns[f"{name}.present"], False)
    return pa.table(columns)


def _first_of_each_key(rows: pa.Table) -> pa.Array:
    seen: set[str] = set()
    return pa.array([not (key in seen or seen.add(key)) for key in rows["key"].to_pylist()], pa.bool_())  # type: ignore[func-returns-value]


def _frozen(rows: pa.Table) -> pa.Array:
    """Whether a clip shows a scene of the frozen set, by its source's name for it."""
    is_frozen = load("renderer", RENDERED, "frozen")
    names = zip(rows["source_key"].to_pylist(), rows["source_video"].to_pylist(), strict=True)
    return pa.array([is_frozen(key) or is_frozen(scene) for key, scene in names], pa.bool_())


def _listed(rows: pa.Table, paths: Iterable[str]) -> pa.Array:
    """Whether a bench list names the clip, or any other clip of its source video."""
    names = set().union(*(read_bench_list(path) for path in paths))
    known = pa.array(sorted(names), pa.string())
    hit = pa.array(np.zeros(len(rows), dtype=bool))
    for column in ("key", "source_key", "source_video"):
        hit = pc.or_(hit, pc.is_in(rows[column], known))
    videos = pc.unique(pc.filter(rows["source_video"], hit))
    # An empty source_video says nothing of what belongs together.
    same = pc.and_(pc.is_in(rows["source_video"], videos), pc.not_equal(rows["source_video"], ""))
    return pc.or_(hit, same)


def _present(rows: pa.Table, modalities: tuple[str, ...], config: LoaderConfig) -> np.ndarray:
    """(N, M) bool; flow that would have to be composed counts as absent where it is dropped."""
    present = np.zeros((len(rows), len(modalities)), dtype=bool)
    for place, name in enumerate(modalities):
        present[:, place] = rows[f"{name}.present"].to_numpy(zero_copy_only=False)
        if name == "flow" and config.strided_flow == "drop":
            present[:, place] &= ~is_strided(rows["rgb.fps"].to_numpy(zero_copy_only=False), config.fps)
    return present
