"""Training state on disk: torch.distributed.checkpoint for tensors, JSON for the rest, whole or not at all."""

import json
import shutil
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch import nn
from torch.distributed.checkpoint.state_dict import get_state_dict, set_state_dict

from openuni.engine.atomic import disk_full, is_full, write_bytes
from openuni.errors import BadInput
from openuni.model.optim import Average

ABOUT = "about.json"
FOLDER = "checkpoints"


def newest(out: Path) -> Path | None:
    """The newest whole checkpoint of a run folder."""
    found = [path for path in (out / FOLDER).glob("*") if path.name.isdigit() and (path / ABOUT).is_file()]
    return max(found, key=lambda path: int(path.name), default=None)


def save(
    out: Path,
    step: int,
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    average: Average,
    about: dict[str, Any],
    *,
    keep: int,
) -> Path:
    """Write the state after a step; every rank calls it.

    It is written beside its final name and renamed, so that a failure leaves the checkpoint before whole.

    Raises:
        RunFailed: the disk is full.
    """
    final = out / FOLDER / str(step)
    part = out / FOLDER / f".{step}.part"
    first = _rank() == 0
    if first:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
    _wait()
    try:
        dcp.save(_state(network, optimiser, average), checkpoint_id=part, no_dist=not dist.is_initialized())
        if first:
            content = json.dumps({**about, "step": step, "ema_updates": average.updates}, indent=2).encode()
            write_bytes(part / ABOUT, content)
            shutil.rmtree(final, ignore_errors=True)
            part.rename(final)
            for old in sorted(int(path.name) for path in (out / FOLDER).glob("*") if path.name.isdigit())[:-keep]:
                shutil.rmtree(out / FOLDER / str(old))
    except (OSError, dcp.api.CheckpointException) as error:
        shutil.rmtree(part, ignore_errors=True)
        causes = list(error.failures.values()) if isinstance(error, dcp.api.CheckpointException) else [error]
        first_cause = causes[0][0] if isinstance(causes[0], tuple) else causes[0]
        if isinstance(first_cause, OSError) and is_full(first_cause):
            raise disk_full(out) from error
        raise
    _wait()
    return final


def restore(path: Path, network: nn.Module, optimiser: torch.optim.Optimizer, average: Average) -> dict[str, Any]:
    """Load a checkpoint into what a rank holds, whatever number of ranks wrote it; return its JSON.

    Raises:
        BadInput: it is of a network of another shape.
    """
    about: dict[str, Any] = json.loads((path / ABOUT).read_text("utf-8"))
    state = _state(network, optimiser, average)
    try:
        dcp.load(state, checkpoint_id=path, no_dist=not dist.is_initialized())
    except (RuntimeError, ValueError, KeyError, dcp.api.CheckpointException) as error:
        reason = str(error).strip().splitlines()[-1][:200]
        raise BadInput(
            f"{path} does not fit this network ({reason}). Use the run's own preset and settings."
        ) from error
    set_state_dict(network, optimiser, model_state_dict=state["network"], optim_state_dict=state["optimiser"])
    average.weights = state["average"]
    average.updates = int(about["ema_updates"])
    return about


def _state(network: nn.Module, optimiser: torch.optim.Optimizer, average: Average) -> dict[str, Any]:
    weights, moments = get_state_dict(network, optimiser)
    return {"network": weights, "optimiser": moments, "average": average.weights}


def _rank() -> int:
    return dist.get_rank() if dist.is_initialized() else 0


def _wait() -> None:
    if dist.is_initialized():
        dist.barrier()
