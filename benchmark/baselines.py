"""Baselines: what a model must beat before its numbers mean anything, and what it cannot.

`--model constant:BUILD` answers every clip with the same maps, the best that one can say without looking, tuned on a
build's training split. `--model copy:RENDERING` takes the frames themselves for the drawing of the map, as a network
that has learned nothing would. `--model ceiling:DATA` draws the truth and reads it back: no model that draws can do
better.
"""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from openuni.benchmark.metrics.metric import Metric
from openuni.benchmark.synth.files import find_clip, read_truth
from openuni.benchmark.synth.render import maps_of
from openuni.errors import BadInput
from openuni.generator import Answer, Ask, Size, Unanswerable
from openuni.modality import Map
from openuni.resize import resized_frames, resized_map
from openuni.sample import INDEX, SampleReader
from openuni.table import METRICS, MODALITIES, RENDERINGS, load

MAX_CLIPS = 1000
"""Of a build that constants are tuned on, evenly over it. Ours: means of 1,000 clips are known to 3 %."""
TRIED_CLIPS = 200
"""That a threshold is chosen by."""
SHARES = (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5)
"""Thresholds tried: a pixel is drawn where it is drawn in at least this share of the clips."""
NUM_PARTS = 25


class _Baseline:
    """What all have in common: any size, nothing to load."""

    def size(self) -> Size | None:
        """Any."""
        return None

    def setup(self) -> None:
        """Nothing is loaded."""


class _Reader(_Baseline):
    """What reads a drawing by a rendering, of every modality."""

    kind: ClassVar[str]
    rendering: str

    def fingerprint(self) -> str:
        """See Generator.fingerprint. Frames and truth are part of each sample's own identity."""
        load("rendering", RENDERINGS, self.rendering)
        return hashlib.sha256(f"{self.kind} 1 {self.rendering}".encode()).hexdigest()[:16]

    def capabilities(self) -> tuple[tuple[str, str], ...]:
        """Every estimation."""
        return tuple(("est", name) for name in MODALITIES)

    def describe(self) -> dict[str, Any]:
        """See Generator.describe."""
        return {"kind": "baseline", "rendering": self.rendering}

    def read(self, modality: str, drawn: np.ndarray) -> Answer:
        """Return what a drawing says."""
        renderings: Any = load("rendering", RENDERINGS, self.rendering)
        return Answer(map=renderings.to_map(modality, drawn), lacks=renderings.lacks(modality), rendering=drawn)


@dataclass
class CopyRgb(_Reader):
    """Reads the frames as if they were the drawn map."""

    rendering: str
    """Name of RENDERINGS that they are read by."""

    name: ClassVar[str] = "copy-RGB"
    kind: ClassVar[str] = "copy"

    def __call__(self, ask: Ask) -> Answer:
        """See Generator.__call__."""
        assert ask.rgb is not None, "est gives RGB"
        return self.read(ask.modality, resized_frames(ask.rgb, height=ask.height, width=ask.width))


@dataclass
class Ceiling(_Reader):
    """Draws the truth of a rendered clip and reads it back."""

    data: str
    """The rendered folder that is scored."""
    rendering: str = "tiny"
    """Name of RENDERINGS that it is drawn by."""

    name: ClassVar[str] = "ceiling"
    kind: ClassVar[str] = "ceiling"

    def __call__(self, ask: Ask) -> Answer:
        """See Generator.__call__."""
        renderings: Any = load("rendering", RENDERINGS, self.rendering)
        maps = maps_of(read_truth(find_clip(Path(self.data), ask.sample)))
        if ask.modality not in maps:
            raise Unanswerable(f"no_true_{ask.modality}")
        return self.read(ask.modality, renderings.draw(ask.modality, maps[ask.modality]))


@dataclass
class Constant(_Baseline):
    """Gives every clip the same maps."""

    build: str
    """Folder of the build whose training split they are tuned on."""

    name: ClassVar[str] = "constant"

    def fingerprint(self) -> str:
        """See Generator.fingerprint."""
        path = Path(self.build) / INDEX
        if not path.is_file():
            raise BadInput(f"--model constant:{self.build}: {path} not found. Give the folder of a finished build.")
        return hashlib.sha256(b"constant 1 " + path.read_bytes()).hexdigest()[:16]

    def capabilities(self) -> tuple[tuple[str, str], ...]:
        """Estimation of what the build has."""
        return tuple(("est", name) for name in SampleReader(self.build).modalities)

    def describe(self) -> dict[str, Any]:
        """See Generator.describe."""
        return {"kind": "baseline", "clips": MAX_CLIPS}

    def setup(self) -> None:
        """Read the training clips and choose."""
        self._maps = tuned(Path(self.build))

    def __call__(self, ask: Ask) -> Answer:
        """See Generator.__call__."""
        one = resized_map(ask.modality, self._maps[ask.modality], height=ask.height, width=ask.width)
        times = [0] * ask.num_frames
        valid = None if one.valid is None else one.valid[times]
        if ask.modality == "flow" and valid is not None:
            valid = valid.copy()
            valid[-1] = False
        return Answer(map=replace(one, data=one.data[times], valid=valid))


