"""`openuni funnel`: what each step and each rule of a build leaves, and other rules without other work."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from openuni.pipelines.funnel import Funnel
    from openuni.pipelines.histogram import Histogram, Shares

BLOCKS = " .:-=+*#%@"
"""Shades of a histogram's columns, from no clip to the fullest bin."""


def funnel(
    build: Annotated[Path, typer.Argument(metavar="DIR", help="A build's folder.")],
    preset: Annotated[
        str | None,
        typer.Option(help="Preset of rules: paper, basic, none. [default: the one in force]", show_default=False),
    ] = None,
    rule: Annotated[
        list[str] | None,
        typer.Option(help="Keep only clips for which this holds, besides the preset's rules. May be repeated."),
    ] = None,
    accept: Annotated[
        list[str] | None,
        typer.Option(help="Keep only maps for which this holds: 'flow: flow_check.coverage > 0.5'. May be repeated."),
    ] = None,
    root: Annotated[
        Path | None, typer.Option(help="Where the videos lie now, for the report's pictures.", show_default=False)
    ] = None,
    pictures: Annotated[bool, typer.Option(help="Put pictures of clips at each rule's line into the report.")] = True,
    scores: Annotated[bool, typer.Option(help="Print a histogram of every score, not only of those in rules.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what the rules would do and write nothing.")
    ] = False,
) -> None:
    """Print a build's funnel; with rules, decide anew: the index and the report change, no shard is touched.

    The decision stays: the next `openuni build` annotates the clips that it newly selects.
    """
    from openuni.pipelines.decision import parse_accept
    from openuni.pipelines.redecide import redecide

    done = redecide(
        build, preset=preset, rules=rule or (), accept=parse_accept(accept or ()), root=root, pictures=pictures,
        dry_run=dry_run,
    )  # fmt: skip
    print_funnel(done.funnel, all_scores=scores)
    if dry_run:
        typer.echo("nothing written (--dry-run)")
        return
    if done.decided:
        typer.echo(f"decided: preset {done.decision.preset} and {len(done.decision.rules)} more rules")
    typer.echo(f"wrote {build / 'index.parquet'} ({done.clips:,} clips) and {build / 'report.html'}")
    if done.funnel.waiting:
        typer.echo(f"{done.funnel.waiting:,} selected clips are not annotated yet; the next `openuni build` does them")


def print_funnel(funnel: "Funnel", *, all_scores: bool = False) -> None:
    """Print a funnel as tables.

    Args:
        funnel: its numbers.
        all_scores: every histogram, not only those with a rule's line.
    """
    from rich.console import Console

    from openuni.pipelines.histogram import Histogram

    console = Console(highlight=False)
    _print_steps(console, funnel)
    _print_modalities(console, funnel)
    for chart in (*funnel.scores, *funnel.qualities):
        if all_scores or (isinstance(chart, Histogram) and chart.lines):
            _print_chart(console, chart)


def _print_steps(console: "Console", funnel: "Funnel") -> None:
    from rich.markup import escape
    from rich.table import Table

    table = Table(title="funnel", title_justify="left")
    table.add_column("step", overflow="fold", ratio=1)
    for heading in ("clips", "hours", "it alone drops", "no value", "only it drops"):
        table.add_column(heading, justify="right")
    rules = {row.rule: row for row in funnel.rules}
    for step in funnel.steps:
        row = rules.get(step.name)
        told = (f"{row.against:,}", f"{row.missing:,}", f"{row.only:,}") if row else ("", "", "")
        table.add_row(escape(step.name), f"{step.clips:,}", f"{step.hours:,.2f}", *told)
    console.print(table)
    for reason, clips in funnel.unusable.most_common():
        console.print(f"{clips:>9,} not scored: {reason}", markup=False, soft_wrap=True)


def _print_modalities(console: "Console", funnel: "Funnel") -> None:
    from rich.markup import escape
    from rich.table import Table

    table = Table("modality", title="modalities", title_justify="left")
    table.add_column("present", justify="right")
    table.add_column("absent or not accepted")
    for row in funnel.modalities:
        words = [f"{clips:,} {reason}" for reason, clips in row.absent.most_common()]
        words += [f"{clips:,} against {rule}" for rule, clips in row.rejected.items() if clips]
        table.add_row(row.modality, f"{row.present:,}", escape(", ".join(words)))
    console.print(table)
    for error in funnel.errors:
        place = f"ledger/{error.stage}/{error.fingerprint}/_errors/{error.error}.txt"
        console.print(
            f"{error.clips:>9,} error in {error.stage}: {error.reason} ({place})", markup=False, soft_wrap=True
        )


def _print_chart(console: "Console", chart: "Histogram | Shares") -> None:
    """Print a histogram as two lines of shades, kept and dropped, with a mark under each rule's line."""
    from openuni.pipelines.histogram import Shares

    console.print(f"\n{chart.column} ({chart.unit})  missing {chart.missing:,}", markup=False, soft_wrap=True)
    if isinstance(chart, Shares):
        for value, kept, dropped in chart.values:
            console.print(f"  {kept:>9,} kept {dropped:>9,} dropped  {value}", markup=False, soft_wrap=True)
        return
    if not chart.edges:
        return
    highest = max((*chart.kept, *chart.dropped, 1))
    for word, counts in (("kept", chart.kept), ("dropped", chart.dropped)):
        # A bin with any clip is never blank.
        shades = "".join(BLOCKS[-(-clips * (len(BLOCKS) - 1) // highest)] for clips in counts)
        console.print(f"  {word:<8}|{shades}|", markup=False, soft_wrap=True)
    first, last = chart.edges[0], chart.edges[-1]
    for line in chart.lines:
        place = min(int((line.value - first) / (last - first) * len(chart.kept)), len(chart.kept) - 1)
        console.print(f"  {'':<8}|{' ' * place}^ {line.rule}", markup=False, soft_wrap=True)
    console.print(f"  {'':<8} {first:.4g} to {last:.4g}, the outermost bins take what lies beyond", markup=False)
