"""Windows: which part of a long clip is annotated."""

import dataclasses
from collections.abc import Iterator

from openuni.clip import Clip, make_clip_id
from openuni.errors import UnknownName

WINDOWS = ("centre", "head", "all")


def check_windows(windows: str) -> None:
    """Raise UnknownName for a word that is not in WINDOWS."""
    if windows not in WINDOWS:
        raise UnknownName("windows", windows, WINDOWS)


def spans(length_s: float, window_s: float) -> list[tuple[float, float]]:
    """Cut a length into as many whole windows as it holds, centred; one window of all of it if it is shorter.

    Args:
        length_s: the clip's length, seconds.
        window_s: a window's length, seconds.

    Returns:
        (start, end) pairs in seconds, without overlap.
    """
    count = int(length_s / window_s + 1e-6)
    if count < 1:
        return [(0.0, length_s)]
    first_s = (length_s - count * window_s) / 2
    return [(first_s + number * window_s, first_s + (number + 1) * window_s) for number in range(count)]


def windows_of(clip: Clip, *, length_s: float, window_s: float) -> Iterator[Clip]:
    """Yield a clip's windows as clips of their own, for `--windows all`.

    Args:
        clip: the listed clip.
        length_s: its length, seconds.
        window_s: the length of num_frames frames at the target rate.
    """
    for start_s, end_s in spans(length_s, window_s):
        start_s, end_s = round(clip.start_s + start_s, 3), round(clip.start_s + end_s, 3)
        clip_id = make_clip_id(clip.source, clip.source_key, start_s=start_s, end_s=end_s, content=clip.clip_id)
        yield dataclasses.replace(clip, clip_id=clip_id, parent_id=clip.clip_id, start_s=start_s, end_s=end_s)
