"""Annotator bench: annotators run on rendered clips as a build runs them, and their maps are scored against the truth.

One stage makes an annotator's maps, one stage scores them. Maps are scored as a build stores them (depth in 12 bits,
flow in steps of 1/16 px): that is what a label is worth. Both are committed unit by unit, so the same command resumes.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

from openuni.annotators.expert import make_stage
from openuni.benchmark.floor import storage_floor
from openuni.benchmark.judge import JUDGES, VERSION, judge
from openuni.benchmark.records import RECORDS, Record, write_records
from openuni.benchmark.synth.experts import shared_truth
from openuni.benchmark.synth.listing import list_rendered
from openuni.benchmark.timed import CPU_S, Timed
from openuni.clip import Clip, make_clip_id
from openuni.config import Settings, configured, refuse_unknown_parts
from openuni.engine.atomic import sha256_of
from openuni.engine.job import Job
from openuni.engine.ledger import read_ledger
from openuni.engine.monitor import Breaker
from openuni.engine.retry import check_statuses, reopen
from openuni.engine.run import Engine, run
from openuni.engine.stage import Absent, Column, Result, Stage
from openuni.errors import BadInput, RunFailed, UnknownName
from openuni.frames import FrameTarget
from openuni.run import RunFolder
from openuni.table import ANNOTATORS, EXPERT_SETS, MODALITIES, load
from openuni.view import OpenClip

SUITE = "annotators"
SOURCE = "unibench"
PASS = "annotators"
RECORDED_AS = "records"
KIND = "bench --annotator"
NATIVE = FrameTarget(fps=None, short_side_px=None, num_frames=None, multiple=1)
"""Every frame at the size it was rendered: what an annotator can do, not what resampling loses."""


@dataclass(frozen=True, kw_only=True)
class AnnotatorBenchConfig:
    """Everything that decides what is scored."""

    annotators: tuple[tuple[str, str], ...]
    """(modality, name in ANNOTATORS), in the order they are reported."""
    data: Path
    """A rendered folder."""
    out: Path
    weights: str | None = None
    """Folder of the experts' weights; None: OPENUNI_WEIGHTS and the libraries' caches alone."""
    limit: int | None = None
    """Score only the first clips."""
    unit_size: int | None = None
    settings: Settings = field(default_factory=dict)
    """`--set modality.parameter=value`, and `frames.parameter=value` for what is read of a clip."""


@dataclass(kw_only=True)
class ScoreStage(Stage):
    """Scores the map of one modality against the truth. All numbers of a clip are one JSON text in the ledger.

    Raises:
        Absent: `frames_left_out`, flow where frames were left out; else what `truth_of` raises.
    """

    judged: str
    """The modality."""

    version: ClassVar[str] = VERSION
    columns: ClassVar[tuple[Column, ...]] = (Column(RECORDED_AS, "text", "Every metric and protocol, JSON."),)

    def __post_init__(self) -> None:
        """Take the name and what is read from the modality."""
        self.name = f"{self.judged}-score"  # type: ignore[misc]
        self.reads = (self.judged,)  # type: ignore[misc]

    def __call__(self, clip: Any) -> Result:
        """Score one clip."""
        from openuni.benchmark.synth.resample import frames_left_out

        truth = shared_truth(clip)
        if self.judged == "flow" and frames_left_out(truth):
            raise Absent("frames_left_out")
        scored = judge(self.judged, clip.maps[self.judged], truth) + storage_floor(self.judged, truth)
        return Result({RECORDED_AS: json.dumps(scored, allow_nan=False)})


@dataclass(frozen=True)
class Round:
    """Annotators that run in one pass: at most one for each modality, since a pass has one map of each."""

    scored: tuple[tuple[str, str], ...]
    """(modality, annotator) that were asked for."""
    job: Job


@dataclass
class Benched:
    """What a run did, for the closing lines."""

    out: Path
    clips: int
    skipped: Counter[str]
    """Reason -> clips of the folder that cannot be used."""
    records: list[Record]
    statuses: dict[tuple[str, str], Counter[str]]
    """(modality, annotator) -> "ok", or "status: reason" -> clips."""


def parse_annotators(texts: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Read "depth=depth-motion,flow=flow-dis" texts.

    Raises:
        BadInput: a text has another form, or the annotator makes another modality.
        UnknownName: there is no such modality or annotator.
    """
    found: dict[tuple[str, str], None] = {}
    for text in (part.strip() for many in texts for part in many.split(",")):
        modality, equals, name = text.partition("=")
        if not (modality and equals and name):
            raise BadInput(f"--annotator {text!r} is not understood; write MODALITY=NAME, as in depth=depth-motion.")
        if modality not in MODALITIES:
            raise UnknownName("modality", modality, MODALITIES)
        makes = load("annotator", ANNOTATORS, name).modality
        if makes != modality:
            fitting = [other for other in ANNOTATORS if load("annotator", ANNOTATORS, other).modality == modality]
            raise BadInput(f"Annotator {name} makes {makes}, not {modality}. For {modality}: {', '.join(fitting)}.")
        found[modality, name] = None
    return tuple(found)


