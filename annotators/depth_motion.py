"""Depth without weights: relative disparity from the camera's own motion, absent where the camera does not travel.

Every n-th frame is a keyframe. Pairs of keyframes some frames apart give flow (DIS), a relative pose (MAGSAC
essential matrix) and inverse depth in closed form, for both frames of the pair. A pair's unit is its unknown baseline;
each frame belongs to several pairs, so the ratios of their maps tie all baselines together, and one least-squares
problem gives the whole clip one scale: nothing is normalised frame by frame, so the clip does not flicker. Frames
between keyframes take their disparity along the flow that the flow stage made. What it is worth: docs/annotators.md.
"""

from dataclasses import dataclass
from math import gcd
from typing import Any, ClassVar, NamedTuple

import numpy as np

from openuni.annotators.along_flow import Layer, spread
from openuni.annotators.dis import (
    check_flow,
    lands_inside,
    length,
    make_dis,
    resize_flow,
    round_trip_error,
    shrink,
    to_gray,
    work_size,
)
from openuni.annotators.fill import guided_upsample, pull_push
from openuni.annotators.reading import Reading, correlations, links, make_reading, merge, outvoted
from openuni.annotators.scale_graph import solve_scales
from openuni.annotators.two_view import Pose, calibrate, homography_residual, relative_pose, sample_points, triangulate
from openuni.engine.stage import Absent, Column, Result, Stage
from openuni.modality import Map

REFERENCE_WIDTH_PX = 832  # motion thresholds are stated at this width (Wan's 480 x 832) and scale with the width
CALIBRATION_PAIRS = 5  # ours: their median counts, and one or two of five may be caught in a wrong pose
CALIBRATION_THIN = 4  # ours: 500 of num_points; found focal lengths within 2 % on four of the prototype's paths
PERCENTILES = (0.5, 99.5)  # ours: a few wrong pixels must not stretch the range that the clip is stored in
GUIDE_RADIUS, GUIDE_EPSILON = 2, 1e-3  # He and Sun's range; against plain bilinear AbsRel changes by less than 0.002


class _Pair(NamedTuple):
    """Two keyframes (places in the list of keyframes), their flows both ways, and points to fit poses on."""

    a: int
    b: int
    forward: np.ndarray
    backward: np.ndarray
    usable: np.ndarray
    """(H, W) bool: forward flow that comes back to its start."""
    usable_back: np.ndarray
    points: np.ndarray
    """(N, 4): x, y in a; x, y in b."""


class _Seen(NamedTuple):
    """What all pairs say."""

    readings: list[list[Reading]]
    """By keyframe."""
    parallax_px: list[float]
    """Of each pair that a rigid motion explains."""
    inliers: list[float]
    """Of each pair with enough parallax; a reading's `pair` is a place in this list."""


class _Measured(NamedTuple):
    layers: dict[int, Layer]
    """Keyframe -> its disparity, all in one scale."""
    scores: dict[str, float]


