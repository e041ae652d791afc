"""Plain video metrics: textbook formulas without weights for what VBench measures with networks; no mixing with those.

All look at one clip alone. A still clip has perfect marks in all but `plain.motion`, which is why that is among them.
"""

import numpy as np

from openuni.benchmark.metrics.appearance import appearance, likeness, luminance
from openuni.benchmark.metrics.metric import Metric

OURS = "ours; the formulas are textbook's"
MIN_PART = 0.004  # ours: a part of fewer pixels, as a share of the picture, has no look to compare


def flicker(rgb: np.ndarray, where: np.ndarray | None = None) -> float:
    """Mean absolute difference of luminance between consecutive frames, pixel by pixel, % of its range.

    Motion counts too, as it does in VBench's temporal flickering. NaN with fewer than two frames.

    Args:
        rgb: (T, H, W, 3) uint8.
        where: (T, H, W) bool: only pixels that are in it in both frames; pairs without one are left out. None: all.
    """
    previous, differences = None, []
    for t, frame in enumerate(rgb):
        now = luminance(frame)
        if previous is not None:
            both = ... if where is None else where[t - 1] & where[t]
            difference = np.abs(now - previous)[both]
            if difference.size:
                differences.append(difference.mean())
        previous = now
    return 100 / 255 * float(np.mean(differences)) if differences else float("nan")


def frame_flicker(rgb: np.ndarray) -> float:
    """Mean absolute difference between the mean luminances of consecutive frames, % of its range.

    Things that move within the picture count little. NaN with fewer than two frames. `rgb` as for `flicker`.
    """
    means = [luminance(frame).mean() for frame in rgb]
    return 100 / 255 * float(np.abs(np.diff(means)).mean()) if len(means) > 1 else float("nan")


def smoothness(flow: np.ndarray) -> float:
    """Inverse norm of the flow's gradient: 1 / (1 + mean |J|), J the 2 x 2 Jacobian of each pixel's flow.

    1 where every frame only shifts, or stands still. A thing of 30 x 30 pixels that passes a still background at 2 px
    a frame over 256 x 256 has 0.996. Central differences, Frobenius norm, 1 per frame: so it depends on the frame rate,
    and not on the size of pictures.

    Args:
        flow: (P, H, W, 2) float32 px of P pairs of frames, H and W at least 2.

    Returns:
        0..1; NaN without a pair.
    """
    norms = []
    for pair in flow.astype(np.float64):
        derivatives = [np.gradient(pair[..., channel], axis=axis) for channel in (0, 1) for axis in (0, 1)]
        norms.append(np.sqrt(sum(one**2 for one in derivatives)).mean())
    return 1 / (1 + float(np.mean(norms))) if norms else float("nan")


def motion(flow: np.ndarray) -> float:
    """Mean length of the flow, % of the short side per frame. NaN without a pair; `flow` as for `smoothness`."""
    if not len(flow):
        return float("nan")
    lengths = [np.hypot(pair[..., 0], pair[..., 1]).mean(dtype=np.float64) for pair in flow]
    return 100 * float(np.mean(lengths)) / min(flow.shape[1:3])


def subject(rgb: np.ndarray, masks: np.ndarray) -> float:
    """How alike the subject looks in its first frame and each later one: mean cosine (benchmark/metrics/appearance.py).

    Args:
        rgb: (T, H, W, 3) uint8.
        masks: (T, H, W) bool: the subject. Frames where it is too small (MIN_PART) are left out.

    Returns:
        0..1; NaN where fewer than half of the frames, or than two, show it.
    """
    seen = [t for t in range(len(rgb)) if masks[t].mean() >= MIN_PART]
    if 2 * len(seen) < len(rgb):
        return float("nan")
    looks = [appearance(rgb[t], masks[t]) for t in seen]
    return float(np.mean([likeness(looks[0], one) for one in looks[1:]])) if len(looks) > 1 else float("nan")


def background(rgb: np.ndarray, masks: np.ndarray) -> float:
    """How alike the background looks in the first frame and each later one: mean cosine, as of `subject`.

    Compared are the pixels outside the masks of both frames, so a subject that passes a still background leaves 1.

    Args:
        rgb: (T, H, W, 3) uint8.
        masks: (T, H, W) bool: everything that is no background.

    Returns:
        0..1; NaN where no later frame shares enough background with the first.
    """
    found = []
    for t in range(1, len(rgb)):
        outside = ~(masks[0] | masks[t])
        if outside.mean() >= MIN_PART:
            found.append(likeness(appearance(rgb[0], outside), appearance(rgb[t], outside)))
    return float(np.mean(found)) if found else float("nan")


_PAIRS = "mean over pairs of consecutive frames of the clip's own rate"
FLICKER = Metric(
    name="plain.flicker", unit="%", higher_is_better=False, protocol=f"of pixels; {_PAIRS}", source=OURS,
    function=flicker,
)  # fmt: skip
FRAME_FLICKER = Metric(
    name="plain.frame_flicker", unit="%", higher_is_better=False, protocol=f"of frames' means; {_PAIRS}", source=OURS,
    function=frame_flicker,
)  # fmt: skip
SMOOTHNESS = Metric(
    name="plain.smoothness", unit="1", higher_is_better=True, protocol=f"DIS flow; all pixels, {_PAIRS}", source=OURS,
    function=smoothness,
)  # fmt: skip
SUBJECT = Metric(
    name="plain.subject", unit="1", higher_is_better=True, protocol="first frame to later ones; mask by motion",
    source=OURS, function=subject,
)  # fmt: skip
BACKGROUND = Metric(
    name="plain.background", unit="1", higher_is_better=True, protocol="first frame to later ones; outside all masks",
    source=OURS, function=background,
)  # fmt: skip
MOTION = Metric(
    name="plain.motion", unit="%", higher_is_better=None, protocol=f"DIS flow, of the short side; {_PAIRS}",
    source=OURS, function=motion,
)  # fmt: skip
