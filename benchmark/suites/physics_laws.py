"""physics-laws: gravity, a collision and an object's permanence in clips generated from maps of rendered ones.

Rendered clips of the families fall, collision and hiding have the law in them; the same measurement on their own RGB
stands beside the answer's as protocol "rendered": its error bar.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from openuni.benchmark.judge import Scored
from openuni.benchmark.metrics import laws
from openuni.benchmark.physics.laws import track
from openuni.benchmark.predictions import Prediction
from openuni.benchmark.suite import Item
from openuni.benchmark.suites.physics_refract import GENERATED, RENDERED, PhysicsRefract
from openuni.benchmark.suites.unibench_est import UniBenchEst
from openuni.benchmark.synth.files import read_frames_of
from openuni.generator import Ask
from openuni.table import MODALITIES


def _gravity(rgb: np.ndarray) -> float:
    return laws.acceleration_change(track(rgb, "red"))


def _collision(rgb: np.ndarray) -> float:
    return laws.momentum_sign(track(rgb, "red"), track(rgb, "green"), rgb.shape[2])


def _permanence(rgb: np.ndarray) -> float:
    return laws.returns(track(rgb, "red"), rgb.shape[2])


PROBES: dict[str, tuple[str, Callable[[np.ndarray], float]]] = {
    "fall": (laws.ACCELERATION_CHANGE.name, _gravity),
    "collision": (laws.MOMENTUM_SIGN.name, _collision),
    "hiding": (laws.RETURNS.name, _permanence),
}
"""Family -> its metric, and what measures it in frames."""
OTHER = "other_law"
"""Flag of a metric that is about another family."""


class PhysicsLaws:
    """RGB from each modality, of falling, colliding and hidden balls."""

    name = "physics-laws"
    title = "Laws of motion"
    version = "1"
    pairs = tuple(("cond", name) for name in MODALITIES)
    prompted = False
    samples = 1
    paired = False

    def refuses(self, data: Path | None) -> str:
        """See Suite.refuses."""
        if data is None:
            return f"no --data: give a folder with scenes of the families {', '.join(PROBES)}"
        if why := UniBenchEst().refuses(data):
            return why
        if not any(item.family in PROBES for item in UniBenchEst().items(data)):
            return f"{data} has no scenes of the families {', '.join(PROBES)}; openuni unibench render --families fall"
        return ""

    def items(self, data: Path | None) -> Iterator[Item]:
        """See Suite.items."""
        for item in UniBenchEst().items(data):
            if item.family in PROBES:
                yield replace(item, pairs=tuple(pair for pair in self.pairs if ("est", pair[1]) in item.pairs))

    def ask(self, folder: Path, task: str, modality: str) -> Ask:
        """See Suite.ask: the map."""
        return PhysicsRefract().ask(folder, task, modality)

    def setup(self) -> None:
        """Nothing is loaded."""

    def score(self, folder: Path, task: str, modality: str, prediction: Prediction) -> list[Scored]:
        """See Suite.score."""
        import json

        assert prediction.rgb is not None, "cond has RGB"
        family = json.loads((folder / "clip.json").read_text("utf-8"))["family"]
        rendered, _ = read_frames_of(folder)
        rows = []
        for protocol, rgb in ((GENERATED, prediction.rgb), (RENDERED, rendered)):
            for known, (metric, measure) in PROBES.items():
                if known != family:
                    rows.append(Scored(metric, protocol, None, 0, (OTHER,)))
                    continue
                value = measure(rgb)
                if math.isfinite(value):
                    rows.append(Scored(metric, protocol, value, len(rgb)))
                else:
                    rows.append(Scored(metric, protocol, None, 0, ("nothing_to_score",)))
        return rows
