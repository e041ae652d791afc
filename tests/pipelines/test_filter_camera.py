"""Camera: type and amounts of clips whose camera is known, drawn by moving a texture or rendered from a 3-D scene."""

import io

import numpy as np
import pytest

from openuni.benchmark.synth.boxes import FPS, scene
from openuni.pipelines.filters.camera import TYPES, CameraFilter
from tests.pipelines import filter_cases

HEIGHT, WIDTH = 180, 320
NATIVE_FPS = 30.0
AMOUNTS = ("pan_pct_per_s", "tilt_pct_per_s", "zoom_pct_per_s", "roll_deg_per_s")
MEASURED = (*AMOUNTS, "speed_pct_per_s", "shake_pct_per_s", "parallax")


def texture(seed=0, height=3 * HEIGHT, width=4 * WIDTH):
    """Grey texture with detail from 3 px to a quarter of the picture; every place can be found again."""
    import cv2

    rng = np.random.default_rng(seed)
    total = np.zeros((height, width), np.float32)
    for size_px in (3, 8, 24, 60):
        noise = rng.normal(size=(height // size_px + 2, width // size_px + 2)).astype(np.float32)
        total += cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(128 + 28 * total, 0, 255).astype(np.uint8)


WORLD = texture()


def shot(x=0.0, y=0.0, log_scale=0.0, angle=0.0, height=HEIGHT, width=WIDTH, world=WORLD):
    """The world seen by a camera turned to the right and upwards, in longer sides, zoomed in and rolled clockwise."""
    import cv2

    side, zoom = max(height, width), np.exp(-log_scale)
    cos, sin = zoom * np.cos(angle), zoom * np.sin(angle)
    linear = np.array([[cos, -sin], [sin, cos]])  # picture to world
    target = np.array([world.shape[1], world.shape[0]]) / 2 + side * np.array([x, -y])
    offset = target - linear @ (np.array([width, height]) - 1) / 2
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    grey = cv2.warpAffine(world, np.column_stack([linear, offset]), (width, height), flags=flags)
    return np.repeat(grey[..., None], 3, axis=2)


def view(frame_at, seconds=2.0, fps=NATIVE_FPS):
    """Samples twice a second, from 0 to `seconds`, each with the frame right after it."""
    return filter_cases.view(frame_at, seconds=seconds + 2 / fps, fps=fps, samples=2.0)


def score(clip, **options):
    stage = CameraFilter(**options)
    stage.setup()
    return dict(stage(clip).scores)


def moved(pan=0.0, tilt=0.0, zoom=0.0, roll=0.0, **size):
    """A steady camera, in the units of the columns."""
    return lambda t: shot(pan / 100 * t, tilt / 100 * t, zoom / 100 * t, np.radians(roll) * t, **size)


def jitter(rms_pct_per_s, seed=0):
    """Where a shaken camera points, (x, y) in longer sides: tones of 1.5 to 6 Hz, RMS speed as given over a minute."""
    rng = np.random.default_rng(seed)
    omega, phase = 2 * np.pi * rng.uniform(1.5, 6, (2, 12)), rng.uniform(0, 2 * np.pi, (2, 12))
    reach = rms_pct_per_s / 100 / np.sqrt(omega.size / 2) / omega  # each tone has the same share of the speed
    return lambda t: (reach * np.sin(omega * t + phase)).sum(axis=1)


def with_mover(frame_at, share, seed=5):
    """Put a swaying, wobbling disc with a texture of its own on the middle of the lower edge."""
    import cv2

    other = texture(seed)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)

    def frame(t):
        picture = frame_at(t)
        radius = np.sqrt(share * HEIGHT * WIDTH / np.pi)
        x, y = WIDTH / 2 + 12 * np.sin(2.3 * t), HEIGHT - 0.75 * radius + 6 * np.sin(3.1 * t)
        across = (columns - (x - 400) + 3 * np.sin(4 * t + rows / 15)).astype(np.float32)
        look = cv2.remap(other, across, (rows - (y - 300)).astype(np.float32), cv2.INTER_LINEAR)
        inside = (columns - x) ** 2 + (rows - y) ** 2 < radius**2
        picture[inside] = look[inside][:, None]
        return picture

    return frame


def assert_amounts(scores, rel=0.02, atol=0.03, **expected):
    """2 %: a track's bias on interpolated pictures. 0.03 per s: a hundredth of a pixel over half a second."""
    for name in AMOUNTS:
        truth = expected.get(name.split("_")[0], 0.0)
        assert scores[name] == pytest.approx(
            truth, rel=rel, abs=atol + rel * max(map(abs, expected.values()), default=0)
        )


def test_still_picture_is_static_and_moves_by_nothing():
    scores = score(view(moved()))
    assert scores["type"] == "static"
    assert [scores[name] for name in MEASURED] == pytest.approx([0.0] * len(MEASURED), abs=1e-3)
    assert scores["coverage"] == 1.0


@pytest.mark.parametrize(
    "motion",
    [
        {"pan": 0.8},
        {"pan": -3.0},
        {"pan": 12.0},
        {"tilt": 0.8},
        {"tilt": -8.0},
        {"zoom": 2.5},
        {"zoom": -15.0},
        {"roll": 2.0},
        {"roll": -12.0},
    ],
    ids=str,
)
def test_steady_motion_is_named_and_measured(motion):
    scores = score(view(moved(**motion)))
    assert scores["type"] == next(iter(motion))
    assert_amounts(scores, **motion)
    assert scores["shake_pct_per_s"] < 0.3  # frame to frame the interpolated picture is a few hundredths of a pixel off
    assert scores["coverage"] > 0.8 and scores["parallax"] < 0.1


def test_pan_to_the_right_moves_the_picture_to_the_left_and_tilt_up_moves_it_down():
    left, up = (np.roll(shot(), shift, axis=axis) for shift, axis in ((-4, 1), (4, 0)))
    for picture, column in ((left, "pan_pct_per_s"), (up, "tilt_pct_per_s")):
        scores = score(filter_cases.of_frames([shot(), picture]))
        assert scores[column] == pytest.approx(100 * 4 / WIDTH / 0.5, rel=0.02)


def test_portrait_clips_are_measured_in_their_longer_side_too():
    scores = score(view(moved(tilt=4.0, height=WIDTH, width=HEIGHT)))
    assert scores["type"] == "tilt"
    assert_amounts(scores, tilt=4.0)


def test_thresholds_part_the_types():
    assert score(view(moved(pan=0.35)))["type"] == "static"
    assert score(view(moved(pan=0.65)))["type"] == "pan"
    assert score(view(moved(pan=4.0, tilt=2.5)))["type"] == "pan"  # 72 % of the squared speed
    assert score(view(moved(pan=4.0, tilt=3.6)))["type"] == "mixed"  # 55 %
    assert score(view(moved(pan=4.0, tilt=3.6)), min_share=0.5)["type"] == "pan"


def test_pan_too_fast_for_half_a_second_is_measured_between_consecutive_frames():
    """40 % of the width per second, there and back: a fifth of the picture changes between samples."""
    scores = score(view(lambda t: shot(0.4 * abs(t - 1.25)), seconds=2.5))
    assert scores["type"] == "pan"
    # By 15 %: the turning point falls between two samples, whose frames tell of either side.
    assert scores["speed_pct_per_s"] == pytest.approx(40 * 0.6, rel=0.5)
    forth = score(view(lambda t: shot(0.4 * (t - 0.5)), seconds=1.0))
    assert forth["pan_pct_per_s"] == pytest.approx(40.0, rel=0.03)


@pytest.mark.parametrize("rms", [4.0, 9.0])
def test_shake_is_the_rms_speed_of_irregular_motion(rms):
    """By 25 %, on average over three paths: each is 15 moments, whose median stands for an RMS."""
    paths = [jitter(rms, seed) for seed in range(3)]
    clips = [score(view(lambda t, path=path: shot(*path(t)), seconds=8)) for path in paths]
    assert [scores["type"] for scores in clips] == ["shake"] * 3
    assert np.mean([scores["shake_pct_per_s"] for scores in clips]) == pytest.approx(rms, rel=0.25)
    assert all(scores["speed_pct_per_s"] < rms / 2 for scores in clips)


def test_a_little_shake_is_static_and_a_shaken_pan_is_a_pan():
    quiet, loud = jitter(1.5), jitter(3.0)
    assert score(view(lambda t: shot(*quiet(t)), seconds=6))["type"] == "static"
    panned = score(view(lambda t: shot(0.08 * t + loud(t)[0] - 0.2, loud(t)[1]), seconds=6))
    assert panned["type"] == "pan"
    assert panned["pan_pct_per_s"] == pytest.approx(8.0, rel=0.1)
    assert panned["shake_pct_per_s"] > 1.5


def test_repeated_pictures_of_a_moving_camera_are_no_shake():
    """Every picture twice: half of the pairs stand still, the others jump by two frames' motion."""
    scores = score(view(lambda t: shot(0.06 * np.floor(t * 15 + 1e-6) / 15)))
    assert scores["type"] == "pan"
    assert scores["shake_pct_per_s"] is None or scores["shake_pct_per_s"] < 0.5


@pytest.mark.parametrize("share", [0.2, 0.4])
def test_large_mover_before_a_resting_camera_is_static(share):
    scores = score(view(with_mover(moved(), share)))
    assert scores["type"] == "static"
    assert_amounts(scores, atol=0.05)
    assert scores["parallax"] == 0.0 and scores["coverage"] > 0.4
    assert scores["shake_pct_per_s"] < 0.5


@pytest.mark.parametrize("motion", [{"pan": 5.0}, {"zoom": 8.0}], ids=str)
def test_large_mover_does_not_change_what_the_camera_does(motion):
    scores = score(view(with_mover(moved(**motion), 0.35)))
    assert scores["type"] == next(iter(motion))
    assert_amounts(scores, rel=0.03, atol=0.1, **motion)


def test_speaker_before_a_bare_wall_is_not_taken_for_a_camera():
    """Nothing but the speaker can be tracked; a shaded wall shows that the camera rests, a bare one shows nothing."""
    shade = np.linspace(90, 200, WIDTH)[None, :] * np.linspace(1, 0.8, HEIGHT)[:, None]
    for wall in (np.full((HEIGHT, WIDTH), 150.0), shade):
        picture = np.repeat(wall[..., None], 3, axis=2).astype(np.uint8)
        scores = score(view(with_mover(lambda t, picture=picture: picture.copy(), 0.25)))
        assert scores["type"] in (None, "static")
        assert scores["shake_pct_per_s"] is None
    assert scores["type"] == "static"


def test_caption_on_a_pan_is_no_depth():
    import cv2

    def frame(t):
        picture = moved(pan=5.0)(t)
        picture[-35:] = 0
        cv2.putText(picture, "BREAKING NEWS 12:00", (6, HEIGHT - 10), 0, 0.8, (255, 255, 255), 2)
        return picture

    scores = score(view(frame))
    assert scores["type"] == "pan" and scores["parallax"] < 0.1
    assert_amounts(scores, pan=5.0)


def test_flashing_light_and_a_wandering_torch_do_not_move_the_camera():
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]

    def flash(t):
        return np.clip(shot().astype(float) * (1.5 if int(t * 7) % 3 == 0 else 0.9), 0, 255).astype(np.uint8)

    def torch(t):
        x, y = WIDTH / 2 + 90 * np.sin(1.7 * t), HEIGHT / 2 + 40 * np.cos(2.3 * t)
        light = 0.15 + 0.8 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 2 / 50**2)
        return (shot() * light[..., None]).astype(np.uint8)

    for frame in (flash, torch):
        scores = score(view(frame))
        assert scores["type"] == "static"
        assert scores["speed_pct_per_s"] < 0.3


