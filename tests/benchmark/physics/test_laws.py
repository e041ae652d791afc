"""Probes of laws on drawn balls with known motion, and on rendered clips."""

import numpy as np
import pytest

from openuni.benchmark.metrics.laws import acceleration_change, momentum_sign, returns
from openuni.benchmark.physics import laws
from openuni.benchmark.predictions import Prediction
from openuni.benchmark.suite import make_suite
from openuni.benchmark.suites.physics_laws import PROBES
from openuni.benchmark.synth.families import make_scene
from openuni.benchmark.synth.job import RenderConfig, render_run
from openuni.benchmark.synth.render import make_tier, render_clip
from openuni.engine.local import LocalEngine
from tests.benchmark.rendered import render_tiny

RED, GREEN, GRAY = (180, 40, 40), (60, 150, 70), (150, 150, 150)


def balls(*paths, size=120, box=None):
    """Discs of 7 px along (colour, (T, 2) x y) paths; a grey box before them hides columns."""
    y, x = np.mgrid[:size, :size]
    frames = np.full((len(paths[0][1]), size, size, 3), GRAY, np.uint8)
    for t, frame in enumerate(frames):
        for colour, path in paths:
            frame[(x - path[t][0]) ** 2 + (y - path[t][1]) ** 2 <= 49] = colour
        if box:
            frame[:, box[0] : box[1]] = (90, 90, 90)
    return frames


def falling(change, frames=9):
    """Height of a fall whose acceleration changes by a share of its mean, then a bounce."""
    t = np.arange(frames) - (frames - 1) / 2
    acceleration = 2.2
    y = 35 + 9 * t + acceleration * t**2 / 2 + change * acceleration / (frames - 1) * t**3 / 6
    return [(60 + 0.5 * k, one) for k, one in enumerate([*y, y[-1] - 8, y[-1] - 14])]


@pytest.mark.parametrize("change", [0.0, 0.5, -0.4])
def test_the_change_of_a_falls_acceleration_is_found(change):
    found = laws.acceleration_change(laws.track(balls((RED, falling(change))), "red"))
    assert found == pytest.approx(change, abs=0.08)  # centroids of discs of whole pixels


def test_a_ball_that_rests_floats_up_or_is_not_there_has_no_fall():
    for path in ([(60, 60)] * 10, [(60, 90 - 3 * t) for t in range(10)], [(-50, 20)] * 10):
        assert np.isnan(acceleration_change(laws.track(balls((RED, path)), "red")))


def struck(red_after, green_after, frames=16, hit=7):
    red = [(20 + 4.0 * t, 60) if t <= hit else (20 + 4.0 * hit + red_after * (t - hit), 60) for t in range(frames)]
    green = [(63, 60) if t <= hit else (63 + green_after * (t - hit), 60) for t in range(frames)]
    frames = balls((RED, red), (GREEN, green))
    return momentum_sign(laws.track(frames, "red"), laws.track(frames, "green"), 120)


def test_a_collision_is_right_only_if_one_gains_and_the_other_loses():
    assert struck(1.0, 3.0) == 1 and struck(-1.0, 3.0) == 1
    assert struck(1.0, -2.5) == 0  # the struck ball comes towards the striker
    assert struck(6.0, 8.0) == 0  # both gain
    assert struck(0.0, 0.0) == 0  # the struck ball does not care


def test_a_hidden_ball_returns_only_if_it_comes_back_in_time_and_size():
    path = [(15 + 4.0 * t, 60) for t in range(24)]
    whole = balls((RED, path), box=(45, 75))
    assert returns(laws.track(whole, "red"), 120) == 1
    gone, late, small = whole.copy(), whole.copy(), whole.copy()
    gone[12:] = balls((RED, [(-50, 60)] * 24), box=(45, 75))[12:]
    late[10:] = balls((RED, [(15 + 4.0 * (t - 6), 60) for t in range(24)]), box=(45, 75))[10:]
    assert returns(laws.track(gone, "red"), 120) == 0 and returns(laws.track(late, "red"), 120) == 0
    y, x = np.mgrid[:120, :120]
    for t in range(12, 24):
        small[t] = GRAY
        small[t][(x - path[t][0]) ** 2 + (y - 60) ** 2 <= 16] = RED
        small[t][:, 45:75] = (90, 90, 90)
    assert returns(laws.track(small, "red"), 120) == 0
    assert returns(laws.track(balls((RED, path)), "red"), 120) == 0  # never hidden: nothing was shown


@pytest.mark.parametrize(("family", "frames"), [("fall", 12), ("collision", 16), ("hiding", 26)])
def test_rendered_clips_obey_the_law(family, frames):
    tier = make_tier("fast")
    tier.setup()
    scene = make_scene(family, seed=1, number=0, num_frames=frames)
    rgb = render_clip(scene, height=128, width=128, tier=tier).rgb
    value = PROBES[family][1](rgb)
    assert value < 10 if family == "fall" else value == 1


def test_the_suite_scores_the_answer_and_the_rendered_clip_beside_it_with_the_same_rows_for_every_law(tmp_path):
    families = ("fall", "hiding")
    config = RenderConfig(out=tmp_path, clips=2, families=families, height=96, width=96, num_frames=12)
    render_run(config, LocalEngine(0), quiet=True)
    suite = make_suite("physics-laws")
    suite.setup()
    items = {item.family: item for item in suite.items(tmp_path)}
    assert set(items) == set(families) and ("cond", "depth") in items["fall"].pairs
    still = Prediction(rgb=np.full((12, 96, 96, 3), 128, np.uint8))
    rows = {name: suite.score(tmp_path / item.path, "cond", "depth", still) for name, item in items.items()}
    keys = [(one.metric, one.protocol) for one in rows["fall"]]
    assert keys == [(one.metric, one.protocol) for one in rows["hiding"]] and len(set(keys)) == 6
    fall = {(one.metric, one.protocol): one for one in rows["fall"]}
    assert fall["laws.acceleration_change", "rendered"].value < 15
    assert fall["laws.acceleration_change", "generated"].flags == ("nothing_to_score",)
    assert fall["laws.returns", "generated"].flags == ("other_law",)
    hiding = {(one.metric, one.protocol): one for one in rows["hiding"]}
    assert hiding["laws.returns", "generated"].value == 0
    ask = suite.ask(tmp_path / items["fall"].path, "cond", "depth")
    assert ask.map is not None and ask.rgb is None and ask.num_frames == 12


def test_the_suite_refuses_other_data(tmp_path):
    suite = make_suite("physics-laws")
    assert "no scenes of the families fall, collision, hiding" in suite.refuses(render_tiny(tmp_path / "rendered"))
    assert "no --data" in suite.refuses(None)
