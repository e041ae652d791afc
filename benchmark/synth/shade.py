"""Tier `fast`: colours for the very hits that truth is read from. numpy and Embree, no OpenGL.

Light is the sun with shadows, the sky from above and the ground's bounce from below, darkened where other things are
near; metal, marble and tiles reflect, glass and water refract. A pixel at an edge is the mean of five rays, every other
pixel its centre's ray alone. Nothing is random: the same scene gives the same bytes.
"""

from dataclasses import dataclass

import numpy as np

from openuni.benchmark.synth.body import BONE_NAMES, CHARTS
from openuni.benchmark.synth.geometry import Hits, Posed
from openuni.benchmark.synth.material import MATERIALS, Material
from openuni.benchmark.synth.rotation import cross, dot, length, turn_back, unit
from openuni.benchmark.synth.scene import Camera, Person
from openuni.benchmark.synth.sky import (
    FOG_M,
    GROUND_BOUNCE,
    horizon_colour,
    sky_colour,
    sky_light,
    sun_direction,
    sun_light,
)
from openuni.benchmark.synth.texture import Texture, texture_of

MAX_BOUNCES = 2  # mirrors in mirrors
MIN_REFLECTION = 0.045  # ours: a weaker reflection is not seen on stone in daylight, and costs a ray
SHINY_STEP = 0.06  # ours: of 1, linear; pixels of glass and mirrors that differ by more are edges
MAX_INTERFACES = 8  # of glass and water along one ray; a full tumbler has 4 to 6
LIFT_M = 1e-3  # a new ray starts this far off its surface: above float32's error at 100 m
SUN_SPREAD = 0.02  # ours, radians: the five rays at an edge see the sun at five places, which softens shadows
SUBPIXELS = ((0.125, 0.375), (-0.375, 0.125), (-0.125, -0.375), (0.375, -0.125))
"""Offsets of the four further rays of an edge pixel, px (rotated grid)."""
EXPOSURE = 0.95


class FastTier:
    """Draws RGB by shading Embree's hits."""

    name = "fast"

    def setup(self) -> None:
        """Nothing is kept between clips."""

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
        shown = _tonemap(seen.light)
        edges = _edges(posed, seen, first, shown, camera)
        offsets, suns = np.repeat(SUBPIXELS, len(edges), axis=0), np.repeat(_sun_places(sun), len(edges), axis=0)
        rays = camera.directions(np.tile(pixels[edges], (len(SUBPIXELS), 1)) + offsets)
        more = _seen(posed, camera.position, rays, posed.cast(camera.position, rays), 1 / camera.focal, suns).light
        # One after the other, not by a sum over an axis: the same order of additions everywhere.
        for part in np.split(_tonemap(more), len(SUBPIXELS)):
            shown[edges] += part
        shown[edges] /= 1 + len(SUBPIXELS)
        levels = np.rint(255 * _srgb(shown)).astype(np.uint8)
        return levels.reshape(camera.height, camera.width, 3)


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
    sight = unit(directions)
    missed = np.flatnonzero(~hits.hit)
    seen.light[missed] = sky_colour(sky, sight[missed])
    clear = hits.hit & geometry.refractive[hits.face]
    for part, refractive in ((np.flatnonzero(hits.hit & ~clear), False), (np.flatnonzero(clear), True)):
        if not len(part):
            continue
        chosen = Hits(hits.face[part], hits.weights[part], hits.distance[part])
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
    """N surface points as rays meet them."""

    def __init__(self, posed: Posed, origins: np.ndarray, sight: np.ndarray, hits: Hits, sun: np.ndarray) -> None:
        self.posed, self.sight, self.hits, self.sun = posed, sight, hits, sun
        self.points = posed.points(hits.face, hits.weights)
        self.way = length(self.points - origins)
        """(N,) metres from the ray's start."""
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
        return self.points + self.flat * (LIFT_M * (side if side.ndim == 0 else side[:, None]))

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
    albedo = np.zeros((len(component), 3), np.float32)
    looks = [_look(posed, number) for number in range(len(geometry.component_ids))]
    for number in np.unique(component):
        mine = np.flatnonzero(component == number)
        albedo[mine] = _albedo(surface, mine, int(number), spread)
    metal = np.array([look.metal for look in looks])[component]
    mirror = np.array([look.mirror for look in looks])[component]

    up = (0.5 + 0.5 * surface.normal[:, 2:]).astype(np.float32)
    ambient = up * sky_light(sky).astype(np.float32) + (1 - up) * GROUND_BOUNCE.astype(np.float32)
    if bounces == 0:
        ambient *= _openness(posed, surface.points, surface.normal, component)[:, None]
    sunlight = sun_light(sky).astype(np.float32)
    direct = np.where(lit, facing, 0).astype(np.float32)[:, None] * sunlight
    # Metal has no diffuse light; a quarter stands for its roughness.
    colour = albedo * np.where(metal, 0.25, 1).astype(np.float32)[:, None] * (ambient + direct)
    tint = np.where(metal[:, None], albedo, np.float32(1))
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


