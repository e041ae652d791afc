"""Scene families to train small models on: `plain` and `varied`, at 8 frames a second.

`plain` is as easy as a scene with all five modalities can be: a camera at rest, few flat colours, one or two things, a
person who fills most of the picture's height in 90 % of clips. `varied` has the other families' grounds, paints and
patterns, a moving camera and up to two people. Shares and ranges are ours; docs/unibench.md lists them.
"""

import numpy as np

from openuni.benchmark.synth.caption import PAINTS, article, join, thing_name
from openuni.benchmark.synth.draft import GROUND_HALF_M, GROUNDS, Draft, any_person, texture_seed
from openuni.benchmark.synth.motion import ACTIONS
from openuni.benchmark.synth.scene import Person, Sky, Thing

FPS = 8.0  # five frames show half a second: motion of a few pixels at 48 px
MIDDLE_S = 0.25  # of five frames
WITH_PERSON = 0.9
SHIRTS = ("blue", "red", "white")
TROUSERS = {"black": (0.015, 0.015, 0.025), "brown": (0.08, 0.045, 0.015), "green": (0.02, 0.08, 0.04)}
THINGS = ("red", "green", "yellow", "pink", "teal", "orange")
PAINTED = ("matte", "plastic", "checker")
"""Materials that take a paint."""
KINDS = ("sphere", "box", "cylinder", "capsule")
MOVING_CAMERAS = ("pan", "orbit", "dolly", "handheld")
VARIED_MATERIALS = ("wood", "checker", "marble", "plastic", "matte")
VARIED_PEOPLE = (0.1, 0.6, 0.3)
"""Chances of none, one and two people."""
VERBS = {"walk": "walks", "wave": "waves", "reach": "reaches out", "squat": "squats"}


def plain(draft: Draft) -> None:
    """A person or none, one or two things, flat colours, a camera at rest."""
    rng = draft.rng
    draft.fps = FPS
    draft.sky = Sky(sun=draft.sky.sun, haze=0.25, clouds=0.0)
    grey = float(rng.uniform(0.1, 0.3))
    azimuth = _ground(
        draft, Thing(kind="plane", size=(GROUND_HALF_M,), material="matte", colour=(grey, grey, grey), scenery=True)
    )
    person = rng.random() < WITH_PERSON
    if person:
        shirt, trousers = str(rng.choice(SHIRTS)), str(rng.choice(list(TROUSERS)))
        looks = Person(
            height=round(float(rng.uniform(1.6, 1.85)), 2),
            shirt=PAINTS[shirt],
            trousers=TROUSERS[trousers],
            name=f"person in a {shirt} shirt and {trousers} trousers",
        )
        _act(draft, azimuth, np.zeros(2), looks)
    _drop(draft, azimuth, int(rng.integers(1, 3)) if person else 2, THINGS, ("matte",))
    distance = draft.focal * rng.uniform(1.95, 2.4)
    draft.look("static", (0, 0, rng.uniform(0.8, 0.95)), distance, azimuth, rng.uniform(0.8, 1.8), middle_s=MIDDLE_S)


def varied(draft: Draft) -> None:
    """Up to two people, one or two things, any ground, paint and pattern, a moving camera."""
    rng = draft.rng
    draft.fps = FPS
    ground = str(rng.choice([*GROUNDS, "matte"]))
    colour = tuple(rng.uniform(0.05, 0.6, 3).tolist()) if ground == "matte" else (1.0, 1.0, 1.0)
    azimuth = _ground(
        draft,
        Thing(
            kind="plane", size=(GROUND_HALF_M,), material=ground, colour=colour, scenery=True, seed=texture_seed(rng)
        ),
    )
    people = int(rng.choice(3, p=VARIED_PEOPLE))
    across = np.array([-np.sin(azimuth), np.cos(azimuth)])
    towards = np.array([np.cos(azimuth), np.sin(azimuth)])
    for number in range(people):
        side = 0.0 if people == 1 else (number - 0.5) * rng.uniform(0.8, 1.2)
        depth = 0.0 if people == 1 else (number - 0.5) * rng.uniform(-0.5, 0.5)
        _act(draft, azimuth, side * across + depth * towards, any_person(rng))
    _drop(draft, azimuth, int(rng.integers(1, 3)) if people else 2, tuple(PAINTS), VARIED_MATERIALS)
    distance = draft.focal * rng.uniform(2.3, 3.0)
    kind = str(rng.choice(MOVING_CAMERAS))
    target = (0, 0, rng.uniform(0.8, 0.95))
    draft.look(kind, target, distance, azimuth, rng.uniform(0.8, 1.9), strength=2.0, middle_s=MIDDLE_S)


