"""`openuni bench beside`: a model's estimates beside what it must beat."""

from pathlib import Path
from typing import Annotated

import typer


def beside_command(
    model: Annotated[str, typer.Option(help="Run folder, checkpoint, export, or tiny.", show_default=False)],
    data: Annotated[Path, typer.Option(help="Rendered clips that it was not trained on.", show_default=False)],
    build: Annotated[Path, typer.Option(help="Build that the best constant is tuned on.", show_default=False)],
    out: Annotated[Path, typer.Option(help="Output folder.", show_default=False)],
    steps: Annotated[
        str, typer.Option(help="Numbers of sampling steps to ask the model with; 0: as it is set.")
    ] = "1,4",
    limit: Annotated[int, typer.Option(help="Score only this many clips.")] = 64,
    form: Annotated[str, typer.Option(help="text, markdown or latex.")] = "text",
    workers: Annotated[int, typer.Option(help="Worker processes; 0: in this one.")] = 0,
) -> None:
    """Score a model's estimates beside the best constant, the frames themselves and the ceiling, paired by clip."""
    from openuni.benchmark.beside import PICTURE, RESULT, BesideConfig, beside, beside_table
    from openuni.benchmark.table_form import form_of
    from openuni.engine.local import LocalEngine
    from openuni.errors import BadInput

    if not all(part.strip().isdigit() for part in steps.split(",")):
        raise BadInput(f"--steps {steps!r} is not understood; write 1,4.")
    write = form_of(form)
    numbers = tuple(dict.fromkeys(int(part) for part in steps.split(",")))
    config = BesideConfig(model=model, data=data, build=build, out=out, steps=numbers, limit=limit)
    engine = LocalEngine(workers)
    try:
        found = beside(config, engine)
    finally:
        engine.close()
    typer.echo(write(beside_table(found)), nl=False)
    typer.echo(f"{out / RESULT}; picture: {out / PICTURE}", err=True)
