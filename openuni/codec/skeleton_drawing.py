"""Draw skeletons as OpenPose and DWPose do: limbs as ellipses in dimmed colours, joints as discs in full ones."""

import colorsys

import numpy as np

# OpenPose's 18 joints: nose, neck, right shoulder, elbow, wrist, left ones, right hip, knee, ankle, left ones,
# right eye, left eye, right ear, left ear. -1 is the neck, which COCO does not have.
OPENPOSE_FROM_COCO = (0, -1, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3)
NECK = 1
COCO_SHOULDERS = (5, 6)
LIMBS = (
    (1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (1, 8), (8, 9), (9, 10),
    (1, 11), (11, 12), (12, 13), (1, 0), (0, 14), (14, 16), (0, 15), (15, 17),
)  # fmt: skip
"""Joint pairs of the limbs; limb i has the colour of joint i, times LIMB_SHADE."""
JOINT_COLOURS = (
    (255, 0, 0), (255, 85, 0), (255, 170, 0), (255, 255, 0), (170, 255, 0), (85, 255, 0), (0, 255, 0), (0, 255, 85),
    (0, 255, 170), (0, 255, 255), (0, 170, 255), (0, 85, 255), (0, 0, 255), (85, 0, 255), (170, 0, 255),
    (255, 0, 255), (255, 0, 170), (255, 0, 85),
)  # fmt: skip
LIMB_SHADE = 0.6  # OpenPose, DWPose; also read off UnityVideo's teaser
HAND_JOINT_COLOUR = (0, 0, 255)
FACE_COLOUR = (255, 255, 255)
MIN_CONFIDENCE = 0.3  # DWPose
STICK_PX = 4  # half the width of a limb and the radius of a joint: DWPose, which draws at 512 px short side
STICK_SHORT_SIDE_PX = 512
HAND_POINTS = 21
HANDS_AT = (91, 112)  # where the left and the right hand start among the 133
FACE_AT = slice(23, 91)
# A hand is the wrist and five fingers of four joints each.
HAND_EDGES = tuple(
    (0 if step == 0 else 4 * finger + step, 4 * finger + step + 1) for finger in range(5) for step in range(4)
)
SUBPIXEL_BITS = 4  # 1/16 px: joints must not jump by whole pixels
FAR_PX = 30_000.0  # OpenCV draws with 16 bits before the point; nothing that far is in the picture


def stick_width(height: int, width: int) -> int:
    """Return half the width of a limb in px: STICK_PX at STICK_SHORT_SIDE_PX, in proportion, at least 1."""
    return max(1, round(STICK_PX * min(height, width) / STICK_SHORT_SIDE_PX))


def to_openpose(body: np.ndarray) -> np.ndarray:
    """Convert COCO joints to OpenPose's.

    Args:
        body: (P, 17 or more, 3) x px, y px, confidence; joints from the 18th on are ignored.

    Returns:
        (P, 18, 3). The neck is the middle of the shoulders, with the smaller confidence of the two; the drawing
        threshold then makes it visible only if both are.
    """
    joints = body[:, OPENPOSE_FROM_COCO].copy()
    left, right = (body[:, shoulder] for shoulder in COCO_SHOULDERS)
    joints[:, NECK, :2] = (left[:, :2] + right[:, :2]) / 2
    joints[:, NECK, 2] = np.minimum(left[:, 2], right[:, 2])
    return joints


def draw(people: np.ndarray, size: tuple[int, int], stick_px: int, *, hands: bool, face: bool) -> np.ndarray:
    """Draw one frame.

    Args:
        people: (P, K, 3) x px, y px, confidence; K = 17 or 133.
        size: height, width in px.
        stick_px: half the width of a limb, and the radius of a joint.
        hands: draw the hands where K = 133.
        face: draw the face points where K = 133.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    canvas = np.zeros((*size, 3), dtype=np.uint8)
    joints = to_openpose(people)
    for limb, (first, last) in enumerate(LIMBS):
        colour = tuple(int(channel * LIMB_SHADE) for channel in JOINT_COLOURS[limb])
        for one in joints:
            if _seen(one[[first, last]]):
                _limb(canvas, one[first, :2], one[last, :2], stick_px, colour)
    for joint, colour in enumerate(JOINT_COLOURS):
        for one in joints:
            _disc(canvas, one[joint], stick_px, colour)
    whole_body = people.shape[1] > 17
    for one in people if whole_body and hands else ():
        for start in HANDS_AT:
            _hand(canvas, one[start : start + HAND_POINTS], stick_px)
    for one in people if whole_body and face else ():
        for point in one[FACE_AT]:
            _disc(canvas, point, max(1, round(0.75 * stick_px)), FACE_COLOUR)
    return canvas


def _seen(points: np.ndarray) -> bool:
    return bool((points[..., 2] > MIN_CONFIDENCE).all())


def _fixed(points: np.ndarray) -> np.ndarray:
    """Pixels -> OpenCV's fixed point numbers."""
    return np.rint(np.clip(points, -FAR_PX, FAR_PX) * (1 << SUBPIXEL_BITS)).astype(np.int32)


def _limb(canvas: np.ndarray, first: np.ndarray, last: np.ndarray, stick_px: int, colour: tuple[int, ...]) -> None:
    """Fill the ellipse whose long axis is the limb."""
    import cv2

    along = (last - first) / 2
    length = float(np.hypot(*along))
    across = np.array([-along[1], along[0]]) / length * stick_px if length > 0 else np.array([0.0, stick_px])
    angle = np.linspace(0, 2 * np.pi, 64, endpoint=False)[:, None]
    outline = (first + last) / 2 + np.cos(angle) * along + np.sin(angle) * across
    cv2.fillConvexPoly(canvas, _fixed(outline), colour, lineType=cv2.LINE_8, shift=SUBPIXEL_BITS)


def _disc(canvas: np.ndarray, point: np.ndarray, radius_px: int, colour: tuple[int, ...]) -> None:
    import cv2

    if _seen(point):
        centre = tuple(int(value) for value in _fixed(point[:2]))
        cv2.circle(canvas, centre, radius_px << SUBPIXEL_BITS, colour, -1, cv2.LINE_8, SUBPIXEL_BITS)


def _hand(canvas: np.ndarray, points: np.ndarray, stick_px: int) -> None:
    """Draw the 20 edges of a hand in their hues, half as thick as limbs, and its joints."""
    import cv2

    for edge, (first, last) in enumerate(HAND_EDGES):
        if _seen(points[[first, last]]):
            hue = colorsys.hsv_to_rgb(edge / len(HAND_EDGES), 1, 1)
            start, end = (_fixed(points[one, :2]).tolist() for one in (first, last))
            colour = tuple(int(channel * 255) for channel in hue)
            cv2.line(canvas, start, end, colour, max(1, stick_px // 2), cv2.LINE_8, SUBPIXEL_BITS)
    for point in points:
        _disc(canvas, point, stick_px, HAND_JOINT_COLOUR)
