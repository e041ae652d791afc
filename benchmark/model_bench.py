"""Model bench: a generator's answers on the samples of suites, kept as files and scored from them."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from openuni.benchmark.model_stages import (
    RECORDED_AS,
    OpenQuestion,
    PredictStage,
    Question,
    ScoreStage,
    partners_of,
    prediction_key,
)
from openuni.benchmark.predictions import kept, prediction_folder
from openuni.benchmark.records import RECORDS, Record, write_records
from openuni.benchmark.results import RESULTS, Asked, write_results
from openuni.benchmark.suite import Item, Suite, make_suite, takes
from openuni.clip import Clip
from openuni.engine.job import Job
from openuni.engine.ledger import ledger_path, read_ledger, read_rows
from openuni.engine.monitor import Breaker
from openuni.engine.retry import check_statuses, reopen
from openuni.engine.run import Engine, run
from openuni.engine.stage import Stage
from openuni.errors import BadInput, RunFailed
from openuni.generator import Generator, make_generator, unanswered
from openuni.run import RunFolder
from openuni.table import SUITES

KIND = "bench --model"
PREDICT = "predict"
UNKNOWN_METRIC = "prediction"
"""Metric of the one row of a failed question whose metrics no other sample of the run tells."""
NOT_SCORED = "error:not_scored"
PROMPTS = "prompts"
"""What tables call the data of a run without clips."""


@dataclass(frozen=True, kw_only=True)
class ModelBenchConfig:
    """Everything that decides what is scored."""

    model: str
    out: Path
    data: Path | None = None
    """Clips; None: only suites of prompts can be run."""
    suites: tuple[str, ...] = ()
    """Names of SUITES; empty: all that the data serves and the model answers."""
    optional: bool = False
    """Leave out suites that the data does not serve, named ones too."""
    only: tuple[tuple[str, str], ...] = ()
    """(task, modality) questions to ask; empty: all of the suites."""
    prompts: Path | None = None
    """File of prompts for suites of prompts; None: our own."""
    prompted: bool = False
    """Run suites of prompts too where none is named."""
    samples: int | None = None
    """Answers for each question, each with noise of its own; None: as many as each suite says."""
    limit: int | None = None
    """Ask only about the first samples."""
    prompt_limit: int | None = None
    """Ask only about the first prompts; None: as `limit`."""
    limits: dict[str, int] = field(default_factory=dict)
    """Suite -> ask it only about the first samples, where `limit` says nothing."""
    seed: int = 0
    predict_only: bool = False
    unit_size: int | None = None
    settings: dict[str, str] = field(default_factory=dict)
    """Of the generator."""
    experts: tuple[str, ...] = ()
    """MODALITY=NAME of ANNOTATORS: who looks at generated frames, in suites that let somebody look."""
    weights: str | None = None
    """Folder of the experts' weights."""
    label: str = ""
    """What tables call the data; empty: its folder's name, "UniBench" for the whole frozen set."""


@dataclass
class ModelBenched:
    """What a run did, for the closing lines."""

    out: Path
    system: str
    label: str
    labels: dict[str, str]
    """Suite -> what its data is called: `label`, or which prompts."""
    records: list[Record]
    statuses: dict[tuple[str, str, str], Counter[str]]
    """(suite, task, modality) -> "ok", or "status: reason" -> questions."""
    skipped: Counter[str]
    """Reason -> samples that cannot be used."""
    not_asked: dict[tuple[str, str, str], str]
    """(suite, task, modality) -> why the system cannot be asked that."""


