"""Packing: which stages run together in one worker, so that their networks fit a GPU's memory, and how many workers.

Stages that fit together share one decode of each clip. Those that do not run one after the other, as passes over the
same units: pools beside each other would wait for each other's GPU for ever. Where a pass leaves memory, several
workers share a GPU: while one decodes, encodes or writes, another computes.
"""

import logging
from collections.abc import Sequence
from typing import NamedTuple

from openuni.engine.stage import Stage

logger = logging.getLogger(__name__)

MOST_WORKERS = 4  # ours: workers of one GPU. Encoding costs a clip 2 to 4 CPU seconds, experts about as many of a GPU.
USABLE = 0.92  # ours: share of a GPU's memory that networks may take; the rest is the driver's and fragmentation


class Pack(NamedTuple):
    """Stages that run together."""

    stages: tuple[str, ...]
    """Names, in the order they run."""
    vram_gb: float
    """What their networks take together in one worker."""
    workers_per_gpu: int
    """How many such workers share a GPU; 0 where no stage needs one."""

    @property
    def gpus(self) -> float:
        """Share of a GPU that one worker is given."""
        return 1 / self.workers_per_gpu if self.workers_per_gpu else 0.0


def pack(stages: Sequence[Stage], gpu_gb: float, *, most_workers: int = MOST_WORKERS) -> list[Pack]:
    """Divide stages into passes.

    Args:
        stages: in the order they run; one stands behind those that it reads.
        gpu_gb: memory of the smallest GPU, 10^9 bytes.
        most_workers: of one GPU.

    Returns:
        In the order they run. A stage is in the first pass that has room for it and does not come before what it
        reads; one that needs no GPU takes no room. A stage that is larger than a GPU runs alone, with a warning.
    """
    room = gpu_gb * USABLE
    passes: list[list[Stage]] = [[]]
    place: dict[str, int] = {}
    for stage in stages:
        needs = _memory(stage)
        if needs > room:
            logger.warning("%s needs about %.0f GB of a GPU that has %.0f GB", stage.name, needs, gpu_gb)
        number = max((place[name] for name in stage.reads if name in place), default=0)
        while needs and passes[number] and needs + sum(map(_memory, passes[number])) > room:
            number += 1
            if number == len(passes):
                passes.append([])
        passes[number].append(stage)
        place[stage.name] = number
    return [_pack(one, room, most_workers) for one in passes if one]


def _pack(stages: Sequence[Stage], room: float, most_workers: int) -> Pack:
    memory = sum(map(_memory, stages))
    workers = 0
    if any(stage.needs.gpus for stage in stages):
        workers = max(1, min(most_workers, int(room // memory))) if memory else 1
    return Pack(tuple(stage.name for stage in stages), memory, workers)


def _memory(stage: Stage) -> float:
    return stage.needs.vram_gb if stage.needs.gpus else 0.0
