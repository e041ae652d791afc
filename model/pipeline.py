"""UnityVideoPipeline: any of RGB and the modalities from any other, and both from text."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from openuni.device import pick_device
from openuni.errors import BadInput, UnknownName
from openuni.modality import Map
from openuni.model import checkpoint
from openuni.model.codec.frames import frames_to_tensor, tensor_to_frames
from openuni.model.config import FILE as CONFIG_FILE
from openuni.model.config import ModelConfig, read_config, write_config
from openuni.model.flops import tokens_of
from openuni.model.memory import Peak, expected_peak, fits
from openuni.model.network import UnityVideo, network_config
from openuni.model.presets import Preset
from openuni.model.prompts import modality_prompt
from openuni.model.rendering import Renderings
from openuni.model.sampler import SAMPLERS, Given, SamplerConfig, sample
from openuni.model.shipped import shipped
from openuni.table import MODEL_PRESETS, load

logger = logging.getLogger(__name__)

TASKS = ("joint", "cond", "est", "text")
"""joint: text -> RGB and maps; cond: maps -> RGB; est: RGB -> maps; text: text -> RGB alone."""
PRESET_PREFIX = "preset:"
MEMORY = ("auto", "low")


class Generated(NamedTuple):
    """One modality of a generated clip."""

    frames: np.ndarray
    """(T, H, W, 3) uint8 RGB, as the network drew it."""
    map: Map
    """Read back, see Renderings.to_map."""


@dataclass(frozen=True, kw_only=True)
class Output:
    """What was generated, and what was given."""

    rgb: np.ndarray | None
    """(T, H, W, 3) uint8."""
    maps: Mapping[str, Generated]
    """By modality, in the order asked for; conditions as the network saw them."""
    facts: Mapping[str, Any]
    """JSON-able: model, task, prompts, sampler, seed, sizes; what a rendering lost."""


@dataclass
class Found:
    """A model that was asked for by name."""

    said: str
    """Which one was taken, for people."""
    network: UnityVideo
    config: ModelConfig
    trained: bool


@dataclass
class UnityVideoPipeline:
    """Network, codec and text encoder together. Make it with `from_pretrained`.

    The codec and the text encoder are loaded when they are first needed.
    """

    network: UnityVideo
    config: ModelConfig
    said: str = "a network in memory"
    """Where the network is from, for people."""
    trained: bool = True
    """False: random weights; what comes out is noise."""
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    memory: str = "auto"
    """auto: everything stays where it is loaded, unless a GPU is too small. low: the text encoder is freed once the
    prompts are encoded, the codec works in tiles, and codec and network are on the device only while they work."""
    _codec: Any = None
    _text: Any = None

    @classmethod
    def from_pretrained(
        cls,
        source: str | Path,
        *,
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
        memory: str = "auto",
        modalities: Sequence[str] | None = None,
        seed: int = 0,
    ) -> "UnityVideoPipeline":
        """Load a model.

        Args:
            source: a run folder (its newest export), a checkpoint folder or file, Wan weights, a Hub id, or
                `preset:NAME` (random weights).
            device: where it runs.
            dtype: of the network's weights.
            memory: see the class.
            modalities: names that the network should have; None: those it has.
            seed: of random weights, for `preset:NAME`.

        Raises:
            MissingWeights: nothing is there.
            BadInput: it cannot be used; see openuni.model.checkpoint.load.
        """
        refuse_place(device, memory)
        return cls.of(find(source, dtype=dtype, modalities=modalities, seed=seed), device=device, memory=memory)

    @classmethod
    def of(cls, found: "Found", *, device: str | torch.device = "cpu", memory: str = "auto") -> "UnityVideoPipeline":
        """Put a model that was found on a device. Arguments and errors as `from_pretrained`."""
        refuse_place(device, memory)
        made = cls(found.network, found.config, found.said, found.trained, torch.device(device), memory)
        if memory != "low":
            made._move(made.device)
        return made

    def save_pretrained(self, folder: str | Path) -> None:
        """Write `transformer/` and openuni.json; codec and text encoder stay references."""
        path = Path(folder)
        path.mkdir(parents=True, exist_ok=True)
        self.network.save_pretrained(path / "transformer")
        write_config(path, self.config)

    @property
    def codec(self) -> Any:
        """The video codec, loaded on first use."""
        if self._codec is None:
            self._codec = self.config.load_codec(self.device, tiling=self.memory == "low")
        return self._codec

    @property
    def text(self) -> Any:
        """The text encoder, loaded on first use."""
        if self._text is None:
            self._text = self.config.load_text(self.device)
        return self._text

    @property
    def grid(self) -> tuple[int, int]:
        """Heights and widths must be multiples of these, px."""
        _, patch_h, patch_w = self.network.arguments.patch_size
        return self.codec.stride.h * patch_h, self.codec.stride.w * patch_w

    @torch.no_grad()
    def __call__(
        self,
        task: str,
        prompt: str = "",
        *,
        modalities: Sequence[str] = (),
        rgb: np.ndarray | None = None,
        maps: Mapping[str, Map | np.ndarray] | None = None,
        num_frames: int | None = None,
        height: int | None = None,
        width: int | None = None,
        sampler: SamplerConfig | None = None,
        modality_prompts: Mapping[str, str] | None = None,
        subject: str | None = None,
        seed: int = 0,
        progress: Callable[[int, int], None] | None = None,
        say: Callable[[str], None] = logger.info,
    ) -> Output:
        """Generate one clip.

        Args:
            task: one of TASKS.
            prompt: caption C_r. In est used only by models that were trained with it.
            modalities: what to generate in joint and est. In est, more than training had side by side are estimated
                one after the other, each from the same seed.
            rgb: (T, H, W, 3) uint8 frames; est.
            maps: modality -> map, or (T, H, W, 3) uint8 drawn as the network sees it; cond. Several side by side.
            num_frames: of the clip; None: as given, or as in training.
            height: px; None: as given, or as in training.
            width: px, as `height`.
            sampler: None: the model's preset.
            modality_prompts: modality -> C_m in place of our wording.
            subject: what maps show, "two persons"; put into our wordings.
            seed: of the noise.
            progress: called with the steps done and their number.
            say: told what a long run is about to do.

        Raises:
            BadInput: what was given does not fit the task, the model or the codec's grid.
        """
        names = self._names(task, modalities, rgb, maps or {})
        at_once = self.config.num_maps
        if task == "est" and at_once and len(names) > at_once:
            given: dict[str, Any] = {
                "rgb": rgb, "num_frames": num_frames, "height": height, "width": width, "sampler": sampler,
                "subject": subject, "seed": seed, "progress": progress, "say": say,
            }  # fmt: skip
            return self._in_turn(prompt, names, at_once, modality_prompts or {}, given)
        drawn, lost = self._drawn(maps or {}, names)
        size = self._size(task, rgb, drawn, num_frames, height, width)
        sampler = sampler or self.default_sampler()
        sampler.guidance.check(self.config.tasks)
        texts = self._encode_text(task, prompt, names, modality_prompts or {}, subject)
        shape = self._latent_shape(size)
        sampler = self._windowed(sampler, shape)
        streams: list[str | None] = [None, *names]
        peak = self._prepare(shape, len(streams), say)
        generator = torch.Generator().manual_seed(seed)
        noise = [torch.randn(1, *shape, generator=generator).to(self.device) for _ in streams]
        spare = [torch.randn(1, *shape, generator=generator).to(self.device) for _ in streams]
        conditions: dict[str | None, np.ndarray] = dict(drawn.items()) if rgb is None else {None: rgb}
        inputs = []
        for place, name in enumerate(streams):
            frames = conditions.get(name)
            latent = noise[place] if frames is None else self._encode(frames)
            modality = None
            if name is not None:
                modality = torch.tensor([list(self.network.arguments.modalities).index(name)], device=self.device)
            inputs.append(Given(latent, texts[place].to(self.device), modality, frames is None))
        if self.memory == "low":
            self._move(self.device)
        latents = sample(
            self.network,
            inputs,
            sampler,
            shift=self.config.tasks.shift,
            empty=texts[-1][0].to(self.device),
            noise=spare,
            progress=progress,
        )
        if self.memory == "low":
            self._move(torch.device("cpu"))
        videos = {
            name: self._decode(latent)
            for name, latent, one in zip(streams, latents, inputs, strict=True)
            if one.generate
        }
        renderings = Renderings(self.config.rendering)
        facts = self._facts(task, prompt, names, sampler, seed, size, peak, modality_prompts or {}, subject, lost)
        out = {}
        for name in names:
            frames = videos[name] if name in videos else drawn[name]
            out[name] = Generated(frames, renderings.to_map(name, frames, facts={"model": self.said}))
        return Output(rgb=videos.get(None, rgb if task == "est" else None), maps=out, facts=facts)

    def _in_turn(
        self, prompt: str, names: Sequence[str], at_once: int, prompts: Mapping[str, str], given: Mapping[str, Any]
    ) -> Output:
        """Estimate some maps, then others."""
        made = []
        for start in range(0, len(names), at_once):
            some = names[start : start + at_once]
            own = {name: prompts[name] for name in some if name in prompts}
            made.append(self("est", prompt, modalities=some, modality_prompts=own, **given))
        told = {name: text for one in made for name, text in one.facts["modality_prompts"].items()}
        facts = {**made[0].facts, "modality_prompts": told}
        maps = {name: one for part in made for name, one in part.maps.items()}
        return Output(rgb=made[0].rgb, maps=maps, facts=facts)

    def _names(
        self, task: str, modalities: Sequence[str], rgb: np.ndarray | None, maps: Mapping[str, Any]
    ) -> list[str]:
        """The modality streams of a task."""
        if task not in TASKS:
            raise UnknownName("task", task, TASKS)
        wrong = {
            "joint": (rgb is not None, "rgb") if rgb is not None else (bool(maps), "maps"),
            "cond": (rgb is not None, "rgb"),
            "est": (bool(maps), "maps"),
            "text": (rgb is not None or bool(maps) or bool(modalities), "rgb, maps or modalities"),
        }[task]
        if wrong[0]:
            raise BadInput(f"Task {task} takes no {wrong[1]}: {_uses(task)}.")
        names = list(maps) if task == "cond" else list(modalities)
        if task == "cond" and modalities and set(modalities) != set(maps):
            raise BadInput(
                f"Task cond generates RGB from the maps given ({', '.join(maps)}), not from {', '.join(modalities)}."
            )
        if (task == "est" and rgb is None) or (task != "text" and not names):
            raise BadInput(f"Task {task} lacks something: {_uses(task)}.")
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            raise BadInput(f"{', '.join(repeated)} is asked for twice.")
        have = list(self.network.arguments.modalities)
        for name in names:
            if name not in have:
                raise BadInput(f"{self.said} has no head for {name!r}; it has {', '.join(have)}.")
        return names

    def _drawn(
        self, maps: Mapping[str, Map | np.ndarray], names: Sequence[str]
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Conditions as the network sees them, and what that loses."""
        renderings, drawn, lost = Renderings(self.config.rendering), {}, {}
        for name in names:
            if name not in maps:
                continue
            one = maps[name]
            if isinstance(one, Map):
                rendered = renderings.to_frames(name, one)
                drawn[name] = rendered.frames
                if rendered.lost:
                    lost[name] = dict(rendered.lost)
            else:
                drawn[name] = one
        return drawn, lost

    def _size(
        self,
        task: str,
        rgb: np.ndarray | None,
        drawn: Mapping[str, np.ndarray],
        num_frames: int | None,
        height: int | None,
        width: int | None,
    ) -> tuple[int, int, int]:
        """Frames, height and width of the clip."""
        given = {"rgb": rgb, **drawn} if rgb is not None else dict(drawn)
        sizes = {name: tuple(frames.shape[:3]) for name, frames in given.items() if frames is not None}
        if len(set(sizes.values())) > 1:
            raise BadInput(
                "The clips given differ: " + ", ".join(f"{name} {size}" for name, size in sizes.items()) + " (T, H, W)."
            )
        own = next(iter(sizes.values()), (self.config.num_frames, self.config.height, self.config.width))
        wanted = tuple(
            one if one is not None else mine for one, mine in zip((num_frames, height, width), own, strict=True)
        )
        if sizes and wanted != own:
            raise BadInput(f"The clip given has {own} frames, height, width, but {wanted} was asked for.")
        return wanted  # type: ignore[return-value]

    def _latent_shape(self, size: tuple[int, int, int]) -> tuple[int, int, int, int]:
        """Latents of a clip. Raises BadInput for sizes off the grid of codec and network."""
        try:
            channels, frames, rows, columns = self.codec.latent_shape(*size)
        except ValueError as error:
            raise BadInput(str(error)) from error
        steps, patch = self.grid, self.network.arguments.patch_size
        if frames % patch[0] or rows % patch[1] or columns % patch[2]:
            near = [max(step, round(length / step) * step) for length, step in zip(size[1:], steps, strict=True)]
            raise BadInput(
                f"height and width must be multiples of {steps[0]} and {steps[1]}, got {size[1]} and {size[2]}: "
                f"use {near[0]} and {near[1]}"
            )
        if channels != self.network.arguments.in_channels:
            raise BadInput(
                f"The network takes {self.network.arguments.in_channels} channels, codec {self.config.codec} gives "
                f"{channels}: they do not belong together."
            )
        return channels, frames, rows, columns

    def default_sampler(self) -> SamplerConfig:
        """The model's preset, without guidance on what it was never trained without."""
        chosen = SAMPLERS[self.config.sampler]
        if self.config.tasks.drop_caption == 0:
            chosen = replace(chosen, guidance=replace(chosen.guidance, text=1.0))
        return chosen

    def _windowed(self, sampler: SamplerConfig, shape: tuple[int, int, int, int]) -> SamplerConfig:
        """Windows of the model's own length for clips that are longer."""
        _, own, _, _ = self.codec.latent_shape(self.config.num_frames, self.config.height, self.config.width)
        if sampler.window is None and shape[1] > own:
            return replace(sampler, window=own, overlap=min(sampler.overlap, own - 1))
        return sampler

    def _encode_text(
        self, task: str, prompt: str, names: Sequence[str], prompts: Mapping[str, str], subject: str | None
    ) -> list[Tensor]:
        """(1, T, D) for RGB and each modality, and last of the empty prompt."""
        caption = prompt if task != "est" or self.config.tasks.estimation_text == "caption" else ""
        words = [caption, *(modality_prompt(name, subject=subject, override=prompts.get(name)) for name in names), ""]
        embedded = self.text.encode(words).float()
        if self.memory == "low":
            self._text = None
            if self.device.type == "cuda":
                torch.cuda.empty_cache()
        return list(embedded.split(1))

    def _prepare(self, shape: tuple[int, int, int, int], streams: int, say: Callable[[str], None]) -> Peak:
        """Say what is expected, and save memory where a GPU is too small."""
        arguments = self.network.arguments
        tokens = [tokens_of(arguments, shape[1:])] * streams
        count = sum(parameter.numel() for parameter in self.network.parameters())
        peak = expected_peak(arguments, count, tokens, self.network.patch_embedding.weight.dtype)
        say(f"{streams} stream{'s' * (streams > 1)} of {tokens[0]:,} tokens, {count / 1e6:,.1f} M parameters: {peak}")
        if self.memory == "auto" and not fits(peak, self.device):
            say("little memory is left on the device: as with --memory low from here on")
            self.memory, self._text = "low", None
        return peak

    def _move(self, device: torch.device) -> None:
        """Bring the network to a device."""
        torch.nn.Module.to(self.network, device)  # diffusers' own warns where dtypes differ on purpose

    def _encode(self, frames: np.ndarray) -> Tensor:
        """(1, C, F, h, w) clean latents."""
        latents: Tensor = self.codec.encode(frames_to_tensor(frames).to(self.device))
        return latents.float()

    def _decode(self, latents: Tensor) -> np.ndarray:
        """(T, H, W, 3) uint8."""
        return tensor_to_frames(self.codec.decode(latents).float().clamp(-1, 1).cpu())

    def _facts(
        self,
        task: str,
        prompt: str,
        names: Sequence[str],
        sampler: SamplerConfig,
        seed: int,
        size: tuple[int, int, int],
        peak: Peak,
        prompts: Mapping[str, str],
        subject: str | None,
        lost: Mapping[str, Any],
    ) -> dict[str, Any]:
        return {
            "model": self.said,
            "trained": self.trained,
            "task": task,
            "prompt": prompt,
            "modality_prompts": {
                name: modality_prompt(name, subject=subject, override=prompts.get(name)) for name in names
            },
            "sampler": asdict(sampler)
            | {"shift": sampler.shift if sampler.shift is not None else self.config.tasks.shift},
            "seed": seed,
            "num_frames": size[0],
            "height": size[1],
            "width": size[2],
            "fps": self.config.fps,
            "rendering": self.config.rendering.to_json(),
            "lost_in_drawing": dict(lost),
            "expected_peak_bytes": peak.total,
        }


