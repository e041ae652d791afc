"""Segmentation: instance ids, exact in FFV1; id k is drawn in tab10[k] x 0.85 on black.

A map's data is (T, H, W) uint8 or uint16: instance id, stable over time, 0 is background. No valid mask. Estimates may
say more of their ids, which are text as JSON has it: facts["scores"], {"1": 0.93}, and facts["classes"], {"1": "dog"}.

Ids 1 to 10 have tab10's colours (10 has tab10[0]). Ids 11 to 255 have colours of our own, chosen one after the
other as far as possible from black and all colours before: see `instance_colours`. All 256 differ, so every drawing
without loss is exact; ids above 255 have no colour and must be renumbered before drawing.
"""

from collections.abc import Mapping
from functools import cache
from math import isfinite
from typing import Any

import numpy as np

from openuni.codec.palette import TAB10, nearest, spread_colours
from openuni.codec.storage import check_array, check_rest, own_facts, pack, unpack
from openuni.modality import Encoded, Map, Modality, Rendering
from openuni.video import decode_gray, encode_gray

ALPHA = 0.85  # read off UnityVideo's teaser: (217, 110, 9) and (38, 137, 34), tab10[1] and tab10[2] over black
MAX_COLOURED_ID = 255


class Segmentation(Modality):
    """See the top of the file."""

    name = "segmentation"
    wordings = (
        "instance masks, one colour for each object, black background",
        "every object painted in a flat colour of its own",
        "a segmentation of the moving things in this video",
        "which pixels belong to which object",
        "object masks that keep their colour over time",
    )
    members = ("segmentation.mkv",)

    def check(self, map: Map) -> None:
        """See Modality.check."""
        check_array("segmentation", map.data, ("T", "H", "W"), np.uint8, np.uint16)
        check_rest("segmentation", map, valid=False)
        for fact, kinds in (("scores", (int, float)), ("classes", (str,))):
            if fact in map.facts:
                _check_by_id(fact, map.facts[fact], kinds)

    def encode(self, map: Map) -> Encoded:
        """See Modality.encode. gray8 up to id 255, gray16le above."""
        self.check(map)
        wide = int(map.data.max()) > 255
        content = encode_gray(map.data.astype(np.uint16 if wide else np.uint8), pix_fmt="gray16le" if wide else "gray")
        return pack(map, {"segmentation.mkv": content}, dtype=map.data.dtype.name)

    def decode(self, members: Mapping[str, bytes], facts: Mapping[str, Any]) -> Map:
        """See Modality.decode. Exact, with the dtype that was encoded."""
        storage, own = unpack("segmentation", members, facts)
        return Map(data=decode_gray(members["segmentation.mkv"]).astype(storage["dtype"]), facts=own)

    def stored(self, map: Map) -> Map:
        """See Modality.stored: a copy."""
        self.check(map)
        return Map(data=map.data.copy(), facts=own_facts(map.facts))

    def render(self, map: Map, *, profile: str = "openuni", scale: Mapping[str, Any] | None = None) -> Rendering:
        """Draw each instance in its colour.

        Args:
            map: the map; ids up to MAX_COLOURED_ID.
            profile: "openuni".
            scale: {"ids": [...]}, the ids that the drawing is said to have; None: those of the map.

        Raises:
            ValueError: see `check`; an unknown profile; an id that is too large or not in the given scale.
        """
        self.check(map)
        _check_profile(profile)
        present = np.flatnonzero(np.bincount(map.data.ravel()))
        if present[-1] > MAX_COLOURED_ID:
            raise ValueError(f"only ids up to {MAX_COLOURED_ID} have a colour, got {present[-1]}: renumber them")
        ids = [int(one) for one in present if one > 0] if scale is None else list(scale["ids"])
        if missing := sorted({int(one) for one in present} - {0, *ids}):
            raise ValueError(f"the scale has the ids {ids}, the map also has {missing}: give a scale with all of them")
        return Rendering(instance_colours()[map.data], {"ids": ids})

    def parse(self, frames: np.ndarray, scale: Mapping[str, Any], *, profile: str = "openuni") -> Map:
        """Read ids back by the nearest colour among background and scale["ids"]. uint8; exact without a video codec."""
        _check_profile(profile)
        ids = np.array([0, *scale["ids"]], dtype=np.uint8)
        return Map(data=ids[nearest(frames, instance_colours()[ids])])


SEGMENTATION = Segmentation()


@cache
def instance_colours() -> np.ndarray:
    """Return the colour of each id: (256, 3) uint8, all different.

    From id 11 on they are chosen far from all colours before, see `spread_colours`. Smallest RGB distance between two
    colours: 57 among ids 0 to 10 (brown and gray), 53 up to id 100, 38 up to id 255.
    """
    first = [(0, 0, 0), *(TAB10[instance % 10] for instance in range(1, 11))]
    return spread_colours([tuple(np.rint(ALPHA * np.array(colour))) for colour in first], MAX_COLOURED_ID + 1)


def _check_by_id(fact: str, said: Any, kinds: tuple[type, ...]) -> None:
    sound = isinstance(said, Mapping) and all(
        isinstance(one, str) and one.isdecimal() and type(value) in kinds and (type(value) is str or isfinite(value))
        for one, value in said.items()
    )
    if not sound:
        what = "a finite number" if fact == "scores" else "a name"
        raise ValueError(f"segmentation facts[{fact!r}] must give {what} for ids as text, got {said!r:.80}")


def _check_profile(profile: str) -> None:
    if profile not in Segmentation.profiles:
        raise ValueError(f"segmentation knows the profiles {', '.join(Segmentation.profiles)}, got {profile!r}")
