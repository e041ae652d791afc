"""Tiny videos for tests, made on the spot. Each frame carries its own number, drawn as eight black or white blocks."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

COLUMNS, ROWS = 4, 2
"""The grid of blocks; block k is bit k, row by row."""
TICKS_PER_S = 1000
OPEN_GOP = {"x264-params": "open-gop=1:keyint=12:min-keyint=12:scenecut=0:bframes=3:b-adapt=0:b-pyramid=normal"}
LONG_GOP = {"x264-params": "keyint=1000:min-keyint=1000:scenecut=0:bframes=3:b-adapt=0"}


def coded_picture(number: int, *, width: int = 64, height: int = 48) -> np.ndarray:
    """Draw a number from 0 to 255: (H, W, 3) uint8, gray levels 30 and 220."""
    picture = np.full((height, width, 3), 30, np.uint8)
    for bit in range(COLUMNS * ROWS):
        if number >> bit & 1:
            row, column = divmod(bit, COLUMNS)
            rows = slice(row * height // ROWS, (row + 1) * height // ROWS)
            columns = slice(column * width // COLUMNS, (column + 1) * width // COLUMNS)
            picture[rows, columns] = 220
    return picture


def read_code(picture: np.ndarray) -> int:
    """Read the number that `coded_picture` drew, at any size."""
    height, width = picture.shape[:2]
    number = 0
    for bit in range(COLUMNS * ROWS):
        row, column = divmod(bit, COLUMNS)
        y, x = (2 * row + 1) * height // (2 * ROWS), (2 * column + 1) * width // (2 * COLUMNS)
        number |= int(picture[y, x].mean() > 125) << bit
    return number


def read_codes(rgb: np.ndarray) -> list[int]:
    """Read the numbers of (T, H, W, 3) frames."""
    return [read_code(picture) for picture in rgb]


def write_clip(
    path: Path,
    *,
    codec: str = "libx264",
    pictures: Sequence[np.ndarray] | None = None,
    num_frames: int = 30,
    fps: int = 10,
    width: int = 64,
    height: int = 48,
    pix_fmt: str = "yuv420p",
    times_s: Sequence[float] | None = None,
    shift_s: float = 0.0,
    display_matrix: Sequence[int] | None = None,
    sample_aspect_ratio: Fraction | None = None,
    colour: Mapping[str, int] | None = None,
    audio_s: float = 0.0,
    options: Mapping[str, str] | None = None,
    container_options: Mapping[str, str] | None = None,
    metadata: Mapping[str, str] | None = None,
    silent: bool = False,
) -> Path:
    """Encode a clip.

    Args:
        path: what to write; its suffix names the container.
        codec: PyAV's name of an encoder.
        pictures: (H, W, 3) uint8 each; None: `num_frames` coded pictures.
        num_frames: if `pictures` is None.
        fps: of the encoder, and of the frames if `times_s` is None.
        width: of coded pictures.
        height: of coded pictures.
        pix_fmt: what the encoder gets.
        times_s: presentation time of each frame; None: constant rate.
        shift_s: added to every packet's times after encoding. In mp4 a negative shift becomes an edit list that
            hides the frames before 0.
        display_matrix: nine integers as in ISO 14496-12, 6.2.2.
        sample_aspect_ratio: pixel width over height.
        colour: attributes of the encoder: colorspace, color_range.
        audio_s: seconds of silence in a sound track; 0: no track.
        options: the encoder's.
        container_options: the muxer's.
        metadata: the container's tags.
        silent: write the headers and no frame.
    """
    import av

    if pictures is None:
        pictures = [coded_picture(number, width=width, height=height) for number in range(num_frames)]
    with av.open(str(path), "w", options=dict(container_options or {})) as container:
        container.metadata.update(metadata or {})
        stream = container.add_stream(codec, rate=fps, options=dict(options or {}))
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = pix_fmt
        tick = Fraction(1, fps if times_s is None else TICKS_PER_S)
        stream.codec_context.time_base = tick
        stream.codec_context.thread_count = 1
        if display_matrix is not None:
            stream.set_display_matrix(display_matrix)
        if sample_aspect_ratio is not None:
            stream.codec_context.sample_aspect_ratio = sample_aspect_ratio
        for name, value in (colour or {}).items():
            setattr(stream.codec_context, name, value)
        sound = container.add_stream("aac", rate=16000, layout="mono") if audio_s else None
        if sound is not None:
            _write_silence(container, sound, audio_s)
        container.start_encoding()
        for number, picture in enumerate([] if silent else pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.time_base = tick
            frame.pts = number if times_s is None else round(times_s[number] / tick)
            _mux(container, stream.encode(frame), shift_s)
        if not silent:
            _mux(container, stream.encode(None), shift_s)
    return path


def write_sound(path: Path, seconds: float = 1.0) -> Path:
    """Write a file that has sound and no picture."""
    import av

    with av.open(str(path), "w") as container:
        _write_silence(container, container.add_stream("aac", rate=16000, layout="mono"), seconds)
    return path


def cut(path: Path, into: Path, fraction: float) -> Path:
    """Copy the first part of a file's bytes."""
    data = path.read_bytes()
    into.write_bytes(data[: int(len(data) * fraction)])
    return into


def spoil_title(path: Path, into: Path, title: str) -> Path:
    """Copy a file with two bytes of a title replaced by ones that are not UTF-8."""
    data = path.read_bytes()
    assert data.count(title.encode()) == 1
    into.write_bytes(data.replace(title.encode(), b"\xff\xfe" + title.encode()[2:]))
    return into


def _mux(container, packets, shift_s: float) -> None:  # type: ignore[no-untyped-def]
    for packet in packets:
        ticks = round(shift_s / float(packet.time_base))
        packet.pts += ticks
        packet.dts += ticks
        container.mux(packet)


def _write_silence(container, stream, seconds: float) -> None:  # type: ignore[no-untyped-def]
    import av

    for number in range(round(seconds * 16000 / 1024)):
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 16000, number * 1024
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))
