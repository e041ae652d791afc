"""Tracks of people: boxes of single frames become persons with an id for the whole clip.

Skeleton, masks and DensePose of one clip stand on the same tracks, so that a person has the same id in each. A person
is expected where constant velocity puts them, and known again by their colours where boxes overlap or after they were
hidden; all persons of a frame are assigned together (Hungarian method, Kuhn 1955).

After Bewley et al., "Simple Online and Realtime Tracking", ICIP 2016 (motion, IoU, Hungarian) and Wojke et al., "Simple
Online and Realtime Tracking with a Deep Association Metric", ICIP 2017 (appearance); colour histograms stand in for the
network, and a person may come back at any time, since clips are short. Thresholds without a source are ours, by
perf/people_tracks.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from openuni.annotators.boxes import areas, intersections, ious

BANDS = 3  # head and chest, hips, legs: shirts and trousers are told apart
BINS = (8, 4, 4)  # hue, saturation, value
MIDDLE = 0.6  # share of a box's width that colours are taken from: its sides are background
MISSED_FRAMES = 8  # half a second at 16 fps: whoever is not seen for longer is somewhere else
GAIN, COVERED_GAIN = 0.6, 0.3  # how far a person is drawn from where they are expected to where they are seen
FORGETS = 6  # steps whose mean is the velocity
MOST_OFF = 0.4  # of a height: farther off counts no more, since who is covered may show only the feet
NOBODY = 1e3  # cost of a pair that is ruled out: larger than any sum of others


class Detections(NamedTuple):
    """What a detector found in one frame."""

    boxes: np.ndarray
    """(N, 4) float32 x0, y0, x1, y1 px."""
    scores: np.ndarray
    """(N,) float32, 0..1."""
    joints: np.ndarray | None = None
    """(N, K, 3) float32 x px, y px, confidence, where the detector gives them too."""


class Tracks(NamedTuple):
    """P persons over T frames."""

    ids: np.ndarray
    """(P,) int64: 1, 2, ... in the order of appearance, in the same frame the larger first."""
    found: np.ndarray
    """(T, P) int64: which detection of the frame is the person; -1 where none is."""
    boxes: np.ndarray
    """(T, P, 4) float32, zeros where the person is not found."""


@dataclass(frozen=True, kw_only=True)
class Linking:
    """How boxes are linked."""

    motion_weight: float = 0.6
    """Share of the overlap with the expected place in a pair's cost; the rest is colours."""
    level_weight: float = 1.0
    """What head and feet that are off by the person's height add to the cost of a place."""
    max_cost: float = 0.9
    """A pair that costs more is nobody's: the detection starts a new person. 0 is a perfect match, 1 none at all."""
    reach: float = 0.6
    """Heights of the person that a centre may be off the expected place where boxes do not overlap."""
    reach_growth: float = 0.08
    """What `reach` gains for each frame in which the person was not seen."""
    free: float = 0.1
    """Colours and speed are learnt only while no other box covers more than this share of the person's."""
    min_frames: int = 3
    """Persons seen in fewer frames are left out (in clips of fewer frames: all are kept)."""


@dataclass
class _Person:
    """A person while tracks are being made."""

    colours: np.ndarray
    centre: np.ndarray
    size: np.ndarray
    velocity: np.ndarray = field(default_factory=lambda: np.zeros(2))
    places: dict[int, int] = field(default_factory=dict)
    """Frame -> index of the detection."""
    learnt: int = 1
    """How many detections the colours are the mean of."""
    whole: tuple[int, np.ndarray] | None = None
    """The last frame in which nobody covered them, and their centre in it."""

    def expected(self, t: int) -> np.ndarray:
        """Return the box (4,) where the person should be in frame t."""
        centre = self.centre + self.velocity * (t - max(self.places))
        return np.concatenate([centre - self.size / 2, centre + self.size / 2])


def track(rgb: np.ndarray, frames: Sequence[Detections], linking: Linking = Linking()) -> Tracks:
    """Give the detections of all frames ids that follow people over time.

    Args:
        rgb: (T, H, W, 3) uint8 RGB.
        frames: T frames' detections, in any order.
        linking: see there.

    Raises:
        ValueError: `rgb` and `frames` differ in length.
    """
    if len(rgb) != len(frames):
        raise ValueError(f"detections must be given for each of {len(rgb)} frames, got {len(frames)}")
    people: list[_Person] = []
    for t, found in enumerate(frames):
        if not len(found.boxes):
            continue
        boxes = np.asarray(found.boxes, np.float64)
        colours = [_colours(rgb[t], box) for box in boxes]
        pairs = _assign(people, boxes, colours, t, linking)
        covered = np.maximum(_covered(boxes), _covered_by_missed(boxes, pairs, people, t))
        for number in sorted(range(len(boxes)), key=lambda one: -areas(boxes[one : one + 1])[0]):
            centre, size = (boxes[number, :2] + boxes[number, 2:]) / 2, boxes[number, 2:] - boxes[number, :2]
            if number not in pairs:
                people.append(_Person(colours[number], centre, size, whole=(t, centre)))
                pairs[number] = people[-1]
            _see(pairs[number], t, number, centre, size, colours[number], free=covered[number] <= linking.free)
    least = min(linking.min_frames, len(rgb))
    return _tracks([person for person in people if len(person.places) >= least], frames)


