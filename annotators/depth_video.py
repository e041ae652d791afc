"""Depth by video models that the user has installed: Video Depth Anything and Depth Anything 3.

Neither is a package of a registry; what is called here is their published interface (run.py, docs/API.md), imported
from the user's own checkout.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from openuni.annotators.depth_align import robust_affine
from openuni.annotators.depth_frames import COLUMNS, relative_map, sky_of
from openuni.annotators.expert import ExpertStage, fill, read_state, terms
from openuni.annotators.weights import Found
from openuni.engine.stage import Absent, Column, Result
from openuni.errors import BadInput, first_line

ENCODERS: dict[str, dict[str, Any]] = {
    "vits": {"encoder": "vits", "features": 64, "out_channels": [48, 96, 192, 384]},
    "vitl": {"encoder": "vitl", "features": 256, "out_channels": [256, 512, 1024, 1024]},
}
"""Arguments of VideoDepthAnything for each checkpoint, as its run.py has them."""
POINTS = 20_000  # ours: of a window's overlap; a fit of two numbers


@dataclass(kw_only=True)
class VideoDepthAnything(ExpertStage):
    """Relative disparity by Video Depth Anything large, which keeps a clip in one scale by itself.

    Result.map: as DepthAnything's. It works in windows of 32 frames of its own; `batch_size` has no meaning here.
    """

    input_size: int = 518
    """Short side that the network sees. Its run.py: 518."""

    name: ClassVar[str] = "depth"
    modality: ClassVar[str | None] = "depth"
    expert: ClassVar[str] = "video-depth-anything-large"
    licence: ClassVar[str] = terms("video-depth-anything-large")
    columns: ClassVar[tuple[Column, ...]] = COLUMNS[:1]
    encoder: ClassVar[str] = "vitl"
    vram_gb: ClassVar[float] = 24.0  # its README: 23.6 GB for 32 frames of 518 x 518 in half precision

    def load(self, found: Found) -> None:
        """Make the network of the user's checkout and fill it."""
        try:
            from video_depth_anything.video_depth import VideoDepthAnything as Network
        except ImportError as error:
            raise BadInput(f"video_depth_anything is here but cannot be imported ({error}).") from error
        network = Network(**ENCODERS[self.encoder])
        fill(network, read_state(found.files[0]), found.files[0])
        self.network = network.to(self.torch_device).eval()

    def __call__(self, clip: Any) -> Result:
        """Estimate the depth of a clip."""
        import torch

        rgb = clip.frames.rgb
        fp32 = self.dtype == torch.float32
        depths, _ = self.network.infer_video_depth(
            rgb, clip.frames.fps, input_size=self.input_size, device=self.torch_device.type, fp32=fp32
        )
        raw = np.asarray(depths, dtype=np.float32)
        if raw.shape != rgb.shape[:3]:
            raise ValueError(f"infer_video_depth gave {raw.shape} for frames {rgb.shape}; expected {rgb.shape[:3]}")
        return relative_map(rgb, raw, sky_of(raw), align=False, trend_frames=0.0)


@dataclass(kw_only=True)
class VideoDepthAnythingSmall(VideoDepthAnything):
    """Relative disparity by Video Depth Anything small, whose licence allows commercial use."""

    expert: ClassVar[str] = "video-depth-anything-small"
    licence: ClassVar[str] = terms("video-depth-anything-small")
    encoder: ClassVar[str] = "vits"
    vram_gb: ClassVar[float] = 7.0  # its README: 6.8 GB


