"""The unified DiT: Wan over an RGB stream and any number of modality streams (UnityVideo, arXiv 2512.07831, section 3).

B batch, N tokens of a stream, D width, k modalities. Streams stand side by side: their tokens attend to each other, and
the rotary positions of each begin where the width of the one before ends. Every Wan parameter keeps its name and shape;
what is new is called `modality_*` and starts so that the network is Wan: without modality streams bit for bit, with
them as if Wan looked at a split-screen video.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from diffusers.configuration_utils import register_to_config
from diffusers.models.transformers.transformer_wan import WanTransformer3DModel, WanTransformerBlock
from torch import Tensor, nn

from openuni.model.context_parallel import Context
from openuni.table import MODALITIES

HEADS = ("per_modality", "shared")
TIMES = ("per_stream", "shared")
PREDICTIONS = ("velocity", "x0")


class Stream(NamedTuple):
    """One stream of the network: the RGB frames or one modality of them."""

    latent: Tensor
    """(B, C, F, H, W), noisy or clean."""
    t: Tensor
    """(B,) float, 0 clean to 1 noise."""
    text: Tensor
    """(B, T, text_dim), embedded prompts: C_r for RGB, C_m for a modality. Padding is zero and is attended to, as in
    Wan."""
    modality: Tensor | None = None
    """(B,) int64, place in the network's `modalities` of each sample; None for RGB."""
    predict: bool = True
    """Whether the network's answer is wanted: without it the stream is a condition, and its head is not run."""


class UnityBlock(WanTransformerBlock):
    """A Wan block over several streams: joint self-attention, a prompt and a modulation for each, shared weights."""

    def forward(  # type: ignore[override]  # several streams where Wan has one
        self, streams: list[Tensor], contexts: list[Tensor], modulations: list[Tensor], rope: tuple[Tensor, Tensor]
    ) -> list[Tensor]:
        """Args: per stream (B, N, D) tokens, (B, T, D) prompts, (B, 6, D) modulation; rotary tables of all tokens.

        The order of operations and casts is WanTransformerBlock's, so that results are equal bit for bit.
        """
        sizes = [x_BND.shape[1] for x_BND in streams]
        shift, scale, gate, ffn_shift, ffn_scale, ffn_gate = zip(
            *((self.scale_shift_table + modulation.float()).chunk(6, dim=1) for modulation in modulations), strict=True
        )
        normed = [
            (self.norm1(x_BND.float()) * (1 + a) + b).type_as(x_BND)
            for x_BND, a, b in zip(streams, scale, shift, strict=True)
        ]
        attended = self.attn1(torch.cat(normed, dim=1), None, None, rope).split(sizes, dim=1)
        streams = [(x_BND.float() + h * g).type_as(x_BND) for x_BND, h, g in zip(streams, attended, gate, strict=True)]
        streams = [
            x_BND + self.attn2(self.norm2(x_BND.float()).type_as(x_BND), context, None, None)
            for x_BND, context in zip(streams, contexts, strict=True)
        ]
        normed = [
            (self.norm3(x_BND.float()) * (1 + a) + b).type_as(x_BND)
            for x_BND, a, b in zip(streams, ffn_scale, ffn_shift, strict=True)
        ]
        fed = self.ffn(torch.cat(normed, dim=1)).split(sizes, dim=1)
        return [
            (x_BND.float() + h.float() * g).type_as(x_BND) for x_BND, h, g in zip(streams, fed, ffn_gate, strict=True)
        ]


