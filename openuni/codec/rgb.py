"""RGB: the frames that the experts saw, as H.264 mp4. The same door as the modalities, so that stages can store them.

A map's data is (T, H, W, 3) uint8 RGB with even H and W; facts are "times_s", T increasing seconds with any spacing,
and "fps", the mean rate. Stored with x264 crf 18: lossy, see docs/codecs.md for the measured error.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from openuni.codec.storage import check_array, check_rest, own_facts, pack, unpack
from openuni.errors import UnknownName
from openuni.modality import Encoded, Map, Modality, Rendering
from openuni.video import decode_rgb, decode_rgb_decord, encode_rgb_mp4

DECODERS = ("pyav", "decord")
"""pyav: exact colours. decord: two thirds of the cost, about one level darker; see openuni.video.decode_rgb_decord."""


class Rgb(Modality):
    """See the top of the file. Not in MODALITIES: RGB is not one of the five, it is what they describe."""

    name = "rgb"
    wordings = ("the video itself", "an ordinary colour video", "natural colours as a camera sees them", "RGB frames")
    members = ("mp4",)
    profiles = ("openuni", "vace")

    def check(self, map: Map) -> None:
        """See Modality.check."""
        check_array("rgb", map.data, ("T", "H", "W", 3), np.uint8)
        check_rest("rgb", map, valid=False)
        if map.data.shape[1] % 2 or map.data.shape[2] % 2:
            size = map.data.shape[1:3]
            raise ValueError(f"rgb frames must have even height and width, got {size}: crop one row or column")
        times = map.facts.get("times_s")
        if times is None or len(times) != len(map.data):
            count, given = len(map.data), "none" if times is None else len(times)
            raise ValueError(f"rgb facts['times_s'] must have one time for each of the {count} frames, got {given}")
        if not map.facts.get("fps", 0) > 0:
            raise ValueError(f"rgb facts['fps'] must be the mean frame rate, > 0, got {map.facts.get('fps')}")

    def encode(self, map: Map) -> Encoded:
        """See Modality.encode. The mp4 starts at 0; facts["times_s"] keep the clip's own times."""
        self.check(map)
        return pack(map, {"mp4": encode_rgb_mp4(map.data, times_s=map.facts["times_s"])})

    def decode(self, members: Mapping[str, bytes], facts: Mapping[str, Any]) -> Map:
        """See Modality.decode. Lossy."""
        return self.decode_with("pyav", members, facts)

    def decode_with(self, decoder: str, members: Mapping[str, bytes], facts: Mapping[str, Any]) -> Map:
        """Decode with a library of DECODERS.

        Raises:
            UnknownName: there is no such decoder.
            BadInput: the library is not installed.
            ValueError: as `decode`.
        """
        if decoder not in DECODERS:
            raise UnknownName("decoder", decoder, DECODERS)
        _, own = unpack("rgb", members, facts)
        content = members["mp4"]
        frames = decode_rgb_decord(content) if decoder == "decord" else decode_rgb(content).frames
        return Map(data=frames, facts=own)

    def stored(self, map: Map) -> Map:
        """Return the map itself: unlike the modalities', NOT what decode gives.

        H.264 cannot be foretold without running it. A stage that reads rgb in the run that made it sees the frames
        before the codec; one that reads it from a shard sees them after.
        """
        self.check(map)
        return Map(data=map.data, facts=own_facts(map.facts))

    def render(self, map: Map, *, profile: str = "openuni", scale: Mapping[str, Any] | None = None) -> Rendering:
        """Return the frames as they are; profile and scale have no effect on them. The scale is the map's facts."""
        self.check(map)
        return Rendering(map.data, dict(map.facts))

    def parse(self, frames: np.ndarray, scale: Mapping[str, Any], *, profile: str = "openuni") -> Map:
        """Return the frames as a map whose facts are the scale."""
        return Map(data=frames, facts=dict(scale))


RGB = Rgb()
