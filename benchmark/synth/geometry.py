"""Geometry: a scene's surfaces as triangles, posed frame by frame, with rays cast against them.

Topology is the same in every frame, so a surface point is a face and barycentric weights; that is how flow is carried,
for rigid and for deforming surfaces alike. Embree works in float32: it only says which face a ray meets; where, is
worked out again in float64.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from openuni.benchmark.synth.body import Body, body_of
from openuni.benchmark.synth.material import REFRACTIVE
from openuni.benchmark.synth.rotation import cross, dot, length, matrix_of, turn, unit
from openuni.benchmark.synth.scene import Scene
from openuni.benchmark.synth.shapes import mesh_of, vertex_normals

MISS = -1


@dataclass(frozen=True, eq=False)
class Hits:
    """Where N rays meet a surface first."""

    face: np.ndarray
    """(N,) int32, MISS where nothing is met."""
    weights: np.ndarray
    """(N, 3) float64 barycentric weights of the face's corners; zeros where nothing is met."""
    distance: np.ndarray
    """(N,) float64 along the ray in lengths of its direction; +inf where nothing is met."""

    @property
    def hit(self) -> np.ndarray:
        """(N,) bool."""
        return self.face >= 0


class Geometry:
    """The surfaces of a scene: its things, then its people, as one list of triangles."""

    def __init__(self, scene: Scene) -> None:
        """Make the meshes.

        Attributes set: faces (F, 3) int32; component (F,) int16, thing or person by number; component_ids (C,) uint8;
        rest (V, 3) float64, each vertex in its thing's own axes (a person's rest pose); corner_normals (F, 3, 3),
        things only; indices (F, 2) of refraction; refractive (F,) bool; first_face, first_vertex (C + 1,).
        """
        self.scene = scene
        meshes = [mesh_of(thing.kind, thing.size, thing.seed) for thing in scene.things]
        self.bodies: list[Body] = [body_of(person.height, person.girth) for person in scene.people]
        parts = [*((m.vertices, m.faces) for m in meshes), *((b.vertices, b.faces) for b in self.bodies)]
        self.first_vertex = np.cumsum([0, *(len(vertices) for vertices, _ in parts)])
        self.first_face = np.cumsum([0, *(len(faces) for _, faces in parts)])
        self.rest = np.concatenate([vertices for vertices, _ in parts])
        shifted = [faces + first for (_, faces), first in zip(parts, self.first_vertex[:-1], strict=True)]
        self.faces = np.ascontiguousarray(np.concatenate(shifted), np.int32)
        self.component = np.repeat(np.arange(len(parts), dtype=np.int16), np.diff(self.first_face))
        self.component_ids = np.array(scene.ids, np.uint8)
        self.corner_normals = np.concatenate([m.normals for m in meshes]) if meshes else np.zeros((0, 3, 3))
        clear = np.array([thing.material in REFRACTIVE for thing in scene.things] + [False] * len(self.bodies), bool)
        self.refractive = clear[self.component]
        self.indices = np.ones((len(self.faces), 2), np.float32)
        if meshes:
            self.indices[: len(self.corner_normals)] = np.concatenate([m.indices for m in meshes])

    def at(self, frame: int) -> "Posed":
        """Pose the surfaces at a frame."""
        return Posed(self, frame)


