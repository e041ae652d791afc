"""On-disk cache of text vectors: a folder of safetensors files, one for each prompt and encoder.

A file's name is the SHA-256 of the encoder's identity, the cleaning's version and the cleaned prompt, so a change of
any of them misses instead of giving old vectors. Files are whole or absent (written beside, then renamed), several
processes may share a folder, and a file that is damaged is written anew. Nothing here is a pickle.
"""

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from openuni.engine.atomic import write_bytes
from openuni.errors import BadInput
from openuni.model.pretrained import need
from openuni.model.text.clean import CLEANING, clean
from openuni.model.text.protocol import TextEncoder, check_prompts

logger = logging.getLogger(__name__)

TENSOR = "vectors"


class CachedText:
    """A text encoder that computes each prompt once. It can stand wherever its encoder can."""

    def __init__(self, encoder: TextEncoder, folder: str | Path) -> None:
        """Open the cache and log how large a prompt can get.

        Args:
            encoder: asked for what is not in the cache.
            folder: where the files are; made if absent. Encoders may share one.

        Raises:
            BadInput: safetensors is not installed, or the folder cannot be made.
        """
        need("the text cache", "safetensors")
        self.encoder = encoder
        self.folder = Path(folder).expanduser()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BadInput(f"text cache: cannot make the folder {self.folder}: {error.strerror}") from error
        self.name, self.dim = encoder.name, encoder.dim
        self.max_tokens, self.dtype = encoder.max_tokens, encoder.dtype
        logger.info("text cache %s: at most %.3g MB for each prompt", self.folder, self.max_bytes / 1e6)

    @property
    def identity(self) -> str:
        """The encoder's own: caching changes no number."""
        return self.encoder.identity

    @property
    def max_bytes(self) -> int:
        """Size of the vectors of a prompt of N tokens; one of n tokens takes n / N of it, padding is not stored."""
        return self.max_tokens * self.dim * self.dtype.itemsize

    def encode(self, prompts: Sequence[str]) -> torch.Tensor:
        """See TextEncoder.encode. Equal to the encoder's own result, bit by bit.

        Raises:
            RunFailed: the disk is full.
        """
        check_prompts(self.name, prompts)
        found = {clean(prompt): prompt for prompt in prompts}
        vectors = {cleaned: self._one(cleaned, prompt) for cleaned, prompt in found.items()}
        return torch.stack([vectors[clean(prompt)] for prompt in prompts])

    def path(self, prompt: str) -> Path:
        """Return the file of a prompt, whether it is there or not."""
        return self._path(clean(prompt))

    def _path(self, cleaned: str) -> Path:
        key = hashlib.sha256(json.dumps([self.identity, CLEANING, cleaned]).encode()).hexdigest()
        return self.folder / key[:2] / f"{key}.safetensors"  # 256 folders: millions of files in one are slow

    def _one(self, cleaned: str, prompt: str) -> torch.Tensor:
        """Return (N, D), read or computed. One prompt at a time, so that what is done survives a stop.

        The encoder gets the prompt as given: cleaning twice is not cleaning once (entities in entities).
        """
        vectors = self._read(cleaned)
        if vectors is None:
            (vectors,) = self.encoder.encode([prompt])
            self._write(cleaned, vectors)
        return vectors

    def _read(self, cleaned: str) -> torch.Tensor | None:
        """Return (N, D), or None if the file is absent or damaged."""
        from safetensors import SafetensorError, safe_open

        path = self._path(cleaned)
        try:
            with safe_open(path, framework="pt") as file:
                rows, facts = file.get_tensor(TENSOR), file.metadata() or {}
            self._check(rows, facts, cleaned)
        except FileNotFoundError:
            return None
        except (SafetensorError, ValueError) as error:
            logger.warning("text cache: %s is damaged (%s) and is computed anew", path, error)
            return None
        vectors = rows.new_zeros(self.max_tokens, self.dim)
        vectors[: len(rows)] = rows
        return vectors

    def _check(self, rows: torch.Tensor, facts: Mapping[str, str], cleaned: str) -> None:
        """Raise ValueError unless a file's content is what `_write` wrote for this prompt."""
        if rows.ndim != 2 or rows.shape[1] != self.dim or len(rows) > self.max_tokens or rows.dtype != self.dtype:
            raise ValueError(f"it holds {tuple(rows.shape)} {rows.dtype}")
        if facts.get("prompt") != cleaned:
            raise ValueError("it is of another prompt")
        if facts.get("sha256") != _sha256(rows):
            raise ValueError("its checksum differs")

    def _write(self, cleaned: str, vectors: torch.Tensor) -> None:
        from safetensors.torch import save

        used = vectors.ne(0).any(dim=1).nonzero()  # rows with a number that is not zero
        rows = vectors[: int(used.max()) + 1 if len(used) else 0].contiguous()
        facts = {"prompt": cleaned, "encoder": self.identity, "cleaning": CLEANING, "sha256": _sha256(rows)}
        write_bytes(self._path(cleaned), save({TENSOR: rows}, metadata=facts), durable=False)


def _sha256(rows: torch.Tensor) -> str:
    return hashlib.sha256(rows.contiguous().view(torch.uint8).numpy().tobytes()).hexdigest()
