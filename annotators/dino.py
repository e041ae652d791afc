"""DINO (Caron et al., ICCV 2021; arXiv 2104.14294): vision transformer under its original tensor names.

Written from the paper and the names of `dino_vitbase16_pretrain.pth`. Width, depth and patch are read from the tensors,
so ViT-S and ViT-B of either patch size load. Legend: B batch, N tokens, D width, q heads, d head width.
"""

import math
import re
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from openuni.annotators.device import Batches
from openuni.annotators.expert import network_of
from openuni.annotators.weights import Found

HEAD_WIDTH = 64
"""Of all published DINO transformers."""
EPSILON = 1e-6
NUDGE = 0.1
"""Added to the number of patches of each side before it becomes a scale factor (github.com/facebookresearch/dino,
issue 8): the resized grid is sampled by that factor and not by the sizes' ratio, which moves every sample a little."""


class DinoTransformer(nn.Module):
    """Gives the class token behind the last norm."""

    def __init__(self, *, width: int, depth: int, patch: int, grid: int) -> None:
        """Make an untrained network.

        Args:
            width: D, a multiple of HEAD_WIDTH.
            depth: blocks.
            patch: side of a patch, px.
            grid: side of the grid that the position embedding was trained on, patches.
        """
        super().__init__()
        self.patch, self.grid = patch, grid
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + grid * grid, width))
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(3, width, patch, stride=patch)})
        self.blocks = nn.ModuleList([_Block(width) for _ in range(depth)])
        self.norm = nn.LayerNorm(width, eps=EPSILON)

    def forward(self, pixels: Tensor) -> Tensor:
        """Return (B, D) features of (B, 3, H, W) normalised pixels; what is over the last whole patch is left out."""
        x = self.patch_embed["proj"](pixels)  # (B, D, h, w)
        rows, columns = x.shape[-2:]
        square = pixels.shape[-2] == pixels.shape[-1]
        x = x.flatten(2).transpose(1, 2)  # (B, h w, D)
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], dim=1) + self.positions(rows, columns, square=square)
        for block in self.blocks:
            x = block(x)
        return self.norm(x[:, 0])

    def positions(self, rows: int, columns: int, *, square: bool) -> Tensor:
        """Return the (1, 1 + rows columns, D) position embedding of a grid, by DINO's rule for other sizes.

        Args:
            rows, columns: patches.
            square: the picture has as many pixels across as down. One that has not is resampled even where its
                patches are the trained grid, as with 224 x 225 px.
        """
        if square and rows == columns == self.grid:
            return self.pos_embed
        trained = self.pos_embed[:, 1:].unflatten(1, (self.grid, self.grid)).permute(0, 3, 1, 2)
        scale = ((rows + NUDGE) / self.grid, (columns + NUDGE) / self.grid)
        resized = F.interpolate(trained, scale_factor=scale, mode="bicubic")
        return torch.cat([self.pos_embed[:, :1], resized.flatten(2).transpose(1, 2)], dim=1)


class _Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=EPSILON)
        self.attn = _Attention(width)
        self.norm2 = nn.LayerNorm(width, eps=EPSILON)
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(width, 4 * width), "fc2": nn.Linear(4 * width, width)})

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp["fc2"](F.gelu(self.mlp["fc1"](self.norm2(x))))


class _Attention(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        qkv_BNsqd = self.qkv(x).unflatten(2, (3, -1, HEAD_WIDTH))
        q, k, v = qkv_BNsqd.permute(2, 0, 3, 1, 4)
        return self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class DinoImages:
    """DINO's features of pictures."""

    def __init__(self, found: Found, device: torch.device, dtype: torch.dtype) -> None:
        """Load it.

        Raises:
            BadInput: the file is damaged or for another network.
        """
        self.device, self.dtype = device, dtype
        self.network = network_of(found.files[0], dino_of, "DINO").to(device, dtype)

    def features(self, pixels: Tensor, batches: Batches) -> Tensor:
        """Return (N, D) float32 features on the CPU, not normalised.

        Args:
            pixels: (N, 3, H, W) float32, normalised with ImageNet's mean and deviation; N >= 1.
            batches: how many at a time.
        """

        def some(part: Tensor) -> Tensor:
            with torch.inference_mode():
                found: Tensor = self.network(part.to(self.device, self.dtype)).float().cpu()
                return found

        return torch.cat(batches.run(some, pixels))


def dino_of(state: Mapping[str, Tensor]) -> DinoTransformer | None:
    """Return an untrained network of the sizes that tensors have; None if they are no DINO's."""
    patches, positions = state.get("patch_embed.proj.weight"), state.get("pos_embed")
    if patches is None or positions is None or patches.ndim != 4 or positions.ndim != 3:
        return None
    width, patch, grid = patches.shape[0], patches.shape[-1], math.isqrt(max(positions.shape[1] - 1, 0))
    blocks = {int(found[1]) for name in state if (found := re.match(r"blocks\.(\d+)\.", name))}
    if width % HEAD_WIDTH or grid * grid + 1 != positions.shape[1]:
        return None
    return DinoTransformer(width=width, depth=max(blocks, default=-1) + 1, patch=patch, grid=grid)
