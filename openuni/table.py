"""Name tables: one literal dict for each kind of part; values are "module:Object", loaded on use.

The tables stand here, below everything, so that a lower folder can use a higher one's part by name
without importing it. A new part is one file and one row.
"""

from importlib import import_module
from typing import Any

from openuni.errors import UnknownName

MODALITIES = {
    "depth": "openuni.codec.depth:DEPTH",
    "flow": "openuni.codec.flow:FLOW",
    "densepose": "openuni.codec.densepose:DENSEPOSE",
    "skeleton": "openuni.codec.skeleton:SKELETON",
    "segmentation": "openuni.codec.segmentation:SEGMENTATION",
}
"""The five modalities, in the order of their ids in the model."""

RGB = "openuni.codec.rgb:RGB"
"""The frames themselves: stored through the same door, but no modality."""

SOURCES = {
    "folder": "openuni.pipelines.sources.folder:Folder",
    "koala36m": "openuni.pipelines.sources.koala36m:Koala36M",
}

FILTERS = {
    "motion": "openuni.pipelines.filters.motion:MotionFilter",
    "luminance": "openuni.pipelines.filters.luminance:LuminanceFilter",
    "borders": "openuni.pipelines.filters.borders:BordersFilter",
    "frozen": "openuni.pipelines.filters.frozen:FrozenFilter",
    "watermark": "openuni.pipelines.filters.watermark:WatermarkFilter",
    "text": "openuni.pipelines.filters.text:TextFilter",
    "duration": "openuni.pipelines.filters.duration:DurationFilter",
    "resolution": "openuni.pipelines.filters.resolution:ResolutionFilter",
    "container": "openuni.pipelines.filters.container:ContainerFilter",
    "published": "openuni.pipelines.filters.published:PublishedScores",
}
"""In the order they run: those that need frames first, since decoding also tells what the container says."""

CHECKS: dict[str, str] = {}
"""What judges the experts' maps; each runs where the maps it reads are made."""

ANNOTATORS = {
    "flow-dis": "openuni.annotators.flow_dis:DisFlow",
    "depth-motion": "openuni.annotators.depth_motion:MotionDepth",
    "segmentation-motion": "openuni.annotators.segmentation_motion:MotionSegmentation",
}

PRESETS = {
    "paper": "openuni.pipelines.presets:PAPER",
    "basic": "openuni.pipelines.presets:BASIC",
    "none": "openuni.pipelines.presets:NONE",
}
"""Rules for clips and for their maps."""

EXPERT_SETS: dict[str, tuple[str, ...]] = {
    "embedded": ("flow-dis", "depth-motion", "segmentation-motion"),
    "none": (),
}
"""Sets of experts that `--experts` knows besides single names. embedded: no weights, any CPU."""


TIERS = {
    "fast": "openuni.benchmark.synth.shade:FastTier",
}
"""Ways to draw RGB for rendered scenes; truth is the same under all of them."""


def load(kind: str, table: dict[str, str], name: str) -> Any:
    """Import and return the object that stands under `name`.

    Args:
        kind: what the table holds, for the error message: "source", "filter".
        table: one of the tables of this file.
        name: a key of it.

    Raises:
        UnknownName: `name` is not in `table`.
    """
    if name not in table:
        raise UnknownName(kind, name, table)
    module, _, attribute = table[name].partition(":")
    return getattr(import_module(module), attribute)
