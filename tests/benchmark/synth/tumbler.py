"""Rays through an ideal tumbler by Snell's law: where a straw in it must be seen, and where a picture has it."""

from dataclasses import dataclass, replace

import numpy as np

from openuni.benchmark.synth.geometry import Geometry
from openuni.benchmark.synth.render import frame_by_frame
from openuni.benchmark.synth.rotation import matrix_of
from openuni.benchmark.synth.scene import Scene, Thing
from openuni.benchmark.synth.shapes import AIR, GLASS, TUMBLER_FLOOR, TUMBLER_WALL, WATER

SIZE = 192
CLEAR_OF_LEVEL_M = 0.006
"""So near to the water's surface neither side is fitted: there the meniscus-free edge mixes both."""


@dataclass(frozen=True)
class Straw:
    """What a picture of a tumbler shows, beside what it should."""

    break_deg: float
    """Angle between the straw's lines below and above the water, as seen."""
    expected_break_deg: float
    median_error_px: float
    """Of the straw's middle, row by row."""


def look_into(scene: Scene, tier: object) -> Straw:
    """Draw a refraction scene's first frame with a plain green straw and find it."""
    number = next(index for index, thing in enumerate(scene.things) if thing.name == "straw")
    things = list(scene.things)
    things[number] = replace(things[number], material="plastic", colour=(0.02, 1.0, 0.02))
    scene = replace(scene, things=tuple(things), focal=scene.focal * 1.6)
    posed, camera, truth = next(frame_by_frame(Geometry(scene), SIZE, SIZE))
    glass = next(thing for thing in scene.things if thing.kind == "tumbler")
    level = scene.facts["water_level_m"]
    pair_level = level or 0.65 * glass.size[1]
    pixels = camera.pixels()
    hit, height, by_top = _follow(camera.position - [0, 0, 0.75], camera.directions(pixels), glass, level,
                                  scene, number)  # fmt: skip
    rgb = tier.draw(posed, camera, truth.first).astype(int)
    green = (rgb[..., 1] - np.maximum(rgb[..., 0], rgb[..., 2]) > 25).reshape(-1)

    sides = {"below": ([], []), "above": ([], [])}
    errors = []
    for row in range(SIZE):
        line = slice(row * SIZE, (row + 1) * SIZE)
        wanted = np.flatnonzero(hit[line])
        seen = _longest_run(np.flatnonzero(green[line]))
        if len(wanted) < 3 or len(seen) < 3:
            continue
        z = height[line][wanted]
        if by_top[line][wanted].any() or z.max() > glass.size[1] - 0.006 or z.min() < 0.1 * glass.size[1]:
            continue
        side = "below" if z.max() < pair_level - CLEAR_OF_LEVEL_M else "above"
        if side == "above" and z.min() < pair_level + CLEAR_OF_LEVEL_M:
            continue
        sides[side][0].append((row, wanted.mean()))
        sides[side][1].append((row, seen.mean()))
        errors.append(abs(wanted.mean() - seen.mean()))
    angles = {side: [_angle(points) for points in both] for side, both in sides.items()}
    return Straw(
        angles["below"][1] - angles["above"][1], angles["below"][0] - angles["above"][0], float(np.median(errors))
    )


def _angle(points: list[tuple[int, float]]) -> float:
    """Lean of a line of (row, column), degrees from upright; at least eight rows, without the worst tenth."""
    assert len(points) >= 8, f"only {len(points)} rows show the straw"
    rows, columns = np.array(points, float).T
    for _ in range(2):
        slope, start = np.polyfit(rows, columns, 1)
        error = np.abs(columns - slope * rows - start)
        kept = error <= np.quantile(error, 0.9)
        rows, columns = rows[kept], columns[kept]
    return float(np.degrees(np.arctan(slope)))


def _longest_run(columns: np.ndarray) -> np.ndarray:
    runs = np.split(columns, np.flatnonzero(np.diff(columns) > 1) + 1)
    return max(runs, key=len)


