"""Dimensions: VBench's sixteen with the ranges and weights of its scores, and the eight that are computed here."""

from dataclasses import dataclass

PREFIX = "vbench."
PROTOCOL = "vbench"
"""Of records: numbers of VBench's own formulas, never mixed with those of protocol `plain`."""


@dataclass(frozen=True, kw_only=True)
class Dimension:
    """One dimension, with what VBench's final score makes of it."""

    low: float = 0.0
    """Value that becomes 0 in the normalised scores. Lower ones become negative: nothing is cut off."""
    high: float = 1.0
    """Value that becomes 1."""
    weight: float = 1.0
    quality: bool = False
    """Part of the quality score; the others are of the semantic score."""
    feature: str = ""
    """Key of FEATURES in scorer.py; empty: not computed here, but read from VBench's results files."""
    by_pairs: bool = False
    """Over a suite VBench averages over pairs of frames, so that long clips count more; else over clips."""

    def normalised(self, value: float) -> float:
        """Return a raw value in the range of the final scores, before its weight."""
        return (value - self.low) / (self.high - self.low)


DIMENSIONS: dict[str, Dimension] = {
    "subject_consistency": Dimension(low=0.1462, quality=True, feature="dino", by_pairs=True),
    "background_consistency": Dimension(low=0.2615, quality=True, feature="clip", by_pairs=True),
    "temporal_flickering": Dimension(low=0.6293, quality=True, feature="differences"),
    "motion_smoothness": Dimension(low=0.706, high=0.9975, quality=True, feature="amt"),
    "dynamic_degree": Dimension(weight=0.5, quality=True, feature="raft"),
    "aesthetic_quality": Dimension(quality=True, feature="aesthetic"),
    "imaging_quality": Dimension(quality=True, feature="musiq"),
    "overall_consistency": Dimension(high=0.364, feature="viclip"),
    "object_class": Dimension(),
    "multiple_objects": Dimension(),
    "human_action": Dimension(),
    "color": Dimension(),
    "spatial_relationship": Dimension(),
    "scene": Dimension(high=0.8222),
    "appearance_style": Dimension(low=0.0009, high=0.2855),
    "temporal_style": Dimension(high=0.364),
}
"""Ranges and weights: scripts/constant.py of VBench 45e79ec."""

COMPUTED = tuple(name for name, one in DIMENSIONS.items() if one.feature)
QUALITY_WEIGHT, SEMANTIC_WEIGHT = 4.0, 1.0
"""Of the two scores in the total."""