class Posed:
    """The surfaces at one frame. What rays need is made at first use and kept."""

    def __init__(self, geometry: Geometry, frame: int) -> None:
        self.geometry = geometry
        self.frame = frame
        scene = geometry.scene
        self.rotations = matrix_of(scene.thing_rotations[frame])
        """(N, 3, 3) of the things."""
        self.bones = [
            body.pose(scene.person_positions[frame, number], scene.person_rotations[frame, number])
            for number, body in enumerate(geometry.bodies)
        ]
        """For each person the (B, 3, 3) rotations and (B, 3) joint positions in the world."""
        self.vertices = self._vertices()
        """(V, 3) float64 in the world."""

    def _vertices(self) -> np.ndarray:
        geometry, scene = self.geometry, self.geometry.scene
        out = np.empty_like(geometry.rest)
        for number in range(len(scene.things)):
            part = slice(geometry.first_vertex[number], geometry.first_vertex[number + 1])
            out[part] = turn(self.rotations[number], geometry.rest[part]) + scene.thing_positions[self.frame, number]
        for number, body in enumerate(geometry.bodies, start=len(scene.things)):
            part = slice(geometry.first_vertex[number], geometry.first_vertex[number + 1])
            out[part] = body.skin(*self.bones[number - len(scene.things)])
        return out

    @cached_property
    def _everything(self) -> "_Caster":
        return _Caster(self.vertices, self.geometry.faces, None)

    @cached_property
    def _opaque(self) -> "_Caster":
        if not self.geometry.refractive.any():
            return self._everything
        kept = np.flatnonzero(~self.geometry.refractive)
        return _Caster(self.vertices, self.geometry.faces[kept], kept)

    def cast(self, origins: np.ndarray, directions: np.ndarray, *, see_through: bool = False) -> Hits:
        """Find the first surface along rays.

        Args:
            origins: (3,) or (N, 3) float64.
            directions: (N, 3) float64, of any length.
            see_through: pass over refractive surfaces, in a straight line.
        """
        caster = self._opaque if see_through else self._everything
        face = caster.first_face(origins, directions)
        weights, distance = self.locate(face, origins, directions)
        return Hits(face, weights, distance)

    def blocked(self, origins: np.ndarray, directions: np.ndarray) -> np.ndarray:
        """Say which rays meet an opaque surface at all: (N,) bool. Glass throws no shadow here."""
        return self._opaque.blocked(origins, directions)

    def locate(self, face: np.ndarray, origins: np.ndarray, directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where rays meet the planes of given faces: barycentric weights (N, 3) and distance (N,), in float64.

        Moeller, Trumbore, "Fast, Minimum Storage Ray/Triangle Intersection", 1997.
        """
        hit = np.flatnonzero(face >= 0)
        corners = self.geometry.faces[face[hit]]
        first = self.vertices[corners[:, 0]]
        edge1, edge2 = self.vertices[corners[:, 1]] - first, self.vertices[corners[:, 2]] - first
        direction = directions[hit]
        normal = cross(direction, edge2)
        with np.errstate(divide="ignore", invalid="ignore"):
            scale = 1 / dot(edge1, normal)
            away = (origins if origins.ndim == 1 else origins[hit]) - first
            u = dot(away, normal) * scale
            other = cross(away, edge1)
            v = dot(direction, other) * scale
            along = dot(edge2, other) * scale
        weights, distance = np.zeros((len(face), 3)), np.full(len(face), np.inf)
        weights[hit] = np.stack([1 - u - v, u, v], axis=-1)
        distance[hit] = along
        return weights, distance

    def points(self, face: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """World positions (N, 3) of surface points of this frame; face must be >= 0."""
        return _blend(self.vertices, self.geometry.faces, face, weights)

    def rest_points(self, face: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Positions (N, 3) of surface points in their thing's own axes, or in a person's rest pose."""
        return _blend(self.geometry.rest, self.geometry.faces, face, weights)

    def face_normals(self, face: np.ndarray) -> np.ndarray:
        """(N, 3) unit normals of the triangles themselves."""
        return self._face_normals[face]

    @cached_property
    def _face_normals(self) -> np.ndarray:
        a, b, c = (self.vertices[self.geometry.faces[:, corner]] for corner in range(3))
        return unit(cross(b - a, c - a))

    @cached_property
    def _body_normals(self) -> list[np.ndarray]:
        geometry, things = self.geometry, len(self.geometry.scene.things)
        normals = []
        for number, body in enumerate(geometry.bodies, start=things):
            part = slice(geometry.first_vertex[number], geometry.first_vertex[number + 1])
            normals.append(vertex_normals(self.vertices[part], body.faces))
        return normals

    def shading_normals(self, face: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """(N, 3) unit normals, smooth over round surfaces; face must be >= 0."""
        geometry, things = self.geometry, len(self.geometry.scene.things)
        component = geometry.component[face]
        out = np.empty((len(face), 3))
        rigid = np.flatnonzero(component < things)
        corners = geometry.corner_normals[face[rigid]]
        local = sum(corners[:, corner] * weights[rigid, corner, None] for corner in range(3))
        out[rigid] = turn(self.rotations[component[rigid]], local)
        for number, normals in enumerate(self._body_normals, start=things):
            mine = np.flatnonzero(component == number)
            own = face[mine] - geometry.first_face[number]
            out[mine] = _blend(normals, geometry.bodies[number - things].faces, own, weights[mine])
        return unit(out)


class _Caster:
    """An Embree scene over some faces."""

    def __init__(self, vertices: np.ndarray, faces: np.ndarray, kept: np.ndarray | None) -> None:
        from embreex.mesh_construction import TriangleMesh
        from embreex.rtcore_scene import EmbreeScene

        self._scene = EmbreeScene()
        self._kept = kept
        self._empty = len(faces) == 0
        if not self._empty:
            TriangleMesh(self._scene, vertices.astype(np.float32), faces)

    def first_face(self, origins: np.ndarray, directions: np.ndarray) -> np.ndarray:
        if self._empty or not len(directions):
            return np.full(len(directions), MISS, np.int32)
        face = self._scene.run(*_float32(origins, directions), query="INTERSECT")
        return face if self._kept is None else np.where(face >= 0, self._kept[face], MISS).astype(np.int32)

    def blocked(self, origins: np.ndarray, directions: np.ndarray) -> np.ndarray:
        if self._empty or not len(directions):
            return np.zeros(len(directions), bool)
        # embreex gives 0 where something is in the way and -1 where nothing is.
        return self._scene.run(*_float32(origins, directions), query="OCCLUDED") >= 0


def _float32(origins: np.ndarray, directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    starts = np.broadcast_to(origins, directions.shape).astype(np.float32)
    return starts, (directions / length(directions)[:, None]).astype(np.float32)


def _blend(values: np.ndarray, faces: np.ndarray, face: np.ndarray, weights: np.ndarray) -> np.ndarray:
    corners = faces[face]
    return (
        values[corners[:, 0]] * weights[:, 0, None]
        + values[corners[:, 1]] * weights[:, 1, None]
        + values[corners[:, 2]] * weights[:, 2, None]
    )
