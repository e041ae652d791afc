"""A released UniBench as data of a bench: what suites can use of it, brought beside the bench's output.

OUT-data/released-HASH/
    clips/      rows with depth or flow as numbers, or masks: samples of estimation (released.py)
    samples/    every row with its caption and the maps that can be read: samples of generation (curate/frozen_set.py)
"""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from openuni.benchmark.curate.expressions import Object, objects_of
from openuni.benchmark.curate.frozen_set import MANIFEST, first_masks, read_manifest, write_manifest, write_sample
from openuni.benchmark.importers.job import import_run, make_importer
from openuni.benchmark.importers.released import read_clip_frames
from openuni.benchmark.importers.released_table import Row, read_rows, table_files
from openuni.benchmark.preds.maps import Reading, read_prediction_map
from openuni.benchmark.synth.files import CLIPS
from openuni.engine.atomic import sha256_of
from openuni.engine.run import Engine
from openuni.errors import BadInput, first_line
from openuni.modality import Map, codec
from openuni.sample import json_member
from openuni.table import MODALITIES

SOURCE = "released"
LICENCE = "apache-2.0"  # of KlingTeam/UniBench, as Hugging Face lists it
MAX_FRAMES = 81  # Wan's clip; a row's first frames at its own rate
RENDERING = "paper"
MIN_SIDE_PX = 16
VERSION = 1
"""Raise it when the same rows give other samples."""


def is_released(data: Path) -> bool:
    """Whether a folder is a released UniBench: a table, and nothing of ours."""
    ours = (data / CLIPS).is_dir() or (data / MANIFEST).is_file() or (data / "index.parquet").is_file()
    return data.is_dir() and not ours and bool(table_files(data))


class Brought(NamedTuple):
    """What was brought beside a bench's output."""

    folder: Path
    """For suites."""
    failed: Counter[str]
    """Reason -> rows that cannot be used."""
    no_estimation: str
    """Why there are no samples of estimation; empty: there are."""


def released_data(data: Path, out: Path, *, limit: int | None, engine: Engine) -> Brought:
    """Bring what suites can use beside a bench's output, unless it is there.

    Args:
        data: the released folder.
        out: the bench's output folder.
        limit: use only the first rows; None: all.
        engine: what imports.

    Raises:
        BadInput: no row can be used.
    """
    tables = {path.relative_to(data).as_posix(): sha256_of(path) for path in table_files(data)}
    told = {"version": VERSION, "tables": tables, "rendering": RENDERING, "limit": limit}
    digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:8]
    folder = out.with_name(f"{out.name}-data") / f"{SOURCE}-{digest}"
    why = ""
    try:
        import_run(make_importer(SOURCE, data), folder, engine, limit=limit)
    except BadInput as error:  # told: there may be samples of generation
        why = first_line(error)
    return Brought(folder, freeze_rows(data, folder, limit=limit, told=told), why)


def freeze_rows(data: Path, folder: Path, *, limit: int | None, told: Mapping[str, Any]) -> Counter[str]:
    """Write rows as samples of generation, one after the other; what is there and whole is kept.

    Returns:
        Reason -> rows that cannot be used.

    Raises:
        BadInput: no row can be used.
    """
    if (folder / MANIFEST).is_file():
        there = read_manifest(folder)
        if there.get("source") == told:
            return Counter(there["failed"])
    listed: list[dict[str, str]] = []
    failed: Counter[str] = Counter()
    for number, row in enumerate(read_rows(data)):
        if limit is not None and number == limit:
            break
        try:
            members, about, masks = _sample(row)
        except BadInput as error:
            failed[first_line(error).replace(str(data), "DATA")] += 1
            continue
        listed.append({"sample": row.name, "sha256": write_sample(folder, row.name, members, about, masks)})
    if not listed:
        reason = failed.most_common(1)[0][0] if failed else "it has no rows"
        raise BadInput(f"{data} has no row that can be used: {reason}.")
    write_manifest(folder, {"source": dict(told), "samples": listed, "failed": dict(failed)})
    return failed


