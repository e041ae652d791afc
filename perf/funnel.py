"""Claim: other rules over a million scored clips are decided in seconds, and touch no shard.

Plans and ledgers of a million clips are made from random numbers, one Parquet file per unit of 256 clips and stage, as
a build leaves them: every filter, and for three clips of ten every embedded expert and check. Timed, each in a process
of its own: the first look (it joins some fifty thousand files, which a build does bit by bit as it goes), then other
rules, with and without writing.

    python perf/funnel.py [--clips 1000000]
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from record import record

from openuni.engine.ledger import METADATA, Commit, ledger_path, schema_of, shard_path
from openuni.engine.record import PassRecord, StageRecord
from openuni.engine.stage import Stage
from openuni.engine.unit import MAX_UNIT_SIZE, SCHEMA
from openuni.pipelines.conclude import conclude
from openuni.pipelines.decision import Decision
from openuni.pipelines.manifest import Passes
from openuni.pipelines.parts import make_checks, make_experts, make_filters
from openuni.pipelines.rgb import RgbStage
from openuni.pipelines.select import select

CAPTION = "A person walks through a bright room and looks at the things on the table. " * 12  # as long as Koala-36M's
ANNOTATED = 0.3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=1_000_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "build")
        started = time.perf_counter()
        passes = make_build(out, given.clips)
        print(f"made {given.clips:,} clips in {time.perf_counter() - started:.0f} s")
        started = time.perf_counter()
        finish(passes)
        first_s = time.perf_counter() - started
        rules = ["--rule", "motion.absdiff > 0.5", "--rule", "duration.seconds < 12 and resolution.aspect > 0.4"]
        timings = {
            "first_finish_s": first_s,
            "look_s": funnel(out, "--dry-run"),
            "other_rules_s": funnel(out, *rules, "--no-pictures"),
            "other_rules_dry_s": funnel(out, *rules, "--dry-run"),
            "other_acceptance_s": funnel(out, "--accept", "flow: flow.valid_fraction > 0.5", "--no-pictures"),
        }
    timings = {name: round(seconds, 2) for name, seconds in timings.items()}
    for name, seconds in timings.items():
        print(f"{name:<20} {seconds:6.2f} s")
    files = sum(len(record_.stages) for record_ in passes)
    record("funnel", clips=given.clips, stages=files, annotated=ANNOTATED, **timings)


def funnel(out: Path, *words: str) -> float:
    """Return the seconds of one `openuni funnel`, process start included."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-m", "openuni.cli", "funnel", str(out), *words], check=True, capture_output=True)
    return time.perf_counter() - started


def finish(passes: Passes) -> None:
    """What a build does at its end, for the first time."""
    decision = Decision(preset="none")
    decision.write(passes.score.out, "perf")
    conclude(passes, decision, select(passes.score, ()), base=None)


def make_build(out: Path, clips: int) -> Passes:
    """Write plans, ledgers and run.json; no shard."""
    from openuni.run import RunFolder

    rng = np.random.default_rng(0)
    with RunFolder(out, "build") as folder:
        folder.record({"source": "folder"})
    experts = make_experts(["embedded"], {})
    stages = (RgbStage(), *experts, *make_checks(experts, {}))
    ids = np.array([f"{number:020x}" for number in range(clips)])
    score = write_pass(out, "score", make_filters(["all"], {}), ids, rng)
    annotate = write_pass(out, "annotate", stages, ids[: int(clips * ANNOTATED)], rng)
    return Passes(score, annotate)


def write_pass(
    out: Path, name: str, stages: tuple[Stage, ...], ids: np.ndarray, rng: np.random.Generator
) -> PassRecord:
    """Write one pass: every unit's plan, and every stage's ledger of it."""
    known = PassRecord(name, out, tuple(StageRecord.of(stage, "0" * 12) for stage in stages))
    for number, start in enumerate(range(0, len(ids), MAX_UNIT_SIZE)):
        unit, chunk = f"{number:06d}", ids[start : start + MAX_UNIT_SIZE]
        size = len(chunk)
        words = {field.name: [""] * size for field in SCHEMA if field.type == pa.string()}
        words |= {
            "clip_id": chunk,
            "caption": [CAPTION] * size,
            "published": ["{}"] * size,
            "source": ["folder"] * size,
        }
        words["source_video"] = [f"video_{place // 10}" for place in range(start, start + size)]
        path = out / "plan" / name / f"{unit}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table({**words, "start_s": np.zeros(size), "end_s": np.ones(size)}, schema=SCHEMA), path)
        for stage in stages:
            write_ledger(out, stage, unit, chunk, words["source_video"], rng)
    return known


def write_ledger(
    out: Path, stage: Stage, unit: str, ids: np.ndarray, videos: list[str], rng: np.random.Generator
) -> None:
    """Write one stage's ledger of one unit with random scores."""
    size = len(ids)
    shard = shard_path(out, stage.modality, "0" * 12, unit).relative_to(out).as_posix() if stage.modality else None
    commit = Commit(stage.name, "0" * 12, unit, shard, "0" * 64 if shard else None, 1000)
    import json

    schema = schema_of(stage, {METADATA: json.dumps(commit._asdict()).encode()})
    columns: dict[str, object] = {}
    for field in schema:
        if field.type == pa.float64():
            columns[field.name] = rng.gamma(2.0, 4.0, size)
        elif field.type == pa.bool_():
            columns[field.name] = rng.random(size) < 0.5
        elif field.type == pa.int64():
            columns[field.name] = np.arange(size) * 1000
        else:
            columns[field.name] = [""] * size
    columns |= {"clip_id": ids, "source": ["folder"] * size, "source_video": videos, "status": ["ok"] * size}
    path = ledger_path(out, stage.name, "0" * 12, unit)
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns, schema=schema), path)


if __name__ == "__main__":
    main()
