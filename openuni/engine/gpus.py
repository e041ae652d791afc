"""GPUs of this machine, as nvidia-smi lists them. torch is not loaded for it."""

import os
import subprocess
from functools import cache

UNKNOWN_GB = 24.0  # ours, where the GPUs are on other machines and nobody says: the commonest card that experts fit


@cache
def gpu_memories_gb() -> tuple[float, ...]:
    """Return the memory of each GPU that this process may use, 10^9 bytes; none without nvidia-smi."""
    command = ["nvidia-smi", "--query-gpu=index,uuid,memory.total", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return parse_listing(done.stdout, os.environ.get("CUDA_VISIBLE_DEVICES")) if done.returncode == 0 else ()


def parse_listing(listing: str, visible: str | None) -> tuple[float, ...]:
    """Read nvidia-smi's lines "index, uuid, MiB".

    Args:
        listing: its output.
        visible: CUDA_VISIBLE_DEVICES; None: all.
    """
    found: dict[str, float] = {}
    for line in listing.splitlines():
        parts = [part.strip() for part in line.split(",")]
        if len(parts) == 3 and parts[2].isdigit():
            memory_gb = int(parts[2]) * 2**20 / 1e9
            found[parts[0]] = found[parts[1]] = memory_gb
    if visible is None:
        return tuple(memory for name, memory in found.items() if name.isdigit())
    return tuple(found[name.strip()] for name in visible.split(",") if name.strip() in found)
