"""Duration: how long a clip is, from its span and the container's facts; nothing is decoded."""

from dataclasses import dataclass
from typing import Any, ClassVar

from openuni.engine.stage import Column, Result, Stage


@dataclass(kw_only=True)
class DurationFilter(Stage):
    """Length of the clip's span inside its file. Values that the container does not tell are missing (None)."""

    name: ClassVar[str] = "duration"
    columns: ClassVar[tuple[Column, ...]] = (
        Column("seconds", "s", "length of the span, as far as the file reaches"),
        Column("num_frames", "frames", "frames in the span at the file's mean rate"),
        Column("fps", "1/s", "the file's mean frame rate"),
    )

    def __call__(self, clip: Any) -> Result:
        """Score one clip by `clip.clip.start_s`, `clip.clip.end_s` and `clip.info`."""
        info, span = clip.info, clip.clip
        fps = info.fps if info.fps and info.fps > 0 else None
        file_s = info.duration_s if info.duration_s and info.duration_s > 0 else None
        if file_s is None and fps and info.num_frames:
            file_s = info.num_frames / fps
        ends = [end for end in (span.end_s, file_s) if end is not None]
        seconds = max(0.0, min(ends) - span.start_s) if ends else None
        whole = span.start_s == 0 and (span.end_s is None or (file_s is not None and span.end_s >= file_s))
        if whole and info.num_frames:
            num_frames = info.num_frames
        else:
            num_frames = round(seconds * fps) if seconds is not None and fps else None
        return Result({"seconds": seconds, "num_frames": num_frames, "fps": fps})
