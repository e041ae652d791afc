"""Options that commands share: how a run is spread, retried and stopped. Each command gives its own defaults."""

from pathlib import Path
from typing import Annotated

import typer

Ray = Annotated[str, typer.Option(help="auto (RAY_ADDRESS, else Ray on this machine), off, or a cluster's address.")]
Workers = Annotated[
    int | None, typer.Option(help="Worker processes or actors. [default: one per core]", show_default=False)
]
Retry = Annotated[str | None, typer.Option(help="Run clips of these statuses again: error, crash.", show_default=False)]
MaxErrorFraction = Annotated[
    float, typer.Option(help="Stop when more than this share of at least 50 clips failed.", min=0.0, max=1.0)
]

Weights = Annotated[
    Path | None,
    typer.Option(
        help="Folder of the experts' weights; see `openuni weights`. [default: $OPENUNI_WEIGHTS, then the libraries' "
        "caches]",
        show_default=False,
    ),
]


def statuses(retry: str | None) -> tuple[str, ...]:
    """Read --retry: "error,crash" as ("error", "crash"). The run checks the names."""
    return tuple(retry.split(",")) if retry else ()
