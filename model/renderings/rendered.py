"""What a rendering is: a map as the network sees it, with what is known of it and what it lost."""

from typing import Any, NamedTuple, Protocol

import numpy as np

from openuni.modality import Map


class Rendered(NamedTuple):
    """One clip's map as RGB video."""

    frames: np.ndarray
    """(T, H, W, 3) uint8 RGB."""
    known: dict[str, Any]
    """JSON-able: what the drawing is of, which a network's output does not tell: depth "kind", "lo", "hi", ..."""
    lost: dict[str, str]
    """What of this map the drawing does not show -> how much of it, in words. Empty: the map can be read back."""


class ModalityRendering(Protocol):
    """One modality's rendering under one config."""

    def to_frames(self, map: Map) -> Rendered:
        """Draw the map. Raises ValueError where the map is not one of the modality."""
        ...

    def to_map(self, frames: np.ndarray) -> Map:
        """Read (T, H, W, 3) uint8 RGB frames, drawn or generated, without anything else known of the clip."""
        ...

    def missing(self, metric: str) -> str | None:
        """Return why the metric cannot be computed from what `to_map` reads; None: it can."""
        ...


def of_all(count: int, total: int, what: str) -> str:
    """Return "3 of 10 valid pixels"."""
    return f"{count} of {total} {what}"
