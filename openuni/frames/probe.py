"""Probe: open a video container and say what is in it.

Rotation is the one fact that PyAV gives only with a decoded frame, so `probe` decodes the first frame.
"""

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from openuni.frames.errors import DecodeError

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

THREADS = 1
"""Decoder threads of one reader. Workers are parallel over clips, so one thread each wastes least."""
HDR_TRANSFERS = (16, 18)  # SMPTE ST 2084 (PQ) and ARIB STD-B67 (HLG): transfer codes 16, 18 of ITU-T H.273.


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoInfo:
    """What a container says about its video stream."""

    width: int
    """As displayed, px: after rotation, and with square pixels (the longer pixel side is shrunk, none stretched)."""
    height: int
    coded_width: int
    """As stored, px: before rotation and aspect correction."""
    coded_height: int
    fps: float
    """Average frame rate. NaN if the container does not say."""
    duration_s: float
    """Of the video stream, else of the file. NaN if the container does not say."""
    num_frames: int | None
    """As declared. None if the container does not say (Matroska, fragmented mp4)."""
    codec: str
    """FFmpeg's name: h264, hevc, av1, vp9, ..."""
    pix_fmt: str
    bit_depth: int
    rotation_deg: int
    """0, 90, 180 or 270: how far pictures must be turned clockwise for display."""
    mirrored: bool
    """Whether pictures must be mirrored left to right for display, before they are turned."""
    sample_aspect_ratio: float
    """Width of a stored pixel over its height; 1.0 if the container does not say."""
    interlaced: bool
    """The stream is marked as interlaced. Frames are given as they are stored, both fields woven."""
    hdr: bool
    """PQ or HLG transfer: RGB is then not tone-mapped and looks flat."""
    has_audio: bool


class Orientation(NamedTuple):
    """How a stored picture is brought upright: mirror first, then turn."""

    rotation_deg: int
    mirrored: bool


def probe(path: str | os.PathLike[str]) -> VideoInfo:
    """Read what a video file says about itself.

    Args:
        path: the file.

    Raises:
        DecodeError: file_missing, not_a_video, no_video_stream, no_frames, decode_failed.
    """
    with open_container(path) as container:
        stream = video_stream(container, path)
        return video_info(container, stream, orientation_of(first_frame(container, stream, path)))


def open_container(path: str | os.PathLike[str]) -> "InputContainer":
    """Open a file with PyAV.

    Raises:
        DecodeError: file_missing, not_a_video.
    """
    import av

    path = Path(path)
    if not path.is_file():
        raise DecodeError("file_missing", f"{path} not found. Give the path of a video file.")
    try:
        # The prefix and the whitelist: neither a name with a colon nor a playlist inside a file may lead to other
        # files or the network. metadata_errors: titles that are not UTF-8 are common and must not stop us.
        return av.open(f"file:{path}", metadata_errors="replace", options={"protocol_whitelist": "file"})
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise DecodeError("not_a_video", f"{path} is not a video that FFmpeg can open: {error}.") from error


def video_stream(container: "InputContainer", path: str | os.PathLike[str]) -> "VideoStream":
    """Return the first video stream that is no cover picture.

    Raises:
        DecodeError: no_video_stream; not_a_video if there is no stream of pictures or sound at all.
    """
    from av.stream import Disposition

    for stream in container.streams.video:
        # A stream whose codec this FFmpeg does not know has no context.
        if not stream.disposition & Disposition.attached_pic and stream.codec_context is not None:
            return stream
    kinds = ", ".join(sorted({stream.type for stream in container.streams})) or "none"
    if not (container.streams.video or container.streams.audio):
        # What FFmpeg makes of an mp4 that was cut before its index.
        raise DecodeError("not_a_video", f"{path} has neither pictures nor sound; is it a partial download?")
    raise DecodeError("no_video_stream", f"{path} has no video stream that can be decoded; its streams: {kinds}.")


