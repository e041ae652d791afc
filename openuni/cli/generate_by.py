"""`openuni generate` with a model behind a scheme or a class: one question, asked as a bench asks it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import typer

from openuni.errors import BadInput

if TYPE_CHECKING:
    from openuni.generator import Answer, Ask, Generator, Size
    from openuni.modality import Map
    from openuni.model.pipeline import Output

DEFAULT_FPS = 16.0  # Wan's; of maps, which have no rate of their own


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What the command says, but for the model and its settings."""

    task: str
    prompt: str
    modalities: tuple[str, ...]
    maps: Mapping[str, str]
    """Modality -> file."""
    rgb: Path | None
    modality_prompts: Mapping[str, str]
    subject: str | None
    size: tuple[int | None, int | None, int | None]
    """Frames, height, width."""
    seed: int


def generate_by(model: str, wanted: Wanted, options: Mapping[str, str], texts: Sequence[str] | None) -> "Output":
    """Ask a generator one question.

    Args:
        model: what --model says.
        wanted: the question.
        options: options that were given -> text; they are the generator's settings.
        texts: of --set.

    Raises:
        BadInput: it cannot be made, or cannot be asked that.
    """
    from openuni.benchmark.predictions import check_answer
    from openuni.config import parse_settings, refuse_unknown_parts
    from openuni.generator import PART, Unanswerable, make_generator

    settings = parse_settings(texts or ())
    refuse_unknown_parts(settings, [PART])
    generator = make_generator(model, {**options, **settings.get(PART, {})})
    generator.fingerprint()  # a model that is not there is said before anything is read
    ask = _ask(generator, wanted)
    generator.setup()
    typer.echo(f"model: {generator.name}", err=True)
    try:
        answer = generator(ask)
        check_answer(answer, ask)
    except Unanswerable as error:
        raise BadInput(f"{generator.name} has no answer: {error}.") from error
    return _output(generator, ask, answer)


def _ask(generator: "Generator", wanted: Wanted) -> "Ask":
    from openuni.frames import DecodeError, FrameTarget, read_frames
    from openuni.generator import RGB, Ask
    from openuni.mapfile import read_map

    name = _modality(wanted)
    _refuse(generator, wanted, name)
    given: dict[str, Any] = {}
    own, (frames, height, width) = generator.size(), wanted.size
    size, fps = _size(own, wanted), own.fps if own else DEFAULT_FPS
    if wanted.task == "est":
        assert wanted.rgb is not None  # _refuse() has made sure
        try:
            target = FrameTarget(fps=fps, short_side_px=None, num_frames=frames or (own.num_frames if own else None))
            read = read_frames(wanted.rgb, target=target)
        except DecodeError as error:
            raise BadInput(f"{wanted.rgb} cannot be read: {error}") from error
        given["rgb"], fps = read.rgb, read.fps
        size = given["rgb"].shape[:3]
    elif wanted.task == "cond":
        path = Path(wanted.maps[name])
        if path.suffix != ".npz" or not path.is_file():
            raise BadInput(f"--map {name}={path}: give a .npz file, as generate writes it.")
        given["map"] = read_map(path, name)
        size = _map_size(name, given["map"])
    if size is None:
        raise BadInput(f"{generator.name} has no size of its own: give --num-frames, --height and --width.")
    if wanted.task in ("est", "cond") and (height, width) != (None, None):
        raise BadInput(f"Task {wanted.task} keeps the size of what is given: leave out --height and --width.")
    return Ask(
        task=wanted.task, modality=name or RGB, sample="clip", caption=wanted.prompt, seed=wanted.seed, fps=fps,
        modality_prompt=wanted.modality_prompts.get(name, ""), num_frames=size[0], height=size[1], width=size[2],
        **given,
    )  # fmt: skip


def _modality(wanted: Wanted) -> str:
    """The one map that is given or wanted; empty for text."""
    from openuni.errors import UnknownName
    from openuni.generator import TASKS
    from openuni.modality import modality

    if wanted.task not in TASKS:
        raise UnknownName("task", wanted.task, TASKS)
    names = list(wanted.maps) if wanted.task == "cond" else list(wanted.modalities)
    for name in names:
        modality(name)  # a wrong name is named
    if len(names) != (wanted.task != "text"):
        what = "--map" if wanted.task == "cond" else "--modality"
        need = f"exactly one {what}" if wanted.task != "text" else "no --modality and no --map"
        raise BadInput(f"Task {wanted.task} takes {need} with such a model, got {len(names)}.")
    return names[0] if names else ""


def _refuse(generator: "Generator", wanted: Wanted, name: str) -> None:
    """Raise BadInput for a question that the generator does not answer, or that lacks something."""
    from openuni.generator import RGB, unanswered

    pair = (wanted.task, name or RGB)
    if pair not in generator.capabilities():
        why = unanswered(generator).get(pair)
        can = ", ".join(" ".join(one) for one in generator.capabilities())
        reason = f": {why}" if why else ""
        raise BadInput(f"{generator.name} does not answer {' '.join(pair)}{reason}. It answers {can}.")
    if (wanted.rgb is not None) != (wanted.task == "est"):
        raise BadInput(f"Task {wanted.task} {'wants' if wanted.task == 'est' else 'takes no'} --rgb.")
    if wanted.subject is not None:
        raise BadInput("--subject is for our own models: write the whole --modality-prompt.")


def _size(own: "Size | None", wanted: Wanted) -> tuple[int, int, int] | None:
    """The size asked for, else the generator's."""
    frames, height, width = wanted.size
    if own is None:
        return (frames, height, width) if frames and height and width else None
    return frames or own.num_frames, height or own.height, width or own.width


def _map_size(name: str, map: "Map") -> tuple[int, int, int]:
    if name == "skeleton":
        return len(map.data), int(map.facts["height"]), int(map.facts["width"])
    frames, height, width = map.data.shape[:3]
    return frames, height, width


def _output(generator: "Generator", ask: "Ask", answer: "Answer") -> "Output":
    """The answer in the form that is written."""
    from openuni.generator import RGB
    from openuni.modality import modality
    from openuni.model.pipeline import Generated, Output

    maps = {}
    map = answer.map if ask.map is None else ask.map
    if ask.modality != RGB and map is not None:
        drawn: np.ndarray = (
            modality(ask.modality).render(map).frames if answer.rendering is None else answer.rendering
        )  # fmt: skip
        maps[ask.modality] = Generated(drawn, map)
    facts = {
        **answer.about,
        "model": generator.name,
        "fingerprint": generator.fingerprint(),
        "task": ask.task,
        "prompt": ask.caption,
        "seed": ask.seed,
        "num_frames": ask.num_frames,
        "height": ask.height,
        "width": ask.width,
        "fps": ask.fps,
        "lacks": dict(answer.lacks),
    }
    return Output(rgb=ask.rgb if ask.task == "est" else answer.rgb, maps=maps, facts=facts)
