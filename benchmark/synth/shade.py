"""Tier `fast`: colours for the very hits that truth is read from. numpy and Embree, no OpenGL.

Light is the sun with shadows, the sky from above and the ground's bounce from below, darkened where other things are
near; metal, marble and tiles reflect, glass and water refract. A pixel at an edge is the mean of five rays, every other
pixel its centre's ray alone. Nothing is random: the same scene gives the same bytes.
"""

from dataclasses import dataclass

import numpy as np

from openuni.benchmark.synth.geometry import Hits, Posed
from openuni.benchmark.synth.looks import albedo, material_of
from openuni.benchmark.synth.openness import openness
from openuni.benchmark.synth.rotation import cross, dot, length, unit
from openuni.benchmark.synth.scene import Camera
from openuni.benchmark.synth.sky import (
    FOG_M,
    GROUND_BOUNCE,
    horizon_colour,
    sky_colour,
    sky_light,
    sun_direction,
    sun_light,
)
from openuni.benchmark.synth.tone import to_bytes, tonemap

MAX_BOUNCES = 2  # mirrors in mirrors
MIN_REFLECTION = 0.045  # ours: a weaker reflection is not seen on stone in daylight, and costs a ray
SHINY_STEP = 0.06  # ours: of 1, linear; pixels of glass and mirrors that differ by more are edges
MAX_INTERFACES = 6  # of glass and water along one ray; straight through a full tumbler there are 4
LIFT, LEAST_LIFT_M, MOST_LIFT_M = 2e-4, 2e-5, 1e-3
"""How far off its surface a new ray starts: part of the way to it, within metres. More than float32's error, less than
the wall of a glass."""
SUN_SPREAD = 0.02  # ours, radians: the five rays at an edge see the sun at five places, which softens shadows
SUBPIXELS = ((0.125, 0.375), (-0.375, 0.125), (-0.125, -0.375), (0.375, -0.125))
"""Offsets of the four further rays of an edge pixel, px (rotated grid)."""


@dataclass
class FastTier:
    """Draws RGB by shading Embree's hits."""

    name = "fast"

    def setup(self) -> None:
        """Nothing is kept between clips."""

    def about(self) -> dict[str, str]:
        """Nothing to record: numpy and Embree are among the run's versions."""
        return {}

    def draw(self, posed: Posed, camera: Camera, first: Hits) -> np.ndarray:
        """Draw one frame.

        Args:
            posed: the surfaces.
            camera: the camera.
            first: the first surfaces at pixel centres, as `frame_truth` gives them.

        Returns:
            (H, W, 3) uint8.
        """
        pixels = camera.pixels()
        directions = camera.directions(pixels)
        sun = sun_direction(posed.geometry.scene.sky)
        seen = _seen(posed, camera.position, directions, first, 1 / camera.focal, sun)
        shown = tonemap(seen.light)
        edges = _edges(posed, seen, first, shown, camera)
        offsets, suns = np.repeat(SUBPIXELS, len(edges), axis=0), np.repeat(_sun_places(sun), len(edges), axis=0)
        rays = camera.directions(np.tile(pixels[edges], (len(SUBPIXELS), 1)) + offsets)
        more = _seen(posed, camera.position, rays, posed.cast(camera.position, rays), 1 / camera.focal, suns).light
        # One after the other, not by a sum over an axis: the same order of additions everywhere.
        for part in np.split(tonemap(more), len(SUBPIXELS)):
            shown[edges] += part
        shown[edges] /= 1 + len(SUBPIXELS)
        return to_bytes(shown).reshape(camera.height, camera.width, 3)


@dataclass(eq=False)
class _Seen:
    """What N rays show."""

    light: np.ndarray
    """(N, 3) float32, linear."""
    lit: np.ndarray
    """(N,) bool: an opaque surface in the sun."""
    normal: np.ndarray
    """(N, 3) of the surface, zeros where nothing is met."""


