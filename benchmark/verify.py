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
from openuni.benchmark.judge import OWN_VALID, Scored, judge
from openuni.benchmark.synth.render import maps_of
from openuni.benchmark.synth.truth import Truth
from openuni.errors import BadInput
from openuni.modality import Map, codec
from openuni.table import METRICS, MODALITIES, load

ROUNDING = 1e-4
"""What float32 leaves of a perfect score: 1e-7 of a value, more after a fit; metres of RMSE at 70 m are the largest."""
INEXACT = {"densepose.uv_error": 0.5 / 255 * 2**0.5}
"""Metrics that the truth itself cannot make perfect: U and V of a map are in 8 bits (openuni/modality.py)."""
UNSETTLED = {"monst3r": 0.03}
"""Protocols whose fit never comes to rest: Adam's steps of 1e-4, two of them at 70 m and twice for the shift."""
FLOORS = {
    "depth.abs_rel": 5e-3,  # 12 bits of disparity: z (hi - lo) / 8190, openuni/codec/depth.py
    "flow.epe": 2**0.5 / 32,  # steps of 1/16 px
    "segmentation.miou": 0.0,
    "skeleton.pck_box": 0.0,
    "densepose.part_iou": 0.0,
}
"""Headline metric -> how far from perfect the stored truth may be."""
BAD = {
    ("depth.delta1", "disp-ls"): 0.9,  # aligned to each scene, so even another one's ground plane fits in part
    ("depth.boundary_f1", "disp-ls"): 0.3,
    ("segmentation.miou", "clip"): 0.5,
    ("segmentation.class_miou", "clip"): 0.5,
    ("segmentation.ap", "clip"): 0.3,
    ("skeleton.oks", "frame"): 0.5,  # not pck_box: two people who stand alike have 0.7
    ("skeleton.pck10_box", "frame"): 0.5,
    ("densepose.part_iou", "clip"): 0.5,
    ("densepose.gps", "frame"): 0.5,
    ("densepose.gps_ap", "frame"): 0.3,
}
"""Metric and protocol -> what the truth of another scene must stay below, mean over scenes."""
SCALED_FLOW = "flow.epe_scale_aligned"
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
    wrong = [(off, one) for off, one in found if off > _allowed(one)]
    if wrong:
        _, one = max(wrong, key=lambda pair: pair[0])
        told = f"{len(wrong)} of {len(found)} numbers are not perfect, as {one.metric} {one.protocol} = {one.value:.4g}"
        return Check(modality, "truth", False, told)
    off, one = max(found, key=lambda pair: pair[0])
    largest = f"largest error {off:.1e}, {one.metric} {one.protocol}" if off else "exactly"
    return Check(modality, "truth", True, f"{len(found)} numbers of {len(cases)} scenes perfect ({largest})")


def _allowed(score: Scored) -> float:
    return UNSETTLED.get(score.protocol.removesuffix(OWN_VALID), INEXACT.get(score.metric, ROUNDING))


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
        scaled = float(np.mean([case.value(map, SCALED_FLOW, "all") for case, map in zip(cases, others, strict=True)]))
        passed = error > BAD_FLOW * length and scaled > BAD_FLOW * length
        return Check(modality, "shuffled", passed, f"{told}; at the best scale {scaled:.3g} px")
    found = {}
    scores = [{one[:2]: one.value for one in case.scores(map)} for case, map in zip(cases, others, strict=True)]
    for pair in (pair for pair in BAD if pair[0].startswith(modality)):
        values = [value for one in scores if (value := one.get(pair)) is not None]
        if values:  # imported masks have no classes
            found[pair] = float(np.mean(values))
    bad = [pair for pair, mean in found.items() if not mean < BAD[pair]]
    told = ", ".join(f"{pair[0]} {found[pair]:.3g}" for pair in bad or found)
    must = f", must be below {', '.join(str(BAD[pair]) for pair in bad)}" if bad else ""
    return Check(modality, "shuffled", not bad and bool(found), f"another scene's truth: {told}{must}")


def _depth(cases: Sequence[_Case]) -> Iterator[Check]:
    for name in ("constant", "inverted"):
        scores = [case.scores(_wrong_depth(case, name)) for case in cases]
        flagged = sum(any(name in one.flags for one in found if one.protocol == "disp-ls") for found in scores)
        told = f"{flagged} of {len(cases)} scenes flagged {name}"
        passed = flagged == len(cases)
        if name == "constant":
            found = [one.value for scene in scores for one in scene if one[:2] == ("depth.boundary_f1", "disp-ls")]
            edges = any(value is not None and value > 0 for value in found)
            passed &= not edges
            told += ", with edges where there are none" if edges else ", without edges"
        yield Check("depth", name, passed, told)