def _follow(
    eye: np.ndarray, directions: np.ndarray, glass: Thing, level: float | None, scene: Scene, straw: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Follow rays, with the tumbler standing at the origin.

    Returns whether each meets the straw (N,), at what height (N,), and whether it went through the water's surface.
    """
    radius, tall, _ = glass.size
    inner, floor = radius * (1 - TUMBLER_WALL), tall * TUMBLER_FLOOR
    axis = matrix_of(scene.thing_rotations[0, straw])[:, 2]
    middle = scene.thing_positions[0, straw] - [0, 0, 0.75]
    thick, half = scene.things[straw].size
    count = len(directions)
    at = np.tile(np.asarray(eye, float), (count, 1))
    way = directions / np.linalg.norm(directions, axis=-1, keepdims=True)
    hit, height, by_top, alive = np.zeros(count, bool), np.zeros(count), np.zeros(count, bool), np.ones(count, bool)
    for _ in range(8):
        best, kind = np.full(count, np.inf), np.zeros(count, int)
        normals = np.zeros((count, 3))
        for number, reach in ((1, radius), (2, inner)):
            a, b = (way[:, :2] ** 2).sum(-1), (at[:, :2] * way[:, :2]).sum(-1)
            c = (at[:, :2] ** 2).sum(-1) - reach**2
            root = np.sqrt(np.maximum(b * b - a * c, 0))
            for far in ((-b - root) / a, (-b + root) / a):
                z = at[:, 2] + far * way[:, 2]
                met = (b * b > a * c) & (far > 1e-7) & (far < best) & (z < tall) & (z > (0 if number == 1 else floor))
                best[met], kind[met] = far[met], number
        for number, z in ((3, level), (4, floor)):
            if z is None:
                continue
            far = (z - at[:, 2]) / way[:, 2]
            inside = ((at[:, :2] + far[:, None] * way[:, :2]) ** 2).sum(-1) < inner**2
            met = inside & (far > 1e-7) & (far < best)
            best[met], kind[met] = far[met], number
        met_straw, along = _meets(at, way, best, axis, middle, thick, half)
        now = alive & met_straw
        hit |= now
        height[now] = along[now]
        alive &= ~met_straw & (kind > 0)
        at = np.where(alive[:, None], at + np.where(alive, best, 0)[:, None] * way, at)
        round_ones = kind <= 2
        normals[round_ones, :2] = at[round_ones, :2]
        normals[round_ones] /= np.maximum(np.linalg.norm(normals[round_ones], axis=-1, keepdims=True), 1e-12)
        normals[~round_ones] = [0, 0, 1]
        within = WATER if level is not None else AIR
        low = (at[:, 2] < level) if level is not None else np.zeros(count, bool)
        outside = np.choose(kind, [np.full(count, AIR), np.full(count, AIR), np.full(count, GLASS),
                                   np.full(count, AIR), np.full(count, within)])  # fmt: skip
        inside = np.choose(kind, [np.full(count, AIR), np.full(count, GLASS), np.where(low, within, AIR),
                                  np.full(count, WATER), np.full(count, GLASS)])  # fmt: skip
        by_top |= alive & (kind == 3)
        cosine = -(way * normals).sum(-1)
        enters = cosine > 0
        ratio = np.where(enters, outside / inside, inside / outside)
        facing = np.where(enters, 1, -1)[:, None] * normals
        square = 1 - ratio**2 * (1 - cosine**2)
        alive &= square > 0
        bent = ratio[:, None] * way + (ratio * np.abs(cosine) - np.sqrt(np.maximum(square, 0)))[:, None] * facing
        way = np.where(alive[:, None], bent, way)
    return hit, height, by_top


def _meets(
    at: np.ndarray, way: np.ndarray, reach: np.ndarray, axis: np.ndarray, middle: np.ndarray, thick: float, half: float
) -> tuple[np.ndarray, np.ndarray]:
    """Whether rays come within `thick` of the straw's axis before `reach`, and the height where they do."""
    away = at - middle
    b, d, e = way @ axis, (away * way).sum(-1), away @ axis
    bottom = 1 - b * b
    far = np.clip((b * e - d) / bottom, 0, reach)
    along = np.clip(e + far * b, -half, half)
    gap = at + far[:, None] * way - middle - along[:, None] * axis
    return (np.linalg.norm(gap, axis=-1) < thick), middle[2] + along * axis[2]
