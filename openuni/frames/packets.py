"""Packets: the compressed frames of a span, listed without decoding, and which of them must be decoded.

Listing costs about 4 % of decoding and gives exact times, what is really there of a cut file, and the freedom to decode
only what the frames taken depend on.
"""

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from openuni.frames.probe import declared_end_s, start_s

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

SEEK_EARLY_S = 1.0
"""Seek this much before the span. Containers index decoding times, and a frame is shown up to 16 frames (H.264's
reorder limit) after it is decoded; a second covers that at 16 fps and above. Below, `Scan.complete_from` notices."""

LOST_MIN_S = 0.1
"""Ours: shorter gaps to the declared end are rounding or a last frame's unknown duration, not a cut file."""


class Entry(NamedTuple):
    """One packet. Times in the stream's time base."""

    pts: int | None
    key: bool
    shown: bool
    """False for a frame that an edit list hides, or whose data are cut off: it has no place among the times."""


class Run(NamedTuple):
    """Packets that are decoded one after the other: positions in Scan.entries, both included."""

    first: int
    last: int


@dataclass(slots=True, kw_only=True)
class Scan:
    """The packets of one span of a file, in decoding order."""

    entries: list[Entry]
    seek_pts: int | None
    """Where the listing began; None: at the beginning of the file."""
    time_base: float
    """Seconds per tick."""
    origin: int
    """The tick that counts as 0 s: presentation of the stream's first shown frame."""
    last_duration: int
    """Declared duration of the frame that is shown last, ticks; 0 if unknown."""
    others_end_s: float
    """End of the last packet of the other streams (audio), seconds; NaN if they were not read."""

    @property
    def timed(self) -> bool:
        """Whether times can be known without decoding: every packet has one, no two the same."""
        pts = [entry.pts for entry in self.entries if entry.shown]
        return None not in pts and len(set(pts)) == len(pts)

    @property
    def shown(self) -> np.ndarray:
        """(N,) int64: positions in `entries` of the frames that are shown, in the order of their times."""
        timed = [(entry.pts, k) for k, entry in enumerate(self.entries) if entry.shown and entry.pts is not None]
        return np.array([k for _, k in sorted(timed)], dtype=np.int64)

    def times_s(self, positions: np.ndarray) -> np.ndarray:
        """(N,) float64: presentation times of these positions, seconds after the stream's start."""
        ticks = np.array([self.entries[k].pts for k in positions], dtype=np.float64)
        return (ticks - self.origin) * self.time_base

    def complete_from(self, span_start_s: float) -> bool:
        """Whether every frame from this time on is listed, with the key frame it depends on."""
        if self.seek_pts is None:
            return True
        first_key = next((entry for entry in self.entries if entry.key), None)
        return first_key is not None and first_key.pts is not None and self._s(first_key.pts) <= span_start_s

    def runs(self, wanted: Collection[int]) -> list[Run]:
        """Return the stretches that must be decoded to get the wanted positions.

        A frame needs all packets from the last key frame before it that is not shown after it. (A frame between an
        open GOP's key frame and that one's place in time also refers to the GOP before.)
        """
        runs: list[Run] = []
        for position in sorted(wanted):
            run = Run(self._key_for(position), position)
            if runs and run.first <= runs[-1].last + 1:
                run = Run(min(runs[-1].first, run.first), max(runs[-1].last, run.last))
                runs.pop()
            runs.append(run)
        return runs

    def _key_for(self, position: int) -> int:
        pts = self.entries[position].pts
        for k in range(position, -1, -1):
            entry = self.entries[k]
            if entry.key and entry.pts is not None and pts is not None and entry.pts <= pts:
                return k
        return 0

    def _s(self, pts: int) -> float:
        return (pts - self.origin) * self.time_base


def packets(
    container: "InputContainer", stream: "VideoStream", *, seek_pts: int | None, others: bool = False
) -> Iterator["Packet"]:
    """Yield the stream's packets in decoding order, from the key frame before `seek_pts`.

    Args:
        container: the file, just opened: its position counts if `seek_pts` is None.
        stream: the video stream.
        seek_pts: in the stream's time base; None: from the present position.
        others: yield the other streams' packets too.
    """
    import av

    if seek_pts is not None:
        container.seek(seek_pts, stream=stream, backward=True)
    source = container.demux() if others else container.demux(stream)
    try:
        for packet in source:
            if packet.size:
                yield packet
    except (av.error.FFmpegError, OSError):
        return  # The file is cut here. What came before is good; the caller compares with what was declared.


