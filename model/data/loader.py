"""Loader: batches of training samples, read ahead by worker processes.

    loader = Loader(config)
    for batch in loader.batches(step):   # from this step on
        ...

Which samples a batch has is openuni/model/data/plan.py's business; here is only who reads them, and when.
"""

import logging
import os
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch.utils.data import DataLoader, Dataset

from openuni.errors import BadInput, RunFailed
from openuni.modality import Map
from openuni.model.data.clips import read_clips
from openuni.model.data.config import LoaderConfig
from openuni.model.data.plan import Plan
from openuni.model.data.sample import Choose, Draw, Replaced, SampleMaker, TrainingSample

logger = logging.getLogger(__name__)

Place = tuple[int, int]
"""Step, index in the global batch."""


class Loader:
    """Reads this rank's part of each global batch."""

    def __init__(
        self,
        config: LoaderConfig,
        *,
        split: str = "train",
        rank: int = 0,
        world: int = 1,
        choose: Choose | None = None,
        draw: Draw | None = None,
    ) -> None:
        """Read the indexes and make the plan.

        Args:
            config: what and how.
            split: "train", or "validation": middle windows, no flips.
            rank: this process.
            world: how many there are; the global batch does not depend on it.
            choose: see SampleMaker. With workers it must pickle, or the platform must fork.
            draw: see SampleMaker; likewise.

        Raises:
            BadInput: see `read_clips` and Plan; a batch that cannot be split evenly.
        """
        if config.batch_size % world:
            raise BadInput(
                f"loader.batch_size={config.batch_size} cannot be split evenly over {world} ranks. "
                f"Set it to a multiple of {world}."
            )
        if not 0 <= rank < world:
            raise ValueError(f"rank must be from 0 to {world - 1}, got {rank}")
        self.config = config
        self.plan = Plan(config, read_clips(config, split))
        self.maker = SampleMaker(self.plan, train=split == "train", choose=choose, draw=draw)
        share = config.batch_size // world
        self.indices = range(rank * share, (rank + 1) * share)
        """Places of the global batch that this rank reads. A run of them, so that each rank has all groups."""
        self.replaced: Counter[str] = Counter()
        """Key -> how often it could not be read."""

    def batches(self, start: int = 0, stop: int | None = None) -> Iterator[list[TrainingSample]]:
        """Yield this rank's part of each batch, in order.

        Args:
            start: first step.
            stop: the step before which to stop; None goes on for ever.

        Raises:
            RunFailed: see SampleMaker.make.
        """
        places = _Places(start, stop, self.indices)
        parallel = self.config.workers > 0
        pin = self.config.pin and torch.cuda.is_available()
        if self.config.pin and not pin:
            logger.warning("loader.pin has no effect: this machine has no GPU that PyTorch can use")
        if parallel:
            _calm_opencv()
        loaded = DataLoader(
            _Places.Samples(self.maker),
            batch_size=None,  # places are handed out one by one: workers share a batch's reading
            sampler=places,
            num_workers=self.config.workers,
            prefetch_factor=self.config.prefetch if parallel else None,
            worker_init_fn=_start_worker if parallel else None,
            pin_memory=pin,
        )
        batch: list[TrainingSample] = []
        for packed in loaded:
            batch.append(self._noted(unpacked(packed)))
            del packed  # or a sample more would be in memory while the next one is read
            if len(batch) == len(self.indices):
                yield batch
                batch = []

    def state(self, step: int) -> dict[str, Any]:
        """Return what has to be saved to go on with `step`: JSON-able."""
        return {
            "step": step,
            "clips": len(self.plan.clips),
            "fingerprint": self.plan.clips.fingerprint(),
            "settings": self.plan.settings(),
        }

    def resume(self, state: dict[str, Any]) -> int:
        """Check a saved state and return the step to go on with.

        Raises:
            BadInput: it is of other data or of other settings, so that the order would be another one.
        """
        now = self.state(int(state["step"]))
        changed = [name for name, value in now["settings"].items() if state["settings"].get(name) != value]
        if changed:
            said = "; ".join(
                f"{name} was {state['settings'].get(name)}, is {now['settings'][name]}" for name in changed
            )
            raise BadInput(f"The checkpoint's loader had other settings ({said}). Set them back, or start a new run.")
        if state["fingerprint"] != now["fingerprint"]:
            raise BadInput(
                f"The checkpoint's loader read other data ({state['clips']:,} clips then, {now['clips']:,} now). "
                "Give the same builds and bench lists, in the same order, or start a new run."
            )
        return int(state["step"])

    def _noted(self, sample: TrainingSample) -> TrainingSample:
        for key, reason in sample.replaced:
            self.replaced[key] += 1
            logger.warning("clip %s cannot be read (%s); %s stands in at step %d", key, reason, sample.key, sample.step)
        return sample


