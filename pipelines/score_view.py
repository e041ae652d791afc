"""ScoreView: one clip opened for the filters. Samples, pairs of neighbours and stills come from one decode."""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np

from openuni.clip import Clip
from openuni.engine.stage import Drop
from openuni.frames import DecodeError, Frames, FrameTarget, read_many
from openuni.frames.target import pick
from openuni.view import ClipView, fingerprint_of

SAMPLES = FrameTarget(fps=1.94, short_side_px=256, num_frames=32, spread=True)
"""Few and small frames over the whole clip. Ours: motion and exposure show at 2 fps; 32 frames and their neighbours
bound the memory of a long clip to 56 MB. Not 2.0, which at 24 and 30 fps meets repeating patterns (animation on twos,
telecine) always in the same phase: over 8 usual rates and 3 to 60 s the share of repeated frames, from the samples'
neighbours, is then wrong by 0.65 on average in the worst phase, at 1.94 by 0.11."""
STILLS = FrameTarget(fps=2.0, short_side_px=480, num_frames=3, spread=True)
"""For what needs detail. Ours: the build's own size, above which no frame is kept."""


class Pairs(NamedTuple):
    """Moments of a clip, each with the source's very next frame."""

    rgb: np.ndarray
    """(P, 2, H, W, 3) uint8."""
    times_s: np.ndarray
    """(P, 2) float64."""


class ScoreView(ClipView):
    """What a filter is called with. `frames` are the samples; `info`, `clip` and `span_s` as in ClipView.

    `pairs` and `stills` are there for filters that want them (Stage.wants).
    """

    def __init__(self, clip: Clip, path: Path, opener: "OpenForScoring") -> None:
        super().__init__(clip, path, opener.samples)
        self._opener = opener

    @cached_property
    def _read(self) -> list[Frames]:
        """Samples, with their followers if pairs are wanted; and stills if they are.

        Raises:
            Drop: nothing can be decoded; the reason is the reader's.
        """
        targets = [replace(self.target, followers=int("pairs" in self._opener.wants))]
        targets += [self._opener.stills] if "stills" in self._opener.wants else []
        try:
            return read_many(self.path, start_s=self.clip.start_s, end_s=self.clip.end_s, targets=targets)
        except DecodeError as error:
            raise Drop(error.reason) from error

    @cached_property
    def frames(self) -> Frames:
        """The samples: at most `target.num_frames`, evenly over the clip.

        Raises:
            Drop: nothing can be decoded; the reason is the reader's.
        """
        read = self._read[0]
        taken = np.isin(read.numbers, pick(read.source_times_s, self.target))
        times_s = read.times_s[taken]
        fps = (len(times_s) - 1) / float(times_s[-1] - times_s[0]) if len(times_s) > 1 else read.fps
        return replace(
            read, rgb=_rows(read.rgb, np.flatnonzero(taken)), times_s=times_s, numbers=read.numbers[taken], fps=fps
        )

    @cached_property
    def pairs(self) -> Pairs:
        """Each sample with the source's next frame; the last frame of a clip has none. Raises as `frames`."""
        assert "pairs" in self._opener.wants, "add 'pairs' to the filter's `wants`"
        read = self._read[0]
        firsts = np.flatnonzero(np.diff(read.numbers) == 1)
        firsts = firsts[np.isin(read.numbers[firsts], self.frames.numbers)]
        both = np.stack([firsts, firsts + 1], axis=1)
        return Pairs(_rows(read.rgb, both.ravel()).reshape(-1, 2, *read.rgb.shape[1:]), read.times_s[both])

    @property
    def stills(self) -> Frames:
        """At most three larger frames over the clip. Raises as `frames`."""
        assert "stills" in self._opener.wants, "add 'stills' to the filter's `wants`"
        return self._read[1]

    @property
    def source_times_s(self) -> np.ndarray:
        """(N,) float64: presentation times of all frames of the span. Raises as `frames`."""
        return self._read[0].source_times_s

    def close(self) -> None:
        """Free the frames."""
        for name in ("_read", "pairs"):
            self.__dict__.pop(name, None)
        super().close()


def _rows(array: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Return some rows: as a view where they are evenly spaced, as samples and their followers mostly are."""
    steps = np.diff(numbers)
    if len(steps) and (steps == steps[0]).all():
        return array[numbers[0] : numbers[-1] + 1 : steps[0]]
    return array[numbers]


@dataclass(frozen=True)
class OpenForScoring:
    """Opens clips for the score pass: Job.open_view. Pickles."""

    root: str
    """Folder that relative clip paths start from."""
    samples: FrameTarget = SAMPLES
    stills: FrameTarget = STILLS
    wants: frozenset[str] = frozenset({"pairs", "stills"})
    """What is read beside the samples; it changes the samples in nothing."""

    def __call__(self, clip: Clip) -> ScoreView:
        """Open a clip; nothing is read yet."""
        return ScoreView(clip, Path(self.root, clip.path), self)

    def fingerprint(self) -> str:
        """Hash what decides the frames: the targets, not the root, nor which of them are read."""
        return fingerprint_of((self.samples, self.stills))
