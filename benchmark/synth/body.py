"""A person's body: bones, one skinned surface, 17 COCO joints and 24 DensePose parts with U and V.

The rest pose stands upright, arms held off the trunk, looks along +x with the left hand at +y; metres, for a height of
1.75. The surface is the zero level of a smooth union of simple solids, meshed once for each build (height, girth) and
skinned linearly. Part, U and V are functions of a surface point's rest position, so they do not depend on the mesh.

Parts are numbered as in DensePose (Guler et al., 2018): 1, 2 trunk; 3 right hand; 4 left hand; 5 left foot; 6 right
foot; 7, 9 right thigh; 8, 10 left thigh; 11, 13 right shin; 12, 14 left shin; 15, 17 left upper arm; 16, 18 right
upper arm; 19, 21 left forearm; 20, 22 right forearm; 23 right and 24 left half of the head. Of two numbers the first
is the back and the second the front of the rest pose: DensePose's own charts are cut along other lines (of an SMPL
model that may not be shipped), so U and V are ours: U runs around the limb, V along it from its root.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from openuni.benchmark.synth.rotation import dot, length, matrix_of, product, snap_trig, turn, unit
from openuni.benchmark.synth.surface_nets import surface_nets

REST_HEIGHT = 1.75
STEP = 0.016  # metres between grid points: about 20,000 triangles, 3 px each for a person of 350 px
BLEND = 0.045  # metres over which two solids of the union run into each other
SKIN_FALLOFF = 0.09  # metres over which a neighbouring bone's pull on the skin fades


class Bone(NamedTuple):
    """One bone: its parent, its joint and its far end in the rest pose, and the direction that its front faces."""

    parent: str | None
    joint: tuple[float, float, float]
    end: tuple[float, float, float]
    front: tuple[float, float, float] = (1.0, 0.0, 0.0)


def _mirrored(bones: dict[str, Bone]) -> dict[str, Bone]:
    """Add the right side to bones of the left side."""
    out = dict(bones)
    for name, bone in bones.items():
        if name.startswith("left_"):
            parent = bone.parent.replace("left_", "right_") if bone.parent else None
            joint, end = ((x, -y, z) for x, y, z in (bone.joint, bone.end))
            out[name.replace("left_", "right_")] = Bone(parent, joint, end, bone.front)
    return out


BONES = _mirrored(
    {
        "pelvis": Bone(None, (0, 0, 0.96), (0, 0, 1.06)),
        "chest": Bone("pelvis", (-0.01, 0, 1.09), (-0.01, 0, 1.43)),
        "head": Bone("chest", (-0.015, 0, 1.49), (0, 0, 1.75)),
        "left_upper_arm": Bone("chest", (-0.01, 0.185, 1.42), (-0.01, 0.36, 1.19)),
        "left_forearm": Bone("left_upper_arm", (-0.01, 0.36, 1.19), (0.02, 0.505, 0.985)),
        "left_hand": Bone("left_forearm", (0.02, 0.505, 0.985), (0.035, 0.60, 0.845)),
        "left_thigh": Bone("pelvis", (0, 0.09, 0.92), (0.005, 0.098, 0.50)),
        "left_shin": Bone("left_thigh", (0.005, 0.098, 0.50), (-0.02, 0.102, 0.085)),
        "left_foot": Bone("left_shin", (-0.02, 0.102, 0.085), (0.17, 0.112, 0.025), (0.0, 0.0, 1.0)),
    }
)
BONE_NAMES = tuple(BONES)
PARENTS = tuple(-1 if bone.parent is None else BONE_NAMES.index(bone.parent) for bone in BONES.values())
REST_JOINTS = np.array([bone.joint for bone in BONES.values()])
REST_ENDS = np.array([bone.end for bone in BONES.values()])

# Solids of the union: bone, kind, numbers. cone: ends a, b and radii there; ball: centre and three half axes.
_SIDE = (
    ("upper_arm", "cone", (-0.01, 0.165, 1.415), (-0.01, 0.36, 1.19), 0.062, 0.043),
    ("forearm", "cone", (-0.01, 0.36, 1.19), (0.0, 0.415, 1.115), 0.042, 0.045),
    ("forearm", "cone", (0.0, 0.415, 1.115), (0.02, 0.505, 0.985), 0.044, 0.029),
    ("hand", "cone", (0.022, 0.51, 0.975), (0.03, 0.55, 0.915), 0.027, 0.036),
    ("hand", "cone", (0.03, 0.55, 0.915), (0.034, 0.59, 0.86), 0.033, 0.019),
    ("hand", "cone", (0.045, 0.525, 0.945), (0.085, 0.55, 0.905), 0.017, 0.013),
    ("thigh", "cone", (0.0, 0.092, 0.90), (0.005, 0.098, 0.50), 0.092, 0.058),
    ("shin", "cone", (0.005, 0.098, 0.50), (-0.018, 0.1, 0.36), 0.056, 0.057),
    ("shin", "cone", (-0.018, 0.1, 0.36), (-0.02, 0.102, 0.10), 0.056, 0.037),
    ("foot", "cone", (-0.04, 0.102, 0.045), (0.06, 0.106, 0.05), 0.045, 0.044),
    ("foot", "cone", (0.06, 0.106, 0.045), (0.15, 0.112, 0.03), 0.044, 0.03),
)
SOLIDS: tuple[tuple, ...] = (
    ("pelvis", "ball", (0.0, 0.0, 0.97), (0.108, 0.158, 0.13)),
    ("pelvis", "ball", (-0.045, 0.07, 0.92), (0.088, 0.085, 0.095)),
    ("pelvis", "ball", (-0.045, -0.07, 0.92), (0.088, 0.085, 0.095)),
    ("chest", "ball", (0.0, 0.0, 1.13), (0.098, 0.134, 0.15)),
    ("chest", "ball", (-0.005, 0.0, 1.29), (0.112, 0.158, 0.18)),
    ("chest", "cone", (-0.015, 0.15, 1.41), (-0.015, -0.15, 1.41), 0.058, 0.058),
    ("chest", "cone", (0.045, 0.07, 1.32), (0.045, -0.07, 1.32), 0.062, 0.062),
    ("head", "cone", (-0.02, 0.0, 1.44), (-0.012, 0.0, 1.57), 0.058, 0.054),
    ("head", "ball", (0.0, 0.0, 1.655), (0.1, 0.078, 0.098)),
    ("head", "ball", (0.04, 0.0, 1.595), (0.062, 0.055, 0.068)),
    ("head", "cone", (0.094, 0.0, 1.66), (0.112, 0.0, 1.63), 0.01, 0.014),
    ("head", "ball", (-0.005, 0.078, 1.645), (0.022, 0.014, 0.032)),
    ("head", "ball", (-0.005, -0.078, 1.645), (0.022, 0.014, 0.032)),
    *((f"left_{bone}", *rest) for bone, *rest in _SIDE),
    *((f"right_{bone}", kind, (a[0], -a[1], a[2]), (b[0], -b[1], b[2]), *radii) for bone, kind, a, b, *radii in _SIDE),
)

COCO_JOINTS = {
    "nose": ("head", (0.122, 0.0, 1.632)),
    "left_eye": ("head", (0.09, 0.033, 1.675)),
    "right_eye": ("head", (0.09, -0.033, 1.675)),
    "left_ear": ("head", (-0.005, 0.085, 1.645)),
    "right_ear": ("head", (-0.005, -0.085, 1.645)),
    **{
        f"{side}_{joint}": (f"{side}_{bone}", BONES[f"{side}_{bone}"].joint)
        for joint, bone in (
            ("shoulder", "upper_arm"), ("elbow", "forearm"), ("wrist", "hand"),
            ("hip", "thigh"), ("knee", "shin"), ("ankle", "foot"),
        )
        for side in ("left", "right")
    },
}  # fmt: skip
"""COCO's 17 keypoints in COCO's order: the bone each is fixed to and its rest position."""

_ADJACENT = {name: {name, bone.parent} for name, bone in BONES.items()}
_SEEN_AT = {"shoulder": {"chest"}, "hip": {"pelvis"}}
JOINT_BONES: tuple[frozenset[int], ...] = tuple(
    frozenset(BONE_NAMES.index(one) for one in _ADJACENT[bone] | _SEEN_AT.get(joint.split("_")[-1], set()) if one)
    for joint, (bone, _) in COCO_JOINTS.items()
)
"""For each joint the bones whose skin may show it."""
JOINT_DEPTHS = np.array([0.03] * 5 + [0.11] * 2 + [0.075] * 2 + [0.06] * 2 + [0.16] * 2 + [0.1] * 2 + [0.13] * 2)
"""(17,) metres, in the rest size: how far below the skin a joint may lie and still be seen. Ours: the largest distance
from the joint to its limb's surface, times 1.3; for the face, which lies on the skin, 3 cm."""

