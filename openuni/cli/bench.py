"""`openuni bench`: score annotators on rendered clips, where the truth is known."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from openuni.benchmark.annotator_bench import Benched
    from openuni.benchmark.summary import Line

SHOWN = {
    "depth": (("depth.abs_rel", "disp-ls"), ("depth.delta1", "disp-ls"), ("depth.flicker", "disp-ls")),
    "flow": (("flow.epe", "all"), ("flow.epe", "noc"), ("flow.epe", "occ"), ("flow.fl", "all")),
    "segmentation": (("segmentation.miou", "clip"), ("segmentation.ap", "clip"), ("segmentation.f", "clip")),
    "skeleton": (("skeleton.pck_box", "frame"), ("skeleton.oks", "frame"), ("skeleton.ap", "frame")),
    "densepose": (("densepose.part_iou", "clip"), ("densepose.part_accuracy", "clip"), ("densepose.uv_near", "clip")),
}
"""What the table by family shows; the first table and the records have all."""


def bench(
    annotator: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODALITY=NAME",
            help="Annotator to score, as depth=depth-motion; may be repeated. See `openuni list experts`.",
            show_default=False,
        ),
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Rendered folder: clips with their truth.", show_default=False)
    ] = None,
    out: Annotated[Path, typer.Option(help="Output folder.")] = Path("data", "bench-annotators"),
    limit: Annotated[int | None, typer.Option(help="Score only this many clips.", show_default=False)] = None,
    unit_size: Annotated[
        int | None, typer.Option(help="Clips committed at a time. [default: at most 256]", show_default=False)
    ] = None,
    ray: Annotated[
        str, typer.Option(help="auto (RAY_ADDRESS, else Ray on this machine), off, or a cluster's address.")
    ] = "auto",
    workers: Annotated[
        int | None, typer.Option(help="Worker processes or actors. [default: one per core]", show_default=False)
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="Set a parameter: 'depth.stride=2', 'frames.short_side_px=480'."),
    ] = None,
    max_error_fraction: Annotated[
        float, typer.Option(help="Stop when more than this share of at least 50 clips failed.", min=0.0, max=1.0)
    ] = 0.2,
    retry: Annotated[
        str | None, typer.Option(help="Run clips of these statuses again: error, crash.", show_default=False)
    ] = None,
) -> None:
    """Score annotators on rendered clips, where depth, flow, masks, skeletons and body surface are known exactly.

    Run the same command again to resume. Scoring of models is not part of this command yet.
    """
    from openuni.benchmark.annotator_bench import AnnotatorBenchConfig, bench_annotators, parse_annotators
    from openuni.config import parse_settings
    from openuni.engine.monitor import Breaker
    from openuni.engine.run import choose_engine
    from openuni.errors import BadInput

    if not annotator:
        raise BadInput("Name an annotator to score: --annotator depth=depth-motion; see openuni list experts.")
    pairs = parse_annotators(annotator)
    if data is None:
        raise BadInput("Give --data DIR, a rendered folder. Make one with: openuni unibench render --out DIR")
    config = AnnotatorBenchConfig(
        annotators=pairs,
        data=data,
        out=out,
        limit=limit,
        unit_size=unit_size,
        settings=parse_settings(set_ or ()),
    )
    engine = choose_engine(ray, workers, cores=os.cpu_count() or 1)
    statuses = tuple(retry.split(",")) if retry else ()
    try:
        benched = bench_annotators(config, engine, breaker=Breaker(max_error_fraction), retry=statuses)
    finally:
        engine.close()
    print_benched(benched)


def print_benched(benched: "Benched") -> None:
    """Print every metric with its interval, then the main ones by family, then what is absent and where things are."""
    from openuni.benchmark.records import RECORDS
    from openuni.benchmark.summary import summarise

    for (modality, system), counts in benched.statuses.items():
        mine = [one for one in benched.records if (one.task, one.system) == (modality, system)]
        scored = f"{counts['ok']:,} of {counts.total():,} clips scored"
        other = "".join(f", {count:,} {why}" for why, count in counts.most_common() if why != "ok")
        typer.echo(f"{modality}={system}: {scored}{other}")
        _print_lines([line for line in summarise(mine) if line.clips])
        shown = [one for one in mine if (one.metric, one.protocol) in SHOWN[modality]]
        families = summarise(shown, by_family=True)
        if len({line.family for line in families}) > 1:
            _print_families(families, SHOWN[modality])
    for reason, count in benched.skipped.most_common():
        typer.echo(f"left out  {count:,} clips: {reason}", err=True)
    typer.echo(f"scored {benched.clips:,} clips; records {benched.out / RECORDS}")


def _print_lines(lines: "list[Line]") -> None:
    from rich.console import Console
    from rich.table import Table

    shown = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("metric", "protocol", "clips", "mean", "95 % interval", "unit", "better"):
        shown.add_column(name, justify="right" if name in ("clips", "mean", "95 % interval") else "left", no_wrap=True)
    for line in lines:
        unit, better = _about(line.metric)
        ends = f"{_number(line.low)} .. {_number(line.high)}" if line.low is not None else "-"
        shown.add_row(line.metric, line.protocol, f"{line.clips}", _number(line.mean), ends, unit, better)
    Console().print(shown)


def _print_families(lines: "list[Line]", columns: tuple[tuple[str, str], ...]) -> None:
    from rich.console import Console
    from rich.table import Table

    shown = Table(box=None, pad_edge=False, header_style="bold")
    shown.add_column("family", no_wrap=True)
    for metric, protocol in columns:
        shown.add_column(f"{metric.partition('.')[2]} {protocol}", justify="right")
    by_family: dict[str, dict[tuple[str, str], Line]] = {}
    for line in lines:
        by_family.setdefault(line.family, {})[line.metric, line.protocol] = line
    for family, found in sorted(by_family.items()):
        cells = [found[column] for column in columns]
        shown.add_row(family, *(f"{_number(cell.mean)} ({cell.clips})" if cell.clips else "-" for cell in cells))
    Console().print(shown)


def _about(metric: str) -> tuple[str, str]:
    """Return a metric's unit and which way is better."""
    from openuni.table import METRICS, load

    if metric not in METRICS:  # coverage and CPU time
        return ("s", "lower") if metric.startswith("cpu_s") else ("1", "")
    found = load("metric", METRICS, metric)
    return found.unit, "higher" if found.higher_is_better else "lower"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