@dataclass(kw_only=True)
class MotionDepth(Stage):
    """Relative disparity from camera motion.

    Result.map: data (T, H, W) float32 >= 0, larger is nearer, one scale for the clip, 0 is infinitely far; dense:
    what is not valid (movers, what only one frame shows) is filled from its surroundings. valid (T, H, W) bool.
    facts["kind"] is relative_disparity.

    Raises:
        Absent: `too_short` (fewer than 3 frames); `static` (the camera rests); `no_rigid_motion` (no rigid scene
            explains the motion); `no_parallax` (the camera only turns or zooms, or what it sees is flat);
            `inconsistent` (depths from different pairs of frames do not agree).
        ValueError: the flow map does not belong to the frames.
    """

    work_side_px: int = 512
    """Long side at which everything is computed. Ours: docs/annotators.md has the trade of accuracy for time."""
    stride: int = 3
    """Every n-th frame is a keyframe (evenly spaced, at most this far apart). Ours: 2, 3 and 4 measure alike (same
    file), 3 takes four fifths of 2's time."""
    baselines: tuple[float, ...] = (0.02, 0.035, 0.05)
    """Wanted median motion between the frames of a pair, as a share of the width. Ours: the prototype's (its t +- 3,
    6, 10 frames are 0.01 to 0.03) has 1.5 times the error, 0.03 to 0.08 leaves fewer pixels valid."""
    max_offset: int = 16
    """Longest pair, frames: one second at the build's rate; later the view has changed too much for flow."""
    preset: str = "medium"
    """DIS preset of the pairs' flow; see DisFlow."""
    fb_px: float = 1.0
    """Largest forward-backward error, px of the working size. Prototype."""
    epipolar_px: float = 1.5
    """Largest distance from the epipolar line, px of the working size; farther moves by itself. Prototype."""
    magsac_px: float = 0.7
    """MAGSAC's threshold, px of the working size. Prototype."""
    min_leverage_px: float = 0.5
    """A pixel counts if at the frame's median depth it would have this much parallax. The prototype's bound for the
    parallax itself, but taken so that far pixels (sky) stay valid."""
    num_points: int = 2000
    """Points per robust fit. Ours: two thirds of the prototype's, for time."""
    static_px: float = 0.1
    """The camera rests if a quarter of the pixels move less than this per frame (at REFERENCE_WIDTH_PX), in 9 of 10
    frames. Ours: just above the step of the stored flow, 1/16 px; two real clips of resting cameras have 0.00."""
    parallax_px: float = 0.5
    """A pair counts if the median residual of a homography is above this (at REFERENCE_WIDTH_PX). Prototype: 2.4 px
    for a travelling camera, 0.13 for a turning one."""
    min_inliers: float = 0.5
    """A pair counts if this share of its points obeys one rigid motion. Ours: below, what is seen is not mainly the
    camera's motion."""
    min_keyframes: float = 0.67
    """The clip counts if this share of its keyframes is measured. Ours: travelling cameras have 1.0 (in 9 of 9
    generated clips and in real ones); a studio camera that creeps for half a clip has 0.5, and nothing to fill the
    rest from."""
    min_agreement: float = 0.75
    """The clip counts if the rank correlation of depths from different pairs is above this, median over keyframes.
    Ours: more than half the variance shared. Measured: 0.82 to 1.0 on travelling cameras (9 generated clips, hard
    ones among them), 0.71 on a camera that creeps for half a clip, 0.55 on a zoom, 0.3 on one held in place."""
    max_disagreement: float = 0.3
    """A pixel is valid if its readings differ by less than this share of their mean, beyond flow noise. Ours."""
    focals: tuple[float, float, int] = (0.5, 4.0, 16)
    """Grid of focal lengths: smallest and largest as a share of the long side (90 to 14 degrees across), number. Ours:
    15 % steps, with a parabola between them; half a step off alone took AbsRel from 0.02 to 0.045 at 480 x 832."""
    usual_focal: tuple[float, float] = (0.9, 1.5)
    """Prior: log-normal, middle and factor of one standard deviation. Ours: phones' main cameras have 0.7 (26 mm on
    36 mm), films 0.9 to 1.4. It decides where the pictures cannot tell (no turning; a circle around a target)."""
    focal_evidence: float = 50.0
    """Independent points that a pair's fit counts for; flow errors of neighbours are alike. Ours: twice the squared
    error then outweighs any prior on the grid, 5 % more weighs one and a half standard deviations."""
    seed: int = 0
    """Of all random draws."""

    name: ClassVar[str] = "depth"
    modality: ClassVar[str | None] = "depth"
    expert: ClassVar[str] = "depth-motion"
    reads: ClassVar[tuple[str, ...]] = ("flow",)
    licence: ClassVar[str] = "Apache-2.0 (OpenCV; no weights)"
    columns: ClassVar[tuple[Column, ...]] = (
        Column("valid_fraction", "0..1", "share of pixels measured, not filled"),
        Column("keyframe_fraction", "0..1", "share of keyframes with a measured depth"),
        Column("parallax_px", "px", "median over pairs of the homography residual, at 832 px width"),
        Column("inlier_fraction", "0..1", "share of points that obey one rigid motion, median over pairs used"),
        Column("agreement", "-1..1", "rank correlation of depths from different pairs, median over keyframes"),
        Column("spread", "1", "median relative disagreement of the pairs that see a pixel"),
        Column("focal_ratio", "1", "estimated focal length over the long side"),
    )

    def setup(self) -> None:
        """Make the DIS object, once per worker."""
        self._dis = make_dis(self.preset)

    def __call__(self, clip: Any) -> Result:
        """Measure the disparity of a clip of three frames or more."""
        rgb, flow = clip.frames.rgb, clip.maps["flow"]
        check_flow(flow.data, rgb)
        if len(rgb) < 3:
            raise Absent("too_short")
        height, width = work_size(rgb, self.work_side_px)
        steps = [resize_flow(step, height, width) for step in flow.data[:-1]]
        if self._camera_rests(steps, width):
            raise Absent("static")
        measured = self._measure(shrink(map(to_gray, rgb), height, width), steps)
        layers = spread(measured.layers, steps)
        data, valid = _finish(rgb, layers)
        scores = {"valid_fraction": float(valid.mean()), **measured.scores}
        return Result(scores=scores, map=Map(data=data, valid=valid, facts={"kind": "relative_disparity"}))

    def _camera_rests(self, steps: list[np.ndarray], width: int) -> bool:
        # A quarter: a mover may fill much of the picture. 9 of 10 frames: a camera may rest for a while.
        quarter = [np.percentile(length(step), 25) for step in steps]
        return float(np.percentile(quarter, 90)) < self.static_px * width / REFERENCE_WIDTH_PX

    def _offsets(self, steps: list[np.ndarray], num_keys: int, width: int) -> list[int]:
        """Distances of pairs, in keyframes: `baselines` of motion, and coprime, so that pairs link all keyframes."""
        motion = float(np.mean([np.median(length(step)) for step in steps])) * self.stride
        most = max(self.baselines)
        longest = min(most * width / max(motion, 1e-6), self.max_offset / self.stride, num_keys - 1)
        wanted = {max(1, round(longest * part / most)) for part in self.baselines}
        return sorted(wanted if gcd(*wanted) == 1 else wanted | {max(wanted) - 1})

    def _measure(self, gray: list[np.ndarray], steps: list[np.ndarray]) -> _Measured:
        """Disparity of the keyframes.

        Raises:
            Absent: see the class.
        """
        height, width = gray[0].shape
        # Evenly, both ends included: a last step shorter than the others would make pairs of hardly any baseline.
        count = -(-(len(gray) - 1) // self.stride) + 1
        keys = [int(key) for key in np.linspace(0, len(gray) - 1, count).round()]
        views = [gray[key] for key in keys]
        wide = [self._pair(views, a, b) for a, b in _wide(len(keys), max(1, self.max_offset // self.stride))]
        wide_pairs = [pair for pair in wide if pair]
        # The widest pairs have the most parallax: if none has any, the rest need not be tried.
        if wide_pairs and max(self._residual(pair) for pair in wide_pairs) < self.parallax_px:
            raise Absent("no_parallax")
        focal = self._focal(wide_pairs, (height, width))
        seen = self._observe(views, focal, self._offsets(steps, len(keys), width))
        if sum(map(bool, seen.readings)) < self.min_keyframes * len(keys):
            raise Absent("no_parallax")
        found = [correlations(frame) for frame in seen.readings]
        # Judged before outvoted pairs are dropped: what is left after that agrees, whatever it is.
        agreed = [np.median([link.value for link in frame]) for frame in found if frame]
        if not agreed or np.median(agreed) < self.min_agreement:
            raise Absent("inconsistent")
        wrong = outvoted([link for frame in found for link in frame])
        readings = [[one for one in frame if one.pair not in wrong] for frame in seen.readings]
        scales = solve_scales(len(seen.inliers), [link for frame in readings for link in links(frame)])
        kept = [[one for one in frame if np.isfinite(scales[one.pair])] for frame in readings]
        if sum(map(bool, kept)) < self.min_keyframes * len(keys):
            raise Absent("inconsistent")
        merged = {
            key: merge(frame, np.exp(scales), max_disagreement=self.max_disagreement)
            for key, frame in zip(keys, kept, strict=True)
            if frame
        }
        scores = {
            "keyframe_fraction": len(merged) / len(keys),
            "parallax_px": float(np.median(seen.parallax_px)),
            "inlier_fraction": float(np.median(seen.inliers)),
            "agreement": float(np.median(agreed)),
            "spread": float(np.median([disagreement for _, disagreement in merged.values()])),
            "focal_ratio": focal / max(height, width),
        }
        return _Measured({key: layer for key, (layer, _) in merged.items()}, scores)

    def _observe(self, views: list[np.ndarray], focal: float, offsets: list[int]) -> _Seen:
        """Read all pairs of keyframes at the given distances.

        Raises:
            Absent: `no_rigid_motion`.
        """
        wanted = [(a, a + offset) for a in range(len(views)) for offset in offsets if a + offset < len(views)]
        seen = _Seen([[] for _ in views], [], [])
        for a, b in wanted:
            pair = self._pair(views, a, b)
            judged = pair and self._judge(pair, focal)
            if not pair or not judged:
                continue
            seen.parallax_px.append(judged[1])
            if judged[1] > self.parallax_px:
                self._read(pair, judged[0], focal, len(seen.inliers), seen.readings)
                seen.inliers.append(judged[0].inliers)
        if len(seen.parallax_px) < self.min_keyframes * len(wanted):
            raise Absent("no_rigid_motion")
        return seen

    def _pair(self, views: list[np.ndarray], a: int, b: int) -> _Pair | None:
        """Flow between two keyframes both ways; None where hardly a pixel comes back to its start.

        The chained flow of the flow stage as DIS's first guess was tried: no gain (AbsRel 0.029 against 0.028).
        """
        forward = self._dis.calc(views[a], views[b], None)
        backward = self._dis.calc(views[b], views[a], None)
        usable = (round_trip_error(forward, backward) < self.fb_px) & lands_inside(forward)
        usable_back = (round_trip_error(backward, forward) < self.fb_px) & lands_inside(backward)
        points = sample_points(forward, usable, self.num_points, np.random.default_rng([self.seed, a, b]))
        return None if points is None else _Pair(a, b, forward, backward, usable, usable_back, points)

    def _judge(self, pair: _Pair, focal: float) -> tuple[Pose, float] | None:
        """Pose and parallax (px at the reference width) of a pair; None if no rigid motion explains it."""
        height, width = pair.usable.shape
        found = relative_pose(pair.points, focal, (height, width), threshold_px=self.magsac_px, seed=self.seed)
        if found is None or found[0].inliers < self.min_inliers:
            return None
        # Over the rigid points too: a mover that fills half the picture must not pass for parallax.
        return found[0], min(self._residual(pair), self._residual(pair, found[1]))

    def _residual(self, pair: _Pair, among: np.ndarray | None = None) -> float:
        """Median residual of the pair's homography over all points or some (N,) bool, px at the reference width."""
        residual = homography_residual(pair.points, threshold_px=self.magsac_px, seed=self.seed)
        median = np.median(residual if among is None else residual[among])
        return float(median) * REFERENCE_WIDTH_PX / pair.usable.shape[1]

    def _read(self, pair: _Pair, pose: Pose, focal: float, number: int, readings: list[list[Reading]]) -> None:
        """Append what a pair says about both of its frames."""
        sides = (pair.a, pair.forward, pair.usable, pose), (pair.b, pair.backward, pair.usable_back, pose.inverse())
        for place, flow, usable, motion in sides:
            seen = triangulate(flow, motion, focal)
            reading = make_reading(
                number, seen, usable, epipolar_px=self.epipolar_px, min_leverage_px=self.min_leverage_px
            )
            if reading is not None:
                readings[place].append(reading)

    def _focal(self, pairs: list[_Pair], shape: tuple[int, int]) -> float:
        """Focal length, px of the working size: how well wide pairs fit, times what lenses are common.

        The median over pairs counts, because a pair may be caught in a wrong pose.
        """
        log_focals = np.log(np.geomspace(*self.focals))
        prior = (log_focals - np.log(self.usual_focal[0])) ** 2 / (2 * np.log(self.usual_focal[1]) ** 2)
        focals, points = max(shape) * np.exp(log_focals), [pair.points[::CALIBRATION_THIN] for pair in pairs]
        cost = calibrate(points, shape, focals_px=focals, threshold_px=self.magsac_px, seed=self.seed)
        if not len(cost):
            return float(focals[prior.argmin()])
        misfit = np.median(np.log(cost / cost.min(axis=1, keepdims=True)), axis=0)
        total = self.focal_evidence / 2 * misfit + prior
        return float(max(shape) * np.exp(_lowest_point(log_focals, total)))


def _lowest_point(places: np.ndarray, heights: np.ndarray) -> float:
    """Where the parabola through the lowest value of an even grid and its neighbours is lowest."""
    best = int(heights.argmin())
    if best in (0, len(heights) - 1):
        return float(places[best])
    before, here, after = heights[best - 1 : best + 2]
    shift = 0.5 * (before - after) / max(before - 2 * here + after, 1e-12)
    return float(places[best] + np.clip(shift, -0.5, 0.5) * (places[best + 1] - places[best]))


def _wide(num_keys: int, offset: int) -> list[tuple[int, int]]:
    """CALIBRATION_PAIRS pairs of keyframes as wide as `offset`, spread over the clip; fewer in a short clip."""
    offset = min(offset, num_keys - 1)
    starts = np.linspace(0, num_keys - 1 - offset, CALIBRATION_PAIRS).round().astype(int)
    pairs = {(int(a), int(a) + offset) for a in starts}
    if len(pairs) < CALIBRATION_PAIRS and offset > 3:  # a short clip: somewhat narrower pairs say something new
        pairs |= {(0, offset - 1), (1, offset)}
    return sorted(pairs)


def _finish(rgb: np.ndarray, layers: list[Layer]) -> tuple[np.ndarray, np.ndarray]:
    """Clip to the clip's own range, fill, and bring up to the frames' size: disparity and validity (T, H, W)."""
    import cv2

    height, width = rgb.shape[1:3]
    low, high = np.percentile(np.concatenate([layer.values[layer.valid][::7] for layer in layers]), PERCENTILES)
    data, valid = np.empty(rgb.shape[:3], np.float32), np.empty(rgb.shape[:3], bool)
    last = None
    for t, layer in enumerate(layers):
        small = np.clip(layer.values, low, high)
        # A frame that nothing reaches repeats its neighbour's filled map, all of it invalid.
        last = pull_push(small, layer.valid.astype(np.float32)) if layer.valid.any() or last is None else last
        guide = to_gray(rgb[t]).astype(np.float32) / 255
        guide_small = cv2.resize(guide, last.shape[::-1], interpolation=cv2.INTER_AREA)
        full = guided_upsample(last, guide_small, guide, radius=GUIDE_RADIUS, epsilon=GUIDE_EPSILON)
        data[t] = np.clip(full, low, high)
        mask = cv2.resize(layer.valid.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
        valid[t] = mask > 0
    return data, valid
