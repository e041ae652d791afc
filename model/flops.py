"""Floating-point operations of the network, counted as multiply and add.

For S streams of N_s tokens, N = sum of N_s, T prompt tokens each, width d, feed-forward width f, L blocks:

    forward = L (8 N d^2 + 4 N^2 d          self-attention: q, k, v, o; scores and values
               + 4 N d^2 + 4 S T d^2 + 4 N T d   cross-attention: q, o; k, v; scores and values
               + 4 N d f)                   feed-forward
            + 2 N d c p + 2 N d o p         in and out of the network, c and o channels, p latent pixels a token
            + S (2 T (t d + d^2) + 14 d^2 + 2 g d)   prompts of t dimensions; time: g sinusoids, two layers, six vectors

Training is 3 forward passes, the convention of model FLOPs utilisation (Chowdhery et al. 2022, PaLM, appendix B).
"""

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any


def forward_flops(config: Mapping[str, Any], tokens: Sequence[int], *, prompt_tokens: int = 512) -> int:
    """Count one sample's forward pass.

    Args:
        config: of UnityVideo.__init__.
        tokens: of each stream.
        prompt_tokens: of each prompt, padding included: Wan attends to it.
    """
    d = config["num_attention_heads"] * config["attention_head_dim"]
    f, patch = config["ffn_dim"], prod(config["patch_size"])
    n, streams, t = sum(tokens), len(tokens), prompt_tokens
    block = 12 * n * d**2 + 4 * n**2 * d + 4 * streams * t * d**2 + 4 * n * t * d + 4 * n * d * f
    ends = 2 * n * d * patch * (config["in_channels"] + config["out_channels"])
    embedders = streams * (2 * t * (config["text_dim"] * d + d**2) + 14 * d**2 + 2 * config["freq_dim"] * d)
    return int(config["num_layers"] * block + ends + embedders)


def training_flops(config: Mapping[str, Any], tokens: Sequence[int], *, prompt_tokens: int = 512) -> int:
    """Count one sample's training step: forward, and backward at twice its cost."""
    return 3 * forward_flops(config, tokens, prompt_tokens=prompt_tokens)


def tokens_of(config: Mapping[str, Any], latent: Sequence[int]) -> int:
    """Tokens of one stream, of a latent's frames, height and width."""
    return prod(length // step for length, step in zip(latent, config["patch_size"], strict=True))
