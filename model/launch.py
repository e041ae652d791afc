"""Launching: from settings to a run, in this process, under torchrun, or on a Ray cluster. The loop is the same."""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from openuni.device import pick_device
from openuni.errors import BadInput
from openuni.model import train_state, watch
from openuni.model.data.clips import read_clips
from openuni.model.data.config import LoaderConfig, size_table
from openuni.model.grow import grown
from openuni.model.network import PREDICTIONS, UnityVideo, network_config
from openuni.model.pipeline import find, untrained
from openuni.model.presets import Preset
from openuni.model.shipped import shipped
from openuni.model.train import Place, Run, Trainer, loader_of, step_flops
from openuni.model.train_config import TrainConfig, changed
from openuni.run import RunFolder
from openuni.table import MODEL_PRESETS, load

Echo = Callable[[str], None]
LARGE_GPU_BYTES = 40e9  # ours: the 1.3B with its optimiser is 23 GB, activations come on top
BYTES_PER_WEIGHT = 16  # float32 weight, gradient and Adam's two moments; the moving average is 4 more


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a user asked for; JSON-able, so that a run can be done again and sent to workers."""

    data: tuple[str, ...]
    preset: str = ""
    """Empty: what fits this machine."""
    init: str = ""
    """Empty: the preset's public weights; "none": random ones."""
    out: str = "ckpt"
    changes: tuple[str, ...] = ()
    """Texts of --set."""
    resume: bool = False
    device: str = "auto"

    @classmethod
    def from_run(cls, path: Path, *, out: Path, resume: bool, device: str) -> "Settings":
        """Read the settings of another run.

        Raises:
            BadInput: no such file, or it is not a training run's.
        """
        try:
            values = json.loads(path.read_text("utf-8"))
            settings = values["config"]["settings"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BadInput(
                f"{path} is not the run.json of a training run ({type(error).__name__}: {error})."
            ) from error
        lists = {name: tuple(settings[name]) for name in ("data", "changes")}
        return cls(**{**settings, **lists, "out": str(out), "resume": resume, "device": device})


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A run that could begin."""

    run: Run
    preset: Preset
    preset_name: str
    why: str
    init: str
    settings: Settings
    network: Mapping[str, Any]
    """Arguments of UnityVideo."""

    def costs(self) -> Iterator[str]:
        """Lines that say what the run will be and take."""
        run = self.run
        with torch.device("meta"):
            network = UnityVideo(**self.network)
        model = run.model
        count = sum(parameter.numel() for parameter in network.parameters())
        flops = step_flops(run, network, self.preset.prompt_tokens, self.preset.latent)
        clips = len(read_clips(loader_of(run, len(run.train.parts) - 1)))
        yield f"preset {self.preset_name}: {self.why}"
        yield f"starts from {self.init or 'nothing (random weights)'}"
        yield f"data: {', '.join(self.settings.data)}: {clips:,} clips for training"
        yield f"{count:,} parameters; state about {count * (BYTES_PER_WEIGHT + 4) / 1e9:.2f} GB over all GPUs"
        yield (
            f"{run.train.steps:,} steps of {run.train.batch_size} clips, {model.num_frames} x {model.height} x "
            f"{model.width}, {1 + run.train.num_maps} streams: {flops / 1e12:,.3g} TFLOP a step"
        )
        for stage, end in zip(run.train.parts, run.train.stage_ends(), strict=True):
            yield f"stage {stage.name} to step {end:,}: {', '.join(stage.modalities or ('all modalities',))}"
        hours = flops * run.train.steps / (0.35 * 989e12) / 3600
        yield f"about {hours:,.3g} H100 hours at 35 % of its dense bfloat16 peak (989 TFLOP/s)"


def prepared(settings: Settings) -> Prepared:
    """Work out a run; nothing is written.

    Raises:
        BadInput: what was asked for does not fit together.
        UnknownName: no such preset, part or parameter.
    """
    name, why = (settings.preset, "as asked for") if settings.preset else _fitting(settings.init)
    preset: Preset = load("model preset", MODEL_PRESETS, name)()
    loader = LoaderConfig(
        builds=tuple(settings.data),
        num_frames=(preset.model.num_frames,),
        fps=preset.model.fps,
        sizes=_sizes(preset),
        grid=_grid(preset),
        frame_step=preset.stride[0],
    )
    switches = _Switches.of(preset)
    parts = {"tasks": preset.model.tasks, "rendering": preset.model.rendering, "loader": loader, "network": switches}
    train, new = changed(preset.train, settings.changes, parts=parts)
    model = replace(preset.model, tasks=new["tasks"], rendering=new["rendering"], num_maps=train.num_maps)
    network = {**preset.network, **asdict(new["network"])}
    init = "" if settings.init == "none" else settings.init or (preset.init or "")
    run = Run(
        out=Path(settings.out), train=train, model=model, loader=new["loader"], started_from=init or "random weights"
    )
    return Prepared(run=run, preset=preset, preset_name=name, why=why, init=init, settings=settings, network=network)


@dataclass(frozen=True, kw_only=True)
class _Switches:
    """Arguments of UnityVideo that a run may change: `--set network.switcher=false`."""

    switcher: bool = True
    in_context: bool = True
    head: str = "per_modality"
    time: str = "per_stream"
    token_bias: bool = False
    prediction: str = PREDICTIONS[0]

    @classmethod
    def of(cls, preset: Preset) -> "_Switches":
        return cls(**{name: value for name, value in preset.network.items() if name in cls.__dataclass_fields__})


def _fitting(init: str) -> tuple[str, str]:
    """The preset of the shipped weights that are started from, else the one that fits this machine; and why."""
    if shipped(init) is not None:
        return init, "the shipped model's own"
    if torch.cuda.is_available():
        memory = torch.cuda.get_device_properties(0).total_memory
        if memory >= LARGE_GPU_BYTES:
            return "wan_1_3b", f"this GPU has {memory / 1e9:.0f} GB"
        return "tiny_cpu", f"this GPU has {memory / 1e9:.0f} GB, the 1.3B wants {LARGE_GPU_BYTES / 1e9:.0f}"
    return "tiny_cpu", "this machine has no GPU"


def _grid(preset: Preset) -> int:
    patch = preset.network.get("patch_size", (1, 2, 2))
    return max(preset.stride[1] * patch[1], preset.stride[2] * patch[2])


def _sizes(preset: Preset) -> tuple[tuple[int, int], ...]:
    if preset.model.height == preset.model.width:  # trained on squares, as the release and the tiny one are
        return ((preset.model.height, preset.model.width),)
    return size_table(preset.model.height, preset.model.width, grid=_grid(preset))


def launch(settings: Settings, *, ray: str = "off", workers: tuple[int, int] = (1, 1), echo: Echo = print) -> None:
    """Train, here or on a Ray cluster.

    Raises:
        BadInput, MissingWeights: before anything is written. RunFailed: the run could not go on.
    """
    if ray == "off":
        train_here(settings, echo)
        return
    from openuni.model.launch_ray import train_on_ray

    train_on_ray(settings, address=ray, workers=workers, echo=echo)


def train_here(settings: Settings, echo: Echo) -> None:
    """Train in this process; under torchrun in all of its processes."""
    ours = "RANK" in os.environ and not dist.is_initialized()
    device = _device(settings.device)
    if ours:
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        _train(prepared(settings), device, echo)
    finally:
        if ours:
            dist.destroy_process_group()


def _device(name: str) -> torch.device:
    device = pick_device(name)
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
        torch.cuda.set_device(device)
    return device


def _train(ready: Prepared, device: torch.device, echo: Echo) -> None:
    run, settings = ready.run, ready.settings
    rank, world = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
    alone = run.train.dtype == "bfloat16" and not dist.is_initialized()
    if alone:
        backend = "nccl" if device.type == "cuda" else "gloo"
        dist.init_process_group(backend, store=dist.HashStore(), rank=0, world_size=1)
    newest = train_state.newest(run.out)
    if newest is not None and not settings.resume:
        raise BadInput(f"{run.out} holds a run at step {newest.name}. Go on with --resume, or choose another --out.")
    if newest is None and settings.resume:
        raise BadInput(f"{run.out} has no checkpoint to resume from. Leave --resume out.")
    read_clips(loader_of(run, 0))  # what is wrong with the data is said before weights are loaded
    network = _network(ready)
    folder = RunFolder(run.out, "train")
    try:
        if rank == 0:
            with folder:
                record(folder, ready)
                _loop(ready, network, Place(rank, world, device), folder, newest, echo)
        else:
            _loop(ready, network, Place(rank, world, device), None, newest, echo)
    finally:
        if alone:
            dist.destroy_process_group()


def record(folder: RunFolder, ready: Prepared) -> None:
    """Write run.json."""
    run = ready.run
    folder.record(
        {
            "settings": asdict(ready.settings),
            "preset": ready.preset_name,
            "why": ready.why,
            "init": ready.init or "none: random weights",
            "train": run.train.to_json(),
            "model": run.model.to_json(),
            "loader": asdict(run.loader),
            "network": dict(ready.network),
        }
    )


def _loop(
    ready: Prepared, network: UnityVideo, place: Place, folder: RunFolder | None, newest: Path | None, echo: Echo
) -> None:
    log = _Log(ready.run.train, folder, echo)
    if folder is not None:
        echo(f"preset {ready.preset_name}: {ready.why}; weights from {ready.init or 'nothing: they are random'}")
    trainer = Trainer(ready.run, network, place, log)
    if newest is not None:
        trainer.resume(newest)
    try:
        trainer.train()
    finally:
        log.close()


def _network(ready: Prepared) -> UnityVideo:
    """The network to be trained, float32."""
    if not ready.init:
        preset = replace(ready.preset, network=ready.network)
        network = untrained(preset, seed=ready.run.train.seed)
        network.zero_heads()
        return network
    found = find(ready.init)
    own, wanted_size = found.config.codec_options.get("size"), ready.preset.model.codec_options.get("size")
    if own and wanted_size and own != wanted_size:
        found = replace(found, network=grown(found.network, own, wanted_size))
    same = ("num_attention_heads", "attention_head_dim", "num_layers", "in_channels", "text_dim", "patch_size")
    arguments, wanted = network_config(found.network.config), ready.network
    for name in same:
        if name in wanted and tuple(_list(arguments[name])) != tuple(_list(wanted[name])):
            raise BadInput(
                f"{ready.init} has {name} {arguments[name]}, preset {ready.preset_name} {wanted[name]}. "
                "Choose the preset that it was made with."
            )
    return found.network


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, tuple | list) else [value]


PEAKS = {"H100": 989e12, "H200": 989e12, "A100": 312e12}
"""Dense bfloat16 peak, FLOP/s, of NVIDIA's data sheets, by a part of the device's name."""


def peak_flops(name: str) -> float:
    """The peak of a GPU; infinite where it is not known, so that the share is 0."""
    return next((peak for part, peak in PEAKS.items() if part in name), float("inf"))


class _Log:
    """Events to events.jsonl; for people a line now and then, and on a terminal a progress bar."""

    def __init__(self, config: TrainConfig, folder: RunFolder | None, echo: Echo) -> None:
        self.config, self.folder, self.echo = config, folder, echo
        self._bar: Any = None
        if folder is not None and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import Progress

            self._bar = Progress(console=Console(stderr=True), transient=True)
            self._bar.start()
            self._task = self._bar.add_task("training", total=config.last)
            self.echo = partial(self._bar.console.print, markup=False, highlight=False)  # captions may hold brackets
        self.started, self.first = time.monotonic(), 0
        self.sinks = watch.Sinks(config, folder.folder if folder is not None else None)

    def __call__(self, event: str, **fields: Any) -> None:
        if self.folder is None:
            return
        self.folder.event(event, **fields)
        self.sinks.write(event, fields)
        if event in ("validation", "picture", "export"):
            watch.write_page(self.folder.folder)
        step = fields.get("step", 0)
        if event == "train":
            self.first = self.first or step
            if self._bar is not None:
                self._bar.update(self._task, completed=step, description=f"loss {fields['loss']:.4f}")
            if step % self.config.log_every == 0 or step in (self.first, self.config.last):
                self.echo(self._line(step, fields))
        elif event == "validation" and "parts" in fields:
            self.echo(f"step {step}: held-out loss {_by_task(fields['parts'])}")
        elif event in ("picture", "stage", "checkpoint", "export", "resume", "validation"):
            said = ", ".join(f"{name} {value}" for name, value in fields.items() if name != "step" and value)
            self.echo(f"step {step}: {event} {said}")

    def close(self) -> None:
        """Take the progress bar off the terminal."""
        if self._bar is not None:
            self._bar.stop()

    def _line(self, step: int, fields: Mapping[str, Any]) -> str:
        each = (time.monotonic() - self.started) / max(1, step - self.first + 1)
        left = each * (self.config.last - step)
        speed = f"{fields['tokens'] / fields['seconds']:,.0f} tokens/s"
        if torch.cuda.is_available():
            share = fields["flops"] / fields["seconds"] / peak_flops(torch.cuda.get_device_name())
            speed += f", MFU {100 * share:.1f} %" if share else ""
        memory = f", {torch.cuda.max_memory_allocated() / 1e9:.1f} GB" if torch.cuda.is_available() else ""
        return (
            f"step {step}/{self.config.last} loss {fields['loss']:.4f} ({_by_task(fields['parts'])}) "
            f"rate {fields['rate']:.2e} "
            f"{fields['seconds']:.2f} s, {speed}{memory}, {left / 60:.1f} min left"
        )


def _by_task(parts: Mapping[str, float]) -> str:
    """Losses by task, without those by modality and time."""
    return ", ".join(f"{name} {value:.4f}" for name, value in parts.items() if "/" not in name)