def _ground(draft: Draft, ground: Thing) -> float:
    """Add the ground; return the direction from the middle to the camera."""
    draft.add(ground, (0, 0, 0), fixed=True)
    draft.facts["ground"] = ground.material
    draft.focal = float(0.5 / np.tan(np.radians(draft.rng.uniform(42, 50)) / 2))
    return float(draft.rng.uniform(0, 2 * np.pi))


def _act(draft: Draft, azimuth: float, place: np.ndarray, looks: Person) -> None:
    """Add a person near a place, facing the camera within 70 degrees, or walking past it."""
    rng = draft.rng
    action = str(rng.choice(ACTIONS))
    facing = azimuth + rng.uniform(-1.2, 1.2)
    if action == "walk":
        facing = azimuth + rng.choice([-1.0, 1.0]) * rng.uniform(0.6, 2.2)
        place = place - 0.25 * np.array([np.cos(facing), np.sin(facing)])  # half of half a second's way
    person = draft.add_person(action, place, facing, looks)
    draft.sentences.append(f"{article(person.name).capitalize()} {VERBS[action]}.")


def _drop(draft: Draft, azimuth: float, count: int, paints: tuple[str, ...], materials: tuple[str, ...]) -> None:
    """Add things that fly, fall or roll beside the middle, apart from each other."""
    rng = draft.rng
    names, placed = [], [] if not draft.people else [np.zeros(2)]
    for _ in range(count):
        kind, paint, material = str(rng.choice(KINDS)), str(rng.choice(paints)), str(rng.choice(materials))
        reach = round(float(rng.uniform(0.15, 0.28)), 4)
        size = {
            "sphere": (reach,),
            "box": (reach, round(0.8 * reach, 4), round(0.7 * reach, 4)),
            "cylinder": (round(0.8 * reach, 4), reach),
            "capsule": (round(0.6 * reach, 4), round(0.6 * reach, 4)),
        }[kind]
        for _ in range(60):
            aside, near = rng.uniform(-1.1, 1.1), rng.uniform(-0.8, 0.6)
            place = near * np.array([np.cos(azimuth), np.sin(azimuth)])
            place = place + aside * np.array([-np.sin(azimuth), np.cos(azimuth)])
            if all(np.hypot(*(place - at)) > 0.75 for at in placed):
                break
        else:
            continue
        placed.append(place)
        high = reach * 1.05 if rng.random() < 0.5 else rng.uniform(0.6, 1.7)
        tint, word = (PAINTS[paint], paint) if material in PAINTED else ((1.0, 1.0, 1.0), "")
        name = thing_name(kind, material, word)
        turned = rng.normal(size=4)
        draft.add(
            Thing(kind=kind, size=size, material=material, colour=tint, seed=texture_seed(rng), name=name),
            (*place, high),
            rotation=turned / np.linalg.norm(turned) * np.sign(turned[0] or 1),
            velocity=(*rng.uniform(-1.6, 1.6, 2), 0),
            spin=rng.uniform(-4, 4, 3),
        )
        names.append(article(name))
    draft.facts["moving"] = names
    if names:
        sentence = join(names)
        draft.sentences.append(f"{sentence[0].upper()}{sentence[1:]} {'moves' if len(names) == 1 else 'move'}.")