@dataclass(kw_only=True)
class DepthAnything3(ExpertStage):
    """Relative disparity by Depth Anything 3 mono large, in windows that are fitted to each other where they overlap.

    The network gives depth, not disparity; the map is its inverse, its sky 0. Result.map: as DepthAnything's.

    Raises:
        Absent: `inconsistent`, windows that overlap do not agree in what is near.
    """

    window: int = 32
    """Frames at a time."""
    overlap: int = 8
    """Frames that two windows share."""
    process_res: int = 504
    """Long side that the network sees. Its API: 504."""

    name: ClassVar[str] = "depth"
    modality: ClassVar[str | None] = "depth"
    expert: ClassVar[str] = "depth-anything-3-mono-large"
    licence: ClassVar[str] = terms("depth-anything-3-mono-large")
    columns: ClassVar[tuple[Column, ...]] = COLUMNS[:1]

    def __post_init__(self) -> None:
        """Check the settings, then as ExpertStage."""
        if not 1 <= self.overlap < self.window:
            raise BadInput(f"depth.overlap must be 1 to depth.window - 1, got {self.overlap} and {self.window}.")
        super().__post_init__()

    def load(self, found: Found) -> None:
        """Load through the API of the user's checkout."""
        try:
            from depth_anything_3.api import DepthAnything3 as Network
        except ImportError as error:
            raise BadInput(f"depth_anything_3 is here but cannot be imported ({error}).") from error
        try:
            network = Network.from_pretrained(str(found.folder))
        except Exception as error:  # whatever a damaged file makes the library raise
            reason = first_line(error)[:200]
            raise BadInput(
                f"{found.folder} cannot be loaded by depth_anything_3 ({reason}). Fetch it again."
            ) from error
        self.network = network.to(device=self.torch_device)

    def __call__(self, clip: Any) -> Result:
        """Estimate the depth of a clip, window by window."""
        rgb = clip.frames.rgb
        data = np.zeros(rgb.shape[:3], np.float32)
        sky = np.zeros(rgb.shape[:3], bool)
        done = 0
        for start, end in windows(len(rgb), self.window, self.overlap):
            disparity, is_sky = self._window(rgb[start:end])
            if start < done:  # frames start..done were in the window before
                scale, shift = _fit(
                    disparity[: done - start], data[start:done], is_sky[: done - start] | sky[start:done]
                )
                if scale <= 0:
                    raise Absent("inconsistent")
                disparity = disparity * scale + shift
            data[done:end], sky[done:end] = disparity[done - start :], is_sky[done - start :]
            done = end
        return relative_map(rgb, data, sky, align=False, trend_frames=0.0)

    def _window(self, rgb: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Disparity and sky, (T, H, W) float32 and bool, of some frames."""
        import cv2

        prediction = self.network.inference(image=list(rgb), process_res=self.process_res)
        depth = np.asarray(prediction.depth, np.float32)
        size = rgb.shape[2], rgb.shape[1]
        depth = np.stack([cv2.resize(one, size, interpolation=cv2.INTER_LINEAR) for one in depth])
        sky = np.zeros(depth.shape, bool)
        if getattr(prediction, "sky", None) is not None:
            marks = np.asarray(prediction.sky).astype(np.float32)
            sky = np.stack([cv2.resize(one, size, interpolation=cv2.INTER_LINEAR) > 0.5 for one in marks])
        sky |= depth <= 0
        return np.where(sky, 0, 1 / np.maximum(depth, 1e-6)).astype(np.float32), sky


def windows(count: int, length: int, overlap: int) -> list[tuple[int, int]]:
    """Return [start, end) of windows over `count` frames; the last one ends at the end and overlaps by more.

    Args:
        count, length: frames.
        overlap: frames that two windows share at least, below `length`.
    """
    found = [(0, min(length, count))]
    while found[-1][1] < count:
        end = min(found[-1][1] + length - overlap, count)
        found.append((max(0, end - length), end))
    return found


def _fit(new: np.ndarray, old: np.ndarray, left_out: np.ndarray) -> tuple[float, float]:
    """Scale and shift that bring one window's disparities to those of the window before, on the frames they share."""
    a, b = new[~left_out], old[~left_out]
    step = max(1, len(a) // POINTS)
    return robust_affine(a[::step], b[::step]) if len(a) > 1 else (1.0, 0.0)
