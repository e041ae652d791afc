"""`openuni bench`: score models or annotators where the truth is known."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from openuni.benchmark.headline import FLOOR, HEADLINES
from openuni.cli.options import MaxErrorFraction, Ray, Retry, Weights, Workers, statuses

if TYPE_CHECKING:
    from openuni.benchmark.annotator_bench import Benched
    from openuni.benchmark.summary import Line

bench = typer.Typer(invoke_without_command=True)
"""Further commands are files of their own, added in openuni/cli/__init__.py."""


@bench.callback()
def run_bench(
    ctx: typer.Context,
    model: Annotated[
        str | None,
        typer.Option(
            help="Run folder, checkpoint, Hub id or preset:NAME of ours; unityvideo:DIR; diffusers:ID|DIR; "
            "preds:FOLDER; module:Class.",
            show_default=False,
        ),
    ] = None,
    suite: Annotated[
        list[str] | None,
        typer.Option(
            help="Suite; may be repeated; table1 is the paper's table. [default: all that the data serves]",
            show_default=False,
        ),
    ] = None,
    videos: Annotated[
        Path | None,
        typer.Option(help="Folder of anybody's videos, to score on VBench's dimensions.", show_default=False),
    ] = None,
    annotator: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODALITY=NAME",
            help="Annotator to score, as depth=depth-motion; may be repeated. See `openuni list experts`.",
            show_default=False,
        ),
    ] = None,
    expert: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODALITY=NAME",
            help="With --model: who looks at generated frames; may be repeated. [default: the embedded experts]",
            show_default=False,
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            help="Rendered or imported folder: clips with their truth. [default with --model: the frozen scenes, the "
            "first few without a GPU]",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Output folder. [default: MODEL/bench, or data/bench-annotators]", show_default=False),
    ] = None,
    prompts: Annotated[
        Path | None,
        typer.Option(
            help="Prompts for suites of prompts: one a line, or JSON; such suites are then run. With --videos: JSON "
            "{video: prompt}, or VBench_full_info.json. [default: our own 100; the videos' names]",
            show_default=False,
        ),
    ] = None,
    samples: Annotated[
        int | None,
        typer.Option(
            help="Answers for each question, each with noise of its own. [default: 1; 5 for a prompt]",
            show_default=False,
        ),
    ] = None,
    limit: Annotated[int | None, typer.Option(help="Score only this many clips.", show_default=False)] = None,
    seed: Annotated[int, typer.Option(help="Seed that the noise of all answers is drawn from.", min=0)] = 0,
    predict_only: Annotated[bool, typer.Option("--predict-only", help="Write predictions, score nothing.")] = False,
    unit_size: Annotated[
        int | None, typer.Option(help="Clips committed at a time. [default: at most 256]", show_default=False)
    ] = None,
    vbench_results: Annotated[
        list[Path] | None,
        typer.Option(help="VBench's own ..._eval_results.json, for dimensions not computed here.", show_default=False),
    ] = None,
    weights: Weights = None,
    ray: Ray = "auto",
    workers: Workers = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="Set a parameter: 'model.steps=8', 'depth.stride=2', 'frames.short_side_px=480'."),
    ] = None,
    max_error_fraction: MaxErrorFraction = 0.2,
    retry: Retry = None,
) -> None:
    """Score a model, or annotators, on clips where depth, flow, masks, skeletons and body surface are known exactly.

    Run the same command again to resume. docs/bench.md says what is asked, kept and scored.
    """
    if ctx.invoked_subcommand is not None:
        return
    from openuni.errors import BadInput

    spread = (ray, workers, max_error_fraction, retry)
    if sum(one is not None for one in (model, videos, annotator or None)) > 1:
        raise BadInput("--model, --videos and --annotator are benches of their own: give one of them.")
    if vbench_results and videos is None:
        raise BadInput("--vbench-results: only --videos takes that.")
    if videos is not None:
        from openuni.cli.bench_videos import score_folder

        refuse({"--samples": samples is not None, "--seed": seed, "--predict-only": predict_only}, "--model")
        refuse({"--data": data, "--set": set_}, "--model and --annotator")
        score_folder(
            videos, tuple(suite or ()), out, prompts=prompts, results=tuple(vbench_results or ()), weights=weights,
            limit=limit, unit_size=unit_size, spread=spread,
        )  # fmt: skip
        return
    if model is not None:
        from openuni.cli.bench_model import score_model

        if weights is not None:
            from openuni.annotators.weights import VARIABLE

            os.environ[VARIABLE] = str(weights.absolute())  # suites are made without arguments, on workers too
        score_model(
            model, tuple(suite or ()), data, out, prompts=prompts, samples=samples, limit=limit, seed=seed,
            predict_only=predict_only, unit_size=unit_size, set_=set_, spread=spread, experts=tuple(expert or ()),
            weights=weights,
        )  # fmt: skip
        return
    if not annotator:
        raise BadInput(
            "Name what to score: --model ckpt/, --videos DIR, or --annotator depth=depth-motion (openuni list experts)."
        )
    given = {"--suite": suite, "--prompts": prompts, "--samples": samples is not None, "--seed": seed}
    refuse({**given, "--predict-only": predict_only, "--expert": expert}, "--model")
    _score_annotators(annotator, data, out, weights, limit, unit_size, set_, spread)


def refuse(given: dict[str, object], takes: str) -> None:
    """Raise BadInput for options that only another bench takes."""
    if wrong := [name for name, value in given.items() if value]:
        from openuni.errors import BadInput

        raise BadInput(f"{', '.join(wrong)}: only {takes} takes that.")


def _score_annotators(
    annotator: list[str],
    data: Path | None,
    out: Path | None,
    weights: Path | None,
    limit: int | None,
    unit_size: int | None,
    set_: list[str] | None,
    spread: tuple[str, int | None, float, str | None],
) -> None:
    from openuni.benchmark.annotator_bench import AnnotatorBenchConfig, bench_annotators, parse_annotators
    from openuni.config import parse_settings
    from openuni.engine.monitor import Breaker
    from openuni.engine.run import choose_engine
    from openuni.errors import BadInput

    pairs = parse_annotators(annotator)
    if data is None:
        raise BadInput("Give --data DIR, a rendered folder. Make one with: openuni unibench render --out DIR")
    config = AnnotatorBenchConfig(
        annotators=pairs,
        data=data,
        out=out or Path("data", "bench-annotators"),
        weights=None if weights is None else str(weights),
        limit=limit,
        unit_size=unit_size,
        settings=parse_settings(set_ or ()),
    )
    ray, workers, max_error_fraction, retry = spread
    engine = choose_engine(ray, workers, cores=os.cpu_count() or 1)
    try:
        benched = bench_annotators(config, engine, breaker=Breaker(max_error_fraction), retry=statuses(retry))
    finally:
        engine.close()
    print_benched(benched)


def print_benched(benched: "Benched") -> None:
    """Print the main metrics with intervals and by family, all means by protocol, what is absent, where records are."""
    from openuni.benchmark.records import RECORDS
    from openuni.benchmark.summary import summarise
    from openuni.benchmark.timed import CPU_S

    for (modality, system), counts in benched.statuses.items():
        mine = [one for one in benched.records if (one.modality, one.system) == (modality, system)]
        lines = summarise(mine)
        other = "".join(f", {count:,} {why}" for why, count in counts.most_common() if why != "ok")
        cpu = next((f"; {line.mean:.3g} CPU-s a frame" for line in lines if line.metric == CPU_S and line.mean), "")
        typer.echo(f"\n{modality}={system}: {counts['ok']:,} of {counts.total():,} clips scored{other}{cpu}")
        main = [line for line in lines if (line.metric, line.protocol) in HEADLINES[modality] and line.clips]
        if not main:
            continue
        print_main(main, floors_of(lines))
        _print_families(
            summarise([one for one in mine if (one.metric, one.protocol) in HEADLINES[modality]], by_family=True),
            HEADLINES[modality],
        )
        _print_protocols([one for one in lines if one.metric != CPU_S and not one.protocol.endswith(FLOOR)])
    for reason, count in benched.skipped.most_common():
        typer.echo(f"left out  {count:,} clips: {reason}", err=True)
    typer.echo(f"\nscored {benched.clips:,} clips; every number of every clip: {benched.out / RECORDS}")


def floors_of(lines: "list[Line]") -> dict[tuple[str, str], float | None]:
    """Return what the truth scores in the answers' form, by metric and protocol."""
    return {(one.metric, one.protocol.removesuffix(FLOOR)): one.mean for one in lines if one.protocol.endswith(FLOOR)}


