"""Small scenes and what tests ask of them."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from openuni.benchmark.synth.body import BONE_NAMES
from openuni.benchmark.synth.camera import look_at
from openuni.benchmark.synth.geometry import Geometry, Hits, Posed
from openuni.benchmark.synth.render import frame_by_frame
from openuni.benchmark.synth.rotation import quaternion_of
from openuni.benchmark.synth.scene import Camera, Person, Scene, Sky, Thing
from openuni.benchmark.synth.truth import FrameTruth


class Shot(NamedTuple):
    """One frame: its surfaces, camera and truth."""

    posed: Posed
    camera: Camera
    truth: FrameTruth


def shots(scene: Scene, size: int, behind_glass: str = "first_surface") -> list[Shot]:
    return [Shot(*one) for one in frame_by_frame(Geometry(scene), size, size, behind_glass)]


def still(
    things: list[tuple[Thing, tuple[float, float, float]]],
    *,
    eye: tuple[float, float, float] = (4.0, 0.0, 1.0),
    target: tuple[float, float, float] = (0.0, 0.0, 1.0),
    people: list[tuple[Person, tuple[float, float, float]]] | None = None,
    num_frames: int = 2,
    focal: float = 1.0,
) -> Scene:
    """A scene in which nothing moves; people stand in the rest pose with the pelvis at a place."""
    ways = people or []
    upright = np.zeros((num_frames, len(ways), len(BONE_NAMES), 4))
    upright[..., 0] = 1
    rotation = quaternion_of(look_at(np.subtract(target, eye)))
    return Scene(
        name="still", family="objects", seed=0, caption="", sky=Sky(clouds=0.0),
        things=tuple(thing for thing, _ in things),
        thing_positions=np.tile(np.array([at for _, at in things], float).reshape(1, -1, 3), (num_frames, 1, 1)),
        thing_rotations=np.tile([1.0, 0, 0, 0], (num_frames, len(things), 1)),
        people=tuple(person for person, _ in ways),
        person_positions=np.tile(np.array([at for _, at in ways], float).reshape(1, -1, 3), (num_frames, 1, 1)),
        person_rotations=upright, camera_positions=np.tile(np.array(eye, float), (num_frames, 1)),
        camera_rotations=np.tile(rotation, (num_frames, 1)), focal=focal,
    )  # fmt: skip


def moved(scene: Scene, **arrays: np.ndarray) -> Scene:
    """The scene with other pose arrays."""
    return replace(scene, **arrays)


def rest_points(shot: Shot, hits: Hits, directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What each ray shows: the point in its thing's own axes (of the sky: the direction), and the thing (sky: -1)."""
    points = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    points[hits.hit] = shot.posed.rest_points(hits.face[hits.hit], hits.weights[hits.hit])
    return points, np.where(hits.hit, shot.posed.geometry.component[hits.face], -1)
