"""Settings of the training renderings. A network sees one setting all its life, so they belong to its checkpoint."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from openuni.errors import UnknownName

CHOICES = {
    "depth_palette": ("spectral", "gray"),
    "flow_scale": ("fixed", "per_clip"),
    "flow_magnitude": ("linear", "sqrt"),
    "instance_rule": ("area", "place"),
    "densepose": ("parts", "iuv"),
    "densepose_palette": ("viridis", "far"),
    "skeleton_joints": (17, 13),
}
"""Field of RenderingConfig -> the values it may have."""
LATER = {"instance_rule": "area"}
"""Fields that older checkpoints do not have -> what they were drawn with."""
MAX_INSTANCES = 9  # tab10 has ten colours; id 10 would look like tab10[0], which no drawing of the paper shows


@dataclass(frozen=True, kw_only=True)
class RenderingConfig:
    """How maps are drawn for the network. Defaults are those that can be read back best; see also `paper`, `tiny`."""

    depth_palette: str = "spectral"
    """"spectral": Spectral_r, near is red, as UnityVideo's teaser shows. "gray": near is white, as VACE draws it."""
    flow_scale: str = "fixed"
    """"fixed": full colour is the same speed in every clip, so colours mean pixels. "per_clip": the clip's longest
    valid flow, as released data has it; a network's output then has no scale, and no metric in pixels."""
    flow_saturation: float = 0.11
    """Speed of full colour for "fixed", as a part of the width, px per frame: 2.6 px at 24, 91 px at 832. Ours: a 0.6 M
    parameter network learned the motion of rendered people with it; faster pixels are clipped and counted. Of the
    width and not in px, so that a clip looks the same to the network at any size."""
    flow_magnitude: str = "sqrt"
    """"sqrt": colour strength is the square root of speed / full speed: most pixels are slow, and this gives them most
    of the 8 bits (1 px at 832 wide: 27 of 255 levels instead of 3). "linear": as Middlebury's drawings."""
    max_instances: int = MAX_INSTANCES
    """Instances that get a colour, 1 to 9; the rest is background. Which: model/renderings/segmentation.py."""
    instance_rule: str = "area"
    """Which colour an instance gets: "area", by size; "place", by where it first appears, which a small network learns:
    model/renderings/segmentation.py."""
    min_instance_px: int = 3
    """Side of the square that an instance must fill in at least one frame to be drawn, and to be believed when read.
    Video codecs leave thin edges in other instances' colours; each would count as an instance. 1: any pixel counts.
    Ours: after H.264 such edges filled 2 px at most, docs/renderings.md."""
    densepose: str = "parts"
    """"parts": one colour for each part (the paper). "iuv": red is the part, green U, blue V."""
    densepose_palette: str = "far"
    """Colours of "parts". "viridis": the paper's, neighbours 10.4 apart in RGB. "far": 24 colours on black, any two at
    least 103 apart; a small network and a video codec confuse them less."""
    skeleton_joints: int = 17
    """17: all of COCO's. 13: without eyes and ears, which fall on each other in small pictures."""
    skeleton_stick_px: int | None = None
    """Half the width of a limb and radius of a joint, px; 0 draws 1 px lines. None: 4 px at 512 px short side, in
    proportion, at least 1 (openuni/codec/skeleton_drawing.py)."""
    skeleton_hands: bool = False
    """Draw the hands of whole-body skeletons, as the paper does. They cannot be read back and hide the wrists."""

    def __post_init__(self) -> None:
        for name, known in CHOICES.items():
            if getattr(self, name) not in known:
                given, known_text = getattr(self, name), ", ".join(map(repr, known))
                raise ValueError(f"{name} must be one of {known_text}, got {given!r}")
        if not 0 < self.flow_saturation <= 1:
            raise ValueError(
                f"flow_saturation is a part of the width, above 0 and at most 1, got {self.flow_saturation}"
            )
        if not 1 <= self.max_instances <= MAX_INSTANCES:
            raise ValueError(f"max_instances must be 1 to {MAX_INSTANCES}, got {self.max_instances}")
        if self.min_instance_px < 1:
            raise ValueError(f"min_instance_px must be 1 or more, got {self.min_instance_px}")
        if self.skeleton_stick_px is not None and self.skeleton_stick_px < 0:
            raise ValueError(f"skeleton_stick_px must be 0 or more, got {self.skeleton_stick_px}: None is by the size")

    def to_json(self) -> dict[str, Any]:
        """Return all fields as a JSON-able dict, for a checkpoint's config."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "RenderingConfig":
        """Make the config that `to_json` gave.

        Raises:
            UnknownName: there is no such field.
            ValueError: a field is missing (its default may have changed since), or a value does not fit.
        """
        known = [field.name for field in fields(cls)]
        values = {**LATER, **values}
        for name in values:
            if name not in known:
                raise UnknownName("rendering setting", name, known)
        if missing := [name for name in known if name not in values]:
            raise ValueError(f"rendering settings lack {', '.join(missing)}: give all that to_json gave")
        return cls(**values)


def paper() -> RenderingConfig:
    """Return UnityVideo's drawings: flow by the clip's maximum, viridis parts, hands."""
    return RenderingConfig(
        flow_scale="per_clip", flow_magnitude="linear", densepose_palette="viridis", skeleton_hands=True
    )


def tiny() -> RenderingConfig:
    """Return drawings for pictures of some 24 to 64 px: 13 joints, 1 px lines, instances of any size, by place."""
    return RenderingConfig(skeleton_joints=13, skeleton_stick_px=0, min_instance_px=1, instance_rule="place")