def print_main(lines: "list[Line]", floors: "dict[tuple[str, str], float | None] | None" = None) -> None:
    """One row for each main metric; floors, where there are some, in a column of their own."""
    extra = ["floor"] if floors else []
    rows = [["metric", "protocol", "clips", "mean", "95 % interval", *extra, "unit", "better"]]
    for line in lines:
        unit, better = about_metric(line.metric)
        ends = f"{number_text(line.low)} .. {number_text(line.high)}" if line.low is not None else "-"
        floor = [number_text(floors.get((line.metric, line.protocol)))] if floors else []
        rows.append([line.metric, line.protocol, str(line.clips), number_text(line.mean), ends, *floor, unit, better])
    print_table(rows)


def _print_families(lines: "list[Line]", columns: tuple[tuple[str, str], ...]) -> None:
    """One row for each family, one column for each main metric; clips in brackets."""
    by_family: dict[str, dict[tuple[str, str], Line]] = {}
    for line in lines:
        by_family.setdefault(line.family, {})[line.metric, line.protocol] = line
    if len(by_family) < 2:
        return
    rows = [["family", *(f"{metric.partition('.')[2]} {protocol}" for metric, protocol in columns)]]
    for family, found in sorted(by_family.items()):
        cells = [found[column] for column in columns]
        rows.append([family, *(f"{number_text(cell.mean)} ({cell.clips})" if cell.clips else "-" for cell in cells)])
    print_table(rows)


def _print_protocols(lines: "list[Line]") -> None:
    """Means over clips: one row for each protocol, one column for each metric."""
    metrics = list(dict.fromkeys(line.metric for line in lines))
    found = {(line.protocol, line.metric): line for line in lines}
    rows = [["protocol", *(metric.partition(".")[2] for metric in metrics)]]
    for protocol in dict.fromkeys(line.protocol for line in lines):
        cells = [found.get((protocol, metric)) for metric in metrics]
        if any(cell is not None and cell.clips for cell in cells):
            rows.append([protocol, *("" if cell is None else number_text(cell.mean) for cell in cells)])
    print_table(rows)


def print_table(rows: list[list[str]]) -> None:
    """Print aligned columns, numbers to the right. Not cut to the terminal's width: this goes into files too."""
    from openuni.benchmark.table_form import align

    numbers = [any(cell[:1].isdigit() for cell in column[1:]) for column in zip(*rows, strict=True)]
    for line in align(rows, numbers):
        typer.echo(line)


def about_metric(metric: str) -> tuple[str, str]:
    """Return a metric's unit and which way is better."""
    from openuni.table import METRICS, load

    found = load("metric", METRICS, metric)
    return found.unit, "higher" if found.higher_is_better else "lower"


def number_text(value: float | None) -> str:
    """Write a number with four digits, "-" where there is none."""
    return "-" if value is None else f"{value:.4g}"
