"""A build's folder made from numbers alone: plans and ledgers as the engine writes them, without any video."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from openuni.clip import Clip, make_clip_id
from openuni.engine.ledger import Commit, Row, write_ledger
from openuni.engine.record import PassRecord, StageRecord
from openuni.engine.stage import Column, Stage
from openuni.engine.unit import Plan
from openuni.pipelines.filters.duration import DurationFilter
from openuni.pipelines.manifest import Passes

CAPTIONS = (
    "A plain caption.",
    "<script>alert('x')</script> & \"quotes\" </data></p>",
    "two\nlines",
    "\u05e9\u05dc\u05d5\u05dd \u0639\u0631\u0628\u064a",  # Hebrew and Arabic
    "\U0001f600 \U0001f468\u200d\U0001f469\u200d\U0001f467 caf\u00e9 {{ 7 * 7 }} {% raw %}",
    "",
)


@dataclass(kw_only=True)
class Light(Stage):
    """A filter with a number, a truth and a text, all of which may be missing."""

    name = "light"
    columns = (
        Column("mean", "levels", "brightness"),
        Column("dark", "bool", "is dark"),
        Column("kind", "text", "kind"),
    )


@dataclass(kw_only=True)
class Frames(Stage):
    """Stands for the rgb stage."""

    name = "rgb"
    modality = "rgb"
    columns = (Column("num_frames", "frames", "frames"), Column("fps", "1/s", "rate"))


@dataclass(kw_only=True)
class Flow(Stage):
    """Stands for a flow expert."""

    name = "flow"
    modality = "flow"
    expert = "flow-test"
    licence = "Apache-2.0"
    columns = (Column("valid_fraction", "0..1", "share valid"),)


@dataclass(kw_only=True)
class FlowCheck(Stage):
    """Stands for a check of flow."""

    name = "flow_check"
    judges = "flow"
    reads = ("flow",)
    columns = (Column("photometric", "1", "error"),)


SCORE, ANNOTATE = (Light(), DurationFilter()), (Frames(), Flow(), FlowCheck())


def make_clips(count: int) -> list[Clip]:
    return [
        Clip(
            clip_id=make_clip_id("folder", f"{number}.mp4"),
            source="folder",
            source_key=f"{number}.mp4",
            source_video=f"video_{number // 3}",
            path=f"{number}.mp4",
            caption=CAPTIONS[number % len(CAPTIONS)],
            licence=("CC-BY-4.0", "")[number % 2],
            group=("people", "things")[number % 2],
        )
        for number in range(count)
    ]


def make_ledgers(out: Path, *, count: int = 40, unit_size: int = 7, seed: int = 0) -> Passes:
    """Write plans and ledgers of a score pass over `count` clips and an annotate pass over every second of them."""
    rng = np.random.default_rng(seed)
    clips = make_clips(count)
    failures = {2: Row("drop", "decode_failed"), 5: Row("error", "ValueError: odd <b>", error="0123456789ab")}
    failures |= {9: Row("error", "ValueError: other words", error="0123456789ab"), 11: Row("crash", "timeout")}
    score = _write(out, "score", SCORE, clips, unit_size, lambda stage, n: failures.get(n) or _scored(stage, rng))
    half = clips[::2]
    absent = {1: Row("absent", "too_short"), 4: Row("error", "OSError: x", error="ba9876543210")}
    annotate = _write(
        out, "annotate", ANNOTATE, half, unit_size,
        lambda stage, n: (absent.get(n) if stage.name != "rgb" else None) or _annotated(stage, rng),
    )  # fmt: skip
    return Passes(score, annotate)


def _scored(stage, rng) -> Row:
    if stage.name == "duration":
        seconds = None if rng.random() < 0.1 else round(float(rng.uniform(1, 20)), 2)
        return Row("ok", seconds=0.5, scores={"seconds": seconds, "num_frames": 100, "fps": 25.0})
    mean = None if rng.random() < 0.2 else float(rng.normal(100, 40))
    kind = None if rng.random() < 0.2 else ("day", "night", "<b>odd</b>")[rng.integers(3)]
    return Row("ok", seconds=0.25, scores={"mean": mean, "dark": bool(rng.random() < 0.5), "kind": kind})


def _annotated(stage, rng) -> Row:
    scores = {
        "rgb": {"num_frames": 81, "fps": 16.0},
        "flow": {"valid_fraction": float(rng.random())},
        "flow_check": {"photometric": None if rng.random() < 0.2 else float(rng.random())},
    }[stage.name]
    return Row("ok", seconds=1.0, scores=scores, offset=0, size=1024)


def _write(out, name, stages, clips, unit_size, row_of) -> PassRecord:
    plan = Plan(out / "plan" / name)
    plan.append(clips, unit_size=unit_size)
    place = {clip.clip_id: number for number, clip in enumerate(clips)}
    record = PassRecord(name, out, tuple(StageRecord.of(stage, f"{stage.name:0<12}"[:12]) for stage in stages))
    for unit in plan.names():
        planned = plan.read(unit).clips
        for stage, known in zip(stages, record.stages, strict=True):
            shard = f"shards/{stage.modality}/{known.fingerprint}/{unit}.tar" if stage.modality else None
            commit = Commit(stage.name, known.fingerprint, unit, shard, "0" * 64 if shard else None, 1024)
            rows = [row_of(stage, place[clip.clip_id]) for clip in planned]
            write_ledger(out, stage, commit, planned, rows)
    return record
