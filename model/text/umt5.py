"""umT5, the text encoder of Wan (umt5-xxl, 4096-d, 512 tokens): the same numbers as diffusers' WanPipeline.

WanPipeline._get_t5_prompt_embeds, called with max_sequence_length=512 (its __call__'s default): clean, tokenise with
padding to 512, encode under the padding mask, set the padding to zero.
"""

import hashlib
import json
import logging
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from openuni.engine.atomic import sha256_of
from openuni.errors import BadInput
from openuni.model.pretrained import WAN, check_loaded, find, need
from openuni.model.text.clean import clean
from openuni.model.text.protocol import check_prompts

logger = logging.getLogger(__name__)

MAX_TOKENS = 512  # WanPipeline.__call__: max_sequence_length; Wan 2.1's and 2.2's configs: text_len


class Umt5Text:
    """A pretrained umT5 encoder, frozen. Weights are loaded by the first `encode`: behind a full cache, never."""

    name = "umt5"

    def __init__(
        self,
        model: str | Path = WAN,
        *,
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.bfloat16,
        max_tokens: int = MAX_TOKENS,
        local_files_only: bool = False,
    ) -> None:
        """Find the files.

        Args:
            model: folder in diffusers' layout that holds tokenizer/ and text_encoder/, or a Hub id.
            device: where the network runs: about 11 GB in bfloat16 for umt5-xxl.
            dtype: of weights, arithmetic and vectors; bfloat16 in Wan's examples.
            max_tokens: rows for each prompt. A longer prompt is cut, as Wan does; the first time this is logged.
            local_files_only: never ask the network.

        Raises:
            BadInput: transformers is not installed, or the config is not umT5's.
            MissingWeights: the folder or Hub id is not there or lacks a subfolder.
        """
        need("text encoder umt5", "transformers", "safetensors", "ftfy")
        if max_tokens < 1:
            raise BadInput(f"text encoder umt5: max_tokens must be 1 or more, got {max_tokens}")
        parts = ["tokenizer", "text_encoder"]
        self.folder = find(model, parts, part="text encoder umt5", local_files_only=local_files_only)
        self.dim, self.max_tokens = _dim(self.folder / "text_encoder" / "config.json"), max_tokens
        self.device, self.dtype = torch.device(device), dtype
        self._said_cut = False

    @cached_property
    def identity(self) -> str:
        """See TextEncoder.identity. Reads every file once: about 10 s for umt5-xxl, and no name or date can mislead."""
        return f"umt5-1 files={_fingerprint(self.folder)} dtype={self.dtype} max_tokens={self.max_tokens}"

    @torch.no_grad()
    def encode(self, prompts: Sequence[str]) -> torch.Tensor:
        """See TextEncoder.encode. Prompts go through the network one at a time: rounding depends on a batch's size."""
        check_prompts(self.name, prompts)
        return torch.cat([self._encode_one(clean(prompt)) for prompt in prompts])

    def _encode_one(self, prompt: str) -> torch.Tensor:
        tokens = self._tokenizer(
            [prompt],
            padding="max_length",
            max_length=self.max_tokens,
            truncation=True,
            add_special_tokens=True,
            return_attention_mask=True,
            return_tensors="pt",
        )
        ids, mask = tokens.input_ids.to(self.device), tokens.attention_mask.to(self.device)  # (1, N) each
        if mask.all():
            self._say_if_cut(prompt)
        vectors = self._encoder(ids, mask).last_hidden_state.to("cpu", self.dtype)  # (1, N, D)
        return torch.where(mask.cpu()[:, :, None] > 0, vectors, 0)

    def _say_if_cut(self, prompt: str) -> None:
        count = len(self._tokenizer(prompt, add_special_tokens=True).input_ids)
        if count > self.max_tokens and not self._said_cut:
            self._said_cut = True
            logger.warning(
                "text encoder umt5 keeps the first %d tokens of a prompt, as Wan does; this one has %d (%.40s ...). "
                "Further ones are cut without a line.",
                *(self.max_tokens, count, prompt),
            )

    @cached_property
    def _tokenizer(self) -> Any:
        from transformers import AutoTokenizer

        folder = self.folder / "tokenizer"
        try:
            return AutoTokenizer.from_pretrained(folder, local_files_only=True)
        except (OSError, ValueError, ImportError) as error:
            reason = str(error).strip().partition("\n")[0]
            raise BadInput(f"text encoder umt5: {folder} cannot be loaded: {reason}") from error

    @cached_property
    def _encoder(self) -> torch.nn.Module:
        from transformers import UMT5EncoderModel

        # Any: the stubs do not know that output_loading_info gives a pair.
        load: Any = UMT5EncoderModel.from_pretrained
        folder = self.folder / "text_encoder"
        try:
            encoder, report = load(
                folder, dtype=self.dtype, use_safetensors=True, local_files_only=True, output_loading_info=True
            )
        except (OSError, ValueError, RuntimeError) as error:
            reason = str(error).strip().partition("\n")[0]
            raise BadInput(f"text encoder umt5: {folder} cannot be loaded: {reason}") from error
        check_loaded(report, part="text encoder umt5", folder=folder)
        return encoder.eval().requires_grad_(False).to(self.device)


def _dim(path: Path) -> int:
    """Return the length of a vector from an encoder's config. Raises BadInput if it is no umT5's."""
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        kind, dim = config["model_type"], int(config["d_model"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(f"text encoder umt5: {path} is no config of a network: {error!r:.80}") from error
    if kind != "umt5":
        raise BadInput(f"text encoder umt5: {path} must have model_type umt5, got {kind}")
    return dim


def _fingerprint(folder: Path) -> str:
    """Return a SHA-256 over the names and contents of all files of tokenizer/ and text_encoder/."""
    digest = hashlib.sha256()
    for part in ("text_encoder", "tokenizer"):
        for path in sorted((folder / part).iterdir()):
            if path.is_file() and not path.name.startswith("."):
                digest.update(f"{part}/{path.name} {sha256_of(path)}\n".encode())
    return digest.hexdigest()
