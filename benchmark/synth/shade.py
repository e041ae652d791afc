"""Tier `fast`: colours for the very hits that truth is read from. numpy and Embree, no OpenGL.

Light is the sun with shadows, the sky from above and the ground's bounce from below, darkened where other things are
near; metal, marble and tiles reflect, glass and water refract. A pixel at an edge is the mean of five rays, every other
pixel its centre's ray alone. Nothing is random: the same scene gives the same bytes.
"""

import numpy as np

from openuni.benchmark.synth.body import BONE_NAMES, CHARTS
from openuni.benchmark.synth.geometry import Hits, Posed
from openuni.benchmark.synth.material import MATERIALS, Material
from openuni.benchmark.synth.rotation import cross, dot, length, turn_back, unit
from openuni.benchmark.synth.scene import Camera, Person
from openuni.benchmark.synth.sky import FOG_M, GROUND_BOUNCE, horizon_colour, sky_colour, sky_light, sun_direction, sun_light
from openuni.benchmark.synth.texture import Texture, texture_of

MAX_BOUNCES = 2  # mirrors in mirrors
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
        directions = camera.directions(camera.pixels())
        light, marks = _radiance(posed, camera, directions, first)
        shown = _tonemap(light)
        edges = _edges(marks, camera)
        total = shown[edges]
        for number, offset in enumerate(SUBPIXELS):
            rays = camera.directions(camera.pixels()[edges] + offset)
            hits = posed.cast(camera.position, rays)
            total = total + _tonemap(_radiance(posed, camera, rays, hits, sun=number)[0])
        shown[edges] = total / (1 + len(SUBPIXELS))
        levels = np.rint(255 * _srgb(shown)).astype(np.uint8)
        return levels.reshape(camera.height, camera.width, 3)


class _Marks:
    """What must not differ between neighbours inside a surface: edges are found from it."""

    def __init__(self, component: np.ndarray, normal: np.ndarray, distance: np.ndarray, lit: np.ndarray) -> None:
        self.component, self.normal, self.distance, self.lit = component, normal, distance, lit


def _radiance(
    posed: Posed, camera: Camera, directions: np.ndarray, hits: Hits, sun: int | None = None
) -> tuple[np.ndarray, _Marks]:
    """Colour along camera rays (N, 3), and marks."""
    light, lit = _seen(posed, camera.position, directions, hits, 1 / camera.focal, sun)
    component = np.where(hits.hit, posed.geometry.component[hits.face], -1)
    normal = np.zeros((len(directions), 3))
    normal[hits.hit] = posed.shading_normals(hits.face[hits.hit], hits.weights[hits.hit])
    return light, _Marks(component, normal, hits.distance, lit)


