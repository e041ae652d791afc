"""`openuni bench report`: a run as one page."""

from pathlib import Path
from typing import Annotated

import typer


def report_run(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Output folder of openuni bench.", show_default=False)],
    out: Annotated[Path | None, typer.Option(help="The page. [default: RUN/report.html]", show_default=False)] = None,
    data: Annotated[
        Path | None, typer.Option(help="Where the samples lie now. [default: where the run says]", show_default=False)
    ] = None,
    clips: Annotated[int, typer.Option(help="Show so many of the best and of the worst of each question.", min=0)] = 2,
    name: Annotated[str, typer.Option(help="What the run is called. [default: its system]", show_default=False)] = "",
) -> None:
    """Write a run's report: one HTML file with clips side by side, intervals, tables, failures and settings."""
    from openuni.benchmark.report.page import write_report
    from openuni.benchmark.runs import read_run

    path = write_report(read_run(run), out=out, data=data, clips=clips, name=name)
    typer.echo(f"wrote {path} ({path.stat().st_size / 1e6:.1f} MB)")
