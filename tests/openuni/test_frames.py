"""The reader gives the right frames at the right times, for every kind of file. Frames carry their number as blocks."""

import pickle
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from openuni.frames import DecodeError, FrameTarget, probe, read_frames
from tests.openuni.make_clips import (
    LONG_GOP,
    OPEN_GOP,
    coded_picture,
    cut,
    read_codes,
    spoil_title,
    write_clip,
    write_sound,
)

EVERY_FRAME = FrameTarget(fps=None, short_side_px=None, num_frames=None)
QUIET_X265 = {"x265-params": "log-level=0"}
MS = 1e-3 + 1e-9  # times are stored in whole milliseconds or finer
NINETY_CLOCKWISE = [0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30]  # what phones write for upright video
NINETY_BACK = [0, -(1 << 16), 0, 1 << 16, 0, 0, 0, 0, 1 << 30]
MIRRORED = [-(1 << 16), 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30]

CASES = {
    "h264": ("clip.mp4", {}),
    "h264 long GOP, B-frames": ("clip.mp4", {"options": LONG_GOP, "num_frames": 60}),
    "h264 open GOP": ("clip.mp4", {"options": OPEN_GOP, "num_frames": 60}),
    "h264 in mkv, open GOP": ("clip.mkv", {"options": OPEN_GOP, "num_frames": 60}),
    "h264 in mpeg-ts": ("clip.ts", {"options": OPEN_GOP, "num_frames": 40}),
    "hevc 10 bit": ("clip.mp4", {"codec": "libx265", "pix_fmt": "yuv420p10le", "options": QUIET_X265}),
    "av1": ("clip.mp4", {"codec": "libsvtav1", "width": 128, "height": 96, "options": {"preset": "8"}}),
    "vp9": ("clip.webm", {"codec": "libvpx-vp9", "options": {"deadline": "realtime", "cpu-used": "8"}}),
    "odd size vp9": ("clip.webm", {"codec": "libvpx-vp9", "width": 63, "height": 47, "options": {"cpu-used": "8"}}),
    "odd size h264 4:4:4": ("clip.mp4", {"pix_fmt": "yuv444p", "width": 63, "height": 47}),
    "ffv1": ("clip.mkv", {"codec": "ffv1"}),
    "mpeg4 in avi, B-frames": ("clip.avi", {"codec": "mpeg4", "options": {"bf": "2"}}),
    "raw h264": ("clip.h264", {"options": {"bf": "0"}}),
    "one frame": ("clip.mp4", {"num_frames": 1}),
}


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One file for each case."""
    folder = tmp_path_factory.mktemp("clips")
    made = {}
    for number, (name, (file, settings)) in enumerate(CASES.items()):
        made[name] = write_clip(folder / f"{number}_{file}", **settings)
    return made


@pytest.mark.parametrize("name", CASES)
def test_every_frame_comes_once_in_order(clips: dict[str, Path], name: str) -> None:
    frames = read_frames(clips[name], target=EVERY_FRAME)
    count = CASES[name][1].get("num_frames", 30)
    assert read_codes(frames.rgb) == list(range(count))
    rate = 25 if name == "raw h264" else 10  # raw H.264 here carries no rate
    assert np.allclose(frames.times_s, np.arange(count) / rate, atol=MS)
    assert frames.lost_s == 0.0
    assert frames.rgb.dtype == np.uint8


@pytest.mark.parametrize("name", [name for name in CASES if name not in ("one frame", "raw h264")])
def test_sparse_samples_are_the_frames_at_their_times(clips: dict[str, Path], name: str) -> None:
    frames = read_frames(clips[name], target=FrameTarget(fps=2, num_frames=None))
    count = CASES[name][1].get("num_frames", 30)
    assert read_codes(frames.rgb) == list(range(0, count, 5))
    assert np.allclose(frames.times_s, np.arange(0, count, 5) / 10, atol=MS)
    assert frames.fps == pytest.approx(2, abs=0.01)


@pytest.mark.parametrize("name", [name for name in CASES if CASES[name][1].get("num_frames", 30) >= 40])
@pytest.mark.parametrize("start", [0.0, 0.1, 1.2, 2.3, 3.5])
def test_a_span_begins_and_ends_on_its_frames(clips: dict[str, Path], name: str, start: float) -> None:
    frames = read_frames(clips[name], start_s=start, end_s=start + 0.5, target=EVERY_FRAME)
    first = round(start * 10)
    assert read_codes(frames.rgb) == list(range(first, first + 5))
    assert np.allclose(frames.times_s, np.arange(first, first + 5) / 10, atol=MS)
    assert frames.lost_s == 0.0


@pytest.mark.parametrize("name", [name for name in CASES if "GOP" in name])
def test_each_single_frame_is_found_by_seeking(clips: dict[str, Path], name: str) -> None:
    for number in range(0, 60, 7):
        frames = read_frames(clips[name], start_s=number / 10, end_s=number / 10 + 0.1, target=EVERY_FRAME)
        assert read_codes(frames.rgb) == [number]


def test_variable_rate_gives_true_times(tmp_path: Path) -> None:
    times = [0.0, 0.04, 0.08, 0.5, 0.54, 1.2, 1.21, 2.0, 2.9, 3.0]
    for suffix in ("mp4", "mkv"):
        path = write_clip(tmp_path / f"clip.{suffix}", times_s=times, num_frames=10, options={"bf": "2"})
        every = read_frames(path, target=EVERY_FRAME)
        assert read_codes(every.rgb) == list(range(10)) and np.allclose(every.times_s, times, atol=MS)
        some = read_frames(path, target=FrameTarget(fps=1))
        assert read_codes(some.rgb) == [0, 5, 7, 9] and np.allclose(some.times_s, [0, 1.2, 2.0, 3.0], atol=MS)


def test_times_count_from_the_first_frame_whatever_the_files_clock_says(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "late.mkv", shift_s=7.3, num_frames=40)
    frames = read_frames(path, start_s=1.5, end_s=2.0, target=EVERY_FRAME)
    assert read_codes(frames.rgb) == [15, 16, 17, 18, 19]
    assert frames.times_s[0] == pytest.approx(1.5, abs=MS)
    assert read_frames(path).lost_s == 0.0


def test_frames_hidden_by_an_edit_list_do_not_exist(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "cut.mp4", shift_s=-0.55, num_frames=30, options=LONG_GOP)
    frames = read_frames(path, target=EVERY_FRAME)
    assert read_codes(frames.rgb)[-24:] == list(range(6, 30))
    assert len(frames.rgb) in (24, 25)  # FFmpeg 8 also shows frame 5, which straddles the cut
    assert np.all(np.diff(frames.times_s) > 0) and frames.lost_s == 0.0


@pytest.mark.parametrize(
    ("matrix", "bring_back", "rotation", "mirrored"),
    [
        (NINETY_CLOCKWISE, lambda picture: np.rot90(picture, 1), 90, False),
        (NINETY_BACK, lambda picture: np.rot90(picture, -1), 270, False),
        ([-(1 << 16), 0, 0, 0, -(1 << 16), 0, 0, 0, 1 << 30], lambda picture: np.rot90(picture, 2), 180, False),
        (MIRRORED, lambda picture: picture[:, ::-1], 0, True),
    ],
)
def test_pictures_are_turned_upright(tmp_path: Path, matrix, bring_back, rotation, mirrored) -> None:
    stored = [np.ascontiguousarray(bring_back(coded_picture(n, width=64, height=96))) for n in range(1, 12)]
    path = write_clip(tmp_path / "turned.mp4", pictures=stored, display_matrix=matrix)
    info = probe(path)
    assert (info.width, info.height) == (64, 96)
    assert (info.coded_height, info.coded_width) == stored[0].shape[:2]
    assert (info.rotation_deg, info.mirrored) == (rotation, mirrored)
    frames = read_frames(path, target=EVERY_FRAME)
    assert frames.rgb.shape == (11, 96, 64, 3) and read_codes(frames.rgb) == list(range(1, 12))
    assert frames.info == info


def test_opencv_turns_the_same_way(tmp_path: Path) -> None:
    import cv2

    stored = [np.ascontiguousarray(np.rot90(coded_picture(n, width=64, height=96))) for n in range(3)]
    path = write_clip(tmp_path / "turned.mp4", pictures=stored, display_matrix=NINETY_CLOCKWISE)
    ok, theirs = cv2.VideoCapture(str(path)).read()
    assert ok and theirs.shape == (96, 64, 3)
    ours = read_frames(path, target=EVERY_FRAME).rgb[0]
    assert np.abs(ours.astype(int) - theirs[..., ::-1]).mean() < 5  # their conversion is up to 3 levels darker


@pytest.mark.parametrize(("aspect", "size"), [(Fraction(4, 3), (96, 72)), (Fraction(1, 2), (48, 96))])
def test_oblong_pixels_are_made_square_without_upsampling(tmp_path: Path, aspect: Fraction, size) -> None:
    path = write_clip(tmp_path / "oblong.mp4", width=96, height=96, num_frames=3, sample_aspect_ratio=aspect)
    info = probe(path)
    assert (info.width, info.height) == size and info.sample_aspect_ratio == pytest.approx(float(aspect))
    frames = read_frames(path, target=EVERY_FRAME)
    assert frames.rgb.shape[1:3] == (size[1], size[0]) and read_codes(frames.rgb) == [0, 1, 2]


def test_metadata_that_is_not_utf8_is_no_obstacle(tmp_path: Path) -> None:
    whole = write_clip(tmp_path / "titled.mp4", num_frames=5, metadata={"title": "QWERTYUIOP"})
    path = spoil_title(whole, tmp_path / "spoilt.mp4", "QWERTYUIOP")
    assert read_codes(read_frames(path).rgb) == [0, 1, 2, 3, 4]
    assert probe(path).num_frames == 5


def test_a_file_name_is_never_taken_for_an_address(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "concat:12:30 #1 %d.mp4", num_frames=3)
    assert read_codes(read_frames(path).rgb) == [0, 1, 2]


@pytest.mark.parametrize(
    ("file", "container_options"),
    [("whole.mp4", {"movflags": "faststart"}), ("whole.mkv", {})],
)
def test_a_cut_file_gives_what_it_has_and_says_what_is_lost(tmp_path: Path, file: str, container_options) -> None:
    noise = np.random.default_rng(0).integers(-20, 20, (60, 48, 64, 3))
    pictures = [np.clip(coded_picture(n) + noise[n], 0, 255).astype(np.uint8) for n in range(60)]
    whole = write_clip(tmp_path / file, pictures=pictures, container_options=container_options, options=LONG_GOP)
    path = cut(whole, tmp_path / f"cut_{file}", 0.6)
    frames = read_frames(path, target=EVERY_FRAME)
    count = len(frames.rgb)
    assert 15 < count < 50
    codes = read_codes(frames.rgb)
    assert codes == sorted(set(codes)) and codes[0] == 0
    assert np.allclose(frames.times_s, np.array(codes) / 10, atol=MS)
    assert frames.lost_s == pytest.approx(6.0 - (codes[-1] + 1) / 10, abs=0.02)
    # The part before the cut is whole.
    assert read_frames(path, end_s=1.0, target=EVERY_FRAME).lost_s == 0.0
    with pytest.raises(DecodeError, match=r"no frame begins between 5\.800 s and the end") as caught:
        read_frames(path, start_s=5.8)
    assert caught.value.reason == "empty_span"


def test_a_cut_fragmented_mp4_gives_what_it_has(tmp_path: Path) -> None:
    options = {"movflags": "frag_keyframe+empty_moov"}
    whole = write_clip(tmp_path / "whole.mp4", num_frames=60, container_options=options, options={"g": "10"})
    codes = read_codes(read_frames(cut(whole, tmp_path / "cut.mp4", 0.5), target=EVERY_FRAME).rgb)
    assert 10 <= len(codes) < 50 and codes == sorted(set(codes))


def test_damage_in_the_middle_costs_only_the_damaged_frames(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(-20, 20, (30, 48, 64, 3))
    pictures = [np.clip(coded_picture(n) + noise[n], 0, 255).astype(np.uint8) for n in range(30)]
    path = write_clip(tmp_path / "whole.mp4", pictures=pictures, options={"g": "1"})
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 400] = b"\xa5" * 400
    path.write_bytes(data)
    frames = read_frames(path, target=EVERY_FRAME)
    codes = read_codes(frames.rgb)
    assert 26 <= len(codes) < 30 and codes == sorted(set(codes))
    assert np.allclose(frames.times_s, np.array(codes) / 10, atol=MS)
    assert frames.lost_s == 0.0


def test_sound_longer_than_the_picture_is_not_a_loss(tmp_path: Path) -> None:
    for suffix in ("mp4", "mkv", "webm"):
        codec = {"codec": "libvpx-vp9", "options": {"cpu-used": "8"}} if suffix == "webm" else {}
        audio_s = 0 if suffix == "webm" else 4.0
        path = write_clip(tmp_path / f"clip.{suffix}", num_frames=10, audio_s=audio_s, **codec)
        frames = read_frames(path)
        assert frames.lost_s == 0.0 and frames.info.has_audio == bool(audio_s)


def test_nothing_is_upsampled(clips: dict[str, Path]) -> None:
    frames = read_frames(clips["h264"], target=FrameTarget(fps=60, short_side_px=1080, num_frames=None))
    assert frames.rgb.shape == (30, 48, 64, 3) and frames.fps == pytest.approx(10)


def test_of_a_single_frame_the_rate_is_the_lower_one(clips: dict[str, Path]) -> None:
    assert read_frames(clips["h264"], target=FrameTarget(fps=2, num_frames=1)).fps == 2
    assert read_frames(clips["h264"], target=FrameTarget(num_frames=1)).fps == pytest.approx(10)


def test_more_threads_give_the_same_frames(clips: dict[str, Path]) -> None:
    for name in ("h264 open GOP", "av1"):
        one, two = (read_frames(clips[name], threads=threads) for threads in (1, 2))
        assert np.array_equal(one.rgb, two.rgb) and np.array_equal(one.times_s, two.times_s)


@pytest.mark.parametrize("start", range(0, 60, 9))
def test_a_frame_is_the_same_pixels_however_it_is_reached(clips: dict[str, Path], start: int) -> None:
    every = read_frames(clips["h264 long GOP, B-frames"], target=EVERY_FRAME)
    one = read_frames(
        clips["h264 long GOP, B-frames"], start_s=start / 10, target=FrameTarget(fps=2, short_side_px=None)
    )
    assert np.array_equal(one.rgb, every.rgb[start::5][: len(one.rgb)]) and len(one.rgb) == len(range(start, 60, 5))


def test_skipping_frames_decodes_fewer_of_them(clips: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    import openuni.frames.reader as reader

    decoded = []
    plain = reader._decode

    def counting(context, packet):
        out = plain(context, packet)
        decoded.extend(out)
        return out

    monkeypatch.setattr(reader, "_decode", counting)
    read_frames(clips["h264 long GOP, B-frames"], target=FrameTarget(fps=1))
    assert len(decoded) < 45  # of 60; two of three B-frames are not referred to


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv420p10le"])
@pytest.mark.parametrize(
    ("size", "colour", "matrix", "full"),
    [
        ((64, 48), {"colorspace": 1, "color_range": 1}, "709", False),
        ((64, 48), {"colorspace": 5, "color_range": 1}, "601", False),
        ((64, 48), {"colorspace": 1, "color_range": 2}, "709", True),
        ((64, 48), {"colorspace": 9, "color_range": 1}, "2020", False),
        ((64, 48), {}, "601", False),
        ((1280, 64), {}, "709", False),
        ((64, 720), {}, "709", False),
        ((64, 576), {}, "601", False),
    ],
)
def test_flat_colours_follow_the_formula(tmp_path: Path, pix_fmt: str, size, colour, matrix: str, full: bool) -> None:
    y, u, v = 100, 90, 180
    path = _flat_yuv(tmp_path / "flat.mkv", size, pix_fmt, (y, u, v), colour)
    picture = read_frames(path, target=EVERY_FRAME).rgb[0]
    # 1 level: the formula's rounding, and 10 to 8 bit.
    assert np.abs(picture.astype(float) - _rgb_of(y, u, v, matrix, full)).max() <= 1.0


def test_a_colour_matrix_we_cannot_convert_is_refused(tmp_path: Path) -> None:
    path = _flat_yuv(tmp_path / "ycgco.mkv", (64, 48), "yuv420p", (100, 100, 100), {"colorspace": 8})
    with pytest.raises(DecodeError, match="colour matrix 8") as caught:
        read_frames(path)
    assert caught.value.reason == "unsupported_colour"


def test_downscaling_averages_the_source_pixels(tmp_path: Path) -> None:
    checks = np.indices((96, 128)).sum(0) % 2 * 255
    picture = np.repeat(checks[..., None], 3, axis=2).astype(np.uint8)
    path = write_clip(tmp_path / "checks.mkv", codec="ffv1", pix_fmt="yuv444p", pictures=[picture])
    small = read_frames(path, target=FrameTarget(short_side_px=48)).rgb
    assert small.shape == (1, 48, 64, 3) and np.abs(small.astype(int) - 127).max() <= 2  # a mean, no aliasing


def test_probe_says_what_is_in_the_file(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", num_frames=25, audio_s=1.0)
    info = probe(path)
    assert (info.width, info.height, info.num_frames, info.codec) == (64, 48, 25, "h264")
    assert (info.pix_fmt, info.bit_depth, info.rotation_deg, info.has_audio) == ("yuv420p", 8, 0, True)
    assert info.fps == pytest.approx(10, rel=0.01) and info.duration_s == pytest.approx(2.5, abs=0.05)
    assert not info.hdr and not info.interlaced and info.sample_aspect_ratio == 1.0
    ten = write_clip(tmp_path / "ten.mkv", codec="libx265", pix_fmt="yuv420p10le", options=QUIET_X265)
    assert (probe(ten).bit_depth, probe(ten).num_frames, probe(ten).codec) == (10, None, "hevc")
    assert probe(ten).duration_s == pytest.approx(3.0, abs=0.05)


def _bad_file(kind: str, folder: Path) -> Path:
    path = folder / f"{kind}.mp4"
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "text":
        path.write_text("This is not a video.\n" * 50)
    elif kind == "no_index":
        return cut(write_clip(folder / "whole.mp4"), path, 0.7)
    elif kind == "sound":
        return write_sound(path)
    elif kind == "frameless":
        return write_clip(path, silent=True, container_options={"movflags": "empty_moov+frag_keyframe"})
    elif kind == "playlist":
        write_clip(folder / "other.ts")
        path.write_text("#EXTM3U\n#EXTINF:3,\nother.ts\n#EXT-X-ENDLIST\n")
    elif kind == "noise":
        data = bytearray(write_clip(path, container_options={"movflags": "faststart"}).read_bytes())
        start = data.index(b"mdat") + 4
        data[start:] = np.random.default_rng(0).integers(0, 256, len(data) - start, dtype=np.uint8).tobytes()
        path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("kind", "reason", "message"),
    [
        ("missing", "file_missing", "missing.mp4 not found"),
        ("empty", "not_a_video", "is not a video that FFmpeg can open"),
        ("text", "not_a_video", "is not a video that FFmpeg can open"),
        ("playlist", "not_a_video", "is not a video that FFmpeg can open"),
        ("no_index", "not_a_video", "has neither pictures nor sound; is it a partial download"),
        ("sound", "no_video_stream", "no video stream that can be decoded; its streams: audio"),
        ("frameless", "no_frames", "a video stream without frames"),
        ("noise", "decode_failed", "none of its .*frames can be decoded"),
    ],
)
@pytest.mark.parametrize("read", [probe, read_frames])
def test_what_cannot_be_read_is_refused_with_its_reason(tmp_path: Path, kind, reason, message, read) -> None:
    path = _bad_file(kind, tmp_path)
    with pytest.raises(DecodeError, match=message) as caught:
        read(path)
    assert caught.value.reason == reason and str(path.name) in str(caught.value)


def test_a_span_behind_the_end_is_empty(clips: dict[str, Path]) -> None:
    with pytest.raises(DecodeError, match=r"no frame begins between 50\.000 s and 51\.000 s") as caught:
        read_frames(clips["h264 long GOP, B-frames"], start_s=50, end_s=51)
    assert caught.value.reason == "empty_span"


def test_a_span_that_ends_before_it_begins_is_a_mistake(clips: dict[str, Path]) -> None:
    with pytest.raises(ValueError, match=r"got start_s=2, end_s=1"):
        read_frames(clips["h264"], start_s=2, end_s=1)


def test_a_decode_error_survives_pickling() -> None:
    error = pickle.loads(pickle.dumps(DecodeError("no_frames", "a.mp4 has none.")))
    assert (error.reason, str(error)) == ("no_frames", "a.mp4 has none.")


def test_decord_agrees_on_the_frames_it_can_read(clips: dict[str, Path]) -> None:
    decord = pytest.importorskip("decord")
    for name in ("h264", "h264 long GOP, B-frames", "ffv1"):
        reader = decord.VideoReader(str(clips[name]), num_threads=1)
        theirs = reader.get_batch(range(len(reader))).asnumpy()
        ours = read_frames(clips[name], target=EVERY_FRAME).rgb
        assert theirs.shape == ours.shape and read_codes(theirs) == read_codes(ours)


def _flat_yuv(path: Path, size: tuple[int, int], pix_fmt: str, yuv: tuple[int, int, int], colour) -> Path:
    """Three lossless frames of one 8-bit YUV value, tagged as `colour` says."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=10)
        stream.width, stream.height, stream.pix_fmt = *size, pix_fmt
        for name, value in colour.items():
            setattr(stream.codec_context, name, value)
        for number in range(3):
            frame = av.VideoFrame(*size, pix_fmt)
            for plane, value in zip(frame.planes, yuv, strict=True):
                level, dtype = (value * 4, np.uint16) if "10" in pix_fmt else (value, np.uint8)
                plane.update(np.full(plane.buffer_size // np.dtype(dtype).itemsize, level, dtype).tobytes())
            frame.pts = number
            for name, value in colour.items():
                setattr(frame, name, value)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def _rgb_of(y: float, u: float, v: float, matrix: str, full: bool) -> np.ndarray:
    """R, G, B in 0..255 of an 8-bit YUV value: ITU-T H.273, equations 38 to 58, written out."""
    k_r, k_b = {"709": (0.2126, 0.0722), "601": (0.299, 0.114), "2020": (0.2627, 0.0593)}[matrix]
    luma, chroma = (255, 255) if full else (219, 224)
    y, u, v = (y - (0 if full else 16)) / luma, (u - 128) / chroma, (v - 128) / chroma
    red, blue = y + 2 * (1 - k_r) * v, y + 2 * (1 - k_b) * u
    green = (y - k_r * red - k_b * blue) / (1 - k_r - k_b)
    return np.clip(np.array([red, green, blue]) * 255, 0, 255)
