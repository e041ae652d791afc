"""Video bytes: exact where they claim it, deterministic, times kept."""

import io

import numpy as np
import pytest

from openuni.video import decode_gray, decode_rgb, encode_gray, encode_rgb_lossless, encode_rgb_mp4


def noise(shape, top=256, dtype=np.uint8, seed=0):
    return np.random.default_rng(seed).integers(0, top, shape).astype(dtype)


def moving_ramp(frames=6, height=48, width=64):
    rows, columns = np.mgrid[:height, :width]
    return np.stack([np.stack([2 * columns + 3 * t, 3 * rows, rows + columns], axis=-1) for t in range(frames)]).astype(
        np.uint8
    )


GRAYS = [("gray", 256, np.uint8), ("gray12le", 4096, np.uint16), ("gray16le", 65536, np.uint16)]


@pytest.mark.parametrize(("pix_fmt", "top", "dtype"), GRAYS)
@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 5, 1), (3, 33, 47), (1, 290, 355)])
def test_gray_comes_back_exactly_at_any_size(pix_fmt, top, dtype, shape):
    frames = noise(shape, top, dtype)
    frames.flat[0], frames.flat[-1] = 0, top - 1
    decoded = decode_gray(encode_gray(frames, pix_fmt=pix_fmt))
    assert decoded.dtype == dtype
    np.testing.assert_array_equal(decoded, frames)


def test_lossless_rgb_comes_back_exactly_at_odd_size():
    frames = noise((2, 31, 45, 3))
    np.testing.assert_array_equal(decode_rgb(encode_rgb_lossless(frames)).frames, frames)


@pytest.mark.parametrize(
    "encode",
    [
        lambda frames: encode_gray(frames[..., 0]),
        encode_rgb_lossless,
        lambda frames: encode_rgb_mp4(frames, fps=16),
        lambda frames: encode_rgb_mp4(frames, times_s=[0.0, 0.04, 0.11, 0.12, 0.2, 0.3]),
    ],
)
def test_equal_frames_give_equal_bytes_without_encoder_versions(encode):
    first, second = encode(moving_ramp()), encode(moving_ramp())
    assert first == second
    # FFmpeg writes "Lavf62.3.100" and "Lavc62.11.100", x264 "x264 - core 165 ..."; bare "Lavf" says no version.
    assert not any(word in first for word in (b"x264", b"Lavc", b"Lavf6", b"Lavf7"))


def test_mp4_keeps_uneven_times_from_its_first_frame_on():
    times = np.array([7.5, 7.5417, 7.6, 7.7333333, 7.75, 9.0])
    decoded = decode_rgb(encode_rgb_mp4(moving_ramp(), times_s=times))
    np.testing.assert_allclose(decoded.times_s, times - 7.5, atol=1e-6)  # stored in whole microseconds


@pytest.mark.parametrize("frames", [1, 2, 6])
def test_mp4_lasts_frames_over_fps(frames):
    import av

    content = encode_rgb_mp4(moving_ramp(frames), fps=16)
    with av.open(io.BytesIO(content)) as container:
        assert container.duration == pytest.approx(frames / 16 * 1e6, abs=1000)  # the movie header counts ms
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert stream.codec_context.colorspace == 1  # BT.709
        assert stream.codec_context.color_range == 1  # limited
    assert content.index(b"moov") < content.index(b"mdat")


def test_mp4_colours_are_right():
    # Flat patches: no chroma subsampling error, only 8-bit YCbCr rounding and crf 18.
    colours = np.array([(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (10, 200, 120)], dtype=np.uint8)
    frames = np.repeat(np.repeat(colours, 32, axis=0)[None, None], 32, axis=1).repeat(3, axis=0)
    decoded = decode_rgb(encode_rgb_mp4(frames, fps=16)).frames
    centres = decoded[:, 16, 16::32].astype(int) - colours
    assert np.abs(centres).max() <= 3  # measured 1; BT.601 instead of BT.709 would be off by more than 20


def test_mp4_is_close_at_crf_18_and_closer_at_0():
    frames = moving_ramp()
    decoded = [decode_rgb(encode_rgb_mp4(frames, fps=16, crf=crf)).frames for crf in (0, 18, 40)]
    errors = [np.abs(one.astype(int) - frames).mean() for one in decoded]
    assert errors[0] < errors[1] < errors[2]
    assert errors[1] < 2.0  # measured 1.0 levels of 255


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: encode_rgb_mp4(noise((2, 31, 45, 3)), fps=16), "even height and width .*got 31 x 45: crop to 30 x 44"),
        (lambda: encode_rgb_mp4(noise((2, 32, 32, 3))), "give either fps or times_s"),
        (lambda: encode_rgb_mp4(noise((2, 32, 32, 3)), fps=0), "fps must be a positive number, got 0"),
        (lambda: encode_rgb_mp4(noise((2, 32, 32, 3)), times_s=[0.0]), "times_s must be 2 finite numbers"),
        (lambda: encode_rgb_mp4(noise((2, 32, 32, 3)), times_s=[1.0, 1.0]), "increase by at least 1 us"),
        (lambda: encode_rgb_mp4(noise((2, 32, 32)), fps=16), r"\(T, H, W, 3\) uint8, got \(2, 32, 32\)"),
        (lambda: encode_gray(noise((2, 4, 4)), pix_fmt="gray12le"), r"\(T, H, W\) uint16, got \(2, 4, 4\) uint8"),
        (lambda: encode_gray(noise((2, 4, 4), 9000, np.uint16) + np.uint16(5000), pix_fmt="gray12le"), "below 4096"),
        (lambda: encode_gray(noise((2, 4, 4)), pix_fmt="gray9"), "pix_fmt must be one of gray, gray12le"),
        (lambda: encode_gray(noise((2, 4, 4)), codec="libx265"), "codec must be 'ffv1', got 'libx265'"),
        (lambda: encode_gray(noise((0, 4, 4))), "non-empty"),
        (lambda: encode_gray(noise((1, 400, 1))), "FFV1 cannot store frames of 400 x 1"),
        (lambda: decode_gray(b""), r"not a readable video \(0 bytes"),
        (lambda: decode_rgb(b"no video at all"), "not a readable video"),
        (lambda: decode_gray(encode_rgb_lossless(noise((1, 4, 4, 3)))), "expected a gray video .*bgr0: use decode_rgb"),
        (lambda: decode_rgb(encode_rgb_mp4(moving_ramp(), fps=16)[:-400]), "without a frame|not a readable"),
    ],
)
def test_wrong_input_says_what_to_do(call, message):
    with pytest.raises(ValueError, match=message):
        call()
