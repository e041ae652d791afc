"""Scene families: scenes drawn from a seed. docs/unibench.md lists the distributions that stand here.

A scene is a function of (family, seed, number, length) and of MuJoCo's version: openuni/benchmark/synth/frozen.py keeps
the official set's scenes as they were drawn once.
"""

import itertools
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from openuni.benchmark.synth.camera import CAMERAS
from openuni.benchmark.synth.caption import PAINTS, article, join, sky_words, thing_name
from openuni.benchmark.synth.draft import GROUND_HALF_M, GROUNDS, Draft, texture_seed
from openuni.benchmark.synth.law_families import collision, fall, hiding
from openuni.benchmark.synth.rotation import about, quaternion_of, unit
from openuni.benchmark.synth.scene import Scene, Sky, Thing
from openuni.benchmark.synth.training_families import plain, varied
from openuni.errors import UnknownName

ROUND_KINDS = ("sphere", "cylinder", "capsule")
KINDS = ("sphere", "box", "cylinder", "capsule", "rock")
MATERIAL_ODDS = {"wood": 0.2, "checker": 0.2, "marble": 0.15, "metal": 0.15, "plastic": 0.2, "glass": 0.1}
ACTION_ODDS = {"walk": 0.45, "wave": 0.2, "reach": 0.2, "squat": 0.15}
CAMERA_ODDS = {"static": 0.2, "pan": 0.2, "orbit": 0.25, "dolly": 0.2, "handheld": 0.15}
WALK_M_PER_S = 0.94  # the mean of motion.STEP_LENGTH over that of STEP_SECONDS
METALS = {"steel": (0.82, 0.83, 0.85), "golden": (0.95, 0.72, 0.32), "copper": (0.93, 0.55, 0.40)}


def make_scene(family: str, *, seed: int, number: int = 0, num_frames: int = 48, name: str = "") -> Scene:
    """Draw a scene.

    Args:
        family: a key of FAMILIES.
        seed: of the run.
        number: of the scene in the run; refraction scenes 2 k and 2 k + 1 are the same with and without water.
        num_frames: T.
        name: of the clip; by default made of the other arguments.

    Raises:
        UnknownName: no such family.
    """
    if family not in FAMILIES:
        raise UnknownName("family", family, FAMILIES)
    draws = number // 2 if family == "refraction" else number
    rng = np.random.default_rng([seed, draws, list(FAMILIES).index(family)])
    draft = Draft(rng, num_frames, _sky(rng))
    if family == "refraction":
        draft.facts["water"] = number % 2 == 0
    FAMILIES[family](draft)
    draft.sentences.append(sky_words(draft.sky))
    return draft.finish(name or f"{family}-{seed}-{number:06d}", family, seed)


def numbered(families: Sequence[str], count: int) -> list[tuple[str, int]]:
    """Name the scenes of a run: (family, number) for each clip, families mixed as in CYCLE.

    Args:
        families: keys of FAMILIES; only these are taken from the cycle; with one that is not in it, all in turn.
        count: clips.

    Raises:
        UnknownName: no such family.
    """
    for family in families:
        if family not in FAMILIES:
            raise UnknownName("family", family, FAMILIES)
    order = [family for family in CYCLE if family in families]
    if set(families) - set(CYCLE):  # families that are no part of the benchmark: all in turn
        order = list(dict.fromkeys(families))
    cycle = itertools.cycle(order)
    numbers: Counter[str] = Counter()
    out = []
    for family in itertools.islice(cycle, count):
        out.append((family, numbers[family]))
        numbers[family] += 1
    return out


def _objects(draft: Draft) -> None:
    """Four to eight things fall, roll and slide."""
    azimuth = _setting(draft)
    _scatter(draft, int(draft.rng.integers(4, 9)), radius=1.25, away_from=[])
    distance = draft.focal * draft.rng.uniform(1.8, 2.5)
    draft.look(_choice(draft.rng, CAMERA_ODDS), (0, 0, 0.45), distance, azimuth, draft.rng.uniform(0.9, 2.0))


def _one_person(draft: Draft) -> None:
    """One person and two to five things."""
    azimuth = _setting(draft)
    _act(draft, azimuth, np.zeros(2))
    _scatter(draft, int(draft.rng.integers(2, 6)), radius=1.5, away_from=_places(draft))
    _look_at_people(draft, azimuth, 2.5)


