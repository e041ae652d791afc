"""`openuni bench study`: blind pairs of two systems' clips for people, and the win rates of their answers."""

from pathlib import Path
from typing import Annotated

import typer

PAGE = "study.html"


def study_runs(
    a: Annotated[Path, typer.Argument(metavar="A", help="Output folder of openuni bench --model.", show_default=False)],
    b: Annotated[Path, typer.Argument(metavar="B", help="Another one, asked the same.", show_default=False)],
    out: Annotated[Path, typer.Option(help="The page; one that is there is not overwritten.")] = Path(PAGE),
    answers: Annotated[
        list[Path] | None,
        typer.Option(help="Count answers instead: a file that the page saved; may be repeated.", show_default=False),
    ] = None,
    more: Annotated[
        list[Path] | None, typer.Argument(metavar="[FILE]...", help="More files of answers.", show_default=False)
    ] = None,
    pairs: Annotated[int, typer.Option(help="At most so many pairs, each prompt once before any twice.")] = 24,
    seed: Annotated[int, typer.Option(help="Of order and sides.")] = 0,
    task: Annotated[str, typer.Option(help="Only clips of this task: text, cond or joint. [default: all]")] = "",
    form: Annotated[str, typer.Option(help="Of the table: text, markdown or latex.")] = "text",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Write over a page that is there.")] = False,
) -> None:
    """Write a page of blind pairs of two systems' clips; with --answers print who wins, with intervals.

    The page is one file that needs no network. Raters save their answers as JSON and hand the file in. Give the same A,
    B and options to both commands: they decide order and sides.
    """
    from openuni.benchmark.study.answers import read_answers, win_rates, win_table
    from openuni.benchmark.study.page import write_page
    from openuni.benchmark.study.pairs import make_study
    from openuni.benchmark.table_form import form_of
    from openuni.errors import BadInput
    from openuni.generator import TASKS

    write = form_of(form)
    if task and (task not in TASKS or task == "est"):
        raise BadInput(f"--task {task}: expected text, cond or joint, which make clips.")
    if more and not answers:
        raise BadInput(f"{more[0]}: give files of answers with --answers.")
    study = make_study(a, b, pairs=pairs, seed=seed, task=task)
    if answers:
        votes = read_answers([*answers, *(more or ())], study)
        typer.echo(write(win_table(win_rates(votes), study)), nl=False)
        return
    if out.exists() and not overwrite:
        raise BadInput(f"{out} is there. Give another --out, or --overwrite.")
    write_page(study, out)
    size = out.stat().st_size / 1e6
    typer.echo(f"wrote {out}: {len(study.pairs)} blind pairs of {' and '.join(study.names)} ({size:.1f} MB)")
    typer.echo(f"count what raters save: openuni bench study {a} {b} --answers FILE")
