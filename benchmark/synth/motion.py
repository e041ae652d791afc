"""How people move: walking, waving, reaching, squatting, as bone rotations over time.

A foot on the ground stays where it is: footsteps are planned first, then the pelvis is moved over them and each leg is
bent so that it reaches its foot. In walking the foot lands on the heel and leaves over the toes, as feet do. Numbers
without a source are ours, set by looking at the clips.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from openuni.benchmark.synth.body import BONE_NAMES, PARENTS, REST_HEIGHT, REST_JOINTS
from openuni.benchmark.synth.rotation import about, frame_of, length, product, quaternion_of, turn, unit

ACTIONS = ("walk", "wave", "reach", "squat")
STEP_LENGTH = (0.46, 0.58)  # metres, for REST_HEIGHT; adults at ease take 0.6 to 0.75, with longer legs than ours
STEP_SECONDS = (0.48, 0.62)  # 97 to 125 steps a minute, the range of adults at ease
DOUBLE_SUPPORT = 0.22  # part of a step during which both feet stand (adults at ease: 0.2 to 0.25)
HEEL_STRIKE, PUSH_OFF = np.radians(14), np.radians(38)  # pitch of the foot when it lands and when it leaves
LIFT_M = 0.05  # height of a swinging ankle above the line between its two places
REACH_LIMIT = 0.985  # part of a leg's length that hip and ankle may be apart: knees never snap straight
SOLE_M = 0.001  # soles are kept this high above the ground, so that the two are never one surface
ANKLE = np.array([0.0, 0.0, 0.085 + SOLE_M])  # above the ground
# The foot's first and last solid are round: it rolls on them. Middles, from the ground below the ankle, and radii.
HEEL, HEEL_RADIUS = np.array([-0.02, 0.0, 0.045 + SOLE_M]), 0.045 + SOLE_M
TOE, TOE_RADIUS = np.array([0.17, 0.0, 0.03 + SOLE_M]), 0.03 + SOLE_M
BONE = {name: number for number, name in enumerate(BONE_NAMES)}
SIDES = (("left", 1.0), ("right", -1.0))


@dataclass(frozen=True, eq=False)
class Motion:
    """A person's motion over T frames."""

    positions: np.ndarray
    """(T, 3) of the pelvis joint, metres."""
    rotations: np.ndarray
    """(T, B, 4) quaternions of the bones, each to its parent's axes."""
    planted: np.ndarray
    """(T, 2) bool: left and right foot stand flat on the ground and must not move."""
    facts: dict[str, Any] = field(default_factory=dict)
    """JSON-able: action, speed."""


def make_motion(
    rng: np.random.Generator,
    action: str,
    *,
    num_frames: int,
    fps: float,
    height: float,
    start: np.ndarray,
    heading: float,
) -> Motion:
    """Draw a motion.

    Args:
        rng: decides step length, rhythm, which hand.
        action: of ACTIONS.
        num_frames: T.
        fps: frames per second.
        height: of the person, metres.
        start: (2,) where on the ground they stand in the first frame.
        heading: radians; 0 looks along +x.
    """
    scale = height / REST_HEIGHT
    seconds = np.arange(num_frames) / fps
    make = {"walk": _walk, "wave": _wave, "reach": _reach, "squat": _squat}[action]
    pose, facts = make(rng, seconds, scale)
    place, facing = about("z", heading), np.array([start[0], start[1], 0.0])
    world = product(place, pose.world)
    positions = turn(place, pose.pelvis) + facing
    local = [
        product(np.swapaxes(world[:, p], -1, -2), world[:, n]) if p >= 0 else world[:, n] for n, p in enumerate(PARENTS)
    ]
    return Motion(positions, quaternion_of(np.stack(local, axis=1)), pose.planted, {"action": action, **facts})


