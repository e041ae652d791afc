"""VBench's dimensions as metrics: raw values of 1, of one clip. benchmark/vbench/aggregate.py averages them."""

import numpy as np

from openuni.benchmark.metrics.metric import Metric
from openuni.benchmark.vbench.formulas import consistency, is_dynamic, is_static, likeness, steadiness

SOURCE = "VBench (arXiv 2311.17982), code 45e79ec"


def _alike(features: np.ndarray) -> float:
    mean = consistency(features).mean
    return float("nan") if mean is None else mean


def _steady(differences: np.ndarray) -> float:
    value = steadiness(differences)
    return float("nan") if value is None else value


def _scaled(scores: np.ndarray, *, scale: float) -> float:
    return float(np.mean(scores)) / scale


def _aesthetic(scores: np.ndarray) -> float:
    return _scaled(scores, scale=10)


def _imaging(scores: np.ndarray) -> float:
    return _scaled(scores, scale=100)


def _dynamic(motions: np.ndarray, *, shorter_side: int, kept: int) -> float:
    return float(is_dynamic(motions.tolist(), shorter_side=shorter_side, kept=kept))


def _static(motions: np.ndarray, *, shorter_side: int, frames: int) -> float:
    return float(is_static(motions.tolist(), shorter_side=shorter_side, frames=frames))


SUBJECT = Metric(
    name="vbench.subject_consistency", unit="1", higher_is_better=True, source=SOURCE, function=_alike,
    protocol="DINO cosines to the previous and the first frame; over a suite by pairs of frames",
)  # fmt: skip
BACKGROUND = Metric(
    name="vbench.background_consistency", unit="1", higher_is_better=True, source=SOURCE, function=_alike,
    protocol="CLIP ViT-B/32 cosines to the previous and the first frame; over a suite by pairs of frames",
)  # fmt: skip
FLICKERING = Metric(
    name="vbench.temporal_flickering", unit="1", higher_is_better=True, source=SOURCE, function=_steady,
    protocol="1 - mean absolute difference of neighbouring frames / 255; official prompts: static clips only",
)  # fmt: skip
SMOOTHNESS = Metric(
    name="vbench.motion_smoothness", unit="1", higher_is_better=True, source=SOURCE, function=_steady,
    protocol="1 - mean absolute difference of every second frame and AMT-S's guess / 255",
)  # fmt: skip
DYNAMIC = Metric(
    name="vbench.dynamic_degree", unit="1", higher_is_better=True, source=SOURCE, function=_dynamic,
    protocol="1 where enough pairs at 8 frames a second move by RAFT, else 0",
)  # fmt: skip
AESTHETIC = Metric(
    name="vbench.aesthetic_quality", unit="1", higher_is_better=True, source=SOURCE, function=_aesthetic,
    protocol="LAION's head on CLIP ViT-L/14, mean over frames / 10",
)  # fmt: skip
IMAGING = Metric(
    name="vbench.imaging_quality", unit="1", higher_is_better=True, source=SOURCE, function=_imaging,
    protocol="MUSIQ-SPAQ, mean over frames / 100",
)  # fmt: skip
OVERALL = Metric(
    name="vbench.overall_consistency", unit="cosine", higher_is_better=True, source=SOURCE, function=likeness,
    protocol="ViCLIP cosine of 8 frames and the prompt; may be negative",
)  # fmt: skip
STATIC = Metric(
    name="vbench.static", unit="1", higher_is_better=True, source=SOURCE, function=_static,
    protocol="1 where RAFT sees little motion in all frames: the official suite's filter for temporal flickering",
)  # fmt: skip
