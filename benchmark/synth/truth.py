"""Truth: what every pixel of a clip is, from one ray through each pixel's centre. The same for every tier of RGB."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import overload

import numpy as np

from openuni.benchmark.synth.body import COCO_JOINTS, JOINT_BONES, JOINT_DEPTHS
from openuni.benchmark.synth.geometry import Geometry, Hits, Posed
from openuni.benchmark.synth.rotation import dot, length
from openuni.benchmark.synth.scene import Camera, Scene
from openuni.engine.stage import Absent

BEHIND_GLASS = ("first_surface", "see_through")
PERSON = "person"
"""The class of people."""
UNKNOWN_GLASS = "unknown"
"""The policy of imported clips, whose renderers did not say."""
VISIBLE_TOLERANCE = 3e-4  # ours, relative distance: Embree's float32 errs by 1e-6, at grazing rays by 1e-5
FACTS = ("behind_glass", "classes")
"""Fields of Truth that are no arrays."""
MAX_FLOW_PX = 2047.0  # what the flow codec stores; a point that passes close by the camera moves farther


class MissingTruth(Absent):
    """An array was read that this clip's truth does not have. A stage that scores it is then absent."""

    def __init__(self, name: str) -> None:
        super().__init__(f"truth_has_no_{name}")


class _Array:
    """A field of Truth: an array, or nothing, and then reading it raises MissingTruth."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, truth: None, owner: type) -> None: ...
    @overload
    def __get__(self, truth: object, owner: type) -> np.ndarray: ...
    def __get__(self, truth: object | None, owner: type) -> np.ndarray | None:
        if truth is None:  # dataclass asks the class for the field's default: nothing
            return None
        found: np.ndarray | None = truth.__dict__[self._name]
        if found is None:
            raise MissingTruth(self._name)
        return found

    def __set__(self, truth: object, value: np.ndarray | None) -> None:
        truth.__dict__[self._name] = value


@dataclass(frozen=True, kw_only=True, eq=False)
class Truth:
    """The truth of a clip. T frames of H x W pixels, P people. Pixel (0, 0) is a centre, as everywhere in openuni.

    Rendered clips have every array. Imported ones have what their source tells; reading another one raises
    MissingTruth, `has` asks.
    """

    depth: _Array = _Array()
    """(T, H, W) float32, z along the optical axis, metres; +inf where the ray leaves the scene (sky). NaN where it is
    not known, in imported clips only."""
    flow: _Array = _Array()
    """(T, H, W, 2) float32, px (dx, dy) from frame t to t + 1, of the surface point whether it is seen again or not;
    of the sky by the camera's rotation. Zeros where flow_valid is False."""
    flow_valid: _Array = _Array()
    """(T, H, W) bool: False in the last frame, and where the point passes behind the camera."""
    occluded: _Array = _Array()
    """(T, H, W) bool: the point seen in t is hidden, turned away or outside the picture in t + 1. Last frame True."""
    segmentation: _Array = _Array()
    """(T, H, W) uint8 instance id, stable over time: things, then people; 0 is ground, walls and sky."""
    keypoints: _Array = _Array()
    """(T, P, 17, 3) float32 in COCO's order: x px, y px, visibility as COCO has it: 2 seen, 1 hidden, 0 outside the
    picture (then x = y = 0). "left" is the person's left."""
    densepose: _Array = _Array()
    """(T, H, W) uint8 part 1-24, 0 where there is no person."""
    uv: _Array = _Array()
    """(T, H, W, 2) float32 U, V in 0..1 within the part, zeros where there is no person."""
    refractive: _Array = _Array()
    """(T, H, W) bool: the first surface is glass or water, whatever the policy says."""
    intrinsics: _Array = _Array()
    """(T, 3, 3) float64, px."""
    poses: _Array = _Array()
    """(T, 4, 4) float64 world to camera: x_camera = (pose @ [x, y, z, 1])[:3]; camera x right, y down, z forward."""
    person_ids: _Array = _Array()
    """(P,) uint8: the instance id of each person."""
    behind_glass: str
    """Policy: "first_surface" gives the truth of glass and water themselves, "see_through" that of what a straight
    line behind them meets; "unknown" in imported clips."""
    classes: Mapping[int, str] | None = None
    """Class of each instance id: "person", or a thing's kind; not a part of the hash. None: not known."""

    def has(self, *names: str) -> bool:
        """Tell whether all these arrays are there."""
        return all(self.__dict__[name] is not None for name in names)

    @property
    def size(self) -> tuple[int, int, int]:
        """T, H and W.

        Raises:
            MissingTruth: no array tells.
        """
        name = next((name for name in _PICTURES if self.has(name)), "depth")
        frames, height, width = getattr(self, name).shape[:3]
        return frames, height, width

    @property
    def sky(self) -> np.ndarray:
        """(T, H, W) bool."""
        return np.isinf(self.depth)

    @cached_property
    def sha256(self) -> str:
        """Hash of all arrays, their shapes and the policy: 64 hex digits."""
        digest = hashlib.sha256(self.behind_glass.encode())
        for name, array in self.arrays().items():
            digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the arrays that are there by their field's name."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in FACTS and self.has(f.name)}


