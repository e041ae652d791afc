"""Depth without weights: relative disparity from the camera's own motion, absent where the camera does not travel.

A few frames in every clip are keyframes. Pairs of keyframes some frames apart give flow (DIS), a relative pose (MAGSAC
essential matrix) and inverse depth in closed form, for both frames of the pair. A pair's unit is its unknown baseline;
each frame belongs to several pairs, so the ratios of their maps tie all baselines together, and one least-squares
problem gives the whole clip one scale: nothing is normalised frame by frame, so the clip does not flicker. Frames
between keyframes take their disparity along the flow. What it is worth: docs/annotators.md.
"""

from dataclasses import dataclass
from itertools import combinations
from math import gcd
from typing import Any, ClassVar, NamedTuple

import numpy as np

from openuni.annotators.along_flow import Layer, spread
from openuni.annotators.dis import compose, lands_inside, length, make_dis, resize_flow, round_trip_error, to_gray
from openuni.annotators.fill import guided_upsample, pull_push
from openuni.annotators.scale_graph import Link, solve_scales
from openuni.annotators.two_view import (
    Pose,
    calibrate,
    homography_residual,
    refine,
    relative_pose,
    sample_points,
    triangulate,
)
from openuni.engine.stage import Absent, Column, Result, Stage
from openuni.modality import Map

REFERENCE_WIDTH_PX = 832  # pixel thresholds are stated at this width (Wan's 480 x 832) and scale with the width
CALIBRATION_PAIRS = 5  # the prototype's number: 3 of 3 clean and 6 of 6 degraded clips calibrated within a grid step
MIN_GOOD = 0.2  # share of the pixels below which a reading is not used. Prototype
MIN_LINK_PIXELS = 100  # prototype
PERCENTILES = (0.1, 99.8)
GUIDE_RADIUS, GUIDE_EPSILON = 2, 1e-3
CHAIN=False; REF=False; UP="mix"; DEBUG=False
from openuni.annotators.dis import invert
LINK_STEP = 4  # every 4th pixel both ways: some 5,000 ratios for one median


class _Pair(NamedTuple):
    """Two keyframes (places in the list of keyframes), their flows, and points to fit poses on."""

    a: int
    b: int
    forward: np.ndarray
    backward: np.ndarray
    usable: np.ndarray
    """(H, W) bool: forward flow that comes back to its start."""
    usable_back: np.ndarray
    points: np.ndarray
    """(N, 4): x, y in a; x, y in b."""


class _Reading(NamedTuple):
    """What one pair says about one of its frames; kept until all pairs are there, so kept small."""

    pair: int
    inverse_depth: np.ndarray
    """(H, W) float32, 1 / the pair's baseline, NaN where it must not be used."""
    leverage_px: np.ndarray
    """(H, W) float16."""


