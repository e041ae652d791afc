"""A pipeline of diffusers in its own layout: read from model_index.json, checked, hashed and loaded.

model_index.json is data from elsewhere: only pipelines of KINDS and parts of diffusers and transformers are loaded,
weights from safetensors only, and every network must be filled by its checkpoint.
"""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch

from openuni.errors import BadInput, first_line
from openuni.generator import Size
from openuni.model.pretrained import check_loaded, find, find_index, need

PART = "diffusers:"
LIBRARIES = ("diffusers", "transformers")
HASHED = (".json", ".safetensors", ".model", ".txt", ".jinja")
"""Endings of the files that decide what comes out."""
CHECKED_PX = 16
"""Wan's and HunyuanVideo's pipelines refuse heights and widths that are no multiples of it (diffusers 0.42)."""


class Kind(NamedTuple):
    """A class of pipelines that is known."""

    size: Size
    """At which its published weights work, and that of their examples."""
    guidance: float
    """Default of its __call__ in diffusers 0.42, as steps."""
    takes: frozenset[str]
    """Settings of DiffusersModel that not all kinds have."""
    steps: int = 50
    controlled: bool = False
    """RGB from a map too, by VACE's control video."""
    codec_float32: bool = True
    """The codec stays in float32 beside a bfloat16 network, as in Wan's examples."""
    tiling: bool = False
    """The codec works in tiles, as in HunyuanVideo's examples: whole clips need more memory than a GPU has."""


