"""diffusers:ID or diffusers:DIR as a generator: RGB from text by Wan and HunyuanVideo, from maps too by Wan VACE."""

import hashlib
import json
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from openuni.device import pick_device
from openuni.engine.atomic import sha256_of
from openuni.engine.stage import Needs
from openuni.errors import BadInput, UnknownName
from openuni.generator import RGB, Answer, Ask, Size
from openuni.model.diffusers_pipeline import CHECKED_PX, PART, Index, grid_of, load_pipeline, read_index, shift_of
from openuni.model.pipeline import MEMORY
from openuni.model.vace_control import CONTROLS, UNKNOWN, draw_control
from openuni.model.working_size import longer, working_size
from openuni.resize import resized_frames, resized_map

VERSION = "1"
"""Raise it when the same weights and settings get other answers."""
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
WHERE = ("device", "memory")
"""Settings that decide where it runs, not what comes out."""


@dataclass
class DiffusersModel:
    """A pipeline of diffusers: a folder with model_index.json, or a Hub id."""

    source: str
    """What stands behind diffusers:."""
    steps: int | None = None
    """Steps from noise to clean; None: the pipeline's default."""
    guidance: float | None = None
    """On the caption, 1 is none; None: the pipeline's default. HunyuanVideo's is an input of the network."""
    guidance_2: float | None = None
    """Of the second network, which takes the late steps (Wan2.2 A14B); None: as guidance."""
    negative_prompt: str = ""
    """What guidance leads away from; Wan's own examples give a long one."""
    shift: float | None = None
    """Of the timesteps; None: the scheduler's. Wan advises 3 at 480 px, 5 at 720 px; VACE's own code takes 16."""
    control_strength: float = 1.0
    """Of VACE's control, 0 is none."""
    short_side_px: int | None = None
    """At which it works; None: that of the published weights."""
    num_frames: int | None = None
    """It makes at least so many frames, of which the first are taken; None: as many as are asked for."""
    tiling: bool | None = None
    """The codec works in overlapping tiles, with other numbers; None: as the pipeline's examples do."""
    device: str = "auto"
    """cpu, cuda, cuda:1, or auto."""
    dtype: str = ""
    """float32, bfloat16 or float16, Wan's codec aside; empty: bfloat16 on a GPU, float32 else."""
    memory: str = "auto"
    """auto, or low: parts are on the GPU only while they work."""

    kind: ClassVar[str] = "diffusers"

    def __post_init__(self) -> None:
        """Check what can be checked without the files.

        Raises:
            BadInput: a setting is out of its range or not known.
        """
        if self.dtype and self.dtype not in DTYPES:
            raise UnknownName("dtype", self.dtype, DTYPES)
        if self.memory not in MEMORY:
            raise UnknownName("memory", self.memory, MEMORY)
        for name in ("steps", "short_side_px", "num_frames"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise BadInput(f"--set model.{name}={value}: give at least 1.")

    @property
    def name(self) -> str:
        """The folder's name, or the Hub id's last part."""
        return Path(self.source).expanduser().resolve().name

    @property
    def needs(self) -> Needs:
        """A GPU where it runs on one."""
        return Needs(gpus=1.0 if self._device.type == "cuda" else 0.0)

    def fingerprint(self) -> str:
        """See Generator.fingerprint."""
        said = {"class": type(self).__qualname__, "version": VERSION, "settings": self._settings()}
        text = json.dumps([said, self._hashes], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def capabilities(self) -> tuple[tuple[str, str], ...]:
        """RGB from text; with VACE from the maps that it has a control for."""
        maps = CONTROLS if self._index.kind.controlled else ()
        return (*(("cond", name) for name in maps), ("text", RGB))

    def unanswered(self) -> dict[tuple[str, str], str]:
        """Questions that it cannot answer -> why."""
        return {("cond", name): why for name, why in UNKNOWN.items()} if self._index.kind.controlled else {}

    def size(self) -> Size | None:
        """The size at which it works, on the pipelines' grid."""
        own = self._index.size
        scale = self._short_side_px / min(own.height, own.width)
        height, width = (max(1, round(side * scale / CHECKED_PX)) * CHECKED_PX for side in (own.height, own.width))
        return Size(self.num_frames or own.num_frames, height, width, own.fps)

    def describe(self) -> dict[str, Any]:
        """See Generator.describe."""
        return {
            "kind": self.kind,
            "pipeline": self._index.name,
            "files": self._hashes,
            "settings": self._settings(),
            "unanswered": {f"{task} {name}": why for (task, name), why in self.unanswered().items()},
        }

    def setup(self) -> None:
        """Load all parts."""
        device = self._device
        self._pipeline = load_pipeline(self._index, dtype=DTYPES[self._dtype], shift=self.shift, tiling=self.tiling)
        if self.memory == "low" and device.type == "cuda":
            self._pipeline.enable_model_cpu_offload(device=device)
        else:
            self._pipeline.to(device)

    def __call__(self, ask: Ask) -> Answer:
        """See Generator.__call__.

        Raises:
            ValueError: the pipeline gave numbers that are none.
        """
        from PIL import Image

        grid = grid_of(self._pipeline)
        size = working_size(ask, short_side_px=self._short_side_px, grid=grid, stride=self._stride)
        at_least = -(-((self.num_frames or 1) - 1) // self._stride) * self._stride + 1
        frames, height, width = max(size[0], at_least), *size[1:]
        call, control = self._sampling(), None
        about: dict[str, Any] = {}
        if ask.task == "cond":
            assert ask.map is not None, "cond gives a map"
            small = resized_map(ask.modality, ask.map, height=height, width=width, smooth=False)
            drawn = draw_control(ask.modality, small)
            control, about["lost_in_drawing"] = longer(drawn.frames, frames), drawn.lost
            call["video"] = [Image.fromarray(frame) for frame in control]
        made = self._pipeline(
            prompt=ask.caption, num_frames=frames, height=height, width=width, output_type="np",
            generator=torch.Generator().manual_seed(ask.seed), **call,
        ).frames[0]  # fmt: skip
        rgb = _pixels(np.asarray(made))[: ask.num_frames]
        about |= {
            "pipeline": self._index.name,
            "prompt": ask.caption,
            "seed": ask.seed,
            "sampler": self._told(),
            "fps_of_model": self._index.size.fps,
            "predicted": {"num_frames": frames, "height": height, "width": width},
        }
        return Answer(rgb=resized_frames(rgb, height=ask.height, width=ask.width), rendering=control, about=about)

    def _sampling(self) -> dict[str, Any]:
        """Arguments of the pipeline's call that are settings."""
        kind = self._index.kind
        call: dict[str, Any] = {
            "num_inference_steps": kind.steps if self.steps is None else self.steps,
            "guidance_scale": kind.guidance if self.guidance is None else self.guidance,
        }
        if "negative_prompt" in kind.takes:
            call["negative_prompt"] = self.negative_prompt
        if self.guidance_2 is not None:
            call["guidance_scale_2"] = self.guidance_2
        if "control_strength" in kind.takes:
            call["conditioning_scale"] = self.control_strength
        return call

    def _told(self) -> dict[str, Any]:
        """The same, as records say it."""
        scheduler, vae = self._pipeline.scheduler, self._pipeline.vae
        call = self._sampling()
        told = {"steps": call.pop("num_inference_steps"), "guidance": call.pop("guidance_scale"), **call}
        return {
            **told,
            "scheduler": type(scheduler).__name__,
            "shift": shift_of(self._pipeline),
            "tiling": bool(getattr(vae, "use_tiling", False)),
            "dtype": self._dtype,
        }

    def _settings(self) -> dict[str, Any]:
        """What decides answers besides the weights."""
        given = {one.name: getattr(self, one.name) for one in fields(self) if one.name not in ("source", *WHERE)}
        return {**given, "dtype": self._dtype}

    @property
    def _stride(self) -> int:
        return int(self._pipeline.vae_scale_factor_temporal)

    @property
    def _short_side_px(self) -> int:
        return self.short_side_px or min(self._index.size.height, self._index.size.width)

    @property
    def _device(self) -> torch.device:
        return pick_device(self.device)

    @property
    def _dtype(self) -> str:
        return self.dtype or ("bfloat16" if self._device.type == "cuda" else "float32")

    @cached_property
    def _index(self) -> Index:
        """Raises MissingWeights or BadInput."""
        index = read_index(self.source)
        defaults = {one.name: one.default for one in fields(self)}
        for name in ("negative_prompt", "guidance_2", "control_strength"):
            if name not in index.kind.takes and getattr(self, name) != defaults[name]:
                raise BadInput(f"--set model.{name}: a {index.name} takes none.")
        if self.guidance_2 is not None and index.said.get("boundary_ratio") is None:
            raise BadInput(f"--set model.guidance_2: {PART}{self.source} has no second network for late steps.")
        return index

    @cached_property
    def _hashes(self) -> dict[str, str]:
        """File -> SHA-256 of all that is loaded."""
        folder = self._index.folder
        return {path.relative_to(folder).as_posix(): sha256_of(path) for path in self._index.files()}


def _pixels(frames: np.ndarray) -> np.ndarray:
    """(T, H, W, 3) floats in 0..1 to uint8."""
    if not np.isfinite(frames).all():
        count = int((~np.isfinite(frames)).sum())
        raise ValueError(f"the pipeline gave {count} numbers that are NaN or infinite: try --set model.dtype=float32")
    return np.rint(np.clip(frames, 0, 1) * 255).astype(np.uint8)
