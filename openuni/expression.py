"""Expression: evaluates a rule's syntax tree over columns, with missing values, from a whitelist of nodes."""

import ast
import operator
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from openuni.errors import BadInput

MAX_DEPTH = 50  # ours: well below Python's recursion limit.

_ORDER: dict[type, Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_EQUALITY: dict[type, Callable[[Any, Any], Any]] = {ast.Eq: operator.eq, ast.NotEq: operator.ne}
_ARITHMETIC: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_INSTEAD: dict[type, str] = {ast.BitAnd: "and", ast.BitOr: "or", ast.Invert: "not"}
"""What people write by habit of numpy -> what rules have."""


class Column(NamedTuple):
    """Values of a column or expression for N clips, or of a constant."""

    kind: str
    """One of "number", "truth" and "text"; "empty" where every value is missing, which fits any kind."""
    values: Any
    """(N,) array, or a scalar for a constant. Anything where `known` is False."""
    known: Any
    """(N,) bool, or np.True_: False where the value is missing."""


class Truth(NamedTuple):
    """An answer for N clips. `true` implies `known`."""

    true: Any
    """(N,) bool: it is true."""
    known: Any
    """(N,) bool: it is true or false; no missing value stands in the way."""


def read_column(name: str, values: Any) -> Column:
    """Read a pyarrow column, a numpy array or a list; null, None and NaN are missing.

    Raises:
        BadInput: the values are not numbers, texts or truths, or not one for each clip.
    """
    if hasattr(values, "type"):
        values = _from_arrow(values)
    values = np.asarray(values)
    if values.ndim != 1:
        raise BadInput(f"Column {name!r} must have one value for each clip, got an array of shape {values.shape}.")
    known = np.ones(len(values), bool)
    if values.dtype.kind == "O":
        listed = values.tolist()
        known = np.array([value is not None and value == value for value in listed], bool)
        values = _typed(values, known)
    if values.dtype.kind == "f":
        known = known & ~np.isnan(values)
    kinds = {"b": "truth", "i": "number", "u": "number", "f": "number", "U": "text", "O": "text"}
    kind = kinds.get(values.dtype.kind)
    if kind is None or (values.dtype.kind == "O" and not all(isinstance(v, str) for v in values[known].tolist())):
        raise BadInput(f"Column {name!r} cannot stand in a rule: it holds neither numbers nor texts nor truths.")
    return Column(kind if known.any() else "empty", values, known)


def _from_arrow(column: Any) -> np.ndarray:
    """Turn a pyarrow Array or ChunkedArray into numpy; null becomes NaN, or None beside texts and truths."""
    import pyarrow as pa

    column = pa.chunked_array(column if isinstance(column, pa.ChunkedArray) else [column])
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_null(column.type):
        return np.full(len(column), np.nan)
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type) or pa.types.is_decimal(column.type):
        column = column.cast(pa.float64(), safe=False)  # integers above 2^53 are rounded, which no threshold minds
    array: np.ndarray = column.to_numpy()
    return array


