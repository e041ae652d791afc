"""Training sample: one clip of the plan, read, picked, fitted and perhaps mirrored."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from openuni.errors import RunFailed
from openuni.modality import Map
from openuni.model.data.files import Files, open_folder
from openuni.model.data.plan import Plan
from openuni.model.data.shape import (
    evenly,
    fit,
    fit_frames,
    fit_map,
    flip_map,
    pick_map,
    settle_,
    settle_map_,
    speaks_of_sides,
)
from openuni.model.data.strides import pick
from openuni.model.draws import Draws
from openuni.sample import decode_members
from openuni.shard import Span, members_of
from openuni.subjects import subjects_of

MAX_ATTEMPTS = 16
"""Clips in a row that may be unreadable before the run stops. Ours: by then it is the storage, not the clips."""
DAMAGE = (ValueError, KeyError, OSError)
"""What reading a damaged or missing sample raises: decoders, checksums, json; files."""

Draw = Callable[[str, Map], np.ndarray]
"""(modality, map at the batch's size) -> (T, H, W, 3) uint8, what the network is shown."""
Choose = Callable[[int, int, Sequence[str]], Sequence[str]]
"""(step, index, modalities that the clip has) -> those to read. Must be a function of its arguments."""


class Replaced(NamedTuple):
    """A clip that could not be read."""

    key: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSample:
    """What stands at one place of a batch."""

    step: int
    index: int
    """In the global batch: with `step` what Draws are keyed by."""
    key: str
    caption: str
    group: str
    """The source group that it was balanced by."""
    subjects: str
    """Who is to be seen ("two persons"), as the sample's json says; empty where it does not."""
    available: tuple[str, ...]
    """Modalities that the clip has, of those the loader reads. `maps` has fewer where the loader was told to choose."""
    rgb: np.ndarray
    """(T, H, W, 3) uint8."""
    times_s: np.ndarray
    """(T,) float64, of the frames in their source."""
    maps: Mapping[str, Map] = field(default_factory=dict)
    """Modality -> map of the same T, H, W. A missing one is a missing key."""
    drawn: Mapping[str, np.ndarray] = field(default_factory=dict)
    """Modality -> (T, H, W, 3) uint8 frames, where the loader was told to draw; those then are not in `maps`."""
    flipped: bool = False
    replaced: tuple[Replaced, ...] = ()
    """Clips that should have stood here and could not be read."""


class SampleMaker:
    """Makes the samples of a plan. Pickles; opens files in the process that reads."""

    def __init__(
        self, plan: Plan, *, train: bool = True, choose: Choose | None = None, draw: Draw | None = None
    ) -> None:
        """Prepare.

        Args:
            plan: which clip stands where.
            train: windows and flips are drawn; otherwise the middle window is taken and nothing is mirrored.
            choose: which of a clip's maps to read; None reads all. A map that no stream shows need not be decoded.
            draw: draws maps as frames, by which they are replaced; None leaves maps.
        """
        self.plan, self.train, self.choose, self.draw = plan, train, choose, draw
        self._folders: dict[int, Files] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Leave connections behind."""
        return {**self.__dict__, "_folders": {}}

    def make(self, step: int, index: int) -> TrainingSample:
        """Make the sample of a place; one that cannot be read is replaced by the next of its group.

        Raises:
            RunFailed: MAX_ATTEMPTS clips in a row, or all of the group, cannot be read.
        """
        replaced: list[Replaced] = []
        pool_size = MAX_ATTEMPTS
        while len(replaced) < min(MAX_ATTEMPTS, pool_size):
            placed = self.plan.at(step, index, attempt=len(replaced))
            pool_size = placed.pool_size
            row = self.plan.clips.row(placed.clip)
            try:
                sample = self._make(step, index, placed.clip, row)
            except DAMAGE as error:
                replaced.append(Replaced(row["key"], f"{type(error).__name__}: {error}".partition("\n")[0]))
                continue
            return replace(sample, replaced=tuple(replaced))
        first = replaced[0]
        raise RunFailed(
            f"{len(replaced)} clips of group {placed.group!r} in a row cannot be read at step {step}, from "
            f"{first.key} ({first.reason}) to {replaced[-1].key}. Look at the builds' storage."
        )

    def _make(self, step: int, index: int, clip: int, row: Mapping[str, Any]) -> TrainingSample:
        config, clips = self.plan.config, self.plan.clips
        draws = Draws(config.seed, step, index)
        bucket = self.plan.bucket(step)
        available = tuple(np.array(clips.modalities, dtype=object)[clips.present[clip]])
        wanted = available if self.choose is None else tuple(self.choose(step, index, available))
        if unknown := sorted(set(wanted) - set(available)):
            raise AssertionError(f"choose must give some of {available}, got {unknown}")
        rgb, about = self._read(row, "rgb")
        place = draws.uniform("window") if self.train else 0.5
        times_s = np.asarray(rgb.facts["times_s"], dtype=np.float64)
        picks = pick(times_s, num_frames=bucket.num_frames, clip_fps=row["rgb.fps"], fps=config.fps, place=place)
        flipped = self.train and draws.uniform("flip") < config.flip and not speaks_of_sides(row["caption"])
        how = fit((rgb.data.shape[1], rgb.data.shape[2]), (bucket.height, bucket.width))
        frames = fit_frames(rgb.data[evenly(picks)], how)
        frames = settle_(frames, flip=flipped)
        stored = len(rgb.data)
        del rgb  # or its frames would be in memory beside every map that is decoded
        maps = {}
        subjects = subjects_of(about)
        for name in wanted:
            map, told = self._read(row, name)
            subjects = subjects or subjects_of(told)
            if name == "densepose" and not config.uv:
                map = replace(map, arrays={})
            if len(map.data) != stored:
                raise ValueError(f"{name} has {len(map.data)} frames, rgb has {stored}")
            map = fit_map(name, pick_map(name, map, picks), how)
            maps[name] = flip_map(name, map, bucket.width, mirror=_mirrored_) if flipped else settle_map_(map)
        drawn = {} if self.draw is None else {name: self.draw(name, map) for name, map in maps.items()}
        return TrainingSample(
            step=step,
            index=index,
            key=row["key"],
            caption=row["caption"],
            group=row["group"],
            subjects=subjects,
            available=available,
            rgb=frames,
            times_s=times_s[picks],
            maps={} if drawn else maps,
            drawn=drawn,
            flipped=flipped,
        )

    def _read(self, row: Mapping[str, Any], name: str) -> tuple[Map, dict[str, Any]]:
        """Read one modality's members by their place, and decode them."""
        build = int(row["build"])
        if build not in self._folders:
            self._folders[build] = open_folder(self.plan.config.builds[build])
        shard, span = row[f"{name}.shard"], Span(row[f"{name}.offset"], row[f"{name}.size"])
        content = self._folders[build].read(shard, span)
        if len(content) != span.size:
            raise ValueError(f"{shard} ends before byte {span.offset + span.size}")
        key, members = members_of(content, what=f"{shard} at byte {span.offset}")
        if key != row["key"]:
            raise ValueError(f"{shard} at byte {span.offset} holds {key}: it is not the tar the index was made for")
        return decode_members(name, members, decoder=self.plan.config.decoder)


def _mirrored_(frames: np.ndarray) -> np.ndarray:
    return settle_(frames, flip=True)
