"""Verify: the judge judged. What its numbers must be for answers whose worth is known, on a few scenes.

For each modality:

    truth       scored as its own prediction is perfect in every metric under every protocol
    storage     the truth as a build stores it loses no more than storage is known to lose (FLOORS)
    shuffled    the truth of another scene is bad: what a mistake in pairing clips would look like
    constant    an answer that says nothing gets the number that can be worked out by hand, and depth is flagged
    inverted    so does an answer turned round: depth is flagged, flow errs by twice its length, masks are swapped

A modality that fewer than two scenes have (imported ones without people) is not checked, and its line says so.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from openuni.benchmark.headline import HEADLINES
from openuni.benchmark.judge import Scored, judge
from openuni.benchmark.synth.render import maps_of
from openuni.benchmark.synth.truth import Truth
from openuni.errors import BadInput
from openuni.modality import Map, codec
from openuni.table import METRICS, MODALITIES, load

ROUNDING = 1e-4
"""What float32 leaves of a perfect score: 1e-7 of a value, more after a fit; metres of RMSE at 70 m are the largest."""
INEXACT = {"densepose.uv_error": 0.5 / 255 * 2**0.5}
"""Metrics that the truth itself cannot make perfect: U and V of a map are in 8 bits (openuni/modality.py)."""
FLOORS = {
    "depth.abs_rel": 5e-3,  # 12 bits of disparity: z (hi - lo) / 8190, openuni/codec/depth.py
    "flow.epe": 2**0.5 / 32,  # steps of 1/16 px
    "segmentation.miou": 0.0,
    "skeleton.pck_box": 0.0,
    "densepose.part_iou": 0.0,
}
"""Headline metric -> how far from perfect the stored truth may be."""
BAD = {
    "depth.delta1": 0.9,  # aligned to each scene, so even another one's ground plane fits in part
    "segmentation.miou": 0.5,
    "skeleton.oks": 0.5,  # not pck_box: two people who stand alike have 0.7
    "densepose.part_iou": 0.5,
}
"""Metric -> what the truth of another scene must stay below, mean over scenes."""
BAD_FLOW = 0.5
"""Of the mean length of the true flow, which is the error of no flow at all: what another scene's must exceed."""


class Check(NamedTuple):
    """One check."""

    modality: str
    name: str
    passed: bool | None
    """None: not checked."""
    told: str
    """What was found."""


def verify(truths: Sequence[Truth], judged: Callable[[str, Map, Truth], list[Scored]] = judge) -> Iterator[Check]:
    """Check the judge.

    Args:
        truths: of at least two scenes of one size, with people in two of them if skeletons are to be checked.
        judged: the judge; tests hand in broken ones.

    Raises:
        BadInput: fewer than two scenes, or of different sizes.
    """
    if len(truths) < 2:
        raise BadInput(f"Verification needs at least 2 scenes, got {len(truths)}: truth is shuffled between them.")
    if len({truth.size for truth in truths}) > 1:
        raise BadInput("Verification needs scenes of one size, so that their truths can be shuffled.")
    maps = [maps_of(truth) for truth in truths]
    for modality in MODALITIES:
        having = [place for place, found in enumerate(maps) if modality in found]
        mine = [_Case(judged, modality, maps[place][modality], truths[place]) for place in having]
        # Scenes without people have nothing to confuse.
        mine = [case for case in mine if _headline(case.scores(case.map)) is not None]
        if len(mine) < 2:
            yield Check(modality, "truth", None, f"not checked: {len(mine)} scenes have it, 2 are needed")
            continue
        yield _truth(modality, mine)
        yield _storage(modality, mine)
        yield _shuffled(modality, mine)
        yield from WORKED_OUT[modality](mine)


class _Case(NamedTuple):
    """One scene."""

    judged: Callable[[str, Map, Truth], list[Scored]]
    modality: str
    map: Map
    truth: Truth

    def scores(self, map: Map) -> list[Scored]:
        return self.judged(self.modality, map, self.truth)

    def value(self, map: Map, metric: str, protocol: str) -> float:
        """A metric's value; NaN where it is undefined."""
        found = [one.value for one in self.scores(map) if (one.metric, one.protocol) == (metric, protocol)]
        return float("nan") if not found or found[0] is None else found[0]


def _headline(scores: Sequence[Scored]) -> float | None:
    for one in scores:
        if (one.metric, one.protocol) == HEADLINES[one.metric.partition(".")[0]][0]:
            return one.value
    return None


def _off(score: Scored) -> float | None:
    """How far a value is from perfect; None where there is none, or no way is better."""
    if score.value is None or score.metric not in METRICS:
        return None
    metric = load("metric", METRICS, score.metric)
    perfect = (100.0 if metric.unit == "%" else 1.0) if metric.higher_is_better else 0.0
    return abs(score.value - perfect)


def _truth(modality: str, cases: Sequence[_Case]) -> Check:
    found = [(off, one) for case in cases for one in case.scores(case.map) if (off := _off(one)) is not None]
    wrong = [(off, one) for off, one in found if off > INEXACT.get(one.metric, ROUNDING)]
    if wrong:
        _, one = max(wrong, key=lambda pair: pair[0])
        told = f"{len(wrong)} of {len(found)} numbers are not perfect, as {one.metric} {one.protocol} = {one.value:.4g}"
        return Check(modality, "truth", False, told)
    off, one = max(found, key=lambda pair: pair[0])
    largest = f"largest error {off:.1e}, {one.metric} {one.protocol}" if off else "exactly"
    return Check(modality, "truth", True, f"{len(found)} numbers of {len(cases)} scenes perfect ({largest})")