def bench_model(
    config: ModelBenchConfig,
    engine: Engine,
    *,
    breaker: Breaker,
    retry: Sequence[str] = (),
    quiet: bool = False,
    generator: Generator | None = None,
) -> ModelBenched:
    """Predict and score.

    Args:
        config: what to ask whom.
        engine: what runs the stages.
        breaker: when to stop because too much fails.
        retry: run questions of these statuses again: "error", "crash".
        quiet: draw no progress.
        generator: the one that config.model names, where it was made already.

    Raises:
        BadInput: the model, suites or data cannot be used together; `out` is not ours or holds scores on other data.
        RunFailed: the run could not be finished, or no question was answered.
    """
    check_statuses(retry)
    check_counts(config.samples, config.limit)
    generator = generator or make_generator(config.model, config.settings)
    fingerprint, can = generator.fingerprint(), set(generator.capabilities())
    suites = _suites(config, can, generator.name)
    label = config.label or _label(config)
    not_asked = _not_asked(suites, generator)
    skipped: Counter[str] = Counter()
    asked = {suite.name: _questions(suite, config, can, skipped) for suite in suites}
    clips = {name: [one.clip() for one in questions] for name, questions in asked.items()}
    distinct = {clip.clip_id: clip for many in clips.values() for clip in many}
    if not distinct:
        reasons = ", ".join(f"{count} x {reason}" for reason, count in skipped.most_common()) or "no samples"
        raise BadInput(f"{config.data or 'The prompts'} has nothing that {generator.name} can be asked ({reasons}).")
    stage = PredictStage(generator=generator, generator_fingerprint=fingerprint, seed=config.seed)
    with RunFolder(config.out, KIND) as folder:
        before = folder.read().get("config", {}).get("data")
        if before and config.data is not None and before != str(config.data.absolute()):
            raise BadInput(f"{config.out} holds scores on {before}, not on {config.data}. Choose another --out.")
        predict = _job(PREDICT, stage, config)
        _forget_others(folder, predict, distinct)
        told = {"data": _data_folder(config) or before or "", "predicted_as": predict.fingerprints[stage.name]}
        folder.record({**asdict(config), **told})
        predict.plan.append(distinct.values(), unit_size=config.unit_size)
        reopen(predict, retry)
        _reopen_lost(predict, distinct, fingerprint, config.seed)
        run(predict, engine, event=folder.event, breaker=breaker, quiet=quiet)
        if _reopen_lost(predict, distinct, fingerprint, config.seed):  # said by a run whose files another one replaced
            run(predict, engine, event=folder.event, breaker=breaker, quiet=quiet)
        made = {clip_id: row for clip_id, row in _ledger(predict).items() if clip_id in distinct}
        statuses: dict[tuple[str, str, str], Counter[str]] = {}
        records: list[Record] = []
        for suite in suites:
            scored: dict[str, dict[str, Any]] = {}
            if not config.predict_only:
                scoring = ScoreStage(
                    suite=suite.name, suite_version=suite.version, predicted=fingerprint, seed=config.seed,
                    settings=suite_settings(suite.name, config),
                    partners=partners_of(asked[suite.name]) if getattr(suite, "paired", False) else {},
                )  # fmt: skip
                score = _job(f"score-{suite.name}", scoring, config)
                answered = [clip for clip in clips[suite.name] if made[clip.clip_id]["status"] == "ok"]
                score.plan.append(answered, unit_size=config.unit_size)
                reopen(score, retry)
                run(score, engine, event=folder.event, breaker=breaker, quiet=quiet)
                scored = _ledger(score)
            found, counts = _records(suite, generator.name, asked[suite.name], clips[suite.name], made, scored)
            records += [] if config.predict_only else found
            statuses |= counts
        if config.predict_only:
            folder.event("predicted", questions=len(distinct))
        else:
            write_records(folder.folder / RECORDS, records)
            about = Asked(
                generator=generator, fingerprint=fingerprint, suites=tuple(suites), label=label,
                items={name: {one.item.sample: one.item for one in many} for name, many in asked.items()},
                skipped=skipped, statuses=statuses, not_asked=not_asked, config=asdict(config),
            )  # fmt: skip
            write_results(folder.folder / RESULTS, records, about)
            folder.event("scored", questions=len(distinct), records=len(records))
    if not any(row["status"] in ("ok", "absent") for row in made.values()):
        reason = Counter(f"{row['status']}: {row['reason']}" for row in made.values()).most_common(1)[0][0]
        raise RunFailed(f"{generator.name} failed on all {len(made)} questions. Commonest reason: {reason}.")
    labels = {suite.name: _prompts_label(config, asked[suite.name]) if suite.prompted else label for suite in suites}
    return ModelBenched(config.out.absolute(), generator.name, label, labels, records, statuses, skipped, not_asked)


