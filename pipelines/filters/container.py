"""Container: orientation, scan and colour kind, and whether frames come at an even rate; nothing is decoded for it."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from openuni.engine.stage import Column, Result, Score, Stage


@dataclass(kw_only=True)
class ContainerFilter(Stage):
    """What the container says that a reader must heed, and the true times of the span's frames.

    Gaps and rates need two frames with different times; jitter needs three. Else they are missing (None), as is what
    the container does not tell.
    """

    name: ClassVar[str] = "container"
    columns: ClassVar[tuple[Column, ...]] = (
        Column("rotation_deg", "degrees clockwise", "how far stored frames must be turned: 0, 90, 180 or 270"),
        Column("mirrored", "bool", "stored frames must be mirrored left to right"),
        Column("interlaced", "bool", "the stream is marked as interlaced: moving edges are combed"),
        Column("hdr", "bool", "PQ or HLG transfer: colours look flat, as nothing maps their tones"),
        Column("sample_aspect_ratio", "1", "width of a stored pixel over its height"),
        Column("times_fps", "1/s", "mean frame rate of the span by its frames' times"),
        Column("fps_ratio", "1", "times_fps over the rate that the container declares"),
        Column("max_gap_s", "s", "longest time between two consecutive frames"),
        Column("max_gap_ratio", "median gaps", "the same in median gaps: 1 even, 2 one frame lost"),
        Column("jitter", "median gaps", "mean deviation of the gaps from the median one: 0 constant rate"),
    )

    def __call__(self, clip: Any) -> Result:
        """Score one clip by `clip.info` and `clip.source_times_s`, (N,) float64 ascending seconds."""
        info = clip.info
        return Result(
            {
                "rotation_deg": info.rotation_deg,
                "mirrored": bool(info.mirrored),  # numpy's, from some containers
                "interlaced": info.interlaced,
                "hdr": info.hdr,
                "sample_aspect_ratio": info.sample_aspect_ratio,
                **timing(np.asarray(clip.source_times_s, dtype=np.float64), declared_fps=info.fps),
            }
        )


def timing(times_s: np.ndarray, *, declared_fps: float | None) -> dict[str, Score]:
    """Score how evenly frames come.

    Args:
        times_s: (N,) float64, presentation times, ascending.
        declared_fps: the container's rate; NaN, None or 0 where it says none.

    Returns:
        The scores from times_fps to jitter.
    """
    scores: dict[str, Score] = dict.fromkeys(("times_fps", "fps_ratio", "max_gap_s", "max_gap_ratio", "jitter"))
    gaps_s = np.diff(times_s)
    if not len(gaps_s) or gaps_s.sum() <= 0:
        return scores
    times_fps = len(gaps_s) / float(gaps_s.sum())
    scores |= {"times_fps": times_fps, "max_gap_s": float(gaps_s.max())}
    if declared_fps and math.isfinite(declared_fps) and declared_fps > 0:
        scores["fps_ratio"] = times_fps / declared_fps
    median_s = float(np.median(gaps_s))
    if len(gaps_s) > 1 and median_s > 0:
        scores["max_gap_ratio"] = float(gaps_s.max()) / median_s
        scores["jitter"] = float(np.abs(gaps_s - median_s).mean()) / median_s
    return scores
