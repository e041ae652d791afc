"""Read joints off a blurred drawing: what a small network estimates of thin lines is dim and smeared.

Each limb has a hue of its own, so a pixel belongs to a limb by its hue, as much as it is bright. A joint that two limbs
share is where both are; one at the end of a limb is the limb's end that is farther from the other joint. People are
bright regions that do not touch. The method and its bounds are ours; docs/renderings.md has what it reads of exact
drawings, which is less than openuni/codec/skeleton_parsing.py does.
"""

from typing import Any

import numpy as np

from openuni.codec.skeleton_drawing import JOINT_COLOURS, LIMBS, OPENPOSE_FROM_COCO

HUE_WIDTH_DEG = 8.0  # ours: limbs are 20 degrees apart, and a pixel between two is near both
BLUR_PX = 1.0  # ours: lines are one pixel wide
MIN_LEVEL = 24  # of 255, ours: darker is background
MIN_PERSON_PX = 8  # ours: fewer bright pixels are no person
MAX_PEOPLE = 4  # the brightest regions of a frame
MIN_WEIGHT = 0.15  # ours: of a limb's brightest pixel over all limbs of the person; less is not that limb
END_SHARE = 0.9  # ours: the end of a limb is beyond this share of its weight
DRAWN_LIMBS = tuple(range(13))
"""Without eyes and ears, which small drawings leave out."""


def read_blurred(frame: np.ndarray) -> np.ndarray:
    """Find the people of a frame.

    Args:
        frame: (H, W, 3) uint8 RGB, a drawing of 13 joints with lines of one pixel, or an estimate of one.

    Returns:
        (P, 17, 3) float32 COCO joints: x px, y px, confidence 1 where found, else all 0.
    """
    import cv2

    count, labels = cv2.connectedComponents((frame.max(axis=-1) >= MIN_LEVEL).astype(np.uint8), connectivity=8)
    regions = [labels == one for one in range(1, count)]
    regions = sorted((one for one in regions if one.sum() >= MIN_PERSON_PX), key=lambda one: -int(one.sum()))
    people = [_person(frame, region) for region in regions[:MAX_PEOPLE]]
    found = [one for one in people if one[:, 2].any()]
    return np.stack(found) if found else np.zeros((0, 17, 3), np.float32)


def _person(frame: np.ndarray, region: np.ndarray) -> np.ndarray:
    """(17, 3) joints of one region."""
    weights = limb_weights(np.where(region[..., None], frame, 0))
    strongest = max(float(one.max()) for one in weights.values())
    seen = {limb: one for limb, one in weights.items() if strongest and one.max() >= MIN_WEIGHT * strongest}
    joints = np.zeros((18, 3), np.float32)
    ends: list[tuple[int, int, int]] = []
    for joint in range(14):
        mine = [limb for limb in seen if joint in LIMBS[limb]]
        if len(mine) >= 2:
            joints[joint] = (*_peak(np.prod([np.sqrt(seen[limb]) for limb in mine[:2]], axis=0)), 1)
        elif mine:
            first, last = LIMBS[mine[0]]
            ends.append((joint, mine[0], first if last == joint else last))
    for joint, limb, other in ends:
        if joints[other, 2]:
            joints[joint] = (*_far_end(seen[limb], joints[other, :2]), 1)
    out = np.zeros((17, 3), np.float32)
    for coco, openpose in enumerate(_openpose_of_coco()):
        out[coco] = joints[openpose]
    return out


def limb_weights(frame: np.ndarray) -> dict[int, np.ndarray]:
    """Limb -> (H, W) float32: how bright a pixel is, as far as it has the limb's hue; blurred."""
    import cv2

    pixels = cv2.cvtColor(frame.astype(np.float32) / 255, cv2.COLOR_RGB2HSV)
    hue, strength = pixels[..., 0], pixels[..., 1] * pixels[..., 2]
    weights = {}
    for limb in DRAWN_LIMBS:
        away = np.abs(hue - _hue(JOINT_COLOURS[limb]))
        away = np.minimum(away, 360 - away)
        weight = strength * np.exp(-((away / HUE_WIDTH_DEG) ** 2))
        weights[limb] = cv2.GaussianBlur(weight, (5, 5), BLUR_PX, borderType=cv2.BORDER_CONSTANT)
    return weights


def _hue(colour: tuple[int, ...]) -> float:
    """Degrees, as OpenCV counts them."""
    import cv2

    pixel: Any = np.array([[colour]], np.float32) / 255
    return float(cv2.cvtColor(pixel, cv2.COLOR_RGB2HSV)[0, 0, 0])


def _peak(weight: np.ndarray) -> tuple[float, float]:
    """Column and row of the heaviest place: mean position of the 3 x 3 pixels around the largest."""
    row, column = np.unravel_index(int(weight.argmax()), weight.shape)
    rows = slice(max(0, row - 1), row + 2)
    columns = slice(max(0, column - 1), column + 2)
    part = weight[rows, columns] + 1e-9
    y, x = np.mgrid[rows, columns][:, : part.shape[0], : part.shape[1]]
    return float((part * x).sum() / part.sum()), float((part * y).sum() / part.sum())


def _far_end(weight: np.ndarray, start: np.ndarray) -> tuple[float, float]:
    """Column and row of a limb's end that is far from `start`: mean of its farthest tenth by weight."""
    y, x = np.nonzero(weight > 0.3 * weight.max())
    w = weight[y, x]
    distance = np.hypot(x - start[0], y - start[1])
    order = np.argsort(distance)
    share = np.cumsum(w[order]) / w.sum()
    far = order[share >= END_SHARE]
    return float(np.average(x[far], weights=w[far])), float(np.average(y[far], weights=w[far]))


def _openpose_of_coco() -> list[int]:
    """COCO joint -> OpenPose's number of it."""
    return [OPENPOSE_FROM_COCO.index(joint) for joint in range(17)]