_TRUNK = ("pelvis", "chest")
_SECTORS = {
    "trunk": (1, 2), "head": (23, 24), "left_hand": (4, 4), "right_hand": (3, 3), "left_foot": (5, 5),
    "right_foot": (6, 6), "right_thigh": (7, 9), "left_thigh": (8, 10), "right_shin": (11, 13), "left_shin": (12, 14),
    "left_upper_arm": (15, 17), "right_upper_arm": (16, 18), "left_forearm": (19, 21), "right_forearm": (20, 22),
}  # fmt: skip


class Chart(NamedTuple):
    """How a bone's skin is numbered: a line from root to end, the direction of angle 0, the part behind and before."""

    root: np.ndarray
    end: np.ndarray
    front: np.ndarray
    parts: tuple[int, int]


def _chart_of(name: str) -> Chart:
    if name in _TRUNK:
        return Chart(np.array([-0.005, 0, 0.83]), np.array([-0.005, 0, 1.49]), np.array([1.0, 0, 0]), _SECTORS["trunk"])
    bone = BONES[name]
    # The head is cut in right and left: its "front" is the left ear.
    front = (0.0, 1.0, 0.0) if name == "head" else bone.front
    return Chart(np.array(bone.joint), np.array(bone.end), np.array(front), _SECTORS[name])