def _two_people(draft: Draft) -> None:
    """Two people side by side and up to three things."""
    azimuth = _setting(draft)
    near, aside = np.array([np.cos(azimuth), np.sin(azimuth)]), np.array([-np.sin(azimuth), np.cos(azimuth)])
    sign = draft.rng.choice([-1.0, 1.0])
    for side in (-1, 1):
        # Each in a lane of their own, so that they pass and do not run into each other.
        lane = side * sign * draft.rng.uniform(0.42, 0.55) * near
        _act(draft, azimuth, lane, aside=side * draft.rng.uniform(0.4, 0.6) * aside, spread=0.6, across=0.2)
    _scatter(draft, int(draft.rng.integers(0, 4)), radius=1.7, away_from=_places(draft))
    _look_at_people(draft, azimuth, 2.8)


def _crossing(draft: Draft) -> None:
    """Two people who walk past each other, one of them behind the other for a while; nothing else moves."""
    rng = draft.rng
    azimuth = _setting(draft)
    near = np.array([np.cos(azimuth), np.sin(azimuth)])
    sign = float(rng.choice([-1.0, 1.0]))
    for side in (-1.0, 1.0):
        facing = azimuth + side * sign * np.pi / 2 + rng.uniform(-0.3, 0.3)
        way = np.array([np.cos(facing), np.sin(facing)])
        # Half of what is walked, so that they meet in the middle of the clip, whatever its length.
        half = WALK_M_PER_S * rng.uniform(0.85, 1.15) * draft.num_frames / draft.fps / 2
        draft.add_person("walk", side * rng.uniform(0.35, 0.6) * near - half * way, facing)
    names = [article(person.name) for person in draft.people]
    draft.sentences.append(f"{join(names).capitalize()} walk past each other on {GROUNDS[draft.facts['ground']]}.")
    _look_at_people(draft, azimuth, 2.8)


def _refraction(draft: Draft) -> None:
    """A straw in a glass, with or without water; everything at rest."""
    rng, wet = draft.rng, draft.facts["water"]
    azimuth = _setting(draft)
    table = Thing(
        kind="box",
        size=(0.5, 0.5, 0.03),
        material=str(rng.choice(["wood", "marble"])),
        seed=texture_seed(rng),
        name="table",
    )
    turn = quaternion_of(about("z", rng.uniform(0, 1.5)))
    draft.add(table, (0, 0, 0.72), rotation=turn, fixed=True)
    leg = Thing(kind="cylinder", size=(0.06, 0.345), material="metal", colour=METALS["steel"], scenery=True)
    draft.add(leg, (0, 0, 0.345), fixed=True)
    radius, height = rng.uniform(0.036, 0.046), rng.uniform(0.11, 0.145)
    level = round(height * rng.uniform(0.55, 0.75), 4)
    size = (round(radius, 4), round(height, 4), level if wet else 0.0)
    draft.add(Thing(kind="tumbler", size=size, material="glass", name="glass"), (0, 0, 0.75), fixed=True)
    straw, place, rotation = _straw(rng, radius, height, azimuth)
    draft.add(straw, place, rotation=rotation, fixed=True)
    ball = Thing(kind="sphere", size=(0.03,), material="checker", colour=PAINTS["orange"], name="orange checkered ball")
    aside = azimuth + rng.choice([-1.0, 1.0]) * rng.uniform(1.2, 1.9)
    draft.add(ball, (0.1 * np.cos(aside), 0.1 * np.sin(aside), 0.78), fixed=True)
    if wet:  # last, so that instance ids are the same with and without
        draft.add(Thing(kind="water", size=size, material="water", name="water"), (0, 0, 0.75), fixed=True)
    what = "A straw in a glass of water" if wet else "A straw in an empty glass"
    draft.sentences.insert(0, f"{what} on {article(table.material if table.material == 'marble' else 'wooden')} table.")
    draft.facts |= {"water_level_m": level if wet else None, "indices": {"glass": 1.5, "water": 1.333}}
    kind = str(rng.choice(["static", "orbit", "dolly", "handheld"]))
    distance = draft.focal * rng.uniform(0.26, 0.32)
    draft.look(kind, (0, 0, 0.82), distance, azimuth, 0.82 + distance * rng.uniform(0.12, 0.3), strength=0.7)


