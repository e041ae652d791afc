"""Names of Wan's tensors: diffusers' from and to the original repository's, and the released UnityVideo checkpoint's.

Read off WanModel of the Wan2.1 and Wan2.2 repositories and WanTransformer3DModel of diffusers: the same tensors, but
norm2 and norm3 change places (of the original's norms only norm3, before cross-attention, has weights).
"""

import re
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from openuni.errors import BadInput

_TOP = {
    "text_embedding.0": "condition_embedder.text_embedder.linear_1",
    "text_embedding.2": "condition_embedder.text_embedder.linear_2",
    "time_embedding.0": "condition_embedder.time_embedder.linear_1",
    "time_embedding.2": "condition_embedder.time_embedder.linear_2",
    "time_projection.1": "condition_embedder.time_proj",
    "patch_embedding": "patch_embedding",
    "head.head": "proj_out",
    "head.modulation": "scale_shift_table",
}
_ATTENTION = {"q": "to_q", "k": "to_k", "v": "to_v", "o": "to_out.0", "norm_q": "norm_q", "norm_k": "norm_k"}
_BLOCK = {
    **{f"self_attn.{old}": f"attn1.{new}" for old, new in _ATTENTION.items()},
    **{f"cross_attn.{old}": f"attn2.{new}" for old, new in _ATTENTION.items()},
    "norm3": "norm2",
    "ffn.0": "ffn.net.0.proj",
    "ffn.2": "ffn.net.2",
    "modulation": "scale_shift_table",
}
_BLOCK_NAME = re.compile(r"blocks\.(\d+)\.(.+)")
_LEAVES = ("weight", "bias")

RELEASE_PREFIX = "base."
RELEASE_MODALITIES = {
    "depth": "depth",
    "raft": "flow",
    "densepose": "densepose",
    "skeleton": "skeleton",
    "segmentation": "segmentation",
}
"""The released checkpoint's names of modalities -> ours."""


def is_original(names: Iterable[str]) -> bool:
    """Whether these are tensors of a Wan transformer under the original repository's names."""
    return "head.modulation" in set(names)


def is_release(names: Iterable[str]) -> bool:
    """Whether these are tensors of the released UnityVideo checkpoint."""
    return "flow_patch_embedding.weight" in set(names)