CHARTS = tuple(_chart_of(name) for name in BONE_NAMES)


@dataclass(frozen=True, eq=False)
class Body:
    """A person's surface in the rest pose. V vertices, F faces, B bones."""

    scale: float
    """Height over REST_HEIGHT."""
    vertices: np.ndarray
    """(V, 3) float64, scaled."""
    faces: np.ndarray
    """(F, 3) int32."""
    weights: np.ndarray
    """(V, B) float64: each bone's pull on a vertex; rows sum to 1."""
    nearness: np.ndarray
    """(V, B) float32: distance to each bone's solids in the rest size, metres."""

    @property
    def rest_joints(self) -> np.ndarray:
        """(B, 3) joints of the bones, scaled."""
        return REST_JOINTS * self.scale

    def pose(self, position: np.ndarray, rotations: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Forward kinematics.

        Args:
            position: (3,) of the pelvis joint.
            rotations: (B, 4) quaternions, each bone's to its parent's axes.

        Returns:
            Rotations (B, 3, 3) and joints (B, 3) in the world.
        """
        local, rest = matrix_of(rotations), self.rest_joints
        world, joints = np.empty((len(local), 3, 3)), np.empty((len(local), 3))
        for number, parent in enumerate(PARENTS):
            if parent < 0:
                world[number], joints[number] = local[number], position
            else:
                world[number] = product(world[parent], local[number])
                joints[number] = turn(world[parent], rest[number] - rest[parent]) + joints[parent]
        return world, joints

    def pose_ends(self, rotations: np.ndarray, joints: np.ndarray) -> np.ndarray:
        """(B, 3) far ends of the bones in the world."""
        return turn(rotations, REST_ENDS * self.scale - self.rest_joints) + joints

    def skin(self, rotations: np.ndarray, joints: np.ndarray) -> np.ndarray:
        """Linear blend skinning: vertices (V, 3) in the world."""
        out, rest = np.zeros_like(self.vertices), self.rest_joints
        for number in range(len(BONE_NAMES)):
            mine = np.flatnonzero(self.weights[:, number])
            moved = turn(rotations[number], self.vertices[mine] - rest[number]) + joints[number]
            out[mine] += self.weights[mine, number, None] * moved
        return out

    def joints(self, rotations: np.ndarray, joints: np.ndarray) -> np.ndarray:
        """(17, 3) COCO keypoints in the world."""
        out = []
        for bone, at in COCO_JOINTS.values():
            number = BONE_NAMES.index(bone)
            out.append(turn(rotations[number], np.array(at) * self.scale - self.rest_joints[number]) + joints[number])
        return np.stack(out)

    def bone(self, face: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """(N,) number of the bone that surface points belong to: the one whose solids are nearest at rest."""
        corners = self.faces[face]
        near = sum(self.nearness[corners[:, corner]] * weights[:, corner, None] for corner in range(3))
        found: np.ndarray = near.argmin(axis=-1)
        return found

    def rest_points(self, face: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """(N, 3) rest positions of surface points, in the size of REST_HEIGHT."""
        corners = self.faces[face]
        return sum(self.vertices[corners[:, corner]] * weights[:, corner, None] for corner in range(3)) / self.scale

    def chart(self, face: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Part (N,) uint8 and U, V (N, 2) float32 in 0..1 of surface points."""
        points, bone = self.rest_points(face, weights), self.bone(face, weights)
        part, uv = np.zeros(len(face), np.uint8), np.zeros((len(face), 2), np.float32)
        for number, chart in enumerate(CHARTS):
            mine = np.flatnonzero(bone == number)
            if len(mine):
                part[mine], uv[mine] = _coordinates(chart, points[mine])
        return part, uv


def _coordinates(chart: Chart, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Part and U, V of rest points about one chart's line."""
    line = chart.end - chart.root
    reach = float(length(line))
    axis = line / reach
    front = unit(chart.front - dot(chart.front, axis) * axis)
    side = np.array([axis[1] * front[2] - axis[2] * front[1], axis[2] * front[0] - axis[0] * front[2],
                     axis[0] * front[1] - axis[1] * front[0]])  # fmt: skip
    away = points - chart.root
    ahead, left = dot(away, front), dot(away, side)
    # 0.1 to 0.9 between the joints, the rest for what bulges beyond them.
    v = np.clip(0.1 + 0.8 * dot(away, axis) / reach, 0, 1)
    before = ahead >= 0
    behind_part, front_part = chart.parts
    if behind_part == front_part:
        u = _quarter_turns(ahead, left) / 4
    else:
        # Half a turn for each part: 0..1 from one cut to the other.
        u = np.where(before, _quarter_turns(-left, ahead), _quarter_turns(left, -ahead)) / 2
    part = np.where(before, front_part, behind_part).astype(np.uint8)
    return part, np.stack([np.clip(u, 0, 1), v], axis=-1).astype(np.float32)


def _quarter_turns(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Angle of (x, y) in 0..4 quarter turns: the "diamond angle", monotonic, of the same bits on every processor."""
    size = np.abs(x) + np.abs(y)
    ratio = np.where(size > 0, y / np.where(size > 0, size, 1), 0)
    return np.where(x >= 0, np.where(y >= 0, ratio, 4 + ratio), 2 - ratio)


@lru_cache(maxsize=16)
def body_of(height: float, girth: float) -> Body:
    """Make the body of a height in metres and a factor of thickness."""
    low, high = np.array([-0.24, -0.72, -0.08]), np.array([0.28, 0.72, 1.84])
    counts = np.ceil((high - low) / STEP).astype(int) + 1
    axes = [low[axis] + STEP * np.arange(counts[axis]) for axis in range(3)]
    field = np.full(counts, 1.0)
    for bone, *solid in SOLIDS:
        thick = _thickness(bone, girth)
        box = _around(solid, thick, axes)
        points = np.stack(
            np.meshgrid(*(axis[cut] for axis, cut in zip(axes, box, strict=True)), indexing="ij"), axis=-1
        )
        field[box] = _union(field[box], _distance(solid, thick, points))
    vertices, faces = surface_nets(field, low, STEP)
    vertices[:, 2] = np.maximum(vertices[:, 2], 0)  # flat soles
    vertices = snap_trig(vertices)
    nearness = np.full((len(vertices), len(BONE_NAMES)), 9.0)
    for bone, *solid in SOLIDS:
        number = BONE_NAMES.index(bone)
        nearness[:, number] = np.minimum(nearness[:, number], _distance(solid, _thickness(bone, girth), vertices))
    scale = height / REST_HEIGHT
    return Body(scale, vertices * scale, faces, _skin_weights(nearness), nearness.astype(np.float32))


def _thickness(bone: str, girth: float) -> float:
    """Factor of a bone's solids: feet, hands and heads do not grow with girth, and soles stay on the ground."""
    return 1.0 if bone.endswith(("foot", "hand", "head")) else girth


def _skin_weights(nearness: np.ndarray) -> np.ndarray:
    """(V, B): a vertex follows its nearest bone and, close to a joint, the bones that join it there."""
    own = nearness.argmin(axis=-1)
    count = nearness.shape[1]
    joined = np.eye(count, dtype=bool)
    for number, parent in enumerate(PARENTS):
        if parent >= 0:
            joined[number, parent] = joined[parent, number] = True
    extra = nearness - nearness.min(axis=-1, keepdims=True)
    pull = np.clip(1 - extra / SKIN_FALLOFF, 0, 1) ** 2
    pull = np.where(joined[own], pull, 0)
    return pull / pull.sum(axis=-1, keepdims=True)


def _distance(solid: list, girth: float, points: np.ndarray) -> np.ndarray:
    """Signed distance (approximate for balls) of points (..., 3) to a solid, metres."""
    kind, *numbers = solid
    if kind == "ball":
        centre, half = np.array(numbers[0], np.float64), np.array(numbers[1]) * [girth, girth, 1]
        away = points - centre
        k0, k1 = length(away / half), length(away / half**2)
        return np.where(k1 > 0, k0 * (k0 - 1) / np.where(k1 > 0, k1, 1), -half.min())
    a, b, radius_a, radius_b = np.array(numbers[0], np.float64), np.array(numbers[1], np.float64), *numbers[2:]
    along = b - a
    part = np.clip(dot(points - a, along) / dot(along, along), 0, 1)
    radius = girth * (radius_a + part * (radius_b - radius_a))
    return length(points - a - part[..., None] * along) - radius


def _around(solid: list, girth: float, axes: list[np.ndarray]) -> tuple[slice, slice, slice]:
    """Return the part of the grid in which a solid can matter."""
    kind, first, second, *radii = solid
    if kind == "ball":
        low, high = np.array(first) - np.array(second) * girth, np.array(first) + np.array(second) * girth
    else:
        low = np.minimum(first, second) - max(radii) * girth
        high = np.maximum(first, second) + max(radii) * girth
    margin = 2 * BLEND
    starts = [int(np.searchsorted(axis, lo - margin)) for axis, lo in zip(axes, low, strict=True)]
    ends = [int(np.searchsorted(axis, hi + margin)) for axis, hi in zip(axes, high, strict=True)]
    return slice(starts[0], ends[0]), slice(starts[1], ends[1]), slice(starts[2], ends[2])


def _union(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Smooth minimum (quadratic, of width BLEND)."""
    overlap = np.maximum(BLEND - np.abs(a - b), 0) / BLEND
    return np.minimum(a, b) - overlap * overlap * (BLEND / 4)