def _seen(
    posed: Posed,
    origins: np.ndarray,
    directions: np.ndarray,
    hits: Hits,
    spread: float,
    sun: np.ndarray,
    bounces: int = 0,
    interfaces: int = 0,
) -> _Seen:
    """Look along rays.

    Args:
        posed: the surfaces.
        origins: (3,) or (N, 3).
        directions: (N, 3), any length; `hits` has distances in their lengths.
        hits: the first surfaces along them.
        spread: width of what a ray stands for, per metre of its way.
        sun: (3,) or (N, 3) direction to the sun.
        bounces: mirrors behind us.
        interfaces: of glass and water behind us.
    """
    count, geometry, sky = len(directions), posed.geometry, posed.geometry.scene.sky
    seen = _Seen(np.zeros((count, 3), np.float32), np.zeros(count, bool), np.zeros((count, 3)))
    size = length(directions)
    sight, way = directions / size[:, None], hits.distance * size
    missed = np.flatnonzero(~hits.hit)
    seen.light[missed] = sky_colour(sky, sight[missed])
    clear = hits.hit & geometry.refractive[hits.face]
    for part, refractive in ((np.flatnonzero(hits.hit & ~clear), False), (np.flatnonzero(clear), True)):
        if not len(part):
            continue
        chosen = Hits(hits.face[part], hits.weights[part], way[part])
        surface = _Surface(posed, _rows(origins, part), sight[part], chosen, _rows(sun, part))
        seen.normal[part] = surface.normal
        if refractive:
            seen.light[part] = _through(surface, spread, bounces, interfaces)
        else:
            seen.light[part], seen.lit[part] = _opaque(surface, spread, bounces)
    return seen


def _rows(values: np.ndarray, part: np.ndarray) -> np.ndarray:
    """Rows of (N, 3), or the same (3,) for all."""
    return values if values.ndim == 1 else values[part]


class _Surface:
    """N surface points as rays meet them; the hits' distances are in metres."""

    def __init__(self, posed: Posed, origins: np.ndarray, sight: np.ndarray, hits: Hits, sun: np.ndarray) -> None:
        self.posed, self.sight, self.hits, self.sun = posed, sight, hits, sun
        self.way = hits.distance
        """(N,) metres from the ray's start."""
        self.points = origins + self.way[:, None] * sight
        flat = posed.face_normals(hits.face)
        self.entering = dot(flat, sight) < 0
        """(N,) bool: the face's outside is seen."""
        side = np.where(self.entering, 1.0, -1.0)[:, None]
        self.flat = flat * side
        """(N, 3) the triangle's normal on the side that is seen."""
        smooth = posed.shading_normals(hits.face, hits.weights) * side
        # A smooth normal may not look away from the viewer.
        grazing = np.maximum(dot(smooth, sight) + 0.02, 0)[:, None]
        self.normal = unit(smooth - grazing * sight)

    def lifted(self, outside: np.ndarray | bool = True) -> np.ndarray:
        """(N, 3) starts for new rays, on the side seen or behind the surface."""
        side = np.where(outside, 1.0, -1.0)
        lift = np.clip(LIFT * self.way, LEAST_LIFT_M, MOST_LIFT_M) * side
        return self.points + self.flat * lift[:, None]

    def mirrored(self) -> np.ndarray:
        """(N, 3) directions of a mirror's rays, kept on the side seen."""
        rays = self.sight - 2 * dot(self.sight, self.normal)[:, None] * self.normal
        below = np.minimum(dot(rays, self.flat) - 0.01, 0)[:, None]
        return unit(rays - below * self.flat)


