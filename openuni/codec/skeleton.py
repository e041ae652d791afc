"""Skeleton: float32 joints in an npz, exact; OpenPose limbs on black.

A map's data is (T, P, K, 3) float32: x px, y px, confidence (0 where a person or joint is not seen; whole numbers
are pixel centres). K is 17 (COCO) or 133 (COCO-WholeBody: body 0-16, feet 17-22, face 23-90, hands 91-132). P may be
0. facts["height"], facts["width"] are the frame size in pixels; facts["joints"], where it is there, lists the joints of
the 17 that can be seen at all, for maps read from drawings that lack some. Optional arrays: "boxes" (T, P, 4) float32
x0, y0, x1, y1 px, and "track_ids" (P,) int64. No valid mask: that is the confidence.

The drawing is in openuni/codec/skeleton_drawing.py, the way back in openuni/codec/skeleton_parsing.py.
"""

import io
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np

from openuni.codec.skeleton_drawing import draw, stick_width
from openuni.codec.skeleton_parsing import read_people, track
from openuni.codec.skeleton_soft import read_blurred
from openuni.codec.storage import check_array, check_rest, own_facts, pack, unpack
from openuni.modality import Encoded, Map, Modality, Rendering

KEYPOINT_COUNTS = (17, 133)
BODY = 17
ZIP_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest that zip can say: the bytes must not depend on the clock


class Skeleton(Modality):
    """See the top of the file."""

    name = "skeleton"
    wordings = (
        "OpenPose skeletons on a black background",
        "stick figures that move like the people in this video",
        "coloured limbs and joints of every person, nothing else",
        "human pose drawn as coloured sticks",
        "the skeleton of each person, frame by frame",
    )
    members = ("skeleton.npz",)
    profiles = ("openuni", "vace")

    def check(self, map: Map) -> None:
        """See Modality.check."""
        check_array("skeleton", map.data, ("T", "P", "K", 3), np.float32)
        frames, people, keypoints, _ = map.data.shape
        if keypoints not in KEYPOINT_COUNTS:
            raise ValueError(f"skeleton must have 17 (COCO) or 133 (COCO-WholeBody) joints, got {keypoints}")
        check_rest("skeleton", map, valid=False, arrays=("boxes", "track_ids"))
        for name in ("height", "width"):
            if not map.facts.get(name, 0) > 0:
                given = map.facts.get(name)
                raise ValueError(f"skeleton facts[{name!r}] must be the frame's {name} in px, got {given}")
        _check_joints(map.facts.get("joints", [0]))
        confidence = map.data[..., 2]
        if not (confidence >= 0).all():
            raise ValueError("skeleton confidence must be >= 0 and not NaN: give 0 where a joint is not seen")
        if not np.isfinite(map.data[confidence > 0]).all():
            raise ValueError("skeleton joints with confidence > 0 must be finite: give confidence 0 where they are not")
        if "boxes" in map.arrays and frames * people:
            check_array("arrays['boxes'] of skeleton", map.arrays["boxes"], (frames, people, 4), np.float32)
        if "track_ids" in map.arrays and people:
            check_array("arrays['track_ids'] of skeleton", map.arrays["track_ids"], (people,), np.int64)

    def encode(self, map: Map) -> Encoded:
        """See Modality.encode."""
        self.check(map)
        return pack(map, {"skeleton.npz": _to_npz({"keypoints": map.data, **map.arrays})})

    def decode(self, members: Mapping[str, bytes], facts: Mapping[str, Any]) -> Map:
        """See Modality.decode. Exact."""
        _, own = unpack("skeleton", members, facts)
        with np.load(io.BytesIO(members["skeleton.npz"]), allow_pickle=False) as arrays:
            found = {name: arrays[name] for name in arrays.files}
        return Map(data=found.pop("keypoints"), arrays=found, facts=own)

    def stored(self, map: Map) -> Map:
        """See Modality.stored: a copy."""
        self.check(map)
        arrays = {name: array.copy() for name, array in map.arrays.items()}
        return Map(data=map.data.copy(), arrays=arrays, facts=own_facts(map.facts))

    def render(self, map: Map, *, profile: str = "openuni", scale: Mapping[str, Any] | None = None) -> Rendering:
        """Draw joints with confidence above 0.3 and the limbs between them, at the map's height and width.

        Args:
            map: the map.
            profile: "openuni" draws body and, for K = 133, hands; "vace" draws body and, for K = 133, face points.
            scale: {"stick_px": half the width of a limb}, to draw as another clip was drawn. None: 4 px at 512 px
                short side, in proportion, at least 1.

        Raises:
            ValueError: see `check`; an unknown profile.
        """
        self.check(map)
        _check_profile(profile)
        size = int(map.facts["height"]), int(map.facts["width"])
        stick_px = stick_width(*size) if scale is None else int(scale["stick_px"])
        shown = {"hands": profile == "openuni", "face": profile == "vace"}
        frames = [draw(people, size, stick_px, **shown) for people in map.data]
        return Rendering(np.stack(frames), {"stick_px": stick_px})

    def parse(self, frames: np.ndarray, scale: Mapping[str, Any], *, profile: str = "openuni") -> Map:
        """Find the joints of our own palette. Only K = 17: hands and face are not read.

        With scale["blurred"], frames where nobody is found are read by openuni/codec/skeleton_soft.py.

        Joints are blobs of their colour; persons are joints tied by drawn limbs. Confidence is 1 where a joint was
        found, else 0. What falls short, and measured errors: docs/codecs.md.
        """
        _check_profile(profile)
        people = read_people(frames, int(scale["stick_px"]))
        if scale.get("blurred"):
            people = [sharp if len(sharp) else read_blurred(frame) for sharp, frame in zip(people, frames, strict=True)]
        data = track(people, max_step_px=max(frames.shape[1:3]) / 6)
        facts = {"height": int(frames.shape[1]), "width": int(frames.shape[2])}
        return Map(data=data, arrays={"track_ids": np.arange(data.shape[1], dtype=np.int64)}, facts=facts)


SKELETON = Skeleton()


def _check_joints(joints: Any) -> None:
    sound = isinstance(joints, list) and joints and all(type(one) is int and 0 <= one < BODY for one in joints)
    if not sound or len(set(joints)) < len(joints):
        raise ValueError(f"skeleton facts['joints'] must list different joints from 0 to {BODY - 1}, got {joints!r}")


def _check_profile(profile: str) -> None:
    if profile not in Skeleton.profiles:
        raise ValueError(f"skeleton knows the profiles {', '.join(Skeleton.profiles)}, got {profile!r}")


def _to_npz(arrays: Mapping[str, np.ndarray]) -> bytes:
    """An npz whose bytes depend on the arrays only. Not compressed: zlib's output differs from version to version."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(arrays):
            info = zipfile.ZipInfo(f"{name}.npy", ZIP_TIME)
            info.create_system = 3  # Unix, on every system
            with archive.open(info, "w") as member:
                little = np.ascontiguousarray(arrays[name]).astype(arrays[name].dtype.newbyteorder("<"), copy=False)
                np.lib.format.write_array(member, little, version=(1, 0), allow_pickle=False)
    return buffer.getvalue()
