"""`openuni bench --model`: which data and output a model is scored with, and what is printed."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from openuni.benchmark.headline import HEADLINES
from openuni.cli.bench import floors_of, print_main
from openuni.cli.bench_generated import print_generated
from openuni.cli.options import statuses

if TYPE_CHECKING:
    from openuni.benchmark.model_bench import ModelBenched
    from openuni.benchmark.records import Record
    from openuni.engine.run import Engine
    from openuni.generator import Generator

OUT = "bench"
MINI_GENERATED = 3  # ours: scenes that the bare command asks to be generated without a GPU: 48 answers of a model
MINI_PROMPTS = 20
"""Asked in the bare command on a machine without a GPU: five of each group of ours."""


def score_model(
    model: str,
    suites: tuple[str, ...],
    data: Path | None,
    out: Path | None,
    *,
    prompts: Path | None,
    samples: int | None,
    limit: int | None,
    seed: int,
    predict_only: bool,
    unit_size: int | None,
    set_: list[str] | None,
    spread: tuple[str, int | None, float, str | None],
    experts: tuple[str, ...] = (),
    weights: Path | None = None,
) -> None:
    """Predict, score and print. Without `data` the frozen scenes are rendered beside the output first."""
    from openuni.benchmark.headline import GENERATION, VBENCH_CLIPS
    from openuni.benchmark.model_bench import ModelBenchConfig, bench_model, check_counts
    from openuni.benchmark.suite import make_suite
    from openuni.benchmark.table1 import QUESTIONS, TABLE1, suites_of_table1
    from openuni.config import parse_settings, refuse_unknown_parts
    from openuni.engine.monitor import Breaker
    from openuni.engine.run import choose_engine
    from openuni.engine.stage import Needs
    from openuni.errors import BadInput, UnknownName
    from openuni.generator import PART, make_generator
    from openuni.table import SUITES

    table1 = TABLE1 in suites
    if table1 and len(suites) > 1:
        raise BadInput(f"--suite {TABLE1} stands for {', '.join(suites_of_table1())}: give it alone.")
    suites = suites_of_table1() if table1 else suites
    for name in suites:
        if name not in SUITES:
            raise UnknownName("suite", name, (*SUITES, TABLE1))
    of_clips = not suites or not all(make_suite(name).prompted for name in suites)
    check_counts(samples, limit)
    settings = parse_settings(set_ or ())
    refuse_unknown_parts(settings, [PART])
    generator = make_generator(model, settings.get(PART))
    generator.fingerprint()  # a model that is not there is said before anything is rendered
    out = out or default_out(model, generator)
    ray, workers, max_error_fraction, retry = spread
    gpus = getattr(generator, "needs", Needs()).gpus
    # Without Ray nothing deals out GPUs: one worker has the one there is.
    engine = choose_engine(ray, workers or (1 if gpus and ray == "off" else None), cores=os.cpu_count() or 1)
    try:
        bare = data is None
        if bare and of_clips:
            from openuni.benchmark.frozen_data import frozen_data

            data = frozen_data(out, generator.size(), limit=limit, whole=bool(gpus), engine=engine)
        elif data is not None:
            data = _usable(data, out, limit, engine)
        brief = bare and not gpus and (table1 or not suites)
        config = ModelBenchConfig(
            model=model, data=data, out=out, suites=suites, prompts=prompts, prompted=bare or prompts is not None,
            samples=samples, limit=limit, prompt_limit=None if suites or gpus or not bare else MINI_PROMPTS, seed=seed,
            predict_only=predict_only, unit_size=unit_size, settings=settings.get(PART, {}), experts=experts,
            weights=None if weights is None else str(weights),
            limits=dict.fromkeys((GENERATION, VBENCH_CLIPS), MINI_GENERATED) if brief else {},
            only=QUESTIONS if table1 else (), optional=table1,
        )  # fmt: skip
        benched = bench_model(
            config, engine, breaker=Breaker(max_error_fraction), retry=statuses(retry), generator=generator
        )
    finally:
        engine.close()
    print_model(benched, predict_only=predict_only)
    if table1 and not predict_only:
        print_table1(benched.out)


def print_table1(out: Path) -> None:
    """Print Table 1 with the run's rows, and where it is."""
    from openuni.benchmark.table1 import write_table1

    written = write_table1(out)
    typer.echo(f"\n{written.text}", nl=False)
    typer.echo("\n" + ", ".join(map(str, written.files)))


