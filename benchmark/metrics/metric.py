"""Metric: a function of arrays with what a reader of its number must know."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One row of METRICS. Calling it calls its function; NaN means undefined, as where nothing is valid."""

    name: str
    """Its key in METRICS: modality.metric."""
    unit: str
    """Unit of the value: "m", "px", "%", or "1" for a pure number, "cosine" for one from -1 to 1."""
    higher_is_better: bool | None
    """None: neither way is."""
    protocol: str
    """What is averaged over what, one line."""
    source: str
    """Where the definition is from."""
    function: Callable[..., float]

    def __call__(self, *arrays: Any, **options: Any) -> float:
        """Compute the value; arguments as the function says."""
        return self.function(*arrays, **options)


def check_shapes(shape: tuple[int, ...], **arrays: np.ndarray) -> None:
    """Raise ValueError unless all arrays start with this shape."""
    for name, array in arrays.items():
        if array.shape[: len(shape)] != shape:
            raise ValueError(f"{name} must start with shape {shape}, got {array.shape}")


def ratio(part: float, whole: float) -> float:
    """Return part / whole; NaN where whole is 0."""
    return float(part) / float(whole) if whole else float("nan")
