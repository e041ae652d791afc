"""`openuni export`: a model in another form."""

from pathlib import Path
from typing import Annotated

import typer


def export(
    model: Annotated[str, typer.Argument(help="Run folder, checkpoint, Wan weights, Hub id, or preset:NAME.")],
    out: Annotated[Path, typer.Option(help="Folder to write; must not hold anything.")],
    format: Annotated[
        str,
        typer.Option(help="openuni; wan-diffusers: its text-to-video half; wan-original: the same as one file."),
    ] = "openuni",
    dtype: Annotated[str, typer.Option(help="float32 or bfloat16.")] = "float32",
) -> None:
    """Write a model in another form: for openuni, for diffusers as plain Wan, or as one file with Wan's own names."""
    import torch

    from openuni.errors import BadInput
    from openuni.model.export import export as write
    from openuni.model.pipeline import find

    kinds = {"float32": torch.float32, "bfloat16": torch.bfloat16}
    if dtype not in kinds:
        raise BadInput(f"--dtype must be float32 or bfloat16, got {dtype!r}.")
    found = find(model, dtype=kinds[dtype])
    typer.echo(f"model: {found.said}", err=True)
    for path in write(found, out, format):
        typer.echo(str(path))
