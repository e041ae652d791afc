"""Video bytes in memory: FFV1 for exact gray values, H.264 mp4 for frames that people and trainers watch.

Equal frames give equal bytes: one encoder thread, bit-exact flags on codec and muxer, no encoder version in the
stream. That holds for one FFmpeg build; another one may choose other bits for the same frames.
"""

import io
import tempfile
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from openuni.errors import BadInput

GRAY_FORMATS = {"gray": (np.uint8, 8), "gray12le": (np.uint16, 12), "gray16le": (np.uint16, 16)}
"""FFmpeg's name of a pixel format -> numpy dtype, bits."""
MICROSECONDS = Fraction(1, 1_000_000)  # Time base of mp4: holds any frame time within 0.5 us.
NOMINAL_FPS = 25  # ours: Matroska needs a rate; a map's times are in its json, so its mkv's have no meaning.
CRF = 18  # x264, "visually lossless"; docs/codecs.md has the measured error.
BT709 = 1  # AVCOL_SPC_BT709, AVCOL_PRI_BT709 and AVCOL_TRC_BT709 are all 1.
LIMITED_RANGE = 1  # AVCOL_RANGE_MPEG
REMOVE_SEI = "filter_units=remove_types=6"  # x264 writes its version and settings in an SEI unit (H.264 type 6).


class DecodedVideo(NamedTuple):
    """Frames with their times."""

    frames: np.ndarray
    """(T, H, W, 3) uint8 RGB."""
    times_s: np.ndarray
    """(T,) float64 seconds, as stored; 0 at the first frame of what this file encodes."""


def encode_gray(frames: np.ndarray, *, codec: str = "ffv1", pix_fmt: str = "gray") -> bytes:
    """Encode gray frames without loss as Matroska.

    Args:
        frames: (T, H, W) uint8 for "gray", uint16 for "gray12le" (values below 4096) and "gray16le". T, H, W >= 1,
            odd sizes included.
        codec: an FFmpeg encoder. Others than ffv1 must be set to full range to be exact, so only ffv1 is taken.
        pix_fmt: a key of GRAY_FORMATS.

    Returns:
        The file's bytes; the same for the same frames.

    Raises:
        ValueError: codec, pixel format, shape, dtype or a value does not fit.
    """
    if codec != "ffv1":
        raise ValueError(f"codec must be 'ffv1', got {codec!r}: others change gray values unless set to full range")
    if pix_fmt not in GRAY_FORMATS:
        raise ValueError(f"pix_fmt must be one of {', '.join(GRAY_FORMATS)}, got {pix_fmt!r}")
    dtype, bits = GRAY_FORMATS[pix_fmt]
    if frames.ndim != 3 or frames.dtype != dtype or frames.size == 0:
        given = f"{frames.shape} {frames.dtype}"
        raise ValueError(f"{pix_fmt} frames must be non-empty (T, H, W) {dtype.__name__}, got {given}")
    if bits == 12 and frames.max() >= 4096:
        raise ValueError(f"gray12le values must be below 4096, got {frames.max()}: store them as gray16le")
    return _encode_ffv1(frames, pix_fmt, lambda frame: _video_frame(frame, pix_fmt))


def decode_gray(content: bytes) -> np.ndarray:
    """Decode what `encode_gray` gave.

    Args:
        content: a video file with one gray stream.

    Returns:
        (T, H, W) uint8 for 8-bit gray, uint16 else.

    Raises:
        ValueError: the bytes are no video or are not gray. FFmpeg conceals damage inside a frame and a missing end:
            the codecs in openuni/codec/ therefore keep a checksum of each member.
    """

    def to_array(frame: Any) -> np.ndarray:
        if frame.format.name not in GRAY_FORMATS:
            given = frame.format.name
            raise ValueError(f"expected a gray video ({', '.join(GRAY_FORMATS)}), got {given}: use decode_rgb")
        array: np.ndarray = frame.to_ndarray()
        return array

    return np.stack([to_array(frame) for frame in _decoded(content)])


