"""Feature: what a network, or none, says of a clip; small arrays that dimensions are formulas of, kept by content."""

import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

from openuni.annotators.device import Batches
from openuni.annotators.experts import EXPERTS
from openuni.annotators.weights import Found
from openuni.benchmark.vbench.frames import ClipFrames
from openuni.engine.atomic import write_bytes

Arrays = dict[str, np.ndarray]


class NotScored(Exception):
    """A clip has no such feature. The reason is a short snake_case word."""


class Feature:
    """Base of all features. Subclasses set the class attributes, load in `load` and compute in `__call__`."""

    name: ClassVar[str]
    experts: ClassVar[tuple[str, ...]] = ()
    """Keys of EXPERTS whose weights it needs."""
    version: ClassVar[str] = "1"
    """Raise it when the same clip gets other arrays."""
    batch: ClassVar[int] = 16
    """Frames or pairs at a time. Ours: fills no GPU at 224 px, and 16 pairs of 720p frames fit one of 80 GB."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.batches = Batches(self.batch)

    def load(self, found: Mapping[str, Found]) -> None:
        """Load the weights, float32.

        Args:
            found: the files of each of `experts`.

        Raises:
            BadInput: a file is damaged or for another network.
        """

    def __call__(self, clip: ClipFrames) -> Arrays:
        """Compute the feature of a clip.

        Raises:
            NotScored: the clip is too short or too small.
        """
        raise NotImplementedError


class FeatureCache:
    """Features on disk, by the content of clip and weights. Of several that write one the last stays; all are alike."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, feature: Feature, content: str, weights: str) -> Path:
        """Return where a feature is kept."""
        about = [feature.name, feature.version, weights, content, feature.device.type]
        key = hashlib.sha256(json.dumps(about).encode()).hexdigest()[:32]
        return self.folder / feature.name / key[:2] / f"{key}.npz"

    def read(self, path: Path) -> Arrays | None:
        """Read a feature; None if it is not there or not whole."""
        try:
            with np.load(path, allow_pickle=False) as file:
                return {name: file[name] for name in file.files}
        except (OSError, ValueError, EOFError, KeyError):
            return None

    def write(self, path: Path, arrays: Arrays) -> None:
        """Write a feature, whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        file = io.BytesIO()
        np.savez(file, allow_pickle=False, **arrays)
        write_bytes(path, file.getvalue())


def licences(feature: type[Feature]) -> dict[str, str]:
    """Return expert -> licence of the weights that a feature needs."""
    return {name: EXPERTS[name].terms for name in feature.experts}