def refuse_place(device: str | torch.device, memory: str) -> None:
    """Raise BadInput unless a model can be put there."""
    if memory not in MEMORY:
        raise BadInput(f"memory must be one of {', '.join(MEMORY)}, got {memory!r}.")
    pick_device(str(device))


def find(
    source: str | Path, *, dtype: torch.dtype = torch.float32, modalities: Sequence[str] | None = None, seed: int = 0
) -> Found:
    """Find a model by what a user calls it. Arguments and errors as UnityVideoPipeline.from_pretrained."""
    text = str(source)
    if text.startswith(PRESET_PREFIX):
        name = text.removeprefix(PRESET_PREFIX)
        preset: Preset = load("model preset", MODEL_PRESETS, name)()
        network = untrained(preset, modalities=modalities, seed=seed)
        if dtype != torch.float32:
            network = checkpoint.fill(
                network_config(network.config), network.state_dict(), text, dtype=dtype, device="cpu"
            )
        return Found(f"preset {name} (untrained)", network.eval(), preset.model, trained=False)
    path = export_of(Path(text).expanduser())
    config = read_config(path) if path.is_dir() else None
    loaded = checkpoint.load(path if path.exists() else text, modalities=modalities, dtype=dtype)
    said = f"{path} ({loaded.kind} weights)"
    if config is None:
        config = _config_for(loaded, text)
        if loaded.kind == "wan":
            said += ", whose modality layers are untrained"
    return Found(said, loaded.network, config, trained=loaded.kind != "wan")


