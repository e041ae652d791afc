"""Resize: frames and maps at another height and width, everything in them kept: nothing is cropped.

How a prediction gets to the truth's size. Pixels keep their centres: x' = (x + 1/2) W' / W - 1/2.
"""

from dataclasses import replace

import numpy as np

from openuni.modality import Map

SMOOTH = {"depth", "flow"}
"""Modalities whose values can be blended; ids, parts and their coordinates cannot."""


def resized_frames(frames: np.ndarray, *, height: int, width: int) -> np.ndarray:
    """Scale (T, H, W, 3) uint8 frames: area averages where both sides shrink or stay, cubic else. Unchanged at size."""
    import cv2

    if frames.shape[1:3] == (height, width):
        return frames
    smaller = height <= frames.shape[1] and width <= frames.shape[2]
    how = cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
    return np.stack([cv2.resize(frame, (width, height), interpolation=how) for frame in frames])


def resized_map(name: str, map: Map, *, height: int, width: int, smooth: bool = True) -> Map:
    """Scale a map, and the lengths in it.

    Relative disparity and flow are blended bilinearly, where no invalid pixel takes part. Metric depth (infinite in
    the sky), ids, parts, U and V, and what is valid are taken from the nearest pixel. Flow vectors, joints and boxes
    are scaled, each axis by its own factor.

    Args:
        name: the modality.
        map: one of it. A skeleton says its own height and width.
        height: wanted, px.
        width: wanted, px.
        smooth: False takes the nearest pixel everywhere, as training does.
    """
    if name == "skeleton":
        return scaled_skeleton(map, (height, width), (height, width))
    have = map.data.shape[1:3]
    if have == (height, width):
        return map
    rows, columns = nearest_pixels(have[0], height), nearest_pixels(have[1], width)

    def nearest(array: np.ndarray) -> np.ndarray:
        return take_pixels(array, rows, columns)

    valid = None if map.valid is None else nearest(map.valid)
    data = nearest(map.data)
    if smooth and name in SMOOTH and map.facts.get("kind") != "metric_depth":
        data = _blended(map, data, height, width)
    if name == "flow":
        data = data * np.array([width / have[1], height / have[0]], np.float32)
    return replace(map, data=data, valid=valid, arrays={key: nearest(array) for key, array in map.arrays.items()})


def _blended(map: Map, nearest: np.ndarray, height: int, width: int) -> np.ndarray:
    """Bilinear values; the nearest pixel's where an invalid or infinite one would take part."""
    import cv2

    usable = np.isfinite(map.data) if map.data.ndim == 3 else np.isfinite(map.data).all(axis=-1)
    if map.valid is not None:
        usable &= map.valid
    out = np.empty_like(nearest)
    for frame, good, near, place in zip(map.data, usable, nearest, out, strict=True):
        mask = good if frame.ndim == 2 else good[..., None]
        filled = np.where(mask, frame, np.float32(0))
        mixed = cv2.resize(filled, (width, height), interpolation=cv2.INTER_LINEAR)
        whole = cv2.resize(good.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR) >= 1 - 1e-6
        place[:] = np.where(whole if frame.ndim == 2 else whole[..., None], mixed, near)
    return out


def nearest_pixels(source: int, scaled: int, *, start: int = 0, count: int | None = None) -> np.ndarray:
    """Return which pixel of a side of `source` px each pixel shows of that side scaled to `scaled` px.

    Args:
        source: px.
        scaled: px.
        start: the first pixel wanted of the scaled side.
        count: how many pixels are wanted; None: all.

    Returns:
        (count,) integers.
    """
    wanted = np.arange(scaled if count is None else count) + start
    # (wanted + 1/2) source / scaled in whole numbers: a centre that falls between two pixels goes to the later one.
    found: np.ndarray = (2 * wanted + 1) * source // (2 * scaled)
    return found


def take_pixels(array: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return (T, rows, columns, ...) of a (T, H, W, ...) array; a new one."""
    # Rows first: they are copied whole. "clip" spares a check of each index.
    return array.take(rows, axis=1, mode="clip").take(columns, axis=2, mode="clip")


def scaled_skeleton(map: Map, scaled: tuple[int, int], size: tuple[int, int], corner: tuple[int, int] = (0, 0)) -> Map:
    """Return a skeleton of the picture scaled and then cropped: joints and boxes, which may lie outside.

    Args:
        map: says its own height and width.
        scaled: height and width after scaling, px.
        size: height and width of the crop.
        corner: top and left of the crop.
    """
    sides = (int(map.facts["height"]), int(map.facts["width"]))
    if sides == scaled == size:
        return map
    (down, across), (top, left) = (new / old for new, old in zip(scaled, sides, strict=True)), corner
    data = map.data.copy()
    # Whole numbers are pixel centres.
    data[..., 0] = (data[..., 0] + 0.5) * across - 0.5 - left
    data[..., 1] = (data[..., 1] + 0.5) * down - 0.5 - top
    arrays = dict(map.arrays)
    if "boxes" in arrays:
        boxes = (arrays["boxes"] + 0.5) * np.array([across, down] * 2) - 0.5 - np.array([left, top] * 2)
        arrays["boxes"] = boxes.astype(np.float32)
    return replace(map, data=data, arrays=arrays, facts={**map.facts, "height": size[0], "width": size[1]})
