"""Memory of sampling: what is expected, so that a user knows before the card is full."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch


class Peak(NamedTuple):
    """Expected peak of the network's part of sampling, bytes."""

    weights: int
    activations: int

    @property
    def total(self) -> int:
        """Both."""
        return self.weights + self.activations

    def __str__(self) -> str:
        """As it is printed."""
        weights, activations = self.weights / 1e9, self.activations / 1e9
        return f"about {weights + activations:.1f} GB ({weights:.1f} weights, {activations:.1f} activations)"


def expected_peak(config: Mapping[str, Any], parameters: int, tokens: Sequence[int], dtype: torch.dtype) -> Peak:
    """Estimate the peak of one pass through the network, without gradients, attention that keeps no score matrix.

    Args:
        config: of UnityVideo.__init__.
        parameters: of the network.
        tokens: of each stream, one sample.
        dtype: of weights and tokens.

    Returns:
        Counted, not measured: the tokens, their norm in float32, queries, keys, values with rotary copies, and the
        inner layer of the feed-forward network are there at once.
    """
    width = config["num_attention_heads"] * config["attention_head_dim"]
    size = dtype.itemsize
    each = width * (3 * size + 2 * 4 + 5 * size) + config["ffn_dim"] * 2 * size
    return Peak(parameters * size, sum(tokens) * each)


def fits(peak: Peak, device: torch.device) -> bool:
    """Whether the peak leaves a tenth of a GPU's free memory; a CPU is taken to have enough."""
    if device.type != "cuda":
        return True
    free, _ = torch.cuda.mem_get_info(device)
    return peak.total < 0.9 * free
