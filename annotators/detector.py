"""Detectors of people: what they are called with, and how one is found by its name in DETECTORS (openuni/table.py)."""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from openuni.annotators.boxes import areas, clipped
from openuni.annotators.device import Batches
from openuni.annotators.people_tracks import Detections
from openuni.annotators.weights import Found
from openuni.table import DETECTORS, load

if TYPE_CHECKING:
    import torch

SMALLEST_PX2 = 16.0  # ours: a person of 4 x 4 px is a speck


class Detector(Protocol):
    """A network that finds people in pictures. Made with its files, the device and the number format."""

    def detect(self, rgb: np.ndarray, batches: Batches, min_score: float) -> list[Detections]:
        """Find the people in each picture.

        Args:
            rgb: (T, H, W, 3) uint8 RGB, T >= 1.
            batches: how many at a time.
            min_score: what a find must reach, 0..1.

        Returns:
            T frames' boxes, px of the pictures, inside them, best first.
        """
        ...


def load_detector(name: str, found: Found, device: "torch.device", dtype: "torch.dtype") -> Detector:
    """Return a detector; the same one for all stages of a process.

    Args:
        name: a key of DETECTORS.
        found: its files.
        device: where it computes.
        dtype: its number format.

    Raises:
        UnknownName: there is none of that name.
        BadInput: the files are damaged or hold another network.
    """
    return _loaded(name, found.folder, found.files, device, dtype)


@cache
def _loaded(name: str, folder: Path, files: tuple[Path, ...], device: "torch.device", dtype: "torch.dtype") -> Detector:
    made: Detector = load("detector", DETECTORS, name)(Found(folder, files), device, dtype)
    return made


def tidy(boxes: Any, scores: Any, size: tuple[int, int], joints: Any = None) -> Detections:
    """Return boxes cut at the picture's borders, without specks, best first.

    Args:
        boxes: (N, 4) px.
        scores: (N,).
        size: height and width of the picture.
        joints: (N, K, 3), if there are any.
    """
    inside = clipped(np.asarray(boxes, np.float64).reshape(-1, 4), *size)
    scores = np.asarray(scores, np.float32).reshape(-1)
    order = np.argsort(-scores, kind="stable")
    order = order[areas(inside[order]) >= SMALLEST_PX2]
    return Detections(inside[order], scores[order], None if joints is None else np.asarray(joints, np.float32)[order])
