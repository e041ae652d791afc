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
    "duration": "openuni.pipelines.filters.duration:DurationFilter",
    "resolution": "openuni.pipelines.filters.resolution:ResolutionFilter",
    "published": "openuni.pipelines.filters.published:PublishedScores",
}
"""In the order they run: those that need frames first, since decoding also tells what the container says."""

ANNOTATORS = {
    "flow-dis": "openuni.annotators.flow_dis:DisFlow",
    "depth-motion": "openuni.annotators.depth_motion:MotionDepth",
}

EXPERT_SETS: dict[str, tuple[str, ...]] = {
    "embedded": ("flow-dis", "depth-motion"),
    "none": (),
}
"""Sets of experts that `--experts` knows besides single names. embedded: no weights, any CPU."""


TIERS = {
    "fast": "openuni.benchmark.synth.shade:FastTier",
}
"""Ways to draw RGB for rendered scenes; truth is the same under all of them."""

IMPORTERS = {
    "ue": "openuni.benchmark.importers.ue:Unreal",
    "sintel": "openuni.benchmark.importers.sintel:Sintel",
    "spring": "openuni.benchmark.importers.spring:Spring",
    "tartanair": "openuni.benchmark.importers.tartanair:TartanAir",
    "kubric": "openuni.benchmark.importers.kubric:Kubric",
}
"""Readers of others' renders and datasets, for `openuni unibench import`."""


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
