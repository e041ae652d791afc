"""Ray engine: units through Ray Data, on this machine or on a cluster. The only file that imports ray.data.

One row is one unit's name; workers read the plan and write shards and ledgers to the shared output folder, so that
nothing decoded ever enters Ray's object store.
"""

import contextlib
import logging
import math
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from openuni.engine.job import Job
from openuni.engine.monitor import Monitor
from openuni.engine.worker import Report, Worker
from openuni.env import LOCAL_RAY, worker_env
from openuni.errors import BadInput, OpenUniError, RunFailed

logger = logging.getLogger(__name__)

OBJECT_STORE_BYTES = 200_000_000  # rows are unit names; Ray's default would take 30 % of the memory.
MAX_BLOCKS = 4096  # one per unit as long as Ray's bookkeeping per block is small beside a unit's work
POLL_S = 0.5


@dataclass
class RayEngine:
    """Runs a job on Ray.

    address "local" starts Ray on this machine and ends it afterwards; "auto" or HOST:PORT joins a cluster.
    """

    address: str = "local"
    workers: int | None = None
    """Worker actors. None: as many as the cluster's CPUs and GPUs carry."""
    _started: bool = field(default=False, init=False, repr=False, compare=False)

    def describe(self) -> str:
        """Say in words what runs the job."""
        return "Ray on this machine" if self.address == "local" else f"the Ray cluster at {self.address}"

    def run(self, job: Job, units: Sequence[str], monitor: Monitor) -> None:
        """Run and commit units.

        Raises:
            BadInput: the cluster cannot be reached or lacks what the stages need.
            RunFailed: the run cannot go on.
        """
        import_local_settings(self.address)
        import ray

        self._started = _connect(self.address) or self._started
        assert ray.is_initialized(), "_connect joins or starts Ray"
        # Workers of a Ray that we start inherit our environment; others are given it, which starts new processes.
        ours = self._started and self.address == "local"
        environment = None if ours else {"env_vars": worker_env(job.share[0])}
        _run_units(job, units, monitor, self._pool_size(job, len(units)), environment)

    def close(self) -> None:
        """Leave the cluster, or end the one that `run` started. It is kept between passes: starting takes seconds."""
        import ray

        if self._started:
            ray.shutdown()
            self._started = False

    def _pool_size(self, job: Job, units: int) -> int:
        """Return how many actors run at once: every one gets its full share of CPUs and GPUs."""
        import ray

        cpus, gpus = job.share
        have = ray.cluster_resources()
        fit = math.floor(have.get("CPU", 0.0) / cpus)
        if gpus:
            fit = min(fit, math.floor(have.get("GPU", 0.0) / gpus))
        if fit < 1:
            raise BadInput(
                f"A worker of pass {job.name} needs {cpus:g} CPUs and {gpus:g} GPUs; the Ray cluster has "
                f"{have.get('CPU', 0):g} and {have.get('GPU', 0):g}. Choose other experts or a larger cluster."
            )
        return max(1, min(self.workers or fit, fit, units))


def import_local_settings(address: str) -> None:
    """Set what a Ray on this machine needs, before ray is imported, which reads it."""
    if address == "local":
        for name, value in LOCAL_RAY.items():
            os.environ.setdefault(name, value)


@contextlib.contextmanager
def connected(address: str) -> Iterator[None]:
    """Be connected to a cluster; one that is started for it ends with it.

    Args:
        address: "auto" is the cluster that RAY_ADDRESS names, else Ray on this machine; or HOST:PORT.

    Raises:
        BadInput: the cluster cannot be reached.
    """
    where = ("auto" if os.environ.get("RAY_ADDRESS") else "local") if address == "auto" else address
    import_local_settings(where)
    started = _connect(where)
    try:
        yield
    finally:
        if started:
            import ray

            ray.shutdown()


def _connect(address: str) -> bool:
    """Join or start Ray unless this process has done so already; say whether it must be shut down afterwards."""
    import ray

    if ray.is_initialized():
        return False
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    try:
        if address == "local":
            with _muted_stderr(), _without("OMP_NUM_THREADS"):  # Ray sets it to each worker's CPUs if it is not set
                ray.init(address="local", include_dashboard=False, object_store_memory=OBJECT_STORE_BYTES, **quiet)
        else:
            ray.init(address=address, **quiet)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise BadInput(
            f"Ray at {address!r} cannot be used ({str(error).splitlines()[0]}). Give the address of a running "
            "cluster, or --ray off to run without Ray."
        ) from error
    return True


