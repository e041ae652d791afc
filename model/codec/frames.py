"""uint8 frames to the float tensors that codecs take, and back: 0..255 to -1..1, as Wan scales them (x / 127.5 - 1)."""

import numpy as np
import torch


def frames_to_tensor(frames: np.ndarray) -> torch.Tensor:
    """Return one clip as a batch of one.

    Args:
        frames: (T, H, W, 3) uint8 RGB.

    Returns:
        (1, 3, T, H, W) float32 in -1..1.

    Raises:
        ValueError: another shape or dtype.
    """
    if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8:
        raise ValueError(f"frames must be (T, H, W, 3) uint8, got {frames.shape} {frames.dtype}")
    return pixels_to_tensor(torch.from_numpy(np.ascontiguousarray(frames))[None]).contiguous()


def pixels_to_tensor(pixels: torch.Tensor) -> torch.Tensor:
    """Return clips of one size as a batch, on their device.

    Args:
        pixels: (B, T, H, W, 3) uint8 RGB.

    Returns:
        (B, 3, T, H, W) float32 in -1..1, as `frames_to_tensor` gives each.
    """
    return pixels.permute(0, 4, 1, 2, 3).float() / 127.5 - 1.0


def tensor_to_frames(tensor: torch.Tensor) -> np.ndarray:
    """Return one clip of a batch of one; the exact inverse of `frames_to_tensor`, also after bfloat16 or float16.

    Args:
        tensor: (1, 3, T, H, W) floating point. Values outside -1..1 are clipped, others rounded to the nearest level.

    Returns:
        (T, H, W, 3) uint8 RGB.

    Raises:
        ValueError: another shape or dtype, or values that are not finite.
    """
    if tensor.ndim != 5 or tensor.shape[:2] != (1, 3) or not tensor.is_floating_point():
        raise ValueError(f"tensor must be (1, 3, T, H, W) floating point, got {tuple(tensor.shape)} {tensor.dtype}")
    pixels = tensor.detach()[0].float().cpu()
    if not pixels.isfinite().all():
        raise ValueError(f"tensor holds {int((~pixels.isfinite()).sum())} values that are not finite")
    levels = ((pixels + 1.0) * 127.5).round().clamp(0, 255).to(torch.uint8)
    return np.ascontiguousarray(levels.numpy().transpose(1, 2, 3, 0))