def to_diffusers(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the original's tensors. Names that are not the original's stay as they are."""
    return {_renamed(name, _TOP, _BLOCK): tensor for name, tensor in state.items()}


def to_original(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename diffusers' tensors to the original's: the inverse of `to_diffusers`."""
    top, block = ({new: old for old, new in table.items()} for table in (_TOP, _BLOCK))
    return {_renamed(name, top, block): tensor for name, tensor in state.items()}


def _renamed(name: str, top: Mapping[str, str], block: Mapping[str, str]) -> str:
    found = _BLOCK_NAME.fullmatch(name)
    table, prefix, rest = (block, f"blocks.{found[1]}.", found[2]) if found else (top, "", name)
    stem, _, leaf = rest.rpartition(".")
    if leaf in _LEAVES and stem in table:
        return f"{prefix}{table[stem]}.{leaf}"
    return prefix + table.get(rest, rest)


def from_release(state: Mapping[str, Tensor], modalities: Iterable[str]) -> dict[str, Tensor]:
    """Turn the released checkpoint's tensors into ours.

    Its modality input is two layers without anything between, a convolution and a linear `flow_in`: they are folded
    into one, W' = W_in W and b' = W_in b + b_in, in float64. Its one head becomes the head of every modality; its
    vectors added to tokens become `modality_token_bias`. It has no switcher: the table is zero.

    Args:
        state: as released, `base.*` and the rest.
        modalities: our names, in the order of the network to be filled.

    Raises:
        BadInput: a tensor that the release has is missing, or there is one that it does not have.
    """
    names, state = list(modalities), dict(state)
    base = {
        name.removeprefix(RELEASE_PREFIX): state.pop(name) for name in list(state) if name.startswith(RELEASE_PREFIX)
    }
    try:
        patch, bias = state.pop("flow_patch_embedding.weight"), state.pop("flow_patch_embedding.bias")
        fold, fold_bias = state.pop("flow_in.weight"), state.pop("flow_in.bias")
        head, head_bias = state.pop("flow_head.head.weight"), state.pop("flow_head.head.bias")
        table = state.pop("flow_head.modulation")
        theirs = {ours: state.pop(f"modality_embeddings.{name}") for name, ours in RELEASE_MODALITIES.items()}
    except KeyError as error:
        raise BadInput(
            f"The released UnityVideo checkpoint should have the tensor {error.args[0]!r}, but has not."
        ) from None
    if state:
        raise BadInput(f"The released UnityVideo checkpoint has unexpected tensors: {some(state)}.")
    width, count = patch.shape[0], len(names)
    double = fold.double()
    out = to_diffusers(base)
    out["modality_patch_embedding.weight"] = (double @ patch.double().flatten(1)).view(patch.shape).to(patch.dtype)
    out["modality_patch_embedding.bias"] = (double @ bias.double() + fold_bias.double()).to(patch.dtype)
    out["modality_proj_out_weight"] = head.expand(count, *head.shape).clone()
    out["modality_proj_out_bias"] = head_bias.expand(count, *head_bias.shape).clone()
    out["modality_scale_shift_table"] = table.view(1, 2, width).expand(count, 2, width).clone()
    out["modality_token_bias"] = torch.stack([theirs[name].view(width) for name in names])
    out["modality_table"] = torch.zeros(count + 1, width, dtype=patch.dtype)
    return out


def some(names: Iterable[str], limit: int = 3) -> str:
    """The first few of many names."""
    listed = sorted(names)
    more = f" and {len(listed) - limit} more" if len(listed) > limit else ""
    return ", ".join(listed[:limit]) + more


def config_of(state: Mapping[str, Tensor], *, head_dim: int = 128) -> dict[str, object]:
    """Read a network's config off the shapes of its tensors, under diffusers' names.

    Args:
        state: tensors of a whole transformer.
        head_dim: of an attention head, which shapes do not tell; 128 in every published Wan.

    Raises:
        BadInput: tensors that tell the config are missing, or the weights are those of an image-to-video network.
    """
    if any("add_k_proj" in name or "image_embedder" in name or "img_emb" in name for name in state):
        raise BadInput("These are weights of a Wan image-to-video network; give those of a text-to-video one.")
    try:
        width, channels, *patch = state["patch_embedding.weight"].shape
        outputs = state["proj_out.weight"].shape[0]
        text_dim = state["condition_embedder.text_embedder.linear_1.weight"].shape[1]
        freq_dim = state["condition_embedder.time_embedder.linear_1.weight"].shape[1]
        ffn_dim = state["blocks.0.ffn.net.0.proj.weight"].shape[0]
    except KeyError as error:
        raise BadInput(
            f"A Wan transformer should have the tensor {error.args[0]!r}, but these weights have not."
        ) from None
    if width % head_dim:
        raise BadInput(
            f"These weights are {width} wide, no multiple of an attention head's {head_dim}; put them into a folder "
            "with a config.json that says attention_head_dim, or dim and num_heads."
        )
    blocks = {int(found[1]) for name in state if (found := _BLOCK_NAME.fullmatch(name))}
    return {
        "patch_size": tuple(patch),
        "num_attention_heads": width // head_dim,
        "attention_head_dim": head_dim,
        "in_channels": channels,
        "out_channels": outputs // (patch[0] * patch[1] * patch[2]),
        "text_dim": text_dim,
        "freq_dim": freq_dim,
        "ffn_dim": ffn_dim,
        "num_layers": max(blocks) + 1,
    }
