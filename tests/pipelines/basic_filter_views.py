"""Views for tests of filters: made of arrays, or of a coded clip with the pairs that the score pass would take."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from openuni.engine.stage import Stage
from openuni.frames import FrameTarget, VideoInfo, read_frames
from openuni.frames.target import pick
from openuni.rule import Rule

SAMPLES_FPS = 1.94  # samples fall on all phases of repeated frames, at any usual frame rate


@dataclass
class Sampled:
    """Frames, (T, H, W, 3) with (T,) times, or pairs, (P, 2, H, W, 3) with (P, 2) times."""

    rgb: np.ndarray
    times_s: np.ndarray


@dataclass
class Info:
    """The part of openuni.frames.VideoInfo that these filters read."""

    fps: float = 25.0
    rotation_deg: int = 0
    mirrored: bool = False
    interlaced: bool = False
    hdr: bool = False
    sample_aspect_ratio: float = 1.0


@dataclass
class View:
    """What the score pass gives a filter."""

    frames: Any = None
    pairs: Any = None
    source_times_s: Any = None
    info: Info | VideoInfo = field(default_factory=Info)


def view_of(rgb: np.ndarray, times_s: np.ndarray, *, samples_fps: float = SAMPLES_FPS, info: Any = None) -> View:
    """View all frames of a source as the score pass does: samples, and each with the frame after it."""
    target = FrameTarget(fps=samples_fps, num_frames=32, spread=True)
    samples = pick(times_s, target)
    firsts = samples[samples + 1 < len(times_s)]
    both = np.stack([firsts, firsts + 1], axis=1)
    pairs = Sampled(rgb[both], times_s[both])
    return View(Sampled(rgb[samples], times_s[samples]), pairs, times_s, info or Info())


def view_of_file(path: Path, **options: Any) -> View:
    """Read all frames of a coded clip and view them."""
    read = read_frames(path, target=FrameTarget(fps=None, short_side_px=256, num_frames=None))
    return view_of(read.rgb, read.times_s, info=read.info, **options)


def odd_views() -> dict[str, View]:
    """Clips that are hardly any: by what is odd about them."""
    rng = np.random.default_rng(0)

    def noise(count: int, height: int, width: int) -> View:
        return view_of(rng.integers(0, 256, (count, height, width, 3), dtype=np.uint8), np.arange(count) * 0.6)

    flat = view_of(np.full((20, 36, 64, 3), 90, np.uint8), np.arange(20) * 0.6)
    sizes = {
        f"{height} x {width}": noise(9, height, width) for height, width in ((1, 1), (8, 1000), (1000, 8), (33, 47))
    }
    return sizes | {"one frame": noise(1, 36, 64), "one pair": noise(2, 36, 64), "one colour": flat}


def scores_of(stage: Stage, view: View) -> dict[str, Any]:
    """Set a stage up, run it, and check that it gives exactly what it declares."""
    stage.setup()
    scores = dict(stage(view).scores)
    assert list(scores) == [column.name for column in stage.columns]
    assert all(value is None or isinstance(value, (bool, str)) or np.isfinite(value) for value in scores.values())
    assert all(isinstance(value, (float, int, bool, str, type(None))) for value in scores.values())
    return scores


def keeps(rule: str, stage: Stage, view: View) -> bool:
    """Whether a rule keeps a clip."""
    table = {f"{stage.name}.{name}": [value] for name, value in scores_of(stage, view).items()}
    return bool(Rule(rule).evaluate(table).true[0])


def texture(height: int, width: int, *, seed: int = 0, mean: float = 128.0, contrast: float = 40.0) -> np.ndarray:
    """Return a smooth random grey picture, (H, W, 3) uint8, of about this mean and standard deviation."""
    import cv2

    noise = np.random.default_rng(seed).normal(size=(height, width)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 4)
    return np.repeat(np.clip(mean + contrast * smooth / smooth.std(), 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def sliding(count: int, height: int, width: int, *, px_per_frame: int = 2, **options: Any) -> np.ndarray:
    """Return (count, H, W, 3) uint8: a texture that moves to the left."""
    picture = texture(height, width + px_per_frame * count, **options)
    return np.stack([picture[:, number * px_per_frame :][:, :width] for number in range(count)])
