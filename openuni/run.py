"""Run folders: the output folder of a long command, its run.json, its events.jsonl and its lock."""

import fcntl
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import TracebackType
from typing import Any

from openuni import __version__
from openuni.engine.atomic import disk_full, is_full, write_bytes
from openuni.errors import BadInput

RUN_JSON = "run.json"
EVENTS = "events.jsonl"
LOCK = ".lock"
RECORDED = (
    *("ray", "torch", "numpy", "opencv-python", "av", "decord", "pyarrow", "webdataset"),
    *("mujoco-core", "embreex", "diffusers", "transformers"),
)
"""Packages whose versions can decide what a run writes."""


class RunFolder:
    """An output folder held by one run at a time. A context manager: inside it, the folder is locked."""

    def __init__(self, folder: Path, kind: str) -> None:
        """Name the folder; nothing is touched before `with`.

        Args:
            folder: the output folder; made if missing.
            kind: which command's folder it is: "build".
        """
        self.folder = folder.absolute()
        self.kind = kind
        self._lock: Any = None

    def __enter__(self) -> "RunFolder":
        """Lock the folder.

        Raises:
            BadInput: it is not ours, cannot be written, or another run holds it.
        """
        self._refuse_foreign()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = open(self.folder / LOCK, "a")
        except OSError as error:
            if is_full(error):
                raise disk_full(self.folder) from error
            raise BadInput(f"Cannot write to {self.folder} ({error.strerror}). Choose another --out.") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock.close()
            raise BadInput(f"Another run is writing to {self.folder}. Wait for it, or choose another --out.") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.close()

    def record(self, config: Mapping[str, Any]) -> None:
        """Write run.json: the resolved configuration, versions, hardware and command lines.

        Earlier runs into the same folder stay in its list "runs".
        """
        before = self.read().get("runs", [])
        about = {
            "kind": self.kind,
            "config": dict(config),
            "versions": versions(),
            "hardware": hardware(),
            "runs": [*before, {"time": _now(), "command": [Path(sys.argv[0]).name, *sys.argv[1:]]}],
        }
        write_bytes(self.folder / RUN_JSON, json.dumps(about, indent=2, sort_keys=True, default=str).encode() + b"\n")

    def read(self) -> dict[str, Any]:
        """Return what run.json says; empty if there is none."""
        try:
            content: dict[str, Any] = json.loads((self.folder / RUN_JSON).read_text())
        except FileNotFoundError:
            return {}
        return content

    def event(self, event: str, **fields: Any) -> None:
        """Append one line to events.jsonl."""
        line = json.dumps({"event": event, "time": _now(), **fields}, default=str)
        try:
            with open(self.folder / EVENTS, "a") as file:
                file.write(line + "\n")
        except OSError as error:
            if is_full(error):
                raise disk_full(self.folder) from error
            raise

    def _refuse_foreign(self) -> None:
        """Never write into a folder that holds something else."""
        if self.folder.exists() and not self.folder.is_dir():
            raise BadInput(f"{self.folder} is a file; --out wants a folder.")
        try:
            about = self.read()
            names = {path.name for path in self.folder.iterdir()} if self.folder.is_dir() else set()
        except (ValueError, OSError) as error:
            raise BadInput(f"{self.folder} cannot be read ({error}). Choose another --out.") from error
        if about and about.get("kind") != self.kind:
            raise BadInput(f"{self.folder} holds a {about.get('kind')} run, not a {self.kind}. Choose another --out.")
        if not about and names - {LOCK}:
            example = sorted(names - {LOCK})[0]
            raise BadInput(
                f"{self.folder} is not empty and was not made by openuni {self.kind} (it holds {example!r}). "
                "Choose another --out."
            )


def versions() -> dict[str, str]:
    """Return the versions of openuni, Python and the packages that can decide what a run writes."""
    found = {"openuni": __version__, "python": platform.python_version()}
    for package in RECORDED:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    commit = commit_hash()
    return {**found, "commit": commit} if commit else found


def commit_hash() -> str:
    """Return the git commit of the checkout this code runs from; empty for an installed wheel."""
    here = Path(__file__).resolve().parent.parent
    if not (here / ".git").exists():
        return ""
    command = ["git", "-C", str(here), "rev-parse", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def hardware() -> dict[str, Any]:
    """Return what this machine is: system, processor, cores and memory in GiB."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:  # not Linux
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "system": platform.system(),
        "machine": platform.machine(),
        "cpu": models[0] if models else platform.processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(memory, 1),
    }


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
