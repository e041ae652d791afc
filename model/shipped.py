"""Shipped models: weights in the package, for `--model tiny` and `--init tiny`. docs/tiny.md tells their making."""

from pathlib import Path

FOLDER = Path(__file__).parent / "weights"
SHIPPED = ("tiny",)


def shipped(name: str) -> Path | None:
    """Return the folder of a shipped model; None where nothing is called so.

    A path of that name in the working folder is the user's own and comes first.
    """
    return FOLDER / name if name in SHIPPED and not Path(name).exists() else None
