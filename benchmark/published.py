"""Published: the paper's Tables 1 to 4 as data, for tables that set ours beside them."""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

TABLES = (1, 2, 3, 4)


@dataclass(frozen=True, kw_only=True)
class PublishedRow:
    """One system's row."""

    group: str
    """Key in the table's groups; empty where it has none."""
    model: str
    values: tuple[float | None, ...]
    """One for each column; None: blank there."""
    note: str


@dataclass(frozen=True, kw_only=True)
class PublishedTable:
    """One table as printed."""

    number: int
    title: str
    source: str
    columns: tuple[str, ...]
    groups: dict[str, str]
    """Key -> heading, in order."""
    rows: tuple[PublishedRow, ...]
    unknown: str
    """What the paper does not say of its protocol."""
    notes: tuple[str, ...]
    """What a reader must know of its numbers."""


@cache
def published(number: int) -> PublishedTable:
    """Return one of the paper's tables.

    Args:
        number: one of TABLES.
    """
    table: dict[str, Any] = _content()[f"table{number}"]
    rows = tuple(
        PublishedRow(group=row["group"], model=row["model"], values=tuple(row["values"]), note=row.get("note", ""))
        for row in table["rows"]
    )
    return PublishedTable(
        number=number, title=table["title"], source=table["source"], columns=tuple(table["columns"]),
        groups=dict(table.get("groups", {})), rows=rows, unknown=table["unknown"],
        notes=tuple(table["notes"]),
    )  # fmt: skip


@cache
def _content() -> dict[str, Any]:
    import yaml

    text = files("openuni.benchmark").joinpath("published.yaml").read_text(encoding="utf-8")
    found: dict[str, Any] = yaml.safe_load(text)
    return found