def untrained(preset: Preset, *, modalities: Sequence[str] | None = None, seed: int = 0) -> UnityVideo:
    """Make a preset's network with random weights that depend on the seed alone."""
    options = dict(preset.network) | ({"modalities": tuple(modalities)} if modalities else {})
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return UnityVideo(**options)


def export_of(path: Path) -> Path:
    """The export that a path of a run stands for; the path itself where it stands for none.

    A run folder stands for its newest export, a checkpoint of training for the export of its step, and a file of
    weights in an export for that export. A shipped model's name stands for its folder in the package.
    """
    if (ours := shipped(str(path))) is not None:
        return ours
    exports = sorted((one for one in path.glob("export/*") if one.name.isdigit()), key=lambda one: int(one.name))
    if exports:
        return exports[-1]
    of_step = path.parent.parent / "export" / path.name
    if path.parent.name == "checkpoints" and of_step.is_dir():
        return of_step
    if path.is_file() and path.parent.name == "transformer" and (path.parent.parent / CONFIG_FILE).is_file():
        return path.parent.parent
    return path


def _config_for(loaded: checkpoint.Loaded, source: str) -> ModelConfig:
    """What is around weights that come without openuni.json: the preset of their shape, with the parts beside them."""
    arguments = loaded.network.arguments
    shape = (arguments.num_attention_heads, arguments.num_layers, arguments.in_channels)
    for name in MODEL_PRESETS:
        preset: Preset = load("model preset", MODEL_PRESETS, name)()
        own = preset.network
        if shape == (own["num_attention_heads"], own["num_layers"], own.get("in_channels", 16)):
            config = preset.model
            break
    else:
        config = ModelConfig()
        logger.warning(
            "%s has no openuni.json and no preset's shape: taken for a model of Wan's size and codec", source
        )
    folder = Path(source).expanduser()
    for part, options in (("vae", "codec_options"), ("text_encoder", "text_options")):
        if (folder / part).is_dir():
            changed: dict[str, Any] = {options: {**getattr(config, options), "model": str(folder)}}
            config = replace(config, **changed)
    return config


def _uses(task: str) -> str:
    return {
        "joint": "it generates RGB and maps from a prompt; say which maps (--modality)",
        "cond": "it generates RGB from maps; give them (--map MODALITY=FILE)",
        "est": "it generates maps from RGB; give the clip (--rgb FILE) and say which maps (--modality)",
        "text": "it generates RGB from a prompt alone",
    }[task]
