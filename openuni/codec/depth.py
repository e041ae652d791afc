"""Depth: 12-bit FFV1 of per-clip normalised disparity; Spectral_r colours, near is warm.

A map's data is (T, H, W) float32 with a valid mask; facts["kind"] says what it means:

relative_disparity  larger is nearer, any affine scale; finite where valid.
metric_depth        z in metres, > 0 where valid; sky is +inf, valid and far.

Metric depth is stored and drawn as disparity 1 / z, so that sky has a place (0) in a finite range. The bound holds
in that space: |decoded - true| <= (hi - lo) / 8190, half a step of 12 bits, with lo..hi the range of the clip's
valid values. In metres the error is z^2 (hi - lo) / 8190, large for what is far. In a clip with sky (lo = 0), what
is beyond 8190 times the nearest depth comes back as sky.

Invalid pixels keep their value, clipped into lo..hi; NaN, infinity and z <= 0 there become lo (far).
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from openuni.codec.palette import nearest, spectral_r
from openuni.codec.storage import check_array, check_rest, mask_to_gray, own_facts, pack, unpack
from openuni.modality import Encoded, Map, Modality, Rendering
from openuni.video import decode_gray, encode_gray

KINDS = ("relative_disparity", "metric_depth")
TOP_CODE = 4095  # 12 bits; 16 bits double the size of noisy depth for an error that no expert reaches.
TOP_COLOUR = 255
NO_VALID_PIXEL = 1.0  # ours: the disparity of clips without a valid pixel. Not 0: that would be infinite depth.


class Range(NamedTuple):
    """Smallest and largest disparity of a clip's valid pixels."""

    lo: float
    hi: float


class Depth(Modality):
    """See the top of the file."""

    name = "depth"
    wordings = (
        "depth map, near is warm and far is cool",
        "the distance of every surface, red close by and blue far away",
        "a video of scene depth in rainbow colours",
        "per-pixel depth of this scene",
        "how far each point is from the camera, shown as colour",
    )
    members = ("depth.mkv", "depth.valid.mkv")
    profiles = ("openuni", "vace")

    def check(self, map: Map) -> None:
        """See Modality.check."""
        check_array("depth", map.data, ("T", "H", "W"), np.float32)
        check_rest("depth", map, valid=True)
        kind = map.facts.get("kind")
        if kind not in KINDS:
            raise ValueError(f"depth facts['kind'] must be one of {', '.join(KINDS)}, got {kind!r}")
        values = map.data[map.valid]
        if kind == "metric_depth" and not (values > 0).all():
            raise ValueError("valid metric depth must be > 0 (+inf is sky), got 0, negative or NaN: mark those invalid")
        if kind == "relative_disparity" and not np.isfinite(values).all():
            raise ValueError("valid relative disparity must be finite, got NaN or infinity: mark those invalid")

    def encode(self, map: Map) -> Encoded:
        """See Modality.encode."""
        self.check(map)
        span = _range(map)
        members = {
            "depth.mkv": encode_gray(_codes(map, span, TOP_CODE), pix_fmt="gray12le"),
            "depth.valid.mkv": encode_gray(mask_to_gray(_valid(map))),
        }
        return pack(map, members, lo=span.lo, hi=span.hi)

    def decode(self, members: Mapping[str, bytes], facts: Mapping[str, Any]) -> Map:
        """See Modality.decode. Bound: the top of the file."""
        storage, own = unpack("depth", members, facts)
        table = _values(Range(storage["lo"], storage["hi"]), own["kind"], TOP_CODE)
        valid = decode_gray(members["depth.valid.mkv"]) > 0
        return Map(data=table[decode_gray(members["depth.mkv"])], valid=valid, facts=own)

    def stored(self, map: Map) -> Map:
        """See Modality.stored."""
        self.check(map)
        span = _range(map)
        table = _values(span, map.facts["kind"], TOP_CODE)
        return Map(data=table[_codes(map, span, TOP_CODE)], valid=_valid(map).copy(), facts=own_facts(map.facts))

    def render(self, map: Map, *, profile: str = "openuni", scale: Mapping[str, Any] | None = None) -> Rendering:
        """Draw disparity, normalised over the clip. Validity is not drawn: invalid pixels show their stored value.

        Args:
            map: the map.
            profile: "openuni" is Spectral_r with near red; "vace" is gray with near white.
            scale: {"kind", "lo", "hi"}; disparities outside lo..hi are drawn at its ends.

        Raises:
            ValueError: see `check`; an unknown profile; a scale of the other kind.
        """
        self.check(map)
        kind = map.facts["kind"]
        if scale is not None and scale["kind"] != kind:
            raise ValueError(f"this map is {kind} but the scale is for {scale['kind']}: use a scale of the same kind")
        span = _range(map) if scale is None else Range(scale["lo"], scale["hi"])
        palette = _palette(profile)
        return Rendering(palette[_codes(map, span, TOP_COLOUR)], {"kind": kind, "lo": span.lo, "hi": span.hi})

    def parse(self, frames: np.ndarray, scale: Mapping[str, Any], *, profile: str = "openuni") -> Map:
        """Read colours back. Without a video codec between: disparity within (hi - lo) / 510. All pixels are valid."""
        table = _values(Range(scale["lo"], scale["hi"]), scale["kind"], TOP_COLOUR)
        codes = nearest(frames, _palette(profile))
        return Map(data=table[codes], valid=np.ones(codes.shape, dtype=bool), facts={"kind": scale["kind"]})