def _assign(
    people: Sequence[_Person], boxes: np.ndarray, colours: Sequence[np.ndarray], t: int, linking: Linking
) -> dict[int, _Person]:
    """Say which detection is which known person: index -> person."""
    from scipy.optimize import linear_sum_assignment

    if not people:
        return {}
    expected = np.stack([person.expected(t) for person in people])
    common = intersections(expected, boxes)
    smaller = np.minimum(areas(expected)[:, None], areas(boxes)[None])
    # Who comes out from behind another shows a sliver: all of it where the person is expected, but a small overlap.
    inside = np.divide(common, smaller, out=np.zeros_like(common), where=smaller > 0)
    overlap = np.maximum(ious(expected, boxes), 0.5 * inside)
    off = _centres(expected)[:, None] - _centres(boxes)[None]
    heights = np.maximum(expected[:, 3] - expected[:, 1], 1)[:, None]
    hidden = np.array([t - max(person.places) - 1 for person in people])[:, None]
    away = np.hypot(off[..., 0], off[..., 1]) / heights / (linking.reach + linking.reach_growth * hidden)
    # Arms and legs make boxes wider and narrower, but heads and feet stay: other levels are another person's.
    levels = np.abs(expected[:, None, 1::2] - boxes[None, :, 1::2]).sum(axis=-1) / heights
    misplaced = np.where(overlap > 0, 1 - overlap, 0.8 + 0.2 * away) + linking.level_weight * np.minimum(
        levels, MOST_OFF
    )
    unlike = np.array([[_unlike(person.colours, one) for one in colours] for person in people])
    cost = linking.motion_weight * misplaced + (1 - linking.motion_weight) * unlike
    ruled_out = ((overlap <= 0) & (away > 1)) | (cost > linking.max_cost)
    rows, columns = linear_sum_assignment(np.where(ruled_out, NOBODY, cost))
    return {
        int(column): people[row]
        for row, column in zip(rows, columns, strict=True)
        if not ruled_out[row, column]
    }  # fmt: skip


def _see(
    person: _Person, t: int, number: int, centre: np.ndarray, size: np.ndarray, colours: np.ndarray, *, free: bool
) -> None:
    """Note that a person was seen, and learn from it what can be learnt."""
    if not person.places:
        person.places[t] = number
        return
    ahead = person.centre + person.velocity * (t - max(person.places))
    # A covered box shows a part: the person goes on as expected, drawn a little to what is seen.
    person.centre = ahead + (GAIN if free else COVERED_GAIN) * (centre - ahead)
    if free:
        share = 1 / min(person.learnt, FORGETS)
        # Slope of the last steps, between frames in which nobody was in the way; legs make boxes breathe.
        if person.whole is not None:
            step = (centre - person.whole[1]) / (t - person.whole[0])
            person.velocity = person.velocity + share * (step - person.velocity)
        person.size = person.size + GAIN * (size - person.size)
        person.colours = person.colours + (colours - person.colours) / min(person.learnt + 1, 20)
        person.learnt += 1
        person.whole = (t, centre)
    person.places[t] = number


def _tracks(people: Sequence[_Person], frames: Sequence[Detections]) -> Tracks:
    found = np.full((len(frames), len(people)), -1, np.int64)
    boxes = np.zeros((len(frames), len(people), 4), np.float32)
    for column, person in enumerate(people):
        for t, number in person.places.items():
            found[t, column] = number
            boxes[t, column] = frames[t].boxes[number]
    return Tracks(np.arange(1, len(people) + 1, dtype=np.int64), found, boxes)


def _colours(rgb: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Square roots of the colour histograms of a box's bands, (BANDS * bins,); the sum of squares is 1."""
    import cv2

    height, width = rgb.shape[:2]
    middle, half = (box[0] + box[2]) / 2, MIDDLE * (box[2] - box[0]) / 2
    left = int(np.clip(middle - half, 0, width - 1))
    right = int(np.clip(np.ceil(middle + half), left + 1, width))
    edges = np.linspace(box[1], box[3], BANDS + 1)
    bands = []
    for low, high in pairwise(edges):
        top = int(np.clip(low, 0, height - 1))
        bottom = int(np.clip(np.ceil(high), top + 1, height))
        hsv = cv2.cvtColor(np.ascontiguousarray(rgb[top:bottom, left:right]), cv2.COLOR_RGB2HSV)
        counts = cv2.calcHist([hsv], [0, 1, 2], None, list(BINS), [0, 180, 0, 256, 0, 256]).ravel()
        bands.append(counts / max(counts.sum(), 1) / BANDS)
    return np.sqrt(np.concatenate(bands), dtype=np.float64)


def _unlike(one: np.ndarray, other: np.ndarray) -> float:
    """Hellinger distance of two rooted histograms: 0 the same colours, 1 none in common."""
    common = float(one @ other) / max(float(np.linalg.norm(one) * np.linalg.norm(other)), 1e-9)
    return float(np.sqrt(max(0.0, 1 - common)))


def _covered(boxes: np.ndarray) -> np.ndarray:
    """(N,) largest share of each box that another one covers."""
    if len(boxes) < 2:
        return np.zeros(len(boxes))
    common = intersections(boxes, boxes)
    np.fill_diagonal(common, 0)
    return np.asarray(common.max(axis=1) / np.maximum(areas(boxes), 1e-9))


def _covered_by_missed(boxes: np.ndarray, pairs: dict[int, _Person], people: Sequence[_Person], t: int) -> np.ndarray:
    """(N,) largest share of each box where somebody else is expected whom the detector missed in this frame."""
    seen = [id(person) for person in pairs.values()]
    missed = [person for person in people if id(person) not in seen and t - max(person.places) <= MISSED_FRAMES]
    if not missed:
        return np.zeros(len(boxes))
    common = intersections(boxes, np.stack([person.expected(t) for person in missed]))
    return np.asarray(common.max(axis=1) / np.maximum(areas(boxes), 1e-9))


def _centres(boxes: np.ndarray) -> np.ndarray:
    return np.asarray((boxes[:, :2] + boxes[:, 2:]) / 2)
