"""A suspect's own process: one clip is run where its death can be watched.

`python -m openuni.engine.alone` reads a pickled (job, unit, clip) from its standard input. The pickle comes from
`run_alone` through a pipe, never from data.
"""

import os
import pickle
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

from openuni.clip import Clip

if TYPE_CHECKING:
    from openuni.engine.job import Job

RUN_FAILED = 75  # EX_TEMPFAIL of sysexits.h; Python's own failures are 1 and 2


def run_alone(job: "Job", unit: str, clip: Clip, *, timeout_s: float) -> str:
    """Finish one clip into scratch in a process of its own.

    Returns:
        The empty string if the process ended well, else why it died: "killed_by_SIGSEGV", "exit_code_9", "timeout".

    Raises:
        RunFailed: the process ended well but says that the run itself cannot go on (the disk is full).
    """
    from openuni.errors import RunFailed

    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-m", "openuni.engine.alone"]
    payload = pickle.dumps((job, unit, clip))
    try:
        done = subprocess.run(command, input=payload, env=environment, capture_output=True, timeout=timeout_s)
    except subprocess.TimeoutExpired:
        return "timeout"
    if done.returncode == 0:
        return ""
    if done.returncode == RUN_FAILED:
        raise RunFailed(done.stdout.decode(errors="replace").strip().splitlines()[-1])
    if done.returncode < 0:
        return f"killed_by_{signal.Signals(-done.returncode).name}"
    return f"exit_code_{done.returncode}"


def main() -> int:
    """Run the clip that stands on standard input; the exit code says how it went."""
    from openuni.engine.worker import Worker
    from openuni.errors import RunFailed

    job, unit, clip = pickle.loads(sys.stdin.buffer.read())
    try:
        Worker(job).run_one(unit, clip)
    except RunFailed as error:
        print(f"\n{error}")
        return RUN_FAILED
    return 0


if __name__ == "__main__":
    sys.exit(main())
