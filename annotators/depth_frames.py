"""Depth by networks that see one frame at a time: Depth Anything V2 (relative) and Depth Pro (metric).

Pictures are prepared and results brought to the frames' size by the library's own image processor; the frames are then
brought into one scale (annotators/depth_align.py). The codec normalises over the clip.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from openuni.annotators.depth_align import align_frames
from openuni.annotators.expert import ExpertStage, load_pretrained, load_processor, terms
from openuni.annotators.weights import Found
from openuni.engine.stage import Absent, Column, Result
from openuni.errors import BadInput
from openuni.modality import Map

SKY_SHARE = 0.005  # ours: Depth Anything ends in a ReLU and gives 0 to sky; nothing near that has a scale of its own
SKY_M = 9999.0  # transformers' Depth Pro cuts inverse depth at 1e-4: what comes out as 1e4 m has no depth

COLUMNS = (
    Column("sky_fraction", "0..1", "share of pixels taken for sky"),
    Column("scale_taken_out", "1", "standard deviation of the frames' log scales that alignment took out"),
    Column("shift_taken_out", "1", "standard deviation of the frames' shifts that it took out, over the clip's range"),
    Column("residual", "1", "median difference of followed points afterwards, over the spread of disparities"),
)


@dataclass(kw_only=True)
class _DepthOfFrames(ExpertStage):
    """What both networks share. Subclasses give a model class and turn its outputs into a map."""

    align: bool = True
    """Bring the frames into one scale. Off gives each frame as the network does."""
    trend_frames: float = 8.0
    """Slow changes of scale are the camera's and stay; see depth_align. Ours: 8 and 16 measure alike on generated clips
    of 16 and 48 frames; without it a clip of 48 frames on a walk is off by 11 % of its spread, with it by 1.5 %."""

    name: ClassVar[str] = "depth"
    modality: ClassVar[str | None] = "depth"
    model_class: ClassVar[str]
    model_type: ClassVar[str]

    def load(self, found: Found) -> None:
        """Load network and image processor."""
        import transformers

        model = load_pretrained(getattr(transformers, self.model_class), found, model_type=self.model_type)
        self.model = self.compiled(model.to(self.torch_device, self.dtype))
        self.processor = load_processor(found)

    def predict(self, rgb: np.ndarray) -> list[dict[str, Any]]:
        """Run the network: what the image processor's post_process_depth_estimation gives, for each frame.

        Args:
            rgb: (T, H, W, 3) uint8 RGB.
        """
        import torch

        def some(frames: torch.Tensor) -> list[dict[str, Any]]:
            inputs = self.processor(images=list(frames), return_tensors="pt", device=self.torch_device)
            with torch.inference_mode():
                outputs = self.model(inputs["pixel_values"].to(self.torch_device, self.dtype))
            outputs.predicted_depth = outputs.predicted_depth.float()
            made: list[dict[str, Any]] = self.processor.post_process_depth_estimation(
                outputs, target_sizes=[tuple(rgb.shape[1:3])] * len(frames)
            )
            return made

        frames = torch.from_numpy(np.ascontiguousarray(rgb)).permute(0, 3, 1, 2)
        return [one for part in self.batches.run(some, frames) for one in part]

    def __call__(self, clip: Any) -> Result:
        """Estimate the depth of a clip."""
        rgb = clip.frames.rgb
        if rgb.ndim != 4 or rgb.shape[-1] != 3 or rgb.dtype != np.uint8:
            raise ValueError(f"frames must be (T, H, W, 3) uint8, got {rgb.shape} {rgb.dtype}")
        return self.finish(rgb, self.predict(rgb))

    def finish(self, rgb: np.ndarray, predicted: list[dict[str, Any]]) -> Result:
        """Turn what `predict` gave into a map."""
        raise NotImplementedError


@dataclass(kw_only=True)
class DepthAnything(_DepthOfFrames):
    """Relative disparity of every frame by Depth Anything V2, in one scale and shift for the clip.

    Result.map: data (T, H, W) float32, larger is nearer; valid everywhere. facts["kind"] is relative_disparity. Sky,
    where the network gives (nearly) 0, has no scale: it is the clip's farthest value.

    Raises:
        Absent: `inconsistent`, no scales bring the frames together (a cut, noise).
    """

    expert: ClassVar[str] = "depth-anything-v2-large"
    licence: ClassVar[str] = terms("depth-anything-v2-large")
    columns: ClassVar[tuple[Column, ...]] = COLUMNS
    model_class: ClassVar[str] = "DepthAnythingForDepthEstimation"
    model_type: ClassVar[str] = "depth_anything"

    def finish(self, rgb: np.ndarray, predicted: list[dict[str, Any]]) -> Result:
        """Align the frames and put sky last."""
        raw = np.stack([one["predicted_depth"].cpu().numpy() for one in predicted]).astype(np.float32)
        return relative_map(rgb, raw, sky_of(raw), align=self.align, trend_frames=self.trend_frames)


@dataclass(kw_only=True)
class DepthAnythingBase(DepthAnything):
    """Depth Anything V2 base: relative disparity in one scale for the clip."""

    expert: ClassVar[str] = "depth-anything-v2-base"
    licence: ClassVar[str] = terms("depth-anything-v2-base")
    vram_gb: ClassVar[float] = 4.0


@dataclass(kw_only=True)
class DepthAnythingSmall(DepthAnything):
    """Depth Anything V2 small, the one whose licence allows commercial use: relative disparity, one scale a clip."""

    expert: ClassVar[str] = "depth-anything-v2-small"
    licence: ClassVar[str] = terms("depth-anything-v2-small")
    vram_gb: ClassVar[float] = 3.0


@dataclass(kw_only=True)
class DepthPro(_DepthOfFrames):
    """Metric depth in metres by Depth Pro, with the clip's focal length.

    The network guesses a focal length for each frame, and depth goes with it; a clip has one, the median, and depth is
    scaled to it. Result.map: data (T, H, W) float32 metres, sky +inf, valid everywhere; facts: kind metric_depth,
    focal_px.

    Raises:
        Absent: `inconsistent`, no scales bring the frames together.
    """

    batch_size: int = 1
    """Pictures at a time: at 1536 px each is 25 patches to the network."""

    expert: ClassVar[str] = "depth-pro"
    licence: ClassVar[str] = terms("depth-pro")
    columns: ClassVar[tuple[Column, ...]] = (*COLUMNS, Column("focal_px", "px", "focal length, median over the frames"))
    model_class: ClassVar[str] = "DepthProForDepthEstimation"
    model_type: ClassVar[str] = "depth_pro"

    def load(self, found: Found) -> None:
        """Also make sure that the checkpoint tells the focal length, without which there is no metre."""
        super().load(found)
        if not self.model.use_fov_model:
            raise BadInput(f"{found.folder} is Depth Pro without its field-of-view head: depth would not be in metres.")

    def finish(self, rgb: np.ndarray, predicted: list[dict[str, Any]]) -> Result:
        """Bring frames to one focal length and one scale."""
        depth = np.stack([one["predicted_depth"].cpu().numpy() for one in predicted]).astype(np.float32)
        focals = np.array([float(one["focal_length"]) for one in predicted])
        focal = float(np.median(focals))
        sky = depth >= SKY_M
        depth *= (focal / focals).astype(np.float32)[:, None, None]
        scores: dict[str, float | None] = {"focal_px": focal, "sky_fraction": float(sky.mean())}
        if self.align and len(rgb) > 1:
            found = align_frames(rgb, 1 / depth, ~sky, with_shift=False, trend_frames=self.trend_frames)
            if not found.ok:
                raise Absent("inconsistent")
            depth /= found.scale.astype(np.float32)[:, None, None]
            scores |= _taken_out(found.scale, found.shift * 0, 1.0, found.residual)
        depth[sky] = np.inf
        facts = {"kind": "metric_depth", "focal_px": focal}
        return Result(scores=scores, map=Map(data=depth, valid=np.ones(depth.shape, bool), facts=facts))


def sky_of(raw: np.ndarray) -> np.ndarray:
    """(T, H, W) bool: where a network's disparity is 0, or SKY_SHARE of its frame's near end."""
    near = np.percentile(raw.reshape(len(raw), -1), 99, axis=1)
    return np.asarray(raw <= np.maximum(near, 0)[:, None, None] * SKY_SHARE)


def relative_map(rgb: np.ndarray, raw: np.ndarray, sky: np.ndarray, *, align: bool, trend_frames: float) -> Result:
    """Make the map of relative disparities, (T, H, W) float32, and its scores.

    Raises:
        Absent: `inconsistent`.
    """
    scores: dict[str, float | None] = {"sky_fraction": float(sky.mean())}
    data = raw
    if align and len(rgb) > 1:
        found = align_frames(rgb, raw, ~sky, trend_frames=trend_frames)
        if not found.ok:
            raise Absent("inconsistent")
        data = found.apply(raw)
        span = float(np.ptp(data[~sky])) if (~sky).any() else 0.0
        scores |= _taken_out(found.scale, found.shift, span, found.residual)
    if sky.any() and not sky.all():
        data = np.where(sky, data[~sky].min(), data)
    facts = {"kind": "relative_disparity"}
    return Result(scores=scores, map=Map(data=data.astype(np.float32), valid=np.ones(data.shape, bool), facts=facts))


def _taken_out(scale: np.ndarray, shift: np.ndarray, span: float, residual: float) -> dict[str, float | None]:
    return {
        "scale_taken_out": float(np.log(scale).std()),
        "shift_taken_out": float(shift.std() / span) if span > 0 else 0.0,
        "residual": None if np.isnan(residual) else residual,
    }
