"""Shape: frames and maps picked, scaled and cropped from the middle to a batch's size, and mirrored.

Maps are scaled to the nearest pixel: ids cannot be mixed, and a mixture of two depths or flows across an edge is
neither.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from openuni.modality import Map
from openuni.model.data.strides import compose
from openuni.resize import nearest_pixels, scaled_skeleton, take_pixels

SIDES = re.compile(r"\b(left|right)", re.IGNORECASE)
"""A caption with such a word would be false of the mirrored clip."""
BODY_PAIRS = tuple((one, one + 1) for one in range(1, 17, 2))
"""COCO-17: nose, then eyes, ears, shoulders, elbows, wrists, hips, knees, ankles, left first."""
FACE_PAIRS = (
    *((one, 16 - one) for one in range(8)),  # jaw; 8 is the chin
    *((17 + one, 26 - one) for one in range(5)),  # brows; 27 to 30 are the bridge of the nose
    *((31, 35), (32, 34), (36, 45), (37, 44), (38, 43), (39, 42), (40, 47), (41, 46)),  # nostrils, eyes
    *((48, 54), (49, 53), (50, 52), (59, 55), (58, 56), (60, 64), (61, 63), (67, 65)),  # lips
)
"""The 68 face points of iBUG 300-W, which COCO-WholeBody takes."""
WHOLE_BODY_PAIRS = (
    *BODY_PAIRS,
    *((17 + one, 20 + one) for one in range(3)),  # big toe, small toe, heel
    *((23 + one, 23 + other) for one, other in FACE_PAIRS),
    *((91 + one, 112 + one) for one in range(21)),  # left hand, right hand
)
"""COCO-WholeBody (Jin et al. 2020): body 0-16, feet 17-22, face 23-90, hands 91-132."""
PART_PAIRS = tuple((one, one + 1) for one in range(3, 25, 2))
"""DensePose (Guler et al. 2018): 1 and 2 are the trunk; then hands, feet, thighs, shins, arms, halves of the head."""


class Fit(NamedTuple):
    """How a clip comes to a batch's size: scaled until it covers it, then cropped from the middle."""

    source: tuple[int, int]
    """Height and width of the clip, px."""
    scaled: tuple[int, int]
    """After scaling."""
    size: tuple[int, int]
    """Of the batch."""

    @property
    def corner(self) -> tuple[int, int]:
        """Top and left of the crop in the scaled picture."""
        return (self.scaled[0] - self.size[0]) // 2, (self.scaled[1] - self.size[1]) // 2

    @property
    def scale(self) -> tuple[float, float]:
        """Scaled px of a source px, down and across; they differ by rounding only."""
        return self.scaled[0] / self.source[0], self.scaled[1] / self.source[1]


def fit(source: tuple[int, int], size: tuple[int, int]) -> Fit:
    """Return how a clip of one size fills another."""
    scale = max(size[0] / source[0], size[1] / source[1])
    return Fit(source, (max(size[0], round(source[0] * scale)), max(size[1], round(source[1] * scale))), size)


def fit_frames(frames: np.ndarray, how: Fit) -> np.ndarray:
    """Scale and crop (T, H, W, 3) uint8 frames: area averages downwards, cubic upwards. A view where nothing scales."""
    import cv2

    top, left = how.corner
    rows, columns = slice(top, top + how.size[0]), slice(left, left + how.size[1])
    if how.scaled == how.source:
        return frames[:, rows, columns]
    smooth = cv2.INTER_AREA if how.scaled[0] < how.source[0] else cv2.INTER_CUBIC
    out = np.empty((len(frames), *how.size, 3), dtype=np.uint8)
    for frame, place in zip(frames, out, strict=True):
        place[:] = cv2.resize(frame, how.scaled[::-1], interpolation=smooth)[rows, columns]
    return out


def pick_map(name: str, map: Map, picks: np.ndarray) -> Map:
    """Keep a map's picked frames; flow is composed between them, and its last frame becomes invalid."""
    if name == "skeleton":
        arrays = {key: array[picks] if key == "boxes" else array for key, array in map.arrays.items()}
        return replace(map, data=map.data[picks], arrays=arrays)
    chosen = evenly(picks)
    if name != "flow":
        return _each(map, lambda array: array[chosen])
    assert map.valid is not None  # its codec has made sure
    if (np.diff(picks) == 1).all():
        picked = _each(map, lambda array: array[chosen])
        assert picked.valid is not None
        valid = picked.valid.copy()
        valid[-1] = False
        return replace(picked, valid=valid)
    data, valid = compose(map.data, map.valid, picks)
    # "occluded" says that a point is hidden one stored frame later: not known of the next picked one.
    return replace(map, data=data, valid=valid, arrays={})


def fit_map(name: str, map: Map, how: Fit) -> Map:
    """Scale and crop a map; flow vectors, joints and boxes with it. Joints outside the crop have confidence 0."""
    if name == "skeleton":
        return _fit_skeleton(map, how)
    (top, left), (height, width) = how.corner, how.size
    if how.scaled == how.source:
        return _each(map, lambda array: array[:, top : top + height, left : left + width])
    rows, columns = (
        nearest_pixels(source, scaled, start=start, count=count)
        for count, start, source, scaled in zip(how.size, how.corner, how.source, how.scaled, strict=True)
    )
    fitted = _each(map, lambda array: take_pixels(array, rows, columns))
    if name == "flow":
        fitted.data[...] *= np.array(how.scale[::-1], dtype=np.float32)
    return fitted


