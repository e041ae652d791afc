"""A tiny Wan, a tiny unified network, and streams for them."""

import torch
from diffusers import WanTransformer3DModel

from openuni.model.network import Stream, UnityVideo

CONFIG = {
    "patch_size": (1, 2, 2),
    "num_attention_heads": 4,
    "attention_head_dim": 24,
    "in_channels": 4,
    "out_channels": 4,
    "text_dim": 32,
    "freq_dim": 32,
    "ffn_dim": 128,
    "num_layers": 3,
}
SIZE = (3, 8, 12)  # frames, height, width of the latents


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def wan(seed=0, **changes):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return WanTransformer3DModel(**{**CONFIG, **changes}).eval()


def unity(seed=0, **changes):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return UnityVideo(**{**CONFIG, **changes}).eval()


def trained(network, seed=5):
    """Move every weight a little, so that nothing is zero or a copy any more."""
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator(seed)))
    return network


def rgb_stream(batch=2, seed=1, t=(0.3, 0.7), **changes):
    rng = generator(seed)
    latent = torch.randn(batch, CONFIG["in_channels"], *SIZE, generator=rng)
    text = torch.randn(batch, 6, CONFIG["text_dim"], generator=rng)
    return Stream(latent, torch.tensor(t[:batch]), text)._replace(**changes)


def map_stream(batch=2, seed=2, t=(0.3, 0.7), modality=(0, 3), **changes):
    stream = rgb_stream(batch, seed, t)
    return stream._replace(modality=torch.tensor(modality[:batch]), **changes)
