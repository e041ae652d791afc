"""Path-traced scenes: our surfaces, looks and light as a Mitsuba scene.

What stays the same during a clip (colours, sky, sun) is made once; shapes are made for each frame.
"""

from typing import Any

import numpy as np

from openuni.benchmark.synth.baked import bake
from openuni.benchmark.synth.geometry import Posed
from openuni.benchmark.synth.looks import material_of
from openuni.benchmark.synth.material import Material
from openuni.benchmark.synth.rotation import cross, matrix_of, turn, turn_back, unit
from openuni.benchmark.synth.scene import Camera, Scene, Sky
from openuni.benchmark.synth.sky import FOG_M, sky_colour, sky_light, sun_direction, sun_light
from openuni.benchmark.synth.texture import FIRST, LEVELS, SIZE, Texture, texture_of

SKY_SIZE = (512, 1024)  # texels of the whole sphere: 0.35 degrees; four times as many cost a fifth more time a frame
SUN_SPREAD = 0.02  # as in tier fast: radians of a little square whose corners are four suns, which softens shadows
TEXELS_PER_PIXEL = 1.5  # ours: what is finer only makes noise, what is coarser is seen as blur
LEAST_TEXEL_M = 0.0005
RINGS, SPOKES = 120, 64  # of the mesh that stands for far-reaching ground
CLEAR_AIR_M = 6.0  # fog takes less than half a percent nearer than this
DIMMEST_SKY = 0.75
"""Ours. Drawn clouds and horizon would give up to twice the light that tier fast takes from the sky; the sky is dimmed
to give as much, but not below this, so that it still looks like day."""
SHINE = 2.0  # ours: gloss to specular reflectance, whose 0.5 is a refractive index of 1.5


