"""Weights of the network: from Wan (diffusers' or original names), from the released UnityVideo checkpoint, from ours.

A checkpoint is a folder with `transformer/` (and openuni.json, see openuni/model/config.py), that folder itself, or one
file of tensors. What it holds is told by the names of its tensors, not by its own.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from diffusers.models.transformers.transformer_wan import WanRotaryPosEmbed, WanTransformer3DModel
from torch import Tensor

from openuni.errors import BadInput, MissingWeights, first_line
from openuni.model import wan_names
from openuni.model.network import UnityVideo, network_config
from openuni.model.pretrained import find
from openuni.table import MODALITIES

logger = logging.getLogger(__name__)

WEIGHTS = "diffusion_pytorch_model"
INDEX = f"{WEIGHTS}.safetensors.index.json"
RELEASE_SWITCHES = {"time": "shared", "token_bias": True}
_STACKED = ("modality_proj_out_weight", "modality_proj_out_bias", "modality_scale_shift_table", "modality_token_bias")


class Loaded(NamedTuple):
    """A network and where it is from."""

    network: UnityVideo
    kind: str
    """openuni, wan or release."""


def load(
    source: str | Path,
    *,
    modalities: Sequence[str] | None = None,
    dtype: torch.dtype = torch.float32,
    device: str | torch.device = "cpu",
    **switches: Any,
) -> Loaded:
    """Load a network's weights.

    Args:
        source: folder or file; a Hub id (`owner/name`) where nothing of that name is on disk.
        modalities: names wanted, in this order; None: all five, or those of our own checkpoint. Ones that our
            checkpoint does not have start as copies of its RGB layers.
        dtype: of the weights; what Wan keeps in float32 stays so.
        device: where they go.
        switches: of UnityVideo.__init__, for weights that do not say them (Wan).

    Raises:
        MissingWeights: nothing is there.
        BadInput: tensors are missing or unexpected, or a modality has no row in MODALITIES.
    """
    state, config = read(source)
    if wan_names.is_release(state):
        names = list(modalities or MODALITIES)
        head_dim = config.get("attention_head_dim", switches.get("attention_head_dim", 128))
        state = wan_names.from_release(state, names)
        config = wan_names.config_of(state, head_dim=head_dim) | RELEASE_SWITCHES | {"modalities": names}
        return Loaded(fill(config | switches, state, source, dtype=dtype, device=device), "release")
    original = wan_names.is_original(state)
    if original:
        state = wan_names.to_diffusers(state)
        head_dim = config["dim"] // config["num_heads"] if {"dim", "num_heads"} <= set(config) else 128
        config = wan_names.config_of(state, head_dim=head_dim)
    ours = any(name.startswith("modality_") for name in state)
    if not ours:
        config = config | switches | {"modalities": list(modalities or MODALITIES)}
        return Loaded(fill(config, state, source, dtype=dtype, device=device), "wan")
    if modalities is not None and list(modalities) != list(config["modalities"]):
        state = _with_modalities(state, config, list(modalities))
        config = config | {"modalities": list(modalities)}
    return Loaded(fill(config, state, source, dtype=dtype, device=device), "openuni")


def from_wan(stock: WanTransformer3DModel, **switches: Any) -> UnityVideo:
    """Make a network of a stock Wan in memory; the weights are shared, not copied.

    Args:
        stock: a text-to-video network.
        switches: of UnityVideo.__init__.
    """
    parameter = next(stock.parameters())
    config = network_config(stock.config) | switches
    return fill(config, stock.state_dict(), "the given network", dtype=None, device=parameter.device).train(
        stock.training
    )


def fill(
    config: Mapping[str, Any],
    state: Mapping[str, Tensor],
    source: str | Path,
    *,
    dtype: torch.dtype | None,
    device: str | torch.device,
) -> UnityVideo:
    """Make a network and fill it; layers of modalities that are not given begin as `init_modalities` says.

    Nothing is made twice: the network is built without memory and takes the tensors as they are.

    Args:
        config: of UnityVideo.__init__.
        state: tensors by the network's names.
        source: for messages.
        dtype: see `load`; None keeps each tensor's.
        device: see `load`.

    Raises:
        BadInput: tensors of Wan are missing, some are unexpected, or shapes differ.
    """
    with torch.device("meta"):
        network = UnityVideo(**config)
    expected = network.state_dict()
    missing = sorted(name for name in expected if name not in state and not name.startswith("modality_"))
    unexpected = sorted(name for name in state if name not in expected)
    given = sorted(name for name in expected if name.startswith("modality_") and name in state)
    if given and len(given) < sum(name.startswith("modality_") for name in expected):
        missing += sorted(name for name in expected if name.startswith("modality_") and name not in state)
    for names, what in ((missing, "lacks"), (unexpected, "has unexpected")):
        if names:
            raise BadInput(f"{source} {what} {len(names)} of the network's tensors: {wan_names.some(names)}.")
    for name, tensor in state.items():
        if tensor.shape != expected[name].shape:
            raise BadInput(
                f"{source}: {name} has the shape {tuple(tensor.shape)}, expected {tuple(expected[name].shape)}."
            )
    floating = dtype or state["patch_embedding.weight"].dtype
    network.load_state_dict(
        {name: tensor.to(device, _dtype(name, dtype) or tensor.dtype) for name, tensor in state.items()},
        strict=False,
        assign=True,
    )
    if not given:
        for name in ("modality_patch_embedding", *_STACKED, "modality_table"):
            _materialise(network, name, floating, device)
    # The meta device made its tables without values, and they are in no file.
    sizes = (network.arguments.attention_head_dim, network.arguments.patch_size, network.arguments.rope_max_seq_len)
    network.rope = WanRotaryPosEmbed(*sizes).to(device)
    if not given:
        network.init_modalities()
    return network.requires_grad_(True).eval()


def _materialise(network: UnityVideo, name: str, dtype: torch.dtype, device: str | torch.device) -> None:
    """Give memory to a layer or parameter of a network that was built without."""
    part = getattr(network, name)
    if isinstance(part, torch.nn.Module):
        part.to_empty(device=device).to(dtype)
    elif part is not None:
        kept = _dtype(name, dtype) or dtype
        setattr(network, name, torch.nn.Parameter(torch.empty(part.shape, dtype=kept, device=device)))


def _dtype(name: str, dtype: torch.dtype | None) -> torch.dtype | None:
    """What a tensor is cast to: Wan's small sensitive parts stay in float32, as in diffusers."""
    if dtype is None:
        return None
    parts = name.split(".")
    return torch.float32 if any(kept in parts for kept in UnityVideo._keep_in_fp32_modules) else dtype


