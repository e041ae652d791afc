"""Device: where a network computes, by the word a user says."""

from typing import TYPE_CHECKING

from openuni.errors import BadInput

if TYPE_CHECKING:
    import torch


def pick_device(wanted: str = "auto") -> "torch.device":
    """Return the device to compute on.

    Args:
        wanted: auto (CUDA if torch can use one, else CPU), cpu, cuda, or one GPU of several: cuda:1.

    Raises:
        BadInput: another word, or a GPU that is not there.
    """
    import torch

    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if wanted == "auto":
        wanted = "cuda" if gpus else "cpu"
    name, _, number = wanted.partition(":")
    if name not in ("cpu", "cuda") or (":" in wanted and not (name == "cuda" and number.isdecimal())):
        raise BadInput(f"device must be auto, cpu, cuda or cuda:N, got {wanted!r}.")
    if name == "cuda" and int(number or 0) >= gpus:
        found = f"only {gpus}, counted from 0" if gpus else "no GPU"
        raise BadInput(f"device is {wanted}, but torch finds {found}. Use auto or cpu; openuni doctor --gpu says more.")
    return torch.device(wanted)