def rounds_of(config: AnnotatorBenchConfig) -> tuple[Round, ...]:
    """Make the passes of a run.

    The first annotator named for each modality is in the first pass, the second in the next one. What an annotator
    reads comes from the annotator named for that modality, else from the embedded one, which is then not scored.

    Raises:
        BadInput: there is nothing to score, an annotator reads what none makes, or a setting cannot be used.
    """
    if not config.annotators:
        raise BadInput("Nothing to score. Name an annotator: --annotator depth=depth-motion; see openuni list experts.")
    by_modality: dict[str, list[str]] = {}
    for modality, name in config.annotators:
        by_modality.setdefault(modality, []).append(name)
    target = configured(_Target, config.settings.get("frames", {}), part="frames").target()
    opening = OpenClip(str(config.data.absolute()), target)
    weights = None if config.weights is None else str(Path(config.weights).absolute())
    rounds, used = [], {"frames"}
    for number in range(max(len(names) for names in by_modality.values())):
        scored = [(modality, names[number]) for modality, names in by_modality.items() if number < len(names)]
        stages = ordered(dict(scored), {modality: names[0] for modality, names in by_modality.items()})
        used |= set(stages)
        made = [make_stage(cls, config.settings.get(name, {}), weights, part=name) for name, cls in stages.items()]
        judges = [ScoreStage(judged=modality) for modality, _ in scored]
        job = Job(
            name=PASS,
            out=config.out.absolute(),
            stages=(*(Timed(stage) for stage in made), *judges),
            open_view=opening,
            view_fingerprint=opening.fingerprint(),
        )
        rounds.append(Round(tuple(scored), job))
    refuse_unknown_parts(config.settings, sorted(used))
    return tuple(rounds)


def bench_annotators(
    config: AnnotatorBenchConfig, engine: Engine, *, breaker: Breaker, retry: Sequence[str] = (), quiet: bool = False
) -> Benched:
    """Run and score annotators.

    Args:
        config: what to score on what.
        engine: what runs the stages.
        breaker: when to stop because too much fails.
        retry: run clips of these statuses again: "error", "crash".
        quiet: draw no progress.

    Raises:
        BadInput: `data` is no rendered folder, `out` is not ours or was made from other data; see `rounds_of`.
        RunFailed: the run could not be finished.
    """
    check_statuses(retry)
    if config.limit is not None and config.limit < 1:
        raise BadInput(f"--limit is {config.limit}; give at least 1.")
    rounds = rounds_of(config)
    skipped: Counter[str] = Counter()
    clips = list(islice(_clips(config.data, skipped), config.limit))
    if not clips:
        reasons = ", ".join(f"{count} x {reason}" for reason, count in skipped.most_common())
        raise BadInput(f"{config.data} has no clip that can be scored ({reasons}). Render it again.")
    with RunFolder(config.out, KIND) as folder:
        before = folder.read().get("config", {}).get("data")
        if before not in (None, str(config.data.absolute())):
            raise BadInput(f"{config.out} holds scores on {before}, not on {config.data}. Choose another --out.")
        folder.record({**asdict(config), "data": str(config.data.absolute())})
        rounds[0].job.plan.append(clips, unit_size=config.unit_size)
        for one in rounds:
            reopen(one.job, retry)
            run(one.job, engine, event=folder.event, breaker=breaker, quiet=quiet)
        wanted = {clip.clip_id for clip in clips}
        records, statuses = [], {}
        for one in rounds:
            for pair in one.scored:
                found, statuses[pair] = _records(one.job, pair, wanted)
                records += found
        records.sort(key=lambda record: config.annotators.index((record.modality, record.system)))
        write_records(folder.folder / RECORDS, records)
        folder.event("scored", clips=len(clips), records=len(records))
    for (_, system), counts in statuses.items():
        if not any(why == "ok" or why.startswith("absent") for why in counts):
            reason = counts.most_common(1)[0][0]
            raise RunFailed(f"Annotator {system} failed on all {len(clips)} clips. Commonest reason: {reason}.")
    return Benched(config.out.absolute(), len(clips), skipped, records, statuses)


