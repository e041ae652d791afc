"""Scorer: one clip, one decode, every dimension whose weights are here; the others say what would get them."""

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from openuni.annotators.weights import Found, expert_called, find_weights, missing_packages, weights_hash
from openuni.benchmark.vbench.dimensions import COMPUTED, DIMENSIONS
from openuni.benchmark.vbench.feature import Arrays, Feature, FeatureCache, NotScored
from openuni.benchmark.vbench.formulas import consistency, is_dynamic, is_static, likeness, steadiness
from openuni.benchmark.vbench.frames import ClipFrames
from openuni.device import pick_device
from openuni.errors import MissingWeights
from openuni.table import load

logger = logging.getLogger(__name__)

FEATURES = {
    "dino": "openuni.benchmark.vbench.pictures:DinoFeature",
    "clip": "openuni.benchmark.vbench.pictures:ClipFeature",
    "aesthetic": "openuni.benchmark.vbench.pictures:AestheticFeature",
    "musiq": "openuni.benchmark.vbench.pictures:MusiqFeature",
    "differences": "openuni.benchmark.vbench.motion:DifferencesFeature",
    "raft": "openuni.benchmark.vbench.motion:RaftFeature",
    "static": "openuni.benchmark.vbench.motion:StaticFeature",
    "amt": "openuni.benchmark.vbench.motion:MiddleFeature",
    "viclip": "openuni.benchmark.vbench.words:ViClipFeature",
}
STATIC = "static"
"""Asked for beside dimensions: whether a clip passes the static filter, 1 or 0."""


NO_WEIGHTS = "no_weights"


class Value(NamedTuple):
    """One dimension of one clip."""

    value: float | None
    """VBench's raw value of the clip, where a suite's is their mean; dynamic degree is 0 or 1. None: not scored."""
    over: int = 0
    """Pairs, frames or clips that it is a mean over; a suite's mean over pairs weighs by it."""
    reason: str = ""
    """Why there is none, one snake_case word."""


class Scorer:
    """Scores clips. Networks are loaded when a clip first needs them and stay."""

    def __init__(self, weights: str | Path | None = None, *, cache: Path | None = None, device: str = "auto") -> None:
        """Find the weights; nothing is loaded.

        Args:
            weights: the folder of --weights; None: OPENUNI_WEIGHTS and the libraries' caches alone.
            cache: folder that features are kept in; None: nowhere.
            device: auto, cpu or cuda.

        Raises:
            BadInput: a folder or device that is not there.
        """
        self.device = pick_device(device)
        self.cache = FeatureCache(cache) if cache else None
        self.found: dict[str, dict[str, Found]] = {}
        self.missing: dict[str, str] = {}
        """Feature -> what is missing and what gets it, one line."""
        self._loaded: dict[str, Feature] = {}
        for name in FEATURES:
            try:
                experts = load("feature", FEATURES, name).experts
                self.found[name] = {expert: find_weights(expert, weights) for expert in experts}
                if lacking := [one for expert in experts for one in missing_packages(expert_called(expert))]:
                    raise MissingWeights(f"{name} needs the package {', '.join(lacking)}.")
            except MissingWeights as error:
                self.found.pop(name, None)
                self.missing[name] = str(error)

    def weights_of(self, feature: str) -> str:
        """Return the hash of a feature's weights; empty where it has none or they are missing."""
        found = self.found.get(feature)
        return weights_hash(*found.values()) if found else ""

    def describe(self) -> str:
        """Return what decides every number, as text: features, their versions and weights."""
        about = [(name, load("feature", FEATURES, name).version, self.weights_of(name)[:12]) for name in FEATURES]
        return " ".join(f"{name}-{version}{'-' + weights if weights else ''}"
                        for name, version, weights in about if name in self.found)  # fmt: skip

    def score(self, clip: ClipFrames, *, prompt: str = "", dimensions: Iterable[str] = COMPUTED) -> dict[str, Value]:
        """Score one clip.

        Args:
            clip: it is decoded if a feature is not in the cache.
            prompt: what it was made from; without one overall consistency has no value.
            dimensions: of COMPUTED, or STATIC.

        Raises:
            BadInput: the clip cannot be decoded, or weights are for another network.
        """
        return {name: self._score(name, clip, prompt) for name in dimensions}

    def _score(self, name: str, clip: ClipFrames, prompt: str) -> Value:
        feature = STATIC if name == STATIC else DIMENSIONS[name].feature
        if feature in self.missing:
            return Value(None, 0, NO_WEIGHTS)
        if name == "overall_consistency" and not prompt.strip():
            return Value(None, 0, "no_prompt")
        try:
            arrays = self._feature(feature, clip)
        except NotScored as error:
            return Value(None, 0, str(error))
        return self._value(name, arrays, prompt)

    def _value(self, name: str, arrays: Arrays, prompt: str) -> Value:
        if name in ("subject_consistency", "background_consistency"):
            alike = consistency(arrays["features"])
            return Value(alike.mean, alike.pairs, "" if alike.pairs else "one_frame")
        if name in ("temporal_flickering", "motion_smoothness"):
            value = steadiness(arrays["differences"])
            return Value(value, len(arrays["differences"]), "" if value is not None else "one_frame")
        if name in ("aesthetic_quality", "imaging_quality"):
            scale = 10 if name == "aesthetic_quality" else 100
            return Value(float(arrays["scores"].mean()) / scale, len(arrays["scores"]))
        if name == "overall_consistency":
            return Value(likeness(arrays["features"], self._network("viclip").text(prompt)), 1)  # type: ignore[attr-defined]
        motions, side, kept = arrays["motions"].tolist(), int(arrays["shorter_side"]), int(arrays["kept"])
        if name == STATIC:
            return Value(float(is_static(motions, shorter_side=side, frames=kept)), kept)
        return Value(float(is_dynamic(motions, shorter_side=side, kept=kept)), len(motions))

    def _feature(self, name: str, clip: ClipFrames) -> Arrays:
        if self.cache is None:
            return self._network(name)(clip)
        made = self._loaded.get(name) or load("feature", FEATURES, name)(self.device)
        path = self.cache.path(made, clip.content, self.weights_of(name))
        kept = self.cache.read(path)
        if kept is None:
            kept = self._network(name)(clip)
            self.cache.write(path, kept)
        return kept

    def _network(self, name: str) -> Feature:
        if name not in self._loaded:
            made: Feature = load("feature", FEATURES, name)(self.device)
            made.load(self.found[name])
            self._loaded[name] = made
        return self._loaded[name]


def missing_weights(scorer: Scorer | None = None) -> dict[str, str]:
    """Return dimension -> what of its weights is missing and what gets it, one line; also for the static filter."""
    missing = (scorer or Scorer()).missing
    asked = {**{name: DIMENSIONS[name].feature for name in COMPUTED}, STATIC: STATIC}
    return {name: missing[feature] for name, feature in asked.items() if feature in missing}
