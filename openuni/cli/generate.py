"""`openuni generate`: RGB from maps, maps from RGB, or both from text."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from openuni.errors import BadInput

if TYPE_CHECKING:
    from openuni.modality import Map
    from openuni.model.pipeline import Output, UnityVideoPipeline
    from openuni.model.sampler import SamplerConfig

SIDECAR = "generate.json"
UNGUIDED = ("guidance_modality", "guidance_condition", "guidance_inner")
"""Options of which 1 is none, and the default."""
PANEL_COLUMNS = 5


def generate(
    model: Annotated[
        str,
        typer.Option(
            help="Run folder, checkpoint, Wan weights, Hub id, or preset:NAME (untrained); unityvideo:DIR; "
            "diffusers:ID|DIR; module:Class."
        ),
    ],
    task: Annotated[
        str, typer.Option(help="joint: text to RGB and maps; cond: maps to RGB; est: RGB to maps; text: text to RGB.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for what is generated.")],
    prompt: Annotated[str, typer.Option(help="Caption of the clip.")] = "",
    modality: Annotated[list[str] | None, typer.Option(help="Map to generate; may be repeated.")] = None,
    map_: Annotated[
        list[str] | None,
        typer.Option("--map", help="MODALITY=FILE, a map to generate from: .npz as written here, or its colour video."),
    ] = None,
    rgb: Annotated[Path | None, typer.Option(help="Clip to estimate maps of.")] = None,
    modality_prompt: Annotated[
        list[str] | None, typer.Option(help="MODALITY=TEXT, in place of our wording; may be repeated.")
    ] = None,
    subject: Annotated[str | None, typer.Option(help="What the maps show: 'two persons'.")] = None,
    num_frames: Annotated[int | None, typer.Option(help="Frames. [default: of the clip given, or of training]")] = None,
    height: Annotated[int | None, typer.Option(help="Pixels. [default: of the clip given, or of training]")] = None,
    width: Annotated[int | None, typer.Option(help="Pixels. [default: of the clip given, or of training]")] = None,
    sampler: Annotated[str | None, typer.Option(help="paper, release, wan or tiny. [default: the model's]")] = None,
    steps: Annotated[
        int | None, typer.Option(help="Steps from noise to clean. [default: the sampler's]", min=1)
    ] = None,
    guidance: Annotated[float | None, typer.Option(help="On the prompt; 1 is none. [default: the sampler's]")] = None,
    guidance_modality: Annotated[float, typer.Option(help="On the modality prompts; 1 is none.")] = 1.0,
    guidance_condition: Annotated[float, typer.Option(help="On the maps or frames given; 1 is none.")] = 1.0,
    guidance_inner: Annotated[float, typer.Option(help="Of generated maps on the RGB of joint; 1 is none.")] = 1.0,
    seed: Annotated[int, typer.Option(help="Of the noise.")] = 0,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1 or auto.")] = "auto",
    dtype: Annotated[str, typer.Option(help="float32 or bfloat16. [default: bfloat16 on a GPU]")] = "",
    memory: Annotated[str, typer.Option(help="auto, or low: parts are on the device only while they work.")] = "auto",
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="Set a parameter of a model with a colon in its name: 'model.short_side_px=320'."),
    ] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace what an earlier run wrote to --out.")] = False,
) -> None:
    """Generate one clip: RGB from maps, maps from RGB, or both from text."""
    import torch

    from openuni.device import pick_device
    from openuni.generator import is_own
    from openuni.model.pipeline import UnityVideoPipeline

    conditions, prompts = _pairs(map_, "--map"), _pairs(modality_prompt, "--modality-prompt")
    if (out / SIDECAR).exists() and not overwrite:
        raise BadInput(f"{out} holds a generated clip. Choose another --out, or --overwrite it.")
    if out.exists() and not out.is_dir():
        raise BadInput(f"{out} is a file; --out wants a folder.")
    if not is_own(model):
        from openuni.cli.generate_by import Wanted, generate_by

        settings = {
            "sampler": sampler, "steps": steps, "guidance": guidance, "guidance_modality": guidance_modality,
            "guidance_condition": guidance_condition, "guidance_inner": guidance_inner, "device": device,
            "dtype": dtype, "memory": memory,
        }  # fmt: skip
        given = {
            key: str(value)
            for key, value in settings.items()
            if value not in (None, "", "auto") and not (key in UNGUIDED and value == 1)
        }
        wanted = Wanted(
            task=task, prompt=prompt, modalities=tuple(modality or ()), maps=conditions, rgb=rgb,
            modality_prompts=prompts, subject=subject, size=(num_frames, height, width), seed=seed,
        )  # fmt: skip
        for path in _write(out, generate_by(model, wanted, given, set_)):
            typer.echo(str(path))
        return
    if set_:
        raise BadInput("--set is for models with a colon in their name; give --steps, --guidance, ... to this one.")
    place = pick_device(device)
    kinds = {
        "": torch.bfloat16 if place.type == "cuda" else torch.float32,
        "float32": torch.float32,
        "bfloat16": torch.bfloat16,
    }
    if dtype not in kinds:
        raise BadInput(f"--dtype must be float32 or bfloat16, got {dtype!r}.")
    pipeline = UnityVideoPipeline.from_pretrained(model, device=place, dtype=kinds[dtype], memory=memory)
    typer.echo(f"model: {pipeline.said}", err=True)
    if not pipeline.trained:
        typer.echo("its weights are untrained: what comes out is noise, drawn right", err=True)
    size = (num_frames, height, width)
    frames = _read_rgb(rgb, pipeline, size) if rgb is not None else None
    maps = {name: _read_map(name, Path(file), pipeline, size) for name, file in conditions.items()}
    chosen = _sampler(pipeline, sampler, steps, guidance, guidance_modality, guidance_condition, guidance_inner)
    with _Steps() as shown:
        result = pipeline(
            task,
            prompt,
            modalities=modality or [],
            rgb=frames,
            maps=maps,
            num_frames=num_frames if frames is None and not maps else None,
            height=height if frames is None and not maps else None,
            width=width if frames is None and not maps else None,
            sampler=chosen,
            modality_prompts=prompts,
            subject=subject,
            seed=seed,
            progress=shown.step,
            say=lambda text: typer.echo(text, err=True),
        )
    for path in _write(out, result):
        typer.echo(str(path))


class _Steps:
    """Progress on stderr."""

    def __enter__(self) -> "_Steps":
        from rich.console import Console
        from rich.progress import Progress

        self._bar = Progress(console=Console(stderr=True), transient=True)
        self._bar.start()
        self._task = self._bar.add_task("sampling", total=None)
        return self

    def step(self, done: int, total: int) -> None:
        self._bar.update(self._task, completed=done, total=total)

    def __exit__(self, *_: object) -> None:
        self._bar.stop()


def _pairs(texts: list[str] | None, option: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for text in texts or []:
        name, equals, value = text.partition("=")
        if not equals or not name or not value:
            raise BadInput(f"{option} {text!r} is not understood; write MODALITY=VALUE, as in depth=depth.npz.")
        if name in pairs:
            raise BadInput(f"{option} gives {name} twice.")
        pairs[name] = value
    return pairs


def _sampler(
    pipeline: "UnityVideoPipeline",
    name: str | None,
    steps: int | None,
    text: float | None,
    prompt: float,
    condition: float,
    inner: float,
) -> "SamplerConfig":
    """The sampler asked for, changed as asked for."""
    from openuni.errors import UnknownName
    from openuni.model.sampler import SAMPLERS, changed

    if name is not None and name not in SAMPLERS:
        raise UnknownName("sampler", name, SAMPLERS)
    chosen = SAMPLERS[name] if name is not None else pipeline.default_sampler()
    return changed(chosen, steps=steps, text=text, prompt=prompt, condition=condition, inner=inner)


def _read_rgb(
    path: Path, pipeline: "UnityVideoPipeline", size: tuple[int | None, int | None, int | None]
) -> np.ndarray:
    """Frames of a clip at the model's rate, cut to its size and grid: (T, H, W, 3) uint8."""
    from openuni.frames import DecodeError, FrameTarget, read_frames

    num_frames, height, width = size
    config, codec = pipeline.config, pipeline.codec
    frames = num_frames or config.num_frames
    short = min(height or config.height, width or config.width)
    try:
        target = FrameTarget(fps=config.fps, short_side_px=None, num_frames=frames)
        found = read_frames(path, target=target).rgb
    except DecodeError as error:
        raise BadInput(f"{path} cannot be read: {error}") from error
    if num_frames is not None and len(found) < num_frames:
        raise BadInput(f"{path} has {len(found)} frames at {config.fps:g} fps; --num-frames {num_frames} is more.")
    kept = (len(found) - 1) // codec.stride.t * codec.stride.t + 1
    return fitted(found[:kept], height=height, width=width, short_side_px=short, grid=pipeline.grid)