def suite_settings(name: str, config: ModelBenchConfig) -> dict[str, str]:
    """Return what a suite is made with: the experts and where their weights are, if it has such."""
    given = {"experts": ",".join(config.experts), "weights": config.weights or ""}
    return {key: value for key, value in given.items() if value and takes(name, key)}


def check_counts(samples: int | None, limit: int | None) -> None:
    """Raise BadInput unless there is something to ask."""
    for option, value in (("samples", samples), ("limit", limit)):
        if value is not None and value < 1:
            raise BadInput(f"--{option} is {value}; give at least 1.")


def _suites(config: ModelBenchConfig, can: set[tuple[str, str]], system: str) -> list[Suite]:
    """The suites asked for, or all that the data serves and the model answers."""
    if config.data is not None and not config.data.is_dir():
        raise BadInput(f"{config.data} not found. Make a rendered folder with: openuni unibench render --out DIR")
    chosen, reasons = [], []
    for name in config.suites or tuple(SUITES):
        suite = make_suite(name, suite_settings(name, config))
        if suite.prompted and not (config.suites or config.prompted):
            continue
        if getattr(suite, "named_only", False) and not config.suites:
            continue
        why = suite.refuses(_source(suite, config))
        if not why and not can & set(suite.pairs):
            have = ", ".join(sorted({task for task, _ in can})) or "nothing"
            tasks = ", ".join(sorted({task for task, _ in suite.pairs}))
            why = f"{system} answers {have}, and {name} asks {tasks}."
        if why and config.suites and not config.optional:
            raise BadInput(f"--suite {name}: {why}")
        if why:
            reasons.append(f"{name}: {why}")
        else:
            chosen.append(suite)
    if not chosen:
        raise BadInput("No suite can be run. " + " ".join(reasons))
    return chosen


def _not_asked(suites: Sequence[Suite], generator: Generator) -> dict[tuple[str, str, str], str]:
    """Questions of the suites that the system says it cannot answer, with its reasons."""
    reasons = unanswered(generator)
    return {(suite.name, *pair): reasons[pair] for suite in suites for pair in suite.pairs if pair in reasons}


def _questions(
    suite: Suite, config: ModelBenchConfig, can: set[tuple[str, str]], skipped: Counter[str]
) -> list[Question]:
    """Every question of a suite that the model answers, sample by sample."""
    items: list[Item] = []
    names: set[str] = set()
    for item in suite.items(_source(suite, config)):
        # Two names that differ only by case are one file on some systems.
        problem = item.problem or ("name_differs_only_by_case" if item.sample.lower() in names else "")
        names.add(item.sample.lower())
        if problem:
            skipped[problem] += 1
        else:
            items.append(item)
    limit = config.prompt_limit or config.limit if suite.prompted else config.limit or config.limits.get(suite.name)
    return [
        Question(suite=suite.name, task=task, modality=modality, item=item, number=number)
        for item in islice(items, limit)
        for task, modality in suite.pairs
        if (task, modality) in item.pairs and (task, modality) in can
        if not config.only or (task, modality) in config.only
        for number in range(config.samples or suite.samples)
    ]


def _source(suite: Suite, config: ModelBenchConfig) -> Path | None:
    """What a suite lists its samples from."""
    return config.prompts if suite.prompted else config.data


def _data_folder(config: ModelBenchConfig) -> str:
    return "" if config.data is None else str(config.data.absolute())


def _job(name: str, stage: Stage, config: ModelBenchConfig) -> Job:
    opening = OpenQuestion(_data_folder(config), str(config.out.absolute()))
    return Job(name=name, out=config.out.absolute(), stages=(stage,), open_view=opening)


def _forget_others(folder: RunFolder, job: Job, clips: Mapping[str, Clip]) -> None:
    """Remove plans and ledgers that are of other weights or settings, or of other content under the same name.

    Prediction files stay: those of this run's key are found again, others are replaced.
    """
    import shutil

    stage = job.stages[0]
    same = folder.read().get("config", {}).get("predicted_as") in (None, job.fingerprints[stage.name])
    named = {clip.source_key: clip.clip_id for clip in clips.values()}
    planned = job.plan.table(job.plan.names(), ["clip_id", "source_key"]).to_pylist()
    if same and all(named.get(row["source_key"], row["clip_id"]) == row["clip_id"] for row in planned):
        return
    for name in ("plan", "ledger", "scratch", "cache"):
        if (job.out / name).exists():
            shutil.rmtree(job.out / name)


