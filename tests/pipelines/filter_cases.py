"""Small moving pictures for filter tests, and views that hold them."""

from types import SimpleNamespace

import numpy as np


def texture(height, width, seed=0, sigma=3.0):
    """Smooth random colour texture, (H, W, 3) uint8."""
    import cv2

    noise = np.random.default_rng(seed).normal(size=(height, width, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), sigma)
    return np.clip(128 + 45 * smooth / smooth.std(), 0, 255).astype(np.uint8)


def warped(picture, size, *, x=0.0, y=0.0, scale=1.0, degrees=0.0):
    """Cut a (height, width) window out of a picture's middle after moving it: what a camera does."""
    import cv2

    height, width = size
    matrix = cv2.getRotationMatrix2D((picture.shape[1] / 2, picture.shape[0] / 2), degrees, scale)
    matrix[:, 2] += (width - picture.shape[1]) / 2 + x, (height - picture.shape[0]) / 2 + y
    return cv2.warpAffine(picture, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)


def view(draw, *, seconds=5.0, fps=30.0, samples=1.94):
    """A score view of a clip of which `draw(t_s)` gives the frame at a time."""
    times_s = np.arange(0, seconds - 1 / fps, 1 / samples)
    times_s = np.round(times_s * fps) / fps
    rgb = np.stack([draw(t) for t in times_s])
    after = np.stack([draw(t + 1 / fps) for t in times_s])
    stills = rgb[np.linspace(0, len(rgb) - 1, min(3, len(rgb))).round().astype(int)]
    pairs = SimpleNamespace(rgb=np.stack([rgb, after], axis=1), times_s=np.stack([times_s, times_s + 1 / fps], axis=1))
    return SimpleNamespace(
        frames=SimpleNamespace(rgb=rgb, times_s=times_s), pairs=pairs, stills=SimpleNamespace(rgb=stills)
    )


def of_frames(rgb):
    """A view of given samples that has no pairs."""
    rgb = np.asarray(rgb)
    times_s = np.arange(len(rgb)) * 0.5
    pairs = SimpleNamespace(rgb=np.zeros((0, 2, *rgb.shape[1:]), np.uint8), times_s=np.zeros((0, 2)))
    frames = SimpleNamespace(rgb=rgb, times_s=times_s)
    return SimpleNamespace(frames=frames, pairs=pairs, stills=SimpleNamespace(rgb=rgb[:3]))


ODD = {
    "one frame": np.zeros((1, 64, 96, 3), np.uint8),
    "flat": np.full((6, 64, 96, 3), 90, np.uint8),
    "noise": np.random.default_rng(0).integers(0, 256, (6, 64, 96, 3), dtype=np.uint8),
    "one pixel": np.zeros((3, 1, 1, 3), np.uint8),
    "flat strip": np.full((3, 8, 1000, 3), 7, np.uint8),
}
