"""Monitor: progress, counts and the error-rate breaker of one pass. Engines feed it; it draws and it judges."""

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from openuni.engine.worker import Report
from openuni.errors import RunFailed

Event = Callable[..., None]


@dataclass(frozen=True)
class Breaker:
    """When a run is stopped because it fails for a systematic reason."""

    max_error_fraction: float = 0.2
    """Largest share of clips with status error or crash. A published pipeline "succeeded" with 68 % empty results
    because nothing like this stopped it."""
    after_clips: int = 50
    """Clips that must be done before the share is judged."""


class Monitor:
    """Counts reports of one pass. A context manager: inside it, progress is drawn on stderr."""

    def __init__(
        self, name: str, *, clips: int, units: int, event: Event, breaker: Breaker, quiet: bool = False
    ) -> None:
        self.name = name
        self.statuses: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.units_done = 0
        self._breaker = breaker
        self._event = event
        self._lock = threading.Lock()
        self._fresh = 0
        columns: list[ProgressColumn] = [
            TextColumn("{task.description:<9}"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TextColumn("clips"),
            _Rate(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[counts]}"),
        ]
        console = Console(stderr=True)
        self._progress = Progress(*columns, console=console, disable=quiet, refresh_per_second=4, expand=False)
        self._task = self._progress.add_task(name, total=clips, counts="")
        self._event("pass", name=name, clips=clips, units=units)

    def __enter__(self) -> "Monitor":
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()
        self._event("pass_end", name=self.name, units=self.units_done, **self.statuses)

    def clip(self, report: Report) -> None:
        """Count one clip."""
        with self._lock:
            self.statuses[report.status] += 1
            self._fresh += report.fresh
            if report.status in ("error", "crash"):
                self.reasons[report.reason] += 1
            counts = ", ".join(f"{count} {status}" for status, count in self.statuses.items() if status != "ok")
            self._progress.update(self._task, advance=1, counts=counts)

    def unit(self, name: str) -> None:
        """Note that a unit is committed."""
        with self._lock:
            self.units_done += 1
        self._event("unit", unit=name, name=self.name)

    def check(self) -> None:
        """Stop the run if too many clips failed.

        Raises:
            RunFailed: with the commonest reasons and their counts.
        """
        with self._lock:
            done = self.statuses.total()
            failed = self.statuses["error"] + self.statuses["crash"]
            if done < self._breaker.after_clips or failed <= self._breaker.max_error_fraction * done:
                return
            common = "; ".join(f"{count} x {reason}" for reason, count in self.reasons.most_common(3))
        raise RunFailed(
            f"Stopped: {failed} of {done} clips failed in pass {self.name}, more than "
            f"{self._breaker.max_error_fraction:.0%}. Reasons: {common}. Mend the cause and run the same command "
            "again, or raise --max-error-fraction."
        )


class _Rate(ProgressColumn):
    """Clips per second."""

    def render(self, task: Task) -> Text:
        return Text("- clips/s" if not task.speed else f"{task.speed:.2f} clips/s")


def silent(event: str, **fields: Any) -> None:
    """Take an event and do nothing: for jobs without an events file."""