def _camera_only(draft: Draft) -> None:
    """Columns, blocks and stones at rest; only the camera moves."""
    azimuth, rng = _setting(draft), draft.rng
    placed: list[tuple[np.ndarray, float]] = []
    for _ in range(int(rng.integers(5, 10))):
        thing, radius, low = _prop(rng)
        for _ in range(40):
            angle, far = rng.uniform(0, 2 * np.pi), rng.uniform(0.3, 2.6)
            place = far * np.array([np.cos(angle), np.sin(angle)])
            if all(np.hypot(*(place - at[:2])) > radius + other for at, other in placed):
                break
        else:
            continue
        placed.append((place, radius))
        draft.add(thing, (*place, low), rotation=quaternion_of(about("z", rng.uniform(0, 6.28))), fixed=True)
    draft.sentences.insert(
        0, f"A still scene of {join([article(thing.name) for thing in draft.things if thing.name])}."
    )
    kind = str(rng.choice(["pan", "orbit", "dolly", "handheld"], p=[0.2, 0.35, 0.3, 0.15]))
    draft.look(kind, (0, 0, 0.6), rng.uniform(3.8, 5.0), azimuth, rng.uniform(1.0, 2.2), strength=1.4)


FAMILIES: dict[str, Callable[[Draft], None]] = {
    "objects": _objects,
    "one_person": _one_person,
    "two_people": _two_people,
    "refraction": _refraction,
    "camera_only": _camera_only,
    "plain": plain,
    "varied": varied,
    "crossing": _crossing,
    "fall": fall,
    "collision": collision,
    "hiding": hiding,
}
"""Family -> what adds its things, people and camera to a draft."""
CYCLE = (
    "one_person", "objects", "two_people", "camera_only", "one_person", "objects", "refraction", "refraction",
    "one_person", "camera_only", "objects", "two_people", "one_person", "objects", "camera_only", "one_person",
    "objects", "two_people", "one_person", "camera_only",
)  # fmt: skip
"""The mix of families in a run, repeated: 30 % one_person, 25 % objects, 20 % camera_only, 15 % two_people, 10 %
refraction, whose pairs (with water, without) stand side by side. Families that are not in it are rendered when they
are named."""
MIXED = tuple(family for family in FAMILIES if family in CYCLE)
"""What a run renders unless it is told: the benchmark's families, without those to train small models on."""


def _setting(draft: Draft) -> float:
    """Add the ground and perhaps a wall; return the direction from the middle to the camera."""
    rng = draft.rng
    ground = str(rng.choice(list(GROUNDS)))
    draft.add(
        Thing(kind="plane", size=(GROUND_HALF_M,), material=ground, scenery=True, seed=texture_seed(rng)),
        (0, 0, 0),
        fixed=True,
    )
    draft.facts["ground"] = ground
    azimuth = float(rng.uniform(0, 2 * np.pi))
    draft.focal = float(0.5 / np.tan(np.radians(rng.uniform(38, 56)) / 2))
    if rng.random() < 0.35:
        wall = Thing(
            kind="box", size=(0.15, 7.0, rng.uniform(1.2, 1.9)), material=str(rng.choice(["plaster", "tiles"])),
            colour=tuple(rng.uniform(0.75, 1.0, 3).tolist()), seed=texture_seed(rng), scenery=True,
        )  # fmt: skip
        behind = -rng.uniform(2.8, 4.2) * np.array([np.cos(azimuth), np.sin(azimuth)])
        turned = about("z", azimuth + rng.uniform(-0.35, 0.35))
        draft.add(wall, (*behind, wall.size[2]), rotation=quaternion_of(turned), fixed=True)
        draft.facts["wall"] = wall.material
    return azimuth


def _sky(rng: np.random.Generator) -> Sky:
    up, around = np.radians(rng.uniform(28, 62)), rng.uniform(0, 2 * np.pi)
    sun = np.round([np.cos(up) * np.cos(around), np.cos(up) * np.sin(around), np.sin(up)], 4).tolist()
    haze, clouds = round(float(rng.beta(1.5, 3.0)), 3), round(float(rng.uniform(0, 0.9)), 3)
    return Sky(sun=(sun[0], sun[1], sun[2]), haze=haze, clouds=clouds, seed=texture_seed(rng))


def _act(
    draft: Draft,
    azimuth: float,
    place: np.ndarray,
    *,
    aside: Any = (0.0, 0.0),
    spread: float = 1.1,
    across: float = 0.9,
) -> None:
    """Add a person.

    Who walks passes through `place`, across the picture within `across` radians; who does not stands `aside` of it and
    faces the camera within `spread` radians.
    """
    rng = draft.rng
    action = _choice(rng, ACTION_ODDS)
    facing = azimuth + rng.uniform(-spread, spread)
    if action == "walk":
        facing = azimuth + rng.choice([-1.0, 1.0]) * (np.pi / 2 + rng.uniform(-across, across))
        place = place - 1.35 * np.array([np.cos(facing), np.sin(facing)])
    else:
        place = place + np.asarray(aside)
    person = draft.add_person(action, place, facing)
    verb = {"walk": "walks", "wave": "waves", "reach": "reaches", "squat": "squats"}[action]
    about_it = draft.facts["people"][-1]
    if action == "wave":
        verb += f" with the {about_it['hand']} hand"
    elif action == "reach":
        verb += f" {about_it['towards']} with the {about_it['hand']} hand"
    draft.sentences.append(f"{article(person.name).capitalize()} {verb} on {GROUNDS[draft.facts['ground']]}.")


