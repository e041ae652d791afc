"""ViCLIP (Wang et al., InternVid, arXiv 2307.06942): CLIP whose image tower attends over the frames of a clip.

Tensor names are those of `ViClip-InternVid-10M-FLT.pth`; sizes are read from the tensors. Legend: B clips, T frames,
N tokens, D width, q heads, d head width.
"""

import re
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

HEAD_WIDTH = 64  # of CLIP's transformers


class ViClip(nn.Module):
    """Clips and texts to features of one space."""

    def __init__(self, vision: "VisionTower", text: "TextTower") -> None:
        super().__init__()
        self.vision_encoder, self.text_encoder = vision, text
        self.temp = nn.Parameter(torch.tensor(0.01))  # of training; in every checkpoint


class VisionTower(nn.Module):
    """All patches of all frames in one sequence, with one class token."""

    def __init__(self, *, width: int, depth: int, patch: int, grid: int, frames: int, out: int) -> None:
        """Make an untrained tower.

        Args:
            width: D.
            depth: blocks.
            patch: side of a patch, px.
            grid: patches a side.
            frames: T.
            out: length of a feature.
        """
        super().__init__()
        self.conv1 = nn.Conv3d(3, width, (1, patch, patch), stride=(1, patch, patch), bias=False)
        self.class_embedding = nn.Parameter(torch.zeros(width))
        self.positional_embedding = nn.Parameter(torch.zeros(1 + grid * grid, width))
        self.temporal_positional_embedding = nn.Parameter(torch.zeros(1, frames, width))
        self.ln_pre, self.ln_post = nn.LayerNorm(width), nn.LayerNorm(width)
        self.transformer = _Transformer(width, depth)
        self.proj = nn.Parameter(torch.zeros(width, out))

    def forward(self, pixels: Tensor) -> Tensor:
        """Return (B, out) features of (B, T, 3, H, W) normalised pixels."""
        x = self.conv1(pixels.transpose(1, 2)).flatten(3).permute(0, 2, 3, 1)  # (B, T, h w, D)
        x = x + self.positional_embedding[1:] + self.temporal_positional_embedding[:, :, None]
        # The checkpoint was trained on patches sorted by place and then by frame; attention does not mind the order.
        first = (self.class_embedding + self.positional_embedding[0]).expand(len(x), 1, -1)
        x = self.ln_pre(torch.cat([first, x.flatten(1, 2)], dim=1))
        return self.ln_post(self.transformer(x)[:, 0]) @ self.proj


class TextTower(nn.Module):
    """CLIP's text transformer."""

    def __init__(self, *, width: int, depth: int, words: int, context: int, out: int) -> None:
        """Make an untrained tower.

        Args:
            width: D.
            depth: blocks.
            words: of the vocabulary.
            context: tokens of a text.
            out: length of a feature.
        """
        super().__init__()
        self.context = context
        self.token_embedding = nn.Embedding(words, width)
        self.positional_embedding = nn.Parameter(torch.zeros(context, width))
        self.transformer = _Transformer(width, depth, causal=True)
        self.ln_final = nn.LayerNorm(width)
        self.text_projection = nn.Parameter(torch.zeros(width, out))

    def forward(self, tokens: Tensor) -> Tensor:
        """Return (B, out) features of (B, context) token numbers, read at the end token, which is the highest."""
        x = self.transformer(self.token_embedding(tokens) + self.positional_embedding)
        x = x[torch.arange(len(x)), tokens.argmax(dim=-1)]
        return self.ln_final(x) @ self.text_projection


def viclip_of(state: Mapping[str, Tensor]) -> ViClip | None:
    """Return an untrained network of the sizes that tensors have; None if they are no ViCLIP's."""
    seen, said = "vision_encoder.", "text_encoder."
    needed = [
        f"{seen}conv1.weight",
        f"{seen}positional_embedding",
        f"{seen}temporal_positional_embedding",
        f"{seen}proj",
    ]
    needed += [f"{said}{name}" for name in ("token_embedding.weight", "positional_embedding", "text_projection")]
    if any(name not in state for name in needed) or state[needed[0]].ndim != 5:
        return None
    patches, places, times, projection, words, context, text_projection = (state[name].shape for name in needed)
    if patches[0] % HEAD_WIDTH or words[1] % HEAD_WIDTH:
        return None
    vision = VisionTower(
        width=patches[0], depth=_depth(state, seen), patch=patches[-1], grid=round((places[0] - 1) ** 0.5),
        frames=times[1], out=projection[1],
    )  # fmt: skip
    text = TextTower(
        width=words[1], depth=_depth(state, said), words=words[0], context=context[0], out=text_projection[1]
    )
    return ViClip(vision, text)


def _depth(state: Mapping[str, Tensor], tower: str) -> int:
    pattern = re.compile(re.escape(tower) + r"transformer\.resblocks\.(\d+)\.")
    return max((int(found[1]) for name in state if (found := pattern.match(name))), default=-1) + 1


class _Transformer(nn.Module):
    def __init__(self, width: int, depth: int, *, causal: bool = False) -> None:
        super().__init__()
        self.resblocks = nn.ModuleList([_Block(width, causal) for _ in range(depth)])

    def forward(self, x: Tensor) -> Tensor:
        for block in self.resblocks:
            x = block(x)
        return x


class _Block(nn.Module):
    def __init__(self, width: int, causal: bool) -> None:
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn = _Attention(width, causal)
        self.mlp = nn.ModuleDict({"c_fc": nn.Linear(width, 4 * width), "c_proj": nn.Linear(4 * width, width)})

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.ln_1(x))
        inner = self.mlp["c_fc"](self.ln_2(x))
        return x + self.mlp["c_proj"](inner * torch.sigmoid(1.702 * inner))  # CLIP's quick GELU


class _Attention(nn.Module):
    def __init__(self, width: int, causal: bool) -> None:
        super().__init__()
        self.causal = causal
        self.in_proj_weight = nn.Parameter(torch.zeros(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        qkv_BNsqd = F.linear(x, self.in_proj_weight, self.in_proj_bias).unflatten(2, (3, -1, HEAD_WIDTH))
        q, k, v = qkv_BNsqd.permute(2, 0, 3, 1, 4)
        x = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        found: Tensor = self.out_proj(x.transpose(1, 2).flatten(2))
        return found