def test_cut_between_two_resting_shots_is_static():
    scores = score(view(lambda t: shot(x=0.0 if t < 1.4 else 0.7)))
    assert scores["type"] == "static"
    assert_amounts(scores)


def test_coded_slow_pan_is_told_from_rest():
    """x264 moves the background in steps from frame to frame; half seconds tell it within 10 %."""
    rest, slow = (coded([moved(pan=pan)(t / NATIVE_FPS) for t in range(64)]) for pan in (0.0, 1.0))
    for frames, kind, truth in ((rest, "static", 0.0), (slow, "pan", 1.0)):
        scores = score(view(lambda t, frames=frames: frames[round(t * NATIVE_FPS)], seconds=2.0))
        assert scores["type"] == kind
        assert scores["pan_pct_per_s"] == pytest.approx(truth, abs=0.1)


def coded(frames, crf=32):
    """Noise of 3 grey levels, then H.264, and back."""
    import av

    rng, content = np.random.default_rng(0), io.BytesIO()
    with av.open(content, "w", format="mp4") as out:
        stream = out.add_stream("libx264", rate=round(NATIVE_FPS), options={"crf": str(crf), "threads": "1"})
        stream.height, stream.width, stream.pix_fmt = HEIGHT, WIDTH, "yuv420p"
        for frame in frames:
            noisy = np.clip(frame + rng.normal(0, 3, frame.shape), 0, 255).astype(np.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(noisy, format="rgb24")))
        out.mux(stream.encode())
    content.seek(0)
    with av.open(content) as source:
        return [frame.to_ndarray(format="rgb24") for frame in source.decode(video=0)]


