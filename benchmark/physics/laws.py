"""Laws: what tracks of coloured balls say about gravity, a collision and an object's permanence.

Tracks are centroids of a colour in each frame, of a camera at rest. What each number is worth on rendered clips, where
the law holds, is its error bar: perf/physics_probes.py, docs/vbench.md.
"""

from typing import NamedTuple

import numpy as np

from openuni.benchmark.physics.straw import redness

COLOURED = 30  # ours, of 255: clearly red, or green
MIN_PIXELS = 12  # ours: fewer have no centre
SHRINKS_PX = 0.5  # ours: centroids err by 0.2 px
MIN_FALL = 5  # frames: a parabola and its change need as many points
MOVES_PX = 0.015  # ours, of the width: a ball at rest has left its place
BEHIND = 2  # frames: a ball that is away for so many was hidden
SIDE_FRAMES = 4  # ours: velocities are over so many frames before and after a hit


class Track(NamedTuple):
    """A ball over T frames."""

    places: np.ndarray
    """(T, 2) float64 x, y px; NaN where it is not seen."""
    pixels: np.ndarray
    """(T,) int: how many show it."""


def track(rgb: np.ndarray, colour: str) -> Track:
    """Follow the red or green of a clip.

    Args:
        rgb: (T, H, W, 3) uint8.
        colour: "red" or "green".
    """
    places, counts = np.full((len(rgb), 2), np.nan), np.zeros(len(rgb), int)
    for t, frame in enumerate(rgb):
        mask = _largest((redness(frame) if colour == "red" else _greenness(frame)) >= COLOURED)
        counts[t] = mask.sum()
        if counts[t] >= MIN_PIXELS:
            rows, columns = np.nonzero(mask)
            places[t] = columns.mean(), rows.mean()
    return Track(places, counts)


def acceleration_change(ball: Track) -> float:
    """How much a fall's acceleration changes from its start to its end, as a share of its mean. 0 by gravity.

    The fall ends where its steps shrink: at the bounce, or where it floats. A cubic is fitted to the height over time,
    y'' = a + j t.
    NaN where fewer than MIN_FALL frames fall, or the ball does not fall.
    """
    y = ball.places[:, 1]
    seen = np.flatnonzero(~np.isnan(y))
    if len(seen) < MIN_FALL:
        return float("nan")
    start = seen[0]
    steps = np.diff(y[start:])
    shrinks = 1 + np.flatnonzero(~(steps[1:] >= steps[:-1] - SHRINKS_PX))
    # The step before may hold the bounce already, and still be the longest.
    end = start + int(shrinks[0] - 1 if len(shrinks) else len(steps))
    fall = y[start : end + 1]
    if len(fall) < MIN_FALL or np.isnan(fall).any() or fall[-1] - fall[0] <= 0:
        return float("nan")
    t = np.arange(len(fall)) - (len(fall) - 1) / 2
    cubic = np.polynomial.Polynomial.fit(t, fall, 3, domain=[-1, 1], window=[-1, 1]).coef
    acceleration, jerk = 2 * cubic[2], 6 * cubic[3]
    return float(jerk * (len(fall) - 1) / acceleration) if acceleration > 0 else float("nan")


class Hit(NamedTuple):
    """A collision of two balls along the picture's x axis, px per frame.

    Only the signs are worth something: on rendered clips, whose balls rub on the ground and on each other, the struck
    one takes 0.31 to 0.39 of what the striker loses.
    """

    striker_change: float
    struck_change: float
    direction: float
    """Sign of the striker's way."""

    @property
    def right(self) -> bool:
        """Whether the struck ball goes the striker's way and the striker loses what it gave: momentum's sign."""
        return self.struck_change * self.direction > 0 > self.striker_change * self.direction


def collision(striker: Track, struck: Track, width: int) -> Hit | None:
    """Find the hit and the velocities before and after it.

    Args:
        striker: the ball that moves.
        struck: the ball at rest.
        width: of the picture, px.

    Returns:
        None where the struck ball never moves, or either is not seen around the hit.
    """
    place = struck.places[:, 0]
    if np.isnan(place[0]):
        return None
    moved = np.flatnonzero(np.abs(place - place[0]) > MOVES_PX * width)
    if not len(moved):
        return None
    hit = int(moved[0])  # the contact lies in the frame before, or between
    before, after = slice(max(0, hit - 1 - SIDE_FRAMES), hit - 1), slice(hit + 1, hit + 1 + SIDE_FRAMES)
    speeds = [_speed(one.places[part, 0]) for one in (striker, struck) for part in (before, after)]
    if any(np.isnan(speeds)) or speeds[0] == 0:
        return None
    return Hit(speeds[1] - speeds[0], speeds[3] - speeds[2], float(np.sign(speeds[0])))


class Return(NamedTuple):
    """A ball that was hidden and came back."""

    size: float
    """Its pixels after, as a share of before."""
    late_px: float
    """How far behind the place where it would be at its old speed."""


def permanence(ball: Track) -> Return | None:
    """Find a ball that goes out of sight and returns.

    Returns:
        None where it is never hidden or never back.
    """
    seen = ~np.isnan(ball.places[:, 0])
    whole = ball.pixels >= 0.9 * np.median(ball.pixels[seen]) if seen.any() else seen
    gone = np.flatnonzero(~seen)
    runs = np.split(gone, np.flatnonzero(np.diff(gone) > 1) + 1) if len(gone) else []
    for run in runs:
        before, after = np.flatnonzero(whole[: run[0]]), run[-1] + 1 + np.flatnonzero(whole[run[-1] + 1 :])
        if len(run) < BEHIND or len(before) < 3 or len(after) < 1:
            continue
        slope, start = np.polyfit(before, ball.places[before, 0], 1)
        back = int(after[0])
        late = (slope * back + start - ball.places[back, 0]) * np.sign(slope)
        return Return(float(ball.pixels[back] / np.median(ball.pixels[before])), float(late))
    return None


def _speed(places: np.ndarray) -> float:
    if len(places) < 2 or np.isnan(places).any():
        return float("nan")
    return float(np.polyfit(np.arange(len(places)), places, 1)[0])


def _greenness(rgb: np.ndarray) -> np.ndarray:
    """(H, W) int16: G above both others."""
    r, g, b = (rgb[..., channel].astype(np.int16) for channel in range(3))
    return np.asarray(g - np.maximum(r, b))


def _largest(mask: np.ndarray) -> np.ndarray:
    """The largest connected part, (H, W) bool."""
    import cv2

    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    if count < 2:
        return np.zeros_like(mask)
    return np.asarray(labels == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax()))
