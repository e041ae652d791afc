"""Optical flow by RAFT (Teed and Deng, ECCV 2020): torchvision's network, its weights or the original ones."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from openuni.annotators.expert import ExpertStage, fill, read_state, terms
from openuni.annotators.flow_check import COLUMNS, check_both_ways, flow_scores
from openuni.annotators.raft_names import from_original, is_original
from openuni.annotators.weights import Found
from openuni.engine.stage import Absent, Column, Result
from openuni.errors import BadInput
from openuni.modality import Map

if TYPE_CHECKING:
    import torch

MULTIPLE = 8  # the network works on an eighth of the picture
SMALLEST_SIDE_PX = 128  # torchvision: four levels of the correlation pyramid, the last of 2 x 2


@dataclass(kw_only=True)
class Raft(ExpertStage):
    """Forward flow t -> t+1 by RAFT large, with a forward-backward check; both directions in one batch.

    Result.map: data (T, H, W, 2) float32 px per frame, dense, last frame zeros; valid (T, H, W) bool, last frame all
    False (flow_check.check_both_ways). Frames whose long side is over `max_side_px` are made smaller, frames whose
    short side is under 128 px larger, and the flow is scaled back; other sizes are padded to a multiple of 8.

    Raises:
        Absent: `too_short`, fewer than two frames.
    """

    updates: int = 20
    """Refinements. RAFT's demo and VACE: 20; torchvision's default: 12; RAFT on Sintel: 32."""
    max_side_px: int = 1280
    """Long side from which frames are made smaller: memory goes with the fourth power of it, 1.1 GB a pair and
    direction at 1280 x 720. Tiles would lose every motion that leaves its tile."""
    relative: float = 0.01
    """Share of the squared lengths allowed as squared round-trip error. Sundaram et al.: 0.01."""
    absolute_px2: float = 0.5
    """Squared round-trip error always allowed, px^2. Sundaram et al.: 0.5."""
    batch_size: int = 4
    """Pairs at a time, each both ways."""

    name: ClassVar[str] = "flow"
    modality: ClassVar[str | None] = "flow"
    expert: ClassVar[str] = "raft-large"
    licence: ClassVar[str] = terms("raft-large")
    columns: ClassVar[tuple[Column, ...]] = COLUMNS
    builder: ClassVar[str] = "raft_large"

    def __post_init__(self) -> None:
        """Check the settings, then as ExpertStage."""
        if self.updates < 1 or self.max_side_px < SMALLEST_SIDE_PX:
            raise BadInput(
                f"flow.updates must be 1 or more and flow.max_side_px {SMALLEST_SIDE_PX} or more, "
                f"got {self.updates} and {self.max_side_px}."
            )
        super().__post_init__()

    def load(self, found: Found) -> None:
        """Load the network from a file with torchvision's names or the original's."""
        from torchvision.models import optical_flow

        self.network = self.compiled(load_raft(self.builder, found.files[0]).to(self.torch_device))
        self.transforms = optical_flow.Raft_Large_Weights.DEFAULT.transforms()  # the same for both networks

    def __call__(self, clip: Any) -> Result:
        """Estimate the flow of a clip of two frames or more."""
        rgb = clip.frames.rgb
        if rgb.ndim != 4 or rgb.shape[-1] != 3 or rgb.dtype != np.uint8:
            raise ValueError(f"frames must be (T, H, W, 3) uint8, got {rgb.shape} {rgb.dtype}")
        if len(rgb) < 2:
            raise Absent("too_short")
        forward, backward = self.both_ways(rgb)
        flow = np.zeros((*rgb.shape[:3], 2), np.float32)
        flow[:-1] = forward
        valid, error = np.zeros(rgb.shape[:3], bool), np.zeros(rgb.shape[:3], np.float32)
        for t in range(len(rgb) - 1):
            valid[t], error[t] = check_both_ways(
                forward[t], backward[t], relative=self.relative, absolute_px2=self.absolute_px2
            )
        return Result(scores=flow_scores(flow, valid, error), map=Map(data=flow, valid=valid))

    def both_ways(self, rgb: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return flows t -> t+1 and t+1 -> t of neighbours, each (T - 1, H, W, 2) float32 px.

        Args:
            rgb: (T, H, W, 3) uint8 RGB, T >= 2.
        """
        import torch

        frames = torch.from_numpy(np.ascontiguousarray(rgb)).permute(0, 3, 1, 2)

        def pairs(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
            first, second = first.to(self.torch_device), second.to(self.torch_device)
            half = self.dtype != torch.float32
            with torch.inference_mode(), torch.autocast(self.torch_device.type, self.dtype, enabled=half):
                both = self.estimate(torch.cat([first, second]), torch.cat([second, first]))
            return torch.stack(both.float().chunk(2), dim=1).cpu()  # (N, 2 directions, 2, H, W)

        flows = torch.cat(self.batches.run(pairs, frames[:-1], frames[1:])).permute(0, 1, 3, 4, 2).numpy()
        return np.ascontiguousarray(flows[:, 0]), np.ascontiguousarray(flows[:, 1])

    def estimate(self, first: "torch.Tensor", second: "torch.Tensor") -> "torch.Tensor":
        """Flow from each picture of `first` to that of `second`.

        Args:
            first, second: (N, 3, H, W) uint8 RGB on the network's device.

        Returns:
            (N, 2, H, W), px of the pictures given.
        """
        import torch
        from torch.nn import functional as F

        height, width = first.shape[-2:]
        first, second = self.transforms(first, second)
        size = _work_size(height, width, self.max_side_px)
        if size != (height, width):
            smaller = size[0] < height
            first, second = (
                F.interpolate(one, size=size, mode="bilinear", align_corners=False, antialias=smaller)
                for one in (first, second)
            )
        down, across = -size[0] % MULTIPLE, -size[1] % MULTIPLE
        padding = (across // 2, across - across // 2, down // 2, down - down // 2)
        first, second = (F.pad(one, padding, mode="replicate") for one in (first, second))
        flow = self.network(first, second, num_flow_updates=self.updates)[-1]
        flow = flow[..., padding[2] : padding[2] + size[0], padding[0] : padding[0] + size[1]]
        if size == (height, width):
            return flow
        scale = torch.tensor([width / size[1], height / size[0]], device=flow.device).view(1, 2, 1, 1)
        return F.interpolate(flow.float(), size=(height, width), mode="bilinear", align_corners=False) * scale


@dataclass(kw_only=True)
class RaftSmall(Raft):
    """Forward flow t -> t+1 by RAFT small, a fifth of large's parameters, with a forward-backward check."""

    expert: ClassVar[str] = "raft-small"
    licence: ClassVar[str] = terms("raft-small")
    builder: ClassVar[str] = "raft_small"
    vram_gb: ClassVar[float] = 4.0


def load_raft(builder: str, path: Path) -> "torch.nn.Module":
    """Load torchvision's RAFT from a file with its tensor names or the original's.

    Args:
        builder: raft_large or raft_small.
        path: the file.

    Raises:
        BadInput: the file is damaged or for another network.
    """
    from torchvision.models import optical_flow

    network: torch.nn.Module = getattr(optical_flow, builder)(weights=None)
    state = read_state(path)
    fill(network, from_original(state) if is_original(state) else state, path)
    return network.eval()


def _work_size(height: int, width: int, max_side_px: int) -> tuple[int, int]:
    """Size that frames are brought to before padding. The short side's least comes before the long side's most."""
    scale = min(1.0, max_side_px / max(height, width))
    scale = (
        max(scale, SMALLEST_SIDE_PX / min(height, width)) if min(height, width) * scale < SMALLEST_SIDE_PX else scale
    )
    return round(height * scale), round(width * scale)
