"""AMT-S (Li et al., CVPR 2023; arXiv 2304.09790): the frame between two frames, by all-pairs matching.

Written from the paper under the tensor names of the authors' `amt-s.pth`, whose licence is CC BY-NC 4.0: results made
with those weights are for non-commercial use only. Only t = 1/2 at full size is here, which is what VBench asks for.

Coarse to fine: a decoder guesses the flows from the middle to both frames at 1/8 of the size, a look-up in the two
frames' correlations refines them, and so on at 1/4 and 1/2; the last decoder makes FLOWS pairs of flows with masks and
residues, whose warped pictures are blended. Legend: B pairs.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

MULTIPLE = 16
"""Sides must be multiples of it, px."""
SMALLEST_SIDE_PX = 128
"""Below it the last level of the correlations is a single place, and the look-up divides by zero."""
CHANNELS = (20, 32, 44, 56)
SKIP = 20
FLOWS = 3
LEVELS, RADIUS = 4, 3
MATCH = 84  # channels that are matched
TIME = 0.5


class AmtS(nn.Module):
    """Interpolates; 2.99 M parameters."""

    def __init__(self) -> None:
        """Make an untrained network."""
        super().__init__()
        one, two, three, four = CHANNELS
        self.feat_encoder = _MatchEncoder()
        self.encoder = _Pyramid()
        self.decoder4 = _Decoder(2 * four + 1, 2 * four, three + 4)
        self.decoder3 = _Decoder(3 * three + 4, 3 * three, two + 4)
        self.decoder2 = _Decoder(3 * two + 4, 3 * two, one + 4)
        self.decoder1 = _Decoder(3 * one + 4, 3 * one, 8 * FLOWS)
        self.update4, self.update3, self.update2 = _Update(three, 1), _Update(two, 2), _Update(one, 4)
        self.comb_block = nn.Sequential(
            nn.Conv2d(3 * FLOWS, 6 * FLOWS, 3, padding=1), nn.PReLU(6 * FLOWS), nn.Conv2d(6 * FLOWS, 3, 3, padding=1)
        )

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Return the frames in the middle, (B, 3, H, W) in [0, 1].

        Args:
            first, second: (B, 3, H, W) float32 RGB, [0, 1]; sides are multiples of MULTIPLE.
        """
        mean = torch.cat([first, second], dim=2).mean(dim=(1, 2, 3), keepdim=True)
        first, second = first - mean, second - mean
        both = torch.cat([first, second])
        matched_first, matched_second = self.feat_encoder(both).chunk(2)
        look_up = _Correlations(matched_first, matched_second)
        pyramid = [level.chunk(2) for level in self.encoder(both)]

        coarse = pyramid[3]
        time = torch.full_like(coarse[0][:, :1], TIME)
        out = self.decoder4(torch.cat([*coarse, time], dim=1))
        flows, x = out[:, :4], out[:, 4:]
        steps = ((self.update4, 1, self.decoder3), (self.update3, 2, self.decoder2), (self.update2, 4, self.decoder1))
        for (update, scale, decoder), level in zip(steps, pyramid[2::-1], strict=True):
            at_eighth = flows if scale == 1 else _resize(flows, 1 / scale) / scale
            step_x, step_flows = update(x, at_eighth, look_up(at_eighth))
            x, flows = x + step_x, flows + step_flows
            warped = [_warp(one, flow) for one, flow in zip(level, flows.chunk(2, dim=1), strict=True)]
            out = decoder(torch.cat([x, *warped, flows], dim=1))
            flows = 2.0 * _resize(flows, 2.0)
            if decoder is not self.decoder1:
                flows, x = flows + out[:, :4], out[:, 4:]
        return self._blend(first, second, mean, flows, out)

    def _blend(self, first: Tensor, second: Tensor, mean: Tensor, flows: Tensor, out: Tensor) -> Tensor:
        """Warp by every pair of flows, mix by the masks, average, and correct."""
        to_first, to_second, mask, residue = out.split([2 * FLOWS, 2 * FLOWS, FLOWS, 3 * FLOWS], dim=1)
        mask = torch.sigmoid(mask)
        made = []
        for number in range(FLOWS):
            pair, triple = slice(2 * number, 2 * number + 2), slice(3 * number, 3 * number + 3)
            weight = mask[:, number : number + 1]
            before = _warp(first, flows[:, :2] + to_first[:, pair])
            after = _warp(second, flows[:, 2:] + to_second[:, pair])
            made.append(weight * before + (1 - weight) * after + mean + residue[:, triple])
        return (torch.stack(made).mean(0) + self.comb_block(torch.cat(made, dim=1))).clamp(0, 1)


