"""Flow: 16-bit FFV1 in steps of 1/16 px, u stacked over v; colours of the Middlebury wheel.

A map's data is (T, H, W, 2) float32, pixels per frame, (dx, dy), forward t -> t + 1, with a valid mask whose last
frame is all False. Optional arrays["occluded"] (T, H, W) bool: the point is hidden in frame t + 1.

Stored within 1/32 px for components up to 2047 px. Invalid pixels keep their dense values (clipped; NaN becomes 0).
The colour wheel is Baker et al., "A Database and Evaluation Methodology for Optical Flow", IJCV 2011 (their
colorcode.cpp; torchvision's flow_to_image gives the same colours for norms up to the maximum).
"""

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np

from openuni.codec.palette import nearest
from openuni.codec.storage import check_array, check_rest, mask_to_gray, own_facts, pack, unpack
from openuni.modality import Encoded, Map, Modality, Rendering
from openuni.video import decode_gray, encode_gray

STEPS_PER_PX = 16  # 1/64 px costs twice the bytes; estimators err by tenths of a pixel.
MAX_PX = 2047.0  # what 16 bits hold in these steps, rounded down
ZERO_CODE = 32768
WHEEL_RUNS = (15, 6, 4, 11, 13, 6)  # Baker et al.: steps red-yellow, -green, -cyan, -blue, -magenta, -red; 55 colours
INVERSE_ANGLES = 720  # half a degree and 1/128 of the norm: finer than 8-bit colours tell apart
INVERSE_RADII = 129


class Flow(Modality):
    """See the top of the file."""

    name = "flow"
    wordings = (
        "optical flow, hue is direction and white is still",
        "how every pixel moves to the next frame, drawn as a colour wheel",
        "a motion field in Middlebury colours",
        "dense motion of this scene",
        "a video of movement: colour for direction, strength for speed",
    )
    members = ("flow.mkv", "flow.occluded.mkv", "flow.valid.mkv")

    def check(self, map: Map) -> None:
        """See Modality.check."""
        check_array("flow", map.data, ("T", "H", "W", 2), np.float32)
        check_rest("flow", map, valid=True, arrays=("occluded",))
        valid = _valid(map)
        if valid[-1].any():
            count = valid[-1].sum()
            raise ValueError(f"the last frame of flow has no next frame, got {count} valid pixels: mark it invalid")
        values = map.data[valid]
        if not (np.abs(values) <= MAX_PX).all():
            raise ValueError(f"valid flow must be within +-{MAX_PX:g} px and not NaN: mark what is not as invalid")
        if "occluded" in map.arrays:
            check_array("arrays['occluded'] of flow", map.arrays["occluded"], map.data.shape[:3], np.bool_)

    def encode(self, map: Map) -> Encoded:
        """See Modality.encode."""
        self.check(map)
        stacked = np.concatenate([_codes(map.data[..., 0]), _codes(map.data[..., 1])], axis=1)
        members = {"flow.mkv": encode_gray(stacked, pix_fmt="gray16le"), "flow.valid.mkv": _encode_mask(_valid(map))}
        if "occluded" in map.arrays:
            members["flow.occluded.mkv"] = _encode_mask(map.arrays["occluded"])
        return pack(map, members)

    def decode(self, members: Mapping[str, bytes], facts: Mapping[str, Any]) -> Map:
        """See Modality.decode. Bound: 1/32 px for each component."""
        storage, own = unpack("flow", members, facts)
        dx, dy = np.split(decode_gray(members["flow.mkv"]), 2, axis=1)
        arrays = {}
        if "flow.occluded.mkv" in storage["crc32"]:
            arrays["occluded"] = decode_gray(members["flow.occluded.mkv"]) > 0
        valid = decode_gray(members["flow.valid.mkv"]) > 0
        return Map(data=_pixels(np.stack([dx, dy], axis=-1)), valid=valid, arrays=arrays, facts=own)

    def stored(self, map: Map) -> Map:
        """See Modality.stored."""
        self.check(map)
        arrays = {name: array.copy() for name, array in map.arrays.items()}
        return Map(data=_pixels(_codes(map.data)), valid=_valid(map).copy(), arrays=arrays, facts=own_facts(map.facts))

    def render(self, map: Map, *, profile: str = "openuni", scale: Mapping[str, Any] | None = None) -> Rendering:
        """Draw the flow on the wheel: hue is direction, white is still.

        Invalid pixels, and so the whole last frame, are drawn white: colour cannot tell them from still ones.

        Args:
            map: the map.
            profile: "openuni".
            scale: {"max_norm_px": full saturation}; longer flow is drawn as if it had this length. None: the
                longest valid flow of the clip.

        Raises:
            ValueError: see `check`; an unknown profile.
        """
        self.check(map)
        _check_profile(profile)
        flow = np.where(_valid(map)[..., None], map.data, np.float32(0))
        longest = float(np.sqrt(max((np.square(frame, dtype=np.float64).sum(axis=-1).max()) for frame in flow)))
        norm = longest if scale is None else float(scale["max_norm_px"])
        frames = np.stack([wheel_colours(frame.astype(np.float64) / (norm or 1.0)) for frame in flow])
        return Rendering(frames, {"max_norm_px": norm})

    def parse(self, frames: np.ndarray, scale: Mapping[str, Any], *, profile: str = "openuni") -> Map:
        """Read colours back by the nearest colour of the wheel. Measured errors: docs/codecs.md.

        All frames but the last are valid: the colours do not say which pixels were not.
        """
        _check_profile(profile)
        colours, unit_flow = _inverse_wheel()
        data = (unit_flow * scale["max_norm_px"]).astype(np.float32)[nearest(frames, colours)]
        valid = np.ones(data.shape[:3], dtype=bool)
        valid[-1] = False
        return Map(data=data, valid=valid)


