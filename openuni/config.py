"""Settings: `--set part.parameter=value`, checked against the part's dataclass fields."""

import ast
import dataclasses
from collections.abc import Iterable, Mapping
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from openuni.errors import BadInput, UnknownName

Settings = dict[str, dict[str, str]]
"""Part name -> parameter -> the text of its value."""


def parse_settings(texts: Iterable[str]) -> Settings:
    """Take "part.parameter=value" texts apart.

    Raises:
        BadInput: a text has another form.
    """
    settings: Settings = {}
    for text in texts:
        name, equals, value = text.partition("=")
        part, dot, parameter = name.strip().partition(".")
        if not (equals and dot and part and parameter):
            raise BadInput(f"--set {text!r} is not understood; write part.parameter=value, as in frames.fps=8.")
        settings.setdefault(part, {})[parameter] = value.strip()
    return settings


def refuse_unknown_parts(settings: Settings, known: Iterable[str]) -> None:
    """Raise UnknownName if a setting names a part that this run does not have."""
    known = list(known)
    for part in settings:
        if part not in known:
            raise UnknownName("part in --set", part, known)


def configured(cls: type, values: Mapping[str, str], *, part: str, **fixed: Any) -> Any:
    """Make an object of a dataclass with some of its fields set from text.

    Args:
        cls: the dataclass.
        values: field -> text; turned into the type of the field's default.
        part: the part's name in --set, for messages.
        fixed: fields given by the program.

    Raises:
        UnknownName: `cls` has no such field.
        BadInput: a text does not fit its field.
    """
    hints = get_type_hints(cls)
    fields = {
        field.name: hints[field.name] for field in dataclasses.fields(cls) if field.init and field.name not in fixed
    }
    given = {}
    for name, text in values.items():
        if name not in fields:
            raise UnknownName(f"parameter of {part}", name, fields)
        given[name] = _convert(text, fields[name], f"{part}.{name}")
    return cls(**given, **fixed)


def _convert(text: str, hint: Any, name: str) -> Any:
    """Turn text into a value of a type hint: str, bool, int, float, a tuple, or one of these or None."""
    options = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    if type(None) in options and text.lower() == "none":
        return None
    for option in options:
        if option is str:
            return text
        if option is bool and text.lower() in ("true", "false"):
            return text.lower() == "true"
        try:
            value = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            continue
        if option is float and type(value) in (int, float):
            return float(value)
        if option is int and type(value) is int:
            return value
        if (get_origin(option) or option) is tuple and isinstance(value, list | tuple):
            return tuple(value)
        if (get_origin(option) or option) is Mapping and isinstance(value, dict):
            return value
    names = ["none" if option is type(None) else getattr(option, "__name__", str(option)) for option in options]
    expected = " or ".join(names)
    raise BadInput(f"--set {name}={text}: expected {expected}.")
