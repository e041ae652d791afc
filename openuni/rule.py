"""Rule: an expression over ledger columns that decides which clips stay, e.g. 'duration.seconds >= 5'.

Allowed: column names, numbers, strings, True and False; < <= > >= == != and chains of them, `in (...)`, `not in`;
+ - * /; and, or, not; missing(x). A missing value (null or NaN) makes what is compared with it unknown, and unknown
follows Kleene's three-valued logic: it stays unknown under `not`. A clip is selected where the rule is true, so
neither `x > 5` nor `not (x > 5)` selects a clip whose x is missing.
"""

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from openuni.errors import BadInput, UnknownName
from openuni.expression import Column, Evaluation, Truth, read_column

MAX_CHARS = 1000  # ours: longer than any rule a person writes; bounds what a rule from a file can cost.
EXAMPLE = "Example: 'duration.seconds >= 5 and not missing(published.vtss)'."


@dataclass(frozen=True)
class Rule:
    """One rule, read and checked.

    Raises:
        BadInput: the text is no rule; the message is one line that names the spot.
    """

    text: str
    columns: tuple[str, ...] = field(init=False)
    """Names of the columns it reads, in the order they appear."""
    _tree: ast.expr = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Parse the text, and run it once on no clips, which checks its grammar and collects its columns."""
        text = self.text.strip()
        tree = _parse(text)
        names: dict[str, None] = {}

        def note(name: str) -> Column:
            names[name] = None
            return read_column(name, [])

        Evaluation(text, note).truth(tree)
        if not names:
            raise BadInput(f"Rule {text!r} names no column, so it says nothing about a clip. {EXAMPLE}")
        object.__setattr__(self, "text", text)
        object.__setattr__(self, "columns", tuple(names))
        object.__setattr__(self, "_tree", tree)

    def evaluate(self, table: Any) -> Truth:
        """Answer for every clip of a table.

        Args:
            table: a pyarrow Table, or a mapping from column names to arrays of one length.

        Raises:
            UnknownName: a column is not in the table.
            BadInput: a column's kind does not fit (a text compared with a number).
            ValueError: the columns differ in length.
        """
        names = list(table.column_names if hasattr(table, "column_names") else table)
        length = _length(table)

        def look_up(name: str) -> Column:
            if name not in names:
                raise UnknownName("column", name, names)
            column = read_column(name, table[name])
            if len(column.values) != length:
                raise ValueError(f"column {name!r} has {len(column.values)} values, the table {length} clips")
            return column

        return Evaluation(self.text, look_up).truth(self._tree)

    def thresholds(self) -> list[tuple[str, float]]:
        """Return (column, number) for every comparison of a column with a number, in the order they appear."""
        found = []
        for node in ast.walk(self._tree):
            if isinstance(node, ast.Compare):
                sides = [_side(side) for side in (node.left, *node.comparators)]
                for left, right in pairwise(sides):
                    if isinstance(left, str) and isinstance(right, float):
                        found.append((left, right))
                    elif isinstance(left, float) and isinstance(right, str):
                        found.append((right, left))
        return found


def _side(node: ast.expr) -> str | float | None:
    """Return a comparison's side if it is a column's name or a number."""
    if isinstance(node, ast.Attribute | ast.Name):
        return ast.unparse(node)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = _side(node.operand)
        return -inner if isinstance(inner, float) else None
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float) and not isinstance(node.value, bool):
        return float(node.value)
    return None


def _length(table: Any) -> int:
    """Return the number of clips of a pyarrow Table or a mapping."""
    if isinstance(table, Mapping):
        return len(next(iter(table.values()), ()))
    return int(table.num_rows)


def _parse(text: str) -> ast.expr:
    if len(text) > MAX_CHARS:
        raise BadInput(f"Rule of {len(text)} characters, {text[:40]!r}...: at most {MAX_CHARS}. Make it several rules.")
    try:
        return ast.parse(text, mode="eval").body
    except SyntaxError as error:
        # The parser numbers characters from 1, and gives 0 or one beyond the text for its end.
        offset = error.offset or 0
        spot = f"at character {offset}" if 1 <= offset <= len(text) else "at its end"
        hint = "; compare with ==" if text[offset - 1 : offset] == "=" else ""
        message = f"Rule {text!r} cannot be read {spot}: {error.msg}{hint}. {EXAMPLE}"
    except (ValueError, RecursionError, MemoryError) as error:  # a NUL; nesting beyond the parser's limits
        message = f"Rule {text!r} cannot be read: {str(error) or 'nested too deeply'}. {EXAMPLE}"
    raise BadInput(message)
