"""Comparison table: what `compare` found, one row for each metric."""

from openuni.benchmark.compare import ALPHA, Comparison, Difference
from openuni.benchmark.table_form import Cell, Row, Table

HEADS = (
    "metric",
    "protocol",
    "samples",
    "scenes",
    "A",
    "B",
    "A - B",
    "95 % interval",
    "p",
    "p (Holm)",
    "scenes needed",
)


def comparison_table(found: Comparison) -> Table:
    """Lay a comparison out, grouped by suite, task and modality."""
    rows = [Row(_cells(one), f"{one.suite}, {one.task} {one.modality}") for one in found.differences]
    title = f"A = {found.a}, B = {found.b}"
    notes = [f"A mean with * is better with Holm's p < {ALPHA}; else nothing is proven.", *found.notes]
    if found.forced:
        title += " -- NOT COMPARABLE, forced"
        notes.insert(0, f"--force: {found.forced}. These differences are not between the systems alone.")
    wanted = "scenes needed: so many would show this difference with 80 % power, if it is as large as it seems"
    heads = tuple(Cell(head) for head in HEADS)
    numbers = (False, False, *[True] * (len(HEADS) - 2))
    return Table(title=title, columns=heads, rows=rows, notes=[*notes, wanted], numbers=numbers)


def _cells(one: Difference) -> tuple[Cell, ...]:
    ends = "-" if one.low is None or one.high is None else f"{one.low:+.3g} .. {one.high:+.3g}"
    return (
        Cell(one.metric),
        Cell(one.protocol),
        Cell(f"{one.samples:,}"),
        Cell(f"{one.clusters:,}"),
        Cell(f"{one.mean_a:.4g}", best=one.proven and one.better == "A"),
        Cell(f"{one.mean_b:.4g}", best=one.proven and one.better == "B"),
        Cell(f"{one.difference:+.3g}"),
        Cell(ends),
        Cell(_p(one.p)),
        Cell(_p(one.p_holm)),
        Cell("-" if one.needed is None else f"{one.needed:,}"),
    )


def _p(value: float | None) -> str:
    return "-" if value is None else "< 0.001" if value < 0.001 else f"{value:.3f}"
