"""`openuni bench table`: the paper's tables with ours in them."""

from pathlib import Path
from typing import Annotated

import typer


def print_table(
    number: Annotated[int, typer.Argument(metavar="1|2|3|4", help="Which table of the paper.", show_default=False)],
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME=]RUN...",
            help="Output folders of openuni bench; NAME is what rows are called. [default: published rows alone]",
            show_default=False,
        ),
    ] = None,
    form: Annotated[str, typer.Option(help="text, markdown or latex.")] = "text",
    intervals: Annotated[bool, typer.Option("--intervals", help="Write 95 % intervals into our cells.")] = False,
    by_modality: Annotated[
        bool, typer.Option("--by-modality", help="Table 1: also one ControlGen row for each modality.")
    ] = False,
    radar: Annotated[
        Path | None, typer.Option(help="Table 1: also draw a radar into this SVG file.", show_default=False)
    ] = None,
) -> None:
    """Print a table in the paper's own layout: published rows, then ours, and what is unknown or absent.

    1 compares systems; 2, 3 and 4 are the ablations of modalities, tasks and architecture.
    """
    from openuni.benchmark.paper_tables import paper_table, table1_radar
    from openuni.benchmark.runs import named_runs
    from openuni.benchmark.table_form import form_of
    from openuni.engine.atomic import write_bytes
    from openuni.errors import BadInput

    write = form_of(form)
    for option, given in (("--radar", radar is not None), ("--by-modality", by_modality)):
        if given and number != 1:
            raise BadInput(f"{option} is for table 1, and table {number} was asked for.")
    table = paper_table(number, named_runs(runs or ()), by_modality=by_modality, intervals=intervals)
    typer.echo(write(table), nl=False)
    if radar is not None:
        write_bytes(radar, table1_radar(table).encode(), durable=False)
        typer.echo(f"wrote {radar}", err=True)
