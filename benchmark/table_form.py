"""Table: cells with footnotes, and its three forms: text for a terminal, Markdown, LaTeX (booktabs).

Words in a table come from data (names of systems and folders), so each form escapes them.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from openuni.errors import UnknownName


class Cell(NamedTuple):
    """One cell."""

    text: str = ""
    notes: tuple[str, ...] = ()
    """Footnotes; equal ones share a mark."""
    best: bool = False
    """Set bold."""


class Row(NamedTuple):
    """One row."""

    cells: tuple[Cell, ...]
    """The first is the row's name."""
    group: str = ""
    """Heading above the first row of a group."""
    ours: bool = False
    """Not published: measured here."""


@dataclass(kw_only=True)
class Table:
    """A table."""

    title: str
    columns: tuple[Cell, ...]
    """Headings; the first is that of the names."""
    rows: list[Row]
    notes: list[str] = field(default_factory=list)
    """Below the table, without a mark."""
    numbers: tuple[bool, ...] = ()
    """Which columns are aligned right; empty: all but the first."""

    def marks(self) -> dict[str, int]:
        """Footnote -> its number, in reading order."""
        cells = [*self.columns, *(cell for row in self.rows for cell in row.cells)]
        notes = dict.fromkeys(note for cell in cells for note in cell.notes)
        return {note: number for number, note in enumerate(notes, start=1)}

    def right(self) -> tuple[bool, ...]:
        """Return which columns are aligned right."""
        return self.numbers or (False, *(True for _ in self.columns[1:]))


def to_text(table: Table) -> str:
    """Aligned columns. Not cut to a terminal's width: this goes into files too."""
    marks, listed = table.marks(), (table.columns, *(row.cells for row in table.rows))

    def write(cell: Cell) -> str:
        mark = "".join(f"[{marks[note]}]" for note in cell.notes)
        return _one_line(cell.text) + ("*" if cell.best else "") + mark

    lines = [[write(cell) for cell in cells] for cells in listed]
    for place in range(len(table.columns)):
        if any(row.cells[place].best for row in table.rows):  # so that digits stay below digits
            for row, line in zip(table.rows, lines[1:], strict=True):
                line[place] += "" if row.cells[place].best else " "
    heading, *aligned = align(lines, table.right())
    written, group = [table.title, heading], ""
    for row, whole in zip(table.rows, aligned, strict=True):
        if row.group != group:
            group = row.group
            written.append(f"  -- {_one_line(group)} --")
        written.append(whole)
    best = ["* best of its column"] if any(cell.best for row in table.rows for cell in row.cells) else []
    notes = [*(f"[{number}] {note}" for note, number in marks.items()), *best, *table.notes]
    return "\n".join([*written, *(f"  {_one_line(note)}" for note in notes)]) + "\n"


def align(rows: Sequence[Sequence[str]], right: Sequence[bool]) -> list[str]:
    """Return a line for each row, its cells padded to their column's width; `right` columns are aligned right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = (cell.rjust(width) if number else cell.ljust(width)
                 for cell, width, number in zip(row, widths, right, strict=True))  # fmt: skip
        lines.append("  " + "  ".join(cells).rstrip())
    return lines


def to_markdown(table: Table) -> str:
    """A table of GitHub's Markdown, footnotes below."""
    marks = table.marks()

    def write(cell: Cell) -> str:
        text = _markdown(cell.text)
        mark = f"<sup>{_list(cell, marks)}</sup>" if cell.notes else ""
        return (f"**{text}**" if cell.best else text) + mark

    def line(cells: Sequence[Cell]) -> str:
        return "| " + " | ".join(write(cell) for cell in cells) + " |"

    rules = "|" + "|".join("---:" if right else "---" for right in table.right()) + "|"
    written, group = [f"**{_markdown(table.title)}**", "", line(table.columns), rules], ""
    for row in table.rows:
        if row.group != group:
            group = row.group
            written.append(f"| *{_markdown(group)}* " + "| " * (len(table.columns) - 1) + "|")
        written.append(line(row.cells))
    notes = [
        *(f"{number}. {_markdown(note)}" for note, number in marks.items()),
        *("- " + _markdown(note) for note in table.notes),
    ]
    return "\n".join([*written, "", *notes]) + "\n"


def to_latex(table: Table) -> str:
    """A LaTeX table for the booktabs package, footnotes below it."""
    marks = table.marks()

    def write(cell: Cell) -> str:
        text = _latex(cell.text)
        mark = rf"\textsuperscript{{{_list(cell, marks)}}}" if cell.notes else ""
        return (rf"\textbf{{{text}}}" if cell.best else text) + mark

    def line(cells: Sequence[Cell]) -> str:
        return " & ".join(write(cell) for cell in cells) + r" \\"

    columns = "".join("r" if right else "l" for right in table.right())
    written = ["% needs \\usepackage{booktabs}", r"\begin{table}", r"\centering", rf"\caption{{{_latex(table.title)}}}"]
    written += [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", line(table.columns), r"\midrule"]
    group = ""
    for place, row in enumerate(table.rows):
        if row.group != group:
            group = row.group
            written += [r"\midrule"] if place else []
            written.append(rf"\multicolumn{{{len(table.columns)}}}{{l}}{{\emph{{{_latex(group)}}}}} \\")
        written.append(line(row.cells))
    written += [r"\bottomrule", r"\end{tabular}"]
    notes = [rf"\textsuperscript{{{number}}} {_latex(note)}" for note, number in marks.items()]
    notes += [_latex(note) for note in table.notes]
    if notes:
        written += [r"\par\smallskip\footnotesize\raggedright", " \\\\\n".join(notes)]
    return "\n".join([*written, r"\end{table}"]) + "\n"


FORMS: dict[str, Callable[[Table], str]] = {"text": to_text, "markdown": to_markdown, "latex": to_latex}
"""Name of a form -> what writes it."""

_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", "\u2191": r"$\uparrow$", "\u2193": r"$\downarrow$", "\u03b4": r"$\delta$",
}  # fmt: skip


def _list(cell: Cell, marks: dict[str, int]) -> str:
    return ",".join(str(marks[note]) for note in cell.notes)


def _one_line(text: str) -> str:
    """Without line breaks and control characters, which a terminal would obey."""
    return "".join(one if one.isprintable() else " " for one in text)


def _markdown(text: str) -> str:
    return re.sub(r"([\\`*_{}\[\]<>|#~$&])", r"\\\1", _one_line(text))


def _latex(text: str) -> str:
    return "".join(_LATEX.get(one, one) for one in _one_line(text))


def form_of(name: str) -> Callable[[Table], str]:
    """Return what writes a form.

    Raises:
        UnknownName: there is no such form.
    """
    if name not in FORMS:
        raise UnknownName("form", name, FORMS)
    return FORMS[name]