@pytest.fixture(scope="module")
def rendered():
    """Scores and truth of one second of a rendered room per camera, two movers in it."""
    out = {}
    for camera in ("pan", "zoom", "dolly", "orbit"):
        clip = scene(2, num_frames=18, height=72, width=128, camera=camera)
        out[camera] = score(view(lambda t, clip=clip: clip.rgb[round(t * FPS)], seconds=1.0, fps=FPS)), clip
    return out


@pytest.mark.parametrize("camera", ["pan", "zoom"])
def test_camera_that_stays_in_its_place_has_no_parallax(rendered, camera):
    scores, _ = rendered[camera]
    assert scores["type"] == camera
    assert scores["parallax"] < 0.15


@pytest.mark.parametrize("camera", ["dolly", "orbit"])
def test_camera_that_changes_its_place_is_a_translation(rendered, camera):
    scores, _ = rendered[camera]
    assert scores["type"] == "translation"
    assert scores["parallax"] > 0.3


@pytest.mark.parametrize("camera", ["pan", "zoom"])
def test_rendered_motion_is_that_of_the_true_flow(rendered, camera):
    """The similarity nearest to the true flow of all resting pixels, mean over the clip. By 3 %: in perspective the
    corners that are tracked all the way see another part of it."""
    scores, clip = rendered[camera]
    height, width = clip.rgb.shape[1:3]
    x, y = np.meshgrid(np.arange(width) - (width - 1) / 2, np.arange(height) - (height - 1) / 2)
    pan = [-flow[rest][:, 0].mean() for flow, rest in zip(clip.flow[:-1], clip.static[:-1], strict=True)]
    growth = [
        ((flow[..., 0] * x + flow[..., 1] * y)[rest]).sum() / (x**2 + y**2)[rest].sum()
        for flow, rest in zip(clip.flow[:-1], clip.static[:-1], strict=True)
    ]
    expected = 100 * FPS * np.array([np.mean(pan) / width, np.log1p(np.mean(growth))])
    got = [scores["pan_pct_per_s"], scores["zoom_pct_per_s"]]
    which = 0 if camera == "pan" else 1
    assert got[which] == pytest.approx(expected[which], rel=0.03)


