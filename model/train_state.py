"""Training state on disk: torch.distributed.checkpoint for tensors, JSON for the rest, whole or not at all."""

import contextlib
import json
import shutil
from collections.abc import Iterator, Sequence
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


class Saver:
    """Writes checkpoints beside training: a copy is taken at once, a thread writes it.

    A checkpoint is written beside its final name and renamed when it is whole, at the next `save` or `finish`, so that
    a failure leaves the one before.
    """

    def __init__(self, out: Path, *, keep: int) -> None:
        """Name the run folder; every rank makes one.

        Args:
            out: the run's folder.
            keep: checkpoints that stay.
        """
        self.out, self.keep = out, keep
        self._pending: tuple[Any, int, dict[str, Any]] | None = None
        # The thread's own group: its messages must not meet those of training.
        self._group: Any = dist.new_group(backend="gloo") if dist.is_initialized() else None

    def save(
        self,
        step: int,
        network: nn.Module,
        optimisers: Sequence[torch.optim.Optimizer],
        average: Average,
        about: dict[str, Any],
    ) -> None:
        """Begin to write the state after a step; every rank calls it. The one before is finished first.

        Raises:
            RunFailed: the disk is full.
        """
        self.finish()
        part = self._part(step)
        if _rank() == 0:
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir(parents=True)
        _wait()
        about = {**about, "step": step, "ema_updates": average.updates}
        with self._told(part):
            future = dcp.async_save(
                _state(network, optimisers, average),
                checkpoint_id=part,
                process_group=self._group,
                no_dist=not dist.is_initialized(),
            )
        self._pending = future, step, about

    def finish(self) -> Path | None:
        """Wait for what is being written, and give it its name; None if nothing is.

        Raises:
            RunFailed: the disk is full.
        """
        if self._pending is None:
            return None
        (future, step, about), self._pending = self._pending, None
        part, final = self._part(step), self.out / FOLDER / str(step)
        with self._told(part):
            future.result()
            if _rank() == 0:
                write_bytes(part / ABOUT, json.dumps(about, indent=2).encode())
                shutil.rmtree(final, ignore_errors=True)
                part.rename(final)
                for old in sorted(int(path.name) for path in final.parent.glob("*") if path.name.isdigit())[
                    : -self.keep
                ]:
                    shutil.rmtree(final.parent / str(old))
        _wait()
        return final

    def _part(self, step: int) -> Path:
        return self.out / FOLDER / f".{step}.part"

    @contextlib.contextmanager
    def _told(self, part: Path) -> Iterator[None]:
        """Turn a full disk into its message, and leave nothing half written."""
        try:
            yield
        except (OSError, dcp.api.CheckpointException) as error:
            shutil.rmtree(part, ignore_errors=True)
            causes = list(error.failures.values()) if isinstance(error, dcp.api.CheckpointException) else [error]
            cause = causes[0][0] if isinstance(causes[0], tuple) else causes[0]
            if isinstance(cause, OSError) and is_full(cause):
                raise disk_full(self.out) from error
            raise


def restore(
    path: Path, network: nn.Module, optimisers: Sequence[torch.optim.Optimizer], average: Average
) -> dict[str, Any]:
    """Load a checkpoint into what a rank holds, whatever number of ranks wrote it; return its JSON.

    Raises:
        BadInput: it is of a network of another shape.
    """
    about: dict[str, Any] = json.loads((path / ABOUT).read_text("utf-8"))
    state = _state(network, optimisers, average)
    try:
        dcp.load(state, checkpoint_id=path, no_dist=not dist.is_initialized())
    except (RuntimeError, ValueError, KeyError, dcp.api.CheckpointException) as error:
        reason = str(error).strip().splitlines()[-1][:200]
        raise BadInput(
            f"{path} does not fit this network ({reason}). Use the run's own preset and settings."
        ) from error
    set_state_dict(network, optimisers, model_state_dict=state["network"], optim_state_dict=state["optimiser"])
    average.weights = state["average"]
    average.updates = int(about["ema_updates"])
    return about


def _state(network: nn.Module, optimisers: Sequence[torch.optim.Optimizer], average: Average) -> dict[str, Any]:
    weights, moments = get_state_dict(network, optimisers)
    return {"network": weights, "optimiser": moments, "average": average.weights}


def _rank() -> int:
    return dist.get_rank() if dist.is_initialized() else 0


def _wait() -> None:
    if dist.is_initialized():
        dist.barrier()