class _Pose:
    """T frames of a person who starts at the origin and looks along +x: the pelvis, and every bone in the world."""

    def __init__(self, num_frames: int, scale: float) -> None:
        self.scale = scale
        self.rest = REST_JOINTS * scale
        self.pelvis = np.tile(self.rest[0], (num_frames, 1))
        self.world = np.tile(np.eye(3), (num_frames, len(BONE_NAMES), 1, 1))
        self.planted = np.ones((num_frames, 2), bool)

    def joint(self, bone: str) -> np.ndarray:
        """(T, 3) where a bone's joint is, given its parents' rotations."""
        chain = [BONE[bone]]
        while PARENTS[chain[-1]] >= 0:
            chain.append(PARENTS[chain[-1]])
        at = self.pelvis
        for child, parent in zip(chain[-2::-1], chain[:0:-1], strict=True):
            at = at + turn(self.world[:, parent], self.rest[child] - self.rest[parent])
        return at

    def trunk(self, pelvis: np.ndarray, chest: np.ndarray, head: np.ndarray) -> None:
        """Set the rotations (T, 3, 3) of the trunk's bones, in the world."""
        self.world[:, BONE["pelvis"]], self.world[:, BONE["chest"]], self.world[:, BONE["head"]] = pelvis, chest, head

    def limb(self, upper: str, lower: str, end: str, target: np.ndarray, pole: np.ndarray) -> None:
        """Bend a two-bone limb so that its end's joint comes to `target` (T, 3), its middle towards `pole` (T, 3)."""
        a, b, c = BONE[upper], BONE[lower], BONE[end]
        first, second = length(self.rest[b] - self.rest[a]), length(self.rest[c] - self.rest[b])
        root = self.joint(upper)
        way = target - root
        far = np.clip(length(way), abs(first - second) * 1.05, (first + second) * 0.999)
        along = unit(way)
        aside = unit(pole - (pole * along).sum(-1, keepdims=True) * along)
        ahead = (first**2 - second**2 + far**2) / (2 * far)
        out = np.sqrt(np.maximum(first**2 - ahead**2, 0))
        middle = root + along * ahead[:, None] + aside * out[:, None]
        tip = root + along * far[:, None]
        # The limb's bend lies in the plane of the pole, both at rest and in the pose: that settles its twist.
        rest_pole = np.array([-1.0, 0.0, 0.0]) if "arm" in upper else np.array([1.0, 0.0, 0.0])
        for bone, direction, rest in (
            (a, middle - root, self.rest[b] - self.rest[a]),
            (b, tip - middle, self.rest[c] - self.rest[b]),
        ):
            posed = frame_of(direction, aside)
            self.world[:, bone] = product(posed, frame_of(rest, rest_pole).T)

    def hand_follows(self, side: str) -> None:
        """Keep a hand in line with its forearm."""
        self.world[:, BONE[f"{side}_hand"]] = self.world[:, BONE[f"{side}_forearm"]]

    def legs(self, ankles: np.ndarray, feet: np.ndarray) -> None:
        """Bend the legs to ankles (T, 2, 3), with feet turned by (T, 2, 3, 3)."""
        for number, (side, _) in enumerate(SIDES):
            self.limb(f"{side}_thigh", f"{side}_shin", f"{side}_foot", ankles[:, number], feet[:, number, :, 0])
            self.world[:, BONE[f"{side}_foot"]] = feet[:, number]

    def sink(self, ankles: np.ndarray) -> None:
        """Lower the pelvis, smoothly over time, until both legs reach their ankles."""
        hip, knee, ankle = (self.rest[BONE[f"left_{bone}"]] for bone in ("thigh", "shin", "foot"))
        reach = REACH_LIMIT * (length(knee - hip) + length(ankle - knee))
        for _ in range(4):  # smoothing can leave a little; then once more
            too_high = np.zeros(len(self.pelvis))
            for number, (side, _) in enumerate(SIDES):
                root = self.joint(f"{side}_thigh")
                flat2 = ((root - ankles[:, number])[:, :2] ** 2).sum(-1)
                highest = ankles[:, number, 2] + np.sqrt(np.maximum(reach**2 - flat2, 0))
                too_high = np.maximum(too_high, root[:, 2] - highest)
            if (too_high <= 1e-9).all():
                return
            self.pelvis = self.pelvis - np.array([0.0, 0.0, 1.0]) * _eased_maximum(too_high)[:, None]


def _eased_maximum(values: np.ndarray) -> np.ndarray:
    """A smooth curve over a curve: the maximum within 3 frames, then their mean."""
    padded = np.pad(values, 3, mode="edge")
    highest = np.max([padded[shift : shift + len(values)] for shift in range(7)], axis=0)
    padded = np.pad(highest, 3, mode="edge")
    return np.mean([padded[shift : shift + len(values)] for shift in range(7)], axis=0)


