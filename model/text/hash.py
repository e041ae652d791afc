"""Hash encoder: a fixed random vector for each word. A lookup, not a language model: offline, no weights, no meaning.

"red ball" and "crimson ball" share exactly one vector, "ball" and "balls" none. It is enough to tell the captions of a
small world apart. The network's cross-attention does not see the order of the rows, so neither the order of the words.
"""

import hashlib
import re
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch

from openuni.errors import BadInput
from openuni.model.text.clean import clean
from openuni.model.text.protocol import check_prompts

WORD = re.compile(r"\w+(?:['\u2019]\w+)*")  # letters, digits and inner apostrophes; other marks are dropped


class HashText:
    """See the top of the file. Row i is the vector of the prompt's word i; case does not matter."""

    name = "hash"
    dtype = torch.float32

    def __init__(self, dim: int = 64, max_words: int = 128) -> None:
        """Choose the sizes.

        Args:
            dim: length of a vector, 1 or more.
            max_words: rows for each prompt. A longer prompt is an error, not cut: what a caption says last (often
                how the camera moves) would vanish without a trace.

        Raises:
            BadInput: a size is below 1.
        """
        if dim < 1 or max_words < 1:
            raise BadInput(f"text encoder hash: dim and max_words must be 1 or more, got {dim} and {max_words}")
        self.dim, self.max_tokens = dim, max_words

    @property
    def identity(self) -> str:
        """See TextEncoder.identity."""
        return f"hash-1 dim={self.dim} max_words={self.max_tokens}"

    def encode(self, prompts: Sequence[str]) -> torch.Tensor:
        """See TextEncoder.encode. float32; each word's vector has independent components of mean 0 and variance 1.

        Raises:
            BadInput: a prompt has more than `max_words` words.
        """
        check_prompts(self.name, prompts)
        out = np.zeros((len(prompts), self.max_tokens, self.dim), np.float32)
        for rows, prompt in zip(out, prompts, strict=True):
            words = words_of(prompt)
            if len(words) > self.max_tokens:
                raise BadInput(
                    f"text encoder hash: a prompt may have {self.max_tokens} words, got {len(words)} "
                    f"({' '.join(words[:6])} ...): shorten it, or raise max_words"
                )
            for row, word in zip(rows, words, strict=False):
                row[:] = word_vector(word, self.dim)
        return torch.from_numpy(out)


@lru_cache(maxsize=65536)  # captions come again every epoch, and cleaning is what takes long
def words_of(prompt: str) -> tuple[str, ...]:
    """Return the words of a prompt after cleaning, case-folded. Text without spaces between words is one word."""
    return tuple(WORD.findall(clean(prompt).casefold()))


@lru_cache(maxsize=65536)
def word_vector(word: str, dim: int) -> np.ndarray:
    """Return (dim,) float32 standard normal numbers that depend on the word alone, the same on every machine.

    BLAKE2b in counter mode gives uniform numbers, the Box-Muller transform makes them normal. numpy's generators would
    be shorter, but their streams may change between versions (NEP 19). The array is read-only.
    """
    digests = [
        hashlib.blake2b(word.encode("utf-8"), salt=block.to_bytes(8, "little"), person=b"openuni-word").digest()
        for block in range(-(-dim // 8))
    ]
    # 53 bits each, as many as a float64 holds; half a step off zero, where the logarithm has no value.
    uniform = ((np.frombuffer(b"".join(digests), "<u8") >> np.uint64(11)) + 0.5) / 2.0**53
    radius, angle = np.sqrt(-2.0 * np.log(uniform[0::2])), 2.0 * np.pi * uniform[1::2]
    vector = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1).ravel()[:dim].astype(np.float32)
    vector.flags.writeable = False
    return vector