def _reopen_lost(job: Job, wanted: Mapping[str, Clip], fingerprint: str, seed: int) -> bool:
    """Make units undone whose prediction files are gone or another run's; the files that are there are reused."""
    stage, lost = job.stages[0], False
    for name in job.plan.names():
        path = ledger_path(job.out, stage.name, job.fingerprints[stage.name], name)
        if not path.exists():
            continue
        rows = read_rows(path, stage)
        ok = [wanted[clip_id] for clip_id, row in rows.items() if row.status == "ok" and clip_id in wanted]
        if not all(_whole(job.out, clip, fingerprint, seed) for clip in ok):
            path.unlink()
            lost = True
    return lost


def _whole(out: Path, clip: Clip, fingerprint: str, seed: int) -> bool:
    about = clip.published
    task, modality, sample = (str(about[key]) for key in ("task", "modality", "sample"))
    folder = prediction_folder(out, task, modality, sample, int(about["number"]))
    return kept(folder, prediction_key(clip.clip_id, fingerprint, seed))


def _ledger(job: Job) -> dict[str, dict[str, Any]]:
    stage = job.stages[0]
    table, _ = read_ledger(job.out, stage, job.fingerprints[stage.name], job.plan.names())
    return {row["clip_id"]: row for row in table.to_pylist()}


def _records(
    suite: Suite,
    system: str,
    asked: Sequence[Question],
    clips: Sequence[Clip],
    made: dict[str, dict[str, Any]],
    scored: dict[str, dict[str, Any]],
) -> tuple[list[Record], dict[tuple[str, str, str], Counter[str]]]:
    """Turn ledgers into records. A question without an answer has a row for each metric, without a value."""
    statuses: dict[tuple[str, str, str], Counter[str]] = {}
    rows: list[tuple[Question, list[list[Any]] | None, str]] = []
    for question, clip in zip(asked, clips, strict=True):
        last = made[clip.clip_id]
        if last["status"] == "ok" and scored:
            last = scored.get(clip.clip_id, last)
        why = "" if last["status"] == "ok" else f"{last['status']}:{last['reason']}"
        text = last.get(f"score.{RECORDED_AS}")
        key = (suite.name, question.task, question.modality)
        statuses.setdefault(key, Counter())[why.replace(":", ": ", 1) or "ok"] += 1
        rows.append((question, json.loads(text) if text and not why else None, why.replace(" ", "_") or NOT_SCORED))
    known: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for question, found, _ in rows:
        if found:
            known.setdefault((question.task, question.modality), [(one[0], one[1]) for one in found])
    records = []
    for question, found, why in rows:
        item = question.item
        about = (suite.name, question.task, question.modality, system, item.sample, item.cluster, item.family)
        if found is not None:
            records += [
                Record(*about, question.number, m, p, value, valid, " ".join(flags))
                for m, p, value, valid, flags in found
            ]
            continue
        for metric, protocol in known.get((question.task, question.modality), [(UNKNOWN_METRIC, "")]):
            records.append(Record(*about, question.number, metric, protocol, None, 0, why))
    order = {pair: number for number, pair in enumerate(suite.pairs)}
    records.sort(key=lambda one: (order[one.task, one.modality], one.sample, one.seed))
    return records, statuses


def _label(config: ModelBenchConfig) -> str:
    """What tables call the data."""
    if config.data is None:
        return PROMPTS
    from openuni.benchmark.synth.frozen import OFFICIAL_CLIPS
    from openuni.benchmark.synth.listing import list_rendered

    try:
        facts = list(list_rendered(config.data))
    except BadInput:
        return config.data.name
    if not all(one["official"] for one in facts):
        return config.data.name
    whole = len(facts) == OFFICIAL_CLIPS and (config.limit or OFFICIAL_CLIPS) >= OFFICIAL_CLIPS
    return "UniBench" if whole else "UniBench-mini"


def _prompts_label(config: ModelBenchConfig, asked: Sequence[Question]) -> str:
    """Which prompts a suite of prompts asked about."""
    count = len({question.item.sample for question in asked})
    return f"{count} prompts of {'our own' if config.prompts is None else config.prompts.name}"
