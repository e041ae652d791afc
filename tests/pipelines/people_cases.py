"""Two drawn people with joints, masks and body parts that fit each other, who pass each other."""

import numpy as np

from openuni.modality import Map

HEIGHT, WIDTH, FRAMES = 64, 128, 24
# COCO's joints of a person 14 px wide and 40 px high, from the top left of their box; the left hand is on the right.
JOINTS = np.array(
    [[7, 3], [8, 2], [6, 2], [9, 3], [5, 3], [10, 10], [4, 10], [12, 15], [2, 15], [12, 20], [2, 20], [9, 21], [5, 21],
     [9, 29], [5, 29], [9, 37], [5, 37]], np.float32,
)  # fmt: skip
PARTS = (  # part, columns, rows
    (23, (0, 7), (0, 7)), (24, (7, 14), (0, 7)), (2, (4, 11), (7, 22)), (17, (11, 14), (7, 16)), (18, (0, 4), (7, 16)),
    (21, (11, 14), (16, 22)), (22, (0, 4), (16, 22)), (10, (7, 14), (22, 29)), (9, (0, 7), (22, 29)),
    (14, (7, 14), (29, 36)), (13, (0, 7), (29, 36)), (5, (7, 14), (36, 40)), (6, (0, 7), (36, 40)),
)  # fmt: skip


def two_who_pass() -> dict[str, Map]:
    """Skeleton, segmentation (ids 1 and 2) and densepose. The second is behind the first."""
    joints = np.zeros((FRAMES, 2, 17, 3), np.float32)
    masks, parts = (np.zeros((FRAMES, HEIGHT, WIDTH), np.uint8) for _ in range(2))
    for t in range(FRAMES):
        for person, x, y in ((1, 108 - 4 * t, 8), (0, 6 + 4 * t, 14)):
            joints[t, person, :, :2] = JOINTS + np.array([x, y])
            masks[t, y : y + 40, x : x + 14] = person + 1
            for part, (left, right), (top, bottom) in PARTS:
                parts[t, y + top : y + bottom, x + left : x + right] = part
        # Where the first is in front, the second's joints are hidden.
        columns, rows = joints[t, 1, :, 0].astype(int), joints[t, 1, :, 1].astype(int)
        joints[t, 0, :, 2] = 0.9
        joints[t, 1, :, 2] = np.where(masks[t, rows, columns] == 2, 0.9, 0.45)
    facts = {"height": HEIGHT, "width": WIDTH}
    skeleton = Map(data=joints, arrays={"track_ids": np.array([1, 2])}, facts=facts)
    return {"skeleton": skeleton, "segmentation": Map(data=masks), "densepose": Map(data=parts)}


def with_joints(maps: dict[str, Map], joints: np.ndarray) -> dict[str, Map]:
    """The maps with other joints."""
    old = maps["skeleton"]
    return maps | {"skeleton": Map(data=joints.astype(np.float32), arrays=old.arrays, facts=old.facts)}
