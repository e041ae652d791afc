"""Run a job: find what is not committed, hand it to an engine, watch it."""

from pathlib import Path
from typing import NamedTuple, Protocol

import pyarrow.parquet as pq

from openuni.engine.job import Job
from openuni.engine.local import LocalEngine
from openuni.engine.monitor import Breaker, Event, Monitor
from openuni.engine.ray import RayEngine
from openuni.engine.scratch import Scratch
from openuni.errors import BadInput


class Engine(Protocol):
    """What runs a job's units: openuni.engine.local or openuni.engine.ray."""

    def describe(self) -> str:
        """Say in words what runs the job."""
        ...

    def run(self, job: Job, units: list[str], monitor: Monitor) -> None:
        """Run and commit units; RunFailed if the run cannot go on."""
        ...

    def close(self) -> None:
        """Free what is kept between runs."""
        ...


class Ran(NamedTuple):
    """What one call of `run` did."""

    units: int
    """Units committed by this call."""
    skipped: int
    """Units that were committed before."""


def choose_engine(ray: str, workers: int | None, *, cores: int) -> Engine:
    """Turn the options --ray and --workers into an engine.

    Args:
        ray: "auto" (the cluster RAY_ADDRESS names, else Ray on this machine), "off", or a cluster's address.
        workers: number of worker processes or actors; None: as many as the cores (and GPUs) carry.
        cores: cores of this machine.
    """
    import os

    if workers is not None and workers < 1:
        raise BadInput(f"--workers is {workers}; give at least 1.")
    if ray == "off":
        return LocalEngine(workers or cores)
    if ray == "auto":
        return RayEngine("auto" if os.environ.get("RAY_ADDRESS") else "local", workers)
    return RayEngine(ray, workers)


def run(job: Job, engine: Engine, *, event: Event, breaker: Breaker, quiet: bool = False) -> Ran:
    """Run the units of a job that are not committed.

    Raises:
        RunFailed: the run cannot go on (full disk, too many errors); what is committed stays.
    """
    names = job.plan.names()
    todo = [name for name in names if job.todo(name)]
    if todo:
        clips = sum(pq.read_metadata(job.plan.folder / f"{name}.parquet").num_rows for name in todo)
        with Monitor(job.name, clips=clips, units=len(todo), event=event, breaker=breaker, quiet=quiet) as monitor:
            engine.run(job, todo, monitor)
    _sweep(job)
    return Ran(len(todo), len(names) - len(todo))


def _sweep(job: Job) -> None:
    """Remove what interrupted runs left: scratch of committed units, unfinished files."""
    from openuni.engine.atomic import TEMPORARY

    scratch = job.out / "scratch" / job.name
    for folder in scratch.glob("*"):
        if not job.todo(folder.name):
            Scratch(folder).remove()
    for empty in (scratch, scratch.parent):
        if empty.is_dir() and not any(empty.iterdir()):
            empty.rmdir()
    for folder in _written(job):
        for path in folder.glob(f".*{TEMPORARY}*"):
            path.unlink(missing_ok=True)


def _written(job: Job) -> list[Path]:
    folders = [job.plan.folder]
    for stage in job.stages:
        folders.append(job.out / "ledger" / stage.name / job.fingerprints[stage.name])
        if stage.modality:
            folders.append(job.out / "shards" / stage.modality / job.fingerprints[stage.name])
    return folders
