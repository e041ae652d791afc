"""ClipView: one clip opened for the stages of a build. Its video is probed and decoded at most once each."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from openuni.clip import Clip
from openuni.engine.stage import Drop
from openuni.frames import DecodeError, Frames, FrameTarget, VideoInfo, probe, read_frames
from openuni.modality import Map

SUBJECTS = "subjects"
"""A published fact that stands in a sample's json by itself; see openuni.subjects."""


class ClipView:
    """What a build's stage is called with."""

    def __init__(self, clip: Clip, path: Path, target: FrameTarget) -> None:
        self.clip = clip
        """The clip as its source lists it."""
        self.path = path
        """Its video file."""
        self.target = target
        """Size, rate and length at which `frames` are read."""
        self.maps: dict[str, Map] = {}
        """The maps that the stage reads, by stage name, in their stored form."""
        self.shared: dict[str, Any] = {}
        """What one stage keeps for later stages of the same clip because it is costly to make twice."""

    @cached_property
    def info(self) -> VideoInfo:
        """The video's properties, from its container.

        Raises:
            Drop: the file cannot be opened; the reason is the reader's.
        """
        if "frames" in self.__dict__:  # opening a file costs as much as decoding a second of it
            return self.frames.info
        try:
            return probe(self.path)
        except DecodeError as error:
            raise Drop(error.reason) from error

    @cached_property
    def frames(self) -> Frames:
        """The frames, decoded at first use.

        Raises:
            Drop: nothing can be decoded; the reason is the reader's.
        """
        try:
            return read_frames(self.path, start_s=self.clip.start_s, end_s=self.clip.end_s, target=self.target)
        except DecodeError as error:
            raise Drop(error.reason) from error

    @property
    def span_s(self) -> float:
        """Length of the clip, seconds: its span's, cut at the end of the file."""
        end_s = self.info.duration_s if self.clip.end_s is None else min(self.clip.end_s, self.info.duration_s)
        return max(0.0, end_s - self.clip.start_s)

    def describe(self) -> dict[str, Any]:
        """Return the clip's facts for the rgb sample's json."""
        clip = self.clip
        return {
            "source": clip.source,
            "source_key": clip.source_key,
            "source_video": clip.source_video,
            "licence": clip.licence,
            "group": clip.group,
            "start_s": clip.start_s,
            "end_s": clip.end_s,
            "published": {name: value for name, value in clip.published.items() if name != SUBJECTS},
            **({SUBJECTS: clip.published[SUBJECTS]} if clip.published.get(SUBJECTS) else {}),
            "original": {"width": self.info.width, "height": self.info.height, "fps": self.info.fps},
        }

    def close(self) -> None:
        """Free the frames and the maps."""
        self.__dict__.pop("frames", None)
        self.maps.clear()
        self.shared.clear()


def fingerprint_of(targets: FrameTarget | Sequence[FrameTarget]) -> str:
    """Hash what decides the frames of a view: 12 hex digits. One target and a list of it differ.

    Stages' fingerprints go by it: another text here would make every finished build start anew.
    """
    told = asdict(targets) if isinstance(targets, FrameTarget) else [asdict(target) for target in targets]
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:12]


@dataclass(frozen=True)
class OpenClip:
    """Opens clips for one pass: Job.open_view of a build. Pickles."""

    root: str
    """Folder that relative clip paths start from."""
    target: FrameTarget

    def __call__(self, clip: Clip) -> ClipView:
        """Open a clip; nothing is read yet."""
        return ClipView(clip, Path(self.root, clip.path), self.target)

    def fingerprint(self) -> str:
        """Hash what decides the frames: the target, not the root."""
        return fingerprint_of(self.target)