def _seen(
    posed: Posed,
    origins: np.ndarray,
    directions: np.ndarray,
    hits: Hits,
    spread: float,
    sun: int | None,
    bounces: int = 0,
    interfaces: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Colour along rays (N, 3) float32, and which of them see a sunlit surface (N,).

    Args:
        posed: the surfaces.
        origins: (3,) or (N, 3).
        directions: (N, 3), any length; `hits` has distances in their lengths.
        hits: the first surfaces along them.
        spread: width of what a ray stands for, per metre of its way.
        sun: which of the sun's places; None is its middle.
        bounces: mirrors behind us.
        interfaces: of glass and water behind us.
    """
    geometry, sky = posed.geometry, posed.geometry.scene.sky
    out = np.zeros((len(directions), 3), np.float32)
    lit = np.zeros(len(directions), bool)
    sight = unit(directions)
    missed = np.flatnonzero(~hits.hit)
    out[missed] = sky_colour(sky, sight[missed])
    hit = np.flatnonzero(hits.hit)
    if not len(hit):
        return out, lit
    clear = geometry.refractive[hits.face[hit]]
    for part, refractive in ((hit[~clear], False), (hit[clear], True)):
        if not len(part):
            continue
        starts = origins if origins.ndim == 1 else origins[part]
        surface = _Surface(posed, starts, sight[part], Hits(hits.face[part], hits.weights[part], hits.distance[part]))
        if refractive:
            out[part] = _through(surface, spread, sun, bounces, interfaces)
        else:
            out[part], lit[part] = _opaque(surface, spread, sun, bounces)
    return out, lit


class _Surface:
    """N surface points as rays meet them."""

    def __init__(self, posed: Posed, origins: np.ndarray, sight: np.ndarray, hits: Hits) -> None:
        self.posed, self.sight, self.hits = posed, sight, hits
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


def _opaque(surface: _Surface, spread: float, sun: int | None, bounces: int) -> tuple[np.ndarray, np.ndarray]:
    """Colour of opaque surfaces and whether the sun shines on them."""
    posed = surface.posed
    geometry, sky = posed.geometry, posed.geometry.scene.sky
    component = geometry.component[surface.hits.face]
    towards = _sun_rays(sky, sun)
    facing = dot(surface.normal, np.broadcast_to(towards, surface.normal.shape))
    lit = facing > 0
    asked = np.flatnonzero(lit)
    lit[asked] = ~posed.blocked(surface.lifted()[asked], np.broadcast_to(towards, (len(asked), 3)))
    albedo = np.zeros((len(component), 3), np.float32)
    looks = [_look(posed, number) for number in range(len(geometry.component_ids))]
    for number in np.unique(component):
        mine = np.flatnonzero(component == number)
        albedo[mine] = _albedo(surface, mine, int(number), spread)
    gloss = np.array([look.gloss for look in looks], np.float32)[component]
    hardness = np.array([look.hardness for look in looks], np.float32)[component]
    mirror = np.array([look.mirror for look in looks], np.float32)[component]
    metal = np.array([look.metal for look in looks])[component]

    open_ = _openness(posed, surface.points, surface.normal, component)
    up = (0.5 + 0.5 * surface.normal[:, 2:]).astype(np.float32)
    ambient = (up * sky_light(sky) + (1 - up) * GROUND_BOUNCE) * open_[:, None]
    direct = (np.where(lit, facing, 0)[:, None] * sun_light(sky)).astype(np.float32)
    colour = albedo * np.where(metal[:, None], 0.25, 1.0).astype(np.float32) * (ambient + direct)
    halfway = unit(towards - surface.sight)
    shine = np.clip(dot(surface.normal, halfway), 0, 1) ** hardness * gloss * lit
    tint = np.where(metal[:, None], albedo, 1.0)
    colour += (shine[:, None] * sun_light(sky) * tint).astype(np.float32)
    colour = _add_reflections(surface, colour, mirror, tint, spread, sun, bounces)
    fog = 1 - np.exp(-((surface.way / FOG_M) ** 2))
    return (colour + fog[:, None] * (horizon_colour(sky) - colour)).astype(np.float32), lit


def _add_reflections(
    surface: _Surface, colour: np.ndarray, mirror: np.ndarray, tint: np.ndarray, spread: float, sun: int | None,
    bounces: int,
) -> np.ndarray:  # fmt: skip
    """Blend in what mirrors show, by Schlick's approximation (1994) of Fresnel."""
    grazing = (1 - np.clip(-dot(surface.normal, surface.sight), 0, 1)) ** 5
    share = np.where(mirror > 0, mirror + (1 - mirror) * grazing * np.where(mirror > 0.5, 1, 0.6), 0)
    asked = np.flatnonzero(share > 0.02) if bounces < MAX_BOUNCES else np.zeros(0, int)
    if len(asked):
        starts, rays = surface.lifted()[asked], surface.mirrored()[asked]
        seen, _ = _seen(surface.posed, starts, rays, surface.posed.cast(starts, rays), 3 * spread, sun, bounces + 1)
        part = share[asked, None].astype(np.float32)
        colour[asked] = colour[asked] * (1 - part) + seen * tint[asked].astype(np.float32) * part
    return colour


def _through(surface: _Surface, spread: float, sun: int | None, bounces: int, interfaces: int) -> np.ndarray:
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
        behind, _ = _seen(posed, starts, rays, hits, 1.5 * spread, sun, bounces, interfaces + 1)
    else:
        behind = sky_colour(sky, unit(bent))
    if bounces == 0 and interfaces == 0:
        starts, rays = surface.lifted(), surface.mirrored()
        mirrored, _ = _seen(posed, starts, rays, posed.cast(starts, rays), 3 * spread, sun, MAX_BOUNCES, MAX_INTERFACES)
    else:
        mirrored = sky_colour(sky, surface.mirrored())
    towards = _sun_rays(sky, sun)
    shine = np.clip(dot(surface.normal, unit(towards - surface.sight)), 0, 1) ** 400
    component = posed.geometry.component[surface.hits.face]
    tint = np.array([thing.colour for thing in posed.geometry.scene.things])[component]
    part = share[:, None]
    colour = behind * tint * (1 - part) + mirrored * part + (1.5 * shine)[:, None] * sun_light(sky)
    return colour.astype(np.float32)


def _sun_rays(sky: object, sun: int | None) -> np.ndarray:
    """(3,) direction to the sun's middle or to one of the four places on its face."""
    towards = sun_direction(sky)  # type: ignore[arg-type]
    if sun is None:
        return towards
    across = unit(cross(towards, np.array([0.0, 0.0, 1.0])))
    x, y = SUBPIXELS[sun]
    return unit(towards + SUN_SPREAD * (2 * x * across + 2 * y * cross(across, towards)))


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
    shirt = (trunk & (z > 1.0) & (z < 1.475)) | (arm & (long_sleeves | (along < 0.62))) | (forearm & long_sleeves)
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
    colour[hair] = np.array(person.hair) * (0.8 + 0.4 * (np.sin(160 * y + 40 * x)[hair, None] > 0))
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
        low, high = centre - 5 * radius, centre + 5 * radius
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
            for part in (0.25, 0.75):
                centre = joints[bone] + part * (ends[bone] - joints[bone])
                balls.append((len(scene.things) + person, centre, radius * body.scale))
    return balls


_LIMB_RADII = tuple(
    (number, {"pelvis": 0.14, "chest": 0.14, "head": 0.09, "foot": 0.045, "hand": 0.03}.get(name.split("_")[-1], 0.06))
    for number, name in enumerate(BONE_NAMES)
)
"""Bones and the radius of the balls that stand for them, metres, in the rest size."""


def _edges(marks: _Marks, camera: Camera) -> np.ndarray:
    """(E,) pixels that differ from a neighbour: other thing, bend, jump in depth, or a shadow's edge."""
    shape = (camera.height, camera.width)
    component, lit = marks.component.reshape(shape), marks.lit.reshape(shape)
    normal = marks.normal.reshape(*shape, 3)
    with np.errstate(divide="ignore"):
        inverse = (1 / marks.distance).reshape(shape)
    edge = np.zeros(shape, bool)
    for axis in (0, 1):
        a = tuple(slice(None, -1) if one == axis else slice(None) for one in (0, 1))
        b = tuple(slice(1, None) if one == axis else slice(None) for one in (0, 1))
        near = np.maximum(inverse[a], inverse[b])
        differ = (component[a] != component[b]) | (lit[a] != lit[b])
        same = component[a] >= 0
        differ |= same & (dot(normal[a], normal[b]) < 0.8)
        differ |= same & (component[a] > 0) & (np.abs(inverse[a] - inverse[b]) > 0.05 * near)
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
