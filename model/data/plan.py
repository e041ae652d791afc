"""Plan: which clip stands at (step, index in the global batch). A pure function of the config and the clips.

Any rank or worker can ask for any place, so nothing is doubled or lost however many there are, and all that has to be
saved is the step.

A batch has one bucket: length and size. Buckets come in shares by their clips, in a shuffled order. Within a bucket,
groups take turns by place: a batch has equally many of each group, give or take one, and over time exactly. Each
(bucket, group) has a pool of clips, which is gone through in a new order each epoch. A clip's home is the longest
length that it fills and the size nearest to its aspect. A group without a home clip in a bucket gives those of its
clips that are long and large enough, cropped; one that has none is left out of this bucket, and its share goes to the
others.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from openuni.errors import BadInput
from openuni.model.data.clips import Clips
from openuni.model.data.config import LoaderConfig
from openuni.model.data.shuffle import shuffled
from openuni.model.data.strides import usable_frames

PERIOD = 64
"""Steps after which every bucket had its share. Ours: shares are kept to 1/64; more buckets make it longer."""


class Bucket(NamedTuple):
    """What all samples of a batch share."""

    num_frames: int
    height: int
    width: int


class Placed(NamedTuple):
    """A place's clip."""

    clip: int
    """Its number in Clips."""
    bucket: Bucket
    group: str
    pool_size: int
    """How many clips could stand here."""


class Plan:
    """See the top of the file."""

    def __init__(self, config: LoaderConfig, clips: Clips) -> None:
        """Sort the clips into pools.

        Raises:
            BadInput: no clip is long, fast or large enough; says what there is.
        """
        self.config = config
        self.clips = clips
        frames = _lengths(config, clips)
        buckets, homes, able = _homes(config, clips, frames)
        self.left_out: dict[str, int] = dict(clips.left_out)
        """Reason -> clips that never stand anywhere."""
        for reason, count in (
            ("too_short_or_slow", int((frames < min(config.num_frames)).sum())),
            ("too_small", int(((homes < 0) & (frames >= min(config.num_frames))).sum())),
        ):
            if count:
                self.left_out[reason] = count
        groups = np.array(clips.table["group"].to_pylist() if config.balance == "groups" else [""] * len(clips))
        self.groups: tuple[str, ...] = tuple(sorted({str(group) for group in groups[homes >= 0]}))
        """Source groups that have clips."""
        self.pools: dict[Bucket, dict[str, np.ndarray]] = {}
        """Bucket -> group -> numbers of its clips."""
        weights = {}
        for number, bucket in enumerate(buckets):
            home = homes == number
            if not home.any():
                continue
            pools = {}
            for group in self.groups:
                own = np.flatnonzero(home & (groups == group))
                pool = own if len(own) else np.flatnonzero(able[number] & (groups == group))
                if len(pool):
                    pools[group] = pool
            self.pools[bucket] = pools
            # A group's clips are seen equally often where its buckets' shares are those of its clips.
            weights[bucket] = sum(
                float((home & (groups == group)).sum()) / float(((homes >= 0) & (groups == group)).sum())
                for group in self.groups
            )
        self._shares = _shares(weights)
        self._order = [bucket for bucket, count in self._shares.items() for _ in range(count)]
        self._period: tuple[int, list[Bucket]] | None = None

    def bucket(self, step: int) -> Bucket:
        """Return what the batch of a step is."""
        period, place = divmod(step, len(self._order))
        return self._of_period(period)[place]

    def at(self, step: int, index: int, *, attempt: int = 0) -> Placed:
        """Return the clip of a place.

        Args:
            step: from 0.
            index: 0 to batch_size - 1.
            attempt: above 0: the next of the same group in this epoch, for a clip that cannot be read.
        """
        if not 0 <= index < self.config.batch_size:
            raise ValueError(f"index must be from 0 to {self.config.batch_size - 1}, got {index}")
        bucket = self.bucket(step)
        pools = self.pools[bucket]
        number = self._visits(step, bucket) * self.config.batch_size + index
        turn, place = divmod(number, len(pools))
        group = list(pools)[place]
        pool = pools[group]
        epoch, position = divmod(turn, len(pool))
        position = (position + attempt) % len(pool)
        chosen = shuffled(position, len(pool), self.config.seed, "clip", *bucket, group, epoch)
        return Placed(int(pool[chosen]), bucket, group, len(pool))

    def settings(self) -> dict[str, Any]:
        """Return what of the config decides which clip stands where, and how it looks: JSON-able."""
        names = ("batch_size", "num_maps", "num_frames", "fps", "sizes", "max_upscale", "strided_flow", "flip", "uv")
        values = {name: getattr(self.config, name) for name in (*names, "balance", "decoder", "seed")}
        values["modalities"] = list(self.clips.modalities)
        values["num_frames"] = list(self.config.num_frames)
        values["sizes"] = [list(size) for size in self.config.sizes]
        return values

    def _visits(self, step: int, bucket: Bucket) -> int:
        """How many batches before this step had the bucket."""
        period, place = divmod(step, len(self._order))
        return period * self._shares[bucket] + self._of_period(period)[:place].count(bucket)

    def _of_period(self, period: int) -> list[Bucket]:
        """Buckets of a period's steps. The last one asked for is kept: it would be worked out for every sample."""
        if self._period is None or self._period[0] != period:
            size = len(self._order)
            places = (shuffled(place, size, self.config.seed, "bucket", period) for place in range(size))
            self._period = period, [self._order[place] for place in places]
        return self._period[1]


