"""Materials: what a surface looks like, for every tier of RGB. Truth only asks which ones are refractive."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Material:
    """One material."""

    texture: str
    """A key of openuni.benchmark.synth.texture.TEXTURES."""
    tile_m: float = 1.0
    """Side of one texture tile on the surface, metres."""
    gloss: float = 0.0
    """Strength of the sun's highlight, 0..1."""
    hardness: float = 40.0
    """Exponent of the highlight (Blinn 1977)."""
    mirror: float = 0.0
    """Part of light that is reflected straight on, looking along the normal."""
    metal: bool = False
    """Reflections take the metal's colour, and there is no diffuse light."""
    refractive: bool = False
    """Light goes through; indices of refraction stand with the shape's faces."""


MATERIALS = {
    "wood": Material(texture="wood", tile_m=1.0, gloss=0.15, hardness=30, mirror=0.0),
    "planks": Material(texture="planks", tile_m=2.4, gloss=0.12, hardness=25, mirror=0.0),
    "checker": Material(texture="checker", tile_m=0.5, gloss=0.2, hardness=60),
    "tiles": Material(texture="tiles", tile_m=2.4, gloss=0.25, hardness=80, mirror=0.03),
    "marble": Material(texture="marble", tile_m=0.8, gloss=0.35, hardness=120, mirror=0.04),
    "metal": Material(texture="brushed", tile_m=0.6, gloss=0.6, hardness=200, mirror=0.75, metal=True),
    "plastic": Material(texture="speckles", tile_m=0.5, gloss=0.35, hardness=90),
    "concrete": Material(texture="concrete", tile_m=3.0, gloss=0.04, hardness=10),
    "grass": Material(texture="grass", tile_m=2.0),
    "plaster": Material(texture="concrete", tile_m=2.0),
    "stripes": Material(texture="stripes", tile_m=0.24, gloss=0.3, hardness=80),
    "matte": Material(texture="plain"),
    "straw": Material(texture="stripes", tile_m=0.04, gloss=0.3, hardness=80),
    "glass": Material(texture="plain", gloss=0.6, hardness=300, refractive=True),
    "water": Material(texture="plain", gloss=0.6, hardness=300, refractive=True),
}
REFRACTIVE = frozenset(name for name, material in MATERIALS.items() if material.refractive)