def _with_modalities(state: Mapping[str, Tensor], config: Mapping[str, Any], wanted: list[str]) -> dict[str, Tensor]:
    """Rows of the stacked layers for other modalities: known ones keep theirs, new ones begin as RGB's."""
    have = list(config["modalities"])
    for name in wanted:
        if name not in have:
            logger.warning("the checkpoint has no %s (it has %s): its layers begin as RGB's", name, ", ".join(have))
    first = {
        "modality_proj_out_weight": state["proj_out.weight"],
        "modality_proj_out_bias": state["proj_out.bias"],
        "modality_scale_shift_table": state["scale_shift_table"].squeeze(0),
    }
    out = dict(state)
    for name in _STACKED:
        if name in state and (name == "modality_token_bias" or config["head"] == "per_modality"):
            new = first.get(name, torch.zeros_like(state[name][0])).to(state[name].dtype)
            out[name] = torch.stack([state[name][have.index(one)] if one in have else new for one in wanted])
    if (table := state.get("modality_table")) is not None:
        rows = [table[1 + have.index(one)] if one in have else torch.zeros_like(table[0]) for one in wanted]
        out["modality_table"] = torch.stack([table[0], *rows])
    return out


def read(source: str | Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read the tensors of a checkpoint and its config, whatever it is. Tensors are mapped from disk, not copied.

    Raises:
        MissingWeights: nothing is there, or a folder without weights.
        BadInput: a file is damaged.
    """
    path = _on_disk(source)
    if path.is_file():
        return _tensors(path), {}
    folder = path / "transformer" if (path / "transformer").is_dir() else path
    config_path = folder / "config.json"
    config = json.loads(config_path.read_text("utf-8")) if config_path.is_file() else {}
    if (folder / INDEX).is_file():
        files = sorted(set(json.loads((folder / INDEX).read_text("utf-8"))["weight_map"].values()))
        if outside := [name for name in files if Path(name).name != name]:
            raise BadInput(f"{folder / INDEX} names files outside its folder: {', '.join(outside)}.")
    else:
        files = sorted(one.name for one in folder.glob("*.safetensors"))
    if not files:
        raise MissingWeights(
            f"{source} has no transformer weights (transformer/{WEIGHTS}*.safetensors). Give a folder in diffusers' "
            "layout, one of the original Wan repository, or a file of tensors."
        )
    state: dict[str, Tensor] = {}
    for name in files:
        if not (folder / name).is_file():
            raise MissingWeights(f"{folder / name} not found, but {INDEX} names it. Download it again.")
        state.update(_tensors(folder / name))
    return state, network_config(config)


def _on_disk(source: str | Path) -> Path:
    """The path itself, or where the Hub's copy of an id is."""
    path = Path(source).expanduser()
    return path if path.exists() else find(source, ["transformer"], part="the transformer")


def _tensors(path: Path) -> dict[str, Tensor]:
    """Tensors of one file; never unpickles anything else.

    Raises:
        BadInput: it is damaged, or no file of tensors.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        found = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (
        SafetensorError,
        RuntimeError,
        ValueError,
        EOFError,
        OSError,
        torch.serialization.pickle.UnpicklingError,
    ) as error:
        first = first_line(error)
        raise BadInput(f"{path} is not a file of tensors that can be read: {first[:200]}") from error
    state = found.get("state_dict", found.get("model", found)) if isinstance(found, dict) else found
    if not isinstance(state, dict) or not all(isinstance(tensor, Tensor) for tensor in state.values()):
        raise BadInput(f"{path} holds no mapping of names to tensors.")
    return state