def amt_of(state: Mapping[str, Tensor]) -> AmtS | None:
    """Return an untrained AMT-S; None if tensors are not AMT's."""
    return AmtS() if "feat_encoder.conv1.weight" in state and "comb_block.0.weight" in state else None


def _resize(x: Tensor, factor: float) -> Tensor:
    return F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)


def _warp(x: Tensor, flow: Tensor) -> Tensor:
    """Fetch (B, C, H, W) from where the (B, 2, H, W) flow in px points; what lies outside is the border."""
    height, width = x.shape[-2:]
    across, down = (torch.linspace(-1.0, 1.0, side, device=x.device, dtype=x.dtype) for side in (width, height))
    grid = torch.stack(
        [across + flow[:, 0] / ((width - 1) / 2), down[:, None] + flow[:, 1] / ((height - 1) / 2)], dim=-1
    )
    return F.grid_sample(x, grid, padding_mode="border", align_corners=True)


def _conv(inside: int, outside: int, *, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inside, outside, 3, stride=stride, padding=1), nn.PReLU(outside))


class _Pyramid(nn.Module):
    """Features at 1/2, 1/4, 1/8 and 1/16 of the size."""

    def __init__(self) -> None:
        super().__init__()
        for number, (inside, outside) in enumerate(zip((3, *CHANNELS), CHANNELS, strict=False), start=1):
            level = nn.Sequential(_conv(inside, outside, stride=2), _conv(outside, outside))
            self.add_module(f"pyramid{number}", level)

    def forward(self, x: Tensor) -> list[Tensor]:
        found = []
        for level in self.children():
            x = level(x)
            found.append(x)
        return found


class _Decoder(nn.Module):
    """Twice the size, by IFRNet's block (arXiv 2205.14620)."""

    def __init__(self, inside: int, width: int, outside: int) -> None:
        super().__init__()
        self.convblock = nn.Sequential(
            _conv(inside, width), _SideBlock(width), nn.ConvTranspose2d(width, outside, 4, stride=2, padding=1)
        )

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.convblock(x)
        return found


class _SideBlock(nn.Module):
    """A residual block whose last SKIP channels get two further convolutions of their own."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1, self.conv3 = _conv(width, width), _conv(width, width)
        self.conv2, self.conv4 = _conv(SKIP, SKIP), _conv(SKIP, SKIP)
        self.conv5 = nn.Conv2d(width, width, 3, padding=1)
        self.prelu = nn.PReLU(width)

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for whole, side in ((self.conv1, self.conv2), (self.conv3, self.conv4)):
            y = whole(y)
            y = torch.cat([y[:, :-SKIP], side(y[:, -SKIP:])], dim=1)
        return self.prelu(x + self.conv5(y))


class _MatchEncoder(nn.Module):
    """RAFT's small encoder (arXiv 2003.12039): features at 1/8 of the size."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 32, 7, stride=2, padding=3)
        self.layer1 = nn.Sequential(_Bottleneck(32, 32), _Bottleneck(32, 32))
        self.layer2 = nn.Sequential(_Bottleneck(32, 64, stride=2), _Bottleneck(64, 64))
        self.layer3 = nn.Sequential(_Bottleneck(64, 96, stride=2), _Bottleneck(96, 96))
        self.conv2 = nn.Conv2d(96, MATCH, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(F.instance_norm(self.conv1(x)))
        found: Tensor = self.conv2(self.layer3(self.layer2(self.layer1(x))))
        return found


class _Bottleneck(nn.Module):
    def __init__(self, inside: int, outside: int, *, stride: int = 1) -> None:
        super().__init__()
        inner = outside // 4
        self.conv1 = nn.Conv2d(inside, inner, 1)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride=stride, padding=1)
        self.conv3 = nn.Conv2d(inner, outside, 1)
        self.downsample = None if stride == 1 else nn.Sequential(nn.Conv2d(inside, outside, 1, stride=stride))

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for conv in (self.conv1, self.conv2, self.conv3):
            y = F.relu(F.instance_norm(conv(y)))
        if self.downsample is not None:
            x = F.instance_norm(self.downsample(x))
        return F.relu(x + y)