def encode_rgb_mp4(
    frames: np.ndarray, *, fps: float | None = None, times_s: Sequence[float] | None = None, crf: int = CRF
) -> bytes:
    """Encode RGB frames as H.264 mp4 (libx264 medium, yuv420p, BT.709 limited range, index at the front).

    Args:
        frames: (T, H, W, 3) uint8 RGB; H and W even, because yuv420p halves the colour planes.
        fps: frames per second, for evenly spaced frames. Either this or `times_s`.
        times_s: (T,) increasing times in seconds, any spacing. The file starts at 0: times_s[0] is subtracted.
        crf: x264's constant rate factor; 0 to 51, smaller is better.

    Returns:
        The file's bytes; the same for the same arguments. Times are exact to 0.5 us.

    Raises:
        ValueError: a shape, dtype or time does not fit.
    """
    _check_rgb(frames)
    _, height, width, _ = frames.shape
    if height % 2 or width % 2:
        raise ValueError(
            f"mp4 frames must have even height and width (yuv420p), got {height} x {width}: "
            f"crop to {height - height % 2} x {width - width % 2}"
        )
    pts = _timestamps(len(frames), fps, times_s)
    # The muxer can move the index to the front only in a file it can open again, so not in memory.
    with tempfile.TemporaryDirectory(prefix="openuni-") as folder:
        path = Path(folder) / "video.mp4"
        _write_mp4(path, frames, pts, crf, fps)
        return path.read_bytes()


def encode_rgb_lossless(frames: np.ndarray) -> bytes:
    """Encode RGB frames without loss (FFV1 bgr0 in Matroska), for tests and for colour that must stay exact.

    Args:
        frames: (T, H, W, 3) uint8 RGB, any H and W.

    Returns:
        The file's bytes; `decode_rgb` gives the same frames back, at NOMINAL_FPS.

    Raises:
        ValueError: the shape or dtype does not fit.
    """
    _check_rgb(frames)
    return _encode_ffv1(frames, "bgr0", lambda frame: _video_frame(frame, "rgb24").reformat(format="bgr0"))


def decode_rgb(content: bytes) -> DecodedVideo:
    """Decode every frame of a video as RGB, with the colour matrix that the file states.

    Args:
        content: a video file that FFmpeg knows.

    Returns:
        Frames and their times, in the order of display.

    Raises:
        ValueError: the bytes are no video, or FFmpeg finds them damaged.
    """
    to_rgb = _reformatter()
    frames, times = [], []
    for frame in _decoded(content):
        frames.append(to_rgb(frame, format="rgb24").to_ndarray())
        times.append(float(frame.pts * frame.time_base))
    return DecodedVideo(np.stack(frames), np.array(times))


def decode_rgb_decord(content: bytes) -> np.ndarray:
    """Decode every frame of an H.264 mp4 as RGB with decord: cheaper than `decode_rgb`, colours not exact.

    For trainers that read many samples: perf/reader.py has the figures. decord rounds down when it converts, so that
    frames come out about one level of 255 darker. It gives no times; a sample's json has them.

    Args:
        content: an mp4 as `encode_rgb_mp4` writes it.

    Returns:
        (T, H, W, 3) uint8, in the order of display.

    Raises:
        BadInput: decord is not installed (it has no wheels for ARM and macOS).
        ValueError: decord cannot read the bytes.
    """
    try:
        import decord
    except ImportError as error:
        raise BadInput("decord is not installed here; read frames with the decoder 'pyav'.") from error
    try:
        reader = decord.VideoReader(io.BytesIO(content), num_threads=1)
        return reader.get_batch(range(len(reader))).asnumpy()
    except (decord.DECORDError, RuntimeError) as error:
        raise ValueError(f"decord cannot read this video of {len(content)} bytes") from error


def _check_rgb(frames: np.ndarray) -> None:
    if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8 or frames.size == 0:
        raise ValueError(f"frames must be non-empty (T, H, W, 3) uint8, got {frames.shape} {frames.dtype}")


def _timestamps(count: int, fps: float | None, times_s: Sequence[float] | None) -> list[int]:
    """Return one microsecond count for each frame, 0 at the first."""
    if (fps is None) == (times_s is None):
        raise ValueError(f"give either fps or times_s, got {'neither' if fps is None else 'both'}")
    if fps is not None and not (np.isfinite(fps) and fps > 0):
        raise ValueError(f"fps must be a positive number, got {fps}")
    seconds = np.arange(count) / fps if fps is not None else np.asarray(times_s, dtype=np.float64)
    if seconds.shape != (count,) or not np.isfinite(seconds).all():
        raise ValueError(f"times_s must be {count} finite numbers, one for each frame, got shape {seconds.shape}")
    pts = np.round((seconds - seconds[0]) / float(MICROSECONDS)).astype(np.int64)
    if (np.diff(pts) <= 0).any():
        raise ValueError("times_s must increase by at least 1 us from frame to frame: sort them and drop duplicates")
    return [int(value) for value in pts]


