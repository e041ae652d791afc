"""Read joints and persons off a drawing made by openuni/codec/skeleton_drawing.py.

A joint is a blob of its colour. Two joints belong to one person if the line between them has the colour of their
limb. So a joint that no drawn limb touches is not found, nor is one that another joint or a hand covers.
"""

from typing import NamedTuple

import numpy as np

from openuni.codec.palette import nearest
from openuni.codec.skeleton_drawing import JOINT_COLOURS, LIMB_SHADE, LIMBS, OPENPOSE_FROM_COCO

MIN_DISC_PART = 0.25  # ours: a blob is a joint if it has a quarter of a disc's area; less is noise of the codec.
MIN_LIMB_PART = 0.5  # ours: half of a line must have the limb's colour; other limbs may cover the rest.
MAX_BLOBS = 24  # ours: of each joint and frame, the largest: bounds the work on frames that are no drawing.


class Blob(NamedTuple):
    """One place where a joint may be."""

    joint: int
    """OpenPose index."""
    x: float
    y: float


def read_people(frames: np.ndarray, stick_px: int) -> list[np.ndarray]:
    """Find the persons of each frame.

    Args:
        frames: (T, H, W, 3) uint8 RGB drawing.
        stick_px: what it was drawn with.

    Returns:
        For each frame (P, 17, 3) float32 COCO joints: x px, y px, confidence 1 where found, else all 0.
    """
    joints = np.array(JOINT_COLOURS)
    limbs = np.floor(joints[: len(LIMBS)] * LIMB_SHADE + 1e-9)
    # Black first: label 0 is background, 1 + i joint i, 1 + 18 + i limb i, then white (face points).
    colours = np.concatenate([[(0, 0, 0)], joints, limbs, [(255, 255, 255)]])
    return [_people(labels, stick_px) for labels in nearest(frames, colours)]


def track(frames: list[np.ndarray], *, max_step_px: float) -> np.ndarray:
    """Order the persons of all frames into tracks: each continues the nearest one, by the mean distance of its joints.

    Args:
        frames: what `read_people` gave.
        max_step_px: a person farther than this from every track starts a new one.

    Returns:
        (T, P, 17, 3) float32, confidence 0 where a track has no person.
    """
    last_seen: list[np.ndarray] = []
    placed: list[dict[int, np.ndarray]] = []
    for people in frames:
        pairs = sorted(
            (distance, person, one)
            for person, joints in enumerate(people)
            for one, old in enumerate(last_seen)
            if (distance := _distance(joints, old)) <= max_step_px
        )
        track_of: dict[int, int] = {}
        for _, person, one in pairs:
            if person not in track_of and one not in track_of.values():
                track_of[person] = one
        for person, joints in enumerate(people):
            if person not in track_of:
                track_of[person] = len(last_seen)
                last_seen.append(joints)
            last_seen[track_of[person]] = joints
        placed.append({one: people[person] for person, one in track_of.items()})
    data = np.zeros((len(frames), len(last_seen), 17, 3), dtype=np.float32)
    for frame, tracks in enumerate(placed):
        for one, joints in tracks.items():
            data[frame, one] = joints
    return data


def _distance(first: np.ndarray, second: np.ndarray) -> float:
    common = (first[:, 2] > 0) & (second[:, 2] > 0)
    if not common.any():
        return float("inf")
    return float(np.hypot(*(first[common, :2] - second[common, :2]).T).mean())


def _people(labels: np.ndarray, stick_px: int) -> np.ndarray:
    """(H, W) labels -> (P, 17, 3)."""
    blobs = [blob for joint in range(len(JOINT_COLOURS)) for blob in _blobs(labels, joint, stick_px)]
    people = []
    for group in _groups(blobs, labels, stick_px):
        coco = np.zeros((17, 3), dtype=np.float32)
        for blob in (blobs[index] for index in sorted(group)):
            if OPENPOSE_FROM_COCO[blob.joint] >= 0:  # the neck is not one of COCO's
                coco[OPENPOSE_FROM_COCO[blob.joint]] = blob.x, blob.y, 1
        people.append(coco)
    return np.stack(people) if people else np.zeros((0, 17, 3), dtype=np.float32)


def _blobs(labels: np.ndarray, joint: int, stick_px: int) -> list[Blob]:
    """Connected places of one joint's colour that are large enough for a disc."""
    import cv2

    mask = (labels == 1 + joint).astype(np.uint8)
    if not mask.any():
        return []
    if stick_px >= 3:  # opening removes hand edges, which are thin lines in colours close to the joints'
        mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    _, _, stats, centres = cv2.connectedComponentsWithStats(mask, connectivity=8)
    area = stats[1:, cv2.CC_STAT_AREA]
    large = np.flatnonzero(area >= MIN_DISC_PART * np.pi * stick_px**2)
    large = large[np.argsort(-area[large], kind="stable")][:MAX_BLOBS]
    return [Blob(joint, float(centres[1 + one, 0]), float(centres[1 + one, 1])) for one in large]


def _groups(blobs: list[Blob], labels: np.ndarray, stick_px: int) -> list[set[int]]:
    """Tie blobs along drawn limbs, best evidence first, never two of the same joint. Groups of one are left out."""
    group_of = {index: {index} for index in range(len(blobs))}
    for limb, (first, last) in enumerate(LIMBS):
        pairs = sorted(
            (-_evidence(labels, limb, blobs[start], blobs[end], stick_px), start, end)
            for start, blob in enumerate(blobs)
            if blob.joint == first
            for end, other in enumerate(blobs)
            if other.joint == last
        )
        for score, start, end in pairs:
            one, two = group_of[start], group_of[end]
            if -score < MIN_LIMB_PART or {blobs[index].joint for index in one} & {blobs[index].joint for index in two}:
                continue
            one |= two
            group_of.update(dict.fromkeys(two, one))
    different = {id(group): group for group in group_of.values() if len(group) > 1}
    return list(different.values())


def _evidence(labels: np.ndarray, limb: int, start: Blob, end: Blob, stick_px: int) -> float:
    """Part of the line between two joints, outside their discs, that has the limb's colour."""
    length = float(np.hypot(end.x - start.x, end.y - start.y))
    free = length - 2 * (stick_px + 1)
    if free < 1:  # the discs hide the limb: near enough to belong together
        return MIN_LIMB_PART
    at = ((stick_px + 1) + np.linspace(0, free, int(free) + 1)) / length
    columns = np.rint(start.x + at * (end.x - start.x)).astype(np.intp)
    rows = np.rint(start.y + at * (end.y - start.y)).astype(np.intp)
    return float((labels[rows, columns] == 1 + len(JOINT_COLOURS) + limb).mean())