@contextlib.contextmanager
def _without(name: str) -> Iterator[None]:
    """Take a variable out of the environment that started processes inherit."""
    kept = os.environ.pop(name, None)
    try:
        yield
    finally:
        if kept is not None:
            os.environ[name] = kept


@contextlib.contextmanager
def _muted_stderr() -> Iterator[None]:
    """Keep Ray's C++ core from writing to stderr while it starts: it always says which log level it took."""
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with open(os.devnull, "w") as nothing:
            os.dup2(nothing.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _run_units(job: Job, units: Sequence[str], monitor: Monitor, size: int, environment: dict[str, Any] | None) -> None:
    import ray
    import ray.data

    cpus, gpus = job.share
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.execution_options.verbose_progress = False
    context.execution_no_progress_timeout_s = -1  # the default counts moved blocks; a long unit looks stuck to it
    context.max_errored_blocks = 0  # dropping blocks would lose units silently
    logging.getLogger("ray.data").setLevel(logging.ERROR)

    # Ray Data restarts dead actors and retries their rows without end; Worker itself gives up on a deadly unit.
    tally = ray.remote(num_cpus=0)(_Tally).remote()
    rows = ray.data.from_items([{"unit": name} for name in units], override_num_blocks=min(len(units), MAX_BLOCKS))
    done = rows.map_batches(
        _UnitWorker,
        fn_constructor_args=(job, tally),
        batch_size=1,
        compute=ray.data.ActorPoolStrategy(size=size, max_tasks_in_flight_per_actor=1),
        num_cpus=cpus,
        num_gpus=gpus or None,
        runtime_env=environment,
    )
    ending = threading.Event()
    listener = threading.Thread(target=_listen, args=(tally, monitor, ending), daemon=True)
    listener.start()
    try:
        for row in done.iter_rows():
            if row["failed"]:
                raise (RunFailed if row["exit_code"] == RunFailed.exit_code else BadInput)(row["failed"])
            monitor.unit(row["unit"])
    except ray.exceptions.RayError as error:
        logger.debug("Ray failed", exc_info=error)
        raise RunFailed(
            f"Ray gave up on pass {job.name}: {str(error).splitlines()[0]}. What is committed is kept; run the same "
            "command again, with fewer --workers if the system ran out of memory."
        ) from error
    finally:
        ending.set()
        listener.join()
    monitor.check()


def _listen(tally: Any, monitor: Monitor, ending: threading.Event) -> None:
    """Carry reports from the workers to the monitor until the end; tell the workers when the breaker trips."""
    import ray

    last = False
    while True:
        try:
            for report in ray.get(tally.drain.remote()):
                monitor.clip(report)
            monitor.check()
        except OpenUniError as error:
            tally.stop.remote(str(error))
        except ray.exceptions.RayError:  # the cluster is going down; the main thread says why
            return
        if last:
            return
        last = ending.wait(POLL_S)


class _Tally:
    """An actor between workers and driver: reports in one direction, the word to stop in the other."""

    def __init__(self) -> None:
        self._reports: list[Report] = []
        self._stop = ""

    def add(self, report: Report) -> str:
        self._reports.append(report)
        return self._stop

    def drain(self) -> list[Report]:
        reports, self._reports = self._reports, []
        return reports

    def stop(self, why: str) -> None:
        self._stop = self._stop or why


class _UnitWorker:
    """Ray Data's callable: one row is one unit."""

    def __init__(self, job: Job, tally: Any) -> None:
        self._worker = Worker(job)
        self._tally = tally

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[Any]]:
        import ray

        def report(one: Report) -> None:
            why = ray.get(self._tally.add.remote(one))
            if why:
                raise RunFailed(why)

        name = str(batch["unit"][0])
        failed, exit_code = "", 0
        try:
            self._worker.run_unit(self._worker.job.plan.read(name), report)
        except OpenUniError as error:
            failed, exit_code = str(error), error.exit_code
            self._tally.stop.remote(failed)
        return {"unit": [name], "failed": [failed], "exit_code": [exit_code]}
