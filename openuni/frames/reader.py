"""Reader: the frames of a clip that a target asks for, with their true times.

Times are seconds inside the file, counted from the first frame that is shown: a stream that starts at 0.066 s on the
file's clock begins at 0 here. Spans (start_s, end_s) count the same way.

Two ways through a file. The quick one lists packets, picks frames by time, and decodes what those depend on. Where
packets have no usable times, or a frame that should be there does not come out, the thorough one decodes all
of the file twice: once for the times of everything that can be decoded, once for the pictures.
"""

import logging
import math
import os
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from openuni.frames.colour import RgbConverter
from openuni.frames.errors import DecodeError
from openuni.frames.packets import LOST_MIN_S, Scan, again, packets, promised_end_s, scan
from openuni.frames.probe import THREADS, VideoInfo, open_container, orientation_of, video_info, video_stream
from openuni.frames.target import FrameTarget, Size, frames_in_span, output_size, pick

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.codeccontext import VideoCodecContext
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

logger = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class Frames:
    """Frames of one clip."""

    rgb: np.ndarray
    """(T, H, W, 3) uint8, upright, square pixels."""
    times_s: np.ndarray
    """(T,) float64, strictly ascending: presentation times inside the file; its first shown frame is at 0."""
    numbers: np.ndarray
    """(T,) int64, strictly ascending: which frames of the span these are, counted from 0."""
    source_times_s: np.ndarray
    """(N,) float64, strictly ascending: the times of every frame of the span, taken or not."""
    info: VideoInfo
    fps: float
    """Effective: (T - 1) / (times_s[-1] - times_s[0]). Of one frame: the lower of the target's and the source's."""
    lost_s: float
    """Seconds at the end of the span that the container promised and that could not be decoded. 0.0 when whole."""
    decoder: str = "pyav"


def read_frames(
    path: str | os.PathLike[str],
    *,
    start_s: float = 0.0,
    end_s: float | None = None,
    target: FrameTarget = FrameTarget(),  # noqa: B008 - frozen
    threads: int = THREADS,
) -> Frames:
    """Read the frames of one clip.

    What can be read of a damaged file is given; `lost_s` says how much of its end is missing. Frames that the decoder
    itself calls corrupt are left out. 10-bit video becomes 8-bit; HDR is not tone-mapped (see VideoInfo.hdr).

    Args:
        path: a video file.
        start_s: start of the clip inside the file, seconds. Frames that begin in [start_s, end_s) belong to it.
        end_s: its end, exclusive. None: the end of the file.
        target: rate, size and number of frames, at most.
        threads: decoder threads.

    Returns:
        At least one frame.

    Raises:
        DecodeError: its `reason` is a key of openuni.frames.errors.REASONS.
        ValueError: start_s is negative, or end_s is not after it.
    """
    return read_many(path, start_s=start_s, end_s=end_s, targets=(target,), threads=threads)[0]


def read_many(
    path: str | os.PathLike[str],
    *,
    start_s: float = 0.0,
    end_s: float | None = None,
    targets: Sequence[FrameTarget],
    threads: int = THREADS,
) -> list[Frames]:
    """Read the frames of one clip for several targets in one decode.

    Args and errors are those of `read_frames`.

    Returns:
        For each target what `read_frames` would give.
    """
    if start_s < 0 or (end_s is not None and end_s <= start_s):
        raise ValueError(f"a span must have 0 <= start_s < end_s, got start_s={start_s}, end_s={end_s}")
    clip = _Clip(path, start_s, end_s, tuple(targets), threads)
    frames = _read_quickly(clip)
    if frames is None:
        logger.info("%s: frames are missing or have no times; decoding all of it", path)
        frames = _read_thoroughly(clip)
    return frames


@dataclass(frozen=True, slots=True)
class _Clip:
    """What was asked for."""

    path: str | os.PathLike[str]
    start_s: float
    end_s: float | None
    targets: tuple[FrameTarget, ...]
    threads: int


def _read_quickly(clip: _Clip, *, seek: bool = True) -> list[Frames] | None:
    """Read by packet times. None if that cannot give every frame that was picked."""
    with open_container(clip.path) as container:
        stream = _prepared_stream(container, clip)
        found = scan(container, stream, span_start_s=clip.start_s, span_end_s=clip.end_s, seek=seek)
        if not found.complete_from(clip.start_s):
            return _read_quickly(clip, seek=False)
        if not found.entries:
            raise DecodeError("no_frames", f"{clip.path} has a video stream without frames.")
        if not found.timed:
            return None
        shown = found.shown
        all_times = found.times_s(shown)
        inside = frames_in_span(all_times, clip.start_s, clip.end_s)
        if len(inside) == 0:
            raise DecodeError("empty_span", _empty_span_message(clip, all_times))
        pictures = _Pictures(container, stream, clip, all_times[inside])
        positions = shown[inside[pictures.numbers]]
        of_pts = {found.entries[k].pts: number for k, number in zip(positions.tolist(), pictures.numbers, strict=True)}
        with closing(_decode_positions(container, stream, clip, found, positions)) as frames:
            for frame in frames:
                pictures.add(of_pts[frame.pts], frame)
        if not pictures.complete:
            return None
        interval = float(np.median(np.diff(all_times))) if len(all_times) > 1 else 0.0
        readable_end_s = float(all_times[inside[-1]]) + max(found.last_duration * found.time_base, interval)
        lost_s = _lost_s(promised_end_s(container, stream, found), readable_end_s, interval, clip.end_s)
        return pictures.frames(lost_s)


