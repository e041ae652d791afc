"""`openuni build`: clips in, indexed shards out."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from openuni.cli.options import MaxErrorFraction, Ray, Retry, Weights, Workers, statuses

if TYPE_CHECKING:
    from openuni.pipelines.build import Build, Built

MAX_REASONS = 12  # rows of the table of reasons


def build(
    source: Annotated[str, typer.Option(help="Source of the clips; see `openuni list sources`.", show_default=False)],
    root: Annotated[
        str | None, typer.Option(help="Where the source lies: a folder, a glob or a list file.", show_default=False)
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Output folder. [default: data/SOURCE]", show_default=False)] = None,
    experts: Annotated[
        list[str] | None,
        typer.Option(
            help="Expert or set of experts (embedded, paper, best, commercial, truth, none); may be repeated. "
            "[default: embedded]",
            show_default=False,
        ),
    ] = None,
    filters: Annotated[
        str,
        typer.Option(help="Filters that score the clips, or all (that need no weights). See `openuni list filters`."),
    ] = "all",
    preset: Annotated[
        str | None,
        typer.Option(
            help="Preset of rules: paper, basic, none. [default: that of --out, else the source's]", show_default=False
        ),
    ] = None,
    rule: Annotated[
        list[str] | None,
        typer.Option(
            help="Keep only clips for which this holds: 'duration.seconds >= 5'. May be repeated. "
            "[default: those of --out]"
        ),
    ] = None,
    accept: Annotated[
        list[str] | None,
        typer.Option(help="Keep only maps for which this holds: 'flow: flow_check.coverage > 0.5'. May be repeated."),
    ] = None,
    windows: Annotated[
        str, typer.Option(help="What to annotate of a clip longer than the target: centre, head, all.")
    ] = "centre",
    limit: Annotated[int | None, typer.Option(help="List only this many clips.", show_default=False)] = None,
    unit_size: Annotated[
        int | None, typer.Option(help="Clips per shard. [default: at most 256]", show_default=False)
    ] = None,
    weights: Weights = None,
    caption_url: Annotated[
        str | None,
        typer.Option(
            help="Ask an OpenAI-compatible endpoint (http://HOST:PORT/v1) for captions of clips without one, or vllm: "
            "ray.data.llm on this cluster's GPUs. The key is $OPENUNI_CAPTION_KEY or $OPENAI_API_KEY. [default: ask "
            "nobody]",
            show_default=False,
        ),
    ] = None,
    caption_model: Annotated[
        str | None, typer.Option(help="The model that captions, as the endpoint names it.", show_default=False)
    ] = None,
    gpu_memory: Annotated[
        float | None,
        typer.Option(
            help="Memory of the smallest GPU, GB: experts that do not fit it together run one after the other. "
            "[default: what nvidia-smi says here, else 24]",
            show_default=False,
        ),
    ] = None,
    ray: Ray = "auto",
    workers: Workers = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Set a parameter: 'frames.fps=8', 'motion.width_px=96'.")
    ] = None,
    max_error_fraction: MaxErrorFraction = 0.2,
    retry: Retry = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be done and write nothing.")] = False,
) -> None:
    """Filter clips, annotate them and write WebDataset shards. Run the same command again to resume."""
    from openuni.config import parse_settings
    from openuni.engine.monitor import Breaker
    from openuni.engine.run import choose_engine
    from openuni.pipelines.build import Build, BuildConfig
    from openuni.pipelines.build import build as run_build
    from openuni.pipelines.decision import parse_accept

    config = BuildConfig(
        source=source,
        root=root,
        out=out or Path("data", source),
        experts=tuple(name for text in experts or ["embedded"] for name in text.split(",")),
        filters=tuple(filters.split(",")),
        weights=None if weights is None else str(weights),
        preset=preset,
        rules=tuple(rule or ()),
        accept=parse_accept(accept or ()),
        windows=windows,
        limit=limit,
        unit_size=unit_size,
        caption_url=caption_url,
        caption_model=caption_model,
        gpu_memory_gb=gpu_memory,
        settings=parse_settings(set_ or ()),
    )
    parts = Build.prepare(config)
    engine = choose_engine(ray, workers, cores=os.cpu_count() or 1)
    if dry_run:
        _print_plan(parts, engine.describe())
        return
    try:
        built = run_build(parts, engine, breaker=Breaker(max_error_fraction), retry=statuses(retry))
    finally:
        engine.close()
    print_built(built)


def _print_plan(parts: "Build", engine: str) -> None:
    """Print what a build would do, for --dry-run."""
    typer.echo(f"source    {parts.source.name} under {parts.config.root}")
    typer.echo(f"output    {parts.score.out}")
    typer.echo(f"filters   {', '.join(stage.name for stage in parts.score.stages)}")
    rules = parts.decision.clip_rules()
    typer.echo(f"rules     {' and '.join(rule.text for rule in rules) or 'none'} (preset {parts.decision.preset})")
    for stage in parts.annotate.stages:
        reads = f", reads {', '.join(stage.reads)}" if stage.reads else ""
        mark = parts.annotate.fingerprints[stage.name]
        typer.echo(f"stage     {stage.name}: {stage.expert or 'frames'}{reads}, fingerprint {mark}")
    for number, one in enumerate(parts.packs(), start=1):
        gpu = f" ({one.vram_gb:g} GB, {one.workers_per_gpu} workers a GPU)" if one.workers_per_gpu else " (no GPU)"
        typer.echo(f"pass {number}    {', '.join(one.stages)}{gpu}")
    typer.echo(f"captions  {caption_plan(parts.config.caption_url, parts.config.caption_model)}")
    typer.echo(f"engine    {engine}")


def caption_plan(url: str | None, model: str | None) -> str:
    """Say who captions."""
    if url is None:
        return "the source's own; no model is asked (--caption-url)"
    return f"the source's own, else {model} by ray.data.llm" if url == "vllm" else f"the source's own, else {model}"


def print_built(built: "Built") -> None:
    """Print the funnel and where things are."""
    skipped = "".join(f"; {count:,} left out: {reason}" for reason, count in built.skipped.most_common())
    warned = "".join(f"; {count:,} warned: {reason}" for reason, count in built.warned.most_common())
    typer.echo(f"listed    {built.listed:,} clips{skipped}{warned}")
    concluded = built.concluded
    finished = concluded.finished
    typer.echo(f"selected  {len(built.selection.clip_ids):,} clips")
    for reason, count in built.selection.counts().most_common(MAX_REASONS):
        typer.echo(f"          {count:>7,} against: {reason}")
    for modality, counts in finished.modalities.items():
        absent = "".join(f", {count:,} {reason}" for reason, count in counts.most_common() if reason != "ok")
        typer.echo(f"{modality:<12} {counts['ok']:>7,} samples{absent}")
    for writer, count in finished.captions.most_common():
        told = "from the source" if writer == "source" else f"by {writer}" if writer else "without; see --caption-url"
        typer.echo(f"captions     {count:>7,} {told}")
    typer.echo(
        f"wrote {concluded.shards:,} shards ({finished.clips:,} clips, {finished.hours:.2f} h, "
        f"{concluded.bytes / 1e6:,.1f} MB) to {built.out}"
    )
    typer.echo(f"report {built.out / 'report.html'}; other rules: openuni funnel {built.out} --rule ...")
    typer.echo(f"index {built.out / 'index.parquet'}; look at it with: openuni show {built.out}")
    if not finished.clips:
        typer.echo("No clip passes the rules. --preset none keeps all; --rule and --preset choose others.", err=True)
