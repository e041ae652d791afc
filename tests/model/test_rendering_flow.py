import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openuni.modality import Map
from openuni.model.rendering import RenderingConfig, Renderings
from openuni.model.renderings.flow import UNIT_ERROR
from openuni.table import METRICS
from openuni.video import decode_rgb, encode_rgb_mp4
from tests.openuni.codec_cases import flow_map

WIDTH = 100
FULL_PX = 11.0  # .11 x 100
MAGNITUDES = ("linear", "sqrt")


def bound_px(speed, full, magnitude):
    """What model/renderings/flow.py promises for a speed in px."""
    radius = 0 if magnitude == "linear" else 2 * np.sqrt(speed / full)
    return full * UNIT_ERROR * (1 if magnitude == "linear" else radius + UNIT_ERROR)


def two_frames(vectors):
    """A flow of one row whose first pixels are the vectors, WIDTH wide."""
    data = np.zeros((2, 1, WIDTH, 2), np.float32)
    data[0, 0, : len(vectors)] = np.reshape(vectors, (-1, 2))
    valid = np.ones((2, 1, WIDTH), bool)
    valid[-1] = False
    return Map(data=data, valid=valid)


@pytest.mark.parametrize("magnitude", MAGNITUDES)
@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(0, FULL_PX), st.floats(0, 2 * np.pi)), min_size=1, max_size=WIDTH))
def test_fixed_scale_gives_pixels_back_within_the_bound(magnitude, polar):
    speed, angle = np.array(polar).T
    vectors = np.stack([speed * np.cos(angle), speed * np.sin(angle)], axis=-1)
    renderings = Renderings(RenderingConfig(flow_magnitude=magnitude))
    read = renderings.to_map("flow", renderings.to_frames("flow", two_frames(vectors)).frames)
    error = np.hypot(*(read.data[0, 0, : len(vectors)] - vectors).T)
    assert (error <= bound_px(speed, FULL_PX, magnitude)).all()


@pytest.mark.parametrize("magnitude", MAGNITUDES)
def test_full_speed_is_not_clipped_and_more_is_counted(magnitude):
    renderings = Renderings(RenderingConfig(flow_magnitude=magnitude))
    at_full = renderings.to_frames("flow", two_frames([(FULL_PX, 0)]))
    beyond = renderings.to_frames("flow", two_frames([(3 * FULL_PX, 0)]))
    assert at_full.lost == {}
    assert beyond.lost == {
        "speed": "1 of 100 valid pixels are faster than 11 px and drawn at it; the fastest has 33 px"
    }
    np.testing.assert_array_equal(at_full.frames, beyond.frames)
    # Rightward full speed is the wheel's first colour, red.
    assert at_full.frames[0, 0, 0].tolist() == [255, 0, 0]
    assert at_full.known == {"full_speed_px": FULL_PX, "longest_px": 11.0}


def test_square_root_gives_slow_pixels_more_of_the_colour():
    one_quarter = two_frames([(FULL_PX / 4, 0)])
    green = {
        magnitude: int(
            Renderings(RenderingConfig(flow_magnitude=magnitude)).to_frames("flow", one_quarter).frames[0, 0, 0, 1]
        )
        for magnitude in MAGNITUDES
    }
    assert green == {"linear": 191, "sqrt": 127}  # floor(255 (1 - 1/4)), floor(255 (1 - 1/2))


@pytest.mark.parametrize("magnitude", MAGNITUDES)
def test_per_clip_scale_fills_the_wheel_and_is_unknown_after_reading(magnitude):
    renderings = Renderings(RenderingConfig(flow_scale="per_clip", flow_magnitude=magnitude))
    drawn = renderings.to_frames("flow", two_frames([(40, 0), (-20, 0)]))
    read = renderings.to_map("flow", drawn.frames)
    assert drawn.known["full_speed_px"] == 40
    assert read.facts == {"scale": "unknown"}
    np.testing.assert_allclose(read.data[0, 0, :2], [(1, 0), (-0.5, 0)], atol=2 * UNIT_ERROR)
    assert renderings.carries("flow", "flow.epe") == "scale unknown: flow was drawn by each clip's longest"
    assert all(Renderings().carries("flow", name) is None for name in METRICS if name.startswith("flow."))


@pytest.mark.parametrize("scale", ["fixed", "per_clip"])
def test_a_clip_that_stands_still_is_white_and_reads_as_still(scale):
    renderings = Renderings(RenderingConfig(flow_scale=scale))
    drawn = renderings.to_frames("flow", two_frames([]))
    assert (drawn.frames == 255).all()
    assert (renderings.to_map("flow", drawn.frames).data == 0).all()


def test_invalid_pixels_are_white_counted_and_need_no_number():
    still = two_frames([])
    still.data[0, 0, :2], still.valid[0, 0, :2] = np.nan, False
    drawn = Renderings().to_frames("flow", still)
    assert (drawn.frames == 255).all()
    assert drawn.lost == {"validity": "2 of 100 pixels before the last frame are invalid, drawn still"}


@pytest.mark.parametrize("magnitude", MAGNITUDES)
def test_after_h264_most_pixels_keep_their_motion(magnitude):
    true = flow_map(frames=5, height=96, width=128, longest=12)
    renderings = Renderings(RenderingConfig(flow_magnitude=magnitude))
    frames = decode_rgb(encode_rgb_mp4(renderings.to_frames("flow", true).frames, fps=8)).frames
    error = np.hypot(*np.moveaxis(renderings.to_map("flow", frames).data - true.data, -1, 0))[true.valid]
    assert np.median(error) < 0.35  # px, of at most 12: 2.5 % of the full speed, 14 px
    assert (error < 2).mean() > 0.95  # edges of the disc mix two colours