def _look(posed: Posed, component: int) -> Material:
    scene = posed.geometry.scene
    if component < len(scene.things):
        return MATERIALS[scene.things[component].material]
    return Material(texture="plain", gloss=0.05, hardness=15)


def _albedo(surface: _Surface, mine: np.ndarray, component: int, spread: float) -> np.ndarray:
    """(M, 3) float32 colours of the points `mine` of one thing or person."""
    posed, scene = surface.posed, surface.posed.geometry.scene
    face, weights = surface.hits.face[mine], surface.hits.weights[mine]
    if component >= len(scene.things):
        body = posed.geometry.bodies[component - len(scene.things)]
        first = posed.geometry.first_face[component]
        points, bone = body.rest_points(face - first, weights), body.bone(face - first, weights)
        return _person_colours(scene.people[component - len(scene.things)], points, bone)
    thing = scene.things[component]
    material = MATERIALS[thing.material]
    texture = texture_of(material.texture, thing.seed)
    local = posed.rest_points(face, weights)
    normal = turn_back(posed.rotations[component], surface.normal[mine])
    # A pixel covers more of a surface that it sees at a slant; the square root keeps far floors from blurring wholly.
    slant = np.sqrt(np.clip(-dot(surface.normal[mine], surface.sight[mine]), 0.03, 1))
    footprint = surface.way[mine] * spread / slant / material.tile_m
    if texture.unrolled and thing.kind in ("sphere", "cylinder", "capsule"):
        colour = texture.sample(_unrolled(thing.kind, thing.size, local, normal, material.tile_m), footprint)
    else:
        colour = _projected(texture, local / material.tile_m, normal, footprint)
    return colour * np.array(thing.colour, np.float32)


def _projected(texture: Texture, place: np.ndarray, normal: np.ndarray, footprint: np.ndarray) -> np.ndarray:
    """Project along the three axes and blend where the normal lies between them."""
    share = np.abs(normal) ** 8
    share /= share.sum(axis=-1, keepdims=True)
    out = np.zeros((len(place), 3), np.float32)
    for axis in range(3):
        mine = np.flatnonzero(share[:, axis] > 0.02)
        if len(mine):
            across = place[mine][:, [(axis + 1) % 3, (axis + 2) % 3]] + 0.37 * (axis + 1)
            out[mine] += texture.sample(across, footprint[mine]) * share[mine, axis, None].astype(np.float32)
    return out