@dataclass(kw_only=True)
class MotionDepth(Stage):
    """Relative disparity from camera motion.

    Result.map: data (T, H, W) float32 >= 0, larger is nearer, one scale for the clip, 0 is infinitely far; dense:
    what is not valid (movers, what one frame alone shows) is filled from its surroundings. valid (T, H, W) bool.

    Raises:
        Absent: `too_short` (fewer than 3 frames), `static` (the camera rests), `no_parallax` (it only turns or zooms,
            or all it sees is flat), `no_rigid_motion` (no rigid scene explains the motion).
    """

    work_side_px: int = 512
    """Long side at which everything is computed; the result is brought up along the picture's edges."""
    stride: int = 2
    """Every n-th frame is a keyframe."""
    baselines: tuple[float, ...] = (0.01, 0.02, 0.035)
    """Wanted median motion between the frames of a pair, as a share of the width. The prototype's t +- 3, 6, 10 frames
    at 2.6 px a frame and 832 px."""
    max_offset: int = 16
    """Longest pair, frames: one second at the build's rate; later the view has changed too much for flow."""
    preset: str = "medium"
    """DIS preset of the pairs' flow."""
    fb_px: float = 1.0
    """Largest forward-backward error, px of the working size. Prototype."""
    epipolar_px: float = 1.5
    """Largest distance from the epipolar line; what is farther moves by itself. Prototype."""
    magsac_px: float = 0.7
    """MAGSAC's threshold. Prototype."""
    min_leverage_px: float = 0.5
    """A pixel counts if at the scene's median depth it would have this much parallax. The prototype's bound for the
    parallax itself, but taken so that far pixels (sky) stay valid."""
    num_points: int = 2000
    """Points per robust fit."""
    static_px: float = 0.1
    """The camera rests if a quarter of the pixels move less than this (at REFERENCE_WIDTH_PX), in 9 of 10 frames.
    Ours: the flow map's storage step is 1/16 px, real still cameras measured 0.00 to 0.05."""
    parallax_px: float = 0.5
    """A pair counts if the median residual of a homography is above this (at REFERENCE_WIDTH_PX). Prototype: 2.4 px
    for a travelling camera, 0.13 for a turning one."""
    min_inliers: float = 0.5
    """A pair counts if this share of its points obeys one rigid motion. Ours: below, the motion of the scene is not
    mainly the camera's."""
    min_keyframes: float = 0.5
    """The clip counts if this share of its keyframes is measured."""
    focals: tuple[float, float, int] = (0.5, 2.5, 17)
    """Grid of focal lengths: smallest and largest as a share of the long side, number; 10 % steps (the prototype's).
    90 to 23 degrees across."""
    usual_focal: tuple[float, float] = (0.9, 1.5)
    """Prior: log-normal, middle and factor of one standard deviation. Ours: phones' main cameras have 0.7 (26 mm on
    36 mm), films 0.9 to 1.4. It decides where the pictures cannot tell (no turning; a circle around a target)."""
    focal_evidence: float = 50.0
    """Independent points that a pair's fit is taken for; flow errors of neighbours agree. Ours: 10 % more squared
    error then weighs as much as a focal length 2.2 standard deviations from usual."""
    seed: int = 0
    """Of all random draws."""

    name: ClassVar[str] = "depth"
    modality: ClassVar[str | None] = "depth"
    reads: ClassVar[tuple[str, ...]] = ("flow",)
    licence: ClassVar[str] = "Apache-2.0 (OpenCV; no weights)"
    columns: ClassVar[tuple[Column, ...]] = (
        Column("valid_fraction", "0..1", "share of pixels measured, not filled"),
        Column("keyframe_fraction", "0..1", "share of keyframes with a measured depth"),
        Column("parallax_px", "px", "median over pairs of the homography residual, at 832 px width"),
        Column("inlier_fraction", "0..1", "median over good pairs of the share of points that obey one rigid motion"),
        Column("focal_ratio", "1", "estimated focal length over the long side"),
        Column("spread", "1", "median relative disagreement of the pairs that see a pixel"),
    )

    def setup(self) -> None:
        """Make the DIS object, once per worker."""
        self._dis = make_dis(self.preset)

    def __call__(self, clip: Any) -> Result:
        """Measure the disparity of a clip of three frames or more."""
        rgb, flow = clip.frames.rgb, clip.maps["flow"]
        if flow.data.shape != (*rgb.shape[:3], 2):
            raise ValueError(f"flow must be {(*rgb.shape[:3], 2)} for frames {rgb.shape}, got {flow.data.shape}")
        if len(rgb) < 3:
            raise Absent("too_short")
        gray = self._shrink(rgb)
        height, width = gray[0].shape
        steps = [resize_flow(step, height, width) for step in flow.data[:-1]]
        if self._camera_rests(steps, width):
            raise Absent("static")
        keys = sorted({*range(0, len(rgb), self.stride), len(rgb) - 1})
        measured = self._measure(gray, steps, keys)
        layers = spread({keys[place]: layer for place, layer in measured.layers.items()}, steps)
        valid_small = np.stack([layer.valid for layer in layers])
        data, valid = self._finish(rgb, layers)
        scores = {
            "valid_fraction": float(valid_small.mean()),
            "keyframe_fraction": len(measured.layers) / len(keys),
            **measured.scores,
        }
        return Result(scores=scores, map=Map(data=data, valid=valid, facts={"kind": "relative_disparity"}))

    def _shrink(self, rgb: np.ndarray) -> list[np.ndarray]:
        """Gray frames at the working size; never larger than the frames."""
        import cv2

        height, width = rgb.shape[1:3]
        scale = min(1.0, self.work_side_px / max(height, width))
        size = (max(16, round(width * scale)), max(16, round(height * scale)))
        return [np.asarray(cv2.resize(to_gray(frame), size, interpolation=cv2.INTER_AREA)) for frame in rgb]

    def _camera_rests(self, steps: list[np.ndarray], width: int) -> bool:
        quarter = [np.percentile(length(step), 25) for step in steps]
        return float(np.percentile(quarter, 90)) < self.static_px * width / REFERENCE_WIDTH_PX

    def _offsets(self, steps: list[np.ndarray], num_keys: int, width: int) -> list[int]:
        """Distances of the pairs, in keyframes: about `baselines` of motion, coprime so that they link all keyframes."""
        motion = float(np.mean([np.median(length(step)) for step in steps])) * self.stride
        longest = min(max(self.baselines) * width / max(motion, 1e-6), self.max_offset / self.stride, num_keys - 1)
        wanted = sorted({max(1, round(longest * part / max(self.baselines))) for part in self.baselines})
        if gcd(*wanted) > 1:
            wanted = [*wanted[:-1], wanted[-1] - 1, wanted[-1]]
        return sorted(set(wanted))

    def _pair(self, gray: list[np.ndarray], chained: np.ndarray | None, keys: list[int], a: int, b: int) -> _Pair | None:
        """Flow between two keyframes both ways; None where hardly a pixel comes back to its start."""
        first, second = gray[keys[a]], gray[keys[b]]
        forward = self._dis.calc(first, second, None if chained is None else chained.copy())
        backward = self._dis.calc(second, first, None if chained is None else invert(chained))
        usable = (round_trip_error(forward, backward) < self.fb_px) & lands_inside(forward)
        usable_back = (round_trip_error(backward, forward) < self.fb_px) & lands_inside(backward)
        points = sample_points(forward, usable, self.num_points, np.random.default_rng([self.seed, a, b]))
        return None if points is None else _Pair(a, b, forward, backward, usable, usable_back, points)

    def _measure(self, gray: list[np.ndarray], steps: list[np.ndarray], keys: list[int]) -> "_Measured":
        shape = (gray[0].shape[0], gray[0].shape[1])
        offsets = self._offsets(steps, len(keys), shape[1])
        focal = self._focal(gray, keys, shape)
        readings: list[list[_Reading]] = [[] for _ in keys]
        parallaxes, inliers, tried = [], [], 0
        for a in range(len(keys)):
            chain = None
            for b in (a + offset for offset in offsets if a + offset < len(keys)):
                if CHAIN:
                    start = keys[a] if chain is None else done
                    for t in range(start, keys[b]):
                        chain = steps[t] if chain is None else compose(chain, steps[t])
                    done = keys[b]
                pair = self._pair(gray, chain, keys, a, b)
                tried += 1
                judged = None if pair is None else self._judge(pair, focal, shape)
                if pair is None or judged is None:
                    continue
                pose, parallax = judged
                parallaxes.append(parallax)
                if parallax < self.parallax_px:
                    continue
                inliers.append(pose.inliers)
                for place, flow, usable, motion in (
                    (a, pair.forward, pair.usable, pose),
                    (b, pair.backward, pair.usable_back, pose.inverse()),
                ):
                    reading = self._read(len(inliers) - 1, flow, usable, motion, focal)
                    if reading is not None:
                        readings[place].append(reading)
        if len(parallaxes) < self.min_keyframes * tried:
            raise Absent("no_rigid_motion")
        layers, spreads = self._fuse(readings, len(inliers))
        if len(layers) < self.min_keyframes * len(keys):
            raise Absent("no_parallax")
        return _Measured(
            layers,
            {
                "parallax_px": float(np.median(parallaxes)),
                "inlier_fraction": float(np.median(inliers)),
                "focal_ratio": focal / max(shape),
                "spread": float(np.median(spreads)),
            },
        )

    def _focal(self, gray: list[np.ndarray], keys: list[int], shape: tuple[int, int]) -> float:
        """Focal length, px of the working size: how well a few wide pairs fit, times what lenses are common.

        The curves' median over pairs counts, because a pair may be caught in a wrong pose.
        """
        long_side = max(shape)
        offset = min(len(keys) - 1, max(1, self.max_offset // self.stride))
        starts = sorted({round((len(keys) - 1 - offset) * part) for part in np.linspace(0, 1, CALIBRATION_PAIRS)})
        starts = [(a, a + offset) for a in starts]
        if len(starts) < CALIBRATION_PAIRS:
            starts = [(0, offset), (0, max(1, 3 * offset // 4)), (offset // 4, offset)]
        log_focals = np.log(np.geomspace(*self.focals))
        prior = (log_focals - np.log(self.usual_focal[0])) ** 2 / (2 * np.log(self.usual_focal[1]) ** 2)
        first = int(prior.argmin())
        focals = long_side * np.exp(log_focals)
        fits = []
        for a, b in starts:
            pair = self._pair(gray, None, keys, a, b)
            found = pair and relative_pose(
                pair.points, focals[first], shape, threshold_px=self.magsac_px, seed=self.seed
            )
            if pair and found and found[0].inliers > self.min_inliers:
                fits.append((found[0], pair.points[::2]))
        if not fits:
            return float(focals[first])
        cost = calibrate(fits, shape, focals_px=focals, first=first, scale_px=self.magsac_px)
        misfit = self.focal_evidence / 2 * np.median(np.log(cost / cost.min(axis=1, keepdims=True)), axis=0)
        if DEBUG: print((misfit).round(1))
        return float(focals[(misfit + prior).argmin()])

    def _judge(self, pair: _Pair, focal: float, shape: tuple[int, int]) -> tuple[Pose, float] | None:
        """Pose and parallax (px at the reference width) of a pair; None if no rigid motion explains it."""
        found = relative_pose(pair.points, focal, shape, threshold_px=self.magsac_px, seed=self.seed)
        if found is None or found[0].inliers < self.min_inliers:
            return None
        pose, support = found
        if REF: pose = refine(pose, pair.points, focal, shape, scale_px=self.magsac_px)[0]
        residual = homography_residual(pair.points, threshold_px=self.magsac_px, seed=self.seed)
        parallax = min(np.median(residual), np.median(residual[support]))
        return pose, float(parallax) * REFERENCE_WIDTH_PX / shape[1]

    def _read(self, number: int, flow: np.ndarray, usable: np.ndarray, pose: Pose, focal: float) -> _Reading | None:
        seen = triangulate(flow, pose, focal)
        good = usable & (seen.epipolar_px < self.epipolar_px)
        ahead = good & (seen.inverse_depth > 0)
        if ahead.mean() < MIN_GOOD:
            return None
        middle = np.median(seen.inverse_depth[ahead])
        good &= seen.leverage_px * middle > self.min_leverage_px
        good &= seen.inverse_depth * seen.leverage_px > -self.epipolar_px  # behind the camera by more than noise
        if good.mean() < MIN_GOOD:
            return None
        return _Reading(number, np.where(good, seen.inverse_depth, np.nan), seen.leverage_px.astype(np.float16))

    def _fuse(self, readings: list[list[_Reading]], num_pairs: int) -> tuple[dict[int, Layer], list[float]]:
        """Bring all readings to one scale and merge them per keyframe."""
        scales = solve_scales(num_pairs, [link for frame in readings for link in _links(frame)])
        layers, spreads = {}, []
        for place, frame in enumerate(readings):
            known = [reading for reading in frame if np.isfinite(scales[reading.pair])]
            if known:
                layers[place], disagreement = _merge(known, np.exp(scales))
                spreads.append(disagreement)
        return layers, spreads

    def _finish(self, rgb: np.ndarray, layers: list[Layer]) -> tuple[np.ndarray, np.ndarray]:
        """Fill, clip to the clip's own range, and bring up to the frames' size."""
        import cv2

        height, width = rgb.shape[1:3]
        seen = np.concatenate([layer.values[layer.valid][::7] for layer in layers])
        low, high = np.percentile(seen, PERCENTILES)
        data, valid = np.zeros(rgb.shape[:3], np.float32), np.zeros(rgb.shape[:3], bool)
        for t, layer in enumerate(layers):
            small = np.clip(layer.values, max(low, 0), high)
            small = pull_push(small, layer.valid.astype(np.float32)) if layer.valid.any() else small
            gray = to_gray(rgb[t]).astype(np.float32) / 255
            guide = cv2.resize(gray, small.shape[::-1], interpolation=cv2.INTER_AREA)
            up=cv2.resize(small,(width,height),interpolation=cv2.INTER_LINEAR)
            up2 = guided_upsample(small, guide, gray, radius=GUIDE_RADIUS, epsilon=GUIDE_EPSILON)
            ok = cv2.resize(layer.valid.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST) > 0
            data[t] = np.clip({"lin":up,"guided":up2,"mix":np.where(ok,up,up2)}[UP], max(low, 0), high)
            valid[t] = ok
        return data, valid


class _Measured(NamedTuple):
    layers: dict[int, Layer]
    """Place in the list of keyframes -> its disparity, all in one scale."""
    scores: dict[str, float]


def _links(frame: list[_Reading]) -> list[Link]:
    """Ratios of the maps of one frame: what they measure is the same, so their ratio is that of their baselines."""
    out = []
    thin = [reading.inverse_depth[::LINK_STEP, ::LINK_STEP] for reading in frame]
    for first, second in combinations(range(len(frame)), 2):
        both = (thin[first] > 0) & (thin[second] > 0)
        if both.sum() > MIN_LINK_PIXELS:
            ratio = np.log(thin[second][both] / thin[first][both])
            out.append(Link(frame[first].pair, frame[second].pair, float(np.median(ratio))))
    return out


def _merge(frame: list[_Reading], baselines: np.ndarray) -> tuple[Layer, float]:
    """Weighted robust mean of one frame's readings, and their median relative disagreement."""
    values = np.stack([reading.inverse_depth / baselines[reading.pair] for reading in frame]).astype(np.float32)
    leverage = np.stack([reading.leverage_px * np.float32(baselines[reading.pair]) for reading in frame])
    present = np.isfinite(values)
    valid = present.sum(0) >= min(2, len(frame))
    values = np.where(present, values, 0)
    middle = _median(values, present)
    soft = 0.5 / np.maximum(leverage, 1e-6) + 0.05 * np.abs(middle)
    weight = present * leverage**2 / (1 + ((values - middle) / soft) ** 2)
    total = np.maximum(weight.sum(0), 1e-12)
    merged = (values * weight).sum(0) / total
    off = (np.abs(values - merged) * weight).sum(0) / total
    disagreement = float(np.median(off[valid] / np.maximum(merged[valid], 1e-6))) if valid.any() else 0.0
    return Layer(np.where(valid, np.maximum(merged, 0), 0).astype(np.float32), valid), disagreement


def _median(values: np.ndarray, present: np.ndarray) -> np.ndarray:
    """Median over axis 0 of the present values, the lower one of two; 0 where there is none."""
    ordered = np.sort(np.where(present, values, np.inf), axis=0)
    place = np.maximum(present.sum(0) - 1, 0) // 2
    found = np.take_along_axis(ordered, place[None], 0)[0]
    return np.where(np.isfinite(found), found, 0)
