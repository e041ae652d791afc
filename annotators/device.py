"""How an expert computes: number format, and batches that shrink when a GPU's memory is full."""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from openuni.errors import BadInput

if TYPE_CHECKING:
    import torch

logger = logging.getLogger(__name__)

PRECISIONS = ("auto", "float32", "float16", "bfloat16")


class OutOfMemory(RuntimeError):
    """One picture alone does not fit the GPU's memory."""


def pick_dtype(device: "torch.device", wanted: str = "auto") -> "torch.dtype":
    """Return the number format: float16 on CUDA, float32 on a CPU, unless `wanted` says another.

    Raises:
        BadInput: an unknown word.
    """
    import torch

    if wanted not in PRECISIONS:
        raise BadInput(f"precision must be one of {', '.join(PRECISIONS)}, got {wanted!r}.")
    if wanted == "auto":
        wanted = "float16" if device.type == "cuda" else "float32"
    found: torch.dtype = getattr(torch, wanted)
    return found


def compute_in_(module: Any, device: "torch.device", dtype: "torch.dtype") -> None:
    """Let a part of a network compute in half precision and give float32, by autocast; its weights stay float32.

    For networks whose libraries mix number formats behind it: SAM's thinning out wants boxes and scores of one format.

    Args:
        module: the part, whose forward is replaced; gives a tensor, or a dict of them as transformers' outputs.
        device: where it is.
        dtype: float32 changes nothing.
    """
    import torch

    if dtype == torch.float32:
        return
    forward = module.forward

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        with torch.autocast(device.type, dtype):
            given = forward(*args, **kwargs)
        if isinstance(given, torch.Tensor):
            return given.float()
        for name, value in given.items():
            if isinstance(value, torch.Tensor):
                given[name] = value.float()
        return given

    module.forward = wrapped


class Batches:
    """Runs a network over many pictures, as many at a time as fit.

    The size that has fitted is kept for the next call, so a clip does not find out again what the last one did.
    """

    def __init__(self, size: int) -> None:
        if size < 1:
            raise BadInput(f"batch_size must be 1 or more, got {size}.")
        self.size = size

    def run(self, call: Callable[..., Any], *inputs: "torch.Tensor") -> list[Any]:
        """Call `call` on consecutive slices of the inputs and return what it gave for each slice.

        Args:
            call: takes as many tensors as there are inputs.
            inputs: tensors of one length N >= 1.

        Raises:
            OutOfMemory: CUDA's memory does not hold a batch of one. The message says its size.
        """
        outputs: list[Any] = []
        at = 0

        def some(size: int) -> Any:
            return call(*(one[at : at + size] for one in inputs))

        while at < len(inputs[0]):
            outputs.append(self.shrinking(some, what=str((1, *inputs[0].shape[1:]))))
            at += self.size
        return outputs

    def shrinking(self, call: Callable[[int], Any], *, what: str) -> Any:
        """Call `call` with the size, halved until CUDA's memory holds it.

        Args:
            call: takes how many at a time.
            what: one of what there are so many, for the message.

        Raises:
            OutOfMemory: CUDA's memory does not hold one. The message says its size.
        """
        import torch

        while True:
            try:
                return call(self.size)
            except torch.cuda.OutOfMemoryError as error:
                if self.size == 1:
                    raise OutOfMemory(
                        f"CUDA out of memory with a batch of one, {what}. Use a smaller network or smaller frames."
                    ) from error
                logger.warning("CUDA out of memory with a batch of %d; going on with %d", self.size, self.size // 2)
                self.size //= 2
            torch.cuda.empty_cache()  # outside the handler, where the error no longer holds the tensors