DEPTH = Depth()


def _palette(profile: str) -> np.ndarray:
    """Return (256, 3) uint8, far to near."""
    if profile == "openuni":
        return spectral_r()
    if profile == "vace":
        return np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
    raise ValueError(f"depth knows the profiles {', '.join(Depth.profiles)}, got {profile!r}")


def _valid(map: Map) -> np.ndarray:
    assert map.valid is not None  # check() has made sure
    return map.valid


def _disparity(frame: np.ndarray, kind: str) -> np.ndarray:
    """(H, W) float64, larger is nearer; NaN where there is no finite disparity."""
    values = frame.astype(np.float64)
    if kind == "metric_depth":
        return 1 / np.where(values > 0, values, np.nan)
    return np.where(np.isfinite(values), values, np.nan)


def _range(map: Map) -> Range:
    """The range of disparity over valid pixels of all frames."""
    valid, kind = _valid(map), map.facts["kind"]
    per_frame = [_disparity(frame[mask], kind) for frame, mask in zip(map.data, valid, strict=True) if mask.any()]
    if not per_frame:
        return Range(NO_VALID_PIXEL, NO_VALID_PIXEL)
    return Range(float(min(part.min() for part in per_frame)), float(max(part.max() for part in per_frame)))


def _codes(map: Map, span: Range, top: int) -> np.ndarray:
    """(T, H, W) uint16: disparity as 0..top over the range; frame by frame, because float64 of a clip is large."""
    codes = np.zeros(map.data.shape, dtype=np.uint16)
    if span.hi > span.lo:
        for frame, out in zip(map.data, codes, strict=True):
            disparity = np.nan_to_num(_disparity(frame, map.facts["kind"]), nan=span.lo)
            out[:] = np.rint((np.clip(disparity, *span) - span.lo) * (top / (span.hi - span.lo)))
    return codes


def _values(span: Range, kind: str, top: int) -> np.ndarray:
    """(top + 1,) float32: what each code means, in the map's own unit."""
    part = np.arange(top + 1) / top
    disparity = span.lo * (1 - part) + span.hi * part  # this form is exact at both ends
    if kind == "metric_depth":
        with np.errstate(divide="ignore"):  # disparity 0 is sky: +inf
            disparity = 1 / disparity
    return disparity.astype(np.float32)
