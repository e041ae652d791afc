"""MUSIQ (Ke et al., ICCV 2021; arXiv 2108.05997): a transformer over patches of a picture at three scales.

Tensor names and every constant are those of pyiqa's checkpoints (`musiq_spaq_ckpt-358bb6af.pth`), which are Google's
weights under torch names. pyiqa fills the two small scales up to 49 and 144 tokens and masks them out; a masked token
has weight exp(-1000) = 0, so here they are not made. Legend: B pictures, N tokens, D width.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

PATCH = 32  # px
LONGER_SIDES = (224, 384)  # px: the two scales besides the picture itself
POSITIONS = 10  # side of the grid that patches' places are hashed to
HEADS = 6
STEM = 64  # channels


class Tokens(NamedTuple):
    """What the transformer reads of pictures of one size."""

    patches: Tensor
    """(B, N, 3, PATCH, PATCH), [-1, 1]."""
    positions: Tensor
    """(N,) int64, place in the POSITIONS x POSITIONS grid, row by row."""
    scales: Tensor
    """(N,) int64: 0, 1 for LONGER_SIDES, 2 for the picture itself."""


def tokens(pictures: Tensor) -> Tokens:
    """Cut pictures into patches at three scales.

    Args:
        pictures: (B, 3, H, W) float32, [0, 1].
    """
    x = (pictures - 0.5) * 2
    height, width = x.shape[-2:]
    sizes = []
    for side in LONGER_SIDES:
        ratio = side / max(height, width)
        sizes.append((round(height * ratio), round(width * ratio)))
    scaled = [F.interpolate(x, size, mode="bicubic", align_corners=False) for size in sizes] + [x]
    cut = [_cut(one) for one in scaled]
    places = [_places(-(-one.shape[-2] // PATCH), -(-one.shape[-1] // PATCH)) for one in scaled]
    scales = [torch.full_like(one, number) for number, one in enumerate(places)]
    return Tokens(torch.cat(cut, dim=1), torch.cat(places).to(x.device), torch.cat(scales).to(x.device))


def _cut(x: Tensor) -> Tensor:
    """(B, 3, H, W) to (B, rows columns, 3, PATCH, PATCH), zeros around as much as is missing."""
    down, across = -x.shape[-2] % PATCH, -x.shape[-1] % PATCH
    x = F.pad(x, (across // 2, across - across // 2, down // 2, down - down // 2))
    return F.unfold(x, PATCH, stride=PATCH).transpose(1, 2).unflatten(2, (3, PATCH, PATCH))


def _places(rows: int, columns: int) -> Tensor:
    """Hash a grid of patches to POSITIONS x POSITIONS: nearest, as F.interpolate counts."""
    grid = torch.arange(POSITIONS, dtype=torch.float32)[None, None]
    down, across = (F.interpolate(grid, count, mode="nearest")[0, 0].long() for count in (rows, columns))
    return (POSITIONS * down[:, None] + across[None]).flatten()


class Musiq(nn.Module):
    """Scores pictures; the SPAQ checkpoint's scores are mean opinions from 0 to 100."""

    def __init__(self, *, width: int = 384, inner: int = 1152, depth: int = 14, scales: int = 3) -> None:
        """Make an untrained network.

        Args:
            width: D.
            inner: width of the feed-forward layers.
            depth: transformer blocks.
            scales: rows of the scale embedding.
        """
        super().__init__()
        self.conv_root = _StandardConv(3, STEM, 7, stride=2)
        self.gn_root = nn.GroupNorm(32, STEM, eps=1e-6)
        self.block1 = _Bottleneck(STEM, 4 * STEM)
        self.embedding = nn.Linear(4 * STEM * (PATCH // 4) ** 2, width)
        self.transformer_encoder = _Encoder(width, inner, depth, scales)
        self.head = nn.Linear(width, 1)

    def forward(self, pictures: Tensor) -> Tensor:
        """Return (B,) scores of (B, 3, H, W) float32 pictures, [0, 1]."""
        given = tokens(pictures)
        x = given.patches.flatten(0, 1)
        x = F.relu(self.gn_root(self.conv_root(x)))
        x = F.max_pool2d(_same(x, 3, 2), 3, 2)
        x = self.block1(x)  # (B N, 4 STEM, PATCH / 4, PATCH / 4)
        x = x.permute(0, 2, 3, 1).flatten(1).unflatten(0, given.patches.shape[:2])  # channels last, as in TensorFlow
        scores: Tensor = self.head(self.transformer_encoder(self.embedding(x), given.positions, given.scales))
        return scores[:, 0]


def musiq_of(state: Mapping[str, Tensor]) -> Musiq | None:
    """Return an untrained network of the sizes that tensors have; None if they are no MUSIQ's with one score."""
    embedding, head = state.get("embedding.weight"), state.get("head.weight")
    inner = state.get("transformer_encoder.transformer.encoderblock_0.mlp.fc1.weight")
    if embedding is None or head is None or inner is None or head.shape[0] != 1 or embedding.shape[0] % HEADS:
        return None
    blocks = {int(found[1]) for name in state if (found := re.search(r"encoderblock_(\d+)\.", name))}
    scales = state.get("transformer_encoder.scaleembed_input.scale_emb")
    return Musiq(
        width=embedding.shape[0],
        inner=inner.shape[0],
        depth=max(blocks) + 1,
        scales=3 if scales is None else len(scales),
    )


def _same(x: Tensor, kernel: int, stride: int) -> Tensor:
    """Pad with zeros as TensorFlow's SAME does, more behind than before."""
    pads = []
    for side in (x.shape[-1], x.shape[-2]):
        total = max((-(-side // stride) - 1) * stride + kernel - side, 0)
        pads += [total // 2, total - total // 2]
    return F.pad(x, pads)


class _StandardConv(nn.Conv2d):
    """A convolution whose filters have mean 0 and deviation 1 (arXiv 1903.10520), padded as TensorFlow does."""

    def __init__(self, inside: int, outside: int, kernel: int, *, stride: int = 1) -> None:
        super().__init__(inside, outside, kernel, stride=stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        deviation, mean = torch.std_mean(self.weight, dim=(1, 2, 3), keepdim=True)
        x = _same(x, self.kernel_size[0], self.stride[0])
        return F.conv2d(x, (self.weight - mean) / (deviation + 1e-5), stride=self.stride)


class _Bottleneck(nn.Module):
    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.conv1, self.gn1 = _StandardConv(inside, inside, 1), nn.GroupNorm(32, inside, eps=1e-4)
        self.conv2, self.gn2 = _StandardConv(inside, inside, 3), nn.GroupNorm(32, inside, eps=1e-4)
        self.conv3, self.gn3 = _StandardConv(inside, outside, 1), nn.GroupNorm(32, outside, eps=1e-4)
        self.conv_proj, self.gn_proj = _StandardConv(inside, outside, 1), nn.GroupNorm(32, outside, eps=1e-4)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.gn1(self.conv1(x)))
        y = F.relu(self.gn2(self.conv2(y)))
        return F.relu(self.gn3(self.conv3(y)) + self.gn_proj(self.conv_proj(x)))


class _Encoder(nn.Module):
    def __init__(self, width: int, inner: int, depth: int, scales: int) -> None:
        super().__init__()
        self.posembed_input = nn.ParameterDict({"position_emb": torch.zeros(1, POSITIONS * POSITIONS, width)})
        self.scaleembed_input = nn.ParameterDict({"scale_emb": torch.zeros(scales, width)})
        self.cls = nn.Parameter(torch.zeros(1, 1, width))
        self.encoder_norm = nn.LayerNorm(width, eps=1e-6)
        self.transformer = nn.ModuleDict({f"encoderblock_{number}": _Block(width, inner) for number in range(depth)})

    def forward(self, x: Tensor, positions: Tensor, scales: Tensor) -> Tensor:
        """(B, N, D) embedded patches to the (B, D) class token."""
        x = x + self.posembed_input["position_emb"][0, positions] + self.scaleembed_input["scale_emb"][scales]
        x = torch.cat([self.cls.expand(len(x), -1, -1), x], dim=1)
        for block in self.transformer.values():
            x = block(x)
        found: Tensor = self.encoder_norm(x[:, 0])
        return found


class _Block(nn.Module):
    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = (nn.LayerNorm(width, eps=1e-6) for _ in range(2))
        self.attention = _Attention(width)
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(width, inner), "fc2": nn.Linear(inner, width)})

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norm1(x))
        return x + self.mlp["fc2"](F.gelu(self.mlp["fc1"](self.norm2(x))))


class _Attention(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (one(x).unflatten(2, (HEADS, -1)).transpose(1, 2) for one in (self.query, self.key, self.value))
        found: Tensor = self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return found