def _unrolled(kind: str, size: tuple[float, ...], local: np.ndarray, normal: np.ndarray, tile_m: float) -> np.ndarray:
    """Place (N, 2) in tiles around a round thing: a whole number of tiles around, so that there is no seam."""
    radius = size[0]
    around = np.arctan2(local[:, 1], local[:, 0]) / (2 * np.pi)
    tiles = max(1, round(2 * np.pi * radius / tile_m))
    if kind == "sphere":
        down = np.arccos(np.clip(local[:, 2] / radius, -1, 1)) / np.pi * max(1, round(np.pi * radius / tile_m))
    else:
        down = local[:, 2] / tile_m
    place = np.stack([around * tiles, down], axis=-1)
    if kind == "cylinder":
        cap = np.abs(normal[:, 2]) > 0.9
        place[cap] = local[cap, :2] / tile_m
    return place


def _person_colours(person: Person, points: np.ndarray, bone: np.ndarray) -> np.ndarray:
    """(N, 3) colours of a person's rest points, of the size of openuni.benchmark.synth.body.REST_HEIGHT."""
    x, y, z = points[:, 0], points[:, 1], points[:, 2]
    names = np.array(BONE_NAMES)[bone]
    along = np.zeros(len(points))
    for number, chart in enumerate(CHARTS):
        mine = bone == number
        line = chart.end - chart.root
        along[mine] = dot(points[mine] - chart.root, line) / dot(line, line)
    arm, forearm = np.char.endswith(names, "upper_arm"), np.char.endswith(names, "forearm")
    thigh, shin, foot = (np.char.endswith(names, part) for part in ("thigh", "shin", "foot"))
    trunk = (names == "pelvis") | (names == "chest")
    long_sleeves, long_legs = person.sleeves == "long", person.legs == "long"
    neck = np.hypot(x + 0.015, y) < 0.08
    shirt = (
        (trunk & (z > 1.0) & ((z < 1.46) | ~neck)) | (arm & (long_sleeves | (along < 0.62))) | (forearm & long_sleeves)
    )
    trousers = (trunk & (z <= 1.0)) | (thigh & (long_legs | (along < 0.75))) | (shin & long_legs & (along < 0.93))
    colour = np.tile(np.array(person.skin), (len(points), 1))
    colour[shirt] = _cloth(person, points[shirt])
    colour[trousers] = np.array(person.trousers)
    colour[trousers & (np.abs(z - 1.0) < 0.016)] *= 0.35  # a belt
    colour[foot | (shin & (along > 0.95))] = np.array(person.shoes)
    colour[foot & (z < 0.022)] = 0.5  # soles
    head = names == "head"
    # Hair above a line that falls from the forehead to the neck.
    hair = head & (z > 1.605 + np.clip(x + 0.06, -0.02, 0.12) * 0.82) & (x < 0.097)
    colour[hair] = np.array(person.hair) * (0.85 + 0.3 * (np.sin(230 * y + 60 * x)[hair, None] > 0))
    eyes = head & (x > 0.05) & (np.hypot(np.abs(y) - 0.033, 1.3 * (z - 1.672)) < 0.0115)
    colour[eyes] = 0.02
    mouth = head & (x > 0.05) & (np.abs(y) < 0.024) & (np.abs(z - 1.585) < 0.005)
    colour[mouth] = np.array(person.skin) * [0.75, 0.4, 0.4]
    return colour.astype(np.float32)


def _cloth(person: Person, points: np.ndarray) -> np.ndarray:
    colour = np.tile(np.array(person.shirt), (len(points), 1))
    if person.pattern == "stripes":
        light = (points[:, 2] * 22) % 1 < 0.4
    elif person.pattern == "checks":
        light = ((points[:, 2] * 16) % 1 < 0.5) != ((points[:, 1] * 16) % 1 < 0.5)
    else:
        light = np.zeros(len(points), bool)
    colour[light] = 0.55 * colour[light] + 0.35
    weave = 0.92 + 0.16 * (np.sin(240 * points[:, 2]) * np.sin(240 * points[:, 1]) > 0)
    return colour * weave[:, None]


