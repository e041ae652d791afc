"""Predictions on disk: what a system answered, kept as files that scoring, reports and people read.

OUT/predictions/TASK-MODALITY/SAMPLE/seed-N/
    map.npz          the map at the truth's size (openuni/mapfile.py): est and joint
    again.npz        the map that the model then estimated from its own frames: joint, where it estimates
    rgb.mkv          the frames, FFV1, lossless: cond, joint and text
    rendering.mkv    the map as the system drew it, FFV1, where it draws colours
    about.json       written last: question, system, sampler settings, what cannot be scored, the files' SHA-256
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from openuni.engine.atomic import replacing_folder, sha256_of
from openuni.errors import BadInput
from openuni.generator import RGB, Answer, Ask
from openuni.mapfile import read_map, write_map
from openuni.modality import Map, modality
from openuni.video import decode_rgb, encode_rgb_lossless

PREDICTIONS = "predictions"
ABOUT, MAP, FRAMES, DRAWN, AGAIN = "about.json", "map.npz", "rgb.mkv", "rendering.mkv", "again.npz"
FORMAT = 1


class Other(NamedTuple):
    """Another sample of the same question, for a control."""

    source: Path
    """Its folder in the data."""
    folder: Path
    """Its prediction; there may be none."""


class Again(NamedTuple):
    """The model's estimate from its own frames, or why there is none."""

    map: Map | None
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """A prediction read back."""

    rgb: np.ndarray | None = None
    """(T, H, W, 3) uint8."""
    map: Map | None = None
    about: Mapping[str, Any] = field(default_factory=dict)
    """What about.json says."""
    again: Map | None = None
    """What the model estimated from `rgb`; about["again"] says why there is none."""
    other: Other | None = None


def prediction_folder(out: Path, task: str, modality: str, sample: str, number: int) -> Path:
    """Return where the prediction for a question is kept."""
    return out / PREDICTIONS / f"{task}-{modality}" / sample / f"seed-{number}"


def check_answer(answer: Answer, ask: Ask) -> None:
    """Raise ValueError unless the answer has what was asked, at the size that was asked or may be chosen."""
    wanted = answer_size(answer, ask)
    if ask.task in ("est", "joint"):
        if answer.map is None:
            raise ValueError(f"task {ask.task} wants a {ask.modality} map, and none was given")
        modality(ask.modality).check(answer.map)
        if ask.modality == "skeleton":
            given = (len(answer.map.data), answer.map.facts["height"], answer.map.facts["width"])
        else:
            given = answer.map.data.shape[:3]
        if given != wanted:
            raise ValueError(f"{ask.modality} has {_size(given)}, expected {_size(wanted)}")
    if ask.task != "est":
        if answer.rgb is None or answer.rgb.dtype != np.uint8 or answer.rgb.ndim != 4 or answer.rgb.shape[3] != 3:
            raise ValueError(f"task {ask.task} wants (T, H, W, 3) uint8 RGB frames")
        if answer.rgb.shape[:3] != wanted:
            raise ValueError(f"RGB has {_size(answer.rgb.shape[:3])}, expected {_size(wanted)}")


def answer_size(answer: Answer, ask: Ask) -> tuple[int, int, int]:
    """Return T, H and W that an answer must have: the question's, or where that leaves the size free its own RGB's."""
    if ask.any_size and answer.rgb is not None and answer.rgb.ndim == 4 and answer.rgb.size:
        frames, height, width = answer.rgb.shape[:3]
        return frames, height, width
    return ask.num_frames, ask.height, ask.width


def write_prediction(
    folder: Path, ask: Ask, answer: Answer, *, key: str, system: str, again: Again | None = None
) -> None:
    """Write a prediction, whole or not at all; one that is there is replaced.

    Args:
        folder: see `prediction_folder`.
        ask: the question.
        answer: as `check_answer` takes it.
        key: hash of the question and of everything that decides the answer; see `kept`.
        system: who answered.
        again: the map estimated from the answer's own frames, where it was asked for.

    Raises:
        RunFailed: the disk is full.
    """
    with replacing_folder(folder) as building:
        if answer.map is not None and ask.modality != RGB:
            write_map(building / MAP, ask.modality, answer.map)
        if again is not None and again.map is not None:
            write_map(building / AGAIN, ask.modality, again.map)
        for name, frames in ((FRAMES, answer.rgb), (DRAWN, answer.rendering)):
            if frames is not None:
                (building / name).write_bytes(encode_rgb_lossless(frames))
        length, height, width = answer_size(answer, ask)
        about = {
            "format": FORMAT,
            "key": key,
            "system": system,
            "task": ask.task,
            "modality": ask.modality,
            "sample": ask.sample,
            "number": ask.number,
            "seed": ask.seed,
            "caption": ask.caption,
            "num_frames": length,
            "height": height,
            "width": width,
            "fps": ask.fps,
            "about": dict(answer.about),
            "lacks": dict(answer.lacks),
            **({} if again is None else {"again": again.reason}),
            "files": {path.name: sha256_of(path) for path in sorted(building.iterdir())},
        }
        (building / ABOUT).write_text(json.dumps(about, indent=1, sort_keys=True) + "\n", "utf-8")


def kept(folder: Path, key: str) -> bool:
    """Say whether a folder holds the whole prediction of this key."""
    try:
        about = json.loads((folder / ABOUT).read_text("utf-8"))
        return bool(about["key"] == key) and all((folder / name).is_file() for name in about["files"])
    except (OSError, ValueError, KeyError, TypeError):
        return False


def read_prediction(folder: Path) -> Prediction:
    """Read a prediction.

    Raises:
        BadInput: it is not there, damaged, or changed since it was written.
    """
    try:
        about = json.loads((folder / ABOUT).read_text("utf-8"))
        task, name = str(about["task"]), str(about["modality"])
        for file, digest in about["files"].items():
            if Path(file).name != file or sha256_of(folder / file) != digest:
                raise BadInput(f"{folder / file} is not the file that was predicted. Delete {folder} and run again.")
        rgb = decode_rgb((folder / FRAMES).read_bytes()).frames if task != "est" else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInput(f"{folder} holds no whole prediction ({error}). Delete it and run again.") from error
    map = read_map(folder / MAP, name) if task in ("est", "joint") else None
    again = read_map(folder / AGAIN, name) if AGAIN in about["files"] else None
    return Prediction(rgb=rgb, map=map, about=about, again=again)


def _size(size: tuple[int, ...]) -> str:
    return f"{size[0]} frames of {size[2]}x{size[1]}"
