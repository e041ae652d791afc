"""The build: list, score, select, annotate, check, finish. Running it again resumes it."""

import hashlib
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from openuni.clip import Clip
from openuni.config import Settings, configured, refuse_unknown_parts
from openuni.engine.gpus import UNKNOWN_GB, gpu_memories_gb
from openuni.engine.job import Job
from openuni.engine.monitor import Breaker
from openuni.engine.packing import Pack, pack
from openuni.engine.record import PassRecord
from openuni.engine.retry import check_statuses, reopen
from openuni.engine.run import Engine, run
from openuni.engine.stage import Stage
from openuni.errors import BadInput, RunFailed
from openuni.frames import FrameTarget
from openuni.pipelines.caption_local import caption_locally
from openuni.pipelines.conclude import Concluded, conclude
from openuni.pipelines.decision import Decision, check_columns, decide, read_decision
from openuni.pipelines.filters.people_expert import GROUP, grouped
from openuni.pipelines.manifest import Passes
from openuni.pipelines.parts import make_captions, make_checks, make_experts, make_filters, make_source
from openuni.pipelines.rgb import RgbStage
from openuni.pipelines.score_view import OpenForScoring
from openuni.pipelines.select import Selection, select
from openuni.pipelines.sources.base import Source
from openuni.pipelines.windows import check_windows, windows_of
from openuni.rule import Rule
from openuni.run import RunFolder
from openuni.table import FILTERS, load
from openuni.view import OpenClip


@dataclass(frozen=True, kw_only=True)
class BuildConfig:
    """Everything that decides what a build writes."""

    source: str
    """Name in SOURCES."""
    root: str | None = None
    """Where the source lies; relative paths are taken from the working folder."""
    out: Path
    """The build's folder."""
    experts: tuple[str, ...] = ("embedded",)
    """Names in EXPERT_SETS or ANNOTATORS."""
    filters: tuple[str, ...] = ("all",)
    """Names in FILTERS, or "all". `duration` always runs: it costs nothing, and hours are counted by it."""
    weights: str | None = None
    """Folder of the experts' weights; None: OPENUNI_WEIGHTS and the libraries' caches alone."""
    preset: str | None = None
    """Preset of rules; None takes the one kept in the folder, and for a new folder the source's own."""
    rules: tuple[str, ...] = ()
    """Rules besides the preset's. Without any, those kept in the folder stay in force."""
    accept: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Modality -> acceptance rules for its maps besides the preset's."""
    windows: str = "centre"
    """Which part of a clip longer than the target is annotated: centre, head or all."""
    limit: int | None = None
    """List only the source's first clips."""
    unit_size: int | None = None
    """Clips per unit; None chooses by their number."""
    caption_url: str | None = None
    """Where captions are asked for: an endpoint's address, or "vllm"; None: nowhere, the sources' captions alone."""
    caption_model: str | None = None
    """Which model is asked."""
    gpu_memory_gb: float | None = None
    """Memory of the smallest GPU, by which experts are packed into passes; None: as nvidia-smi says here."""
    settings: Settings = field(default_factory=dict)
    """`--set part.parameter=value`, as text."""


@dataclass
class Built:
    """What a build did, for the closing lines."""

    out: Path
    listed: int
    skipped: Counter[str]
    warned: Counter[str]
    selection: Selection
    concluded: Concluded
    resumed_units: int


