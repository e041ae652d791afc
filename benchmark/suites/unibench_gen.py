"""unibench-gen: RGB from text, RGB from a map (cond), RGB and a map from text (joint), without weights by default.

Whether a generated clip follows its condition is measured by looking at it again: an expert annotates it, and its map
is scored against the condition. Beside that number stand two that say what it is worth: the same expert on the clip
that the condition is of ("original", which no perfect model would beat by much), and the same map scored against
another sample's condition ("shuffled", what a model that ignores its condition gets).

Protocols:
    control             expert on generated RGB against the condition (cond)
    expert              expert on generated RGB against the map generated with it (joint)
    same-model          the model's own estimate on its generated RGB against the map generated with it (joint)
    original            the same on the original clip (cond; of plain.* and video.warp_error: the original clip itself)
    shuffled            the same against another sample's condition (cond)
    same-model-shuffled the same against another sample's generated map (joint)
    outside             pixels outside the subject's mask
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from openuni.benchmark.gen import samples
from openuni.benchmark.gen.control import absent, compare
from openuni.benchmark.gen.foreground import Colours, foreground, learn_colours
from openuni.benchmark.gen.reannotate import Reannotator
from openuni.benchmark.gen.samples import GenSample
from openuni.benchmark.judge import Scored
from openuni.benchmark.predictions import Prediction, read_prediction
from openuni.benchmark.suite import Item
from openuni.engine.stage import Absent
from openuni.errors import BadInput
from openuni.generator import RGB, Ask
from openuni.modality import Map
from openuni.resize import resized_map
from openuni.table import METRICS, MODALITIES, load

NO_OTHER = "no_other_sample"
STILL = ("plain.flicker", "video.warp_error", "plain.background")


@dataclass
class UniBenchGen:
    """RGB from text, from each modality, and with each modality."""

    experts: str = ""
    """MODALITY=NAME of ANNOTATORS, joined by commas; the embedded ones look at the other modalities."""
    weights: str = ""
    """Folder of the experts' weights."""

    name: ClassVar[str] = "unibench-gen"
    title: ClassVar[str] = "UniBench generation"
    pairs: ClassVar[tuple[tuple[str, str], ...]] = (
        ("text", RGB),
        *(("cond", name) for name in MODALITIES),
        *(("joint", name) for name in MODALITIES),
    )
    prompted: ClassVar[bool] = False
    samples: ClassVar[int] = 1
    paired: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Find the experts.

        Raises:
            BadInput: see Reannotator.
        """
        named = {}
        for text in filter(None, self.experts.split(",")):
            modality, equals, expert = text.partition("=")
            if not equals or modality in named:
                raise BadInput(f"--expert {text!r}: write MODALITY=NAME, each modality once, as depth=depth-motion.")
            named[modality.strip()] = expert.strip()
        self._experts = Reannotator(named, self.weights or None)

    @property
    def version(self) -> str:
        """Of the suite's own rules and of every expert: another expert gives other numbers."""
        marks = ", ".join(f"{one['expert']} {one['fingerprint']}" for one in self._experts.describe().values())
        return f"1 ({marks})"

    def describe(self) -> dict[str, Any]:
        """Return who looks at what was generated: expert, version, hashes, licence, by modality."""
        return {"experts": self._experts.describe()}

    def refuses(self, data: Path | None) -> str:
        """See Suite.refuses."""
        return "no --data: give a curated, rendered or imported folder" if data is None else samples.refuses(data)

    def items(self, data: Path | None) -> Iterator[Item]:
        """See Suite.items."""
        assert data is not None, "refused"
        return samples.items(data)

    def ask(self, folder: Path, task: str, modality: str) -> Ask:
        """See Suite.ask: the condition in cond, nothing else; the answer has the clip's own size."""
        sample = samples.read_sample(folder)
        if task == "cond" and modality not in sample.maps:
            raise Absent(f"no_{modality}")
        frames, height, width = sample.rgb.shape[:3]
        return Ask(
            task=task, modality=modality, sample=folder.name, num_frames=frames, height=height, width=width,
            fps=sample.fps, map=sample.maps[modality] if task == "cond" else None,
        )  # fmt: skip

    def setup(self) -> None:
        """Load the experts."""
        self._experts.setup()

    def score(self, folder: Path, task: str, modality: str, prediction: Prediction) -> list[Scored]:
        """See Suite.score."""
        assert prediction.rgb is not None, "all these tasks make RGB"
        sample = samples.read_sample(folder)
        seen = _Seen(self._experts, sample, folder, task, modality, prediction)
        rows: list[Scored] = []
        if task == "cond":
            rows += seen.control()
            rows += seen.foreground()
        if task == "joint":
            rows += seen.agreement()
        return [*rows, *seen.video()]