WAN_SIZE = Size(81, 480, 832, 16.0)
WAN22_5B_SIZE = Size(121, 704, 1280, 24.0)
"""TI2V-5B, told by expand_timesteps; Wan2.2's configs."""
KINDS = {
    "WanPipeline": Kind(WAN_SIZE, 5.0, frozenset({"negative_prompt", "guidance_2"})),
    "WanVACEPipeline": Kind(
        WAN_SIZE, 5.0, frozenset({"negative_prompt", "guidance_2", "control_strength"}), controlled=True
    ),
    # Guidance is distilled into the network, so there is no negative prompt.
    "HunyuanVideoPipeline": Kind(
        Size(129, 720, 1280, 24.0), 6.0, frozenset(), codec_float32=False, tiling=True
    ),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Index:
    """What model_index.json says."""

    folder: Path
    name: str
    """A key of KINDS."""
    parts: Mapping[str, tuple[str, str]]
    """Part -> library and class; absent ones left out."""
    said: Mapping[str, Any]
    """All of it."""

    @property
    def kind(self) -> Kind:
        """Of the pipeline."""
        return KINDS[self.name]

    @property
    def size(self) -> Size:
        """At which its published weights work."""
        return WAN22_5B_SIZE if self.said.get("expand_timesteps") else self.kind.size

    def files(self) -> Iterator[Path]:
        """Every file that decides what comes out."""
        yield self.folder / "model_index.json"
        for part in sorted(self.parts):
            yield from sorted(path for path in (self.folder / part).iterdir() if path.suffix in HASHED)


def read_index(source: str) -> Index:
    """Find a pipeline and all its parts.

    Args:
        source: a folder, or a Hub id: what the local cache lacks is fetched, unless HF_HUB_OFFLINE is set.

    Raises:
        MissingWeights: it or a part of it is not there.
        BadInput: it is of a class that is not known, or damaged.
    """
    path = find_index(source, part=PART)
    try:
        said = json.loads(path.read_text("utf-8"))
        name = said["_class_name"]
        pairs = {key: tuple(value) for key, value in said.items() if isinstance(value, list) and len(value) == 2}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{PART} {path} is no index of a pipeline ({first_line(error)}).") from error
    if name not in KINDS:
        raise BadInput(
            f"{PART} {source} is a {name}; known are {', '.join(KINDS)}. Another system's clips are scored by "
            "preds:FOLDER, see openuni bench layout."
        )
    parts = {key: pair for key, pair in pairs.items() if pair != (None, None)}
    for key, (library, cls) in parts.items():
        if library not in LIBRARIES or Path(key).name != key:
            raise BadInput(f"{PART} {path}: {key} is {library}.{cls}; parts must be of {' or '.join(LIBRARIES)}.")
    return Index(folder=find(source, sorted(parts), part=PART), name=name, parts=parts, said=said)


def load_pipeline(index: Index, *, dtype: torch.dtype, shift: float | None = None, tiling: bool | None = None) -> Any:
    """Load a pipeline on the CPU.

    Args:
        index: of `read_index`.
        dtype: of networks and text encoders.
        shift: of the timesteps; None: the scheduler's own.
        tiling: whether the codec works in tiles; None: as the kind does.

    Returns:
        An object of diffusers' class; progress bars are off.

    Raises:
        BadInput: a package is missing, a part is damaged or for another network, or the scheduler has no shift.
    """
    need(PART, *LIBRARIES, "accelerate", "safetensors", "ftfy")
    import diffusers
    import transformers

    transformers.utils.logging.disable_progress_bar()
    diffusers.utils.logging.disable_progress_bar()
    parts: dict[str, Any] = {}
    for name in index.parts:
        cls = _class_of(index, name)
        if issubclass(cls, torch.nn.Module):
            whole = name == "vae" and index.kind.codec_float32
            parts[name] = _load_network(cls, index.folder / name, torch.float32 if whole else dtype)
    try:
        pipeline = getattr(diffusers, index.name).from_pretrained(index.folder, local_files_only=True, **parts)
    except Exception as error:  # whatever a damaged tokenizer or scheduler makes the libraries raise
        raise BadInput(f"{PART} {index.folder} cannot be loaded: {first_line(error)}") from error
    pipeline.set_progress_bar_config(disable=True)
    if shift is not None:
        pipeline.scheduler = _shifted(pipeline.scheduler, shift)
    if index.kind.tiling if tiling is None else tiling:
        pipeline.vae.enable_tiling()
    return pipeline


def grid_of(pipeline: Any) -> tuple[int, int]:
    """Return what heights and widths must be multiples of, px."""
    patch = (pipeline.transformer or pipeline.transformer_2).config.patch_size
    sides = patch[1:] if isinstance(patch, list | tuple) else (patch, patch)
    rows, columns = (math.lcm(CHECKED_PX, pipeline.vae_scale_factor_spatial * side) for side in sides)
    return rows, columns


def shift_of(pipeline: Any) -> float | None:
    """Return the shift of the timesteps; None where the scheduler has none."""
    config = pipeline.scheduler.config
    found = config.get(_shift_key(config))
    return None if found is None else float(found)


def _class_of(index: Index, name: str) -> type:
    from importlib import import_module

    library, wanted = index.parts[name]
    found = getattr(import_module(library), str(wanted), None)
    if not isinstance(found, type):
        raise BadInput(f"{PART} {index.folder}: {name} is a {wanted}, which {library} here does not have.")
    return found


def _load_network(cls: type, folder: Path, dtype: torch.dtype) -> torch.nn.Module:
    load: Any = getattr(cls, "from_pretrained", None)
    if load is None:
        raise BadInput(f"{PART} {folder}: {cls.__name__} is no network that is loaded from a folder.")
    try:
        network, report = load(
            folder, torch_dtype=dtype, use_safetensors=True, local_files_only=True, output_loading_info=True
        )
    except Exception as error:  # the libraries' own errors for damaged files have no common base
        raise BadInput(f"{PART} {folder} cannot be loaded: {first_line(error)}") from error
    check_loaded(report, part=PART, folder=folder)
    found: torch.nn.Module = network.eval().requires_grad_(False)
    return found


def _shift_key(config: Mapping[str, Any]) -> str:
    return "flow_shift" if "flow_shift" in config else "shift"


def _shifted(scheduler: Any, shift: float) -> Any:
    key = _shift_key(scheduler.config)
    if key not in scheduler.config:
        raise BadInput(f"--set model.shift: {type(scheduler).__name__} has no shift.")
    return type(scheduler).from_config(scheduler.config, **{key: shift})