_PICTURES = ("depth", "flow", "segmentation", "densepose")
"""Arrays of T, H, W, any one of which tells the size."""


@dataclass(frozen=True, eq=False)
class FrameTruth:
    """One frame's truth and the hits it was read from. Pixels are rows of the arrays, (H * W, ...)."""

    arrays: dict[str, np.ndarray]
    """Truth's per-frame arrays, (H, W, ...) and (P, 17, 3)."""
    hits: Hits
    """Under the policy: what depth, flow and the masks are of."""
    first: Hits
    """The very first surfaces. The same object where nothing is refractive or the policy is first_surface."""


def frame_truth(
    posed: Posed, camera: Camera, following: Posed | None, next_camera: Camera | None, *, see_through: bool = False
) -> FrameTruth:
    """Work out the truth of one frame.

    Args:
        posed: the surfaces at the frame.
        camera: its camera.
        following: the surfaces one frame later; None at the clip's last frame.
        next_camera: its camera.
        see_through: the policy behind glass.
    """
    geometry, shape = posed.geometry, (camera.height, camera.width)
    pixels = camera.pixels()
    directions = camera.directions(pixels)
    first = posed.cast(camera.position, directions)
    clear = first.hit & geometry.refractive[first.face]
    hits = posed.cast(camera.position, directions, see_through=True) if see_through and clear.any() else first
    ids = np.where(hits.hit, geometry.component_ids[geometry.component[hits.face]], 0).astype(np.uint8)
    part, uv = _surface_coordinates(posed, hits)
    arrays = {
        "depth": hits.distance.astype(np.float32),
        "segmentation": ids,
        "densepose": part,
        "uv": uv,
        "refractive": clear,
        "flow": np.zeros((len(pixels), 2), np.float32),
        "flow_valid": np.zeros(len(pixels), bool),
        "occluded": np.ones(len(pixels), bool),
    }
    if following is not None and next_camera is not None:
        arrays |= _motion(hits, pixels, directions, following, next_camera, see_through)
    arrays = {name: array.reshape(*shape, *array.shape[1:]) for name, array in arrays.items()}
    arrays["keypoints"] = _keypoints(posed, camera, arrays["segmentation"], see_through)
    arrays["intrinsics"], arrays["poses"] = camera.intrinsics, camera.pose
    return FrameTruth(arrays, hits, first)


def stack_truth(scene: Scene, geometry: Geometry, frames: list[dict[str, np.ndarray]], behind_glass: str) -> Truth:
    """Join the arrays of all frames."""
    people = geometry.component_ids[len(scene.things) :]
    joined = {name: np.stack([frame[name] for frame in frames]) for name in frames[0]}
    kinds = [*(thing.kind for thing in scene.things), *(PERSON for _ in scene.people)]
    classes = {one: kind for one, kind in zip(scene.ids, kinds, strict=True) if one > 0}
    return Truth(**joined, person_ids=people, behind_glass=behind_glass, classes=classes)


