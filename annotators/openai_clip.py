"""OpenAI's own CLIP files (`ViT-B-32.pt`, `ViT-L-14.pt`) as transformers' image tower; tensors only, no code is run.

The published files are TorchScript archives, which torch opens only by loading the code inside. Their tensors are
read here from the archive's pickle with an unpickler that knows tensors and plain containers and nothing else. A file
of torch.save with the same names, as converted checkpoints are, is read too.
"""

import pickle
import re
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from openuni.annotators.expert import fill, read_state
from openuni.errors import BadInput, first_line

HEAD_WIDTH = 64
"""Of all of CLIP's transformers."""
_STORAGES = {
    "HalfStorage": torch.float16,
    "FloatStorage": torch.float32,
    "BFloat16Storage": torch.bfloat16,
    "DoubleStorage": torch.float64,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "BoolStorage": torch.bool,
    "ByteStorage": torch.uint8,
}
_NAMES = (
    ("class_embedding", "vision_model.embeddings.class_embedding"),
    ("positional_embedding", "vision_model.embeddings.position_embedding.weight"),
    ("conv1.weight", "vision_model.embeddings.patch_embedding.weight"),
    ("ln_pre.", "vision_model.pre_layrnorm."),
    ("ln_post.", "vision_model.post_layernorm."),
)
_BLOCK_NAMES = (
    ("ln_1.", "layer_norm1."),
    ("ln_2.", "layer_norm2."),
    ("attn.out_proj.", "self_attn.out_proj."),
    ("mlp.c_fc.", "mlp.fc1."),
    ("mlp.c_proj.", "mlp.fc2."),
)


def load_openai_vision(path: Path) -> Any:
    """Load the image tower of an original CLIP file as transformers' CLIPVisionModelWithProjection, float32.

    Raises:
        BadInput: the file is damaged or holds another network.
    """
    import transformers

    state = read_torchscript(path) if is_torchscript(path) else read_state(path)
    seen = {name.removeprefix("visual."): value for name, value in state.items() if name.startswith("visual.")}
    patches, places, projection = (seen.get(name) for name in ("conv1.weight", "positional_embedding", "proj"))
    if patches is None or places is None or projection is None or patches.ndim != 4:
        raise BadInput(
            f"{path} is for another network than CLIP's vision transformer. Fetch what openuni weights names."
        )
    width, patch = patches.shape[0], patches.shape[-1]
    blocks = {int(found[1]) for name in seen if (found := re.match(r"transformer\.resblocks\.(\d+)\.", name))}
    config = transformers.CLIPVisionConfig(
        hidden_size=width, intermediate_size=4 * width, num_hidden_layers=len(blocks),
        num_attention_heads=max(width // HEAD_WIDTH, 1), patch_size=patch,
        image_size=patch * round((len(places) - 1) ** 0.5), hidden_act="quick_gelu", projection_dim=projection.shape[1],
    )  # fmt: skip
    model = transformers.CLIPVisionModelWithProjection(config)
    own = model.state_dict()
    renamed = {name: value.float() for name, value in _renamed(seen)}
    # Numbers of places, which some versions of transformers keep as a buffer.
    renamed |= {name: value for name, value in own.items() if name.endswith("position_ids")}
    fill(model, renamed, path)
    return model.eval()


def _renamed(seen: Mapping[str, torch.Tensor]) -> Iterator[tuple[str, torch.Tensor]]:
    """OpenAI's names to transformers'; what has no place keeps its name, so that loading names it."""
    for name, value in seen.items():
        block = re.fullmatch(r"transformer\.resblocks\.(\d+)\.(.+)", name)
        if name == "proj":
            yield "visual_projection.weight", value.T
        elif block and (three := re.fullmatch(r"attn\.in_proj_(weight|bias)", block[2])):
            for letter, part in zip("qkv", value.chunk(3), strict=True):
                yield f"vision_model.encoder.layers.{block[1]}.self_attn.{letter}_proj.{three[1]}", part
        elif block:
            yield f"vision_model.encoder.layers.{block[1]}.{_replaced(block[2], _BLOCK_NAMES)}", value
        else:
            yield _replaced(name, _NAMES), value


def _replaced(name: str, table: tuple[tuple[str, str], ...]) -> str:
    for theirs, ours in table:
        if name == theirs or (theirs.endswith(".") and name.startswith(theirs)):
            return ours + name[len(theirs) :]
    return name


def is_torchscript(path: Path) -> bool:
    """Say whether a file is a TorchScript archive: a zip with code in it."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any("/code/" in name for name in archive.namelist())
    except (OSError, zipfile.BadZipFile):
        return False


def read_torchscript(path: Path) -> dict[str, torch.Tensor]:
    """Read parameters and buffers of a TorchScript archive by their dotted names, on the CPU.

    Raises:
        BadInput: the archive is damaged, or its pickle asks for anything but tensors and containers.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            root = next(name for name in archive.namelist() if name.endswith("/data.pkl"))[: -len("data.pkl")]
            with archive.open(root + "data.pkl") as file:
                top = _Tensors(file, lambda key: archive.read(f"{root}data/{key}")).load()
    except (OSError, zipfile.BadZipFile, StopIteration, pickle.UnpicklingError, KeyError, ValueError, EOFError,
            TypeError, AttributeError, IndexError, RuntimeError) as error:  # fmt: skip
        reason = first_line(error)[:200]
        raise BadInput(f"{path} cannot be read as weights ({reason}). Fetch it again: openuni weights") from error
    return dict(_walk(top, ""))


class _Module:
    """Any object of a TorchScript class: what BUILD gives it becomes its attributes."""


class _Tensors(pickle.Unpickler):
    """Knows tensors and containers only."""

    def __init__(self, file: Any, read: Callable[[str], bytes]) -> None:
        super().__init__(file)
        self.read = read

    def find_class(self, module: str, name: str) -> Any:
        """Return what stands for a name; nothing is imported."""
        if module.startswith("__torch__"):
            return _Module
        if module == "torch" and name in _STORAGES:
            return _STORAGES[name]
        known = {
            ("torch._utils", "_rebuild_tensor_v2"): _rebuilt,
            ("collections", "OrderedDict"): OrderedDict,
            ("torch.jit._pickle", "build_intlist"): list,
            ("torch.jit._pickle", "build_doublelist"): list,
            ("torch.jit._pickle", "build_boollist"): list,
            ("torch.jit._pickle", "build_tensorlist"): list,
            ("torch.jit._pickle", "restore_type_tag"): lambda value, _: value,
        }
        if (module, name) not in known:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is not needed for weights")
        return known[module, name]

    def persistent_load(self, pid: Any) -> torch.Tensor:
        """Return a storage as a flat tensor."""
        _, dtype, key, *_ = pid
        return torch.frombuffer(bytearray(self.read(key)), dtype=dtype)


def _rebuilt(flat: torch.Tensor, offset: int, size: Any, stride: Any, *_: Any) -> torch.Tensor:
    return flat.as_strided(tuple(size), tuple(stride), offset)


def _walk(node: Any, prefix: str) -> Iterator[tuple[str, torch.Tensor]]:
    for name, value in vars(node).items():
        if isinstance(value, torch.Tensor):
            yield prefix + name, value
        elif isinstance(value, _Module):
            yield from _walk(value, f"{prefix}{name}.")
