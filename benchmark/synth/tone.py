"""Tone: linear light to the picture's bytes, the same for all tiers."""

import numpy as np

EXPOSURE = 0.71  # ours: white paper in the sun comes out a little below white


def tonemap(light: np.ndarray) -> np.ndarray:
    """Film-like curve (Narkowicz, "ACES filmic tone mapping curve", 2015): (N, 3) float32 in 0..1, linear."""
    x = light * np.float32(EXPOSURE)
    return np.clip((x * (2.51 * x + 0.03)) / (x * (2.43 * x + 0.59) + 0.14), 0, 1)


def srgb(linear: np.ndarray) -> np.ndarray:
    """The sRGB curve (IEC 61966-2-1)."""
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 1e-9) ** (1 / 2.4) - 0.055)


def to_bytes(shown: np.ndarray) -> np.ndarray:
    """Tone-mapped linear colour in 0..1 to uint8 of the same shape."""
    return np.rint(255 * srgb(shown)).astype(np.uint8)


def linear(shown: np.ndarray) -> np.ndarray:
    """Bytes of the sRGB curve back to linear 0..1, float32 of the same shape."""
    x = shown.astype(np.float32) / 255
    return np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4).astype(np.float32)
