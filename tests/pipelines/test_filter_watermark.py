"""A logo is what stays in its place while the picture behind it changes."""

import numpy as np
import pytest

from openuni.pipelines.filters.watermark import WatermarkFilter
from tests.pipelines.filter_cases import ODD, of_frames, texture

BACK = texture(256, 455 + 12 * 40)


def logo(shape=(34, 60)):
    """A block of letters: (h, w) float32 in 0..1."""
    import cv2

    mark = np.zeros(shape, np.float32)
    cv2.putText(mark, "LOGO", (2, shape[0] - 10), cv2.FONT_HERSHEY_SIMPLEX, 0.7, 1.0, 2)
    return mark


def clip(opacity, *, moves=40, place=(14, 380)):
    """Twelve samples of a picture that moves `moves` px a sample behind a white logo of an opacity."""
    frames = np.stack([BACK[:, moves * t : moves * t + 455] for t in range(12)]).astype(np.float32)
    alpha = (opacity * logo())[..., None]
    y, x = place
    area = frames[:, y : y + alpha.shape[0], x : x + alpha.shape[1]]
    area[:] = area * (1 - alpha) + 255 * alpha
    return frames.round().astype(np.uint8)


def score(rgb):
    stage = WatermarkFilter()
    stage.setup()
    return dict(stage(of_frames(rgb)).scores)


def test_a_logo_in_a_corner_is_found_and_without_it_nothing_is():
    with_logo, without = score(clip(0.9)), score(clip(0.0))
    assert with_logo["corner_area_fraction"] > 0.004  # 60 x 34 px of 455 x 256 are 0.0175; its letters fill less
    assert with_logo["area_fraction"] >= with_logo["corner_area_fraction"]
    assert without["area_fraction"] == 0.0 and without["evidence"] > 0.5


def test_where_nothing_moves_nobody_can_tell():
    scores = score(clip(0.9, moves=0))
    assert scores["area_fraction"] is None and scores["corner_area_fraction"] is None


@pytest.mark.parametrize("name", ODD)
def test_odd_pictures_give_the_declared_columns(name):
    scores = score(ODD[name])
    assert list(scores) == [column.name for column in WatermarkFilter.columns]


def test_scores_are_the_same_twice():
    assert score(clip(0.6)) == score(clip(0.6))