@dataclass
class Build:
    """A build's parts, made and checked before anything is written."""

    config: BuildConfig
    source: Source
    score: Job
    annotate: Job
    decision: Decision

    @classmethod
    def prepare(cls, config: BuildConfig) -> "Build":
        """Check a configuration and make its parts.

        Raises:
            BadInput: a name, a path, a rule or a setting cannot be used.
        """
        check_windows(config.windows)
        if config.gpu_memory_gb is not None and not config.gpu_memory_gb > 0:
            raise BadInput(f"--gpu-memory is {config.gpu_memory_gb}; give a GPU's memory in GB.")
        for name in ("limit", "unit_size"):
            value = getattr(config, name)
            if value is not None and value < 1:
                raise BadInput(f"--{name.replace('_', '-')} is {value}; give at least 1.")
        root = None if config.root is None else Path(config.root).absolute()
        source = make_source(config.source, root, config.settings)
        out = config.out.absolute()
        decision = decide(
            read_decision(out),
            default_preset=source.default_preset,
            preset=config.preset,
            rules=config.rules,
            accept=config.accept,
        )
        rules = decision.clip_rules()
        weights = None if config.weights is None else str(Path(config.weights).absolute())
        filters = make_filters(config.filters, _with_published(config.settings, rules), weights)
        experts = make_experts(config.experts, config.settings, weights)
        checks = make_checks(experts, config.settings)
        captions = make_captions(config.caption_url, config.caption_model, config.settings)
        parts = ["source", "frames", "rgb", *(stage.name for stage in (*filters, *experts, *checks, *captions))]
        refuse_unknown_parts(config.settings, parts)
        target = configured(FrameTarget, config.settings.get("frames", {}), part="frames")
        if config.windows == "head":
            target = FrameTarget(**{**asdict(target), "window": "head"})
        rgb = configured(RgbStage, config.settings.get("rgb", {}), part="rgb")
        _check_rules(rules, filters)
        source.check()
        base = str(source.base)
        wants = frozenset(part for stage in filters for part in stage.wants)
        seen, kept = OpenForScoring(base, wants=wants), OpenClip(base, target)
        score = Job(name="score", out=out, stages=filters, open_view=seen, view_fingerprint=seen.fingerprint())
        stages = (rgb, *experts, *checks, *captions)
        annotate = Job(name="annotate", out=out, stages=stages, open_view=kept, view_fingerprint=kept.fingerprint())
        decision.map_rules(PassRecord.of(annotate))
        return cls(config, source, score, annotate, decision)

    def packs(self) -> list[Pack]:
        """Which stages of the annotate pass run together on a GPU."""
        size = self.config.gpu_memory_gb or min(gpu_memories_gb(), default=UNKNOWN_GB)
        return pack(self.annotate.stages, size)

    def annotate_passes(self) -> list[Job]:
        """The annotate pass, in as many parts as the GPU's memory asks for."""
        return [replace(self.annotate, only=frozenset(one.stages), gpu_share=one.gpus or None) for one in self.packs()]

    @property
    def window_s(self) -> float:
        """Length of one annotated window, seconds; infinite where the target has no rate or no length."""
        target = self.annotate.open_view.target  # type: ignore[attr-defined]
        return target.num_frames / target.fps if target.fps and target.num_frames else float("inf")


def build(parts: Build, engine: Engine, *, breaker: Breaker, retry: Sequence[str] = (), quiet: bool = False) -> Built:
    """Run a build to its end.

    Args:
        parts: see Build.prepare.
        engine: what runs the stages.
        breaker: when to stop because too much fails.
        retry: run clips of these statuses again: "error", "crash".
        quiet: draw no progress.

    Raises:
        BadInput: the output folder is not ours or cannot be written.
        RunFailed: the run could not be finished, or nothing usable came out of it.
    """
    config = parts.config
    check_statuses(retry)
    passes = Passes(PassRecord.of(parts.score), PassRecord.of(parts.annotate))
    rules = parts.decision.clip_rules()
    with RunFolder(config.out, "build") as folder:
        _refuse_other_source(folder, parts)
        base = str(parts.source.base)
        folder.record(
            {**asdict(config), "rules": [rule.text for rule in rules], "target": _target(parts), "base": base}
        )
        parts.decision.write(folder.folder, "openuni build")

        # 1. list: the source is streamed into frozen units.
        clips: Iterable[Clip] = parts.source.clips()
        if config.limit is not None:
            clips = itertools.islice(clips, config.limit)
        parts.score.plan.append(clips, unit_size=config.unit_size)
        listed = parts.score.plan.num_clips()
        folder.event("listed", clips=listed, skipped=dict(parts.source.skipped), warned=dict(parts.source.warned))
        if not listed:
            raise BadInput(_nothing_listed(parts))

        retried = sum(reopen(job, retry) for job in (parts.score, parts.annotate))
        if retry:
            folder.event("retry", statuses=list(retry), runs=retried)

        # 2. score: every filter, none drops; 3. select: rules over the ledgers.
        scored = run(parts.score, engine, event=folder.event, breaker=breaker, quiet=quiet)
        selection = select(passes.score, rules)
        folder.event("selected", clips=len(selection.clip_ids), of=listed, reasons=dict(selection.counts()))
        if selection.unusable.sum() == listed:
            raise RunFailed(_nothing_worked("scored", listed, selection.unusable_reasons))

        # 4. annotate and check: one decode, all experts, then what judges their maps.
        parts.annotate.plan.append(_hash_order(_chosen(parts, selection)), unit_size=config.unit_size)
        caption_locally(parts.annotate, engine, event=folder.event)
        done_before = sum(not parts.annotate.todo(name) for name in parts.annotate.plan.names())
        for job in parts.annotate_passes():
            run(job, engine, event=folder.event, breaker=breaker, quiet=quiet)

        # 5. finish: from ledgers alone.
        concluded = conclude(passes, parts.decision, selection, base=parts.source.base)
        finished = concluded.finished
        folder.event("finished", clips=finished.clips, shards=concluded.shards, bytes=concluded.bytes)
    if len(selection.clip_ids) and not finished.clips:
        raise RunFailed(_nothing_worked("annotated", len(selection.clip_ids), finished.modalities["rgb"]))
    skipped, warned = Counter(parts.source.skipped), Counter(parts.source.warned)
    return Built(parts.annotate.out, listed, skipped, warned, selection, concluded, scored.skipped + done_before)


