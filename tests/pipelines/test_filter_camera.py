"""The camera's motion is named and measured as it was made, whatever moves in front of it."""

import numpy as np
import pytest

from openuni.pipelines.filters.camera import TYPES, CameraFilter
from tests.pipelines.filter_cases import ODD, of_frames, texture, view, warped

SIZE = (180, 320)
BACK = texture(480, 640)


def score(draw, **options):
    stage = CameraFilter()
    stage.setup()
    return dict(stage(view(draw, **options)).scores)


def moving(**rates):
    """A camera with steady rates: px of the picture, share or degrees per second; the scene moves the other way."""

    def draw(t_s):
        scale = float(np.exp(rates.get("zoom", 0.0) * t_s))
        return warped(
            BACK, SIZE, x=-rates.get("x", 0.0) * t_s, y=rates.get("y", 0.0) * t_s, scale=scale,
            degrees=rates.get("roll", 0.0) * t_s,
        )  # fmt: skip

    return draw


@pytest.mark.parametrize("pct", [3.0, 12.0])
def test_a_pan_is_a_pan_of_its_speed(pct):
    scores = score(moving(x=pct / 100 * SIZE[1]))
    assert scores["type"] == "pan"
    assert abs(scores["pan_pct_per_s"]) == pytest.approx(pct, rel=0.1)  # a tenth: corners at 320 px


@pytest.mark.parametrize("pct", [3.0, 10.0])
def test_a_tilt_is_a_tilt_of_its_speed(pct):
    scores = score(moving(y=pct / 100 * SIZE[1]))
    assert scores["type"] == "tilt"
    assert abs(scores["tilt_pct_per_s"]) == pytest.approx(pct, rel=0.1)


@pytest.mark.parametrize("rate", [0.06, 0.2])
def test_a_zoom_is_a_zoom_of_its_rate(rate):
    scores = score(moving(zoom=rate), seconds=4.0)
    assert scores["type"] == "zoom"
    assert abs(scores["zoom_pct_per_s"]) == pytest.approx(100 * rate, rel=0.1)


@pytest.mark.parametrize("degrees", [4.0, 12.0])
def test_a_roll_is_a_roll_of_its_rate(degrees):
    scores = score(moving(roll=degrees))
    assert scores["type"] == "roll"
    assert abs(scores["roll_deg_per_s"]) == pytest.approx(degrees, rel=0.1)


def test_a_camera_at_rest_is_static_with_a_large_mover_in_front():
    thing = texture(110, 120, seed=3)

    def draw(t_s):
        frame = warped(BACK, SIZE).copy()
        x = int(20 + 25 * t_s)
        frame[40:150, x : x + 120] = thing
        return frame

    scores = score(draw)
    assert scores["type"] == "static" and scores["speed_pct_per_s"] < 0.5
    assert scores["coverage"] < 0.95


def test_an_unsteady_camera_shakes_and_a_steady_pan_does_not():
    def shaking(t_s):
        rng = np.random.default_rng(round(t_s * 30))
        return warped(BACK, SIZE, x=rng.normal(0, 1.5), y=rng.normal(0, 1.5))

    scores = score(shaking)
    steady = score(moving(x=10.0))
    assert scores["type"] == "shake"
    assert scores["shake_pct_per_s"] > 10 * steady["shake_pct_per_s"]


def test_what_cannot_be_measured_is_missing_and_not_static():
    scores = score(lambda t_s: np.full((*SIZE, 3), 5, np.uint8))
    assert scores["type"] is None and scores["pan_pct_per_s"] is None


@pytest.mark.parametrize("name", ODD)
def test_odd_pictures_give_the_declared_columns(name):
    stage = CameraFilter()
    stage.setup()
    scores = stage(of_frames(ODD[name])).scores
    assert list(scores) == [column.name for column in stage.columns]
    assert scores["type"] is None or scores["type"] in TYPES


def test_scores_are_the_same_twice():
    assert score(moving(x=9.0, zoom=0.05)) == score(moving(x=9.0, zoom=0.05))