def test_noise_and_emptiness_have_no_camera():
    rng = np.random.default_rng(0)
    noise = score(view(lambda t: rng.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)))
    assert [noise[name] for name in ("type", *MEASURED)] == [None] * (1 + len(MEASURED))
    assert noise["coverage"] < 0.2
    flat = score(view(lambda t: np.full((HEIGHT, WIDTH, 3), 90, np.uint8)))
    assert set(flat.values()) == {None}


def test_one_frame_and_no_pairs_are_scored_as_far_as_they_go():
    samples = [moved(pan=9.0)(t) for t in (0.0, 0.5, 1.0)]
    assert set(score(filter_cases.of_frames(np.zeros((0, HEIGHT, WIDTH, 3), np.uint8))).values()) == {None}
    assert set(score(filter_cases.of_frames(samples[:1])).values()) == {None}
    without = score(filter_cases.of_frames(samples))
    assert without["type"] == "pan" and without["shake_pct_per_s"] is None
    alone = score(view(moved(pan=9.0), seconds=0.0))
    assert alone["type"] == "pan"
    assert alone["pan_pct_per_s"] == pytest.approx(9.0, rel=0.1)  # one pixel between two frames


@pytest.mark.parametrize("name", filter_cases.ODD)
def test_odd_clips_are_scored(name):
    scores = score(filter_cases.of_frames(filter_cases.ODD[name]))
    assert scores["type"] is None


@pytest.mark.parametrize("shape", [(1, 1), (8, 1000), (1000, 8), (33, 47), (2, 3)])
def test_frames_of_odd_shapes_are_scored(shape):
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (*shape, 3), dtype=np.uint8)
    for frame_at in (lambda t: picture, lambda t: rng.integers(0, 256, (*shape, 3), dtype=np.uint8)):
        scores = score(view(frame_at, seconds=1.5))
        assert scores["type"] in (None, *TYPES)
        assert all(value is None or np.isfinite(value) for name, value in scores.items() if name != "type")


def test_scores_are_the_same_in_a_second_run_and_with_more_threads():
    import cv2

    clip = view(with_mover(moved(pan=3.0), 0.3), seconds=1.5)
    once = score(clip)
    try:
        stage = CameraFilter()
        stage.setup()
        cv2.setNumThreads(4)
        assert dict(stage(clip).scores) == once
    finally:
        cv2.setNumThreads(1)
    assert score(clip) == once


def test_the_filter_gives_exactly_the_columns_it_declares():
    stage = CameraFilter()
    stage.setup()
    scores = stage(view(moved(pan=2.0), seconds=1.0)).scores
    assert list(scores) == [column.name for column in stage.columns]
    assert all(column.unit and column.meaning for column in stage.columns)
    assert next(column for column in stage.columns if column.name == "type").unit == "text"
