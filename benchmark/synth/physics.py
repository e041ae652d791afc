"""Physics: rigid things that fall, collide, roll and slide under MuJoCo, among people who push them away."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from openuni.benchmark.synth.body import BONE_NAMES, Body
from openuni.benchmark.synth.rotation import cross, matrix_of, quaternion_of, unit
from openuni.benchmark.synth.scene import Thing
from openuni.benchmark.synth.shapes import mesh_of

TIMESTEP_S = 0.0025  # ours: at 2 m/s a thing moves 5 mm a step, a fortieth of the smallest
FRICTION = (
    "0.7 0.01 0.002"  # sliding, spinning, rolling: wood on wood slides at 0.3 to 0.5; balls come to rest in metres
)
CONTACT = "0.006 1"  # MuJoCo's solref: stiffer than its 0.02 s, so that a thing that falls sinks in by millimetres
DENSITY = 400.0  # kg/m3, light wood
LIMB_RADIUS = {"pelvis": 0.13, "chest": 0.13, "head": 0.09, "thigh": 0.075, "shin": 0.05, "foot": 0.045}


@dataclass(frozen=True, eq=False)
class Mover:
    """Rigid motion of people, frame by frame: what the things bump into."""

    rotations: np.ndarray
    """(T, B, 3, 3)."""
    joints: np.ndarray
    """(T, B, 3)."""
    ends: np.ndarray
    """(T, B, 3)."""
    scale: float


def mover_of(body: Body, positions: np.ndarray, rotations: np.ndarray) -> Mover:
    """Take a person's bones as capsules that move."""
    posed = [body.pose(position, rotation) for position, rotation in zip(positions, rotations, strict=True)]
    turns, joints = np.stack([one[0] for one in posed]), np.stack([one[1] for one in posed])
    return Mover(turns, joints, np.stack([body.pose_ends(*one) for one in posed]), body.scale)


