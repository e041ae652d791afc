"""Presets of rules: which clips a build keeps unless the user says otherwise with --rule.

A rule here names columns of the filters in FILTERS; `openuni list filters` prints them.
"""

from openuni.errors import UnknownName

PRESETS: dict[str, tuple[str, ...]] = {
    # UnityVideo, Fig. 4 and App. C.1 (arXiv 2512.07831). Not here, though the paper names them: aesthetics above
    # 80 of 100 (its scale and scorer are not given; Koala-36M publishes LAION's 1 to 10), no text found by OCR
    # (no filter of ours reads text), and optical flow (named without a threshold).
    "paper": (
        "duration.seconds >= 5",  # "at least 5 s"
        "resolution.short_side_px > 512",  # "spatial > 512 px"; that the short side is meant is our reading
    ),
    # Ours, to leave out only what no expert and no trainer can use; all real clips at hand (2026: 9 of 480p to 1080p,
    # 3 to 9 s) pass, a street scene of 5 frames does not.
    "basic": (
        "duration.seconds >= 1",  # 16 frames at the build's 16 fps
        "duration.num_frames >= 9",  # three latents of a video codec that joins four frames (4 k + 1)
        "resolution.short_side_px >= 240",  # half the build's 480 px, and frames are never made larger
        "motion.static_fraction <= 0.5",  # no stills, no slide shows: the clips at hand have at most 0.1
    ),
    # For rendered clips, which are made as they should be.
    "none": (),
}
"""Name -> rules, all of which must be true."""


def rules_of(preset: str) -> tuple[str, ...]:
    """Return the rules of a preset.

    Raises:
        UnknownName: there is none of that name.
    """
    if preset not in PRESETS:
        raise UnknownName("preset", preset, PRESETS)
    return PRESETS[preset]
