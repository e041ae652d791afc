"""physics-refract: does a straw in a glass of water break as Snell's law has it, and stay straight without water?

On rendered refraction scenes: RGB from a map (cond), scored against the break that the scene's own rays show; the same
detector on the rendered RGB stands beside it as protocol "rendered", which is the detector's own error. Masks from RGB
(est): the break of the mask that covers the visible straw. From text there is no truth: detection rate and break only.
"""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from openuni.benchmark.judge import Scored
from openuni.benchmark.metrics import refract
from openuni.benchmark.physics.refraction import Expected, expected_breaks, seen_breaks
from openuni.benchmark.physics.straw import find_straw_mask
from openuni.benchmark.predictions import Prediction
from openuni.benchmark.suite import Item
from openuni.benchmark.suites.prompted import DEFAULT_SIZE
from openuni.benchmark.suites.unibench_est import UniBenchEst
from openuni.benchmark.synth.files import read_frames_of, read_truth
from openuni.benchmark.synth.render import maps_of
from openuni.generator import RGB, Ask
from openuni.table import MODALITIES

FAMILY = "refraction"
GENERATED, RENDERED = "generated", "rendered"
"""Protocols: of the answer, and of the clip's own RGB."""
NO_TRUTH = "no_truth"
MASKS = ("est", "segmentation")
TEXT = ("text", RGB)
PROMPTS = {
    "text-water": "A straight straw with red and white stripes leans in a clear glass of water on a table, seen from "
    "the side. The camera stays still.",
    "text-empty": "A straight straw with red and white stripes leans in an empty clear glass on a table, seen from "
    "the side. The camera stays still.",
}
"""Ours: they name the colours that the detector needs."""
MIN_OVERLAP = 0.3  # ours: a mask that shares less with the visible straw, of their union, is of something else


class PhysicsRefract:
    """RGB from each modality and from text, and masks from RGB, of a straw in a glass."""

    name = "physics-refract"
    title = "Refraction of a straw"
    version = "1"
    pairs = (*(("cond", name) for name in MODALITIES), MASKS, TEXT)
    prompted = False
    samples = 1

    def refuses(self, data: Path | None) -> str:
        """See Suite.refuses."""
        if data is None:
            return "no --data: give a folder with scenes of the family refraction"
        if why := UniBenchEst().refuses(data):
            return why
        if not any(item.family == FAMILY for item in UniBenchEst().items(data)):
            return f"{data} has no scenes of the family refraction; openuni unibench render --families refraction"
        return ""

    def items(self, data: Path | None) -> Iterator[Item]:
        """See Suite.items: the rendered scenes, then the prompts."""
        asked = tuple(pair for pair in self.pairs if pair != TEXT)
        for item in UniBenchEst().items(data):
            if item.family == FAMILY:
                known = tuple(pair for pair in asked if ("est", pair[1]) in item.pairs)
                yield Item(
                    sample=item.sample, cluster=item.cluster, family=item.family, caption=item.caption, path=item.path,
                    content=item.content, pairs=known, problem=item.problem,
                )  # fmt: skip
        for sample, text in PROMPTS.items():
            yield Item(
                sample=sample, cluster=sample, family=FAMILY, caption=text, path="", content="prompt", pairs=(TEXT,)
            )

    def ask(self, folder: Path, task: str, modality: str) -> Ask:
        """See Suite.ask: the map in cond, the frames in est, nothing from text."""
        if task == "text":
            return Ask(task=task, modality=modality, sample="", any_size=True, **DEFAULT_SIZE._asdict())
        if task == "est":
            return UniBenchEst().ask(folder, task, modality)
        rgb, fps = read_frames_of(folder)
        frames, height, width = rgb.shape[:3]
        return Ask(
            task=task, modality=modality, sample=folder.name, num_frames=frames, height=height, width=width, fps=fps,
            map=maps_of(read_truth(folder))[modality],
        )  # fmt: skip

    def setup(self) -> None:
        """Nothing is loaded; expected breaks are kept from one question about a clip to the next."""
        self._kept: dict[tuple[Path, int, int], dict[int, Expected]] = {}

    def score(self, folder: Path, task: str, modality: str, prediction: Prediction) -> list[Scored]:
        """See Suite.score.

        Raises:
            Absent: the scene cannot be made again, so its rays are not known.
        """
        if task == "text":
            assert prediction.rgb is not None, "text has RGB"
            return _rows(_breaks(prediction.rgb), None, GENERATED)
        rgb, _ = read_frames_of(folder)
        expected = self._expected(folder, *rgb.shape[1:3])
        truth = {frame: one.break_deg for frame, one in expected.items()}
        if task == "est":
            assert prediction.map is not None, "est has a map"
            return _rows(_mask_breaks(prediction.map.data, expected), truth, GENERATED)
        assert prediction.rgb is not None, "cond has RGB"
        return [*_rows(_breaks(prediction.rgb), truth, GENERATED), *_rows(_breaks(rgb), truth, RENDERED)]

    def _expected(self, folder: Path, height: int, width: int) -> dict[int, Expected]:
        key = folder, height, width
        if key not in self._kept:
            self._kept.clear()
            self._kept[key] = expected_breaks(folder, height, width)
        return self._kept[key]


def _breaks(rgb: np.ndarray) -> dict[int, float | None]:
    return {frame: None if straw is None else straw.break_deg for frame, straw in seen_breaks(rgb).items()}


def _mask_breaks(ids: np.ndarray, expected: Mapping[int, Expected]) -> dict[int, float | None]:
    """Breaks of the masks that share most with the visible straw; ids (T, H, W)."""
    found: dict[int, float | None] = {}
    for frame, one in expected.items():
        shared = np.bincount(ids[frame][one.mask], minlength=2)
        shared[0] = 0
        mask = ids[frame] == shared.argmax()
        straw = None
        if shared.any() and shared.max() >= MIN_OVERLAP * (mask | one.mask).sum():
            straw = find_straw_mask(mask)
        found[frame] = None if straw is None else straw.break_deg
    return found


def _rows(breaks: Mapping[int, float | None], truth: Mapping[int, float] | None, protocol: str) -> list[Scored]:
    seen = sum(value is not None for value in breaks.values())
    flags = (NO_TRUTH,) if truth is None else ()
    rows = [
        _scored(refract.FOUND.name, refract.found(breaks), len(breaks), protocol, flags),
        _scored(refract.BREAK.name, refract.mean_break(breaks), seen, protocol, flags),
    ]
    if truth is not None:
        rows.append(_scored(refract.BREAK_ERROR.name, refract.break_error(breaks, truth), seen, protocol, flags))
    return rows


def _scored(name: str, value: float, valid: int, protocol: str, flags: tuple[str, ...]) -> Scored:
    if math.isfinite(value):
        return Scored(name, protocol, value, valid, flags)
    return Scored(name, protocol, None, 0, (*flags, "no_straw_found"))