def _decode_positions(
    container: "InputContainer", stream: "VideoStream", clip: _Clip, found: Scan, positions: np.ndarray
) -> Generator["VideoFrame", None, None]:
    """Yield the frames at these positions of a scan, in the order of their times; damaged ones are missing.

    The scan's walk is repeated, so that positions agree whatever a container's seek does.
    """
    walk = again(container, stream, found)
    if walk is not None:
        yield from _decode_runs(stream, walk, found, positions)
        return
    with open_container(clip.path) as container:
        stream = _prepared_stream(container, clip)
        yield from _decode_runs(stream, packets(container, stream, seek_pts=found.seek_pts), found, positions)


def _decode_runs(
    stream: "VideoStream", walk: Iterator["Packet"], found: Scan, positions: np.ndarray
) -> Iterator["VideoFrame"]:
    context = stream.codec_context
    wanted = {found.entries[k].pts for k in positions.tolist()}
    # nal_ref_idc 0 says that no frame refers to this one (H.264, 7.4.1), so leaving it out changes no other. HEVC's
    # similar mark holds within a temporal layer only, and other decoders ignore the setting.
    skippable = context.codec.canonical_name == "h264" and len(wanted) < len(found.entries)
    numbered = enumerate(walk)
    for run in found.runs(positions.tolist()):
        for position, packet in numbered:
            if position < run.first:
                continue
            if skippable:
                context.skip_frame = "DEFAULT" if packet.pts in wanted else "NONREF"
            yield from _whole(_decode(context, packet), wanted)
            if position >= run.last:
                break
        # The next run begins with a key frame that may be far away: get what is left, and start afresh.
        context.skip_frame = "DEFAULT"
        yield from _whole(_decode(context, None), wanted)
        context.flush_buffers()


def _whole(frames: list["VideoFrame"], wanted: set[int | None]) -> Iterator["VideoFrame"]:
    return (frame for frame in frames if frame.pts in wanted and not frame.is_corrupt)


def _read_thoroughly(clip: _Clip) -> list[Frames]:
    """Read by decoding everything.

    Raises:
        DecodeError: no_frames, decode_failed, empty_span.
    """
    with open_container(clip.path) as container:
        stream = _prepared_stream(container, clip)
        found = scan(container, stream)
        if not found.entries:
            raise DecodeError("no_frames", f"{clip.path} has a video stream without frames.")
        promised_s = promised_end_s(container, stream, found)
        # Streams without times (AVI, raw H.264) have a constant rate.
        rate = float(stream.average_rate or stream.guessed_rate or 0)
        pts = [frame.pts for frame in _decode_all(clip)]
        if not pts:
            raise DecodeError("decode_failed", f"{clip.path}: none of its {len(found.entries)} frames can be decoded.")
        all_times = _times_of_decoded(pts, found, rate)
        inside = frames_in_span(all_times, clip.start_s, clip.end_s)
        if len(inside) == 0:
            raise DecodeError("empty_span", _empty_span_message(clip, all_times))
        pictures = _Pictures(container, stream, clip, all_times[inside])
        wanted = set(pictures.numbers)
        first = int(inside[0])
        with closing(_decode_all(clip)) as frames:
            for number, frame in enumerate(frames):
                if number - first in wanted:
                    pictures.add(number - first, frame)
                if number - first >= pictures.numbers[-1]:
                    break
        interval = float(np.median(np.diff(all_times))) if len(all_times) > 1 else 0.0
        lost_s = _lost_s(promised_s, float(all_times[inside[-1]]) + interval, interval, clip.end_s)
        return pictures.frames(lost_s)


def _times_of_decoded(pts: list[int | None], found: Scan, rate: float) -> np.ndarray:
    """(N,) float64: times of decoded frames; by their number where the stream gives none that ascend."""
    if None not in pts:
        times = (np.array(pts, dtype=np.float64) - found.origin) * found.time_base
        if np.all(np.diff(times) > 0):
            return times
    return np.arange(len(pts)) / (rate or 25.0)  # 25 is FFmpeg's own rate for streams that do not say one.


