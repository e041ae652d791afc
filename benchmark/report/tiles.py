"""Tiles: an answer as short videos side by side, small enough to stand in a page."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from openuni.benchmark.metrics.depth_alignment import MAX_DEPTH_M
from openuni.benchmark.report.answers import Shown
from openuni.benchmark.report.error_picture import aligned_depth, error_picture, matched_ids
from openuni.benchmark.synth.render import maps_of
from openuni.benchmark.synth.truth import Truth
from openuni.modality import Map, codec
from openuni.video import encode_rgb_mp4

SIDE_PX = 192  # ours: four on a phone's two columns at its full width
MOST_FRAMES = 16
LEAST_FPS = 4.0
CRF = 24  # a tile of 16 frames has 10 to 40 kB


class Tile(NamedTuple):
    """One video."""

    name: str
    legend: str
    mp4: bytes


class _Drawn(NamedTuple):
    name: str
    frames: np.ndarray
    legend: str = ""


def tiles(shown: Shown) -> list[Tile]:
    """Draw an answer: est as input, truth, prediction, error; cond as condition, original, generated, and what an
    expert sees in that; joint and text as what was generated, seen, and the original. What cannot be drawn is left
    out.

    All tiles of an answer have the same number of frames and size.
    """
    drawn = {"est": _est, "cond": _cond}.get(shown.task, _generated)(shown)
    # The last frame has no flow: a row of videos would stop at a white one.
    cut = -1 if shown.modality == "flow" and all(len(one.frames) > 1 for one in drawn) else None
    return [Tile(one.name, one.legend, _encode(one.frames[:cut], shown.fps)) for one in drawn]


def _est(shown: Shown) -> list[_Drawn]:
    found = [] if shown.rgb is None else [_Drawn("input", shown.rgb)]
    modality, truth = shown.modality, shown.truth
    true = None if truth is None else maps_of(truth).get(modality)
    scale = None
    if true is not None:
        rendering = codec(modality).render(true)
        scale = rendering.scale
        found.append(_Drawn("truth", rendering.frames))
    if shown.map is None:
        return found
    comparable = truth is not None and true is not None and shown.map.data.shape[:1] == true.data.shape[:1]
    if comparable and modality != "skeleton":
        comparable = shown.map.data.shape[:3] == true.data.shape[:3] if true is not None else False
    if not comparable or truth is None:
        return [*found, _Drawn("prediction", codec(modality).render(shown.map).frames, "own scale")]
    map, legend = _in_truth_s_terms(modality, shown.map, truth)
    scale = scale if modality in ("depth", "flow") else None  # the others' colours do not depend on the clip
    found.append(_Drawn("prediction", codec(modality).render(map, scale=scale).frames, legend))
    wrong = error_picture(modality, shown.map, truth, shown.rgb)
    return [*found, _Drawn("error", wrong.frames, wrong.legend)]


def _in_truth_s_terms(modality: str, map: Map, truth: Truth) -> tuple[Map, str]:
    """Depth aligned as it is scored, instances in the colours of those that they are matched with."""
    if modality == "depth" and (found := aligned_depth(map, truth)) is not None:
        depth, _ = found
        usable = np.isfinite(depth) & (depth > 0)
        data = np.where(usable, depth, np.float32(MAX_DEPTH_M)).astype(np.float32)
        return Map(data=data, valid=usable, facts={"kind": "metric_depth"}), "aligned as scored; truth's colours"
    if modality == "segmentation":
        return Map(data=matched_ids(map, truth)), "matched instances have the truth's colours"
    return map, "truth's scale" if modality == "flow" else ""


def _cond(shown: Shown) -> list[_Drawn]:
    found, scale = [], None
    if shown.condition is not None:
        rendering = codec(shown.modality).render(shown.condition)
        scale = rendering.scale if shown.modality == "flow" else None  # depth seen again has a scale of its own
        found.append(_Drawn("condition", rendering.frames))
    if shown.rgb is not None:
        found.append(_Drawn("original", shown.rgb, "not to be copied: any clip that fits the condition is right"))
    if shown.frames is not None:
        found.append(_Drawn("generated", shown.frames))
    return found + _seen(shown, scale)


def _generated(shown: Shown) -> list[_Drawn]:
    found = [] if shown.frames is None else [_Drawn("generated RGB", shown.frames)]
    if shown.map is not None and shown.modality != "rgb":
        found.append(_Drawn(f"generated {shown.modality}", codec(shown.modality).render(shown.map).frames))
    found += _seen(shown, None)
    if shown.rgb is not None and found:
        found.append(_Drawn("original", shown.rgb, "the clip whose caption was given"))
    return found


def _seen(shown: Shown, scale: Mapping[str, Any] | None) -> list[_Drawn]:
    """What an expert sees in the generated frames."""
    if shown.seen is None:
        return []
    drawn = codec(shown.modality).render(shown.seen, scale=scale).frames
    return [_Drawn("seen in it", drawn, f"by {shown.seen_by}, on the generated frames")]


def _encode(frames: np.ndarray, fps: float) -> bytes:
    """Encode small: at most MOST_FRAMES, evenly taken, of SIDE_PX on the longer side, both sides even."""
    import cv2

    chosen = np.unique(np.linspace(0, len(frames) - 1, min(len(frames), MOST_FRAMES)).round().astype(int))
    factor = SIDE_PX / max(frames.shape[1:3])
    width, height = (max(2, 2 * round(side * factor / 2)) for side in (frames.shape[2], frames.shape[1]))
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_NEAREST
    small = [cv2.resize(np.ascontiguousarray(frames[one]), (width, height), interpolation=how) for one in chosen]
    rate = max(LEAST_FPS, fps * len(chosen) / len(frames))
    return encode_rgb_mp4(np.stack(small), fps=rate, crf=CRF)