def _usable(data: Path, out: Path, limit: int | None, engine: "Engine") -> Path:
    """The data itself, or of a released UniBench what suites can use, brought beside the output."""
    from openuni.benchmark.importers.released_set import is_released, released_data

    if not is_released(data):
        return data
    brought = released_data(data, out, limit=limit, engine=engine)
    typer.echo(f"{data} is a released UniBench; what suites use of it: {brought.folder}", err=True)
    for reason, count in brought.failed.most_common():
        typer.echo(f"left out  {count:,} rows: {reason}", err=True)
    if brought.no_estimation:
        typer.echo(f"no samples of estimation: {brought.no_estimation}", err=True)
    return brought.folder


def default_out(model: str, generator: "Generator") -> Path:
    """MODEL/bench where --model names a folder, else data/bench-NAME."""
    path = Path(model).expanduser()
    if path.is_dir():
        return path / OUT
    name = "".join(letter if letter.isalnum() or letter in "._-" else "-" for letter in generator.name)
    return Path("data", f"bench-{name}")


def print_model(benched: "ModelBenched", *, predict_only: bool) -> None:
    """Print what was asked and answered, the main metrics with intervals, and where everything is."""
    from openuni.benchmark.headline import GENERATION, VBENCH_SUITES
    from openuni.benchmark.predictions import PREDICTIONS
    from openuni.benchmark.records import RECORDS
    from openuni.benchmark.results import RESULTS
    from openuni.benchmark.summary import summarise

    for (suite, task, modality), counts in benched.statuses.items():
        other = "".join(f", {count:,} {why}" for why, count in counts.most_common() if why != "ok")
        done = "predicted" if predict_only else "scored"
        where = f"{benched.labels[suite]}, {suite}"
        typer.echo(f"\n{where}: {task} {modality}: {counts['ok']:,} of {counts.total():,} {done}{other}")
        keys = (suite, task, modality)
        mine = [one for one in benched.records if (one.suite, one.task, one.modality) == keys]
        if suite == GENERATION:
            print_generated(mine)
            continue
        lines = summarise(mine)
        shown = HEADLINES.get(modality, ())
        main = [line for line in lines if (line.metric, line.protocol) in shown and line.clips]
        if main:
            print_main(main, floors_of(lines))
        if suite in VBENCH_SUITES and mine:
            _print_vbench(mine)
        missing = {one.metric: one.flags for one in mine if one.flags.startswith("not_carried:")}
        for reason in dict.fromkeys(missing.values()):
            names = ", ".join(name for name, flags in missing.items() if flags == reason)
            typer.echo(f"  n/a: {names}: {reason.partition(':')[2].replace('_', ' ')}")
        some = {one.metric: word for one in mine for word in one.flags.split() if word.startswith("joints:")}
        for word in dict.fromkeys(some.values()):
            names = ", ".join(name for name, found in some.items() if found == word)
            typer.echo(f"  over {word.partition(':')[2].replace('_', ' ')} joints, those drawn: {names}")
    for (suite, task, modality), reason in benched.not_asked.items():
        typer.echo(f"\n{benched.labels[suite]}, {suite}: {task} {modality}: n/a: {reason}")
    for reason, count in benched.skipped.most_common():
        typer.echo(f"left out  {count:,} samples: {reason}", err=True)
    typer.echo(f"\n{benched.system} on {benched.label}; predictions: {benched.out / PREDICTIONS}")
    if not predict_only:
        typer.echo(f"every number: {benched.out / RECORDS}; means and what decides them: {benched.out / RESULTS}")


def _print_vbench(records: "list[Record]") -> None:
    """Print VBench's numbers of one task, and what would get the missing ones."""
    from openuni.benchmark.vbench.aggregate import section
    from openuni.benchmark.vbench.scorer import NO_WEIGHTS, missing_weights
    from openuni.cli.bench_videos import missing_lines, score_lines

    (scores,) = section(records)
    lines = score_lines(scores)
    if any(one.flags == NO_WEIGHTS for one in records):
        lines += missing_lines(missing_weights())
    for line in lines:
        typer.echo(f"  {line}")