@dataclass(frozen=True, kw_only=True)
class _Target:
    """What --set frames.* may change; the rest of a FrameTarget is NATIVE's."""

    fps: float | None = NATIVE.fps
    short_side_px: int | None = NATIVE.short_side_px
    num_frames: int | None = NATIVE.num_frames

    def target(self) -> FrameTarget:
        multiple = NATIVE.multiple if self.short_side_px is None else FrameTarget.multiple
        return FrameTarget(**asdict(self), multiple=multiple)


def ordered(scored: dict[str, str], named: dict[str, str]) -> dict[str, type[Stage]]:
    """Modality -> annotator's class, each behind those that it reads, what is missing added."""
    embedded = {load("annotator", ANNOTATORS, name).modality: name for name in EXPERT_SETS["embedded"]}
    ordered: dict[str, type[Stage]] = {}

    def add(modality: str, reader: str) -> None:
        if modality in ordered:
            return
        name = scored.get(modality) or named.get(modality) or embedded.get(modality)
        if name is None:
            raise BadInput(f"Annotator {reader} reads {modality}; name one for it: --annotator {modality}=NAME.")
        cls = load("annotator", ANNOTATORS, name)
        for read in cls.reads:
            add(read, name)
        ordered[modality] = cls

    for modality, name in scored.items():
        add(modality, name)
    return ordered


def _clips(data: Path, skipped: Counter[str]) -> Iterator[Clip]:
    if not data.is_dir():
        raise BadInput(f"{data} not found. Make a rendered folder with: openuni unibench render --out {data}")
    for facts in list_rendered(data):
        if "problem" in facts:
            skipped[facts["problem"]] += 1
            continue
        name = str(facts["clip"])
        yield Clip(
            clip_id=make_clip_id(SOURCE, name, content=f"{sha256_of(data / facts['path'])} {facts['truth_sha256']}"),
            source=SOURCE,
            source_key=name,
            source_video=str(facts["scene"]),
            path=str(facts["path"]),
            group=str(facts["family"]),
        )


def _records(job: Job, pair: tuple[str, str], wanted: set[str]) -> tuple[list[Record], Counter[str]]:
    """Turn the ledgers of an annotator and its score stage into records.

    A clip without a map has a row for each metric, without a value.
    """
    modality, system = pair
    made, scores = (_ledger(job, name, wanted) for name in (modality, f"{modality}-score"))
    statuses: Counter[str] = Counter()
    rows: list[tuple[dict[str, Any], list[list[Any]] | None, str]] = []
    for clip_id, row in made.items():
        judged = scores[clip_id]
        last = row if row["status"] != "ok" else judged
        why = "" if last["status"] == "ok" else f"{last['status']}:{last['reason']}"
        statuses[why.replace(":", ": ", 1) or "ok"] += 1
        text = judged[f"{modality}-score.{RECORDED_AS}"] if not why else None
        rows.append((row, json.loads(text) if text else None, why.replace(" ", "_")))
    known = next(([(one[0], one[1]) for one in found] for _, found, _ in rows if found), [])
    records = []
    for row, found, why in rows:
        about = (SUITE, "est", modality, system, row["source_key"], row["source_video"], row["group"], 0)
        cpu = row[f"{modality}.{CPU_S}"]
        records.append(Record(*about, CPU_S, "annotator", cpu, 0, "" if cpu is not None else why))
        if found is not None:
            records += [Record(*about, m, p, value, valid, " ".join(flags)) for m, p, value, valid, flags in found]
        else:
            records += [Record(*about, metric, protocol, None, 0, why) for metric, protocol in known]
    return sorted(records, key=lambda one: one.sample), statuses


def _ledger(job: Job, name: str, wanted: set[str]) -> dict[str, dict[str, Any]]:
    stage = next(stage for stage in job.stages if stage.name == name)
    table, _ = read_ledger(job.out, stage, job.fingerprints[name], job.plan.names())
    return {row["clip_id"]: row for row in table.to_pylist() if row["clip_id"] in wanted}


assert set(JUDGES) == set(MODALITIES)