def _wrong_depth(case: _Case, how: str) -> Map:
    """Disparity that says nothing, or that is larger where it is farther."""
    true = case.truth.depth
    known = np.isfinite(true)
    data = np.where(known, true, true[known].max() if known.any() else 1) if how == "inverted" else np.ones_like(true)
    return Map(data=data.astype(np.float32), valid=np.ones(true.shape, bool), facts={"kind": "relative_disparity"})


def _flow(cases: Sequence[_Case]) -> Iterator[Check]:
    for name, factor, times in (("constant", 0.0, 1), ("inverted", -1.0, 2)):
        changed = [_with(case.map, case.map.data * np.float32(factor)) for case in cases]
        found = [case.value(map, "flow.epe", "all") for case, map in zip(cases, changed, strict=True)]
        wanted = [times * _length(case.truth) for case in cases]
        told = f"flow times {factor:.0f}: flow.epe {np.mean(found):.4g} px, by hand {np.mean(wanted):.4g} px"
        # No scale from 0 on makes either better than no flow at all.
        scaled = [case.value(map, SCALED_FLOW, "all") for case, map in zip(cases, changed, strict=True)]
        still = [_length(case.truth) for case in cases]
        passed = np.allclose(found, wanted, rtol=ROUNDING) and np.allclose(scaled, still, rtol=ROUNDING)
        yield Check("flow", name, bool(passed), f"{told}; at the best scale {np.mean(scaled):.4g} px")


def _segmentation(cases: Sequence[_Case]) -> Iterator[Check]:
    metrics = {name: "clip" for name in ("segmentation.miou", "segmentation.ap", "segmentation.class_miou")}
    empty = [_with(case.map, np.zeros_like(case.map.data)) for case in cases]
    yield _zero("constant", metrics, cases, empty, "no mask at all")
    # Background as the only instance: no pixel of it is of a true one.
    swapped = [_with(case.map, (case.map.data == 0).astype(case.map.data.dtype)) for case in cases]
    yield _zero("inverted", metrics, cases, swapped, "instances and background swapped")


def _skeleton(cases: Sequence[_Case]) -> Iterator[Check]:
    metrics = {name: "frame" for name in ("skeleton.pck_box", "skeleton.pck10_box", "skeleton.pck10_torso")}
    still = [_with(case.map, np.zeros_like(case.map.data)) for case in cases]
    yield _zero("constant", metrics, cases, still, "every joint in the corner, unsure")
    turn, away = np.array([-1, -1, 1], np.float32), np.array([1e3, 1e3, 0], np.float32)
    corner = [case.map.data * turn - away for case in cases]
    turned = [_with(case.map, data) for case, data in zip(cases, corner, strict=True)]
    yield _zero("inverted", metrics, cases, turned, "every joint on the other side of the picture")


def _densepose(cases: Sequence[_Case]) -> Iterator[Check]:
    parts, points = {"densepose.part_iou": "clip"}, {"densepose.gps": "frame", "densepose.gps_ap": "frame"}
    empty = [_with(case.map, np.zeros_like(case.map.data)) for case in cases]
    yield _zero("constant", parts | points, cases, empty, "no person at all")
    # 1..24 become 24..1, so that no pixel keeps its part. Points of neighbouring parts are still near each other.
    turned = [_with(case.map, np.where(case.map.data > 0, 25 - case.map.data, 0).astype(np.uint8)) for case in cases]
    far = {name: BAD[name, protocol] for name, protocol in points.items()}
    yield _zero("inverted", parts | points, cases, turned, "parts in reverse order", most=far)


def _zero(
    name: str,
    metrics: Mapping[str, str],
    cases: Sequence[_Case],
    maps: Sequence[Map],
    what: str,
    *,
    most: Mapping[str, float] | None = None,
) -> Check:
    """Every metric, under its protocol, is 0 or at most what `most` allows, in all scenes that have it."""
    highest: dict[str, float] = {}
    for case, map in zip(cases, maps, strict=True):
        values = {one[:2]: one.value for one in case.scores(map)}
        for pair in metrics.items():
            if (value := values.get(pair)) is not None:
                highest[pair[0]] = max(value, highest.get(pair[0], 0.0))
    passed = next(iter(metrics)) in highest and all(
        value <= (most or {}).get(metric, 0.0) for metric, value in highest.items()
    )
    told = ", ".join(f"{metric} {value:.3g}" for metric, value in highest.items())
    must = ", ".join(f"below {value} for {metric}" for metric, value in (most or {}).items())
    return Check(cases[0].modality, name, passed, f"{what}: {told}, must be 0{', ' + must if must else ''}")


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