def tuned(build: Path) -> dict[str, Map]:
    """Choose constants: maps of one frame, for the modalities that a build's training split has."""
    reader = SampleReader(build, split="train")
    picks = np.unique(np.linspace(0, len(reader) - 1, min(MAX_CLIPS, len(reader))).astype(int))
    found: dict[str, list[Map]] = {name: [] for name in reader.modalities}
    for number in picks:
        for name, one in reader[int(number)].maps.items():
            found[name].append(replace(one, arrays={}))
    makers = {"depth": _depth, "flow": _flow, "densepose": _parts, "skeleton": _joints, "segmentation": _mask}
    return {name: makers[name](maps) for name, maps in found.items() if maps}


def _depth(maps: list[Map]) -> Map:
    """Mean disparity of each pixel; an alignment does the rest."""
    total: np.ndarray = np.zeros(maps[0].data.shape[1:])
    for one in maps:
        metric = one.facts["kind"] == "metric_depth"
        disparity = np.where(np.isfinite(one.data), 1 / np.maximum(one.data, 1e-6), 0) if metric else one.data
        total = total + disparity.mean(0)
    mean = (total / len(maps))[None].astype(np.float32)
    return Map(data=mean, valid=np.ones(mean.shape, bool), facts={"kind": "relative_disparity"})


def _flow(maps: list[Map]) -> Map:
    """No motion, or the mean or median of each pixel: what is nearest to the clips."""
    stack = np.concatenate([one.data[:-1] for one in maps])
    known = np.concatenate([np.ones(one.data[:-1].shape[:3], bool) if one.valid is None else one.valid[:-1]
                            for one in maps])  # fmt: skip
    stack = np.where(known[..., None], stack, 0)
    tried = [np.zeros(stack.shape[1:], np.float32), stack.mean(0), np.median(stack, 0)]
    errors = [np.linalg.norm(stack - one, axis=-1)[known].mean() for one in tried]
    best = tried[int(np.argmin(errors))][None].astype(np.float32)
    return Map(data=best, valid=np.ones(best.shape[:3], bool))


def _parts(maps: list[Map]) -> Map:
    """The commonest part of each pixel, where there is one in enough clips."""
    share = _shares([one.data for one in maps], NUM_PARTS)
    metric: Metric = load("metric", METRICS, "densepose.part_iou")
    return Map(data=_best(share, [one.data for one in maps if one.data.any()], metric))


def _mask(maps: list[Map]) -> Map:
    """One instance, where there is one in enough clips."""
    drawn = [(one.data > 0).astype(np.uint8) for one in maps]
    metric: Metric = load("metric", METRICS, "segmentation.miou")
    return Map(data=_best(_shares(drawn, 2), [one.data for one in maps if one.data.any()], metric))


def _shares(maps: list[np.ndarray], values: int) -> np.ndarray:
    """(values, H, W) share of frames in which a pixel has each value."""
    return np.stack([np.mean([(one == value).mean(0) for one in maps], axis=0) for value in range(values)])


def _best(share: np.ndarray, maps: list[np.ndarray], metric: Metric) -> np.ndarray:
    """(1, H, W) uint8: the commonest value but 0 where that is rarer than a threshold, the one that scores best."""
    tried = maps[:: max(1, len(maps) // TRIED_CLIPS)]
    best, highest = np.zeros((1, *share.shape[1:]), np.uint8), -1.0
    for threshold in SHARES:
        drawn = np.where(1 - share[0] >= threshold, share[1:].argmax(0) + 1, 0).astype(np.uint8)[None]
        score = float(np.nanmean([metric(np.repeat(drawn, len(one), 0), one) for one in tried])) if tried else 0.0
        if score > highest:
            best, highest = drawn, score
    return best


def _joints(maps: list[Map]) -> Map:
    """One person: the mean of everybody's joints."""
    people = np.concatenate([one.data.reshape(-1, *one.data.shape[2:]) for one in maps if one.data.shape[1]])
    seen = people[..., 2] > 0
    total = np.where(seen[..., None], people[..., :2], 0).sum(0) / np.maximum(seen.sum(0), 1)[..., None]
    data = np.concatenate([total, (seen.sum(0) > 0)[..., None]], axis=-1).astype(np.float32)
    return Map(data=data[None, None], facts={key: maps[0].facts[key] for key in ("height", "width")})