class _Places:
    """Places of a rank in the order of reading, as torch's sampler."""

    def __init__(self, start: int, stop: int | None, indices: range) -> None:
        self._start, self._stop, self._indices = start, stop, indices

    def __iter__(self) -> Iterator[Place]:
        step = self._start
        while self._stop is None or step < self._stop:
            yield from ((step, index) for index in self._indices)
            step += 1

    class Samples(Dataset["Packed"]):
        """Places to samples, as torch's dataset."""

        def __init__(self, maker: SampleMaker) -> None:
            self._maker = maker

        def __getitem__(self, place: Place) -> "Packed":
            try:
                return packed(self._maker.make(*place))
            except RunFailed as error:  # torch would wrap it into a traceback of many lines
                return Packed({"failed": str(error)}, {})


class Packed(NamedTuple):
    """A sample on its way from a worker: tensors go through shared memory, arrays would be copied through a pipe."""

    words: dict[str, Any]
    tensors: dict[str, torch.Tensor]


def packed(sample: TrainingSample) -> Packed:
    """Take a sample's arrays out of it."""
    tensors = {"rgb": sample.rgb, "times_s": sample.times_s}
    tensors |= {f"{name}/drawn": frames for name, frames in sample.drawn.items()}
    facts = {}
    for name, map in sample.maps.items():
        facts[name] = dict(map.facts)
        tensors[f"{name}/data"] = map.data
        if map.valid is not None:
            tensors[f"{name}/valid"] = map.valid
        tensors |= {f"{name}/arrays/{key}": array for key, array in map.arrays.items()}
    apart = ("rgb", "times_s", "maps", "drawn")
    words = {name: getattr(sample, name) for name in TrainingSample.__slots__ if name not in apart}
    words["replaced"] = [tuple(one) for one in sample.replaced]
    return Packed({**words, "facts": facts}, {name: torch.from_numpy(array) for name, array in tensors.items()})


def unpacked(packed: Packed) -> TrainingSample:
    """Put a sample together again; its arrays are views of the tensors.

    Raises:
        RunFailed: the worker could not make it.
    """
    words = dict(packed.words)
    if "failed" in words:
        raise RunFailed(words["failed"])
    arrays = {name: tensor.numpy() for name, tensor in packed.tensors.items()}
    drawn = {key.removesuffix("/drawn"): array for key, array in arrays.items() if key.endswith("/drawn")}
    maps = {}
    for name, facts in words.pop("facts").items():
        prefix = f"{name}/arrays/"
        rest = {key.removeprefix(prefix): array for key, array in arrays.items() if key.startswith(prefix)}
        maps[name] = Map(data=arrays[f"{name}/data"], valid=arrays.get(f"{name}/valid"), arrays=rest, facts=facts)
    words["available"] = tuple(words["available"])
    words["replaced"] = tuple(Replaced(*one) for one in words["replaced"])
    return TrainingSample(**words, rgb=arrays["rgb"], times_s=arrays["times_s"], maps=maps, drawn=drawn)


def _calm_opencv() -> None:
    """Leave OpenCV no threads before workers are forked: in a copy of a process whose pool ran, any call that touches
    the pool waits for ever, also the one that sets its size."""
    import cv2

    cv2.setNumThreads(1)


def _start_worker(number: int) -> None:
    """One thread for each worker: there are as many workers as cores are meant for reading."""
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)
