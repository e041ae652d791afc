"""Verify: each expert runs on one rendered clip, and its map must be far better than one that says nothing.

This finds what goes wrong in loading real weights: tensors that were not loaded, a wrong scale or sign of flow, depth
read as disparity, frames in the wrong order. It does not find red and blue exchanged, to which these networks hardly
react; tests compare pictures with the libraries' own preparation for that.
"""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np

from openuni.benchmark.annotator_bench import AnnotatorBenchConfig, bench_annotators
from openuni.benchmark.judge import judge
from openuni.benchmark.synth.files import clip_names, read_truth
from openuni.benchmark.synth.job import RenderConfig, render_run
from openuni.benchmark.synth.truth import Truth
from openuni.engine.local import LocalEngine
from openuni.engine.monitor import Breaker
from openuni.errors import OpenUniError
from openuni.modality import Map
from openuni.table import ANNOTATORS, load

FAMILY, SEED, SIDE_PX, FRAMES = "one_person", 17, 192, 8
"""Ours: a person who walks before things, seen large enough for RAFT's least size; 2 to 4 s to render on a core."""


class Bound(NamedTuple):
    """What a result must reach."""

    metric: str
    protocol: str
    at_most: float | None = None
    """As a share of the error of a map that says nothing: constant depth, no motion."""
    at_least: float | None = None
    """As the metric's value; a map that says nothing has 0."""


BOUNDS = {
    "depth": Bound("depth.abs_rel", "disp-ls", at_most=0.7),
    "flow": Bound("flow.epe", "all", at_most=0.6),
    # Over the clip's instances: masks of everything, floor and walls too, and masks of persons alone (at most 0.25
    # here) must pass; one mask over all of the picture has 0.02.
    "segmentation": Bound("segmentation.miou", "clip", at_least=0.15),
    "skeleton": Bound("skeleton.pck_box", "frame", at_least=0.5),
    "densepose": Bound("densepose.person_iou", "clip", at_least=0.3),
}
"""Ours, chosen before any expert was run on it: embedded flow has 0.2 to 0.3 of the error of no motion here, and random
networks around 1 and more. Real experts should pass with much to spare; the first run with weights will tell."""


class Verified(NamedTuple):
    """One expert's verdict."""

    expert: str
    modality: str
    ok: bool
    metric: str
    value: float | None
    bound: float | None
    said: str
    """What went wrong, one line; empty if nothing did."""


def verify(names: Sequence[str], weights: str | None = None) -> list[Verified]:
    """Run and judge experts.

    Args:
        names: names in ANNOTATORS.
        weights: the folder of --weights.
    """
    with TemporaryDirectory(prefix="openuni-verify-") as folder:
        data = Path(folder, "rendered")
        truth = rendered_truth(data)
        return [_verify(name, data, Path(folder, name), truth, weights) for name in names]


def rendered_truth(data: Path) -> Truth:
    """Render the clip that experts are verified on into a folder, and return its truth."""
    config = RenderConfig(
        out=data, clips=1, seed=SEED, families=(FAMILY,), height=SIDE_PX, width=SIDE_PX, num_frames=FRAMES
    )
    render_run(config, LocalEngine(0), quiet=True)
    return read_truth(data / "clips" / clip_names(data)[0])


def _verify(name: str, data: Path, out: Path, truth: Truth, weights: str | None) -> Verified:
    modality = str(load("expert", ANNOTATORS, name).modality)
    wanted = BOUNDS[modality]
    bound = bound_of(modality, truth)
    config = AnnotatorBenchConfig(annotators=((modality, name),), data=data, out=out, weights=weights)
    try:
        benched = bench_annotators(config, LocalEngine(0), breaker=Breaker(1.0), quiet=True)
    except OpenUniError as error:
        return Verified(name, modality, False, wanted.metric, None, bound, str(error))
    found = [one for one in benched.records if (one.metric, one.protocol) == (wanted.metric, wanted.protocol)]
    value = found[0].value if found else None
    if value is None:
        why = ", ".join(benched.statuses[modality, name])
        return Verified(name, modality, False, wanted.metric, None, bound, f"no result: {why}")
    good = value <= bound if wanted.at_most is not None else value >= bound
    said = "" if good else f"{wanted.metric} is {value:.3g}, expected {'<=' if wanted.at_most else '>='} {bound:.3g}"
    return Verified(name, modality, good, wanted.metric, value, bound, said)


def bound_of(modality: str, truth: Truth) -> float:
    """Return the value that a result must reach on this clip: the error's most, or the score's least."""
    wanted = BOUNDS[modality]
    if wanted.at_most is None:
        assert wanted.at_least is not None
        return wanted.at_least
    return wanted.at_most * _trivial_error(modality, wanted, truth)


def _trivial_error(modality: str, wanted: Bound, truth: Truth) -> float:
    valid = np.ones(truth.size, bool)
    if modality == "depth":
        trivial = Map(data=np.ones(truth.size, np.float32), valid=valid, facts={"kind": "relative_disparity"})
    else:
        trivial = Map(data=np.zeros((*truth.size, 2), np.float32), valid=valid)
    scored = judge(modality, trivial, truth)
    return next(one.value for one in scored if (one.metric, one.protocol) == (wanted.metric, wanted.protocol)) or 0.0
