"""What every text encoder is: prompts to rows of vectors, zero-padded."""

from collections.abc import Sequence
from typing import Protocol

import torch


class TextEncoder(Protocol):
    """An encoder. All of them clean prompts as Wan does (openuni.model.text.clean)."""

    name: str
    """Its key in TEXT_ENCODERS."""
    dim: int
    """D, length of a vector."""
    max_tokens: int
    """N, rows for each prompt."""
    dtype: torch.dtype
    """Of the vectors."""

    @property
    def identity(self) -> str:
        """All that decides what `encode` gives, as one line: name, weights, dtype, sizes."""
        ...

    def encode(self, prompts: Sequence[str]) -> torch.Tensor:
        """Return the vectors of prompts; each prompt's depend on that prompt alone.

        Args:
            prompts: B texts. An empty one is allowed: it is what guidance compares with.

        Returns:
            (B, N, D) on the CPU, in `dtype`. Rows after a prompt's last token are zero. Wan attends to those too: there
            is no mask.

        Raises:
            BadInput: a prompt is too long for an encoder that does not cut.
            ValueError: no prompts, or one string instead of a list.
        """
        ...


def check_prompts(name: str, prompts: Sequence[str]) -> None:
    """Raise ValueError unless `prompts` is a non-empty list of strings."""
    if isinstance(prompts, str) or not prompts or not all(isinstance(prompt, str) for prompt in prompts):
        raise ValueError(f"text encoder {name}: prompts must be a list of at least one string, got {prompts!r:.60}")
