"""Presets of rules: which clips a build keeps, and which of their maps, unless the user says otherwise.

A rule here names columns of the filters in FILTERS, an acceptance rule columns of the experts and of the checks in
CHECKS; `openuni list filters` and `openuni list checks` print them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from openuni.pipelines.checks.accept import ACCEPTANCE
from openuni.table import PRESETS, load


@dataclass(frozen=True, kw_only=True)
class Preset:
    """What must be true of a clip, and of each of its maps."""

    rules: tuple[str, ...] = ()
    """For a clip to be kept."""
    accept: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Modality -> for its map to be kept. Rules over what a build does not have are left out."""


# UnityVideo, Fig. 4 and App. C.1 (arXiv 2512.07831): OCR, optical flow, aesthetics, duration, resolution. It gives
# numbers for the last three, that of aesthetics (above 80 of 100) on a scale that is not told.
PAPER = Preset(
    rules=(
        "duration.seconds >= 5",  # "at least 5 s"
        "resolution.short_side_px > 512",  # "spatial > 512 px"; that the short side is meant is our reading
        # "text/subtitles removed": VideoX-Fun's 2 % of the picture, text that stays put counted twice (ours). Of ten
        # real clips a screen recording has 0.25, a screen in the background 0.03, eight others at most 0.018.
        "text.score <= 0.02",
        # Ours: a still has 0; of ten real clips a cartoon has least, 0.25, a woman who talks at a table 0.98.
        "motion.flow_pct_per_s >= 0.2",
        # Ours, on LAION's scale of 1 to 10 that Koala-36M publishes: between NeMo Curator's 3.5 and Koala's usual 4.6.
        "missing(published.aesthetic_score) or published.aesthetic_score >= 4",
    ),
    accept=ACCEPTANCE,
)

# Ours, to leave out only what no expert and no trainer can use; all real clips at hand (2026: 9 of 480p to 1080p,
# 3 to 9 s) pass, a street scene of 5 frames does not.
BASIC = Preset(
    rules=(
        "duration.seconds >= 1",  # 16 frames at the build's 16 fps
        "duration.num_frames >= 9",  # three latents of a video codec that joins four frames (4 k + 1)
        "resolution.short_side_px >= 240",  # half the build's 480 px, and frames are never made larger
        "motion.static_fraction <= 0.5",  # no stills, no slide shows: the clips at hand have at most 0.1
        "frozen.longest_s <= 2.5",  # half of the 81 frames at 16 fps that are annotated; the clips at hand have 0
        # Fewer than about 4 new pictures a second; a cartoon on twos has 0.56, a screen recording 0.64.
        "missing(frozen.duplicate_fraction) or frozen.duplicate_fraction <= 0.85",
        "container.max_gap_s <= 0.5",  # eight frames of 16 fps missing, motion jumps; clips at hand: at most 0.2
        "luminance.contrast >= 20",  # fog, blank and black screens; real clips 158 to 235, five times darker still 32
        "luminance.flicker <= 10",  # strobes; the clips at hand have at most 1.5, a torch in the dark
        # 1.85:1 film in 16:9 covers 3.9 %, 2:1 already 11 %; nothing crops bars later, so trainers would learn them.
        "missing(borders.area_fraction) or borders.area_fraction <= 0.05",
    ),
    accept=ACCEPTANCE,
)

# For rendered clips, which are made as they should be.
NONE = Preset()


def preset(name: str) -> Preset:
    """Return the preset of a name.

    Raises:
        UnknownName: there is none of that name.
    """
    found: Preset = load("preset", PRESETS, name)
    return found