class PathScene:
    """A clip's surfaces for Mitsuba, whose variant must be set."""

    def __init__(self, posed: Posed, height: int) -> None:
        """Make what does not change.

        Args:
            posed: any frame of the clip.
            height: of the pictures in px: decides how fine colours are.
        """
        import mitsuba

        self._mi = mitsuba
        self._geometry = posed.geometry
        self.scene: Scene = posed.geometry.scene
        self._spread = 1 / (self.scene.focal * height)
        self._lights = self._make_lights()
        self._surfaces: dict[Any, Any] = {}
        self._places: dict[int, np.ndarray] = {}
        for component in range(len(posed.geometry.component_ids)):
            if self._is_ground(component) or material_of(self.scene, component).refractive:
                continue
            self._places[component] = self._colour(posed, component)

    def at(self, posed: Posed, camera: Camera, integrator: dict[str, Any]) -> Any:
        """Return the Mitsuba scene of a frame."""
        parts: dict[str, Any] = {"type": "scene", "integrator": integrator, "sensor": self._sensor(camera)}
        parts |= self._lights
        for component in range(len(self._geometry.component_ids)):
            if self._is_ground(component):
                parts |= self._ground(posed, component, camera)
            elif material_of(self.scene, component).refractive:
                parts |= self._clear(posed, component)
            else:
                faces = self._faces(component)
                mesh = self._mesh(posed, faces, self._surfaces[component], self._places[component])
                parts[f"part{component}"] = mesh
        return self._mi.load_dict(parts)

    def _is_ground(self, component: int) -> bool:
        return component < len(self.scene.things) and self.scene.things[component].kind == "plane"

    def _faces(self, component: int) -> np.ndarray:
        return np.arange(self._geometry.first_face[component], self._geometry.first_face[component + 1])

    def _sensor(self, camera: Camera) -> dict[str, Any]:
        ahead, down = camera.rotation[2], camera.rotation[1]
        eye = camera.position
        view = self._mi.ScalarTransform4f().look_at(
            origin=eye.tolist(), target=(eye + ahead).tolist(), up=(-down).tolist()
        )
        return {
            "type": "perspective", "fov": float(np.degrees(2 * np.arctan(camera.height / 2 / camera.focal))),
            "fov_axis": "y", "near_clip": 1e-3, "far_clip": 1e4, "to_world": view,
            "film": {
                "type": "hdrfilm", "width": camera.width, "height": camera.height, "pixel_format": "rgb",
                "component_format": "float32", "rfilter": {"type": "box"},
            },
            "sampler": {"type": "independent"},
        }  # fmt: skip

    def _make_lights(self) -> dict[str, Any]:
        """The sky all around, and the sun as four parallel lights that lie close together."""
        mi, sky = self._mi, self.scene.sky
        rows, columns = SKY_SIZE
        polar = np.pi * (np.arange(rows) + 0.5) / rows
        around = 2 * np.pi * (np.arange(columns) + 0.5) / columns
        flat = np.sin(polar)[:, None]
        # Mitsuba's sphere has y up and starts at -z; turned by 90 degrees about x its y is our z.
        directions = np.stack(
            [flat * np.sin(around), flat * np.cos(around), np.broadcast_to(np.cos(polar)[:, None], SKY_SIZE)], axis=-1
        )
        picture = sky_colour(sky, directions.reshape(-1, 3)).reshape(*SKY_SIZE, 3)
        picture *= np.float32(dimming(sky, picture))
        turned = mi.ScalarTransform4f().rotate([1, 0, 0], 90)
        lights = {"sky": mi.load_dict({"type": "envmap", "bitmap": mi.Bitmap(picture), "to_world": turned})}
        towards = sun_direction(sky)
        across = unit(cross(towards, np.array([0.0, 0.0, 1.0])))
        up = cross(across, towards)
        # A white Lambertian surface square to the sun sends back irradiance / pi: that is what sun_light is.
        irradiance = (np.pi / 4 * sun_light(sky)).tolist()
        for number, (x, y) in enumerate(((-1, -1), (-1, 1), (1, -1), (1, 1))):
            place = unit(towards + 0.5 * SUN_SPREAD * (x * across + y * up))
            lights[f"sun{number}"] = mi.load_dict(
                {"type": "directional", "direction": (-place).tolist(), "sampling_weight": 0.25,
                 "irradiance": {"type": "rgb", "value": irradiance}}
            )  # fmt: skip
        return lights

    def _colour(self, posed: Posed, component: int) -> np.ndarray:
        """Make the surface of an opaque part and return the places (F, 3, 2) of its corners in its colours."""
        texel_m = max(self._nearest_m(component) * self._spread / TEXELS_PER_PIXEL, LEAST_TEXEL_M)
        material = material_of(self.scene, component)
        if component < len(self.scene.things) and self.scene.things[component].kind == "box":
            thing = self.scene.things[component]
            texture = texture_of(material.texture, thing.seed)
            level = np.clip(np.log2(texel_m / material.tile_m * SIZE), 0, LEVELS - 1)
            picture = level_picture(texture, level) * np.array(thing.colour, np.float32)
            self._surfaces[component] = self._surface(material, picture, "repeat")
            return _box_places(posed, self._faces(component), material.tile_m)
        sheet = bake(posed, component, texel_m)
        self._surfaces[component] = self._surface(material, sheet.picture, "clamp")
        return sheet.places

    def _nearest_m(self, component: int) -> float:
        """Metres to where the camera comes nearest to a part in the whole clip, by the box about it."""
        scene, geometry = self.scene, self._geometry
        eyes = scene.camera_positions
        if component >= len(scene.things):
            away = scene.person_positions[:, component - len(scene.things)] - eyes
            return float(max(np.sqrt((away**2).sum(axis=-1)).min() - 0.5, 0.3))
        part = geometry.rest[geometry.first_vertex[component] : geometry.first_vertex[component + 1]]
        low, high = part.min(axis=0), part.max(axis=0)
        local = turn_back(matrix_of(scene.thing_rotations[:, component]), eyes - scene.thing_positions[:, component])
        away = local - np.clip(local, low, high)
        return float(max(np.sqrt((away**2).sum(axis=-1)).min(), 0.05))

    def _surface(self, material: Material, picture: np.ndarray, wrap: str) -> Any:
        """Make an opaque material, coloured by a picture."""
        mi = self._mi
        bitmap = mi.Bitmap(np.ascontiguousarray(np.clip(picture, 0, 0.98), np.float32))
        colour = {"type": "bitmap", "bitmap": bitmap, "raw": True, "filter_type": "bilinear", "wrap_mode": wrap}
        # The Beckmann width whose lobe is as wide as Blinn's with that exponent (Walter et al. 2007, section 5.2).
        alpha = float(np.sqrt(2 / (material.hardness + 2)))
        if material.metal:
            look = {"type": "roughconductor", "material": "none", "alpha": alpha, "specular_reflectance": colour}
        elif material.gloss == 0:
            look = {"type": "diffuse", "reflectance": colour}
        else:
            # Polished stone and tiles mirror under their sheen.
            roughness = np.sqrt(alpha) * (0.5 if material.mirror else 1)
            look = {"type": "principled", "base_color": colour, "roughness": float(roughness),
                    "specular": min(0.5, SHINE * material.gloss)}  # fmt: skip
        return mi.load_dict({"type": "twosided", "look": look})

    def _clear(self, posed: Posed, component: int) -> dict[str, Any]:
        """Glass and water: a shape for each pair of indices of refraction."""
        faces = self._faces(component)
        pairs = self._geometry.indices[faces]
        tint = list(self.scene.things[component].colour)
        parts = {}
        for outside, inside in np.unique(pairs, axis=0):
            key = ("clear", float(outside), float(inside), tuple(tint))
            if key not in self._surfaces:
                self._surfaces[key] = self._mi.load_dict(
                    {"type": "dielectric", "int_ior": float(inside), "ext_ior": float(outside),
                     "specular_transmittance": {"type": "rgb", "value": tint}}
                )  # fmt: skip
            mine = faces[(pairs == (outside, inside)).all(axis=-1)]
            parts[f"part{component}_{outside:.3f}_{inside:.3f}".replace(".", "_")] = self._mesh(
                posed, mine, self._surfaces[key], None
            )
        return parts

    def _mesh(self, posed: Posed, faces: np.ndarray, surface: Any, places: np.ndarray | None) -> Any:
        """Make a shape of some triangles, each with corners of its own."""
        corners = posed.vertices[self._geometry.faces[faces]].reshape(-1, 3)
        weights = np.tile(np.eye(3), (len(faces), 1))
        normals = posed.shading_normals(np.repeat(faces, 3), weights)
        return self._shape(corners, np.arange(len(corners)).reshape(-1, 3), normals, surface, places)

    def _shape(
        self, vertices: np.ndarray, faces: np.ndarray, normals: np.ndarray, surface: Any,
        places: np.ndarray | None, clear: np.ndarray | None = None,
    ) -> Any:  # fmt: skip
        mi = self._mi
        properties = mi.Properties()
        properties["surface"] = surface
        mesh = mi.Mesh("part", len(vertices), len(faces), has_vertex_normals=True,
                       has_vertex_texcoords=places is not None, props=properties)  # fmt: skip
        if clear is not None:
            mesh.add_attribute("vertex_clear", 1, np.ascontiguousarray(clear, np.float32).ravel())
        values = mi.traverse(mesh)
        values["vertex_positions"] = np.ascontiguousarray(vertices, np.float32).ravel()
        values["vertex_normals"] = np.ascontiguousarray(normals, np.float32).ravel()
        values["faces"] = np.ascontiguousarray(faces, np.uint32).ravel()
        if places is not None:
            values["vertex_texcoords"] = np.ascontiguousarray(places, np.float32).ravel()
        values.update()
        return mesh

    def _ground(self, posed: Posed, component: int, camera: Camera) -> dict[str, Any]:
        """A plane as rings about the point below the camera, each with its texture as small as pixels need it there.

        Far rings let the horizon's colour through, as fog does in tier fast.
        """
        thing = self.scene.things[component]
        material, half = material_of(self.scene, component), thing.size[0]
        rotation, place = posed.rotations[component], self.scene.thing_positions[posed.frame, component]
        eye = turn_back(rotation, (camera.position - place)[None])[0]
        height = max(abs(eye[2]), 0.05)
        reach = 2 * half + float(np.hypot(eye[0], eye[1]))
        radii = np.concatenate([[0], np.geomspace(0.1, reach, RINGS)])
        angles = 2 * np.pi * np.arange(SPOKES) / SPOKES
        circle = np.stack([np.cos(angles), np.sin(angles)], axis=-1)
        flat = np.clip(eye[:2] + radii[:, None, None] * circle, -half, half)  # (rings, spokes, 2)
        middle = np.sqrt(radii[:-1] * radii[1:])
        way = np.hypot(middle, height)
        width_m = way * self._spread / np.sqrt(np.clip(height / way, 0.03, 1))
        level = np.clip(np.log2(np.maximum(width_m / material.tile_m * SIZE, 1e-6)), 0, LEVELS - 1)
        level = np.round(2 * level) / 2
        foggy = radii[1:] > CLEAR_AIR_M
        fog = 1 - np.exp(-((np.hypot(radii, height) / FOG_M) ** 2))
        parts = {}
        for number, foggy_part in {(float(one), bool(far)) for one, far in zip(level, foggy, strict=True)}:
            key = ("ground", component, number, foggy_part)
            if key not in self._surfaces:
                self._surfaces[key] = self._ground_surface(material, thing, number, foggy_part)
            rings = np.flatnonzero((level == number) & (foggy == foggy_part))
            used = np.arange(rings[0], rings[-1] + 2)
            points = flat[used].reshape(-1, 2)
            index = np.arange(len(points)).reshape(len(used), SPOKES)
            inner, outer = index[:-1], index[1:]
            a, b, c, d = inner, outer, np.roll(outer, -1, axis=1), np.roll(inner, -1, axis=1)
            faces = np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)])
            corners = points[faces]
            first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
            faces = faces[np.abs(first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]) > 1e-9]
            if not len(faces):
                continue
            local = np.concatenate([points, np.zeros((len(points), 1))], axis=-1)
            up = np.broadcast_to(rotation[:, 2], local.shape)
            clear = np.repeat(1 - fog[used], SPOKES) if foggy_part else None
            tiles = points / material.tile_m + 0.37 * 3  # as looks.py lays tiles along z
            parts[f"ground{component}_{int(2 * number)}_{int(foggy_part)}"] = self._shape(
                turn(rotation, local) + place, faces, up, self._surfaces[key], tiles, clear
            )
        return parts

    def _ground_surface(self, material: Material, thing: Any, level: float, foggy: bool) -> Any:
        picture = level_picture(texture_of(material.texture, thing.seed), level) * np.array(thing.colour, np.float32)
        surface = self._surface(material, picture, "repeat")
        if not foggy:
            return surface
        opacity = {"type": "mesh_attribute", "name": "vertex_clear"}
        return self._mi.load_dict({"type": "mask", "opacity": opacity, "surface": surface})


