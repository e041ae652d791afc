"""What all codecs share: checks of arrays, and facts that tie members together."""

import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from openuni.modality import Encoded, Map

STORAGE = "storage"
"""Key in Encoded.facts under which a codec keeps what only decoding needs."""


def check_array(what: str, array: np.ndarray, shape: tuple[int | str, ...], *dtypes: type) -> None:
    """Raise ValueError unless the array has this shape, one of these dtypes, and no empty named axis but P.

    Args:
        what: name for the message: "depth".
        array: the array.
        shape: numbers that must match, or names of free axes: ("T", "H", "W", 2).
        dtypes: numpy scalar types.
    """
    fits = array.ndim == len(shape) and all(
        size == want if isinstance(want, int) else (size > 0 or want == "P")
        for size, want in zip(array.shape, shape, strict=True)
    )
    if not fits or array.dtype not in dtypes:
        names = " or ".join(np.dtype(dtype).name for dtype in dtypes)
        axes = ", ".join(str(axis) for axis in shape)
        raise ValueError(f"{what} must be a non-empty ({axes}) {names}, got {array.shape} {array.dtype}")


def check_rest(what: str, map: Map, *, valid: bool, arrays: tuple[str, ...] = ()) -> None:
    """Raise ValueError where a map has parts that the codec would lose, or lacks its valid mask.

    Args:
        what: the modality's name, for the message.
        map: the map; its `data` is checked already and starts with (T, H, W) where `valid` is asked for.
        valid: whether the modality has a valid mask.
        arrays: names that `map.arrays` may have.
    """
    if not valid and map.valid is not None:
        raise ValueError(f"{what} has no valid mask, got one of shape {map.valid.shape}: leave Map.valid at None")
    if valid and map.valid is None:
        raise ValueError(f"{what} needs a valid mask (T, H, W) bool, got none: all True if all of it can be trusted")
    if valid and map.valid is not None:
        check_array(f"valid mask of {what}", map.valid, map.data.shape[:3], np.bool_)
    if unknown := sorted(set(map.arrays) - set(arrays)):
        known = ", ".join(arrays) or "none"
        raise ValueError(f"{what} cannot store the arrays {', '.join(unknown)}; it knows: {known}")
    if STORAGE in map.facts:
        raise ValueError(f"{what} facts must not have the key {STORAGE!r}: the codec writes it")


def pack(map: Map, members: dict[str, bytes], **storage: Any) -> Encoded:
    """Put members and facts together.

    Args:
        map: the map; its own facts stay as they are.
        members: member name -> content.
        storage: JSON-able facts that only `decode` needs.

    Returns:
        The encoded map; facts["storage"] has `storage` and the CRC-32 of each member.
    """
    checks = {name: zlib.crc32(content) for name, content in sorted(members.items())}
    return Encoded(dict(sorted(members.items())), {**map.facts, STORAGE: {**storage, "crc32": checks}})


def unpack(what: str, members: Mapping[str, bytes], facts: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Check that members and facts belong together.

    The checksums matter: FFmpeg conceals a damaged or cut-off FFV1 file by repeating pixels or leaving frames out.

    Args:
        what: the modality's name, for messages.
        members: member name -> content; members of other modalities are ignored.
        facts: what `pack` gave, perhaps among more facts.

    Returns:
        The storage facts, and the map's own facts.

    Raises:
        ValueError: facts without storage, a member is missing, or its content is not the one that was written.
    """
    if STORAGE not in facts:
        raise ValueError(f"{what} facts have no {STORAGE!r} key, got {sorted(facts)}: give the facts that encode gave")
    storage = dict(facts[STORAGE])
    for name, checksum in storage["crc32"].items():
        if name not in members:
            raise ValueError(f"{what} needs the member {name!r}, got {sorted(members)}")
        if zlib.crc32(members[name]) != checksum:
            size = len(members[name])
            raise ValueError(f"{name} ({size} bytes) is damaged or of another clip: its checksum is not the facts'")
    return storage, own_facts(facts)


def own_facts(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts without what the codec added."""
    return {key: value for key, value in facts.items() if key != STORAGE}


def mask_to_gray(mask: np.ndarray) -> np.ndarray:
    """Return a bool mask as uint8: 255 for True, 0 for False."""
    return mask.astype(np.uint8) * np.uint8(255)