def _motion(
    hits: Hits, pixels: np.ndarray, directions: np.ndarray, following: Posed, camera: Camera, see_through: bool
) -> dict[str, np.ndarray]:
    """Flow, its validity and occlusion. `following` and `camera` are the next frame's."""
    hit = hits.hit
    # A point of the sky is infinitely far: only the camera's rotation moves it.
    sight = directions.copy()
    face = hits.face[hit]
    sight[hit] = following.points(face, hits.weights[hit]) - camera.position
    landed, z = camera.project_directions(sight)
    flow = landed - pixels
    with np.errstate(invalid="ignore"):
        valid = (z > 0) & (np.abs(flow) <= MAX_FLOW_PX).all(axis=-1)
    inside = valid & camera.inside(landed)
    # Cast only where the point lands inside the picture: the others are occluded anyway.
    cast = np.flatnonzero(inside)
    seen = following.cast(camera.position, sight[cast], see_through=see_through)
    # The direction's length is the distance to the point, so 1 is the point itself.
    hidden = np.where(hit[cast], seen.distance < 1 - VISIBLE_TOLERANCE, seen.hit)
    occluded = np.ones(len(hit), bool)
    occluded[cast] = hidden
    away = np.zeros(len(hit), bool)
    away[hit] = dot(following.face_normals(face), sight[hit]) >= 0
    return {
        "flow": np.where(valid[:, None], flow, 0).astype(np.float32),
        "flow_valid": valid,
        "occluded": occluded | away,
    }


def _surface_coordinates(posed: Posed, hits: Hits) -> tuple[np.ndarray, np.ndarray]:
    """DensePose part (N,) uint8 and U, V (N, 2) float32 of hits."""
    geometry = posed.geometry
    part, uv = np.zeros(len(hits.face), np.uint8), np.zeros((len(hits.face), 2), np.float32)
    things = len(geometry.scene.things)
    for number, body in enumerate(geometry.bodies, start=things):
        mine = np.flatnonzero(hits.hit & (geometry.component[hits.face] == number))
        if len(mine):
            face = hits.face[mine] - geometry.first_face[number]
            part[mine], uv[mine] = body.chart(face, hits.weights[mine])
    return part, uv


def _keypoints(posed: Posed, camera: Camera, segmentation: np.ndarray, see_through: bool) -> np.ndarray:
    """(P, 17, 3) float32.

    A joint lies inside the body. It is seen if the ray towards it first meets its own person, at the joint's own
    limb, no farther in front of the joint than the limb is thick, and the pixel that holds it is that person's.
    """
    geometry = posed.geometry
    things = len(geometry.scene.things)
    out = np.zeros((len(geometry.bodies), len(COCO_JOINTS), 3), np.float32)
    for number, body in enumerate(geometry.bodies):
        joints = body.joints(*posed.bones[number])
        at, z = camera.project(joints)
        with np.errstate(invalid="ignore"):
            whole = np.nan_to_num(np.rint(at), nan=-1, posinf=-1, neginf=-1)
            inside = (z > 0) & (whole >= 0).all(axis=-1) & (whole < [camera.width, camera.height]).all(axis=-1)
        place = np.where(inside[:, None], whole, 0).astype(int)
        sight = joints - camera.position
        seen = posed.cast(camera.position, sight, see_through=see_through)
        own = seen.hit & (geometry.component[seen.face] == things + number)
        bone = np.zeros(len(joints), int)
        bone[own] = body.bone(seen.face[own] - geometry.first_face[things + number], seen.weights[own])
        limb = np.array([bone[joint] in JOINT_BONES[joint] for joint in range(len(joints))])
        depth = (1 - seen.distance) * length(sight)  # metres from the surface met to the joint
        near = (depth <= JOINT_DEPTHS * body.scale) & own
        pixel = segmentation[place[:, 1], place[:, 0]] == geometry.component_ids[things + number]
        visibility = np.where(inside, np.where(near & limb & pixel, 2, 1), 0)
        out[number] = np.where(inside[:, None], np.concatenate([at, visibility[:, None]], axis=-1), 0)
    return out
