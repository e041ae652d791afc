"""Segmentation without weights: what moves against the camera, with ids that last. Worth: docs/annotators.md.

Only movers are found: a chair at rest is background. Their masks come frame by frame from flow (own_motion.py), their
ids from carrying masks along the flow (tracks.py).
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from openuni.annotators.dis import (
    check_flow,
    lands_inside,
    make_dis,
    resize_flow,
    round_trip_error,
    shrink,
    to_gray,
    work_size,
)
from openuni.annotators.own_motion import Neighbour, combine, moving_mask, residual_score, sharpen
from openuni.annotators.tracks import keep, link, rest
from openuni.engine.stage import Absent, Column, Result, Stage
from openuni.modality import Map

MAX_OBJECTS = 9  # the model's rendering of masks tells at most nine instances apart


@dataclass(kw_only=True)
class MotionSegmentation(Stage):
    """Masks of what moves against the dominant camera motion, with ids that are stable over the clip.

    Result.map: data (T, H, W) uint8, instance id, 0 is background; ids 1, 2, ... by first appearance, of those that
    appear together the larger first; at most nine, those that cover most.

    Raises:
        Absent: `too_short` (fewer than 3 frames); `no_dominant_motion` (no camera motion explains the flow of most
            frames); `nothing_moves`.
        ValueError: the flow map does not belong to the frames.
    """

    work_side_px: int = 512
    """Long side at which masks are made; as depth-motion."""
    offsets: tuple[int, ...] = (2, 4)
    """Frames between which motion is measured, forward and back. The prototype's."""
    preset: str = "medium"
    """DIS preset; see DisFlow."""
    fb_px: float = 1.5
    """Largest forward-backward error, px of the working size. Prototype."""
    threshold: float = 0.5
    """Of the score, in DEVIATIONS robust standard deviations of what the camera leaves. Ours, the prototype's is 0.8:
    here it only starts a part, which is then cut at a share of its own score and must reach `strong`."""
    strong: float = 1.2
    """A thing must reach this score somewhere, see `strong_share`. Ours: 7.2 robust standard deviations, 2.4 times the
    threshold; no comparison with other values is kept."""
    strong_share: float = 0.15
    """Share of a thing's pixels that reach `strong`, mean over its frames; weaker things are noise or parallax."""
    relative: float = 0.6
    """A thing's mean score must be this share of the clearest thing's. Ours: beside two jumping children (2.5) a
    striped wall whose flow is wrong has 1.2; under a resting camera slow things reach the limit of 3 too."""
    min_area: float = 0.002
    """Smallest part of a mask, as a share of the picture. Prototype."""
    min_frames: int = 4
    """A thing must be seen to move in so many frames, in shorter clips in half of them. Ours: a quarter second."""
    rest_frames: int = 16
    """A thing that rests keeps its mask for so many frames. Ours: one second at the build's rate."""

    name: ClassVar[str] = "segmentation"
    modality: ClassVar[str | None] = "segmentation"
    expert: ClassVar[str] = "segmentation-motion"
    reads: ClassVar[tuple[str, ...]] = ("flow",)
    licence: ClassVar[str] = "Apache-2.0 (OpenCV; no weights)"
    columns: ClassVar[tuple[Column, ...]] = (
        Column("objects", "objects", "number of ids"),
        Column("coverage", "0..1", "share of pixels that belong to an object"),
        Column("persistence", "0..1", "share of frames in which an object is there, mean over objects"),
        Column("strength", "0..3", "mean score of the objects' pixels; 1 is six deviations from the camera's motion"),
        Column("left_out", "objects", "objects beyond the nine that cover most"),
    )

    def setup(self) -> None:
        """Make the DIS object, once per worker."""
        self._dis = make_dis(self.preset)

    def __call__(self, clip: Any) -> Result:
        """Find the movers of a clip of three frames or more."""
        rgb, flow = clip.frames.rgb, clip.maps["flow"]
        check_flow(flow.data, rgb)
        if len(rgb) < 3:
            raise Absent("too_short")
        size = work_size(rgb, self.work_side_px)
        small = shrink(rgb, *size)
        gray = [to_gray(frame) for frame in small]
        steps = [resize_flow(step, *size) for step in flow.data[:-1]]
        back = [self._dis.calc(gray[t + 1], gray[t], None) for t in range(len(gray) - 1)]
        scores, masks = self._moving(small, gray, steps, back)
        ids = link(masks, steps, back)
        chosen, left_out = self._choose(ids, scores)
        ids = rest(keep(ids, chosen).astype(np.int32), steps, back, frames=self.rest_frames, min_area=self.min_area / 2)
        data = _enlarge(ids, rgb.shape[1:3])
        inside = ids > 0
        found = {
            "objects": len(chosen),
            "coverage": float((data > 0).mean()),
            "persistence": float(np.mean([(ids == one).any(axis=(1, 2)).mean() for one in range(1, len(chosen) + 1)])),
            "strength": float(np.stack(scores)[inside].mean()),
            "left_out": left_out,
        }
        return Result(scores=found, map=Map(data=data))

    def _moving(
        self, small: list[np.ndarray], gray: list[np.ndarray], steps: list[np.ndarray], back: list[np.ndarray]
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Score and mask every frame.

        Raises:
            Absent: `no_dominant_motion`.
        """
        flows = _Flows(self._dis, gray, max(self.offsets))
        scores, masks, explained = [], [], 0
        for t in range(len(gray)):
            far: list[np.ndarray] = []
            near: list[np.ndarray] = []
            neighbours: dict[int, Neighbour] = {}
            for offset in (1, *self.offsets):
                for other in (t - offset, t + offset):
                    if not 0 <= other < len(gray):
                        continue
                    if offset == 1:
                        there, inverse = (steps[t], back[t]) if other > t else (back[other], steps[other])
                    else:
                        there, inverse = flows(t, other), flows(other, t)
                    usable = (round_trip_error(there, inverse) < self.fb_px) & lands_inside(there)
                    score = residual_score(there, usable, np.random.default_rng([0, t, other]))
                    if score is not None:
                        (near if offset == 1 else far).append(np.where(usable, score, np.float32(np.nan)))
                    if offset == self.offsets[0]:
                        neighbours[other] = Neighbour(gray[other], there, usable)
            explained += bool(far or near)
            scores.append(combine(far, near, gray[t].shape))
            mask = moving_mask(scores[t], threshold=self.threshold, min_area=self.min_area)
            picture = small[t].astype(np.float32) / 255
            masks.append(sharpen(mask, picture, gray[t], neighbours, min_area=self.min_area))
        if explained < 0.5 * len(gray):
            raise Absent("no_dominant_motion")
        return scores, masks

    def _choose(self, ids: np.ndarray, scores: list[np.ndarray]) -> tuple[list[int], int]:
        """Choose the ids that are things, in the order of their numbers-to-be; and count those beyond the ninth.

        Raises:
            Absent: `nothing_moves`.
        """
        enough = min(self.min_frames, -(-len(ids) // 2))
        areas, first, clear = {}, {}, {}
        for one in np.unique(ids[ids > 0]).tolist():
            there = [t for t in range(len(ids)) if (ids[t] == one).any()]
            inside = [scores[t][ids[t] == one] for t in there]
            strong = np.mean([(score > self.strong).mean() for score in inside])
            if len(there) >= enough and strong >= self.strong_share:
                areas[one] = int((ids == one).sum())
                first[one] = (there[0], -int((ids[there[0]] == one).sum()))
                clear[one] = float(np.mean([score.mean() for score in inside]))
        clearest = max(clear.values(), default=0.0)
        areas = {one: area for one, area in areas.items() if clear[one] >= self.relative * clearest}
        if not areas:
            raise Absent("nothing_moves")
        largest = sorted(areas, key=lambda one: -areas[one])[:MAX_OBJECTS]
        return sorted(largest, key=lambda one: first[one]), len(areas) - len(largest)


class _Flows:
    """Flow between frames some steps apart, made once each and forgotten when no later frame can ask for it."""

    def __init__(self, dis: Any, gray: list[np.ndarray], reach: int) -> None:
        self._dis, self._gray, self._reach = dis, gray, reach
        self._made: OrderedDict[tuple[int, int], np.ndarray] = OrderedDict()

    def __call__(self, start: int, end: int) -> np.ndarray:
        """Flow (h, w, 2) from frame `start` to frame `end`."""
        if (start, end) not in self._made:
            self._made[start, end] = self._dis.calc(self._gray[start], self._gray[end], None)
            while self._made and min(next(iter(self._made))) < max(start, end) - 2 * self._reach:
                self._made.popitem(last=False)
        return self._made[start, end]


def _enlarge(ids: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Bring ids to the frames' size with smooth borders: (T, H, W) uint8."""
    import cv2

    height, width = shape
    data = np.zeros((len(ids), height, width), np.uint8)
    for t, frame in enumerate(ids):
        best = np.full(shape, 0.5, np.float32)
        for one in np.unique(frame[frame > 0]).tolist():
            share = cv2.resize((frame == one).astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
            data[t][share > best] = one
            best = np.maximum(best, share)
    return data
