"""Small stages and clips for engine tests. Importable by worker processes as tests.openuni.engine.cases."""

import ctypes
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from openuni.clip import Clip, make_clip_id
from openuni.engine.atomic import sha256_of
from openuni.engine.job import Job
from openuni.engine.stage import Absent, Column, Drop, Result, Stage
from openuni.modality import Map

LOG = "OPENUNI_TEST_LOG"
"""Environment variable: a file to which every call of a stage is appended as "stage source_key"."""


def note(stage: str, clip: Clip) -> None:
    if LOG in os.environ:
        with open(os.environ[LOG], "a") as file:
            file.write(f"{stage} {clip.source_key}\n")


class NumberView:
    """A view of a clip whose only content is the number in its source key."""

    def __init__(self, clip: Clip) -> None:
        self.clip = clip
        self.maps: dict[str, Map] = {}
        self.number = int(clip.source_key)

    def describe(self) -> dict[str, object]:
        return {"number": self.number}

    def close(self) -> None:
        self.maps.clear()


def open_number(clip: Clip) -> NumberView:
    if int(clip.source_key) < 0:
        raise Drop("negative")
    return NumberView(clip)


@dataclass(kw_only=True)
class Parity(Stage):
    """Scores only."""

    name = "parity"
    columns = (Column("odd", "bool", "The number is odd."), Column("half", "1", "The number halved."))
    divisor: int = 2

    def __call__(self, view: NumberView) -> Result:
        note(self.name, view.clip)
        return Result({"odd": bool(view.number % 2), "half": view.number / self.divisor})


@dataclass(kw_only=True)
class DeadlySetup(Parity):
    """Dies before any clip begins."""

    def setup(self) -> None:
        os._exit(9)


@dataclass(kw_only=True)
class Ids(Stage):
    """A segmentation map filled with the clip's number."""

    name = "segmentation"
    modality = "segmentation"
    expert = "ids"
    columns = (Column("id", "1", "The id."),)
    offset: int = 0
    absent_on: int = -1
    error_on: int = -1
    deadly_on: tuple[int, ...] = ()
    death: str = "exit"
    seconds: float = 0.0

    def __call__(self, view: NumberView) -> Result:
        note(self.name, view.clip)
        time.sleep(self.seconds)
        if view.number == self.absent_on:
            raise Absent("no_number")
        if view.number == self.error_on and not os.environ.get("OPENUNI_TEST_MENDED"):
            raise ZeroDivisionError("planted")
        if view.number in self.deadly_on:
            die(self.death)
        value = view.number % 200 + self.offset
        return Result({"id": value}, Map(data=np.full((3, 4, 6), value, np.uint8)))


@dataclass(kw_only=True)
class Faulty(Parity):
    """Fails at one place on odd numbers and at another on multiples of four, with a message for each clip."""

    def __call__(self, view: NumberView) -> Result:
        if view.number % 2:
            raise ValueError(f"odd: {view.number}")
        if view.number % 4 == 0:
            raise ValueError(f"fourth: {view.number}")
        return super().__call__(view)


@dataclass(kw_only=True)
class Twice(Stage):
    """Reads the ids and gives a depth map made from them."""

    name = "depth"
    modality = "depth"
    reads = ("segmentation",)
    columns = (Column("mean", "1", "Mean of the ids that were read."),)
    factor: float = 2.0

    def __call__(self, view: NumberView) -> Result:
        note(self.name, view.clip)
        ids = view.maps["segmentation"].data
        data = np.linspace(0, 1, ids.size, dtype=np.float32).reshape(ids.shape) + ids * self.factor
        valid = np.ones(ids.shape, bool)
        depth = Map(data=data.astype(np.float32), valid=valid, facts={"kind": "relative_disparity"})
        return Result({"mean": float(ids.mean())}, depth)


def die(how: str) -> None:
    if how == "exit":
        os._exit(9)
    if how == "segv":
        ctypes.string_at(0)
    if how == "hang":
        time.sleep(60)


def make_clips(count: int, *, first: int = 0) -> list[Clip]:
    keys = [str(number) for number in range(first, first + count)]
    return [
        Clip(clip_id=make_clip_id("test", key), source="test", source_key=key, source_video=key, path=key)
        for key in keys
    ]


def make_job(out: Path, stages: Sequence[Stage], *, clips: int = 6, unit_size: int = 2, **options: object) -> Job:
    job = Job(name="annotate", out=out, stages=tuple(stages), open_view=open_number, **options)
    job.plan.append(make_clips(clips), unit_size=unit_size)
    return job


def shard_hashes(out: Path) -> dict[str, str]:
    return {path.relative_to(out).as_posix(): sha256_of(path) for path in sorted(out.glob("shards/**/*.tar"))}