class UnityVideo(WanTransformer3DModel):
    """WanTransformer3DModel with modality streams. See the top of the file.

    Its config is Wan's and the switches of `__init__`; `save_pretrained` writes a folder that the stock class loads as
    plain Wan.
    """

    _no_split_modules = ["UnityBlock"]  # noqa: RUF012 - diffusers' own way, here and below
    _repeated_blocks = ["UnityBlock"]  # noqa: RUF012
    _keep_in_fp32_modules = [*WanTransformer3DModel._keep_in_fp32_modules, "modality_table"]  # noqa: RUF012

    @register_to_config
    def __init__(
        self,
        patch_size: tuple[int, int, int] = (1, 2, 2),
        num_attention_heads: int = 12,
        attention_head_dim: int = 128,
        in_channels: int = 16,
        out_channels: int = 16,
        text_dim: int = 4096,
        freq_dim: int = 256,
        ffn_dim: int = 8960,
        num_layers: int = 30,
        cross_attn_norm: bool = True,
        qk_norm: str | None = "rms_norm_across_heads",
        eps: float = 1e-6,
        image_dim: int | None = None,
        added_kv_proj_dim: int | None = None,
        rope_max_seq_len: int = 1024,
        pos_embed_seq_len: int | None = None,
        modalities: Sequence[str] = tuple(MODALITIES),
        switcher: bool = True,
        in_context: bool = True,
        head: str = "per_modality",
        time: str = "per_stream",
        token_bias: bool = False,
        prediction: str = "velocity",
    ) -> None:
        """Make a network with random weights.

        Args:
            patch_size: frames, height and width of a token, in latent pixels. This and the following as in Wan.
            num_attention_heads: of each attention.
            attention_head_dim: D is this times the heads.
            in_channels: of a latent.
            out_channels: of an answer.
            text_dim: of the prompts' embeddings.
            freq_dim: of the sinusoids of the time.
            ffn_dim: inner width of the feed-forward layers.
            num_layers: blocks.
            cross_attn_norm: whether norm2 is a layer norm.
            qk_norm: normalisation of queries and keys.
            eps: of the norms.
            image_dim: must be None; Wan's image-to-video networks are not supported.
            added_kv_proj_dim: must be None.
            rope_max_seq_len: positions of each axis; the widths of all streams share one.
            pos_embed_seq_len: must be None.
            modalities: names; the order of heads, tables and Stream.modality.
            switcher: a learnt vector for RGB and for each modality, added to the time embedding (AdaLN).
            in_context: modality tokens attend to their own prompt C_m; without, to the caption C_r as RGB tokens do.
            head: "per_modality" (paper, App. A.2) or "shared" by all modalities (release).
            time: "per_stream", a clean stream at t = 0; or "shared", all modulated by the noisier t (release).
            token_bias: a learnt vector for each modality, added to its tokens (release).
            prediction: "velocity", or "x0": then the answer is the clean latent.

        Raises:
            ValueError: a switch has no such value; image-to-video weights are asked for.
        """
        for name, value, known in (
            ("head", head, HEADS),
            ("time", time, TIMES),
            ("prediction", prediction, PREDICTIONS),
        ):
            if value not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}, got {value!r}")
        if image_dim is not None or added_kv_proj_dim is not None or pos_embed_seq_len is not None:
            raise ValueError(
                "image-to-video networks (image_dim, added_kv_proj_dim) are not supported; use text-to-video"
            )
        if len(set(modalities)) != len(modalities) or not modalities:
            raise ValueError(f"modalities must be different names, at least one, got {tuple(modalities)}")
        super().__init__(
            patch_size,
            num_attention_heads,
            attention_head_dim,
            in_channels,
            out_channels,
            text_dim,
            freq_dim,
            ffn_dim,
            num_layers,
            cross_attn_norm,
            qk_norm,
            eps,
            rope_max_seq_len=rope_max_seq_len,
        )
        for block in self.blocks:  # not made anew: a 14B network would need its memory twice
            block.__class__ = UnityBlock
        width, count = num_attention_heads * attention_head_dim, len(modalities)
        heads = count if head == "per_modality" else 1
        outputs = out_channels * math.prod(patch_size)
        self.modality_patch_embedding = nn.Conv3d(in_channels, width, kernel_size=patch_size, stride=patch_size)
        self.modality_proj_out_weight = nn.Parameter(torch.empty(heads, outputs, width))
        self.modality_proj_out_bias = nn.Parameter(torch.empty(heads, outputs))
        self.modality_scale_shift_table = nn.Parameter(torch.empty(heads, 2, width))
        # Row 0 is L_r of the paper, for RGB.
        self.modality_table = nn.Parameter(torch.empty(count + 1, width)) if switcher else None
        self.modality_token_bias = nn.Parameter(torch.empty(count, width)) if token_bias else None
        self.context: Context | None = None
        """Set by openuni.model.context_parallel.enable: the tokens of a clip are shared out to several ranks."""
        self.block_dtype: torch.dtype | None = None
        """Of tokens and prompts inside the blocks, if it is another one than outside; see openuni.model.parallel."""
        self.autocast_dtype: torch.dtype | None = None
        """Of the blocks' matrix products where weights are float32 and not shared out; see openuni.model.parallel."""
        self.init_modalities()

    @property
    def arguments(self) -> Any:
        """The constructor's arguments, by name: diffusers' config."""
        return self.config

    @torch.no_grad()
    def init_modalities(self) -> None:
        """Begin as Wan: input and output layers are copies of the RGB ones, what is added is zero."""
        self.modality_patch_embedding.load_state_dict(self.patch_embedding.state_dict())
        self.modality_proj_out_weight.copy_(self.proj_out.weight.expand_as(self.modality_proj_out_weight))
        self.modality_proj_out_bias.copy_(self.proj_out.bias.expand_as(self.modality_proj_out_bias))
        self.modality_scale_shift_table.copy_(self.scale_shift_table.expand_as(self.modality_scale_shift_table))
        for added in (self.modality_table, self.modality_token_bias):
            if added is not None:
                added.zero_()

    @torch.no_grad()
    def zero_heads(self) -> None:
        """Zero all output layers, as Wan does before training from nothing."""
        for layer in (
            self.proj_out.weight,
            self.proj_out.bias,
            self.modality_proj_out_weight,
            self.modality_proj_out_bias,
        ):
            layer.zero_()

    def forward(self, streams: Sequence[Stream]) -> list[Tensor | None]:  # type: ignore[override]
        """Answer for every stream that asks.

        Args:
            streams: side by side in this order, RGB first if it is there. All have the same B and the same device; F, H
                and W are multiples of `patch_size`.

        Returns:
            For each stream (B, C, F, H, W), the velocity x1 - x0 (noise minus clean) or the clean latent, as
            `config.prediction` says; None where `predict` is False.

        Raises:
            ValueError: a latent off the grid, a stream that is wider than the rotary table has room for.
        """
        streams = self._shared_time(list(streams)) if self.arguments.time == "shared" else list(streams)
        tokens, ropes, times, modulations = [], [], [], []
        offset = 0
        for stream in streams:
            x_BND, grid = self._embed(stream)
            tokens.append(x_BND)
            ropes.append(self._rope(grid, offset))
            offset += grid[2]
            time, modulation = self._switch(stream)
            times.append(time)
            modulations.append(modulation)
        contexts = [self.condition_embedder.text_embedder(stream.text) for stream in streams]
        if not self.arguments.in_context:
            contexts = [contexts[0]] * len(streams)
        if self.context is not None:
            tokens = [self.context.own(x_BND) for x_BND in tokens]
            ropes = [(self.context.own(cosines), self.context.own(sines)) for cosines, sines in ropes]
        rope = tuple(torch.cat(tables, dim=1) for tables in zip(*ropes, strict=True))
        outside = tokens[0].dtype
        if self.block_dtype is not None:
            tokens, contexts = ([one.to(self.block_dtype) for one in some] for some in (tokens, contexts))
        half = self.autocast_dtype
        with torch.autocast(tokens[0].device.type, half, enabled=half is not None):
            for block in self.blocks:
                if torch.is_grad_enabled() and self.gradient_checkpointing:
                    tokens = self._gradient_checkpointing_func(block, tokens, contexts, modulations, rope)
                else:
                    tokens = block(tokens, contexts, modulations, rope)
        return [
            self._answer(stream, x_BND.to(outside), time) if stream.predict else None
            for stream, x_BND, time in zip(streams, tokens, times, strict=True)
        ]

    def _shared_time(self, streams: list[Stream]) -> list[Stream]:
        """The noisiest stream's t for all: the release modulates a clean stream by the other one's time."""
        t = torch.stack([stream.t for stream in streams]).amax(dim=0)
        return [stream._replace(t=t) for stream in streams]

    def _embed(self, stream: Stream) -> tuple[Tensor, tuple[int, int, int]]:
        """Tokens (B, N, D) of a latent, and how many there are along frames, height and width."""
        size, patch = stream.latent.shape[2:], self.arguments.patch_size
        if any(length % step for length, step in zip(size, patch, strict=True)):
            raise ValueError(f"a latent's (F, H, W) must be multiples of {tuple(patch)}, got {tuple(size)}")
        layer = self.patch_embedding if stream.modality is None else self.modality_patch_embedding
        x_BDFHW = layer(stream.latent)
        x_BND = x_BDFHW.flatten(2).transpose(1, 2).contiguous()
        if stream.modality is not None and self.modality_token_bias is not None:
            x_BND = x_BND + self.modality_token_bias[stream.modality].unsqueeze(1)
        return x_BND, tuple(x_BDFHW.shape[2:])

    def _rope(self, grid: tuple[int, int, int], offset: int) -> tuple[Tensor, Tensor]:
        """Wan's 3-D rotary tables, (1, N, 1, head_dim) cosines and sines, for a grid whose width begins at `offset`."""
        frames, height, width = grid
        positions = self.arguments.rope_max_seq_len
        if max(frames, height, offset + width) > positions:
            raise ValueError(
                f"{frames} x {height} x {offset + width} tokens (frames, height, width of all streams) are more than "
                f"the {positions} positions of an axis; use smaller clips or fewer modalities"
            )
        tables = []
        rope: Any = self.rope  # its parts are not declared
        for table in (rope.freqs_cos, rope.freqs_sin):
            along = table.split([rope.t_dim, rope.h_dim, rope.w_dim], dim=1)
            parts = (
                along[0][:frames].view(frames, 1, 1, -1).expand(frames, height, width, -1),
                along[1][:height].view(1, height, 1, -1).expand(frames, height, width, -1),
                along[2][offset : offset + width].view(1, 1, width, -1).expand(frames, height, width, -1),
            )
            tables.append(torch.cat(parts, dim=-1).reshape(1, frames * height * width, 1, -1))
        return tables[0], tables[1]

    def _switch(self, stream: Stream) -> tuple[Tensor, Tensor]:
        """The modality switcher: (B, D) of L + t_emb, and the (B, 6, D) modulation made of it, paper section 3.2."""
        embedder: Any = self.condition_embedder  # its parts are not declared
        sinusoids = embedder.timesteps_proj(stream.t * 1000)  # Wan counts time to 1000
        time_BD = embedder.time_embedder(sinusoids.to(embedder.time_embedder.linear_1.weight.dtype)).type_as(
            stream.text
        )
        if self.modality_table is not None:
            rows = 0 if stream.modality is None else stream.modality + 1
            time_BD = time_BD + self.modality_table[rows].type_as(time_BD)
        modulation = embedder.time_proj(embedder.act_fn(time_BD)).unflatten(1, (6, -1))
        return time_BD, modulation

    def _answer(self, stream: Stream, x_BND: Tensor, time_BD: Tensor) -> Tensor:
        """Output layer of RGB, or of each sample's modality, and tokens back to a latent."""
        which = stream.modality
        if which is not None and self.arguments.head == "shared":
            which = torch.zeros_like(which)
        table = self.scale_shift_table if which is None else self.modality_scale_shift_table[which]
        shift, scale = (table + time_BD.unsqueeze(1)).chunk(2, dim=1)
        x_BND = (self.norm_out(x_BND.float()) * (1 + scale) + shift).type_as(x_BND)
        if which is None:
            x_BNO = self.proj_out(x_BND)
        else:
            weight, bias = self.modality_proj_out_weight[which], self.modality_proj_out_bias[which]
            x_BNO = torch.baddbmm(bias.unsqueeze(1), x_BND, weight.transpose(1, 2))
        if self.context is not None:
            x_BNO = self.context.gathered(x_BNO)
        steps = self.arguments.patch_size
        grid = [length // step for length, step in zip(stream.latent.shape[2:], steps, strict=True)]
        x = x_BNO.unflatten(2, (*steps, -1)).unflatten(1, grid)  # (B, F, H, W, pf, ph, pw, C)
        return x.permute(0, 7, 1, 4, 2, 5, 3, 6).flatten(6, 7).flatten(4, 5).flatten(2, 3)


def network_config(config: Any) -> dict[str, Any]:
    """The constructor's arguments out of a diffusers config."""
    return {name: value for name, value in config.items() if not name.startswith("_")}