def again(container: "InputContainer", stream: "VideoStream", found: Scan) -> "Iterator[Packet] | None":
    """Walk the packets of a scan again in the same container, which saves opening it anew (10 to 20 ms).

    Returns:
        The packets in the order of found.entries; None if seeking does not lead back to the first of them.
    """
    import av

    start = (stream.start_time or 0) if found.seek_pts is None else found.seek_pts
    walk = packets(container, stream, seek_pts=start)
    try:
        first = next(walk, None)
    except (av.error.FFmpegError, OSError):
        return None  # Some raw streams cannot seek.
    if first is None or first.pts != found.entries[0].pts:
        return None
    return chain([first], walk)


def scan(
    container: "InputContainer",
    stream: "VideoStream",
    *,
    span_start_s: float = 0.0,
    span_end_s: float | None = None,
    seek: bool = True,
) -> Scan:
    """List the packets of a span: those in it, and those before that they depend on.

    Args:
        container: the file, just opened.
        stream: its video stream.
        span_start_s: seconds after the stream's first frame.
        span_end_s: likewise; None: to the end of the file.
        seek: may begin near the span. Whether that worked is what `complete_from` says.
    """
    tick_s = float(stream.time_base or 0)
    origin, seek_pts = None, None
    if seek and span_start_s > SEEK_EARLY_S:
        origin = _first_tick(packets(container, stream, seek_pts=None))
        seek_pts = (origin or 0) + math.floor((span_start_s - SEEK_EARLY_S) / tick_s)
    # A duration that only the file has may be another stream's: then see where those end.
    others = stream.duration is None and len(container.streams) > 1
    entries: list[Entry] = []
    first_pts, last_pts, last_duration, others_end_s = origin, None, 0, math.nan
    for packet in packets(container, stream, seek_pts=seek_pts, others=others):
        if packet.stream_index != stream.index:
            if packet.pts is not None:
                end = float((packet.pts + (packet.duration or 0)) * packet.time_base) - start_s(stream)
                others_end_s = end if math.isnan(others_end_s) else max(end, others_end_s)
            continue
        # dts <= pts: once decoding is past the span's end, nothing of the span can follow.
        past_s = 0.0 if packet.dts is None or first_pts is None else (packet.dts - first_pts) * tick_s
        if span_end_s is not None and past_s > span_end_s:
            break
        shown = not (packet.is_discard or packet.is_corrupt)
        entries.append(Entry(packet.pts, packet.is_keyframe, shown))
        if not shown or packet.pts is None:
            continue
        if origin is None and (first_pts is None or packet.pts < first_pts):
            first_pts = packet.pts
        if last_pts is None or packet.pts > last_pts:
            last_pts, last_duration = packet.pts, packet.duration or 0
    return Scan(
        entries=entries,
        seek_pts=seek_pts,
        time_base=tick_s,
        origin=first_pts or 0,
        last_duration=last_duration,
        others_end_s=others_end_s,
    )


def _first_tick(walk: "Iterator[Packet]") -> int | None:
    """Presentation time of the first shown frame: of the least time before which nothing more can be shown."""
    first: int | None = None
    for packet in walk:
        if first is not None and packet.dts is not None and packet.dts >= first:
            break
        if packet.pts is not None and not packet.is_discard and (first is None or packet.pts < first):
            first = packet.pts
    return first


def promised_end_s(container: "InputContainer", stream: "VideoStream", found: Scan) -> float:
    """End of the video as far as the container's word can be taken, seconds after its start; NaN if it gives none.

    Where only the whole file has a duration and another stream reaches to it, the video may rightly be shorter.
    """
    end_s = declared_end_s(container, stream)
    whole_file = stream.duration is None and not any(name.upper().startswith("DURATION") for name in stream.metadata)
    if whole_file and found.others_end_s >= end_s - LOST_MIN_S:
        return math.nan
    return end_s