def dimming(sky: Sky, picture: np.ndarray) -> float:
    """Factor for a picture (h, w, 3) of the sky, zenith to nadir, to light level ground as tier fast has it."""
    rows = len(picture)
    polar = np.pi * (np.arange(rows) + 0.5) / rows
    share = np.maximum(np.cos(polar), 0) * np.sin(polar)
    light = (picture.mean(axis=1, dtype=np.float64) * share[:, None]).sum(axis=0) / share.sum()
    return float(np.clip(sky_light(sky).mean() / light.mean(), DIMMEST_SKY, 1))


def level_picture(texture: Texture, level: float) -> np.ndarray:
    """A texture's picture (s, s, 3) at a level of halving; between two whole levels their blend, as `sample` has it."""
    low = int(np.floor(level))
    part = np.float32(level - low)
    fine = _whole_level(texture, low)
    if part == 0:
        return fine
    side = len(fine)
    at = (np.arange(side) + 0.5) / side
    columns, rows = np.meshgrid(at, at)
    place = np.stack([columns.ravel(), rows.ravel()], axis=-1)
    blend = texture.sample(place, np.full(len(place), 2.0**level / SIZE))
    return blend.reshape(side, side, 3)


def _whole_level(texture: Texture, level: int) -> np.ndarray:
    side = SIZE >> level
    return texture.texels[FIRST[level] : FIRST[level] + side * side].reshape(side, side, 3)


def _box_places(posed: Posed, faces: np.ndarray, tile_m: float) -> np.ndarray:
    """Places (F, 3, 2) in tiles of a box's corners, laid along its axes as looks.py does."""
    geometry = posed.geometry
    local = geometry.rest[geometry.faces[faces]] / tile_m
    axis = np.abs(geometry.corner_normals[faces, 0]).argmax(axis=-1)
    shown = (axis[:, None] + [1, 2]) % 3
    return np.take_along_axis(local, np.repeat(shown[:, None], 3, axis=1), axis=-1) + 0.37 * (axis[:, None, None] + 1)
