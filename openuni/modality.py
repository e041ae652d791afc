"""Modalities: what a map is, and the door to a modality's storage and colour form.

Each modality is one file in openuni/codec/ and one row in MODALITIES (openuni/table.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from openuni.table import MODALITIES, RGB, load


@dataclass(frozen=True, slots=True, kw_only=True)
class Map:
    """One modality's arrays for one clip. T frames of H x W pixels."""

    data: np.ndarray
    """The modality's main array, as its file in openuni/codec/ says: depth (T, H, W) float32, ..."""
    valid: np.ndarray | None = None
    """(T, H, W) bool, False where `data` must not be trusted. None where validity has no meaning."""
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    """Arrays that only some modalities have: DensePose "uv", skeleton "boxes" and "track_ids"."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """JSON-able facts: depth "kind" (relative_disparity | metric_depth), skeleton "height", "width", ..."""


class Encoded(NamedTuple):
    """A map as it is stored in a shard."""

    members: dict[str, bytes]
    """Member name without the key ("depth.mkv", "depth.valid.mkv") -> file content."""
    facts: dict[str, Any]
    """What decoding needs besides the members; written to the sample's json."""


class Rendering(NamedTuple):
    """A map as colour video."""

    frames: np.ndarray
    """(T, H, W, 3) uint8 RGB."""
    scale: dict[str, Any]
    """JSON-able: the exact scale, with which `parse` gets the values back."""


class Modality:
    """One modality: its name, its wordings, and its codec. Subclassed once for each modality."""

    name: str
    wordings: tuple[str, ...]
    """Modality prompts C_m: short phrases that ask the model for this modality. Ours."""
    members: tuple[str, ...]
    """Member names `encode` may give, sorted."""
    profiles: tuple[str, ...] = ("openuni",)
    """Colour palettes `render` knows. "openuni" is UnityVideo's; "vace" serves VACE-type models."""

    def check(self, map: Map) -> None:
        """Raise ValueError unless `map` has this modality's shapes, dtypes and ranges."""
        raise NotImplementedError

    def encode(self, map: Map) -> Encoded:
        """Turn a map into shard members. Deterministic: the same map gives the same bytes.

        Raises:
            ValueError: see `check`.
        """
        raise NotImplementedError

    def decode(self, members: Mapping[str, bytes], facts: Mapping[str, Any]) -> Map:
        """Turn shard members back into a map, within the modality's stated bound.

        Raises:
            ValueError: the members are damaged or do not belong together.
        """
        raise NotImplementedError

    def stored(self, map: Map) -> Map:
        """The map as `decode(encode(map))` gives it, without running a video codec.

        Stages that read a map get this form, so that they see the same values whether the map was
        made in this run or read from a shard.
        """
        raise NotImplementedError

    def render(self, map: Map, *, profile: str = "openuni", scale: Mapping[str, Any] | None = None) -> Rendering:
        """Draw the map as colour video.

        Args:
            map: the map.
            profile: a name in `profiles`.
            scale: use this scale (a former Rendering's) instead of the clip's own.
        """
        raise NotImplementedError

    def parse(self, frames: np.ndarray, scale: Mapping[str, Any], *, profile: str = "openuni") -> Map:
        """Read a colour video back into a map: the inverse of `render`.

        Args:
            frames: (T, H, W, 3) uint8 RGB.
            scale: what `render` gave.
            profile: the palette the video was drawn with.
        """
        raise NotImplementedError


def modality(name: str) -> Modality:
    """Return the modality called `name`.

    Raises:
        UnknownName: there is none; the message lists what there is.
    """
    found: Modality = load("modality", MODALITIES, name)
    return found


def codec(name: str) -> Modality:
    """Return what stores the maps of `name`: a modality, or "rgb" for the frames themselves."""
    if name == "rgb":
        frames: Modality = load("codec", {"rgb": RGB}, "rgb")
        return frames
    return modality(name)
