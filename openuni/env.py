"""Settings that must be in the environment before heavy libraries are imported.

This is the only file that sets them. The command line calls `prepare` before anything else; the Ray engine
passes `worker_env` to its workers. Everything is a default: what the user has set stays.

HF_HUB_OFFLINE is not set here. It is read once, when huggingface_hub is imported, so setting it would take away
Hub ids (`--model ORG/NAME`) from users who have a network. Experts load weights from existing paths, which asks
no server; whoever wants a guarantee exports HF_HUB_OFFLINE=1, and `worker_env` carries it to the workers.
"""

import logging
import os
import sys
from types import MappingProxyType

logger = logging.getLogger(__name__)

DEFAULTS = MappingProxyType(
    {
        # ultralytics: by default it looks up two hosts on import, installs missing packages by itself, sends usage
        # events, prints a banner and loads pickles (seen in 8.4).
        "YOLO_OFFLINE": "true",
        "YOLO_AUTOINSTALL": "false",
        "YOLO_VERBOSE": "false",
        "YOLO_CONFIG_DIR": "~/.cache/openuni",  # ultralytics expands "~", so the value suits every worker's home
        "ULTRALYTICS_SAFE_LOAD": "1",
        # Hugging Face: no bars and no INFO lines among our progress on stderr (transformers 5 logs at INFO).
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "TRANSFORMERS_VERBOSITY": "error",
        # Ray: no usage report; ERROR gives no line on stderr where the default gives twelve (2.60).
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_DATA_LOG_LEVEL": "ERROR",
        # Under `uv run` Ray would zip the working folder, .venv included, and change the workers' folder.
        "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    }
)
"""Name -> value, set where the user has not set it. The same on the driver and on every worker."""

LOCAL_RAY = MappingProxyType({"RAY_AUTH_MODE": "disabled", "RAY_BACKEND_LOG_LEVEL": "fatal"})
"""Only for a cluster that we start on this machine ourselves, set before the first `import ray`. Ray 2.60 otherwise
makes a token in the home folder and warns (a cluster that the user names may demand its token), and its C++ core
writes an error line for every actor pool with restarts to the driver's stderr."""

FORWARDED = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
"""Names without a default here that workers get if the driver has them."""

# Libraries that read OMP_NUM_THREADS when they are loaded.
_READS_THREADS = ("torch", "cv2", "scipy")


def prepare(threads: int | None = None) -> dict[str, str]:
    """Set DEFAULTS and the number of threads in this process's environment, where the user has not.

    Call it before torch, ray, ultralytics or a Hugging Face library is imported.

    Args:
        threads: threads for numerical libraries. None: every core this process may use, so that ultralytics,
            which would set 1 for the whole process, finds a number there.

    Returns:
        What was set: the defaults less what was in the environment already.

    Raises:
        ValueError: `threads` is below 1.
    """
    if threads is not None and threads < 1:
        raise ValueError(f"threads must be 1 or more, got {threads}")
    loaded = [name for name in _READS_THREADS if name in sys.modules]
    if threads is not None and loaded:
        logger.warning("threads=%d may have no effect: %s was imported before", threads, ", ".join(loaded))
    wanted = {**DEFAULTS, "OMP_NUM_THREADS": str(threads or usable_cores())}
    missing = {name: value for name, value in wanted.items() if name not in os.environ}
    os.environ.update(missing)
    return missing


def worker_env(cpus: float = 1.0) -> dict[str, str]:
    """Return `runtime_env["env_vars"]` for Ray workers that are given `cpus` CPUs.

    Ray sets OMP_NUM_THREADS for its workers only if they have not inherited one, and on one machine they inherit
    the driver's, which is meant for a process that has all cores. So each worker is told its own.

    Args:
        cpus: the worker's `num_cpus`; below 1 counts as 1, fractions are cut, as Ray does.
    """
    settings = {name: os.environ.get(name, value) for name, value in DEFAULTS.items()}
    settings |= {name: os.environ[name] for name in FORWARDED if name in os.environ}
    return {**settings, "OMP_NUM_THREADS": str(max(1, int(cpus)))}


def usable_cores() -> int:
    """Return the number of cores this process may use, which in a container can be fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