FLOW = Flow()


@cache
def colour_wheel() -> np.ndarray:
    """Return the 55 colours of Baker et al.: (55, 3) float64 in 0..255, starting at red."""
    # Red, yellow, green, cyan, blue, magenta, and red again.
    stops = 255 * np.array([(1, 0, 0), (1, 1, 0), (0, 1, 0), (0, 1, 1), (0, 0, 1), (1, 0, 1), (1, 0, 0)])
    rows = []
    for first, last, steps in zip(stops, stops[1:], WHEEL_RUNS, strict=False):
        rising = np.floor(255 * np.arange(steps) / steps)[:, None]
        # Falling channels are 255 - floor(...), as published: not the same as flooring the falling value.
        rows.append(first + np.sign(last - first) * rising)
    return np.concatenate(rows)


def wheel_colours(flow: np.ndarray) -> np.ndarray:
    """Colour flow vectors in units of the maximum norm.

    Args:
        flow: (..., 2) float64; vectors longer than 1 are drawn as if they had length 1.

    Returns:
        (..., 3) uint8 RGB; the zero vector is white.

    Source: Baker et al., colorcode.cpp, computeColor; its darkening beyond the maximum norm is left out.
    """
    dx, dy = flow[..., 0], flow[..., 1]
    wheel = colour_wheel() / 255
    radius = np.minimum(np.hypot(dx, dy), 1.0)[..., None]
    at = (np.arctan2(-dy, -dx) / np.pi + 1) / 2 * (len(wheel) - 1)
    below = np.floor(at).astype(np.intp)
    part = (at - below)[..., None]
    hue = (1 - part) * wheel[below] + part * wheel[(below + 1) % len(wheel)]
    return np.floor(255 * (1 - radius * (1 - hue))).astype(np.uint8)


@cache
def _inverse_wheel() -> tuple[np.ndarray, np.ndarray]:
    """(N, 3) different colours and (N, 2) their flow in units of the maximum norm: the mean of all that look so."""
    angle = np.arange(INVERSE_ANGLES) * (2 * np.pi / INVERSE_ANGLES)
    radius = np.linspace(0, 1, INVERSE_RADII)[:, None]
    flow = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1).reshape(-1, 2)
    colours, index, count = np.unique(wheel_colours(flow), axis=0, return_inverse=True, return_counts=True)
    mean = np.stack([np.bincount(index.ravel(), flow[:, axis]) / count for axis in range(2)], axis=-1)
    return colours, mean


def _valid(map: Map) -> np.ndarray:
    assert map.valid is not None  # check() has made sure
    return map.valid


def _check_profile(profile: str) -> None:
    if profile not in Flow.profiles:
        raise ValueError(f"flow knows the profiles {', '.join(Flow.profiles)}, got {profile!r}")


def _codes(px: np.ndarray) -> np.ndarray:
    """Flow in pixels -> uint16 codes; ZERO_CODE for NaN."""
    bounded = np.clip(np.nan_to_num(px, nan=0.0, posinf=MAX_PX, neginf=-MAX_PX), -MAX_PX, MAX_PX)
    return (np.rint(bounded * STEPS_PER_PX).astype(np.int32) + ZERO_CODE).astype(np.uint16)


def _pixels(codes: np.ndarray) -> np.ndarray:
    """Codes -> float32 pixels, exact: 1/16 px steps below 2048 need 15 bits of float32's 24."""
    return (codes.astype(np.float32) - ZERO_CODE) / np.float32(STEPS_PER_PX)


def _encode_mask(mask: np.ndarray) -> bytes:
    return encode_gray(mask_to_gray(mask))
