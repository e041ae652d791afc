"""Sidecars: what `name.txt` or `name.json` beside `name.mp4` says about the clip. Untrusted text."""

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from openuni.pipelines.sources.base import clean_text

MAX_BYTES = 1 << 20  # ours: 50 times the longest caption kept.
_CAPTION_KEYS = ("caption", "prompt", "text")
_SPAN_KEYS = ("start_s", "end_s")

Warn = Callable[[str, object], None]
"""Called with a reason and a path for each sidecar that cannot be used."""


@dataclass(frozen=True, kw_only=True)
class Sidecar:
    """The fields of a sidecar, cleaned. Empty where nothing was said."""

    caption: str = ""
    licence: str = ""
    group: str = ""
    start_s: float = 0.0
    end_s: float | None = None
    scores: Mapping[str, float] = field(default_factory=dict)


class BadSpan(ValueError):
    """`start_s` and `end_s` are not a span: not numbers, negative, or empty."""


def read_sidecar(video: Path, *, warn: Warn) -> Sidecar:
    """Read what lies beside a video; the json's caption goes before the txt's.

    Args:
        video: the video file; its sidecars differ only in the suffix.
        warn: told of "sidecar_not_json", "sidecar_not_utf8", "sidecar_too_large", "sidecar_unreadable"; what
            could be read is given all the same.

    Raises:
        BadSpan: the json names a span that is none. Without it, what the caption describes is unknown.
    """
    said = Sidecar()
    text = _read_text(video.with_suffix(".json"), warn)
    if text is not None:
        try:
            said = parse_sidecar(text)
        except BadSpan:
            raise
        except (ValueError, RecursionError):
            warn("sidecar_not_json", video.with_suffix(".json"))
    if said.caption:
        return said
    return replace(said, caption=clean_text(_read_text(video.with_suffix(".txt"), warn) or ""))


def parse_sidecar(text: str) -> Sidecar:
    """Read a json sidecar: `caption` (or `prompt`, `text`), `licence` (or `license`), `group`, `start_s`, `end_s`.

    Every other finite number becomes a score; letters of its name that are not ASCII word letters become "_", since
    rules are written over these names.

    Raises:
        ValueError: not a JSON object.
        BadSpan: see `read_sidecar`.
    """
    record = json.loads(text)
    if not isinstance(record, dict):
        raise ValueError(f"expected a JSON object, got {type(record).__name__}")
    captions = [_text(record, key) for key in _CAPTION_KEYS]
    start_s, end_s = _span(record.get("start_s"), record.get("end_s"))
    return Sidecar(
        caption=next((caption for caption in captions if caption), ""),
        licence=" ".join((_text(record, "licence") or _text(record, "license")).split())[:500],
        group=_text(record, "group")[:100],
        start_s=start_s,
        end_s=end_s,
        scores={
            re.sub(r"\W", "_", key[:80], flags=re.ASCII): float(value)
            for key, value in record.items()
            if key and key not in _SPAN_KEYS and _is_number(value)
        },
    )


def _span(start_s: Any, end_s: Any) -> tuple[float, float | None]:
    start_s = 0.0 if start_s is None else start_s
    if not _is_number(start_s) or start_s < 0:
        raise BadSpan(f"start_s must be seconds from 0, got {start_s!r}")
    if end_s is not None and not (_is_number(end_s) and end_s > start_s):
        raise BadSpan(f"end_s must be seconds after start_s {start_s}, got {end_s!r}")
    return float(start_s), None if end_s is None else float(end_s)


def _is_number(value: Any) -> bool:
    """Tell whether a JSON value is a number that a float holds. JSON as Python reads it has NaN and huge integers."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(float(value))
    except OverflowError:
        return False


def _text(record: Mapping[str, Any], key: str) -> str:
    """Return a field's text; of a list of texts the first; "" for anything else."""
    value = record.get(key)
    if isinstance(value, list) and value:
        value = value[0]
    return clean_text(value) if isinstance(value, str) else ""


def _read_text(path: Path, warn: Warn) -> str | None:
    reason = "sidecar_unreadable"
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) <= MAX_BYTES:
            return data.decode("utf-8-sig")
        reason = "sidecar_too_large"
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        reason = "sidecar_not_utf8"
    except OSError:
        pass
    warn(reason, path)
    return None
