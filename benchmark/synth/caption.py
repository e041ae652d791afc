"""Captions: English for a scene's facts."""

from collections.abc import Sequence

from openuni.benchmark.synth.scene import Colour, Sky

PAINTS: dict[str, Colour] = {
    "red": (0.60, 0.05, 0.04),
    "orange": (0.80, 0.28, 0.04),
    "yellow": (0.85, 0.62, 0.06),
    "green": (0.07, 0.36, 0.10),
    "teal": (0.03, 0.38, 0.40),
    "blue": (0.05, 0.14, 0.55),
    "purple": (0.28, 0.07, 0.42),
    "pink": (0.82, 0.30, 0.42),
    "white": (0.85, 0.85, 0.83),
}
"""Word -> linear colour."""
MATERIAL_WORDS = {
    "wood": "wooden", "marble": "marble", "metal": "metal", "glass": "glass", "plastic": "", "concrete": "stone",
    "checker": "checkered", "matte": "",
}  # fmt: skip
KIND_WORDS = {"sphere": "ball"}


def thing_name(kind: str, material: str, paint: str) -> str:
    """Name a thing: "red checkered ball", "golden metal cylinder"."""
    noun = KIND_WORDS.get(kind, kind)
    adjective = "" if noun == "rock" and material == "concrete" else MATERIAL_WORDS.get(material, material)
    if paint == "steel":  # "steel metal" says it twice
        adjective = ""
    return " ".join(word for word in (paint, adjective, noun) if word)


def article(noun: str) -> str:
    """Put a or an before a noun."""
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def join(words: Sequence[str]) -> str:
    """Join with commas and a last "and"."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def sky_words(sky: Sky) -> str:
    """Describe the sky in a sentence."""
    if sky.haze > 0.6:
        return "The sky is hazy."
    return "The sky is clear." if sky.clouds < 0.25 else "The sky is blue with clouds."
