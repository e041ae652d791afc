"""Camera paths: static, pan, orbit, dolly and hand-held, about a point of interest."""

import numpy as np

from openuni.benchmark.synth.rotation import about, cross, product, quaternion_of, unit

CAMERAS = ("static", "pan", "orbit", "dolly", "handheld")
NOMINAL_S = 3.0  # a clip of 48 frames: moves are centred on its middle, so that the subject stays in view
MOVES = {
    "static": "The camera stands still.",
    "pan": "The camera pans.",
    "orbit": "The camera circles around the scene.",
    "dolly": "The camera travels.",
    "handheld": "The camera is held by hand.",
}
"""Kind -> its sentence in a caption."""


def camera_path(
    rng: np.random.Generator,
    kind: str,
    *,
    target: np.ndarray,
    distance: float,
    azimuth: float,
    height: float,
    num_frames: int,
    fps: float,
    strength: float = 1.0,
    middle_s: float = NOMINAL_S / 2,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw a path.

    Args:
        rng: decides speeds and directions.
        kind: of CAMERAS.
        target: (3,) what is looked at, metres.
        distance: from the target on the ground, metres.
        azimuth: radians, from the target to the camera.
        height: of the camera above the ground, metres.
        num_frames: T.
        fps: frames per second.
        strength: factor of all speeds.
        middle_s: when the camera passes through the place that is given, seconds.

    Returns:
        Positions (T, 3) and quaternions (T, 4), world to camera.
    """
    seconds = np.arange(num_frames) / fps
    since = seconds - middle_s
    sign = 1.0 if rng.random() < 0.5 else -1.0
    target = np.tile(np.asarray(target, np.float64), (num_frames, 1))
    angle = np.full(num_frames, azimuth)
    reach, level = np.full(num_frames, distance), np.full(num_frames, height)
    yaw, shake = np.zeros(num_frames), np.zeros((num_frames, 3))
    if kind == "orbit":
        angle = azimuth + sign * strength * rng.uniform(0.10, 0.25) * since
        level = height * (1 + strength * rng.uniform(-0.06, 0.06) * since)
    elif kind == "pan":
        yaw = sign * strength * rng.uniform(0.06, 0.16) * since
    elif kind == "dolly":
        way = strength * rng.uniform(0.25, 0.5) * distance / 4 * since
        if rng.random() < 0.5:
            reach = distance - sign * way
        else:
            sideways = np.array([-np.sin(azimuth), np.cos(azimuth), 0.0])
            shake = sign * way[:, None] * sideways
            target = target + shake
    eye = target * [1, 1, 0] + np.stack([reach * np.cos(angle), reach * np.sin(angle), level], axis=-1)
    rotation = look_at(target - eye)
    if kind == "pan":
        rotation = product(rotation, about("z", yaw))
    if kind == "handheld":
        eye = eye + 0.012 * distance / 3 * strength * _tremor(rng, seconds, 3)
        tilt = np.radians(0.9) * strength * _tremor(rng, seconds, 3)
        rotation = product(
            product(about("x", tilt[:, 0]), about("y", tilt[:, 1])), product(about("z", tilt[:, 2] / 2), rotation)
        )
    return eye, quaternion_of(rotation)


def look_at(forward: np.ndarray) -> np.ndarray:
    """World-to-camera rotations (..., 3, 3) of upright cameras along `forward` (..., 3), which is not straight down."""
    z = unit(np.asarray(forward, np.float64))
    x = unit(cross(z, np.broadcast_to(np.array([0.0, 0.0, 1.0]), z.shape)))
    return np.stack([x, cross(z, x), z], axis=-2)


def _tremor(rng: np.random.Generator, seconds: np.ndarray, channels: int) -> np.ndarray:
    """(T, channels): a few slow and fast swings, about 1 in size."""
    rates = np.array([0.35, 0.8, 1.7, 3.1])  # Hz
    sizes = np.array([1.0, 0.6, 0.3, 0.12])
    rates = rates[:, None] * rng.uniform(0.8, 1.25, (4, channels))
    phases = rng.uniform(0, 2 * np.pi, (4, channels))
    return (sizes[:, None] * np.sin(2 * np.pi * rates * seconds[:, None, None] + phases)).sum(axis=1)
