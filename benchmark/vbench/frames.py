"""Frames as VBench's dimensions see them: one decode for all, and its resizings, each without antialiasing.

Sources: vbench/utils.py (load_video, dino_transform, clip_transform, get_frame_indices) and imaging_quality.py of
VBench 45e79ec, which resize with torchvision; torchvision's sizes and roundings are written out here.
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from openuni.errors import BadInput, first_line

SIDE = 224  # px, of DINO and CLIP
IMAGING_SIDE = 512  # px: longest side that imaging quality looks at
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CLIP = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
GIF = ".gif"
RESIZED_AT_A_TIME = 16  # ours: a batch of 720p frames in float32 is 177 MB


class Video(NamedTuple):
    """A decoded clip."""

    rgb: np.ndarray
    """(T, H, W, 3) uint8, T >= 1."""
    fps: float
    """As the container says."""


def read_video(path: Path) -> Video:
    """Decode every frame of a file, as OpenCV does; decord, by which VBench reads half of it, gives the same bytes.

    Raises:
        BadInput: no frame can be decoded.
    """
    if path.suffix.lower() == GIF:
        return _read_gif(path)
    import cv2

    frames = []
    video = cv2.VideoCapture(str(path))
    fps = float(video.get(cv2.CAP_PROP_FPS))
    while True:
        found, frame = video.read()
        if not found:
            break
        frames.append(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB, dst=frame))
    video.release()
    if not frames:
        raise BadInput(f"{path.name} has no frame that can be decoded.")
    if any(frame.shape != frames[0].shape for frame in frames):
        raise BadInput(f"{path.name} changes its size on the way.")
    return Video(np.stack(frames), fps)


def _read_gif(path: Path) -> Video:
    from PIL import Image, ImageSequence, UnidentifiedImageError

    try:
        with Image.open(path) as file:
            frames = [np.array(frame.convert("RGB")) for frame in ImageSequence.Iterator(file)]
            shown_ms = float(file.info.get("duration") or 100)
    except (OSError, UnidentifiedImageError, ValueError, SyntaxError) as error:
        raise BadInput(f"{path.name} has no frame that can be decoded ({first_line(error)}).") from error
    return Video(np.stack(frames), 1000 / shown_ms)


@dataclass(kw_only=True)
class ClipFrames:
    """A clip that is decoded when it is first looked at, and only once."""

    content: str
    """Digest of the file; what is computed of it is kept under it."""
    read: Callable[[], Video]
    _clip_pixels: Tensor | None = None

    @cached_property
    def video(self) -> Video:
        """The decoded clip."""
        return self.read()

    def clip_pixels(self, device: torch.device) -> Tensor:
        """(T, 3, SIDE, SIDE) float32 as both CLIP networks see the frames; made once."""
        if self._clip_pixels is None:
            self._clip_pixels = by_parts(self.video.rgb, clip_pixels, device)
        return self._clip_pixels


def by_parts(rgb: np.ndarray, transform: Callable[[Tensor], Tensor], device: torch.device) -> Tensor:
    """Apply a transform of (N, 3, H, W) float32 frames, [0, 255], to (T, H, W, 3) uint8 ones, some at a time."""
    parts = range(0, len(rgb), RESIZED_AT_A_TIME)
    return torch.cat([transform(planes(rgb[at : at + RESIZED_AT_A_TIME], device)) for at in parts])


def planes(rgb: np.ndarray, device: torch.device | None = None) -> Tensor:
    """Return (N, H, W, 3) uint8 frames as (N, 3, H, W) float32, [0, 255], on a device; bytes travel, not floats."""
    return torch.from_numpy(rgb).to(device).permute(0, 3, 1, 2).float()


def dino_pixels(frames: Tensor) -> Tensor:
    """Shorter side to SIDE, bilinear; nothing is cropped. (N, 3, H, W) float32 [0, 255] to normalised pixels."""
    return _normalised(_shorter_side(frames, "bilinear"), IMAGENET)


def clip_pixels(frames: Tensor) -> Tensor:
    """Shorter side to SIDE, bicubic, and the centre. What bicubic overshoots stays: VBench resizes floats."""
    return _normalised(_centre(_shorter_side(frames, "bicubic")), CLIP)


def viclip_pixels(frames: Tensor) -> Tensor:
    """As `clip_pixels`, rounded and cut to [0, 255] before the normalisation: here VBench resizes bytes."""
    return _normalised(_centre(_shorter_side(frames, "bicubic")).clamp(0, 255).round(), CLIP)


def imaging_pixels(frames: Tensor) -> Tensor:
    """Longer side to at most IMAGING_SIDE, bilinear. (N, 3, H, W) float32, [0, 255] to [0, 1]."""
    height, width = frames.shape[-2:]
    if max(height, width) > IMAGING_SIDE:
        scale = IMAGING_SIDE / max(height, width)
        frames = _resized(frames, (int(scale * height), int(scale * width)), "bilinear")
    return frames / 255


def middle_frames(wanted: int, length: int) -> list[int]:
    """Return the middle frame of each of `wanted` even parts of a clip; of a shorter one all, the last repeated."""
    edges = np.linspace(0, length, min(wanted, length) + 1).astype(int).tolist()
    found = [(start + end - 1) // 2 for start, end in itertools.pairwise(edges)]
    return found + [found[-1]] * (wanted - len(found))


def padding(height: int, width: int, multiple: int) -> tuple[int, int, int, int]:
    """Return left, right, top and bottom px that bring sides to a multiple, centred, as RAFT and AMT pad."""
    down, across = -height % multiple, -width % multiple
    return across // 2, across - across // 2, down // 2, down - down // 2


def _shorter_side(frames: Tensor, mode: str) -> Tensor:
    height, width = frames.shape[-2:]
    longer = int(SIDE * max(height, width) / min(height, width))
    return _resized(frames, (SIDE, longer) if height <= width else (longer, SIDE), mode)


def _resized(frames: Tensor, size: tuple[int, int], mode: str) -> Tensor:
    if tuple(frames.shape[-2:]) == size:
        return frames
    return F.interpolate(frames, size=size, mode=mode, align_corners=False, antialias=False)


def _centre(frames: Tensor) -> Tensor:
    top, left = (round((side - SIDE) / 2) for side in frames.shape[-2:])
    return frames[..., top : top + SIDE, left : left + SIDE]


def _normalised(frames: Tensor, about: tuple[Sequence[float], Sequence[float]]) -> Tensor:
    mean, deviation = (torch.tensor(one, device=frames.device).view(3, 1, 1) for one in about)
    return (frames / 255 - mean) / deviation
