"""Made maps for codec tests: smooth, moving, with edges, so that video codecs meet what real maps have."""

import numpy as np

from openuni.modality import Map

# A standing person, 100 units high, COCO order.
BODY = np.array(
    [(0, 0), (2, -3), (-2, -3), (5, -1), (-5, -1), (11, 14), (-11, 14), (17, 30), (-17, 30), (22, 44), (-22, 44),
     (7, 45), (-7, 45), (9, 68), (-9, 68), (10, 92), (-10, 92)], dtype=np.float64)  # fmt: skip


def grid(height, width):
    """Rows and columns as floats."""
    return np.mgrid[:height, :width].astype(np.float64)


def disc(height, width, row, column, radius):
    """(H, W) bool, True inside the disc."""
    rows, columns = grid(height, width)
    return np.hypot(rows - row, columns - column) < radius


def depth_map(frames=5, height=48, width=64, kind="relative_disparity"):
    """A slanted floor with a nearer disc that moves over it; the first row is invalid; sky where metric."""
    rows, columns = grid(height, width)
    floor = 0.2 + rows / height + 0.1 * columns / width
    data = np.stack([floor + disc(height, width, height / 2, 10 + 2 * t, height / 5) for t in range(frames)])
    if kind == "metric_depth":
        data = 4 / data
        data[:, 1:5] = np.inf
    valid = np.ones(data.shape, dtype=bool)
    valid[:, 0] = False
    return Map(data=data.astype(np.float32), valid=valid, facts={"kind": kind})


def flow_map(frames=5, height=48, width=64, longest=12.0):
    """A rotation about the centre, with a disc that moves its own way; last frame and first column invalid."""
    rows, columns = grid(height, width)
    around = np.stack([-(rows - height / 2), columns - width / 2], axis=-1)
    around *= longest / np.hypot(height / 2, width / 2)
    data = np.repeat(around[None], frames, axis=0)
    for t in range(frames):
        data[t][disc(height, width, height / 2, 10 + 2 * t, height / 5)] = (longest / 2, -longest / 3)
    valid = np.ones(data.shape[:3], dtype=bool)
    valid[-1], valid[:, :, 0] = False, False
    return Map(data=data.astype(np.float32), valid=valid)


def label_frames(frames=5, height=48, width=64, labels=(1, 2, 3)):
    """(T, H, W) uint8: one moving disc for each label on 0."""
    data = np.zeros((frames, height, width), dtype=np.uint8)
    for t in range(frames):
        for place, label in enumerate(labels):
            column = (place + 0.5) * width / len(labels) + t
            row = height * (0.35 + 0.3 * (place % 2))
            data[t][disc(height, width, row, column, min(height / 3, 0.4 * width / len(labels)))] = label
    return data


def densepose_map(frames=5, height=96, width=192, seed=0):
    """All 24 parts as upright bars, U and V at random."""
    data = np.zeros((frames, height, width), dtype=np.uint8)
    bar = width // 26
    for part in range(1, 25):
        data[:, height // 8 : -height // 8, part * bar : (part + 1) * bar] = part
    uv = np.random.default_rng(seed).integers(0, 256, (*data.shape, 2), dtype=np.uint8)
    return Map(data=data, arrays={"uv": uv})


def skeleton_map(frames=5, height=240, width=320, people=2, body_px=150.0, keypoints=17):
    """People side by side who walk right and swing; all joints seen. For K = 133 the other points are unseen."""
    data = np.zeros((frames, people, keypoints, 3), dtype=np.float32)
    for t in range(frames):
        for person in range(people):
            joints = BODY * body_px / 100
            swing = 0.12 * body_px * np.sin(0.7 * t + person)
            joints[[9, 10, 15, 16], 0] += swing
            joints += ((person + 0.5) * width / people + 1.3 * t, 0.12 * height)
            data[t, person, :17, :2] = joints
            data[t, person, :17, 2] = 0.9
    boxes = np.concatenate([data[:, :, :17, :2].min(axis=2), data[:, :, :17, :2].max(axis=2)], axis=-1)
    arrays = {"boxes": boxes.astype(np.float32), "track_ids": np.arange(people, dtype=np.int64)}
    return Map(data=data, arrays=arrays, facts={"height": height, "width": width})