def _storage(modality: str, cases: Sequence[_Case]) -> Check:
    metric, protocol = HEADLINES[modality][0]
    values = [case.value(codec(modality).stored(case.map), metric, protocol) for case in cases]
    higher = load("metric", METRICS, metric).higher_is_better
    off = float(np.max(np.abs(np.array(values) - float(higher))))
    return Check(
        modality, "storage", bool(off <= FLOORS[metric] + ROUNDING), f"stored truth: {metric} off by {off:.2g}"
    )


def _shuffled(modality: str, cases: Sequence[_Case]) -> Check:
    others = [other.map for other in [*cases[1:], cases[0]]]
    if modality == "flow":
        errors = [case.value(map, "flow.epe", "all") for case, map in zip(cases, others, strict=True)]
        error, length = float(np.mean(errors)), float(np.mean([_length(case.truth) for case in cases]))
        told = f"another scene's truth: flow.epe {error:.3g} px, no flow {length:.3g} px"
        return Check(modality, "shuffled", error > BAD_FLOW * length, told)
    metric = next(name for name in BAD if name.startswith(modality))
    protocol = dict(HEADLINES[modality])[metric]
    mean = float(np.mean([case.value(map, metric, protocol) for case, map in zip(cases, others, strict=True)]))
    told = f"another scene's truth: {metric} {mean:.3g}, must be below {BAD[metric]}"
    return Check(modality, "shuffled", mean < BAD[metric], told)


def _depth(cases: Sequence[_Case]) -> Iterator[Check]:
    for name, flag in (("constant", "constant"), ("inverted", "inverted")):
        flagged = sum(
            any(flag in one.flags for one in case.scores(_wrong_depth(case, name)) if one.protocol == "disp-ls")
            for case in cases
        )
        yield Check("depth", name, flagged == len(cases), f"{flagged} of {len(cases)} scenes flagged {flag}")


def _wrong_depth(case: _Case, how: str) -> Map:
    """Disparity that says nothing, or that is larger where it is farther."""
    true = case.truth.depth
    known = np.isfinite(true)
    data = np.where(known, true, true[known].max() if known.any() else 1) if how == "inverted" else np.ones_like(true)
    return Map(data=data.astype(np.float32), valid=np.ones(true.shape, bool), facts={"kind": "relative_disparity"})


def _flow(cases: Sequence[_Case]) -> Iterator[Check]:
    for name, factor, times in (("constant", 0.0, 1), ("inverted", -1.0, 2)):
        found = [case.value(_with(case.map, case.map.data * np.float32(factor)), "flow.epe", "all") for case in cases]
        wanted = [times * _length(case.truth) for case in cases]
        told = f"flow times {factor:.0f}: flow.epe {np.mean(found):.4g} px, by hand {np.mean(wanted):.4g} px"
        yield Check("flow", name, bool(np.allclose(found, wanted, rtol=ROUNDING)), told)


def _segmentation(cases: Sequence[_Case]) -> Iterator[Check]:
    empty = [_with(case.map, np.zeros_like(case.map.data)) for case in cases]
    yield _zero("constant", "segmentation.miou", "clip", cases, empty, "no mask at all")
    # Background as the only instance: no pixel of it is of a true one.
    swapped = [_with(case.map, (case.map.data == 0).astype(case.map.data.dtype)) for case in cases]
    yield _zero("inverted", "segmentation.miou", "clip", cases, swapped, "instances and background swapped")


def _skeleton(cases: Sequence[_Case]) -> Iterator[Check]:
    still = [_with(case.map, np.zeros_like(case.map.data)) for case in cases]
    yield _zero("constant", "skeleton.pck_box", "frame", cases, still, "every joint in the corner, unsure")
    turn, away = np.array([-1, -1, 1], np.float32), np.array([1e3, 1e3, 0], np.float32)
    corner = [case.map.data * turn - away for case in cases]
    turned = [_with(case.map, data) for case, data in zip(cases, corner, strict=True)]
    yield _zero("inverted", "skeleton.pck_box", "frame", cases, turned, "every joint on the other side of the picture")


def _densepose(cases: Sequence[_Case]) -> Iterator[Check]:
    empty = [_with(case.map, np.zeros_like(case.map.data)) for case in cases]
    yield _zero("constant", "densepose.part_iou", "clip", cases, empty, "no person at all")
    # 1..24 become 24..1, so that no pixel keeps its part.
    turned = [_with(case.map, np.where(case.map.data > 0, 25 - case.map.data, 0).astype(np.uint8)) for case in cases]
    yield _zero("inverted", "densepose.part_iou", "clip", cases, turned, "parts in reverse order")


def _zero(name: str, metric: str, protocol: str, cases: Sequence[_Case], maps: Sequence[Map], what: str) -> Check:
    highest = max(case.value(map, metric, protocol) for case, map in zip(cases, maps, strict=True))
    return Check(cases[0].modality, name, highest == 0, f"{what}: {metric} {highest:.3g}, must be 0")


def _with(map: Map, data: np.ndarray) -> Map:
    return Map(data=data, valid=map.valid, arrays=map.arrays, facts=map.facts)


def _length(truth: Truth) -> float:
    """Mean length of the true flow over the pixels that are scored, px."""
    clear = ~truth.refractive if truth.has("refractive") else np.ones(truth.size, bool)
    return float(np.linalg.norm(truth.flow[truth.flow_valid & clear], axis=-1).mean())


WORKED_OUT: Mapping[str, Callable[[Sequence[_Case]], Iterator[Check]]] = {
    "depth": _depth,
    "flow": _flow,
    "densepose": _densepose,
    "skeleton": _skeleton,
    "segmentation": _segmentation,
}
"""Modality -> its checks `constant` and `inverted`."""
