"""Draft: a scene in the making, which a family fills; and what all families draw alike."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from openuni.benchmark.synth.body import BONE_NAMES, body_of
from openuni.benchmark.synth.camera import MOVES, NOMINAL_S, camera_path
from openuni.benchmark.synth.caption import PAINTS
from openuni.benchmark.synth.motion import make_motion
from openuni.benchmark.synth.physics import Mover, mover_of, simulate
from openuni.benchmark.synth.rotation import snap_metres, snap_quaternion
from openuni.benchmark.synth.scene import FPS, Person, Scene, Sky, Thing

GROUND_HALF_M = 150.0
GROUNDS = {"planks": "a wooden floor", "tiles": "a tiled floor", "concrete": "a concrete yard", "grass": "a lawn"}
"""Material of the ground -> words."""
SKINS = ((0.72, 0.46, 0.33), (0.60, 0.36, 0.24), (0.42, 0.23, 0.14), (0.25, 0.12, 0.07), (0.78, 0.54, 0.42))
HAIRS = ((0.03, 0.02, 0.015), (0.12, 0.06, 0.03), (0.40, 0.25, 0.10), (0.25, 0.07, 0.03), (0.16, 0.155, 0.15))


@dataclass
class Draft:
    """A scene in the making: things with their start, people with their motion, the camera."""

    rng: np.random.Generator
    num_frames: int
    sky: Sky
    fps: float = FPS
    """Set before anything moves."""
    things: list[Thing] = field(default_factory=list)
    fixed: list[bool] = field(default_factory=list)
    positions: list[np.ndarray] = field(default_factory=list)
    rotations: list[np.ndarray] = field(default_factory=list)
    velocities: list[np.ndarray] = field(default_factory=list)
    spins: list[np.ndarray] = field(default_factory=list)
    people: list[Person] = field(default_factory=list)
    person_positions: list[np.ndarray] = field(default_factory=list)
    person_rotations: list[np.ndarray] = field(default_factory=list)
    movers: list[Mover] = field(default_factory=list)
    sentences: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    camera: tuple[np.ndarray, np.ndarray] | None = None
    focal: float = 1.0

    def add(
        self,
        thing: Thing,
        position: Any,
        *,
        rotation: Any = (1, 0, 0, 0),
        velocity: Any = (0, 0, 0),
        spin: Any = (0, 0, 0),
        fixed: bool = False,
    ) -> None:
        """Add a thing with its state at the start."""
        self.things.append(thing)
        self.fixed.append(fixed)
        for values, value in (
            (self.positions, position), (self.rotations, rotation), (self.velocities, velocity), (self.spins, spin)
        ):  # fmt: skip
            values.append(np.asarray(value, np.float64))

    def add_person(self, action: str, start: np.ndarray, heading: float, looks: Person | None = None) -> Person:
        """Add a person who does something; one of any looks where none are given."""
        person = any_person(self.rng) if looks is None else looks
        motion = make_motion(
            self.rng,
            action,
            num_frames=self.num_frames,
            fps=self.fps,
            height=person.height,
            start=start,
            heading=heading,
        )
        positions, rotations = snap_metres(motion.positions), snap_quaternion(motion.rotations)
        self.people.append(person)
        self.person_positions.append(positions)
        self.person_rotations.append(rotations)
        self.movers.append(mover_of(body_of(person.height, person.girth), positions, rotations))
        self.facts.setdefault("people", []).append({**motion.facts, "looks": person.name})
        return person

    def look(
        self,
        kind: str,
        target: Any,
        distance: float,
        azimuth: float,
        height: float,
        strength: float = 1.0,
        middle_s: float = NOMINAL_S / 2,
    ) -> None:
        """Set the camera; its move passes through the place that is given at `middle_s`."""
        self.camera = camera_path(
            self.rng, kind, target=np.asarray(target, np.float64), distance=distance, azimuth=azimuth, height=height,
            num_frames=self.num_frames, fps=self.fps, strength=strength,
            middle_s=middle_s,
        )  # fmt: skip
        self.sentences.append(MOVES[kind])
        self.facts["camera"] = kind

    def finish(self, name: str, family: str, seed: int) -> Scene:
        """Run the physics and put everything on the storage grids."""
        assert self.camera is not None, "a family sets a camera"
        positions, rotations = simulate(
            self.things, self.fixed, np.array(self.positions), np.array(self.rotations), np.array(self.velocities),
            np.array(self.spins), self.movers, num_frames=self.num_frames, fps=self.fps,
        )  # fmt: skip
        people = len(self.people)
        facts = {**self.facts, "things": [thing.name for thing in self.things if not thing.scenery]}
        quaternions = np.zeros((self.num_frames, 0, len(BONE_NAMES), 4))
        return Scene(
            name=name,
            family=family,
            seed=seed,
            caption=" ".join(self.sentences),
            sky=self.sky,
            things=tuple(self.things),
            thing_positions=snap_metres(positions),
            thing_rotations=snap_quaternion(rotations),
            people=tuple(self.people),
            person_positions=np.stack(self.person_positions, 1) if people else np.zeros((self.num_frames, 0, 3)),
            person_rotations=np.stack(self.person_rotations, 1) if people else quaternions,
            camera_positions=snap_metres(self.camera[0]),
            camera_rotations=snap_quaternion(self.camera[1]),
            focal=round(self.focal, 4),
            fps=self.fps,
            facts=facts,
        )


def any_person(rng: np.random.Generator) -> Person:
    """Draw a person of any looks."""
    word = str(rng.choice(list(PAINTS)))
    trousers = [(0.06, 0.08, 0.2), (0.04, 0.04, 0.045), (0.28, 0.22, 0.15), (0.16, 0.17, 0.19)][int(rng.integers(4))]
    return Person(
        height=round(float(rng.uniform(1.58, 1.9)), 2),
        girth=round(float(rng.uniform(0.9, 1.15)), 2),
        skin=SKINS[int(rng.integers(len(SKINS)))],
        hair=HAIRS[int(rng.integers(len(HAIRS)))],
        shirt=PAINTS[word],
        trousers=trousers,
        shoes=[(0.03, 0.03, 0.03), (0.5, 0.5, 0.48), (0.2, 0.1, 0.05)][int(rng.integers(3))],
        pattern=str(rng.choice(["plain", "stripes", "checks"], p=[0.5, 0.25, 0.25])),
        sleeves=str(rng.choice(["short", "long"])),
        legs=str(rng.choice(["long", "short"], p=[0.7, 0.3])),
        name=f"person in a {word} shirt" if word[0] not in "aeiou" else f"person in an {word} shirt",
    )


def texture_seed(rng: np.random.Generator) -> int:
    """Draw a piece of a texture: of few, so that textures can be kept between scenes."""
    return int(rng.integers(8))
