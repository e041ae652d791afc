"""Samples of generation: what is asked about a clip, from a rendered folder or a frozen set of real clips."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from openuni.benchmark.curate import frozen_set
from openuni.benchmark.suite import Item
from openuni.benchmark.suites.unibench_est import ARRAYS, frames_digest
from openuni.benchmark.synth.files import clip_names, read_clip
from openuni.benchmark.synth.listing import list_rendered
from openuni.errors import BadInput
from openuni.generator import RGB
from openuni.modality import Map
from openuni.table import MODALITIES

TEXT_PAIRS = (("text", RGB), *(("joint", name) for name in MODALITIES))


@dataclass(frozen=True, kw_only=True)
class GenSample:
    """One sample."""

    rgb: np.ndarray
    """(T, H, W, 3) uint8: the clip that the conditions are of."""
    fps: float
    maps: Mapping[str, Map] = field(default_factory=dict)
    """Conditions, by modality."""


def refuses(data: Path) -> str:
    """Say why a folder has no samples of generation, one line; empty if it has."""
    try:
        if (data / frozen_set.MANIFEST).is_file() and (data / frozen_set.SAMPLES).is_dir():
            frozen_set.read_manifest(data)
        else:
            clip_names(data)
    except BadInput as error:
        return str(error)
    return ""


def items(data: Path) -> Iterator[Item]:
    """Yield a folder's samples in a fixed order: text and joint where there is a caption, cond where there is a map."""
    if (data / frozen_set.MANIFEST).is_file():
        yield from _frozen(data)
    else:
        yield from _rendered(data)


def read_sample(folder: Path) -> GenSample:
    """Read a sample's folder.

    Raises:
        BadInput: it is damaged.
    """
    if (folder / frozen_set.SAMPLE).is_file():
        read = frozen_set.read_sample(folder)
        return GenSample(rgb=read.rgb, fps=float(read.about["fps"]), maps=read.maps)
    clip = read_clip(folder)
    return GenSample(rgb=clip.rgb, fps=clip.fps, maps=clip.maps())


def _pairs(caption: str, modalities: list[str]) -> tuple[tuple[str, str], ...]:
    return (*(TEXT_PAIRS if caption else ()), *(("cond", name) for name in modalities))


def _frozen(data: Path) -> Iterator[Item]:
    for name, digest, about, problem in frozen_set.samples_of(data):
        caption = str(about.get("caption", ""))
        yield Item(
            sample=name, cluster=str(about.get("source_video", name)), family=str(about.get("cell", "")),
            caption=caption, path=f"{frozen_set.SAMPLES}/{name}", content=digest,
            pairs=_pairs(caption, [one for one in MODALITIES if one in about.get("modalities", {})]), problem=problem,
        )  # fmt: skip


def _rendered(data: Path) -> Iterator[Item]:
    for facts in list_rendered(data):
        name = str(facts["clip"])
        problem = str(facts.get("problem", ""))
        known = facts.get("arrays", list(ARRAYS.values()))
        caption = str(facts.get("caption", ""))
        yield Item(
            sample=name, cluster=str(facts.get("scene", name)), family=str(facts.get("family", "")), caption=caption,
            path=f"clips/{name}", pairs=_pairs(caption, [one for one in MODALITIES if ARRAYS[one] in known]),
            content="" if problem else f"{frames_digest(data / 'clips' / name)} {facts['truth_sha256']}",
            problem=problem,
        )  # fmt: skip
