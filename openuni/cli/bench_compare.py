"""`openuni bench compare`: two runs on the samples that they have in common."""

from pathlib import Path
from typing import Annotated

import typer


def compare_runs(
    a: Annotated[Path, typer.Argument(metavar="A", help="Output folder of openuni bench.", show_default=False)],
    b: Annotated[Path, typer.Argument(metavar="B", help="Another one on the same data.", show_default=False)],
    every: Annotated[
        bool, typer.Option("--all", help="Test every metric and protocol, not only the headline ones.")
    ] = False,
    form: Annotated[str, typer.Option(help="text, markdown or latex.")] = "text",
    force: Annotated[
        bool, typer.Option("--force", help="Compare runs whose data or protocols differ; the table says so.")
    ] = False,
) -> None:
    """Compare two runs: paired differences with 95 % intervals, and p values corrected for their number."""
    from openuni.benchmark.compare import compare
    from openuni.benchmark.comparison_table import comparison_table
    from openuni.benchmark.headline import is_headline
    from openuni.benchmark.runs import read_run
    from openuni.benchmark.table_form import form_of

    write, one, other = form_of(form), read_run(a), read_run(b)
    chosen = {(row.metric, row.protocol) for row in one.records if is_headline(row.suite, row.metric, row.protocol)}
    compared = compare(one, other, force=force, primary=() if every else chosen)
    typer.echo(write(comparison_table(compared)), nl=False)
