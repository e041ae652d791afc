"""Headline metrics: of the many numbers about a modality, those that tables and comparisons show first."""

HEADLINES: dict[str, tuple[tuple[str, str], ...]] = {
    "depth": (("depth.abs_rel", "disp-ls"), ("depth.delta1", "disp-ls"), ("depth.flicker", "disp-ls"),
              ("depth.boundary_f1", "disp-ls")),
    "flow": (("flow.epe", "all"), ("flow.epe", "noc"), ("flow.epe", "occ"), ("flow.fl", "all"),
             ("flow.epe_scale_aligned", "all")),
    "segmentation": (("segmentation.miou", "clip"), ("segmentation.ap", "clip"), ("segmentation.f", "clip")),
    "skeleton": (("skeleton.pck_box", "frame"), ("skeleton.oks", "frame"), ("skeleton.ap", "frame")),
    "densepose": (("densepose.part_iou", "clip"), ("densepose.part_accuracy", "clip"), ("densepose.uv_near", "clip"),
                  ("densepose.gps", "frame")),
}  # fmt: skip
"""Modality -> (metric, protocol), the first one is what clips are ranked by."""

FLOOR = "-floor"
"""Suffix of a headline's protocol: what the truth scores in the form of the answer, benchmark/floor.py."""
VBENCH, VBENCH_CLIPS = "vbench", "vbench-clips"
"""The suites of VBench's dimensions: of text, and of controlled and joint generation. Their metrics have a prefix:
vbench.dynamic_degree, as others depth.abs_rel."""
VBENCH_SUITES = (VBENCH, VBENCH_CLIPS)


GENERATION = "unibench-gen"
BESIDE = {
    "control": ("shuffled", "original"),
    "expert": ("", ""),
    "same-model": ("same-model-shuffled", ""),
    "outside": ("", "original"),
}
"""Protocol of a generated clip's numbers -> those of its shuffled control and of the original clip, where there are."""


def is_headline(suite: str, metric: str, protocol: str) -> bool:
    """Say whether a record is of a headline metric; all of VBench's are, and of generations all but the controls."""
    if suite == GENERATION:
        return protocol in BESIDE
    return suite in VBENCH_SUITES or (metric, protocol) in HEADLINES.get(metric.partition(".")[0], ())
