"""Claim: the training loader reads at least 0.8 times as fast as `webdataset` reads the same tars flat out.

Both decode the same members with the same code, in one process and in turns, and give clips with all their maps, one at
a time. webdataset streams the tars side by side, joins them by key and does nothing else ("tar by tar", one after the
other, without joining, is recorded beside it); the loader goes by index and offset in shuffled order, picks frames and
mirrors. Measured at the clips' own size (cropped to the grid), scaled to half of it, and at half the frame rate, where
flow is composed.
Without --build, eight clips are rendered and built first (about three minutes).
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from record import record

GRID = 16


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--build", type=Path, help="a build's folder; its clips should have one size and rate")
    arguments.add_argument("--repeats", type=int, default=5)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        compare(given.build or rendered(Path(scratch)), given.repeats, built=given.build is not None)


def compare(folder: Path, repeats: int, *, built: bool) -> None:
    import pyarrow.parquet as pq

    rows = pq.read_table(folder / "index.parquet").to_pylist()
    modalities = sorted(name.removesuffix(".shard") for name in rows[0] if name.endswith(".shard"))
    ways: dict[str, Callable[[], int]] = {
        "webdataset": lambda: joined(folder, rows, modalities),
        "tar by tar": lambda: flat_out(folder, rows, modalities),
    }
    ways |= {name: loaded(folder, rows, **changes) for name, changes in settings(rows).items()}
    cpu: dict[str, list[float]] = {name: [] for name in ways}
    wall: dict[str, list[float]] = {name: [] for name in ways}
    counts = {name: read() for name, read in ways.items()}  # files into the page cache, modules imported
    if len(set(counts.values())) != 1:
        raise SystemExit(f"not the same clips were read: {counts}")
    for _ in range(repeats):
        for name, read in ways.items():
            started = time.process_time(), time.perf_counter()
            read()
            cpu[name].append(time.process_time() - started[0])
            wall[name].append(time.perf_counter() - started[1])
    ratio = {name: round(float(np.median(np.array(cpu["webdataset"]) / cpu[name])), 3) for name in ways}
    ms = {name: round(1000 * float(np.median(cpu[name])) / len(rows), 1) for name in ways}
    for name in ways:
        print(f"{name:16} {ms[name]:7.1f} CPU-ms a clip, {ratio[name]:.2f} times as fast as webdataset")
    record(
        "loader",
        clips=len(rows),
        built=built,
        frames=int(rows[0]["rgb.num_frames"]),
        size=[int(rows[0]["rgb.height_px"]), int(rows[0]["rgb.width_px"])],
        modalities=modalities,
        cpu_ms_per_clip=ms,
        wall_ms_per_clip={name: round(1000 * float(np.median(wall[name])) / len(rows), 1) for name in ways},
        times_as_fast=ratio,
        goal=0.8,
    )


def settings(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """What the loader is asked for: as stored, half the size, half the rate."""
    height = min(int(row["rgb.height_px"]) for row in rows)
    width = min(int(row["rgb.width_px"]) for row in rows)
    frames = int(min(row["rgb.num_frames"] for row in rows))
    fps = float(min(row["rgb.fps"] for row in rows))
    own = {"sizes": ((height // GRID * GRID, width // GRID * GRID),), "num_frames": (longest(frames),), "fps": None}
    half = (height // 2 // GRID * GRID, width // 2 // GRID * GRID)
    return {
        "as stored": own,
        "half the size": {**own, "sizes": (half,)},
        "half the rate": {**own, "num_frames": (longest(frames // 2),), "fps": fps / 2},
    }


def longest(frames: int) -> int:
    """The longest 4n + 1 that is not above."""
    return (frames - 1) // 4 * 4 + 1


def flat_out(folder: Path, rows: list[dict[str, Any]], modalities: list[str]) -> int:
    """Read and decode one modality's tars after the other's, keeping nothing; return the clips."""
    from openuni.sample import decode_members

    clips = 0
    for modality in modalities:
        for _, members in streamed(folder, rows, modality):
            decode_members(modality, members)
            clips += modality == "rgb"
    return clips


def joined(folder: Path, rows: list[dict[str, Any]], modalities: list[str]) -> int:
    """Read all modalities' tars side by side and put each clip's maps together; return the clips."""
    from openuni.sample import decode_members

    streams = {name: streamed(folder, rows, name) for name in modalities if name != "rgb"}
    heads = {name: next(stream, None) for name, stream in streams.items()}
    clips = 0
    for key, frames in streamed(folder, rows, "rgb"):
        maps = {"rgb": decode_members("rgb", frames)}
        for name, stream in streams.items():
            head = heads[name]
            if head is not None and head[0] == key:
                maps[name] = decode_members(name, head[1])
                heads[name] = next(stream, None)
        clips += 1
        del maps
    if any(heads.values()):
        raise SystemExit(f"tars are not in the frames' order: {[name for name, head in heads.items() if head]}")
    return clips


def streamed(folder: Path, rows: list[dict[str, Any]], modality: str) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Yield key and members of each sample that has a map."""
    import webdataset

    for shard in sorted({row[f"{modality}.shard"] for row in rows}):
        for sample in webdataset.WebDataset(str(folder / shard), shardshuffle=False, empty_check=False):
            members = {name: content for name, content in sample.items() if not name.startswith("__")}
            if not any(b'"absent"' in content for name, content in members.items() if name.endswith("json")):
                yield sample["__key__"], members


def loaded(folder: Path, rows: list[dict[str, Any]], **changes: Any) -> Callable[[], int]:
    """Return what reads one epoch with the loader, in this process; one clip at a time, as webdataset gives them."""
    from openuni.model.data.config import LoaderConfig
    from openuni.model.data.loader import Loader

    loader = Loader(
        LoaderConfig(builds=(str(folder),), batch_size=1, grid=GRID, balance="none", num_maps=0, workers=0, **changes)
    )
    if len(loader.plan.clips) != len(rows) or "validation" in {row["split"] for row in rows}:
        raise SystemExit(f"the loader leaves clips out: {loader.plan.left_out}; give a build without any such")

    def epoch() -> int:
        clips = 0
        for batch in loader.batches(0, len(rows)):
            clips += len(batch)
            del batch  # as `flat_out` keeps nothing
        return clips

    return epoch


def rendered(scratch: Path) -> Path:
    """Render clips and build them."""
    out = scratch / "build"
    words = ("build", "--source", "synthetic", "--experts", "truth", "--ray", "off", "--out", str(out))
    subprocess.run([sys.executable, "-m", "openuni.cli", *words], check=True, cwd=scratch)
    return out


if __name__ == "__main__":
    main()
