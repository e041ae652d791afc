"""Prompts: texts that videos are made from; our own hundred (prompts.json beside this file), or a user's file.

Ours are 25 each of people, objects, physics and camera, written for this project. They are taken in turns, so that
the first few are of every group.
"""

import hashlib
import itertools
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from openuni.errors import BadInput

OWN = "prompts.json"
SAMPLES = 5
"""Videos for each prompt. VBench makes five (its file names end in -0 to -4)."""
NO_GROUP = "prompts"
"""Group of prompts whose file names none."""
NAME_LETTERS = 40  # ours: of the prompt's words in a sample's name; the digest after them tells prompts apart
MAX_LETTERS = 4000  # ours: umT5 reads 512 tokens; a file of another kind has no line breaks and is caught here
_TEXT_KEYS = ("prompt", "prompt_en")
"""Of JSON objects: ours, VBench's."""


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """One text."""

    text: str
    """White space collapsed, Unicode NFC; else as it was written."""
    group: str

    @property
    def sample(self) -> str:
        """A safe file name of its own, also where case does not count: first words and a digest of the exact text."""
        plain = unicodedata.normalize("NFKD", self.text).encode("ascii", "ignore").decode().lower()
        words = re.sub(r"[^a-z0-9]+", "-", plain)[:NAME_LETTERS].strip("-")
        digest = hashlib.sha256(self.text.encode()).hexdigest()[:8]
        return f"{words}-{digest}" if words else digest


def own_prompts() -> list[Prompt]:
    """Return our hundred, groups in turn."""
    groups: dict[str, list[str]] = json.loads(files("openuni.benchmark").joinpath(OWN).read_text("utf-8"))
    turns = itertools.zip_longest(*([(name, text) for text in texts] for name, texts in groups.items()))
    return _checked((pair for turn in turns for pair in turn if pair is not None), OWN)


def read_prompts(path: Path | None = None) -> list[Prompt]:
    """Read prompts in their order.

    Args:
        path: a text file of one prompt a line (empty lines and lines that start with # are left out), or JSON: a list
            of texts, a list of objects with "prompt" (or VBench's "prompt_en") and perhaps "group", or an object of
            group -> texts. None: our own.

    Raises:
        BadInput: the file cannot be read, or a prompt is empty, too long, or there twice. Prompts that differ by case
            are two.
    """
    if path is None:
        return own_prompts()
    try:
        text = path.read_text("utf-8-sig")
        said = json.loads(text) if path.suffix.lower() == ".json" else _lines(text)
    except FileNotFoundError as error:
        raise BadInput(f"{path} not found. Give a file of prompts: one a line, or JSON.") from error
    except (OSError, ValueError, RecursionError) as error:
        raise BadInput(f"{path} cannot be read as prompts ({error}). Give one a line (UTF-8), or JSON.") from error
    found = _checked(_pairs(said, path), str(path))
    if not found:
        raise BadInput(f"{path} holds no prompt. Give one a line, or JSON.")
    return found


def _lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]


def _pairs(said: Any, path: Path) -> Iterator[tuple[str, str]]:
    """(group, text) of what a file says."""
    if isinstance(said, dict):
        said = [{"group": group, "prompt": text} for group, texts in said.items() for text in _list(texts, path)]
    for number, one in enumerate(_list(said, path), 1):
        text, group = one, NO_GROUP
        if isinstance(one, dict):
            text = next((one[key] for key in _TEXT_KEYS if key in one), None)
            group = one.get("group", NO_GROUP)
        if not isinstance(text, str) or not isinstance(group, str):
            wanted = 'a text, or an object with "prompt" and perhaps "group", both texts'
            raise BadInput(f"{path}: prompt {number} is {json.dumps(one)[:60]}; expected {wanted}.")
        yield group, text


def _list(said: Any, path: Path) -> list[Any]:
    if not isinstance(said, list):
        raise BadInput(f"{path}: expected a list of prompts, got {type(said).__name__}.")
    return said


def _checked(pairs: Iterable[tuple[str, str]], source: str) -> list[Prompt]:
    found: list[Prompt] = []
    texts: dict[str, int] = {}
    names: dict[str, int] = {}
    for number, (group, given) in enumerate(pairs, 1):
        prompt = Prompt(text=" ".join(unicodedata.normalize("NFC", given).split()), group=group)
        if not prompt.text:
            raise BadInput(f"{source}: prompt {number} is empty. Remove it.")
        if len(prompt.text) > MAX_LETTERS:
            raise BadInput(f"{source}: prompt {number} has {len(prompt.text):,} letters; give at most {MAX_LETTERS:,}.")
        if (first := texts.setdefault(prompt.text, number)) != number:
            raise BadInput(f"{source}: prompts {first} and {number} are the same: {prompt.text[:60]!r}. Remove one.")
        if (first := names.setdefault(prompt.sample, number)) != number:
            raise BadInput(f"{source}: prompts {first} and {number} get one file name, {prompt.sample}. Change one.")
        found.append(prompt)
    return found
