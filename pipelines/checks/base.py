"""Check: the base of stages that judge a modality. One file and one row in CHECKS for each modality.

A check reads maps in their stored form and the frames, and gives scores, never a map. It is named after what it
judges, so that rules read `flow_check.photometric_ratio`. Nothing here knows the truth: a score says how well maps
and frames agree with each other. What cannot be measured on a clip is missing (None), never 0.
"""

from typing import Any, ClassVar

import numpy as np

from openuni.engine.stage import Stage
from openuni.modality import Map


class Check(Stage):
    """Base of all checks. Subclasses are dataclasses that set `judges`, `name`, `reads` and `columns`."""

    judges: ClassVar[str]
    """The modality whose maps are judged; `name` is this plus "_check", and `reads` has it."""

    def setup(self) -> None:
        """Hold OpenCV to one thread, so that results do not depend on the machine's cores."""
        import cv2

        cv2.setNumThreads(1)


def read_map(clip: Any, name: str) -> Map:
    """Return a clip's map after making sure that it has the size and length of the frames.

    Args:
        clip: the build's view of a clip.
        name: the modality.

    Raises:
        ValueError: it has not.
    """
    found: Map = clip.maps[name]
    shape = clip.frames.rgb.shape[:3]
    if found.data.shape[:3] != shape:
        raise ValueError(f"{name} must have the frames' shape {shape}, got {found.data.shape[:3]}")
    return found


def ratio(part: float, whole: float) -> float | None:
    """Return part / whole; None where there is nothing to compare with."""
    return float(part / whole) if whole > 0 else None


def mean(values: np.ndarray) -> float | None:
    """Return the mean of what is not NaN; None if that is nothing."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else None
