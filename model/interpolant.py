"""Interpolant: x_t = (1 - t) x0 + t x1, x0 the clean latent, x1 Gaussian noise; UnityVideo, equations 1 to 3.

t = 0 is clean, t = 1 is noise. The network answers with the velocity x1 - x0 (Wan's convention too), or with x0.
"""

import math
from typing import TypeVar

import torch
from torch import Tensor

Time = TypeVar("Time", float, Tensor)

MIN_T = 1e-3  # ours: where x0 is predicted, the velocity (x - x0) / t must not divide by nearly nothing


def interpolate(x0: Tensor, x1: Tensor, t: Tensor) -> Tensor:
    """Mix clean latents with noise.

    Args:
        x0: (B, ...), clean.
        x1: the same shape, noise.
        t: (B,), 0 to 1.
    """
    t = _spread(t, x0)
    return (1 - t) * x0 + t * x1


def velocity_of(answer: Tensor, x_t: Tensor, t: Tensor, prediction: str) -> Tensor:
    """The velocity that a network's answer stands for.

    Args:
        answer: of the network, (B, ...).
        x_t: what it saw.
        t: (B,).
        prediction: "velocity" or "x0".
    """
    if prediction == "velocity":
        return answer
    return (x_t - answer) / _spread(t, x_t).clamp_min(MIN_T)


def clean_of(answer: Tensor, x_t: Tensor, t: Tensor, prediction: str) -> Tensor:
    """The clean latent that a network's answer stands for. Arguments as `velocity_of`."""
    return answer if prediction == "x0" else x_t - _spread(t, x_t) * answer


def target(x0: Tensor, x1: Tensor, prediction: str) -> Tensor:
    """What the network should answer: the velocity x1 - x0, or x0."""
    return x1 - x0 if prediction == "velocity" else x0


def shifted(t: Time, shift: float) -> Time:
    """Move times towards noise, k t / (1 + (k - 1) t): Esser et al. 2024 (Stable Diffusion 3), equation 23; Wan's 5."""
    return shift * t / (1 + (shift - 1) * t)


def logit_normal(normal: float, *, mean: float = 0.0, std: float = 1.0) -> float:
    """The time of a standard normal draw, sigmoid(mean + std z): Esser et al. 2024, equation 19."""
    return 1 / (1 + math.exp(-(mean + std * normal)))


def sampling_times(steps: int, shift: float) -> Tensor:
    """The times of `steps` equal steps from noise to clean, shifted: (steps + 1,) float64, 1 first, 0 last."""
    return shifted(torch.linspace(1, 0, steps + 1, dtype=torch.float64), shift)


def _spread(t: Tensor, like: Tensor) -> Tensor:
    """(B,) as (B, 1, ...), in the dtype of `like`."""
    return t.to(like.dtype).view(-1, *[1] * (like.ndim - 1))
