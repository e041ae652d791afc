"""Dense inverse search flow (OpenCV DIS) and the arithmetic of flow fields that the embedded annotators share.

Flow fields are (H, W, 2) float32 pixels, (dx, dy), from the frame they belong to. DIS: Kroeger et al., "Fast Optical
Flow using Dense Inverse Search", ECCV 2016, as in cv2.DISOpticalFlow.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import numpy as np

PRESETS = {"ultrafast": 0, "fast": 1, "medium": 2}
"""cv2.DISOPTICAL_FLOW_PRESET_*."""
SMALLEST_SIDE_PX = 16  # DIS needs patches of 8 px on a pyramid of at least one level


def make_dis(preset: str) -> Any:
    """Return a DIS object; OpenCV is held to one thread, so that results do not depend on the machine's cores.

    Raises:
        ValueError: unknown preset.
    """
    import cv2

    if preset not in PRESETS:
        raise ValueError(f"preset must be one of {', '.join(PRESETS)}, got {preset!r}")
    cv2.setNumThreads(1)
    return cv2.DISOpticalFlow.create(PRESETS[preset])


def to_gray(rgb: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 RGB to (H, W) uint8 luma."""
    import cv2

    return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY))


def work_size(rgb: np.ndarray, side_px: int) -> tuple[int, int]:
    """Height and width of the size to work at; never larger than the frames, but for tiny ones.

    Args:
        rgb: (T, H, W, 3).
        side_px: its long side.
    """
    height, width = rgb.shape[1:3]
    scale = min(1.0, side_px / max(height, width))
    return max(SMALLEST_SIDE_PX, round(height * scale)), max(SMALLEST_SIDE_PX, round(width * scale))


def shrink(pictures: Iterable[np.ndarray], height: int, width: int) -> list[np.ndarray]:
    """Bring pictures, (H, W) or (H, W, 3) uint8, to the size to work at."""
    import cv2

    return [np.asarray(cv2.resize(one, (width, height), interpolation=cv2.INTER_AREA)) for one in pictures]


def check_flow(flow: np.ndarray, rgb: np.ndarray) -> None:
    """Raise ValueError unless a flow map (T, H, W, 2) belongs to frames (T, H, W, 3)."""
    if flow.shape != (*rgb.shape[:3], 2):
        raise ValueError(f"flow must be {(*rgb.shape[:3], 2)} for frames {rgb.shape}, got {flow.shape}")


@lru_cache(maxsize=4)
def pixel_grid(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """x and y of every pixel, each (H, W) float32; read-only, because they are shared."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    x.flags.writeable = y.flags.writeable = False
    return x, y


def sample(array: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """Look up `array` where each pixel moves to, bilinear, edges repeated.

    Args:
        array: (H, W) or (H, W, C) float32 or uint8, in the other frame.
        flow: (H, W, 2) float32 px.

    Returns:
        An array of `array`'s dtype, on `flow`'s pixels.
    """
    import cv2

    x, y = pixel_grid(*flow.shape[:2])
    return np.asarray(
        cv2.remap(array, x + flow[..., 0], y + flow[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    )


def lands_inside(flow: np.ndarray) -> np.ndarray:
    """(H, W) bool: the end point lies on the picture, which reaches half a pixel beyond the outer centres.

    Without that half, noise of a thousandth of a pixel would make the border of a still clip leave the picture.
    """
    height, width = flow.shape[:2]
    x, y = pixel_grid(height, width)
    to_x, to_y = x + flow[..., 0], y + flow[..., 1]
    return np.asarray((to_x >= -0.5) & (to_x <= width - 0.5) & (to_y >= -0.5) & (to_y <= height - 0.5))


def length(vectors: np.ndarray) -> np.ndarray:
    """Euclidean length over the last axis of two."""
    return np.hypot(vectors[..., 0], vectors[..., 1])


def compose(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Flow a -> c from flows a -> b and b -> c."""
    return first + sample(second, first)


def invert(flow: np.ndarray, *, iterations: int = 4) -> np.ndarray:
    """Flow b -> a from flow a -> b, by the fixed point g(y) = -f(y + g(y)).

    Right where the flow is smooth and nothing is uncovered; there it converges geometrically, with the flow's
    gradient as its rate (4 iterations: to 1 % of the length at a gradient of 0.3).
    """
    back = -flow
    for _ in range(iterations):
        back = -sample(flow, back)
    return back


def resize_flow(flow: np.ndarray, height: int, width: int) -> np.ndarray:
    """Flow on a picture of another size, lengths scaled along."""
    import cv2

    scale = np.array([width / flow.shape[1], height / flow.shape[0]], np.float32)
    if flow.shape[:2] == (height, width):
        return flow
    return np.asarray(cv2.resize(flow, (width, height), interpolation=cv2.INTER_AREA)) * scale


def round_trip_error(forward: np.ndarray, backward: np.ndarray) -> np.ndarray:
    """(H, W) float32 px: how far a pixel lands from its start after going forward and back."""
    return length(forward + sample(backward, forward))
