"""Local engine: units on this machine, in worker processes or in this one. No Ray."""

import contextlib
import multiprocessing
import os
import signal
import sys
import traceback
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from openuni.engine.gpus import gpu_memories_gb
from openuni.engine.job import Job
from openuni.engine.monitor import Monitor
from openuni.engine.worker import Report, Worker
from openuni.errors import OpenUniError, RunFailed

POLL_S = 0.5
PATIENCE_S = 10.0  # for a worker to come out of the library call it is in, before it is killed


@dataclass(frozen=True)
class LocalEngine:
    """Runs a job with `workers` processes; 0 runs it in this process, where a deadly clip is deadly for all."""

    workers: int = 0

    def describe(self) -> str:
        """Say in words what runs the job."""
        return f"{self.workers} local workers" if self.workers else "this process"

    def run(self, job: Job, units: Sequence[str], monitor: Monitor) -> None:
        """Run and commit units.

        Raises:
            RunFailed: the run cannot go on.
        """
        if self.workers:
            _Pool(job, units, monitor).run(min(self.workers, len(units), _fit(job)))
            return

        def report(one: Report) -> None:
            monitor.clip(one)
            monitor.check()

        worker = Worker(job)
        for name in units:
            worker.run_unit(job.plan.read(name), report)
            monitor.unit(name)

    def close(self) -> None:
        """Nothing outlives a run."""


def _fit(job: Job) -> int:
    """How many workers the GPUs carry; without bound where no stage needs one or nvidia-smi sees none."""
    gpus = job.share[1]
    return max(1, len(gpu_memories_gb()) * round(1 / gpus)) if gpus and gpu_memories_gb() else sys.maxsize


@dataclass
class _Slot:
    process: BaseProcess
    unit: str
    gpu: int = 0


class _Pool:
    """Worker processes, each on one unit at a time. One that dies is replaced and its unit taken up again."""

    def __init__(self, job: Job, units: Sequence[str], monitor: Monitor) -> None:
        self._job = job
        self._waiting = deque(units)
        self._monitor = monitor
        self._slots: dict[Connection, _Slot] = {}
        self._context = multiprocessing.get_context("spawn")  # fork is unsafe once cv2, torch or threads are loaded

    def run(self, workers: int) -> None:
        threads = str(max(1, (os.cpu_count() or 1) // workers))
        before = os.environ.get("OMP_NUM_THREADS")
        os.environ["OMP_NUM_THREADS"] = threads  # inherited by the workers, which share the cores
        try:
            while self._waiting or self._slots:
                while self._waiting and len(self._slots) < workers:
                    self._hire(self._waiting.popleft())
                for ready in wait(list(self._slots), timeout=POLL_S):
                    assert isinstance(ready, Connection), "only worker connections are waited for"
                    self._hear(ready)
                self._monitor.check()
        finally:
            os.environ.pop("OMP_NUM_THREADS")
            if before is not None:
                os.environ["OMP_NUM_THREADS"] = before
            for slot in self._slots.values():
                slot.process.terminate()
            for connection, slot in self._slots.items():
                slot.process.join(PATIENCE_S)
                slot.process.kill()
                connection.close()

    def _hire(self, unit: str) -> None:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_serve, args=(theirs, self._job), daemon=False)
        gpu = self._emptiest_gpu()
        with _one_gpu(gpu if self._job.share[1] and len(gpu_memories_gb()) > 1 else None):
            process.start()
        theirs.close()
        ours.send(unit)
        self._slots[ours] = _Slot(process, unit, gpu)

    def _emptiest_gpu(self) -> int:
        """The GPU that fewest workers use; of equal ones the first."""
        used = [slot.gpu for slot in self._slots.values()]
        return min(range(max(1, len(gpu_memories_gb()))), key=lambda gpu: (used.count(gpu), gpu))

    def _hear(self, connection: Connection) -> None:
        slot = self._slots[connection]
        try:
            kind, value = connection.recv()
        except (EOFError, ConnectionResetError):
            self._bury(connection)
            return
        if kind == "report":
            self._monitor.clip(value)
        elif kind == "done":
            self._monitor.unit(slot.unit)
            if self._waiting:
                slot.unit = self._waiting.popleft()
                connection.send(slot.unit)
            else:
                self._dismiss(connection)
        elif kind == "failed":
            error_class, message = value
            raise error_class(message)
        else:
            raise RuntimeError(f"a worker failed on unit {slot.unit}:\n{value}")

    def _dismiss(self, connection: Connection) -> None:
        slot = self._slots.pop(connection)
        connection.send(None)
        slot.process.join()
        connection.close()

    def _bury(self, connection: Connection) -> None:
        """Take a dead worker's unit up again with a new one."""
        slot = self._slots.pop(connection)
        slot.process.join()
        connection.close()
        self._waiting.appendleft(slot.unit)


@contextlib.contextmanager
def _one_gpu(number: int | None) -> Iterator[None]:
    """Let processes that are started see one GPU only, by its place among ours; None leaves things as they are."""
    name = "CUDA_VISIBLE_DEVICES"
    before = os.environ.get(name)
    if number is not None:
        os.environ[name] = before.split(",")[number].strip() if before else str(number)
    try:
        yield
    finally:
        if number is not None:
            os.environ.pop(name)
            if before is not None:
                os.environ[name] = before


def _serve(connection: Connection, job: Job) -> None:
    """Run units that come through the connection until None comes or the other end is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the driver's to handle; it ends its workers.
    # An orderly end, so that the journal does not take the clip in flight for a deadly one.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    worker = Worker(job)
    try:
        while (name := connection.recv()) is not None:
            try:
                worker.run_unit(job.plan.read(name), lambda report: connection.send(("report", report)))
                connection.send(("done", name))
            except OpenUniError as error:
                connection.send(("failed", (_plain_class(error), str(error))))
            except OSError as error:
                if isinstance(error, BrokenPipeError):
                    raise
                connection.send(("bug", traceback.format_exc()))
            except Exception:
                connection.send(("bug", traceback.format_exc()))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        os._exit(0)  # The driver is gone; what is finished lies in scratch.


def _plain_class(error: OpenUniError) -> type[OpenUniError]:
    """Return a class that takes one message: subclasses may have constructors of their own."""
    from openuni.errors import BadInput

    return RunFailed if error.exit_code == RunFailed.exit_code else BadInput