def fitted(
    frames: np.ndarray, *, height: int | None, width: int | None, short_side_px: int, grid: tuple[int, int]
) -> np.ndarray:
    """Scale frames to cover a size and cut them to it, from the middle.

    Args:
        frames: (T, H, W, 3) uint8.
        height: px, or None.
        width: px, or None. With neither the frames keep their aspect, as far as the grid lets them.
        short_side_px: of the result, where no size is given.
        grid: heights and widths are multiples of these.
    """
    import cv2

    have = np.array(frames.shape[1:3])
    if height is None or width is None:
        scaled = have * (short_side_px / have.min())
        rows, columns = (max(step, int(side // step * step)) for side, step in zip(scaled + 0.5, grid, strict=True))
    else:
        rows, columns = height, width
    scale = max(rows / have[0], columns / have[1])
    inner = np.maximum(np.rint(have * scale).astype(int), (rows, columns))
    top, left = (inner - (rows, columns)) // 2
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    out = [cv2.resize(frame, (int(inner[1]), int(inner[0])), interpolation=how) for frame in frames]
    return np.stack(out)[:, top : top + rows, left : left + columns]


def _read_map(
    name: str, path: Path, pipeline: "UnityVideoPipeline", size: tuple[int | None, int | None, int | None]
) -> "Map | np.ndarray":
    from openuni.mapfile import read_map
    from openuni.modality import modality

    modality(name)  # a wrong name is named
    if not path.is_file():
        raise BadInput(f"--map {name}={path}: file not found.")
    return read_map(path, name) if path.suffix == ".npz" else _read_rgb(path, pipeline, size)


def _write(out: Path, result: "Output") -> list[Path]:
    """Write videos, arrays, the panel and, last, the sidecar."""
    import io

    from PIL import Image

    from openuni.engine.atomic import write_bytes
    from openuni.mapfile import write_map
    from openuni.video import encode_rgb_mp4

    out.mkdir(parents=True, exist_ok=True)
    (out / SIDECAR).unlink(missing_ok=True)  # what has no sidecar is not whole
    videos = {"rgb": result.rgb} if result.rgb is not None else {}
    videos |= {name: one.frames for name, one in result.maps.items()}
    fps, written = float(result.facts["fps"]), []
    for name, frames in videos.items():
        written.append(out / f"{name}.mp4")
        write_bytes(written[-1], encode_rgb_mp4(_even(frames), fps=fps), durable=False)
    for name, one in result.maps.items():
        written.append(out / f"{name}.npz")
        write_map(written[-1], name, one.map)
    buffer = io.BytesIO()
    Image.fromarray(panel(videos)).save(buffer, format="PNG")
    written.append(out / "panel.png")
    write_bytes(written[-1], buffer.getvalue(), durable=False)
    from openuni.run import versions

    facts: dict[str, Any] = {**result.facts, "files": [path.name for path in written], "versions": versions()}
    written.append(out / SIDECAR)
    write_bytes(written[-1], json.dumps(facts, indent=2, sort_keys=True).encode() + b"\n", durable=False)
    return written


def _even(frames: np.ndarray) -> np.ndarray:
    """Frames without a last odd row and column, which H.264's colour planes cannot hold."""
    return frames[:, : frames.shape[1] // 2 * 2, : frames.shape[2] // 2 * 2]


def panel(videos: dict[str, np.ndarray], *, columns: int = PANEL_COLUMNS, tile_px: int = 320) -> np.ndarray:
    """Draw one picture: a row for each stream, a column for each of a few moments."""
    import cv2

    from openuni.panel import strip

    rows = []
    for name, frames in videos.items():
        moments = np.unique(np.linspace(0, len(frames) - 1, min(columns, len(frames))).round().astype(int))
        high = max(2, round(tile_px * frames.shape[1] / frames.shape[2]))
        near = cv2.INTER_NEAREST if frames.shape[2] < tile_px else cv2.INTER_AREA
        row = np.concatenate([cv2.resize(frames[k], (tile_px, high), interpolation=near) for k in moments], axis=1)
        rows += [strip(f"{name}  {frames.shape[2]}x{frames.shape[1]}  {len(frames)} frames", row.shape[1]), row]
    return np.concatenate(rows)