def _look_at_people(draft: Draft, azimuth: float, room: float) -> None:
    rng = draft.rng
    walks = any(person["action"] == "walk" for person in draft.facts["people"])
    # Whoever walks stays in the picture longer.
    distance = draft.focal * (room + 0.5 * walks) * rng.uniform(1.0, 1.25)
    strength = 0.6 if walks else 1.0
    draft.look(_choice(rng, CAMERA_ODDS), (0, 0, 0.92), distance, azimuth, rng.uniform(0.9, 1.9), strength)


def _places(draft: Draft) -> list[np.ndarray]:
    """(2,) places that people pass."""
    return [at[:2] for path in draft.person_positions for at in path[::4]]


def _scatter(draft: Draft, count: int, *, radius: float, away_from: list[np.ndarray]) -> None:
    """Add things that fall, roll or slide, clear of each other and of people's ways."""
    rng = draft.rng
    placed: list[tuple[np.ndarray, float]] = []
    words: list[str] = []
    for _ in range(count):
        thing, reach = _thing(rng)
        for _ in range(60):
            angle, far = rng.uniform(0, 2 * np.pi), radius * np.sqrt(rng.random())
            place = far * np.array([np.cos(angle), np.sin(angle)])
            if all(np.hypot(*(place - at)) > reach + other for at, other in placed) and all(
                np.hypot(*(place - at)) > reach + 0.4 for at in away_from
            ):
                break
        else:
            continue
        placed.append((place, reach))
        words.append(f"{article(thing.name)} {_release(draft, thing, place, reach)}")
    draft.facts["moving"] = words
    if words:
        sentence = join(words) + (f" on {GROUNDS[draft.facts['ground']]}." if not draft.people else ".")
        draft.sentences.append(sentence[0].upper() + sentence[1:])


def _release(draft: Draft, thing: Thing, place: np.ndarray, reach: float) -> str:
    """Give a thing its start; return the verb for it."""
    rng = draft.rng
    angle = rng.uniform(0, 2 * np.pi)
    heading = np.array([np.cos(angle), np.sin(angle), 0.0])
    inwards = np.append(-place, 0.0)
    heading = unit(heading + (inwards / max(1e-6, float(np.hypot(*place)))))  # rather inwards, where things meet
    upright = quaternion_of(about("z", angle))
    if rng.random() < 0.5:
        tumbling = unit(rng.normal(size=4))
        high = reach + rng.uniform(0.3, 1.6)
        draft.add(
            thing,
            (*place, high),
            rotation=tumbling * np.sign(tumbling[0] or 1),
            velocity=0.5 * heading,
            spin=rng.uniform(-4, 4, 3),
        )
        return "falls"
    if thing.kind == "sphere":
        draft.add(thing, (*place, thing.size[0]), rotation=upright, velocity=heading * rng.uniform(0.5, 1.6))
        return "rolls"
    if thing.kind in ("cylinder", "capsule") and rng.random() < 0.6:
        # Lying on its side: its axis level and square to the way.
        lying = about("z", np.arctan2(heading[1], heading[0])) @ about("x", np.pi / 2)
        speed = rng.uniform(0.5, 1.4)
        draft.add(
            thing,
            (*place, thing.size[0]),
            rotation=quaternion_of(lying),
            velocity=heading * speed,
            spin=(0, 0, -speed / thing.size[0]),
        )
        return "rolls"
    # A stone rests on no flat side: it starts a little above the ground.
    low = {"box": thing.size[-1], "cylinder": thing.size[-1], "capsule": sum(thing.size)}.get(
        thing.kind, thing.size[-1] * 1.02
    )
    draft.add(thing, (*place, low), rotation=upright, velocity=heading * rng.uniform(0.8, 2.2))
    return "slides" if thing.kind != "capsule" else "tips over"