def flip_frames(frames: np.ndarray) -> np.ndarray:
    """Mirror (T, H, W) or (T, H, W, channels) left to right; a new array."""
    return _rewritten(frames, np.empty(frames.shape, dtype=frames.dtype), flip=True)


def settle_(frames: np.ndarray, *, flip: bool = False) -> np.ndarray:
    """Make a view of a decoded array contiguous, mirrored or not, in the memory of that array, which is overwritten.

    A new array of this size would cost more than the copying does: its pages have to be zeroed first.

    Args:
        frames: (T, H, W) or (T, H, W, channels); a view by increasing frames, and by rows and columns, or an array.
        flip: mirror left to right.
    """
    whole = frames if frames.base is None else frames.base
    if frames.flags.c_contiguous and not flip:
        return frames
    owned = isinstance(whole, np.ndarray) and whole.flags.owndata and whole.flags.c_contiguous and whole.flags.writeable
    if not owned or (whole.dtype, whole.ndim) != (frames.dtype, frames.ndim) or min(frames.strides) < 1:
        return flip_frames(frames) if flip else np.ascontiguousarray(frames)
    # Frame t of the result ends before frame t + 1 of the view begins, since the view has no more pixels in a frame.
    return _rewritten(frames, whole.reshape(-1)[: frames.size].reshape(frames.shape), flip=flip)


def _rewritten(frames: np.ndarray, out: np.ndarray, *, flip: bool) -> np.ndarray:
    """Write frames to `out` one by one, through a copy of each."""
    import cv2

    # OpenCV has no bool. Its flip is ten times as fast as numpy's for pixels of three bytes.
    shown, drawn = (array.view(np.uint8) if array.dtype == bool else array for array in (frames, out))
    for frame, place in zip(shown, drawn, strict=True):
        place[...] = cv2.flip(np.ascontiguousarray(frame), 1).reshape(frame.shape) if flip else frame.copy()
    return out


def settle_map_(map: Map) -> Map:
    """Make a map's arrays contiguous, in their own memory; see `settle_`."""
    return _each(map, settle_)


def flip_map(name: str, map: Map, width: int, *, mirror: Callable[[np.ndarray], np.ndarray] = flip_frames) -> Map:
    """Mirror a map left to right: the map that the mirrored clip has.

    Args:
        name: its modality.
        map: the map.
        width: of the picture, px.
        mirror: what mirrors its (T, H, W, ...) arrays, and gives arrays that may be written to.

    Raises:
        ValueError: DensePose with U and V, which have no mirror without the charts.
    """
    if name == "skeleton":
        return _flip_skeleton(map, width)
    if name == "densepose" and "uv" in map.arrays:
        raise ValueError("U and V of DensePose cannot be mirrored: leave them out")
    flipped = _each(map, mirror)
    if name == "flow":
        np.negative(flipped.data[..., 0], out=flipped.data[..., 0])
    if name == "densepose":
        flipped = replace(flipped, data=_swapped(25, PART_PAIRS).astype(np.uint8)[flipped.data])
    return flipped


def evenly(picks: np.ndarray) -> slice | np.ndarray:
    """Return indices as a slice where they are evenly spaced: arrays are then views, not copies."""
    steps = np.diff(picks)
    if len(picks) > 1 and (steps == steps[0]).all():
        return slice(int(picks[0]), int(picks[-1]) + 1, int(steps[0]))
    return picks


def speaks_of_sides(caption: str) -> bool:
    """Whether a caption says left or right."""
    return bool(SIDES.search(caption))


def _each(map: Map, change: Callable[[np.ndarray], np.ndarray]) -> Map:
    """Apply one function to all (T, H, W, ...) arrays of a map."""
    valid = None if map.valid is None else change(map.valid)
    return replace(map, data=change(map.data), valid=valid, arrays={k: change(v) for k, v in map.arrays.items()})


def _fit_skeleton(map: Map, how: Fit) -> Map:
    height, width = how.size
    scaled = scaled_skeleton(map, how.scaled, how.size, how.corner)
    data, arrays = scaled.data.copy(), dict(scaled.arrays)
    x, y = data[..., 0], data[..., 1]
    outside = ~((x >= -0.5) & (x <= width - 0.5) & (y >= -0.5) & (y <= height - 0.5))
    data[..., 2][outside] = 0
    if "boxes" in arrays:
        limits = np.array([width - 1, height - 1] * 2, np.float32)
        arrays["boxes"] = np.minimum(np.maximum(arrays["boxes"], 0), limits)
    return replace(scaled, data=data, arrays=arrays)


def _flip_skeleton(map: Map, width: int) -> Map:
    joints = map.data.shape[2]
    data = map.data[:, :, _swapped(joints, WHOLE_BODY_PAIRS if joints == 133 else BODY_PAIRS)]
    data[..., 0] = width - 1 - data[..., 0]
    arrays = dict(map.arrays)
    if "boxes" in arrays:
        boxes = arrays["boxes"].copy()
        boxes[..., 0], boxes[..., 2] = width - 1 - arrays["boxes"][..., 2], width - 1 - arrays["boxes"][..., 0]
        arrays["boxes"] = boxes
    return replace(map, data=data, arrays=arrays)


def _swapped(size: int, pairs: tuple[tuple[int, int], ...]) -> np.ndarray:
    """(size,) indices with the two of each pair exchanged."""
    order: np.ndarray = np.arange(size)
    for one, other in pairs:
        order[one], order[other] = other, one
    return order