def _openness(posed: Posed, points: np.ndarray, normal: np.ndarray, component: np.ndarray) -> np.ndarray:
    """(N,) share of the sky's light that near things leave, each thing taken as a few balls.

    Occlusion by a ball: cosine towards it over its squared distance in radii (Quilez, "sphere ambient occlusion").
    """
    out = np.ones(len(points), np.float32)
    for number, centre, radius in _balls(posed):
        # A square about the ball first: it spares most points.
        low, high = centre - 4 * radius, centre + 4 * radius
        near = np.flatnonzero(
            (points[:, 0] > low[0]) & (points[:, 0] < high[0]) & (points[:, 1] > low[1]) & (points[:, 1] < high[1])
            & (component != number)
        )  # fmt: skip
        if len(near):
            away = centre - points[near]
            far2 = np.maximum(dot(away, away), radius * radius)
            cosine = np.clip(dot(away, normal[near]) / np.sqrt(far2), 0, 1)
            out[near] *= (1 - 0.85 * cosine * (radius * radius) / far2).astype(np.float32)
    return out


def _balls(posed: Posed) -> list[tuple[int, np.ndarray, float]]:
    """Things and limbs as balls: component, centre, radius."""
    scene, balls = posed.geometry.scene, []
    for number, thing in enumerate(scene.things):
        if thing.scenery or MATERIALS[thing.material].refractive:
            continue
        part = slice(posed.geometry.first_vertex[number], posed.geometry.first_vertex[number + 1])
        half = np.ptp(posed.geometry.rest[part], axis=0) / 2
        middle = posed.geometry.rest[part].min(axis=0) + half
        axis, radius = int(half.argmax()), float(np.sort(half)[1])
        count = int(np.clip(np.ceil(half[axis] / radius), 1, 5))
        offsets = (np.arange(count) - (count - 1) / 2) * (2 * (half[axis] - radius) / max(1, count - 1))
        centre = scene.thing_positions[posed.frame, number] + (
            posed.rotations[number][:, 0] * middle[0]
            + posed.rotations[number][:, 1] * middle[1]
            + posed.rotations[number][:, 2] * middle[2]
        )
        balls += [(number, centre + posed.rotations[number][:, axis] * offset, radius) for offset in offsets]
    for person, (rotations, joints) in enumerate(posed.bones):
        body = posed.geometry.bodies[person]
        ends = body.pose_ends(rotations, joints)
        for bone, radius in _LIMB_RADII:
            for along in (0.25, 0.75):
                centre = joints[bone] + along * (ends[bone] - joints[bone])
                balls.append((len(scene.things) + person, centre, radius * body.scale))
    return balls


_LIMB_RADII = tuple(
    (number, {"pelvis": 0.14, "chest": 0.14, "head": 0.09, "foot": 0.045, "hand": 0.03}.get(name.split("_")[-1], 0.06))
    for number, name in enumerate(BONE_NAMES)
)
"""Bones and the radius of the balls that stand for them, metres, in the rest size."""


def _edges(posed: Posed, seen: _Seen, first: Hits, shown: np.ndarray, camera: Camera) -> np.ndarray:
    """(E,) pixels that differ from a neighbour: other thing, bend, jump in depth, a shadow's edge, or, in glass and
    mirrors, another colour."""
    shape, geometry = (camera.height, camera.width), posed.geometry
    component = np.where(first.hit, geometry.component[first.face], -1).reshape(shape)
    bright = np.array([_look(posed, number).mirror > 0.5 for number in range(len(geometry.component_ids))] + [False])
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


def _tonemap(light: np.ndarray) -> np.ndarray:
    """Film-like curve (Narkowicz, "ACES filmic tone mapping curve", 2015): (N, 3) float32 in 0..1, linear."""
    x = light * np.float32(EXPOSURE * 0.75)
    return np.clip((x * (2.51 * x + 0.03)) / (x * (2.43 * x + 0.59) + 0.14), 0, 1)


def _srgb(linear: np.ndarray) -> np.ndarray:
    """The sRGB curve (IEC 61966-2-1)."""
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 1e-9) ** (1 / 2.4) - 0.055)
