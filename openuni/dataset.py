"""PyTorch dataset over one build: tensors of any subset of modalities, joined by key."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import Dataset

from openuni.sample import Sample, SampleReader


class OpenUniDataset(Dataset[dict[str, Any]]):
    """Map-style dataset. Safe with any number of loader workers: files are opened for each read.

    An item is a dict with
        "key" str, "caption" str,
        "rgb" (T, H, W, 3) uint8, "times_s" (T,) float64,
        for each modality that the clip has: its name -> the map's data (dtype as stored), "<name>.valid"
        (T, H, W) bool where the modality has validity, and "<name>.<array>" for its other arrays.
    A modality the clip does not have is a missing key, never zeros.
    """

    def __init__(
        self,
        folder: str | Path,
        modalities: Iterable[str] | None = None,
        *,
        split: str | None = None,
        decoder: str = "pyav",
    ) -> None:
        """See SampleReader."""
        self._reader = SampleReader(folder, modalities, split=split, decoder=decoder)

    def __len__(self) -> int:
        return len(self._reader)

    def __getitem__(self, number: int) -> dict[str, Any]:
        return to_tensors(self._reader[number])


def to_tensors(sample: Sample) -> dict[str, Any]:
    """Turn a sample into the dict that OpenUniDataset gives."""
    item: dict[str, Any] = {
        "key": sample.key,
        "caption": sample.caption,
        "rgb": torch.from_numpy(sample.rgb.data),
        "times_s": torch.tensor(sample.rgb.facts["times_s"], dtype=torch.float64),
    }
    for name, map in sample.maps.items():
        item[name] = torch.from_numpy(map.data)
        if map.valid is not None:
            item[f"{name}.valid"] = torch.from_numpy(map.valid)
        for array, values in map.arrays.items():
            item[f"{name}.{array}"] = torch.from_numpy(values)
    return item