class _Correlations:
    """All pairs of places of two frames, both ways, at LEVELS sizes."""

    def __init__(self, first: Tensor, second: Tensor) -> None:
        self.size = first.shape[-2:]
        rows, columns = self.size
        pairs = first.flatten(2).transpose(1, 2) @ second.flatten(2) / first.shape[1] ** 0.5  # (B, h w, h w)
        self.levels = []
        for both in (pairs, pairs.transpose(1, 2)):
            level = both.reshape(-1, 1, rows, columns)
            self.levels.append([level] + [level := F.avg_pool2d(level, 2) for _ in range(LEVELS - 1)])
        down, across = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
        self.places = torch.stack([across, down]).to(first)  # (2, h, w)
        steps = torch.arange(-RADIUS, RADIUS + 1)
        self.window = torch.stack(torch.meshgrid(steps, steps, indexing="ij"), dim=-1).to(
            first
        )  # rows first: as trained

    def __call__(self, flows: Tensor) -> Tensor:
        """Look around where the flows point; (B, 4, h, w) flows from the middle, (B, C, h, w) correlations.

        Motion is taken as even, so what leads from the middle to the second frame, doubled, leads from the first to it.
        """
        to_first, to_second = flows.chunk(2, dim=1)
        found = []
        for levels, flow in zip(self.levels, (to_second / TIME, to_first / (1 - TIME)), strict=True):
            centres = (self.places + flow).permute(0, 2, 3, 1).reshape(-1, 1, 1, 2)
            for number, level in enumerate(levels):
                height, width = level.shape[-2:]
                at = centres / 2**number + self.window
                grid = 2 * at / at.new_tensor([width - 1, height - 1]) - 1
                looked = F.grid_sample(level, grid, align_corners=True)
                found.append(looked.reshape(len(flows), *self.size, -1))
        return torch.cat(found, dim=-1).permute(0, 3, 1, 2)


class _Update(nn.Module):
    """Steps of features and flows from correlations, at 1/8 of the size whatever the features' own."""

    def __init__(self, width: int, scale: int) -> None:
        super().__init__()
        self.scale = scale
        self.convc1 = nn.Conv2d(2 * LEVELS * (2 * RADIUS + 1) ** 2, 64, 1)
        self.convf1 = nn.Conv2d(4, 40, 7, padding=3)
        self.convf2 = nn.Conv2d(40, 20, 3, padding=1)
        self.conv = nn.Conv2d(84, 68, 3, padding=1)
        self.gru = self._two(68 + 4 + width, 76)
        self.feat_head, self.flow_head = self._two(76, width), self._two(76, 4)

    @staticmethod
    def _two(inside: int, outside: int) -> nn.Sequential:
        return nn.Sequential(
            nn.Conv2d(inside, 76, 3, padding=1), nn.LeakyReLU(0.1), nn.Conv2d(76, outside, 3, padding=1)
        )

    def forward(self, x: Tensor, flows: Tensor, looked: Tensor) -> tuple[Tensor, Tensor]:
        if self.scale != 1:
            x = _resize(x, 1 / self.scale)
        matches = F.leaky_relu(self.convc1(looked), 0.1)
        moves = F.leaky_relu(self.convf2(F.leaky_relu(self.convf1(flows), 0.1)), 0.1)
        y = F.leaky_relu(self.conv(torch.cat([matches, moves], dim=1)), 0.1)
        y = self.gru(torch.cat([y, flows, x], dim=1))
        step_x, step_flows = self.feat_head(y), self.flow_head(y)
        if self.scale == 1:
            return step_x, step_flows
        return _resize(step_x, self.scale), self.scale * _resize(step_flows, self.scale)