def _typed(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Give an object array of truths or of numbers its own dtype; all else stays as it is."""
    present = values[known].tolist()
    if present and all(isinstance(value, bool | np.bool_) for value in present):
        return np.where(known, values, False).astype(bool)
    if all(isinstance(value, int | float | np.number) for value in present):
        return np.where(known, values, np.nan).astype(np.float64)
    return values


class Evaluation:
    """One walk over one rule's tree. What is not named here is refused."""

    def __init__(self, text: str, look_up: Callable[[str], Column]) -> None:
        """Take the rule's text, for messages, and what gives a column by its name."""
        self._text = text
        self._look_up = look_up
        self._columns: dict[str, Column] = {}

    def truth(self, node: ast.expr, depth: int = 0) -> Truth:
        """Answer a node that must be true or false.

        Raises:
            BadInput: the node, or one below it, is not allowed there.
        """
        self._bound(node, depth)
        if isinstance(node, ast.BoolOp):
            parts = [self.truth(part, depth + 1) for part in node.values]
            return _all(parts) if isinstance(node.op, ast.And) else _any(parts)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return _not(self.truth(node.operand, depth + 1))
        if isinstance(node, ast.Compare):
            return self._compare(node, depth)
        if isinstance(node, ast.Call):
            return self._missing(node, depth)
        value = self._value(node, depth)
        if value.kind not in ("truth", "empty"):
            raise self._refuse(node, f"is a {value.kind}; compare it with something")
        return Truth(value.known & (value.values == np.True_), value.known)

    def _compare(self, node: ast.Compare, depth: int) -> Truth:
        if len(node.ops) == 1 and isinstance(node.ops[0], ast.In | ast.NotIn):
            found = self._in(node.left, node.comparators[0], depth)
            return found if isinstance(node.ops[0], ast.In) else _not(found)
        nodes = [node.left, *node.comparators]
        values = [self._value(part, depth + 1) for part in nodes]
        pairs = []
        for i, op in enumerate(node.ops):
            operation = _ORDER.get(type(op)) or _EQUALITY.get(type(op))
            if operation is None:
                raise self._refuse(node, "uses a comparison that rules do not have; they have < <= > >= == != in")
            if type(op) in _ORDER:
                self._need_numbers(nodes[i], values[i])
                self._need_numbers(nodes[i + 1], values[i + 1])
            pairs.append(self._pair(node, operation, values[i], values[i + 1]))
        return _all(pairs)

    def _pair(self, node: ast.expr, operation: Callable[[Any, Any], Any], left: Column, right: Column) -> Truth:
        known = left.known & right.known
        if "empty" in (left.kind, right.kind):
            return Truth(np.zeros_like(known), known)
        if left.kind != right.kind:
            raise self._refuse(node, f"compares a {left.kind} with a {right.kind}")
        return Truth(known & operation(left.values, right.values).astype(bool), known)

    def _in(self, left: ast.expr, right: ast.expr, depth: int) -> Truth:
        if not isinstance(right, ast.Tuple | ast.List | ast.Set) or not right.elts:
            raise self._refuse(right, "must be values in brackets, such as ('a', 'b')")
        value = self._value(left, depth + 1)
        items = [self._value(item, depth + 1) for item in right.elts]
        return _any([self._pair(left, operator.eq, value, item) for item in items])

    def _missing(self, node: ast.Call, depth: int) -> Truth:
        named = isinstance(node.func, ast.Name) and node.func.id == "missing"
        if not named or len(node.args) != 1 or node.keywords:
            raise self._refuse(node, "is a call; the only one is missing(column)")
        known = self._value(node.args[0], depth + 1).known
        return Truth(~known, np.ones_like(known))

    def _value(self, node: ast.expr, depth: int) -> Column:
        """Evaluate a node that must be a column, a constant or arithmetic."""
        self._bound(node, depth)
        if isinstance(node, ast.Attribute | ast.Name):
            name = self._name(node)
            if name not in self._columns:
                self._columns[name] = self._look_up(name)
            return self._columns[name]
        if isinstance(node, ast.Constant):
            return self._constant(node)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
            inner = self._number(node.operand, depth + 1)
            return inner if isinstance(node.op, ast.UAdd) else inner._replace(values=-inner.values)
        if isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC:
            left, right = self._number(node.left, depth + 1), self._number(node.right, depth + 1)
            with np.errstate(all="ignore"):
                values = _ARITHMETIC[type(node.op)](left.values, right.values)
            # What has no finite value (x / 0) is missing, not very large.
            known = left.known & right.known & np.isfinite(values)
            return Column("number", values, known)
        instead = _INSTEAD.get(type(getattr(node, "op", node)))
        raise self._refuse(node, f"is not allowed; write '{instead}'" if instead else "is not allowed in a rule")

    def _number(self, node: ast.expr, depth: int) -> Column:
        value = self._value(node, depth)
        self._need_numbers(node, value)
        return Column("number", np.asarray(value.values, np.float64), value.known)

    def _need_numbers(self, node: ast.expr, value: Column) -> None:
        if value.kind not in ("number", "empty"):
            raise self._refuse(node, f"is a {value.kind} where a number is needed")

    def _constant(self, node: ast.Constant) -> Column:
        value = node.value
        if isinstance(value, bool):
            return Column("truth", np.bool_(value), np.True_)
        if isinstance(value, str):
            return Column("text", np.array(value, object), np.True_)
        if isinstance(value, int | float) and abs(value) <= sys.float_info.max:
            return Column("number", np.float64(value), np.True_)
        known = "; write missing(column)" if value is None else ""
        raise self._refuse(node, f"is no number, text, True or False{known}")

    def _name(self, node: ast.expr) -> str:
        """Return "stage.score" for its node."""
        parts: list[str] = []
        inner = node
        while isinstance(inner, ast.Attribute):
            parts.append(inner.attr)
            inner = inner.value
        if not isinstance(inner, ast.Name):
            raise self._refuse(node, "is not a column name, such as duration.seconds")
        return ".".join([inner.id, *reversed(parts)])

    def _bound(self, node: ast.expr, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise self._refuse(node, f"is nested more than {MAX_DEPTH} deep; make it several rules")

    def _refuse(self, node: ast.expr, why: str) -> BadInput:
        spot = (ast.get_source_segment(self._text, node) or "")[:60]
        return BadInput(f"Rule {self._text!r}: at character {node.col_offset + 1}, {spot!r} {why}.")


def _all(parts: list[Truth]) -> Truth:
    """Kleene's and: false if one is false, else unknown if one is unknown."""
    true = np.logical_and.reduce(np.broadcast_arrays(*[part.true for part in parts]))
    false = np.logical_or.reduce(np.broadcast_arrays(*[part.known & ~part.true for part in parts]))
    return Truth(true, true | false)


def _any(parts: list[Truth]) -> Truth:
    """Kleene's or: true if one is true, else unknown if one is unknown."""
    return _not(_all([_not(part) for part in parts]))


def _not(part: Truth) -> Truth:
    return Truth(part.known & ~part.true, part.known)