class _Seen:
    """One answer, looked at."""

    def __init__(
        self, experts: Reannotator, sample: GenSample, folder: Path, task: str, modality: str, prediction: Prediction
    ) -> None:
        self.experts, self.sample, self.task, self.modality = experts, sample, task, modality
        self.prediction, self.original_key = prediction, str(folder)
        assert prediction.rgb is not None, "checked by the caller"
        self.rgb: np.ndarray = prediction.rgb
        self.key = f"generated {folder} {task} {modality} {prediction.about.get('key')}"

    def generated(self, modality: str) -> Map:
        """The expert's map of the generated frames. Raises Absent."""
        return self.experts(modality, self.rgb, self.sample.fps, self.key)

    def original(self, modality: str) -> Map:
        """The expert's map of the sample's own frames. Raises Absent."""
        return self.experts(modality, self.sample.rgb, self.sample.fps, self.original_key)

    def control(self) -> list[Scored]:
        """Does the clip follow its condition?"""
        name, condition = self.modality, self.sample.maps[self.modality]
        other = None if self.other is None else self.other.maps.get(name)
        rows = _compared(name, lambda: self.generated(name), lambda: condition, "control")
        rows += _compared(name, lambda: self.generated(name), lambda: other, "shuffled")
        return rows + _compared(name, lambda: self.original(name), lambda: condition, "original")

    def agreement(self) -> list[Scored]:
        """Do the frames and the map that were made together agree?"""
        name, made, again = self.modality, self.prediction.map, self.prediction.again
        assert made is not None, "joint has a map"
        rows = _compared(name, lambda: self.generated(name), lambda: made, "expert")

        def own() -> Map:
            if again is None:
                raise Absent(str(self.prediction.about.get("again") or "no_estimate"))
            return again

        def other() -> Map:
            if self.prediction.other is None:
                raise Absent(NO_OTHER)
            try:
                map = read_prediction(self.prediction.other.folder).map
            except BadInput as error:
                raise Absent("other_sample_not_predicted") from error
            assert map is not None, "joint has a map"
            return map

        rows += _compared(name, own, lambda: made, "same-model")
        return rows + _compared(name, own, other, "same-model-shuffled")

    @cached_property
    def other(self) -> GenSample | None:
        """Another sample."""
        return None if self.prediction.other is None else samples.read_sample(self.prediction.other.source)

    def foreground(self) -> list[Scored]:
        """Are the things where the masks are, by their colours? See foreground.py."""
        name, masks = "video.foreground_iou", self.sample.maps.get("segmentation")
        colours = None if masks is None else learn_colours(self.sample.rgb, masks.data > 0)
        if masks is None or colours is None:
            reason = "no_masks" if masks is None else "no_foreground_or_no_background"
            return [Scored(name, protocol, None, 0, (reason,)) for protocol in ("control", "shuffled", "original")]
        mask = masks.data > 0
        made = foreground(self.rgb, colours)
        return [
            _score(name, "control", int(mask.sum()), (), made, mask),
            self._shuffled_foreground(name, made, colours),
            _score(name, "original", int(mask.sum()), (), foreground(self.sample.rgb, colours), mask),
        ]

    def _shuffled_foreground(self, name: str, made: np.ndarray, colours: Colours) -> Scored:
        masks = None if self.other is None else self.other.maps.get("segmentation")
        if masks is None:
            return Scored(name, "shuffled", None, 0, (NO_OTHER,))
        mask = resized_map("segmentation", masks, height=made.shape[1], width=made.shape[2]).data > 0
        length = min(len(mask), len(made))
        return _score(name, "shuffled", int(mask[:length].sum()), (), made[:length], mask[:length])

    def video(self) -> list[Scored]:
        """How still is what should not change: outside the subject, on generated and original frames."""
        made, made_flags = self._outside(self.rgb, self.generated, own=self.task != "cond")
        there, there_flags = self._outside(self.sample.rgb, self.original, own=False)
        rows = _still(self.rgb, made, made_flags, "outside", lambda: self.generated("flow"))
        return rows + _still(self.sample.rgb, there, there_flags, "original", lambda: self.original("flow"))

    def _outside(self, rgb: np.ndarray, look: Callable[[str], Map], *, own: bool) -> tuple[np.ndarray, tuple[str, ...]]:
        """(T, H, W) bool: not of the subject: the sample's masks, or where frames need not follow them, an expert's."""
        masks: Map | None = None if own else self.sample.maps.get("segmentation")
        if own and self.modality == "segmentation":
            masks = self.prediction.map
        if masks is None:
            try:
                masks = look("segmentation")
            except Absent as error:
                return np.ones(rgb.shape[:3], bool), (f"no_subject:{error}",)
        return masks.data == 0, ()


def _compared(modality: str, found: Callable[[], Map], wanted: Callable[[], Map | None], protocol: str) -> list[Scored]:
    try:
        target = wanted()
        if target is None:
            return absent(modality, protocol, NO_OTHER)
        return compare(modality, found(), target, protocol)
    except Absent as error:
        return absent(modality, protocol, f"absent:{error}")


def _still(
    rgb: np.ndarray, where: np.ndarray, flags: tuple[str, ...], protocol: str, flow_of: Callable[[], Map]
) -> list[Scored]:
    count = int(where.sum())
    flicker, warp_error, background = STILL
    rows = [_score(flicker, protocol, count, flags, rgb, where)]
    try:
        flow = flow_of()
        valid = np.ones(where.shape, bool) if flow.valid is None else flow.valid
        rows.append(_score(warp_error, protocol, count, flags, rgb, flow.data, valid, where))
    except Absent as error:
        rows.append(Scored(warp_error, protocol, None, 0, (*flags, f"absent:{error}")))
    return [*rows, _score(background, protocol, count, flags, rgb, ~where)]


def _score(name: str, protocol: str, valid: int, flags: tuple[str, ...], *arrays: np.ndarray) -> Scored:
    value = float(load("metric", METRICS, name)(*arrays))
    if math.isfinite(value):
        return Scored(name, protocol, value, valid, flags)
    return Scored(name, protocol, None, valid, (*flags, "nothing_to_score"))
