"""Our models as generators: a checkpoint, run folder or export of ours, and the released UnityVideo's layout."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import torch

from openuni.device import pick_device
from openuni.engine.atomic import sha256_of
from openuni.engine.stage import Needs
from openuni.errors import BadInput, MissingWeights, UnknownName
from openuni.generator import RGB, Answer, Ask, Size
from openuni.model import checkpoint, wan_names
from openuni.model.config import ModelConfig, read_config
from openuni.model.pipeline import PRESET_PREFIX, Found, Output, UnityVideoPipeline, export_of, find
from openuni.model.presets import wan22_5b
from openuni.model.pretrained import find as find_on_hub
from openuni.model.rendering import Renderings
from openuni.model.sampler import SAMPLERS, SamplerConfig, changed
from openuni.model.working_size import longer, longer_map, working_size
from openuni.resize import resized_frames, resized_map
from openuni.table import MODALITIES, MODEL_PRESETS, load

VERSION = "3"
"""Raise it when the same weights and settings get other answers."""
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
WHERE = ("device", "memory")
"""Settings that decide where it runs, not what comes out."""


@dataclass
class OwnModel:
    """A model of ours: a run folder (its newest export), a checkpoint, Wan weights, a Hub id, or preset:NAME."""

    source: str
    """What --model says."""
    sampler: str = ""
    """paper, release, wan or tiny; empty: the model's."""
    steps: int | None = None
    """Steps from noise to clean; None: the sampler's."""
    guidance: float | None = None
    """On the caption, 1 is none; None: the sampler's."""
    guidance_modality: float = 1.0
    """On the modality prompt."""
    guidance_condition: float = 1.0
    """On the map or the frames given."""
    guidance_inner: float = 1.0
    """Of generated maps on the RGB of joint."""
    device: str = "auto"
    """cpu, cuda, cuda:1, or auto."""
    dtype: str = ""
    """float32 or bfloat16; empty: bfloat16 on a GPU, float32 else."""
    memory: str = "auto"
    """auto, or low: parts are on the device only while they work."""

    kind: ClassVar[str] = "openuni"

    def __post_init__(self) -> None:
        """Check what can be checked without loading.

        Raises:
            BadInput: an unknown sampler or dtype, or a number of steps below 1.
        """
        if self.sampler and self.sampler not in SAMPLERS:
            raise UnknownName("sampler", self.sampler, SAMPLERS)
        if self.dtype and self.dtype not in DTYPES:
            raise UnknownName("dtype", self.dtype, DTYPES)
        if self.steps is not None and self.steps < 1:
            raise BadInput(f"--set model.steps={self.steps}: give at least 1.")

    @property
    def name(self) -> str:
        """The folder's name, with the step of a run's export."""
        if self._preset:
            return self.source
        path = export_of(Path(self.source).expanduser()).resolve()
        if path.parent.name == "export":
            return f"{path.parent.parent.name}-{path.name}"
        return path.name or self.source

    @property
    def needs(self) -> Needs:
        """A GPU where it runs on one."""
        return Needs(gpus=1.0 if self._device.startswith("cuda") else 0.0)

    def fingerprint(self) -> str:
        """See Generator.fingerprint."""
        said = {"class": type(self).__qualname__, "version": VERSION, "settings": self._settings()}
        text = json.dumps([said, self._hashes], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def capabilities(self) -> tuple[tuple[str, str], ...]:
        """The tasks and modalities that training drew; RGB from text in any case."""
        tasks = self._config.tasks
        names = [name for name in self._modalities if tasks.modalities.get(name, 1) > 0]
        trained = [task for task in ("est", "cond", "joint") if tasks.tasks.get(task, 0) > 0]
        return (*((task, name) for task in trained for name in names), ("text", RGB))

    def size(self) -> Size | None:
        """The size of a clip in training."""
        config = self._config
        return Size(config.num_frames, config.height, config.width, config.fps)

    def describe(self) -> dict[str, Any]:
        """See Generator.describe."""
        return {
            "kind": self.kind,
            "files": self._hashes,
            "settings": self._settings(),
            "config": self._config.to_json(),
            "trained": not self._preset,
        }

    def setup(self) -> None:
        """Load network, codec and text encoder."""
        found = self._find(DTYPES[self._dtype])
        self._pipeline = UnityVideoPipeline.of(found, device=self._device, memory=self.memory)

    def __call__(self, ask: Ask) -> Answer:
        """See Generator.__call__."""
        pipeline = self._pipeline
        frames, height, width = self._fitted(ask)
        wanted: dict[str, Any] = {}
        if ask.task == "est":
            assert ask.rgb is not None, "est gives RGB"
            wanted["rgb"] = longer(resized_frames(ask.rgb, height=height, width=width), frames)
        elif ask.task == "cond":
            assert ask.map is not None, "cond gives a map"
            small = resized_map(ask.modality, ask.map, height=height, width=width, smooth=False)
            wanted["maps"] = {ask.modality: longer_map(ask.modality, small, frames)}
        else:
            wanted |= {"num_frames": frames, "height": height, "width": width}
        if ask.task in ("est", "joint"):
            wanted["modalities"] = (ask.modality,)
        if ask.modality_prompt:
            wanted["modality_prompts"] = {ask.modality: ask.modality_prompt}
        result = pipeline(ask.task, ask.caption, sampler=self._chosen_sampler(), seed=ask.seed, **wanted)
        return self._answer(ask, result)

    def _answer(self, ask: Ask, result: Output) -> Answer:
        renderings = Renderings(self._pipeline.config.rendering)
        about = {key: value for key, value in result.facts.items() if key != "model"}
        about["predicted"] = {key: about.pop(key) for key in ("num_frames", "height", "width")}
        given: dict[str, Any] = {}
        if ask.task != "est":
            assert result.rgb is not None, "all but est make RGB"
            given["rgb"] = resized_frames(result.rgb[: ask.num_frames], height=ask.height, width=ask.width)
        if ask.task in ("est", "joint"):
            drawn = result.maps[ask.modality].frames[: ask.num_frames]
            read = renderings.to_map(ask.modality, drawn)
            given["map"] = resized_map(ask.modality, read, height=ask.height, width=ask.width)
            given["rendering"] = drawn
            given["lacks"] = renderings.lacks(ask.modality)
            about["rendering"] = renderings.config.to_json()
        return Answer(about=about, **given)

    def _fitted(self, ask: Ask) -> tuple[int, int, int]:
        """The clip's frames, height and width at which the model works."""
        pipeline, config = self._pipeline, self._pipeline.config
        short = min(config.height, config.width)
        return working_size(ask, short_side_px=short, grid=pipeline.grid, stride=pipeline.codec.stride.t)

    def _chosen_sampler(self) -> SamplerConfig:
        base = SAMPLERS[self.sampler] if self.sampler else self._pipeline.default_sampler()
        return changed(
            base, steps=self.steps, text=self.guidance, prompt=self.guidance_modality,
            condition=self.guidance_condition, inner=self.guidance_inner,
        )  # fmt: skip

    def _settings(self) -> dict[str, Any]:
        """What decides answers besides the weights."""
        given = {one.name: getattr(self, one.name) for one in fields(self) if one.name not in ("source", *WHERE)}
        return {**given, "dtype": self._dtype}

    @property
    def _device(self) -> str:
        return str(pick_device(self.device))

    @property
    def _dtype(self) -> str:
        return self.dtype or ("bfloat16" if self._device.startswith("cuda") else "float32")

    @property
    def _preset(self) -> bool:
        return self.source.startswith(PRESET_PREFIX)

    @cached_property
    def _path(self) -> Path:
        """Where the weights are. Raises MissingWeights."""
        path = export_of(Path(self.source).expanduser())
        return path if path.exists() else find_on_hub(self.source, ["transformer"], part="the transformer")

    @cached_property
    def _hashes(self) -> dict[str, str]:
        """File -> SHA-256 of all that is loaded; a preset's name where nothing is."""
        if self._preset:
            load("model preset", MODEL_PRESETS, self.source.removeprefix(PRESET_PREFIX))
            return {self.source: "untrained"}
        found = {path.name: sha256_of(path) for path in self._files()}
        if not any(name.endswith((".safetensors", ".pt", ".pth", ".bin")) for name in found):
            raise MissingWeights(
                f"--model {self.source}: no weights are there (transformer/*.safetensors). Give a run folder with an "
                "export, a checkpoint, or preset:NAME for random weights."
            )
        return found

    def _files(self) -> Iterator[Path]:
        path = self._path
        if path.is_file():
            yield path
            return
        folder = path / "transformer" if (path / "transformer").is_dir() else path
        yield from sorted(one for one in folder.iterdir() if one.suffix in (".safetensors", ".json"))
        if folder != path and (path / "openuni.json").is_file():
            yield path / "openuni.json"

    @cached_property
    def _config(self) -> ModelConfig:
        if self._preset:
            preset: ModelConfig = load("model preset", MODEL_PRESETS, self.source.removeprefix(PRESET_PREFIX))().model
            return preset
        own = read_config(self._path) if self._path.is_dir() else None
        return own or self._find(torch.float32).config

    @cached_property
    def _modalities(self) -> tuple[str, ...]:
        if self._preset:
            network = load("model preset", MODEL_PRESETS, self.source.removeprefix(PRESET_PREFIX))().network
            return tuple(network.get("modalities", MODALITIES))
        path = next((one for one in self._files() if one.name == "config.json"), None)
        said = json.loads(path.read_text("utf-8")) if path else {}
        return tuple(said.get("modalities", MODALITIES))

    def _find(self, dtype: torch.dtype) -> Found:
        return find(self.source, dtype=dtype)


@dataclass
class ReleasedModel(OwnModel):
    """The released UnityVideo: DIR has checkpoints/*.safetensors (the EMA weights are taken) and config.json.

    Codec, text encoder and size are those of its base, Wan2.2-TI2V-5B at 256 px and 33 frames; an openuni.json in DIR
    says others. Sampler: the released code's (`release`).
    """

    kind: ClassVar[str] = "unityvideo"

    @property
    def name(self) -> str:
        """The folder's name."""
        return f"unityvideo-{Path(self.source).expanduser().resolve().name}"

    @cached_property
    def _path(self) -> Path:
        folder = Path(self.source).expanduser()
        if folder.is_file():
            return folder
        files = sorted((*folder.glob("checkpoints/*.safetensors"), *folder.glob("*.safetensors")))
        averaged = [one for one in files if one.stem.endswith("_ema")]
        if not files:
            raise MissingWeights(
                f"--model unityvideo:{self.source}: no checkpoints/*.safetensors there. Give the folder of the "
                "released weights, with its checkpoints/ and config.json."
            )
        return (averaged or files)[-1]

    @property
    def _folder(self) -> Path:
        """What the user named."""
        return self._path.parent.parent if self._path.parent.name == "checkpoints" else self._path.parent

    def _files(self) -> Iterator[Path]:
        yield self._path
        yield from (path for name in ("config.json", "openuni.json") if (path := self._folder / name).is_file())

    @cached_property
    def _config(self) -> ModelConfig:
        return read_config(self._folder) or replace(wan22_5b().model, sampler="release")

    @cached_property
    def _modalities(self) -> tuple[str, ...]:
        return tuple(MODALITIES)

    def _find(self, dtype: torch.dtype) -> Found:
        path = self._folder / "config.json"
        try:
            said = json.loads(path.read_text("utf-8")) if path.is_file() else {}
        except ValueError as error:
            raise BadInput(f"{path} is no JSON: {error}.") from error
        said = said if isinstance(said, dict) else {}
        head = {key: said[key] for key in ("attention_head_dim",) if key in said}
        if not wan_names.is_release(checkpoint.read(self._path)[0]):
            raise BadInput(f"{self._path} holds other weights than the released UnityVideo's: leave out unityvideo:.")
        loaded = checkpoint.load(self._path, dtype=dtype, **head)
        return Found(f"{self._path.name} (released UnityVideo)", loaded.network, self._config, trained=True)
