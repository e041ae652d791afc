"""Reannotate: experts look at frames that a model made, as a build lets them look at a clip's."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from openuni.annotators.expert import make_stage
from openuni.benchmark.annotator_bench import ordered
from openuni.engine.stage import Absent, Drop, Stage, fingerprint
from openuni.errors import BadInput, UnknownName
from openuni.modality import Map, codec
from openuni.table import ANNOTATORS, EXPERT_SETS, MODALITIES, load

KEPT = 24  # ours: clips whose maps are kept, of originals that several questions ask for; 100 MB at 64 px
NO_EXPERT = "no_expert"
"""Why a map is absent where nobody looks: skeleton and DensePose have no expert without weights."""


@dataclass
class _Frames:
    """What experts read of openuni.frames.Frames."""

    rgb: np.ndarray
    fps: float

    @property
    def times_s(self) -> np.ndarray:
        """(T,) float64."""
        return np.arange(len(self.rgb)) / self.fps


@dataclass
class _View:
    """What experts are called with."""

    frames: _Frames
    maps: dict[str, Map] = field(default_factory=dict)
    shared: dict[str, Any] = field(default_factory=dict)


class Reannotator:
    """Experts by modality: those named, and the embedded ones for the others."""

    def __init__(self, named: Mapping[str, str], weights: str | None = None) -> None:
        """Find the experts and their weights; nothing is loaded.

        Args:
            named: modality -> name in ANNOTATORS.
            weights: the folder of --weights.

        Raises:
            BadInput, UnknownName, MissingWeights: there is no such expert, it makes another modality, its weights are
                not there.
        """
        for modality, name in named.items():
            if modality not in MODALITIES:
                raise UnknownName("modality in --expert", modality, MODALITIES)
            if name in EXPERT_SETS["truth"]:
                raise BadInput(f"--expert {modality}={name}: what a model made has no truth; name an estimator.")
            if load("expert", ANNOTATORS, name).modality != modality:
                raise BadInput(f"--expert {modality}={name}: {name} makes {load('expert', ANNOTATORS, name).modality}.")
        embedded = {load("expert", ANNOTATORS, name).modality: name for name in EXPERT_SETS["embedded"]}
        classes = ordered({**embedded, **named}, {})
        self._stages: dict[str, Stage] = {
            modality: make_stage(cls, {}, weights, part=modality) for modality, cls in classes.items()
        }
        self._kept: OrderedDict[tuple[str, str], Map | str] = OrderedDict()

    def describe(self) -> dict[str, dict[str, str]]:
        """Return modality -> who looks: expert, version, hash of its weights and of all that decides its maps."""
        marks: dict[str, str] = {}
        for modality, stage in self._stages.items():  # readers stand behind what they read
            marks[modality] = fingerprint(stage, read=marks)
        return {
            modality: {
                "expert": stage.expert, "version": stage.version, "weights_sha256": stage.weights_hash,
                "fingerprint": marks[modality], "licence": stage.licence,
            }
            for modality, stage in self._stages.items()
        }  # fmt: skip

    def setup(self) -> None:
        """Load all experts, once for each worker."""
        for stage in self._stages.values():
            stage.setup()

    def __call__(self, modality: str, rgb: np.ndarray, fps: float, key: str) -> Map:
        """Look at frames.

        Args:
            modality: of the map wanted.
            rgb: (T, H, W, 3) uint8.
            fps: frames per second.
            key: names the frames: maps are kept by it.

        Returns:
            The map as a build stores it.

        Raises:
            Absent: the expert abstains, or there is none.
        """
        if modality not in self._stages:
            raise Absent(NO_EXPERT)
        found = self._kept.get((key, modality))
        if found is None:
            found = self._look(modality, rgb, fps, key)
            self._kept[key, modality] = found
            while len(self._kept) > KEPT * len(self._stages):
                self._kept.popitem(last=False)
        if isinstance(found, str):
            raise Absent(found)
        return found

    def _look(self, modality: str, rgb: np.ndarray, fps: float, key: str) -> Map | str:
        stage, view = self._stages[modality], _View(_Frames(rgb, fps))
        for read in stage.reads:
            try:
                view.maps[read] = self(read, rgb, fps, key)
            except Absent as error:
                return f"{read}_{error}"
        try:
            map = stage(view).map
        except (Absent, Drop) as error:
            return str(error)
        assert map is not None, "experts make maps"
        return codec(modality).stored(map)