def _ease(part: np.ndarray) -> np.ndarray:
    """0 to 1, smoothly, for part in 0..1."""
    part = np.clip(part, 0, 1)
    return part * part * (3 - 2 * part)


def _walk(rng: np.random.Generator, seconds: np.ndarray, scale: float) -> tuple[_Pose, dict[str, Any]]:
    step, beat = rng.uniform(*STEP_LENGTH) * scale, rng.uniform(*STEP_SECONDS)
    bend, swing = rng.uniform(-0.12, 0.12), rng.uniform(0.28, 0.45)
    beats = seconds / beat + rng.uniform(0, 2)  # a foot is under the pelvis at every whole number
    beats0 = float(beats[0])

    def path(at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Place (..., 3) and heading (...) after `at` beats on a gently bent way."""
        way = (at - beats0) * step
        heading = bend * way
        # Chord of a circle; sinc keeps the straight way exact.
        half = heading / 2
        chord = way * np.sinc(half / np.pi)
        return np.stack([chord * np.cos(half), chord * np.sin(half), np.zeros_like(way)], axis=-1), heading

    pose = _Pose(len(seconds), scale)
    ankles, feet = np.empty((len(seconds), 2, 3)), np.empty((len(seconds), 2, 3, 3))
    for number, (_, side) in enumerate(SIDES):
        ankles[:, number], feet[:, number], pose.planted[:, number] = _foot(
            beats, number, side * 0.085 * scale, path, scale
        )
    place, heading = path(beats)
    turned = about("z", heading)
    phase = np.pi * beats  # left foot under the pelvis at even, right at odd beats
    roll = np.radians(3) * np.cos(phase)
    yaw = np.radians(7) * np.sin(phase)
    pose.pelvis = place + np.array([0, 0, 1.0]) * (0.935 * scale + 0.012 * scale * np.cos(2 * phase))[:, None]
    pose.pelvis += turn(turned, np.stack([0 * phase, 0.018 * scale * np.cos(phase), 0 * phase], axis=-1))
    lean = about("y", np.full(len(seconds), np.radians(3)))
    nod = about("y", np.radians(1.5) * np.cos(2 * phase))
    pose.trunk(
        product(turned, product(about("z", yaw), about("x", roll))),
        product(turned, product(about("z", -0.8 * yaw), lean)),
        product(turned, nod),
    )
    pose.sink(ankles)
    pose.legs(ankles, feet)
    for name, sign in SIDES:
        forward = swing * np.sin(phase) * sign  # the arm swings with the other side's leg
        _hang(pose, name, sign, turned, forward, 0.22 + 0.25 * np.clip(forward, 0, None) / swing)
    return pose, {"speed_m_s": round(step / beat, 2)}


def _foot(
    beats: np.ndarray, number: int, aside: float, path: Any, scale: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One foot in walking: ankle (T, 3), rotation (T, 3, 3), whether it stands flat (T,)."""
    half_stance = (1 + DOUBLE_SUPPORT) / 2
    nearest = 2 * np.round((beats - number) / 2) + number  # the footstep whose middle is nearest in time
    since = beats - nearest
    standing = np.abs(since) <= half_stance
    # Standing: which part of the stance; swinging: from the step behind to the one ahead.
    stance = np.clip((since + half_stance) / (2 * half_stance), 0, 1)
    behind = np.where(since > 0, nearest, nearest - 2)
    swing = np.clip((beats - behind - half_stance) / (2 - 2 * half_stance), 0, 1)
    stand_ankle, stand_turn, pitch = _stance(nearest, stance, aside, path, scale)
    left_ankle, _, _ = _stance(behind, np.ones_like(beats), aside, path, scale)
    land_ankle, _, _ = _stance(behind + 2, np.zeros_like(beats), aside, path, scale)
    eased = _ease(swing)[:, None]
    swing_ankle = left_ankle + (land_ankle - left_ankle) * eased
    swing_ankle[:, 2] += LIFT_M * scale * np.sin(np.pi * swing) ** 2
    swing_pitch = PUSH_OFF + (-HEEL_STRIKE - PUSH_OFF) * _ease(swing * 1.15)
    _, heading0 = path(behind)
    _, heading1 = path(behind + 2)
    swing_turn = product(about("z", heading0 + (heading1 - heading0) * eased[:, 0]), about("y", swing_pitch))
    ankle = np.where(standing[:, None], stand_ankle, swing_ankle)
    rotation = np.where(standing[:, None, None], stand_turn, swing_turn)
    return ankle, rotation, standing & (np.abs(pitch) < 1e-9)


def _stance(
    step: np.ndarray, part: np.ndarray, aside: float, path: Any, scale: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A standing foot at `part` (0 lands, 1 leaves) of its stance: ankle, rotation and pitch.

    It rolls on its heel at first and on its toes at last; between, it lies flat.
    """
    place, heading = path(step)
    turned = about("z", heading)
    place = place + turn(turned, np.array([0.0, aside, 0.0]))
    strike = -HEEL_STRIKE * (1 - _ease(part / 0.14))
    push = PUSH_OFF * np.clip((part - 0.58) / 0.42, 0, 1) ** 1.6
    pitch = strike + push
    rolled = about("y", pitch)
    on_heel = (pitch < 0)[:, None]
    middle = np.where(on_heel, HEEL, TOE) * scale
    # Rolling without slip: the round part's middle moves on by its radius times the angle.
    rolling = (np.where(on_heel[:, 0], HEEL_RADIUS, TOE_RADIUS) * scale * pitch)[:, None] * np.array([1.0, 0.0, 0.0])
    ankle = place + turn(turned, middle + rolling + turn(rolled, ANKLE * scale - middle))
    return ankle, product(turned, rolled), pitch


def _hang(pose: _Pose, side: str, sign: float, turned: np.ndarray, forward: np.ndarray, bend: np.ndarray) -> None:
    """Let an arm hang and swing: `forward` and `bend` (T,) radians at shoulder and elbow."""
    # From the rest pose's 37 degrees off the trunk down to 9.
    down = about("x", np.full(len(forward), -sign * np.radians(28)))
    upper = product(turned, product(about("y", -forward), down))
    pose.world[:, BONE[f"{side}_upper_arm"]] = upper
    pose.world[:, BONE[f"{side}_forearm"]] = product(turned, product(about("y", -forward - bend), down))
    pose.hand_follows(side)


def _standing(seconds: np.ndarray, scale: float, rng: np.random.Generator) -> tuple[_Pose, np.ndarray, np.ndarray]:
    """A person who stands with both feet planted, shifting weight a little; trunk and legs are still to be set."""
    pose = _Pose(len(seconds), scale)
    spread = rng.uniform(0.09, 0.14) * scale
    out = rng.uniform(0.05, 0.2)
    ankles, feet = np.empty((len(seconds), 2, 3)), np.empty((len(seconds), 2, 3, 3))
    for number, (_, sign) in enumerate(SIDES):
        ankles[:, number] = [0, sign * spread, ANKLE[2] * scale]
        feet[:, number] = about("z", sign * out)
    sway = 2 * np.pi * (seconds * rng.uniform(0.25, 0.4) + rng.random())
    pose.pelvis[:, 1] += 0.025 * scale * np.sin(sway)
    pose.pelvis[:, 0] += 0.006 * scale * np.sin(2 * sway + 1)
    pose.pelvis[:, 2] -= 0.02 * scale
    return pose, ankles, feet


def _settle(pose: _Pose, ankles: np.ndarray, feet: np.ndarray, chest: np.ndarray, head: np.ndarray) -> None:
    pose.trunk(np.tile(np.eye(3), (len(chest), 1, 1)), chest, head)
    pose.sink(ankles)
    pose.legs(ankles, feet)


def _still(seconds: np.ndarray) -> np.ndarray:
    return np.tile(np.eye(3), (len(seconds), 1, 1))


def _wave(rng: np.random.Generator, seconds: np.ndarray, scale: float) -> tuple[_Pose, dict[str, Any]]:
    pose, ankles, feet = _standing(seconds, scale, rng)
    number = int(rng.integers(2))
    side, sign = SIDES[number]
    rate, wide = rng.uniform(1.1, 1.8), rng.uniform(0.12, 0.2) * scale
    start = rng.uniform(0.0, 0.5)
    raised = _ease((seconds - start) / 0.6)
    wave = np.sin(2 * np.pi * rate * np.clip(seconds - start - 0.3, 0, None))
    sway = np.radians(2) * np.sin(2 * np.pi * 0.35 * seconds)
    _settle(
        pose,
        ankles,
        feet,
        about("x", sway - sign * np.radians(3) * raised),
        about("z", np.radians(8) * np.sin(seconds)),
    )
    shoulder = pose.joint(f"{side}_upper_arm")
    low = shoulder + np.array([0.06, sign * 0.13, -0.46]) * scale
    high = (
        shoulder
        + np.stack([0.13 + 0 * wave, sign * 0.24 + wide / scale * wave, 0.22 - 0.05 * wave**2], axis=-1) * scale
    )
    hand = low + (high - low) * raised[:, None]
    # Out of the straight way, so that the hand passes before the trunk and not through it.
    hand += np.array([0.12, sign * 0.12, 0]) * scale * np.sin(np.pi * raised)[:, None]
    pole = np.array([-0.25, sign * 0.75, -0.6]) + np.zeros((len(seconds), 1))
    pose.limb(f"{side}_upper_arm", f"{side}_forearm", f"{side}_hand", hand, pole)
    pose.hand_follows(side)
    other, other_sign = SIDES[1 - number]
    _hang(pose, other, other_sign, _still(seconds), 0.05 * np.sin(2 * seconds), np.full(len(seconds), 0.25))
    return pose, {"hand": side}


def _reach(rng: np.random.Generator, seconds: np.ndarray, scale: float) -> tuple[_Pose, dict[str, Any]]:
    pose, ankles, feet = _standing(seconds, scale, rng)
    number = int(rng.integers(2))
    side, sign = SIDES[number]
    goal = np.array([rng.uniform(0.42, 0.55), sign * rng.uniform(-0.05, 0.3), rng.uniform(0.85, 1.75)]) * scale
    start, way = rng.uniform(0.1, 0.4), rng.uniform(0.8, 1.1)
    part = _ease((seconds - start) / way) - _ease((seconds - start - way - 0.35) / way)
    lean = np.radians(4 + 22 * np.clip(1.25 * scale - goal[2], 0, 1))
    twist = np.radians(14) * sign * part
    pose.pelvis[:, 0] -= 0.05 * scale * part * (lean > 0.1)
    chest = product(about("z", -twist * -1), about("y", lean * part))
    head = product(about("z", twist * 0.6), about("y", np.radians(18) * part * np.sign(1.3 * scale - goal[2])))
    _settle(pose, ankles, feet, chest, head)
    shoulder = pose.joint(f"{side}_upper_arm")
    low = shoulder + np.array([0.06, sign * 0.12, -0.47]) * scale
    aim = np.tile(goal, (len(seconds), 1))
    hand = low + (aim - low) * part[:, None]
    hand += np.array([0.0, sign * 0.1, 0]) * scale * np.sin(np.pi * part)[:, None]
    pole = np.array([-0.4, sign * 0.6, -0.7]) + np.zeros((len(seconds), 1))
    pose.limb(f"{side}_upper_arm", f"{side}_forearm", f"{side}_hand", hand, pole)
    pose.hand_follows(side)
    other, other_sign = SIDES[1 - number]
    _hang(pose, other, other_sign, _still(seconds), -0.25 * part, 0.2 + 0.2 * part)
    word = "up" if goal[2] > 1.45 * scale else "down" if goal[2] < 1.05 * scale else "forward"
    return pose, {"hand": side, "towards": word}


def _squat(rng: np.random.Generator, seconds: np.ndarray, scale: float) -> tuple[_Pose, dict[str, Any]]:
    pose, ankles, feet = _standing(seconds, scale, rng)
    deep, rate = rng.uniform(0.2, 0.36) * scale, rng.uniform(0.32, 0.5)
    part = 0.5 - 0.5 * np.cos(2 * np.pi * rate * seconds)
    pose.pelvis[:, 2] -= deep * part
    pose.pelvis[:, 0] -= 0.45 * deep * part
    lean = np.radians(38) * part * deep / (0.36 * scale)
    pose.trunk(about("y", 0.6 * lean), about("y", lean), about("y", 0.3 * lean))
    pose.sink(ankles)
    pose.legs(ankles, feet)
    for side, sign in SIDES:
        _hang(pose, side, sign, _still(seconds), 1.1 * part * deep / (0.36 * scale), 0.15 + 0.25 * part)
    return pose, {}
