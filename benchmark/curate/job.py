"""Curation: clips of a build chosen, described and frozen. docs/bench.md has the layout of what it writes."""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from openuni.benchmark.curate import expressions
from openuni.benchmark.curate.choose import Choice, choose
from openuni.benchmark.curate.expressions import Object, objects_of
from openuni.benchmark.curate.frozen_set import KIND, MANIFEST, first_masks, read_manifest, write_manifest, write_sample
from openuni.engine.atomic import sha256_of
from openuni.errors import BadInput, RunFailed, first_line
from openuni.run import RunFolder
from openuni.sample import decode_members, json_member
from openuni.shard import Span, read_sample
from openuni.table import BUILT, MODALITIES, load

SPLITS = ("validation", "train", "all")
KEPT = ("source", "source_key", "source_video", "licence", "group", "split")
"""Columns of the index that a sample's json repeats."""


@dataclass(frozen=True, kw_only=True)
class CurateConfig:
    """Everything that decides what is frozen."""

    build: Path
    out: Path
    clips: int
    require: tuple[str, ...] = ()
    """Modalities that each clip must have, those that the tasks to be scored need; none: at least one of any."""
    split: str = "validation"
    captions: bool = True
    rules: tuple[str, ...] = ()
    seed: int = 0


@dataclass
class Curated:
    """What was done, for the closing lines."""

    out: Path
    samples: int
    choice: Choice
    cells: Counter[str]
    failed: Counter[str]
    """Reason -> clips that could not be frozen; others took their places."""
    modalities: Counter[str]
    objects: int
    manifest: Mapping[str, Any] = field(default_factory=dict)


def curate(config: CurateConfig) -> Curated:
    """Choose and freeze.

    Raises:
        BadInput: see `choose`; fewer clips are left than asked for; `out` holds another set or something else.
        RunFailed: too many of the clips chosen are damaged.
    """
    if config.clips < 1 or config.split not in SPLITS:
        raise BadInput(f"--clips {config.clips} --split {config.split}: give at least 1, and {', '.join(SPLITS)}.")
    if unknown := [name for name in config.require if name not in MODALITIES]:
        raise BadInput(f"--require {unknown[0]}: no modality. Known: {', '.join(MODALITIES)}.")
    table = load("build", BUILT, "scored_index")(config.build)
    choice = choose(
        table, split=config.split, modalities=config.require, captions=config.captions, rules=config.rules,
        seed=config.seed,
    )  # fmt: skip
    if len(choice.keys) < config.clips:
        steps = "; ".join(f"{step.rule}: {step.before} -> {step.after}" for step in choice.steps)
        raise BadInput(f"{len(choice.keys)} clips are left of the {config.clips} asked for ({steps}). Ask for fewer "
                       "with --clips, or relax a rule.")  # fmt: skip
    rows = {row["key"]: row for row in _rows(table)}
    source = {"build": config.build.absolute().name, "index_sha256": sha256_of(config.build / "index.parquet")}
    asked = {key: value for key, value in asdict(config).items() if key not in ("build", "out")}
    told: dict[str, Any] = {"source": source, "asked": json.loads(json.dumps(asked))}
    with RunFolder(config.out, "unibench curate") as folder:
        _refuse_other(config.out, told)
        if not folder.read():  # a second run changes no byte
            folder.record({**asked, "build": str(config.build.absolute())})
        frozen, failed = _freeze_all(config, choice, rows)
        cells = Counter(choice.cells[one.key] for one in frozen)
        manifest = {
            **told,
            "rules": [step._asdict() for step in choice.steps],
            "spread": {"people": choice.people, "motion": choice.motion, "cells": dict(sorted(cells.items()))},
            "left_out": dict(sorted(failed.items())),
            "expressions_version": expressions.VERSION,
            "samples": [{"sample": one.key, "sha256": one.sha256} for one in frozen],
            "sha256": hashlib.sha256("".join(one.sha256 for one in frozen).encode()).hexdigest(),
        }
        write_manifest(config.out, manifest)
    return Curated(
        config.out.absolute(), len(frozen), choice, cells, failed,
        Counter(name for one in frozen for name in one.modalities), sum(one.objects for one in frozen), manifest,
    )  # fmt: skip


class _Frozen(NamedTuple):
    key: str
    sha256: str
    modalities: tuple[str, ...]
    objects: int


def _freeze_all(
    config: CurateConfig, choice: Choice, rows: Mapping[str, dict[str, Any]]
) -> tuple[list[_Frozen], Counter[str]]:
    """Freeze clips in their order until there are enough."""
    frozen: list[_Frozen] = []
    failed: Counter[str] = Counter()
    for key in choice.keys:
        if len(frozen) == config.clips:
            break
        try:
            frozen.append(_freeze(config, rows[key], choice))
        except (ValueError, OSError, KeyError) as error:
            failed[f"{type(error).__name__}: {first_line(error)}".replace(str(config.build), "BUILD")] += 1
    if len(frozen) < config.clips:
        reason = failed.most_common(1)[0][0]
        raise RunFailed(f"{len(frozen)} of {config.clips} clips could be frozen. Commonest reason: {reason}.")
    return sorted(frozen), failed


def _freeze(config: CurateConfig, row: dict[str, Any], choice: Choice) -> _Frozen:
    """Freeze one clip: its bytes as they are, all of them decoded once to see that they can be."""
    present = [name for name in MODALITIES if row.get(f"{name}.present")]
    members = {}
    for name in ("rgb", *present):
        span = Span(row[f"{name}.offset"], row[f"{name}.size"])
        found = read_sample(config.build / row[f"{name}.shard"], span)
        members[name] = {one: found[one] for one in sorted(found) if one != "txt"}
    maps = {name: decode_members(name, found)[0] for name, found in members.items()}
    rgb = maps.pop("rgb")
    objects: list[Object] = []
    if "segmentation" in maps:
        labels = maps["segmentation"].facts.get("labels", {})
        names = {int(one): str(text) for one, text in labels.items()} if isinstance(labels, dict) else {}
        objects = objects_of(maps["segmentation"].data, rgb.data, names)
    frames, height, width = rgb.data.shape[:3]
    people = row.get(choice.people) if choice.people else None
    about = {
        **{name: row[name] for name in KEPT},
        "caption": row["caption"] or "",
        "num_frames": frames,
        "height": height,
        "width": width,
        "fps": rgb.facts["fps"],
        "people": None if people is None or people != people else int(people),
        "cell": choice.cells[row["key"]],
        "modalities": {name: _said(members[name][json_member(name)]) for name in present},
        "absent": {name: row.get(f"{name}.reason", "not_made") or "not_made" for name in MODALITIES
                   if name not in present},
        "objects": [one._asdict() for one in objects],
    }  # fmt: skip
    masks = first_masks(maps["segmentation"].data, objects) if "segmentation" in maps else {}
    return _Frozen(
        row["key"], write_sample(config.out, row["key"], members, about, masks), tuple(present), len(objects)
    )


def _said(content: bytes) -> dict[str, Any]:
    """Who made a map, of its json: expert, version, hash of weights, licence."""
    about = json.loads(content)
    return {key: value for key, value in about.items() if key not in ("facts", "clip")}


def _rows(table: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


def _refuse_other(out: Path, told: Mapping[str, Any]) -> None:
    if not (out / MANIFEST).exists():
        return
    there = read_manifest(out)
    if any(there.get(key) != value for key, value in told.items()):
        raise BadInput(f"{out} holds another {KIND} set (other build, clips or rules), and a frozen set is not changed."
                       " Choose another --out.")  # fmt: skip