def _write_mp4(path: Path, frames: np.ndarray, pts: list[int], crf: int, fps: float | None) -> None:
    import av

    # The rate only steers x264's bit allocation; the times are the pts.
    mean = Fraction(len(pts) - 1, pts[-1]) / MICROSECONDS if len(pts) > 1 else Fraction(NOMINAL_FPS)
    rate = (Fraction(fps) if fps is not None else mean).limit_denominator(100_000)
    muxing = {"fflags": "+bitexact", "movflags": "+faststart", "video_track_timescale": str(MICROSECONDS.denominator)}
    with av.open(str(path), "w", format="mp4", options=muxing) as container:
        # cpu-independent: x264 otherwise picks slightly different algorithms on different processors.
        x264 = "cpu-independent=1:threads=1"
        coding = {"crf": str(crf), "preset": "medium", "flags": "+bitexact", "x264-params": x264}
        stream = container.add_stream("libx264", rate=rate, options=coding)
        stream.height, stream.width, stream.pix_fmt = *frames.shape[1:3], "yuv420p"
        context = stream.codec_context
        context.thread_count = 1
        context.time_base = stream.time_base = MICROSECONDS
        context.colorspace = context.color_primaries = context.color_trc = BT709
        context.color_range = LIMITED_RANGE
        without_sei = av.BitStreamFilterContext(REMOVE_SEI, in_stream=stream)
        to_yuv = _reformatter()

        # The muxer cannot know how long the last frame stays: as long as the one before it.
        last = pts[-1] - pts[-2] if len(pts) > 1 else round(1 / rate / MICROSECONDS)
        durations = dict(zip(pts, [*np.diff(pts).tolist(), last], strict=True))

        def mux(packets: Any) -> None:
            for packet in packets:
                packet.stream = stream
                packet.duration = durations[packet.pts]
                container.mux(packet)

        for frame, time in zip(frames, pts, strict=True):
            picture = to_yuv(
                _video_frame(frame, "rgb24"), format="yuv420p", dst_colorspace=BT709, dst_color_range=LIMITED_RANGE
            )
            picture.pts, picture.time_base = time, MICROSECONDS
            for packet in stream.encode(picture):
                mux(without_sei.filter(packet))
        for packet in stream.encode():
            mux(without_sei.filter(packet))
        mux(without_sei.filter(None))


def _encode_ffv1(frames: np.ndarray, pix_fmt: str, to_picture: Callable[[np.ndarray], Any]) -> bytes:
    import av

    height, width = frames.shape[1:3]
    if min(height, width) == 1 and (height > 288 or width > 352):
        raise ValueError(f"FFV1 cannot store frames of {height} x {width}: one pixel wide or high is not for video")
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="matroska", options={"fflags": "+bitexact"}) as container:
        # FFmpeg takes one slice only for frames up to 352 x 288, and four only for frames of 2 x 2 and more.
        slices = 1 if width <= 352 and height <= 288 else 4
        coding = {"flags": "+bitexact", "level": "3", "slices": str(slices)}
        stream = container.add_stream("ffv1", rate=NOMINAL_FPS, options=coding)
        stream.height, stream.width, stream.pix_fmt = height, width, pix_fmt
        stream.codec_context.thread_count = 1
        for frame in frames:
            container.mux(stream.encode(to_picture(frame)))
        container.mux(stream.encode())
    return buffer.getvalue()


def _video_frame(array: np.ndarray, pix_fmt: str) -> Any:
    import av

    return av.VideoFrame.from_ndarray(np.ascontiguousarray(array), format=pix_fmt)


def _reformatter() -> Callable[..., Any]:
    """Return swscale's conversion with rounding that is the same on every processor."""
    from av.video.reformatter import Interpolation, VideoReformatter

    exact = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT | Interpolation.BITEXACT
    reformatter = VideoReformatter()
    # One thread: handing a small frame to others takes longer than converting it, and a large one gains nothing.
    return lambda frame, **to: reformatter.reformat(frame, interpolation=exact, threads=1, **to)


def _decoded(content: bytes) -> Iterator[Any]:
    """Yield the frames of the first video stream. ValueError where there is none, or damage."""
    import av

    count = 0
    try:
        with av.open(io.BytesIO(content), "r") as container:
            if not container.streams.video:
                raise ValueError(f"expected a video file, got {len(content)} bytes without a video stream")
            stream = container.streams.video[0]
            stream.codec_context.thread_count = 1
            for frame in container.decode(stream):
                count += 1
                yield frame
    except av.FFmpegError as error:
        size = len(content)
        raise ValueError(f"not a readable video ({size} bytes, failed after {count} frames): {error}") from error
    if count == 0:
        raise ValueError(f"expected a video file, got {len(content)} bytes without a frame")
