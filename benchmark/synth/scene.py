"""A scene: everything that decides a clip's truth and its picture, poses over time included.

World axes are x, y on the ground and z up, metres. Camera axes are OpenCV's: x right, y down, z forward. Poses lie on
the grids of openuni/benchmark/synth/rotation.py, so that a scene is the same after it was stored.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from openuni.benchmark.synth.rotation import matrix_of, turn, turn_back

FPS = 16.0  # the rate that a build keeps by default
Colour = tuple[float, float, float]
"""Linear red, green, blue in 0..1."""


@dataclass(frozen=True, kw_only=True)
class Thing:
    """A rigid thing."""

    kind: str
    """A key of openuni.benchmark.synth.shapes.SHAPES."""
    size: tuple[float, ...]
    """Metres, as the kind's function says."""
    material: str
    """A key of openuni.benchmark.synth.material.MATERIALS."""
    colour: Colour = (1.0, 1.0, 1.0)
    """Tint of the material."""
    seed: int = 0
    """Which rock, which piece of wood."""
    scenery: bool = False
    """Ground and walls: instance id 0, they never move."""
    name: str = ""
    """What a caption calls it: "red ball"."""


@dataclass(frozen=True, kw_only=True)
class Person:
    """Looks of a person; the pose is in the scene."""

    height: float = 1.75
    """Metres."""
    girth: float = 1.0
    """Factor of the thickness of trunk and limbs."""
    skin: Colour = (0.56, 0.33, 0.22)
    hair: Colour = (0.05, 0.03, 0.02)
    shirt: Colour = (0.5, 0.08, 0.06)
    trousers: Colour = (0.06, 0.08, 0.2)
    shoes: Colour = (0.03, 0.03, 0.03)
    pattern: str = "plain"
    """Of the shirt: plain, stripes, checks."""
    sleeves: str = "short"
    """short or long."""
    legs: str = "long"
    """short or long."""
    name: str = "person"
    """What a caption calls them: "person in a red shirt"."""


@dataclass(frozen=True, kw_only=True)
class Sky:
    """Light of a scene."""

    sun: tuple[float, float, float] = (0.5, -0.4, 0.77)
    """Direction to the sun; of any length."""
    haze: float = 0.3
    """0 deep blue and hard light, 1 white and soft."""
    clouds: float = 0.4
    """Part of the sky that clouds cover."""
    seed: int = 0
    """Which clouds."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Scene:
    """T frames, N things, P people."""

    name: str
    family: str
    seed: int
    caption: str
    sky: Sky
    things: tuple[Thing, ...]
    thing_positions: np.ndarray
    """(T, N, 3) float64 metres."""
    thing_rotations: np.ndarray
    """(T, N, 4) float64 quaternions (w, x, y, z), a thing's axes to the world's."""
    people: tuple[Person, ...]
    person_positions: np.ndarray
    """(T, P, 3) float64 metres: the pelvis joint."""
    person_rotations: np.ndarray
    """(T, P, B, 4) float64 quaternions of the bones, each to its parent's axes (the pelvis: to the world's)."""
    camera_positions: np.ndarray
    """(T, 3) float64 metres."""
    camera_rotations: np.ndarray
    """(T, 4) float64 quaternions, the world's axes to the camera's."""
    focal: float
    """Focal length in picture heights."""
    fps: float = FPS
    facts: Mapping[str, Any] = field(default_factory=dict)
    """JSON-able facts: camera kind, actions, what collides."""

    @property
    def num_frames(self) -> int:
        """T."""
        return len(self.camera_positions)

    @property
    def ids(self) -> tuple[int, ...]:
        """Instance id of each thing, then of each person: 0 for scenery, else 1, 2, ..."""
        ids, last = [], 0
        for scenery in [*(thing.scenery for thing in self.things), *(False for _ in self.people)]:
            last += not scenery
            ids.append(0 if scenery else last)
        return tuple(ids)

    def camera(self, frame: int, height: int, width: int) -> "Camera":
        """Return the camera of one frame for pictures of a size in px."""
        rotation = matrix_of(self.camera_rotations[frame])
        return Camera(self.camera_positions[frame], rotation, self.focal * height, height, width)


@dataclass(frozen=True, eq=False)
class Camera:
    """A pinhole camera. Pixel (0, 0) is a centre; the principal point is ((W - 1) / 2, (H - 1) / 2)."""

    position: np.ndarray
    """(3,) metres."""
    rotation: np.ndarray
    """(3, 3), world to camera."""
    focal: float
    """px."""
    height: int
    width: int

    @property
    def intrinsics(self) -> np.ndarray:
        """(3, 3) float64."""
        middle = [(self.width - 1) / 2, (self.height - 1) / 2]
        return np.array([[self.focal, 0, middle[0]], [0, self.focal, middle[1]], [0, 0, 1.0]])

    @property
    def pose(self) -> np.ndarray:
        """(4, 4) float64, world to camera."""
        pose = np.eye(4)
        pose[:3, :3] = self.rotation
        pose[:3, 3] = -turn(self.rotation, self.position)
        return pose

    def pixels(self) -> np.ndarray:
        """(H * W, 2) float64 pixel centres, x y, row by row."""
        x, y = np.meshgrid(np.arange(self.width, dtype=np.float64), np.arange(self.height, dtype=np.float64))
        return np.stack([x.ravel(), y.ravel()], axis=-1)

    def directions(self, pixels: np.ndarray) -> np.ndarray:
        """World directions (N, 3) through pixels (N, 2), with camera z = 1: a ray's parameter is planar depth."""
        x = (pixels[:, 0] - (self.width - 1) / 2) / self.focal
        y = (pixels[:, 1] - (self.height - 1) / 2) / self.focal
        return turn_back(self.rotation, np.stack([x, y, np.ones_like(x)], axis=-1))

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """World points (N, 3) to pixels (N, 2) and planar depths (N,). Pixels are NaN where the depth is not > 0."""
        return self.project_directions(points - self.position)

    def project_directions(self, directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """World directions from the camera (N, 3), of any length, to pixels (N, 2) and z (N,)."""
        local = turn(self.rotation, directions)
        z = local[:, 2]
        ahead = np.where(z > 0, z, np.nan)
        x = self.focal * local[:, 0] / ahead + (self.width - 1) / 2
        y = self.focal * local[:, 1] / ahead + (self.height - 1) / 2
        return np.stack([x, y], axis=-1), z

    def inside(self, pixels: np.ndarray) -> np.ndarray:
        """Say which pixels (N, 2) lie in the picture: within the area of its outermost pixels."""
        with np.errstate(invalid="ignore"):
            low = (pixels[:, 0] >= -0.5) & (pixels[:, 1] >= -0.5)
            return low & (pixels[:, 0] < self.width - 0.5) & (pixels[:, 1] < self.height - 0.5)