def _decode_all(clip: _Clip) -> Generator["VideoFrame", None, None]:
    """Yield every frame of a file that can be decoded, in the order of display."""
    with open_container(clip.path) as container:
        stream = _prepared_stream(container, clip)
        for packet in packets(container, stream, seek_pts=None):
            yield from (frame for frame in _decode(stream.codec_context, packet) if not frame.is_corrupt)
        yield from (frame for frame in _decode(stream.codec_context, None) if not frame.is_corrupt)


def _decode(context: "VideoCodecContext", packet: "Packet | None") -> list["VideoFrame"]:
    """Decode one packet; None drains. A damaged packet gives no frame, and the ones after it a chance."""
    import av

    try:
        return context.decode(packet)
    except (av.error.FFmpegError, EOFError):
        return []


def _prepared_stream(container: "InputContainer", clip: _Clip) -> "VideoStream":
    stream = video_stream(container, clip.path)
    stream.codec_context.thread_count = clip.threads
    stream.thread_type = "NONE" if clip.threads == 1 else "AUTO"
    return stream


def _lost_s(promised_s: float, readable_s: float, interval_s: float, span_end_s: float | None) -> float:
    """Seconds between the end of what can be read and the end that was promised, 0.0 below the noise."""
    if math.isnan(promised_s):
        return 0.0
    lost = (promised_s if span_end_s is None else min(promised_s, span_end_s)) - readable_s
    return lost if lost > max(LOST_MIN_S, 1.5 * interval_s) else 0.0


def _empty_span_message(clip: _Clip, times_s: np.ndarray) -> str:
    end = "the end" if clip.end_s is None else f"{clip.end_s:.3f} s"
    last = f"the last one before that begins at {times_s[-1]:.3f} s" if len(times_s) else "none can be read"
    return f"{clip.path}: no frame begins between {clip.start_s:.3f} s and {end}; {last}. Check the span."


class _Pictures:
    """Collects the frames of a span for every target. Size and orientation are known with the first one."""

    def __init__(
        self, container: "InputContainer", stream: "VideoStream", clip: _Clip, source_times_s: np.ndarray
    ) -> None:
        self._container, self._stream, self._clip, self._times_s = container, stream, clip, source_times_s
        self._picked = [pick(source_times_s, target) for target in clip.targets]
        self._wanted = [set(picked.tolist()) for picked in self._picked]
        self._rgb: list[list[np.ndarray]] = [[] for _ in clip.targets]
        self._info: VideoInfo | None = None
        self._converters: list[RgbConverter] = []
        self.numbers: list[int] = sorted(set().union(*self._wanted))
        """Which frames of the span any target wants, ascending."""

    @property
    def complete(self) -> bool:
        """Whether every frame that is wanted has come."""
        return all(len(rgb) == len(picked) for rgb, picked in zip(self._rgb, self._picked, strict=True))

    def add(self, number: int, frame: "VideoFrame") -> None:
        """Take a frame of the span, in ascending order of `number`."""
        if not self._converters:
            self._start(frame)
        made: dict[RgbConverter, np.ndarray] = {}
        for wanted, rgb, converter in zip(self._wanted, self._rgb, self._converters, strict=True):
            if number in wanted:
                # Targets of one size share the picture: nobody writes into frames.
                if converter not in made:
                    made[converter] = converter(frame)
                rgb.append(made[converter])

    def _start(self, frame: "VideoFrame") -> None:
        orientation = orientation_of(frame)
        self._info = info = video_info(self._container, self._stream, orientation)
        shared: dict[Size, RgbConverter] = {}
        for target in self._clip.targets:
            size = output_size(info.width, info.height, target)
            if size is None:
                smallest = f"below the multiple of {target.multiple}"
                raise DecodeError("too_small", f"{self._clip.path} is {info.width} x {info.height} px, {smallest}.")
            self._converters.append(shared.setdefault(size, RgbConverter(size, orientation)))

    def frames(self, lost_s: float) -> list[Frames]:
        """Stack what has come."""
        assert self._info is not None and self.complete
        made = []
        for target, picked, rgb in zip(self._clip.targets, self._picked, self._rgb, strict=True):
            times_s = self._times_s[picked]
            if len(times_s) > 1:
                fps = (len(times_s) - 1) / float(times_s[-1] - times_s[0])
            else:
                rates = [rate for rate in (target.fps, self._info.fps) if rate is not None and rate == rate]
                fps = min(rates, default=math.nan)
            made.append(
                Frames(
                    rgb=np.stack(rgb),
                    times_s=times_s,
                    numbers=picked,
                    source_times_s=self._times_s,
                    info=self._info,
                    fps=fps,
                    lost_s=lost_s,
                )
            )
        return made