def _sample(row: Row) -> tuple[dict[str, dict[str, bytes]], dict[str, Any], dict[int, np.ndarray]]:
    """A row's members, sample.json and first masks."""
    if row.rgb is None:
        raise BadInput(f"video {row.lacks.get('rgb', 'file_missing')}")
    frames, fps = read_clip_frames(row.rgb, None, at_most=MAX_FRAMES)
    frames = frames[:, : frames.shape[1] // 2 * 2, : frames.shape[2] // 2 * 2]  # what H.264's colour planes hold
    if min(frames.shape[1:3]) < MIN_SIDE_PX or fps is None:
        raise BadInput("video is smaller than 16 px, or of no known rate")
    rgb = Map(data=frames, facts={"times_s": [number / fps for number in range(len(frames))], "fps": fps})
    maps: dict[str, Map] = {}
    absent = {name: row.lacks.get(name, "not_in_table") for name in MODALITIES if name not in row.maps}
    for name in MODALITIES:
        if name in row.maps:
            try:
                maps[name] = _map(row.maps[name], name, frames)
            except BadInput as error:
                absent[name] = first_line(error).replace(str(row.maps[name]), row.maps[name].name)
    objects: list[Object] = objects_of(maps["segmentation"].data, frames, {}) if "segmentation" in maps else []
    about = {
        "source": SOURCE, "source_key": row.name, "source_video": row.name, "licence": LICENCE, "group": "",
        "split": "test", "caption": row.caption, "num_frames": len(frames), "height": frames.shape[1],
        "width": frames.shape[2], "fps": fps, "people": None, "cell": "",
        "modalities": {name: {"expert": SOURCE} for name in maps}, "absent": absent,
        "objects": [one._asdict() for one in objects],
    }  # fmt: skip
    members = {name: _members(name, map) for name, map in {"rgb": rgb, **maps}.items()}
    masks = first_masks(maps["segmentation"].data, objects) if "segmentation" in maps else {}
    return members, about, masks


def _map(path: Path, name: str, frames: np.ndarray) -> Map:
    """A row's map, cut to the frames. Raises BadInput."""
    count, height, width = frames.shape[:3]
    numbers = path.suffix.lower() in (".npz", ".npy", ".exr") or path.is_dir()
    kind = "metric_depth" if numbers else "relative_disparity"
    read = read_prediction_map(path, name, (count, height, width), Reading(RENDERING, kind, 1.0))
    map = read.map
    if name == "flow" and read.drawn is not None:
        raise BadInput("colours of flow tell no pixels")
    if name == "depth" and kind == "metric_depth" and (read.drawn is not None or "levels" in read.said):
        map = read_prediction_map(path, name, (count, height, width), Reading(RENDERING, "relative_disparity", 1.0)).map
    if len(map.data) < count:
        raise BadInput(f"{len(map.data)} frames, the video has {count}")
    # The video may have lost an odd row or column.
    if name != "skeleton" and {map.data.shape[1] - height, map.data.shape[2] - width} - {0, 1}:
        raise BadInput(f"{map.data.shape[2]}x{map.data.shape[1]}, the video has {width}x{height}")
    return _cut(name, map, count, height, width)


def _cut(name: str, map: Map, count: int, height: int, width: int) -> Map:
    """The first frames of a map, without an odd last row or column."""
    from dataclasses import replace

    def first(array: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(array[:count] if name == "skeleton" else array[:count, :height, :width])

    valid = None if map.valid is None else first(map.valid)
    if name == "flow" and valid is not None:
        valid[-1] = False
    facts = {**map.facts, "height": height, "width": width} if name == "skeleton" else map.facts
    arrays = {key: first(array) for key, array in map.arrays.items()}
    return replace(map, data=first(map.data), valid=valid, arrays=arrays, facts=facts)


def _members(name: str, map: Map) -> dict[str, bytes]:
    """As a shard has them."""
    try:
        encoded = codec(name).encode(map)
    except ValueError as error:
        raise BadInput(f"{name}: {first_line(error)}") from error
    about = {"facts": encoded.facts, **({} if name == "rgb" else {"expert": SOURCE})}
    return {**encoded.members, json_member(name): json.dumps(about, sort_keys=True).encode()}