def _chosen(parts: Build, selection: Selection) -> Iterator[Clip]:
    """Yield the selected clips, or their windows, that may have to be planned."""
    wanted = set(selection.clip_ids.to_pylist())
    lengths = dict(
        zip(selection.scores["clip_id"].to_pylist(), selection.scores["duration.seconds"].to_pylist(), strict=True)
    )
    groups = {}
    if GROUP in selection.scores.column_names:
        groups = dict(zip(selection.scores["clip_id"].to_pylist(), selection.scores[GROUP].to_pylist(), strict=True))
    for name in parts.score.plan.names():
        for listed in parts.score.plan.read(name).clips:
            if listed.clip_id not in wanted:
                continue
            clip = grouped(listed, groups.get(listed.clip_id))
            if parts.config.windows == "all" and parts.window_s < float("inf"):
                yield from windows_of(clip, length_s=lengths[clip.clip_id] or 0.0, window_s=parts.window_s)
            else:
                yield clip


def _hash_order(clips: Iterable[Clip]) -> Sequence[Clip]:
    """Sort clips by a hash of their id, so that shards are shuffled over sources, videos and lengths."""
    return sorted(clips, key=lambda clip: hashlib.sha256(b"order:" + clip.clip_id.encode()).digest())


def _target(parts: Build) -> dict[str, Any]:
    return asdict(parts.annotate.open_view.target)  # type: ignore[attr-defined]


def _with_published(settings: Settings, rules: Sequence[Rule]) -> Settings:
    """Add the published scores that rules name to those that become columns, unless the user has listed them."""
    named = {column.removeprefix("published.") for rule in rules for column in rule.columns if "published." in column}
    known = [column.name for column in load("filter", FILTERS, "published").columns]
    if "names" in settings.get("published", {}) or named <= set(known):
        return settings
    names = repr(tuple(known) + tuple(sorted(named - set(known))))
    return {**settings, "published": {**settings.get("published", {}), "names": names}}


def _check_rules(rules: Sequence[Rule], filters: Sequence[Stage]) -> None:
    """Find a misspelt column before anything is decoded, and a filter that a rule needs and that does not run."""
    known = [f"{stage.name}.{column.name}" for stage in filters for column in stage.columns]
    running = {stage.name for stage in filters}
    for rule in rules:
        for column in rule.columns:
            name = column.partition(".")[0]
            if name in FILTERS and name not in running:
                raise BadInput(f"Rule {rule.text!r} needs filter {name!r}, which --filters leaves out. Add it there.")
    check_columns(rules, known)


def _refuse_other_source(folder: RunFolder, parts: Build) -> None:
    """Refuse to mix another source into a build."""
    before = folder.read().get("config", {}).get("source")
    if before not in (None, parts.config.source):
        raise BadInput(
            f"{folder.folder} was built from source {before!r}, not {parts.config.source!r}. Choose another --out."
        )


def _nothing_listed(parts: Build) -> str:
    reasons = ", ".join(f"{count} x {reason}" for reason, count in parts.source.skipped.most_common())
    why = f" Left out: {reasons}." if reasons else ""
    return f"Source {parts.source.name} lists no clip under {parts.config.root}.{why} Check --root."


def _nothing_worked(verb: str, clips: int, reasons: Counter[str]) -> str:
    common = "; ".join(f"{count} x {reason}" for reason, count in reasons.most_common(3))
    return f"None of {clips} clips could be {verb}. Reasons: {common}. Check the files under --root."
