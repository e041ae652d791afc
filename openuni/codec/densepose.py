"""DensePose: part index and surface coordinates, exact in 8-bit FFV1; viridis colours of the part index.

A map's data is (T, H, W) uint8, part 1-24 (DensePose's order), 0 is background. Optional arrays["uv"] is
(T, H, W, 2) uint8: U and V times 255. No valid mask. Colours drop U and V (the MagicAnimate convention).
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from openuni.codec.palette import VIRIDIS_25, nearest
from openuni.codec.storage import check_array, check_rest, own_facts, pack, unpack
from openuni.modality import Encoded, Map, Modality, Rendering
from openuni.video import decode_gray, encode_gray

PARTS = 24


class DensePose(Modality):
    """See the top of the file."""

    name = "densepose"
    wordings = (
        "DensePose body parts on a dark purple background",
        "the surface of each person split into coloured body parts",
        "dense human pose, one colour for each part of the body",
        "which part of the body every pixel shows",
        "a body part map of the people in this video",
    )
    members = ("densepose.mkv",)

    def check(self, map: Map) -> None:
        """See Modality.check."""
        check_array("densepose", map.data, ("T", "H", "W"), np.uint8)
        check_rest("densepose", map, valid=False, arrays=("uv",))
        if map.data.max() > PARTS:
            raise ValueError(f"densepose parts are 0 to {PARTS}, got {map.data.max()}")
        if "uv" in map.arrays:
            check_array("arrays['uv'] of densepose", map.arrays["uv"], (*map.data.shape, 2), np.uint8)

    def encode(self, map: Map) -> Encoded:
        """See Modality.encode. Part, U and V stand above each other; only the part where there is no "uv"."""
        self.check(map)
        planes = [map.data]
        if "uv" in map.arrays:
            planes += [map.arrays["uv"][..., 0], map.arrays["uv"][..., 1]]
        return pack(map, {"densepose.mkv": encode_gray(np.concatenate(planes, axis=1))}, planes=len(planes))

    def decode(self, members: Mapping[str, bytes], facts: Mapping[str, Any]) -> Map:
        """See Modality.decode. Exact."""
        storage, own = unpack("densepose", members, facts)
        part, *uv = np.split(decode_gray(members["densepose.mkv"]), storage["planes"], axis=1)
        return Map(data=part, arrays={"uv": np.stack(uv, axis=-1)} if uv else {}, facts=own)

    def stored(self, map: Map) -> Map:
        """See Modality.stored: a copy."""
        self.check(map)
        arrays = {name: array.copy() for name, array in map.arrays.items()}
        return Map(data=map.data.copy(), arrays=arrays, facts=own_facts(map.facts))

    def render(self, map: Map, *, profile: str = "openuni", scale: Mapping[str, Any] | None = None) -> Rendering:
        """Draw part k in viridis at floor(k * 255 / 24). There is nothing to scale: `scale` is ignored."""
        self.check(map)
        return Rendering(_palette(profile)[map.data], {})

    def parse(self, frames: np.ndarray, scale: Mapping[str, Any], *, profile: str = "openuni") -> Map:
        """Read parts back by the nearest colour; U and V cannot be read. Exact if no video codec was between.

        Parts 12 and 13 are only 10.4 apart in RGB, others hardly more: errors after a lossy codec are in
        docs/codecs.md.
        """
        return Map(data=nearest(frames, _palette(profile)).astype(np.uint8))


DENSEPOSE = DensePose()


def _palette(profile: str) -> np.ndarray:
    """Return (25, 3) uint8."""
    if profile not in DensePose.profiles:
        raise ValueError(f"densepose knows the profiles {', '.join(DensePose.profiles)}, got {profile!r}")
    return np.array(VIRIDIS_25, dtype=np.uint8)
