"""What the tests of the checks share: a view of arrays, and textures that can be found again when shifted."""

from types import SimpleNamespace
from typing import Any

import numpy as np

from openuni.engine.stage import Score, Stage
from openuni.modality import Map


def run(stage: Stage, rgb: np.ndarray, **maps: Map) -> dict[str, Score]:
    """Call a check as a build does; it must give exactly the columns that it declares."""
    stage.setup()
    scores = dict(stage(SimpleNamespace(frames=SimpleNamespace(rgb=rgb), maps=maps)).scores)
    assert set(scores) == {column.name for column in stage.columns}
    assert all(value is None or np.isfinite(value) for value in scores.values())
    return scores


def texture(height: int, width: int, *, seed: int = 0, blur: float = 2.0) -> np.ndarray:
    """(height, width) uint8 smooth random grey values, about 60 to 200: no clipping when some are added."""
    import cv2

    noise = np.random.default_rng(seed).normal(size=(height, width)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), blur)
    return np.clip(128 + 25 * smooth / smooth.std(), 60, 200).astype(np.uint8)


def sliding(big: np.ndarray, *, frames: int, height: int, width: int, dx: int, dy: int = 0) -> np.ndarray:
    """(frames, height, width, ...) windows into `big` whose content moves by (dx, dy) px a frame."""
    x0, y0 = (max(0, step * (frames - 1)) for step in (dx, dy))
    return np.stack([big[y0 - t * dy :][:height, x0 - t * dx :][:, :width] for t in range(frames)])


def grey_to_rgb(grey: np.ndarray) -> np.ndarray:
    return np.repeat(grey[..., None], 3, axis=-1)


def uniform_flow(frames: int, height: int, width: int, dx: float, dy: float = 0.0, **arrays: Any) -> Map:
    """The same flow everywhere; the last frame has zeros and is not valid."""
    data = np.zeros((frames, height, width, 2), np.float32)
    data[:-1] = dx, dy
    valid = np.ones(data.shape[:3], bool)
    valid[-1] = False
    return Map(data=data, valid=valid, arrays=arrays)
