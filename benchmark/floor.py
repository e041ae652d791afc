"""Floor: what the truth itself scores in the form in which a system gives its answers.

A drawing has 8 bits a channel and few colours, a video codec blurs edges, storage rounds: a perfect system would still
not have a perfect score. The truth goes the same way (to the answer's size, through the drawing, through H.264 where
the answer is a lossy video, back to a map and to the clip's size) and is scored by the same metrics. How others encoded
their video is not known: crf 18 and 4:2:0, as most do.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from openuni.benchmark.headline import FLOOR
from openuni.benchmark.judge import Scored, judge_headlines
from openuni.benchmark.synth.render import maps_of
from openuni.benchmark.synth.truth import Truth
from openuni.modality import Map, codec
from openuni.resize import resized_map
from openuni.table import RENDERINGS, load
from openuni.video import decode_rgb, encode_rgb_mp4

LOSSY = (".mp4", ".mov", ".webm", ".avi")
CRF = 18  # ours: what most encoders and our own rgb.mp4 are near
RENDERING, FORMAT, LEVELS, PREDICTED = "rendering", "format", "levels", "predicted"
"""What an answer's `about` says of its form: a name of RENDERINGS or a rendering's settings; a file's ending; how many
values depth can have; the size it was made at."""


def floor_scores(modality: str, truth: Truth, about: Mapping[str, Any], *, fps: float) -> list[Scored]:
    """Score the truth in an answer's form, under the headline metrics; their protocols end in FLOOR.

    Args:
        modality: of the answer.
        truth: of the clip.
        about: what the answer says of itself, see above.
        fps: of the clip.

    Returns:
        Nothing where the answer has numbers as they are, or its form cannot be made again.
    """
    made = floor_map(modality, truth, about, fps=fps)
    return [] if made is None else _floors(modality, made, truth)


def storage_floor(modality: str, truth: Truth) -> list[Scored]:
    """Score the truth as a build stores it, which is how annotators' maps are scored."""
    return _floors(modality, codec(modality).stored(maps_of(truth)[modality]), truth)


def floor_map(modality: str, truth: Truth, about: Mapping[str, Any], *, fps: float) -> Map | None:
    """Return the truth in an answer's form; None where there is nothing to lose or it cannot be made again."""
    maps = maps_of(truth)
    if modality not in maps:
        return None
    height, width = truth.size[1:]
    size = about.get(PREDICTED, {"height": height, "width": width})
    small = resized_map(modality, maps[modality], height=int(size["height"]), width=int(size["width"]), smooth=False)
    lossy = about.get(FORMAT) in LOSSY
    if RENDERING in about:
        made = _drawn(modality, small, about[RENDERING], lossy, fps)
    elif modality == "depth" and about.get(LEVELS):
        made = _gray(small, int(about[LEVELS]), lossy, fps)
    else:
        return None
    return None if made is None else resized_map(modality, made, height=height, width=width)


def _floors(modality: str, made: Map, truth: Truth) -> list[Scored]:
    return [one._replace(protocol=one.protocol + FLOOR) for one in judge_headlines(modality, made, truth)]


def _drawn(modality: str, map: Map, rendering: Any, lossy: bool, fps: float) -> Map | None:
    own = load("rendering", RENDERINGS, "own")
    if isinstance(rendering, Mapping):
        renderings = own.from_json(rendering)
    elif rendering in RENDERINGS:
        renderings = load("rendering", RENDERINGS, rendering)
    else:  # "clusters": any palette
        renderings = own
    frames = renderings.draw(modality, map)
    coded = _through_video(frames, fps) if lossy else frames
    if coded is None:
        return None
    read: Map = renderings.to_map(modality, coded)
    return read


def _gray(map: Map, levels: int, lossy: bool, fps: float) -> Map | None:
    """Disparity in so many steps over the clip's range; what is infinitely far has 0."""
    known = np.isfinite(map.data) & (map.data > 0)
    if not known.any():
        return None
    with np.errstate(divide="ignore", invalid="ignore"):
        disparity = np.where(known, 1 / map.data, 0)
    low, high = float(disparity[known].min()), float(disparity[known].max())
    codes = np.rint(np.clip((disparity - low) / max(high - low, 1e-12), 0, 1) * (levels - 1))
    if lossy:
        coded = _through_video(np.repeat(codes.astype(np.uint8)[..., None], 3, axis=-1), fps)
        if coded is None:
            return None
        codes = coded.mean(axis=-1)
    facts = {"kind": "relative_disparity", LEVELS: levels}
    return replace(map, data=codes.astype(np.float32), valid=np.ones(codes.shape, bool), facts=facts)


def _through_video(frames: np.ndarray, fps: float) -> np.ndarray | None:
    """Frames after H.264; None for odd sides, which it cannot hold."""
    if frames.shape[1] % 2 or frames.shape[2] % 2:
        return None
    return decode_rgb(encode_rgb_mp4(frames, fps=fps, crf=CRF)).frames