def _opaque(surface: _Surface, spread: float, bounces: int) -> tuple[np.ndarray, np.ndarray]:
    """Colour of opaque surfaces and whether the sun shines on them."""
    posed = surface.posed
    geometry, sky = posed.geometry, posed.geometry.scene.sky
    component = geometry.component[surface.hits.face]
    towards = np.broadcast_to(surface.sun, surface.normal.shape)
    facing = dot(surface.normal, towards)
    lit = facing > 0
    asked = np.flatnonzero(lit)
    lit[asked] = ~posed.blocked(surface.lifted()[asked], towards[asked])
    paint = np.zeros((len(component), 3), np.float32)
    # A pixel covers more of a surface that it sees at a slant; the square root keeps far floors from blurring wholly.
    slant = np.sqrt(np.clip(-dot(surface.normal, surface.sight), 0.03, 1))
    width_m = surface.way * spread / slant
    looks = [material_of(geometry.scene, number) for number in range(len(geometry.component_ids))]
    for number in np.unique(component):
        mine = np.flatnonzero(component == number)
        face, weights = surface.hits.face[mine], surface.hits.weights[mine]
        paint[mine] = albedo(posed, int(number), face, weights, surface.normal[mine], width_m[mine])
    metal = np.array([look.metal for look in looks])[component]
    mirror = np.array([look.mirror for look in looks])[component]

    up = (0.5 + 0.5 * surface.normal[:, 2:]).astype(np.float32)
    ambient = up * sky_light(sky).astype(np.float32) + (1 - up) * GROUND_BOUNCE.astype(np.float32)
    if bounces == 0:
        ambient *= openness(posed, surface.points, surface.normal, component)[:, None]
    sunlight = sun_light(sky).astype(np.float32)
    direct = np.where(lit, facing, 0).astype(np.float32)[:, None] * sunlight
    # Metal has no diffuse light; a quarter stands for its roughness.
    colour = paint * np.where(metal, 0.25, 1).astype(np.float32)[:, None] * (ambient + direct)
    tint = np.where(metal[:, None], paint, np.float32(1))
    gloss = np.array([look.gloss for look in looks])[component]
    asked = np.flatnonzero(lit & (gloss > 0))
    halfway = unit(towards[asked] - surface.sight[asked])
    hardness = np.array([look.hardness for look in looks])[component[asked]]
    shine = np.clip(dot(surface.normal[asked], halfway), 0, 1) ** hardness * gloss[asked]
    colour[asked] += shine.astype(np.float32)[:, None] * sunlight * tint[asked]
    _add_reflections(surface, colour, mirror, tint, spread, bounces)
    fog = (1 - np.exp(-((surface.way / FOG_M) ** 2))).astype(np.float32)[:, None]
    colour += fog * (horizon_colour(sky).astype(np.float32) - colour)
    return colour, lit


def _add_reflections(
    surface: _Surface, colour: np.ndarray, mirror: np.ndarray, tint: np.ndarray, spread: float, bounces: int
) -> None:
    """Blend into `colour` what mirrors show, by Schlick's approximation (1994) of Fresnel."""
    asked = np.flatnonzero(mirror > 0) if bounces < MAX_BOUNCES else np.zeros(0, int)
    if not len(asked):
        return
    base = mirror[asked]
    grazing = (1 - np.clip(-dot(surface.normal[asked], surface.sight[asked]), 0, 1)) ** 5
    # Stone and tiles are not polished to the last: 0.6 of a clean surface's reflection at a slant.
    share = base + (1 - base) * grazing * np.where(base > 0.5, 1, 0.6)
    kept = share > MIN_REFLECTION
    asked, part = asked[kept], share[kept].astype(np.float32)[:, None]
    starts, rays = surface.lifted()[asked], surface.mirrored()[asked]
    hits = surface.posed.cast(starts, rays)
    light = _seen(surface.posed, starts, rays, hits, 3 * spread, _rows(surface.sun, asked), bounces + 1).light
    colour[asked] = colour[asked] * (1 - part) + light * tint[asked] * part