def _lengths(config: LoaderConfig, clips: Clips) -> np.ndarray:
    """(N,) frames of each clip at the wanted rate."""
    stored = clips.table["rgb.num_frames"].to_numpy()
    rate = clips.table["rgb.fps"].to_numpy()
    frames = usable_frames(stored, rate, config.fps)
    if frames.max() < min(config.num_frames):
        longest = int(frames.argmax()) if frames.max() > 0 else int(stored.argmax())
        at = "" if config.fps is None else f" at {config.fps:g} fps"
        raise BadInput(
            f"No clip has {min(config.num_frames)} frames{at}: the longest has {int(frames[longest])} "
            f"({int(stored[longest])} stored at {rate[longest]:g} fps). Lower loader.num_frames or loader.fps."
        )
    return frames


def _homes(config: LoaderConfig, clips: Clips, frames: np.ndarray) -> tuple[list[Bucket], np.ndarray, np.ndarray]:
    """Return all buckets, (N,) the number of each clip's home or -1, and (buckets, N) bool what a clip can fill."""
    height, width = clips.table["rgb.height_px"].to_numpy(), clips.table["rgb.width_px"].to_numpy()
    buckets = [Bucket(length, *size) for length in sorted(set(config.num_frames)) for size in config.sizes]
    able = np.zeros((len(buckets), len(clips)), dtype=bool)
    homes = np.full(len(clips), -1)
    best = np.full(len(clips), np.inf)
    for number, (length, rows, columns) in enumerate(buckets):
        able[number] = (frames >= length) & (np.maximum(rows / height, columns / width) <= config.max_upscale)
        # Length counts before aspect: one frame more outweighs every difference of aspects (their logs are below 10).
        misfit = np.abs(np.log(height * columns / (width * rows))) - 10.0 * length
        better = able[number] & (misfit < best)
        homes[better], best[better] = number, misfit[better]
    if (homes < 0).all():
        sides = np.minimum(height, width)
        raise BadInput(
            f"No clip of {min(config.num_frames)} frames is large enough for {config.sizes}: the largest short side is "
            f"{int(sides.max())} px. Lower loader.sizes or raise loader.max_upscale ({config.max_upscale:g})."
        )
    return buckets, homes, able


def _shares(weights: Mapping[Bucket, float]) -> dict[Bucket, int]:
    """Batches of each bucket in a period: in proportion, by largest remainders, at least one."""
    period = PERIOD if len(weights) <= PERIOD // 4 else 4 * len(weights)
    period = 1 if len(weights) == 1 else period
    total = sum(weights.values())
    exact = {bucket: weight / total * period for bucket, weight in weights.items()}
    shares = {bucket: max(1, int(value)) for bucket, value in exact.items()}
    for bucket in sorted(exact, key=lambda one: int(exact[one]) - exact[one]):
        if sum(shares.values()) < period:
            shares[bucket] += 1
    return shares
