"""Panels: a sample's frames and maps drawn side by side, as one picture or as one video."""

from collections.abc import Sequence

import numpy as np

from openuni.modality import codec
from openuni.sample import Sample

TILE_WIDTH_PX = 320  # ours: five columns fit a 1600 px screen
LABEL_PX = 22  # height of a row's text strip
GREY = 96  # shade of a row that is absent


def tiles(sample: Sample, modalities: Sequence[str], *, width_px: int = TILE_WIDTH_PX) -> dict[str, np.ndarray]:
    """Draw a sample's frames and maps at one small size.

    Args:
        sample: the sample.
        modalities: which maps, in this order; absent ones give a grey row.
        width_px: width of a tile; the height keeps the aspect, and both are even.

    Returns:
        Label ("flow  max 12.3 px", "depth  absent: no_parallax") -> (T, h, w, 3) uint8.
    """
    frames = sample.rgb.data
    height_px = max(2, round(width_px * frames.shape[1] / frames.shape[2] / 2) * 2)
    size = (len(frames), height_px, width_px, 3)
    drawn = {f"rgb  {frames.shape[2]}x{frames.shape[1]}  {len(frames)} frames": _shrink(frames, size)}
    for name in modalities:
        if name in sample.maps:
            rendering = codec(name).render(sample.maps[name])
            scale = "  ".join(
                f"{key} {value:.3g}" for key, value in rendering.scale.items() if isinstance(value, float)
            )
            drawn[f"{name}  {scale}"] = _shrink(rendering.frames, size)
        else:
            reason = sample.absent.get(name, "not in this build")
            drawn[f"{name}  absent: {reason}"] = np.full(size, GREY, np.uint8)
    return drawn


def panel(sample: Sample, modalities: Sequence[str], *, columns: int = 5) -> np.ndarray:
    """Draw one picture: a row for the frames and each modality, a column for each of a few moments.

    Returns:
        (h, w, 3) uint8.
    """
    rows = []
    times_s = sample.rgb.facts["times_s"]
    # The last frame has no flow, so the last moment shown is the one before it.
    last = max(0, len(times_s) - 2)
    moments = np.unique(np.linspace(0, last, min(columns, last + 1)).round().astype(int))
    for label, video in tiles(sample, modalities).items():
        row = np.concatenate([video[moment] for moment in moments], axis=1)
        rows += [strip(label, row.shape[1]), row]
    when = "   ".join(f"{times_s[moment]:.2f} s" for moment in moments)
    return np.concatenate([strip(f"{sample.key}   {when}", rows[-1].shape[1]), *rows])


def panel_video(sample: Sample, modalities: Sequence[str]) -> np.ndarray:
    """Draw one video: the frames and each modality side by side.

    Returns:
        (T, h, w, 3) uint8 with even h and w.
    """
    videos = []
    for label, video in tiles(sample, modalities).items():
        header = np.broadcast_to(strip(label, video.shape[2]), (len(video), LABEL_PX, video.shape[2], 3))
        videos.append(np.concatenate([header, video], axis=1))
    return np.concatenate(videos, axis=2)


def _shrink(frames: np.ndarray, size: tuple[int, int, int, int]) -> np.ndarray:
    import cv2

    return np.stack([cv2.resize(frame, (size[2], size[1]), interpolation=cv2.INTER_AREA) for frame in frames])


def strip(text: str, width_px: int) -> np.ndarray:
    """Draw a line of text, white on dark, cut to the width."""
    import cv2

    strip = np.full((LABEL_PX, width_px, 3), 24, np.uint8)
    plain = text.encode("ascii", "replace").decode()
    cv2.putText(strip, plain, (4, LABEL_PX - 7), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (240, 240, 240), 1, cv2.LINE_AA)
    return strip
