"""RAFT's original tensor names to torchvision's: `raft-things.pth` and its siblings load into torchvision's network.

torchvision's own C_T_V1 weights are the original ones under other names, so nothing but names differs. The original's
last norm of a block that halves the picture is registered twice (also as downsample.1); the second name is left out.
"""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

_ENCODERS = {"fnet": "feature_encoder", "cnet": "context_encoder"}
_MOTION = {"convc1": "convcorr1.0", "convc2": "convcorr2.0", "convf1": "convflow1.0", "convf2": "convflow2.0"}
_MOTION["conv"] = "conv.0"
_STEM = {"conv1": "convnormrelu.0", "norm1": "convnormrelu.1", "conv2": "conv"}
_MASK = {"mask.0": "mask_predictor.convrelu.0", "mask.2": "mask_predictor.conv"}


def is_original(state: Mapping[str, "torch.Tensor"]) -> bool:
    """Say whether tensors have the original's names."""
    return "fnet.conv1.weight" in state


def from_original(state: Mapping[str, "torch.Tensor"]) -> dict[str, "torch.Tensor"]:
    """Rename tensors; what has no place in torchvision's network keeps its name, so that loading names it."""
    convs = 3 if "fnet.layer1.0.conv3.weight" in state else 2  # raft-small has bottlenecks of three
    renamed = {}
    for name, value in state.items():
        to = _renamed(name, convs)
        if to:
            renamed[to] = value
    return renamed


def _renamed(name: str, convs: int) -> str:
    """Return torchvision's name; empty for a tensor that has a second name."""
    head, _, rest = name.partition(".")
    if head in _ENCODERS:
        stem = re.fullmatch(r"(conv1|norm1|conv2)\.(\w+)", rest)
        if stem:
            return f"{_ENCODERS[head]}.{_STEM[stem[1]]}.{stem[2]}"
        block = re.fullmatch(r"(layer\d\.\d)\.(conv|norm)(\d)\.(\w+)", rest)
        if block:
            if int(block[3]) > convs:
                return ""
            return f"{_ENCODERS[head]}.{block[1]}.convnormrelu{block[3]}.{int(block[2] == 'norm')}.{block[4]}"
        return f"{_ENCODERS[head]}.{rest}"
    motion = re.fullmatch(r"update_block\.encoder\.(\w+)\.(\w+)", name)
    if motion and motion[1] in _MOTION:
        return f"update_block.motion_encoder.{_MOTION[motion[1]]}.{motion[2]}"
    gru = re.fullmatch(r"update_block\.gru\.conv([zrq])(\d?)\.(\w+)", name)
    if gru:
        return f"update_block.recurrent_block.convgru{gru[2] or 1}.conv{gru[1]}.{gru[3]}"
    mask = re.fullmatch(r"update_block\.(mask\.[02])\.(\w+)", name)
    if mask:
        return f"{_MASK[mask[1]]}.{mask[2]}"
    return name
