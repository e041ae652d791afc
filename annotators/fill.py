"""Filling what could not be measured, and bringing small maps up to the picture's size along its edges."""

import numpy as np

SMALLEST_LEVEL_PX = 4  # the pyramid ends where a side is this short: one more level would be a constant


def pull_push(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Fill gaps smoothly from their surroundings; where the weight is 1 the value stays.

    Args:
        values: (H, W) float32; anything finite where the weight is 0.
        weight: (H, W) float32 in 0..1.

    Returns:
        (H, W) float32.

    Raises:
        ValueError: the weight is zero everywhere.

    Source: Gortler et al., "The Lumigraph", SIGGRAPH 1996, section 3.4, with area means as the low-pass.
    """
    import cv2

    if not weight.any():
        raise ValueError("pull_push needs a pixel of weight above 0, got none: there is nothing to fill from")
    sums, weights = [values * weight], [weight]
    while min(weights[-1].shape) > SMALLEST_LEVEL_PX:
        size = ((weights[-1].shape[1] + 1) // 2, (weights[-1].shape[0] + 1) // 2)
        total, level = (cv2.resize(part, size, interpolation=cv2.INTER_AREA) for part in (sums[-1], weights[-1]))
        # A cell of four counts as full with one full pixel: small gaps take their value from next to them.
        sums.append(total / np.maximum(level, 1e-6) * np.minimum(4 * level, 1))
        weights.append(np.minimum(4 * level, 1))
    filled = np.full(weights[-1].shape, sums[-1].sum() / max(weights[-1].sum(), 1e-12), np.float32)
    for total, level in zip(sums[::-1], weights[::-1], strict=True):
        coarse = cv2.resize(filled, (level.shape[1], level.shape[0]), interpolation=cv2.INTER_LINEAR)
        own = total / np.maximum(level, 1e-6)
        filled = np.where(level > 1e-6, own * level + coarse * (1 - level), coarse).astype(np.float32)
    return filled


def guided_upsample(
    values: np.ndarray, guide_small: np.ndarray, guide: np.ndarray, *, radius: int, epsilon: float
) -> np.ndarray:
    """Bring a small map to the guide's size; its edges follow the guide's.

    Args:
        values: (h, w) float32.
        guide_small: (h, w) float32 in 0..1, the guide at the map's size.
        guide: (H, W) float32 in 0..1.
        radius: half the window's side, in pixels of the small map.
        epsilon: variance of the guide below which it is taken for flat.

    Returns:
        (H, W) float32.

    Source: He and Sun, "Fast Guided Filter", arXiv 1505.00996.
    """
    import cv2

    def mean(array: np.ndarray) -> np.ndarray:
        return np.asarray(cv2.blur(array, (2 * radius + 1, 2 * radius + 1)))

    size = (guide.shape[1], guide.shape[0])
    mean_guide, mean_values = mean(guide_small), mean(values)
    covariance = mean(guide_small * values) - mean_guide * mean_values
    slope = covariance / (mean(guide_small * guide_small) - mean_guide**2 + epsilon)
    offset = mean_values - slope * mean_guide
    slope, offset = (cv2.resize(mean(part), size, interpolation=cv2.INTER_LINEAR) for part in (slope, offset))
    return np.asarray(slope * guide + offset, dtype=np.float32)


def guided_colour(values: np.ndarray, guide: np.ndarray, *, radius: int, epsilon: float) -> np.ndarray:
    """Smooth a map so that its edges follow those of a colour picture.

    Args:
        values: (H, W) float32.
        guide: (H, W, 3) float32 in 0..1.
        radius: half the window's side, px.
        epsilon: variance of the guide below which it is taken for flat.

    Returns:
        (H, W) float32.

    Source: He, Sun and Tang, "Guided Image Filtering", ECCV 2010, eq. 19 to 21 (colour guide).
    """
    import cv2

    def mean(array: np.ndarray) -> np.ndarray:
        return np.asarray(cv2.blur(array, (2 * radius + 1, 2 * radius + 1)))

    mean_guide, mean_values = mean(guide), mean(values)
    covariance = mean(guide * values[..., None]) - mean_guide * mean_values[..., None]
    scatter = np.empty((*values.shape, 3, 3), np.float32)
    for i in range(3):
        for j in range(i, 3):
            scatter[..., i, j] = mean(guide[..., i] * guide[..., j]) - mean_guide[..., i] * mean_guide[..., j]
            scatter[..., j, i] = scatter[..., i, j]
    scatter += epsilon * np.eye(3, dtype=np.float32)
    slope = np.linalg.solve(scatter, covariance[..., None])[..., 0]
    offset = mean_values - (slope * mean_guide).sum(-1)
    return np.asarray((mean(slope) * guide).sum(-1) + mean(offset), np.float32)
