"""RGB behind the codec door: mp4 with its times."""

import numpy as np
import pytest

from openuni.codec.rgb import RGB
from openuni.modality import Map

TIMES = [3.0, 3.05, 3.2, 3.25]


def rgb_map(height=48, width=64):
    rows, columns = np.mgrid[:height, :width]
    frames = np.stack([np.stack([2 * columns + t, 3 * rows, rows + columns], axis=-1) for t in range(4)])
    return Map(data=frames.astype(np.uint8), facts={"times_s": TIMES, "fps": 12.0})


def test_frames_come_back_close_with_exact_times():
    map = rgb_map()
    members, facts = RGB.encode(map)
    decoded = RGB.decode(members, facts)
    assert tuple(members) == RGB.members == ("mp4",)
    assert decoded.facts["times_s"] == TIMES
    assert decoded.data.shape == map.data.shape
    assert np.abs(decoded.data.astype(int) - map.data).mean() < 2.0  # crf 18; measured 0.92


def test_stored_and_render_are_the_frames_themselves():
    map = rgb_map()
    assert RGB.stored(map).data is map.data
    frames, scale = RGB.render(map)
    assert frames is map.data
    assert RGB.parse(frames, scale).facts == map.facts


def test_encoding_is_deterministic():
    assert RGB.encode(rgb_map()) == RGB.encode(rgb_map())


@pytest.mark.parametrize(
    ("map", "message"),
    [
        (rgb_map(height=47), r"even height and width, got \(47, 64\): crop one row or column"),
        (Map(data=rgb_map().data, facts={"times_s": TIMES[:2], "fps": 12.0}), "one time for each of the 4 .*, got 2"),
        (Map(data=rgb_map().data, facts={"fps": 12.0}), "got none"),
        (Map(data=rgb_map().data, facts={"times_s": TIMES}), r"facts\['fps'\] must be the mean frame rate"),
        (Map(data=rgb_map().data, facts={"times_s": TIMES[::-1], "fps": 1.0}), "increase by at least 1 us"),
        (Map(data=rgb_map().data.astype(float), facts={"times_s": TIMES, "fps": 1.0}), "uint8, got .* float64"),
    ],
)
def test_wrong_maps_are_refused(map, message):
    with pytest.raises(ValueError, match=message):
        RGB.encode(map)
