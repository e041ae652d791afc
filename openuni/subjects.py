"""Subjects: what is to be seen in a clip, counted in words, "two persons and one dog", and where a sample says it."""

from collections.abc import Mapping
from typing import Any

from openuni.errors import BadInput

NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
IRREGULAR = {
    **{"child": "children", "foot": "feet", "goose": "geese", "mouse": "mice", "knife": "knives", "leaf": "leaves"},
    **{"wolf": "wolves", "fish": "fish", "sheep": "sheep", "deer": "deer", "skis": "skis", "scissors": "scissors"},
}
"""Plurals that no rule gives."""
NOT_MEN = ("human", "german", "roman", "shaman")
"""Nouns in -man that take an s."""


def subject_phrase(counts: Mapping[str, int]) -> str | None:
    """Write counts as words: {"person": 2, "dog": 1} -> "two persons and one dog".

    Args:
        counts: singular noun -> how many, in the order in which they shall stand; those with 0 are left out.

    Returns:
        The phrase; None if nothing is there. Numbers above twelve are digits.

    Raises:
        BadInput: a count is negative or not whole, or a noun is blank.
    """
    parts = []
    for noun, count in counts.items():
        if not noun.strip() or isinstance(count, bool) or count != int(count) or count < 0:
            raise BadInput(f"Subjects are nouns with whole counts of 0 or more, got {noun!r}: {count}.")
        if count > 0:
            number = NUMBERS[int(count) - 1] if count <= len(NUMBERS) else str(int(count))
            parts.append(f"{number} {noun.strip() if count == 1 else plural(noun.strip())}")
    if len(parts) < 2:
        return parts[0] if parts else None
    return f"{', '.join(parts[:-1])} and {parts[-1]}"


def plural(noun: str) -> str:
    """Return the plural of an English noun or compound, by its last word: "traffic light" -> "traffic lights"."""
    *before, last = noun.split()
    if last in IRREGULAR:
        return " ".join([*before, IRREGULAR[last]])
    if last.endswith("man") and last.lower() not in NOT_MEN:
        return noun.removesuffix("man") + "men"
    if noun.endswith(("s", "x", "z", "ch", "sh")):
        return noun + "es"
    if noun.endswith("y") and noun[-2:-1] not in ("a", "e", "i", "o", "u", ""):
        return noun[:-1] + "ies"
    return noun + "s"


def subjects_of(about: Mapping[str, Any]) -> str:
    """Return what a sample's json says is to be seen; empty where it says nothing.

    Args:
        about: the json of a sample of any modality. Rendered scenes say it of the clip, masks by name in their facts.
    """
    for place in (about, about.get("clip", {}), about.get("facts", {})):
        if place.get("subjects"):
            return str(place["subjects"])
    return ""