def _thing(rng: np.random.Generator) -> tuple[Thing, float]:
    """Draw a thing; return it and the radius it needs."""
    kind = str(rng.choice(KINDS))
    material = _choice(rng, MATERIAL_ODDS)
    if kind == "rock":
        material = "concrete" if rng.random() < 0.5 else "marble"
    if material == "glass" and kind not in ROUND_KINDS:
        material = "plastic"
    big = rng.uniform(0.11, 0.24)
    size: tuple[float, ...] = {
        "sphere": (big,),
        "box": tuple(big * rng.uniform(0.6, 1.0, 3)),
        "rock": tuple(big * rng.uniform(0.7, 1.1, 3)),
        "cylinder": (0.7 * big, big),
        "capsule": (0.55 * big, 0.8 * big),
    }[kind]
    size = tuple(round(float(one), 4) for one in size)
    word, colour = _paint(rng, material)
    thing = Thing(
        kind=kind,
        size=size,
        material=material,
        colour=colour,
        seed=texture_seed(rng),
        name=thing_name(kind, material, word),
    )
    return thing, float(np.linalg.norm(size)) if kind in ("box", "rock", "cylinder") else sum(size)


def _prop(rng: np.random.Generator) -> tuple[Thing, float, float]:
    """Draw something that stands; return it, the radius it needs and the height of its origin."""
    kind = str(rng.choice(["column", "block", "rock", "ball", "pillar"]))
    material = str(
        rng.choice(["marble", "concrete", "wood", "checker", "plastic", "metal"], p=[0.25, 0.15, 0.2, 0.15, 0.15, 0.1])
    )
    word, colour = _paint(rng, material)
    size: tuple[float, ...]
    if kind == "column":
        size, shape = (rng.uniform(0.15, 0.25), rng.uniform(0.5, 1.2)), "cylinder"
    elif kind == "pillar":
        side = rng.uniform(0.15, 0.3)
        size, shape = (side, side, rng.uniform(0.5, 1.2)), "box"
    elif kind == "block":
        size, shape = tuple(rng.uniform(0.2, 0.5, 3)), "box"
    elif kind == "ball":
        size, shape = (rng.uniform(0.2, 0.45),), "sphere"
    else:
        size, shape, material, word = tuple(rng.uniform(0.25, 0.55, 3)), "rock", "concrete", ""
        colour = (1.0, 1.0, 1.0)
    size = tuple(round(float(one), 4) for one in size)
    name = thing_name(
        {"column": "column", "pillar": "pillar", "block": "block", "ball": "sphere", "rock": "rock"}[kind],
        material,
        word,
    )
    thing = Thing(kind=shape, size=size, material=material, colour=colour, seed=texture_seed(rng), name=name)
    reach = {"cylinder": size[0], "sphere": size[0]}.get(shape, float(np.hypot(size[0], size[1 % len(size)])))
    # Stones are sunk a little, so that they stand on no point.
    return thing, reach, size[-1] * (0.75 if shape == "rock" else 1.0)


def _paint(rng: np.random.Generator, material: str) -> tuple[str, tuple[float, float, float]]:
    """Draw the word and the tint of a material."""
    if material == "metal":
        word = str(rng.choice(list(METALS)))
        return word, METALS[word]
    if material in ("plastic", "checker"):
        word = str(rng.choice(list(PAINTS)))
        return word, PAINTS[word]
    return "", (0.97, 0.99, 0.98) if material == "glass" else (1.0, 1.0, 1.0)


def _straw(
    rng: np.random.Generator, radius: float, height: float, azimuth: float
) -> tuple[Thing, np.ndarray, np.ndarray]:
    """A straw that leans in a tumbler across the line of sight: thing, place of its middle, rotation."""
    inner, bottom = radius * 0.9, height * 0.08
    thick = 0.0035
    lean = azimuth + np.pi / 2 * rng.choice([-1.0, 1.0]) + rng.uniform(-0.25, 0.25)
    across = np.array([np.cos(lean), np.sin(lean), 0.0])
    room = inner - 1.6 * thick
    foot = -0.9 * room * across + [0, 0, bottom + 1.5 * thick]
    rim = room * across + [0, 0, height]
    along = unit(rim - foot)
    half = 0.5 * (height * 1.45)
    middle = foot + along * half + [0, 0, 0.75]
    side = unit(np.cross([0.0, 0.0, 1.0], along))
    rotation = np.stack([np.cross(side, along), side, along], axis=-1)
    return (
        Thing(kind="cylinder", size=(thick, round(half, 4)), material="straw", name="straw"),
        middle,
        quaternion_of(rotation),
    )


def _choice(rng: np.random.Generator, odds: dict[str, float]) -> str:
    return str(rng.choice(list(odds), p=list(odds.values())))


assert set(CAMERA_ODDS) == set(CAMERAS)
