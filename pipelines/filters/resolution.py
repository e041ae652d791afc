"""Resolution: how large a clip's frames are, as shown; nothing is decoded."""

from dataclasses import dataclass
from typing import Any, ClassVar

from openuni.engine.stage import Column, Result, Stage


@dataclass(kw_only=True)
class ResolutionFilter(Stage):
    """Frame size of the file, before the build makes it smaller."""

    name: ClassVar[str] = "resolution"
    columns: ClassVar[tuple[Column, ...]] = (
        Column("width_px", "px", "width as shown, after the container's rotation"),
        Column("height_px", "px", "height as shown"),
        Column("short_side_px", "px", "the smaller of the two"),
        Column("aspect", "1", "width / height as shown"),
        Column("bit_depth", "bit", "bits per colour channel"),
    )

    def __call__(self, clip: Any) -> Result:
        """Score one clip by `clip.info`."""
        info = clip.info
        width_px, height_px = info.width, info.height
        return Result(
            {
                "width_px": width_px,
                "height_px": height_px,
                "short_side_px": min(width_px, height_px),
                "aspect": width_px / height_px,
                "bit_depth": info.bit_depth,
            }
        )
