"""The official set: UniBench's 200 estimation scenes, frozen. Poses over time, looks, light and cameras are data.

Physics drifts between versions of MuJoCo, and drawing between versions of numpy; with the poses kept, truth depends on
this package's geometry alone, and tests/benchmark/synth/test_frozen.py holds its hashes. The file was written once:

    python -m openuni.benchmark.synth.frozen official.npz

Never write it again: every score published on the set would lose its meaning.

Poses are whole numbers of grid steps (openuni/benchmark/synth/rotation.py). Each array is kept as second differences
over time, split into byte planes, because that is what deflate makes small.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from openuni.benchmark.synth.families import MIXED, make_scene, numbered
from openuni.benchmark.synth.npz import read_npz, write_npz
from openuni.benchmark.synth.rotation import METRE_STEPS, QUATERNION_STEPS
from openuni.benchmark.synth.scene import Person, Scene, Sky, Thing
from openuni.errors import BadInput

OFFICIAL = Path(__file__).with_name("official.npz")
OFFICIAL_CLIPS, OFFICIAL_FRAMES = 200, 48
OFFICIAL_SEED = 2026
_METRES, _TURNS = (np.int32, METRE_STEPS), (np.int16, QUATERNION_STEPS)
_ARRAYS: dict[str, tuple[Any, int]] = {
    "thing_positions": _METRES,
    "thing_rotations": _TURNS,
    "person_positions": _METRES,
    "person_rotations": _TURNS,
    "camera_positions": _METRES,
    "camera_rotations": _TURNS,
}
"""Pose arrays of a Scene -> the integers they are kept as, and steps to a unit."""


def official_scene(number: int, num_frames: int = OFFICIAL_FRAMES) -> Scene:
    """Return a scene of the official set.

    Args:
        number: 0 to OFFICIAL_CLIPS - 1.
        num_frames: how many of its frames, from the first; at most OFFICIAL_FRAMES.

    Raises:
        BadInput: there is no such scene, or it is not that long.
    """
    if not 0 <= number < OFFICIAL_CLIPS:
        raise BadInput(f"The official set has scenes 0 to {OFFICIAL_CLIPS - 1}, got {number}.")
    if not 1 <= num_frames <= OFFICIAL_FRAMES:
        raise BadInput(f"Scenes of the official set have {OFFICIAL_FRAMES} frames, got {num_frames}.")
    return _cut(_official()[number], num_frames)


@lru_cache(maxsize=1)
def _official() -> tuple[Scene, ...]:
    return tuple(thaw(OFFICIAL.read_bytes()))


def freeze(scenes: Sequence[Scene]) -> bytes:
    """Write scenes of equal length as an npz. `thaw` gives exactly these scenes back.

    Raises:
        ValueError: a pose does not lie on the grid.
    """
    header = [
        {
            "name": scene.name, "family": scene.family, "seed": scene.seed, "caption": scene.caption, "fps": scene.fps,
            "focal": scene.focal, "facts": dict(scene.facts), "sky": asdict(scene.sky),
            "things": [asdict(thing) for thing in scene.things], "people": [asdict(person) for person in scene.people],
        }
        for scene in scenes
    ]  # fmt: skip
    arrays = {"header": np.frombuffer(json.dumps(header, sort_keys=True).encode(), np.uint8)}
    for name, (dtype, steps) in _ARRAYS.items():
        # Frames first, then every thing of every scene side by side.
        values = [np.asarray(getattr(scene, name)) for scene in scenes]
        rows = [one.reshape(len(one), int(np.prod(one.shape[1:]))) for one in values]
        flat = np.concatenate(rows, axis=1) * steps
        whole = np.rint(flat)
        if not np.array_equal(whole, flat) or np.abs(whole).max(initial=0) > np.iinfo(dtype).max:
            raise ValueError(f"{name} of a scene does not lie on the grid of 1/{steps}")
        arrays[name] = _planes(whole.astype(dtype))
    return write_npz(arrays)


def thaw(content: bytes) -> list[Scene]:
    """Read what `freeze` wrote."""
    arrays = read_npz(content)
    header = json.loads(arrays["header"].tobytes())
    values = {name: _whole(arrays[name], dtype).astype(np.float64) / steps for name, (dtype, steps) in _ARRAYS.items()}
    at = dict.fromkeys(_ARRAYS, 0)
    scenes = []
    for about in header:
        things = tuple(_revive(Thing, thing) for thing in about["things"])
        people = tuple(_revive(Person, person) for person in about["people"])
        bones = values["person_rotations"].shape[1] // (4 * max(1, _people(header)))
        shapes = {
            "thing_positions": (len(things), 3), "thing_rotations": (len(things), 4),
            "person_positions": (len(people), 3), "person_rotations": (len(people), bones, 4),
            "camera_positions": (3,), "camera_rotations": (4,),
        }  # fmt: skip
        poses: dict[str, Any] = {}
        for name, shape in shapes.items():
            count = int(np.prod(shape))
            part = values[name][:, at[name] : at[name] + count]
            poses[name] = part.reshape(len(part), *shape)
            at[name] += count
        rest = {key: about[key] for key in ("name", "family", "seed", "caption", "fps", "focal", "facts")}
        scenes.append(Scene(**rest, **poses, things=things, people=people, sky=_revive(Sky, about["sky"])))
    return scenes


def _people(header: list[dict[str, Any]]) -> int:
    return sum(len(about["people"]) for about in header)


def _planes(values: np.ndarray) -> np.ndarray:
    """(T, N) integers -> (bytes, N, T) uint8: second differences over time, low bytes first. Sums wrap around."""
    with np.errstate(over="ignore"):
        twice: np.ndarray = np.diff(
            np.diff(values, axis=0, prepend=values.dtype.type(0)), axis=0, prepend=values.dtype.type(0)
        )
    little = np.ascontiguousarray(twice.T.astype(values.dtype.newbyteorder("<")))
    return np.ascontiguousarray(np.moveaxis(little.view(np.uint8).reshape(*little.shape, little.itemsize), -1, 0))


def _whole(planes: np.ndarray, dtype: Any) -> np.ndarray:
    """Undo `_planes`."""
    little = np.ascontiguousarray(np.moveaxis(planes, 0, -1)).view(np.dtype(dtype).newbyteorder("<"))[..., 0]
    twice = little.T.astype(dtype)
    return np.cumsum(np.cumsum(twice, axis=0, dtype=dtype), axis=0, dtype=dtype)


def _revive(cls: type, about: dict[str, Any]) -> Any:
    """Make a dataclass of JSON: its tuples came back as lists."""
    return cls(**{key: tuple(value) if isinstance(value, list) else value for key, value in about.items()})


def _cut(scene: Scene, num_frames: int) -> Scene:
    """Keep a scene's first frames."""
    from dataclasses import replace

    return replace(scene, **{name: getattr(scene, name)[:num_frames] for name in _ARRAYS})


def main() -> None:
    """Draw the official scenes and write them to the file that the command line names."""
    path = Path(sys.argv[1])
    scenes = [
        make_scene(family, seed=OFFICIAL_SEED, number=number, num_frames=OFFICIAL_FRAMES, name=f"unibench-{index:03d}")
        for index, (family, number) in enumerate(numbered(list(MIXED), OFFICIAL_CLIPS))
    ]
    with path.open("xb") as file:
        file.write(freeze(scenes))
    print(f"wrote {len(scenes)} scenes, {path.stat().st_size / 1e6:.2f} MB, to {path}")


if __name__ == "__main__":
    main()