def _through(surface: _Surface, spread: float, bounces: int, interfaces: int) -> np.ndarray:
    """Colour of glass and water: refraction by Snell's law, and what the surface mirrors."""
    posed, sky = surface.posed, surface.posed.geometry.scene.sky
    indices = posed.geometry.indices[surface.hits.face].astype(np.float64)
    before = np.where(surface.entering, indices[:, 0], indices[:, 1])
    after = np.where(surface.entering, indices[:, 1], indices[:, 0])
    ratio = before / after
    cosine = np.clip(-dot(surface.sight, surface.normal), 0, 1)
    square = 1 - ratio * ratio * (1 - cosine * cosine)
    total = square < 0  # total reflection
    inner = np.sqrt(np.maximum(square, 0))
    bent = ratio[:, None] * surface.sight + (ratio * cosine - inner)[:, None] * surface.normal
    bent = np.where(total[:, None], surface.mirrored(), bent)
    # Fresnel's equations, unpolarised.
    parallel = (after * cosine - before * inner) / (after * cosine + before * inner)
    square_to = (before * cosine - after * inner) / (before * cosine + after * inner)
    share = np.where(total, 0, 0.5 * (parallel**2 + square_to**2))

    if interfaces < MAX_INTERFACES:
        starts = surface.lifted(total)
        rays = unit(bent)
        hits = posed.cast(starts, rays)
        behind = _seen(posed, starts, rays, hits, 1.5 * spread, surface.sun, bounces, interfaces + 1).light
    else:
        behind = sky_colour(sky, unit(bent))
    if bounces == 0 and interfaces == 0:
        starts, rays = surface.lifted(), surface.mirrored()
        hits = posed.cast(starts, rays)
        mirrored = _seen(posed, starts, rays, hits, 3 * spread, surface.sun, MAX_BOUNCES, MAX_INTERFACES).light
    else:
        mirrored = sky_colour(sky, surface.mirrored())
    shine = np.clip(dot(surface.normal, unit(surface.sun - surface.sight)), 0, 1) ** 400
    component = posed.geometry.component[surface.hits.face]
    tint = np.array([thing.colour for thing in posed.geometry.scene.things])[component]
    part = share[:, None]
    colour = behind * tint * (1 - part) + mirrored * part + (1.5 * shine)[:, None] * sun_light(sky)
    return colour.astype(np.float32)


def _sun_places(towards: np.ndarray) -> np.ndarray:
    """(4, 3) directions to four places on the sun's face."""
    across = unit(cross(towards, np.array([0.0, 0.0, 1.0])))
    up = cross(across, towards)
    return np.stack([unit(towards + 2 * SUN_SPREAD * (x * across + y * up)) for x, y in SUBPIXELS])


def _edges(posed: Posed, seen: _Seen, first: Hits, shown: np.ndarray, camera: Camera) -> np.ndarray:
    """(E,) pixels that differ from a neighbour: other thing, bend, jump in depth, a shadow's edge, or, in glass and
    mirrors, another colour."""
    shape, geometry = (camera.height, camera.width), posed.geometry
    component = np.where(first.hit, geometry.component[first.face], -1).reshape(shape)
    bright = np.array(
        [material_of(geometry.scene, number).mirror > 0.5 for number in range(len(geometry.component_ids))] + [False]
    )
    shiny = bright[component] | (first.hit & geometry.refractive[first.face]).reshape(shape)
    lit, normal, colour = seen.lit.reshape(shape), seen.normal.reshape(*shape, 3), shown.reshape(*shape, 3)[..., 1]
    inverse = (1 / first.distance).reshape(shape)
    edge = np.zeros(shape, bool)
    for axis in (0, 1):
        a = tuple(slice(None, -1) if one == axis else slice(None) for one in (0, 1))
        b = tuple(slice(1, None) if one == axis else slice(None) for one in (0, 1))
        differ = (component[a] != component[b]) | (lit[a] != lit[b])
        things = np.flatnonzero(component[a] > 0)  # the ground has no bends
        at, to = normal[a].reshape(-1, 3)[things], normal[b].reshape(-1, 3)[things]
        near, far = inverse[a].ravel()[things], inverse[b].ravel()[things]
        differ.ravel()[things] |= (dot(at, to) < 0.8) | (np.abs(near - far) > 0.05 * np.maximum(near, far))
        differ |= shiny[a] & (np.abs(colour[a] - colour[b]) > SHINY_STEP)
        edge[a] |= differ
        edge[b] |= differ
    return np.flatnonzero(edge)
