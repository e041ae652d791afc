"""Grow: a network on patches of s px made one on patches of f s px, that sees and draws f times as large.

What was learned on small frames, where steps are cheap, is a start for large ones: on a clip whose pixels are repeated
f times each way, the grown network answers with the small one's answer, its pixels repeated.
"""

import torch
from torch import Tensor

from openuni.errors import BadInput
from openuni.model.network import UnityVideo, network_config

INPUTS = ("patch_embedding.weight", "modality_patch_embedding.weight")


@torch.no_grad()
def grown(network: UnityVideo, size: int, wanted: int) -> UnityVideo:
    """Make a network for larger patches of the codec `patch`.

    Args:
        network: on patches of `size` px, one latent pixel to a token.
        size: s, side of its patches, px.
        wanted: side of the new ones, a multiple of `size`.

    Returns:
        A new network, float32. A new pixel weighs 1 / f^2 of the old one that it is a part of; new outputs are copies.

    Raises:
        BadInput: `wanted` is no multiple of `size`, or the network is not on single latent pixels.
    """
    arguments = network_config(network.config)
    if wanted % size or tuple(arguments["patch_size"]) != (1, 1, 1) or arguments["in_channels"] != 3 * size * size:
        raise BadInput(
            f"A network on patches of {size} px ({arguments['in_channels']} channels, tokens of "
            f"{tuple(arguments['patch_size'])}) cannot be grown to patches of {wanted} px: give a multiple."
        )
    channels = 3 * wanted * wanted
    made = UnityVideo(**{**arguments, "in_channels": channels, "out_channels": channels})
    source = _source(size, wanted)
    state = {}
    for name, tensor in network.state_dict().items():
        if name in INPUTS:
            tensor = tensor[:, source] * (size / wanted) ** 2
        elif name.startswith("proj_out."):
            tensor = tensor[source]
        elif name.startswith("modality_proj_out_"):
            tensor = tensor[:, source]
        state[name] = tensor.float().clone()
    made.load_state_dict(state, strict=True)
    return made


def _source(size: int, wanted: int) -> Tensor:
    """(3 wanted^2,) the old channel that each new one is a part of; see PatchCodec for their order."""
    row = torch.arange(wanted) * size // wanted
    pixel = row[:, None] * size + row[None]
    return torch.cat([colour * size * size + pixel.flatten() for colour in range(3)])
