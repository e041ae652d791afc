"""The rgb stage: keeps exactly the frames that the experts see."""

from dataclasses import dataclass

import numpy as np

from openuni.engine.stage import Column, Result, Stage
from openuni.modality import Map
from openuni.view import ClipView


@dataclass(kw_only=True)
class RgbStage(Stage):
    """Stores the decoded frames as mp4 with their exact times."""

    name = "rgb"
    modality = "rgb"
    columns = (
        Column("num_frames", "frames", "Frames kept."),
        Column("fps", "1/s", "Effective frame rate."),
        Column("width_px", "px", "Width of the frames kept."),
        Column("height_px", "px", "Height of the frames kept."),
        Column("start_s", "s", "Time of the first frame inside the file."),
        Column("end_s", "s", "Time of the last frame inside the file."),
        Column("lost_s", "s", "Length at the end that the file promises and that cannot be decoded."),
        Column("decoder", "text", "Library that decoded the frames."),
    )

    def __call__(self, clip: ClipView) -> Result:
        """Hand the frames on as a map; the engine encodes it."""
        frames = clip.frames
        num_frames, height, width, _ = frames.rgb.shape
        scores = {
            "num_frames": num_frames,
            "fps": frames.fps,
            "width_px": width,
            "height_px": height,
            "start_s": float(frames.times_s[0]),
            "end_s": float(frames.times_s[-1]),
            "lost_s": frames.lost_s,
            "decoder": frames.decoder,
        }
        times_s = np.round(frames.times_s, 6).tolist()
        return Result(scores, Map(data=frames.rgb, facts={"times_s": times_s, "fps": frames.fps}))