def first_frame(container: "InputContainer", stream: "VideoStream", path: str | os.PathLike[str]) -> "VideoFrame":
    """Decode the first frame.

    Raises:
        DecodeError: no_frames, decode_failed.
    """
    import av

    stream.codec_context.thread_count = THREADS
    tried = False
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
            tried = tried or packet.size > 0
            for frame in stream.decode(packet):
                return frame
        except (StopIteration, EOFError):
            break
        except (av.error.FFmpegError, OSError):
            continue  # A damaged packet; a later one may be whole. The demuxer ends at the end of the file.
    if not tried:
        raise DecodeError("no_frames", f"{path} has a video stream without frames.")
    raise DecodeError("decode_failed", f"{path}: none of its frames can be decoded.")


def orientation_of(frame: "VideoFrame") -> Orientation:
    """Read a frame's display matrix.

    The matrix sends a stored pixel (p, q) to (a p + c q, b p + d q), x to the right, y down (ISO 14496-12, 6.2.2).
    Angles are rounded to quarter turns.
    """
    from av.sidedata.sidedata import Type

    matrix = frame.side_data.get(Type.DISPLAYMATRIX)  # type: ignore[call-overload]
    if matrix is None:
        return Orientation(0, False)
    a, b, _, c, d = np.frombuffer(bytes(matrix), dtype=np.int32)[:5].astype(float)
    mirrored = a * d - b * c < 0
    if mirrored:
        a, b = -a, -b
    return Orientation(round(math.degrees(math.atan2(b, a)) / 90) * 90 % 360, bool(mirrored))


def video_info(container: "InputContainer", stream: "VideoStream", orientation: Orientation) -> VideoInfo:
    """Collect the facts of an opened container."""
    context = stream.codec_context
    aspect = float(stream.sample_aspect_ratio or 1) or 1.0
    # Never upsample: oblong pixels are made square by shrinking their longer side.
    width = context.width if aspect >= 1 else max(1, round(context.width * aspect))
    height = context.height if aspect <= 1 else max(1, round(context.height / aspect))
    if orientation.rotation_deg in (90, 270):
        width, height = height, width
    return VideoInfo(
        width=width,
        height=height,
        coded_width=context.width,
        coded_height=context.height,
        fps=float(stream.average_rate) if stream.average_rate else math.nan,
        duration_s=declared_end_s(container, stream),
        num_frames=stream.frames or None,
        codec=context.codec.canonical_name,
        pix_fmt=context.pix_fmt or "",
        bit_depth=context.format.components[0].bits if context.format else 8,
        rotation_deg=orientation.rotation_deg,
        mirrored=orientation.mirrored,
        sample_aspect_ratio=aspect,
        interlaced=int(context.field_order or 0) > 1,  # AVFieldOrder: 0 unknown, 1 progressive
        hdr=int(context.color_trc or 0) in HDR_TRANSFERS,
        has_audio=bool(container.streams.audio),
    )


def start_s(stream: "VideoStream") -> float:
    """Presentation time of the stream's first frame on the file's clock; 0.0 if the container does not say."""
    return float(stream.start_time * stream.time_base) if stream.start_time and stream.time_base else 0.0


def declared_end_s(container: "InputContainer", stream: "VideoStream") -> float:
    """End of the video stream as declared, seconds after its first frame. NaN if the container does not say."""
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    for name, value in stream.metadata.items():
        if name.upper().startswith("DURATION"):  # Matroska writes the stream's end as a tag, "00:00:05.005000000".
            return _clock_s(value) - start_s(stream)
    if container.duration:
        return ((container.start_time or 0) + container.duration) / 1e6 - start_s(stream)
    return math.nan


def _clock_s(text: str) -> float:
    """Seconds of "H:MM:SS.fraction"; NaN for anything else."""
    try:
        hours, minutes, seconds = (float(part) for part in text.split(":"))
    except ValueError:
        return math.nan
    return hours * 3600 + minutes * 60 + seconds
