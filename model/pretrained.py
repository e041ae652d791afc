"""Where the parts of a pretrained pipeline lie on this machine: a folder in diffusers' layout, or a Hub id."""

from collections.abc import Collection, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from openuni.errors import BadInput, MissingWeights

WAN = "Wan-AI/Wan2.1-T2V-1.3B-Diffusers"
"""The smallest released pipeline; all of Wan 2.1 and the 14B of Wan 2.2 share its VAE and text encoder."""

INDEX = "model_index.json"
"""What makes a folder a pipeline of diffusers."""


def need(part: str, *packages: str) -> None:
    """Raise BadInput, in one line, unless the packages that `part` imports are installed."""
    absent = [package for package in packages if find_spec(package) is None]
    if absent:
        verb = "is" if len(absent) == 1 else "are"
        raise BadInput(f"{', '.join(absent)} {verb} not installed; {part} needs it: pip install {' '.join(absent)}")


def find(model: str | Path, subfolders: Collection[str], *, part: str, local_files_only: bool = False) -> Path:
    """Return the folder that holds the subfolders of a pretrained pipeline, each with its own files.

    Args:
        model: a folder, or a Hub id ORG/NAME. A folder that exists wins. Of a Hub id only `subfolders` are fetched,
            and nothing that the local cache of Hugging Face has.
        subfolders: what `part` loads: "vae", "text_encoder".
        part: who asks, for messages: "codec wan".
        local_files_only: never ask the network.

    Raises:
        MissingWeights: no such folder or Hub id, or a subfolder lacks its config or weights.
    """
    names = " and ".join(f"{name}/" for name in subfolders)
    folder = Path(model).expanduser()
    if not folder.is_dir():
        how = _how(str(model), subfolders, names)
        folder = _fetch(str(model), [f"{name}/*" for name in subfolders], part, how, local_files_only)
    absent = [
        f"{name}/{files}" for name in subfolders for files in _files(name) if not any(folder.glob(f"{name}/{files}"))
    ]
    if absent:
        raise MissingWeights(f"{part}: {folder} has no {', '.join(absent)}. {_how(str(model), subfolders, names)}")
    return folder


def find_index(model: str | Path, *, part: str, local_files_only: bool = False) -> Path:
    """Return model_index.json of a whole pretrained pipeline; of a Hub id nothing else is fetched.

    Args:
        model: see `find`.
        part: who asks, for messages.
        local_files_only: never ask the network.

    Raises:
        MissingWeights: no such folder or Hub id, or it is no pipeline in diffusers' layout.
    """
    folder = Path(model).expanduser()
    how = f"Give a pipeline's folder in diffusers' layout; to fill one: hf download {_source(model)} --local-dir FOLDER"
    if not folder.is_dir():
        folder = _fetch(str(model), [INDEX], part, how, local_files_only)
    if not (folder / INDEX).is_file():
        raise MissingWeights(f"{part}: {folder} has no {INDEX}. {how}")
    return folder / INDEX


def check_loaded(report: Mapping[str, Any], *, part: str, folder: Path) -> None:
    """Raise BadInput if a checkpoint did not fill the network exactly: the loaders leave random numbers then.

    Args:
        report: what `from_pretrained(..., output_loading_info=True)` gives beside the model.
        part: who asks, for the message.
        folder: what was loaded, for the message.
    """
    for key, word in (("missing_keys", "lacks"), ("unexpected_keys", "has unknown"), ("mismatched_keys", "misshapes")):
        names = sorted(str(name) for name in report.get(key) or ())
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise BadInput(f"{part}: the checkpoint in {folder} {word} {names[0]}{more}: it is for another network")


def _files(subfolder: str) -> tuple[str, ...]:
    """Return patterns of the files without which a subfolder cannot be loaded. Weights as pickles do not count."""
    kind = subfolder.partition("_2")[0]  # a pipeline's second encoder or network
    without = {"tokenizer": ("tokenizer_config.json",), "scheduler": ("scheduler_config.json",)}
    return without.get(kind, ("config.json", "*.safetensors"))


def _fetch(model: str, patterns: Collection[str], part: str, how: str, local_files_only: bool) -> Path:
    if not _is_hub_id(model):
        raise MissingWeights(f"{part}: folder {model} not found. {how}")
    need(part, "huggingface_hub")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    try:
        return Path(snapshot_download(model, allow_patterns=list(patterns), local_files_only=local_files_only))
    except (OSError, ValueError, HfHubHTTPError) as error:
        reason = str(error).strip().partition("\n")[0].rstrip(".")
        raise MissingWeights(f"{part}: {model} is no folder, and the Hub gave nothing ({reason}). {how}") from error


def _is_hub_id(model: str) -> bool:
    return model.count("/") == 1 and not model.startswith(("/", ".", "~"))


def _how(model: str, subfolders: Collection[str], names: str) -> str:
    """Say where the weights belong and which command gets them."""
    patterns = " ".join(f"--include '{name}/*'" for name in subfolders)
    return f"Give a folder that holds {names}; to fill one: hf download {_source(model)} {patterns} --local-dir FOLDER"


def _source(model: str | Path) -> str:
    """The Hub id to name in a command: what was asked for, or our default."""
    return str(model) if _is_hub_id(str(model)) and not Path(model).is_dir() else WAN
