"""Alignments of depth: what an estimate without a scale is given of the truth before it is scored.

A number without its alignment means nothing: one estimate's AbsRel goes from 0.013 to 0.17 with it. One alignment is
fitted to a whole clip, over valid pixels of all frames, never frame by frame.

    disp-ls    scale and shift of disparity by least squares, DepthCrafter's protocol (arXiv 2409.02095,
               benchmark/eval; Video Depth Anything uses the same): s P + t ~ 1 / G, clipped to >= 1e-3, inverted,
               clipped to max depth. Theirs also clips P to >= 1e-3 before the fit, which changes next to nothing for
               their outputs in 0..1 and would make the result depend on the estimate's unit; left out here.
    depth-ls   scale and shift of depth by least squares ("scale&shiftl2" of MonST3R's depth_evaluation).
    depth-lad  scale and shift of depth by least absolute deviations: the exact minimum of what MonST3R, CUT3R, Geo4D
               and Aether approach with Adam steps ("scale&shift"), whose result depends on unit and step count.
    scale      a scale of depth by least absolute deviations: the exact minimum of the ten Weiszfeld steps of the same
               code ("scale"), which Aether's own evaluation uses.
    median     a scale of depth: median(G) / median(P), the same code's default.
    none       nothing; only for estimates in metres.
    monst3r    for comparison with published numbers alone: the Adam steps themselves, see `adam_steps`. Its result
               depends on the unit, here metres: scale and shift can move by about 0.1 each.

The estimate is taken in the space an alignment works in: disparity is 1 / depth and the other way round; disparity
<= 0 is infinitely far, that is max depth.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from openuni.benchmark.metrics.convex import minimum

MIN_DEPTH_M = 1e-3  # DepthCrafter
MAX_DEPTH_M = 70.0  # DepthCrafter and MonST3R for Sintel, the synthetic set nearest to ours
MIN_DISPARITY = 1e-3  # DepthCrafter
LAD_PIXELS = 200_000  # ours: of a clip's millions, evenly spread; changes scale by less than 1e-3 of its value
ADAM_RATE, ADAM_STEPS, ADAM_ENOUGH = 1e-4, 1000, 1e-6  # MonST3R, depth_eval.py: absolute_value_scaling2
ADAM_PIXELS = 50_000  # ours: as LAD_PIXELS; Adam does not care for the size of the sum


class Fit(NamedTuple):
    """What was fitted: aligned = scale x + shift."""

    scale: float
    shift: float = 0.0


class Aligned(NamedTuple):
    """An estimate that can be compared with the truth."""

    depth: np.ndarray
    """(T, H, W) float32 metres, within MIN_DEPTH_M..max depth where `valid`."""
    valid: np.ndarray
    """(T, H, W) bool: valid for the truth, and a number in the estimate."""
    fit: Fit
    flags: tuple[str, ...]
    """constant: the estimate says nothing; inverted: it is best turned upside down; unusable:N pixels are no number."""


@dataclass(frozen=True, kw_only=True)
class Alignment:
    """One row of ALIGNMENTS."""

    name: str
    space: str
    """disparity or depth: where the fit is made."""
    pooled: bool
    """How its source averages metrics: over all pixels of the clip, else frame by frame."""
    fit: Callable[[np.ndarray, np.ndarray], Fit]
    """(N,) estimate and (N,) truth in that space, float64 -> the fit."""
    metric_only: bool = False


def depth_mask(true: np.ndarray, valid: np.ndarray | None = None, *, max_depth_m: float = MAX_DEPTH_M) -> np.ndarray:
    """Return which pixels are scored: 1e-3 < depth < max, valid, not sky.

    Args:
        true: (T, H, W) float metres; +inf is sky, which no protocol scores.
        valid: (T, H, W) bool, pixels that may be scored; None: all.
        max_depth_m: farther pixels are left out, and aligned estimates are clipped to it.
    """
    mask = (true > MIN_DEPTH_M) & (true < max_depth_m)
    return mask if valid is None else mask & valid


def align(
    name: str,
    predicted: np.ndarray,
    kind: str,
    true: np.ndarray,
    valid: np.ndarray,
    *,
    max_depth_m: float = MAX_DEPTH_M,
) -> Aligned | None:
    """Align an estimate with the truth of its clip.

    Args:
        name: a key of ALIGNMENTS.
        predicted: (T, H, W) float, what `kind` says.
        kind: relative_disparity (larger is nearer) or metric_depth (metres).
        true: (T, H, W) float metres.
        valid: (T, H, W) bool, see `depth_mask`.
        max_depth_m: aligned depth is clipped to it.

    Returns:
        None where the alignment has no meaning: "none" of an estimate without a scale, or no pixel to fit.

    Raises:
        ValueError: shapes differ, or an unknown name or kind.
    """
    if name not in ALIGNMENTS or kind not in ("relative_disparity", "metric_depth"):
        raise ValueError(f"unknown alignment {name!r} (known: {', '.join(ALIGNMENTS)}) or kind {kind!r}")
    if predicted.shape != true.shape or valid.shape != true.shape:
        raise ValueError(f"shapes differ: predicted {predicted.shape}, true {true.shape}, valid {valid.shape}")
    alignment = ALIGNMENTS[name]
    values = _in_space(predicted, kind, alignment.space)
    usable = valid & ~np.isnan(values)
    fitted = usable & np.isfinite(values)
    if not fitted.any() or (alignment.metric_only and kind != "metric_depth"):
        return None
    x, g = values[fitted].astype(np.float64), true[fitted].astype(np.float64)
    fit = alignment.fit(x, 1 / g if alignment.space == "disparity" else g)
    flags = []
    if fit.scale < 0:
        flags.append("inverted")
    if np.ptp(x) == 0:
        flags.append("constant")
    if unusable := int(valid.sum() - usable.sum()):
        flags.append(f"unusable:{unusable}")
    return Aligned(_apply(values, fit, alignment.space, max_depth_m), usable, fit, tuple(flags))


def least_squares(x: np.ndarray, y: np.ndarray) -> Fit:
    """Scale and shift that minimise sum (s x + t - y)^2. A constant x gets scale 0 and the mean of y."""
    mean_x, mean_y = x.mean(), y.mean()
    spread = ((x - mean_x) ** 2).sum()
    scale = float(((x - mean_x) * (y - mean_y)).sum() / spread) if spread > 0 else 0.0
    return Fit(scale, float(mean_y - scale * mean_x))


def least_absolute(x: np.ndarray, y: np.ndarray) -> Fit:
    """Scale and shift that minimise sum |s x + t - y|.

    For a given scale the best shift is the median of y - s x, and what is left is convex in s: golden section.
    """
    x, y = _thin(x, LAD_PIXELS), _thin(y, LAD_PIXELS)
    centre = np.median(x)
    x = x - centre  # so that changing the scale hardly changes the shift

    def cost(scale: float) -> float:
        rest = y - scale * x
        return float(np.abs(rest - np.median(rest)).sum())

    start = least_squares(x, y).scale
    width = abs(start) or 1.0
    while cost(start - width) < cost(start) or cost(start + width) < cost(start):
        width *= 2
        if not np.isfinite(width):
            break
    scale = minimum(cost, start - width, start + width)
    return Fit(scale, float(np.median(y - scale * x) - scale * centre))


def least_absolute_scale(x: np.ndarray, y: np.ndarray) -> Fit:
    """Scale that minimises sum |s x - y|: the median of y / x weighted by x. x > 0."""
    ratios = y / x
    order = np.argsort(ratios, kind="stable")
    weight = np.cumsum(x[order])
    return Fit(float(ratios[order[np.searchsorted(weight, weight[-1] / 2)]]))


def median_scale(x: np.ndarray, y: np.ndarray) -> Fit:
    """Scale median(y) / median(x). x > 0."""
    return Fit(float(np.median(y) / np.median(x)))


def adam_steps(x: np.ndarray, y: np.ndarray) -> Fit:
    """Scale and shift after at most 1,000 steps of Adam on sum |s x + t - y|, from median(y) / median(x) and 0.

    Stops earlier where the sum changes by less than 1e-6. Adam's constants are torch's: 0.9, 0.999 and 1e-8.

    Source: MonST3R (arXiv 2410.03825), depth_evaluation with "scale&shift".
    """
    x, y = _thin(x, ADAM_PIXELS), _thin(y, ADAM_PIXELS)
    at = np.array([np.median(y) / np.median(x), 0.0])
    mean, square = np.zeros(2), np.zeros(2)
    last = None
    for step in range(1, ADAM_STEPS + 1):
        rest = at[0] * x + at[1] - y
        cost, sign = float(np.abs(rest).sum()), np.sign(rest)
        slope = np.array([float(sign @ x), float(sign.sum())])
        mean = 0.9 * mean + 0.1 * slope
        square = 0.999 * square + 0.001 * slope**2
        at = at - ADAM_RATE * (mean / (1 - 0.9**step)) / (np.sqrt(square / (1 - 0.999**step)) + 1e-8)
        if last is not None and abs(last - cost) < ADAM_ENOUGH:
            break
        last = cost
    return Fit(float(at[0]), float(at[1]))


def _as_it_is(x: np.ndarray, y: np.ndarray) -> Fit:
    return Fit(1.0)


ALIGNMENTS = {
    "disp-ls": Alignment(name="disp-ls", space="disparity", pooled=False, fit=least_squares),
    "depth-ls": Alignment(name="depth-ls", space="depth", pooled=True, fit=least_squares),
    "depth-lad": Alignment(name="depth-lad", space="depth", pooled=True, fit=least_absolute),
    "scale": Alignment(name="scale", space="depth", pooled=True, fit=least_absolute_scale),
    "median": Alignment(name="median", space="depth", pooled=True, fit=median_scale),
    "none": Alignment(name="none", space="depth", pooled=True, fit=_as_it_is, metric_only=True),
    "monst3r": Alignment(name="monst3r", space="depth", pooled=True, fit=adam_steps),
}


def _in_space(predicted: np.ndarray, kind: str, space: str) -> np.ndarray:
    """(T, H, W) float32 disparity or depth; NaN where the estimate is no number, depth +inf for disparity <= 0."""
    values = np.asarray(predicted, np.float32)
    with np.errstate(divide="ignore", invalid="ignore"):
        if kind == "metric_depth":
            values = np.where(values > 0, values, np.float32(np.nan))
            return values if space == "depth" else 1 / values
        values = np.where(np.isfinite(values), values, np.float32(np.nan))
        return values if space == "disparity" else 1 / np.maximum(values, 0)


def _apply(values: np.ndarray, fit: Fit, space: str, max_depth_m: float) -> np.ndarray:
    out = np.empty(values.shape, np.float32)
    for frame, into in zip(values, out, strict=True):  # float64 of a clip is large
        with np.errstate(invalid="ignore"):
            aligned = fit.scale * frame.astype(np.float64) + fit.shift
        if space == "disparity":
            aligned = 1 / np.maximum(aligned, MIN_DISPARITY)
        elif fit.scale == 0:
            aligned = np.where(np.isnan(frame), np.nan, fit.shift)  # 0 times infinity is no number
        into[:] = np.clip(aligned, MIN_DEPTH_M, max_depth_m)
    return out


def _thin(values: np.ndarray, count: int) -> np.ndarray:
    return values[:: -(-len(values) // count)]
