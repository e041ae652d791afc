"""Readings: what one pair of frames says about one of them, and how several of them become one map."""

from itertools import combinations
from typing import NamedTuple

import numpy as np

from openuni.annotators.along_flow import Layer
from openuni.annotators.scale_graph import Link
from openuni.annotators.two_view import Triangulation

MIN_GOOD = 0.2  # share of the pixels below which a reading is not used. Prototype
MIN_LINK_PIXELS = 100  # a median of fewer ratios is not worth having. Prototype
THIN = 4  # every 4th pixel both ways for ratios and ranks: some 9,000 of 512 x 288
FLOW_NOISE_PX = 0.5  # ours: DIS is good to 0.1 to 0.3 px on rendered frames, clean and degraded (docs/annotators.md)
RELATIVE_NOISE = 0.05  # ours: what pose errors add, as a share of the value
SPECKLE_PX = 5  # ours: valid islands thinner than this at the working size are chance


class Reading(NamedTuple):
    """What one pair says about one of its frames; kept until all pairs are there, so kept small."""

    pair: int
    """Number of the pair, whose baseline is the unit."""
    inverse_depth: np.ndarray
    """(H, W) float32, 1 / the pair's baseline, NaN where it must not be used."""
    leverage_px: np.ndarray
    """(H, W) float16, see two_view.Triangulation."""


def make_reading(
    pair: int, seen: Triangulation, usable: np.ndarray, *, epipolar_px: float, min_leverage_px: float
) -> Reading | None:
    """Keep the pixels that can be trusted; None if they are less than MIN_GOOD of the frame.

    Args:
        pair: the pair's number.
        seen: its triangulation.
        usable: (H, W) bool, where the flow comes back to its start.
        epipolar_px: farther from the epipolar line, or farther behind the camera, moves by itself.
        min_leverage_px: parallax that a pixel must have if it were at the median depth. So taken, pixels near the
            epipole fall out, but far ones (sky) stay: that they do not move is what is measured.
    """
    good = usable & (seen.epipolar_px < epipolar_px)
    ahead = good & (seen.inverse_depth > 0)
    if ahead.mean() < MIN_GOOD:
        return None
    middle = np.median(seen.inverse_depth[ahead])
    good &= (seen.leverage_px * middle > min_leverage_px) & (seen.inverse_depth * seen.leverage_px > -epipolar_px)
    if good.mean() < MIN_GOOD:
        return None
    return Reading(pair, np.where(good, seen.inverse_depth, np.float32(np.nan)), seen.leverage_px.astype(np.float16))


def links(frame: list[Reading]) -> list[Link]:
    """Ratios between the readings of one frame: they measure the same, so the ratio is that of their baselines."""
    out = []
    thin = [reading.inverse_depth[::THIN, ::THIN] for reading in frame]
    for first, second in combinations(range(len(frame)), 2):
        both = (thin[first] > 0) & (thin[second] > 0)
        if both.sum() >= MIN_LINK_PIXELS:
            ratio = np.median(np.log(thin[second][both] / thin[first][both]))
            out.append(Link(frame[first].pair, frame[second].pair, float(ratio)))
    return out


def correlations(frame: list[Reading]) -> list[Link]:
    """Rank correlation (Spearman) of the inverse depths of each two readings of one frame, as links' `value`.

    Pairs with other partners have other flow errors. What they agree on is depth; where there is none to see (a flat
    scene, a camera that hardly travels, water), their maps are noise and do not agree.
    """
    thin = [reading.inverse_depth[::THIN, ::THIN] for reading in frame]
    out = []
    for first, second in combinations(range(len(frame)), 2):
        both = np.isfinite(thin[first]) & np.isfinite(thin[second])
        if both.sum() >= MIN_LINK_PIXELS:
            ranks = [np.argsort(np.argsort(thin[one][both], kind="stable")) for one in (first, second)]
            out.append(Link(frame[first].pair, frame[second].pair, float(np.corrcoef(ranks[0], ranks[1])[0, 1])))
    return out


def outvoted(found: list[Link]) -> set[int]:
    """Pairs that see near where most others see far: their median correlation is below zero.

    Seen from far away, a turning scene and its mirror image in depth move alike; a single pair may take the wrong one.
    """
    by_pair: dict[int, list[float]] = {}
    for link in found:
        by_pair.setdefault(link.a, []).append(link.value)
        by_pair.setdefault(link.b, []).append(link.value)
    return {pair for pair, values in by_pair.items() if np.median(values) < 0}


def merge(frame: list[Reading], baselines: np.ndarray, *, max_disagreement: float) -> tuple[Layer, float]:
    """Robust weighted mean of one frame's readings, in one scale.

    Args:
        frame: at least one reading.
        baselines: by pair, in the clip's unit.
        max_disagreement: a pixel is valid if its readings differ by less, as a share of the value (plus flow noise).

    Returns:
        The map (values >= 0), and the median relative disagreement of its valid pixels.
    """
    import cv2

    unit = np.array([baselines[reading.pair] for reading in frame], np.float32)[:, None, None]
    values = np.stack([reading.inverse_depth for reading in frame]) / unit
    leverage = np.stack([reading.leverage_px for reading in frame]).astype(np.float32) * unit
    present = np.isfinite(values)
    values = np.where(present, values, 0)
    middle = _median(values, present)
    soft = FLOW_NOISE_PX / np.maximum(leverage, 1e-6) + RELATIVE_NOISE * np.abs(middle)
    # Least squares weighs by 1 / variance; Cauchy's factor lets readings far from the median count little.
    weight = present * leverage**2 / (1 + ((values - middle) / soft) ** 2)
    total = np.maximum(weight.sum(0), 1e-12)
    merged = (values * weight).sum(0) / total
    off = (np.abs(values - merged) * present).sum(0) / np.maximum(present.sum(0), 1)
    noise = (FLOW_NOISE_PX * present / np.maximum(leverage, 1e-6)).sum(0) / np.maximum(present.sum(0), 1)
    valid = (present.sum(0) >= min(2, len(frame))) & (off < max_disagreement * np.abs(merged) + noise)
    valid = cv2.morphologyEx(valid.astype(np.uint8), cv2.MORPH_OPEN, np.ones((SPECKLE_PX, SPECKLE_PX), np.uint8)) > 0
    spread = float(np.median(off[valid] / np.maximum(merged[valid], 1e-6))) if valid.any() else 1.0
    return Layer(np.where(valid, np.maximum(merged, 0), 0).astype(np.float32), valid), spread


def _median(values: np.ndarray, present: np.ndarray) -> np.ndarray:
    """Median over axis 0 of the present values, the lower of two middle ones; 0 where there is none."""
    ordered = np.sort(np.where(present, values, np.inf), axis=0)
    place = np.maximum(present.sum(0) - 1, 0) // 2
    found = np.take_along_axis(ordered, place[None], 0)[0]
    return np.where(np.isfinite(found), found, 0)