def simulate(
    things: Sequence[Thing],
    fixed: Sequence[bool],
    positions: np.ndarray,
    rotations: np.ndarray,
    velocities: np.ndarray,
    spins: np.ndarray,
    people: Sequence[Mover],
    *,
    num_frames: int,
    fps: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Let things move.

    Args:
        things: N things; planes are the ground.
        fixed: N flags: these never move.
        positions: (N, 3) at the start, metres.
        rotations: (N, 4) at the start.
        velocities: (N, 3) at the start, m/s.
        spins: (N, 3) at the start, rad/s in a thing's own axes.
        people: who is in the way.
        num_frames: T.
        fps: frames per second.

    Returns:
        Positions (T, N, 3) and rotations (T, N, 4).
    """
    import mujoco

    model = mujoco.MjModel.from_xml_string(_xml(things, fixed, positions, rotations, people))
    data = mujoco.MjData(model)
    free = [number for number in range(len(things)) if not fixed[number]]
    for row, number in enumerate(free):
        data.qvel[6 * row : 6 * row + 3] = velocities[number]
        data.qvel[6 * row + 3 : 6 * row + 6] = spins[number]
    out_positions = np.repeat(np.asarray(positions, np.float64)[None], num_frames, axis=0)
    out_rotations = np.repeat(np.asarray(rotations, np.float64)[None], num_frames, axis=0)
    steps = round(1 / fps / TIMESTEP_S)
    for frame in range(num_frames):
        for row, number in enumerate(free):
            out_positions[frame, number] = data.qpos[7 * row : 7 * row + 3]
            out_rotations[frame, number] = data.qpos[7 * row + 3 : 7 * row + 7]
        if frame + 1 == num_frames or not free:
            continue
        places, turns = _limb_poses(people, frame, steps) if people else (None, None)
        for step in range(steps):
            if places is not None and turns is not None:
                data.mocap_pos[:], data.mocap_quat[:] = places[step], turns[step]
            mujoco.mj_step(model, data)
    return out_positions, out_rotations


def _xml(
    things: Sequence[Thing],
    fixed: Sequence[bool],
    positions: np.ndarray,
    rotations: np.ndarray,
    people: Sequence[Mover],
) -> str:
    """Write the model: fixed things as geoms of the world, free ones as bodies, limbs as capsules that are moved."""
    assets: list[str] = []
    world: list[str] = []
    for number, thing in enumerate(things):
        kind, size, offset = _geom(number, thing, assets)
        place = np.asarray(positions[number]) + matrix_of(np.asarray(rotations[number])) @ offset
        geom = f'<geom type="{kind}" {size} friction="{FRICTION}" solref="{CONTACT}" density="{DENSITY}"'
        if fixed[number]:
            world.append(f'{geom} pos="{_text(place)}" quat="{_text(rotations[number])}"/>')
        else:
            body = f'<body pos="{_text(positions[number])}" quat="{_text(rotations[number])}"><freejoint/>'
            world.append(f'{body}{geom} pos="{_text(offset)}"/></body>')
    for person, mover in enumerate(people):
        for bone, name in enumerate(BONE_NAMES):
            radius = LIMB_RADIUS.get(name.split("_")[-1], 0.045) * mover.scale
            half = np.linalg.norm(mover.ends[0, bone] - mover.joints[0, bone]) / 2
            size = f'size="{radius:.5f} {half:.5f}"'
            geom = f'<geom type="capsule" {size} friction="0.4" solref="{CONTACT}"/>'
            world.append(f'<body mocap="true" name="p{person}b{bone}">{geom}</body>')
    return (
        f'<mujoco><option timestep="{TIMESTEP_S}" integrator="implicitfast" cone="elliptic" impratio="10"/>'
        f"<asset>{''.join(assets)}</asset><worldbody>{''.join(world)}</worldbody></mujoco>"
    )


def _geom(number: int, thing: Thing, assets: list[str]) -> tuple[str, str, np.ndarray]:
    """MuJoCo's kind and size of a thing, and where its geom sits in the thing's axes."""
    size, offset = thing.size, np.zeros(3)
    if thing.kind == "plane":
        return "plane", f'size="{size[0]} {size[0]} 1"', offset
    if thing.kind in ("tumbler", "water"):  # outside they are cylinders standing on z = 0
        return "cylinder", f'size="{size[0]:.6f} {size[1] / 2:.6f}"', np.array([0, 0, size[1] / 2])
    if thing.kind == "rock":
        # MuJoCo lets the convex hull collide, and keeps the mesh's own origin as the body's.
        vertices = mesh_of(thing.kind, thing.size, thing.seed).vertices
        assets.append(f'<mesh name="m{number}" vertex="{_text(vertices.ravel())}"/>')
        return "mesh", f'mesh="m{number}"', offset
    return thing.kind, f'size="{_text(size)}"', offset


def _limb_poses(people: Sequence[Mover], frame: int, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Where limbs are after each of S steps of a frame, in straight lines: places (S, P * B, 3) and quaternions."""
    part = ((np.arange(steps) + 1) / steps)[:, None, None]
    joints = np.concatenate([mover.joints[frame : frame + 2] for mover in people], axis=1)
    ends = np.concatenate([mover.ends[frame : frame + 2] for mover in people], axis=1)
    joints, ends = joints[0] + part * (joints[1] - joints[0]), ends[0] + part * (ends[1] - ends[0])
    z = unit(ends - joints)
    aside = np.where(np.abs(z[..., 1:2]) < 0.9, np.array([0.0, 1.0, 0.0]), np.array([1.0, 0.0, 0.0]))
    x = unit(cross(z, aside))
    return (joints + ends) / 2, quaternion_of(np.stack([x, cross(z, x), z], axis=-1))


def _text(values: Sequence[float] | np.ndarray) -> str:
    return " ".join(f"{value:.9g}" for value in values)
