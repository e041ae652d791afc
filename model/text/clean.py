"""Prompt cleaning, equal to Wan's (diffusers, pipelines/wan/pipeline_wan.py: prompt_clean)."""

import html
import re

from openuni.model.pretrained import need

CLEANING = "wan-1"
"""Version of `clean`; it is in the cache's keys."""


def clean(prompt: str) -> str:
    """Return a prompt with broken Unicode mended, HTML entities resolved (twice) and white space made single spaces.

    Raises:
        BadInput: ftfy is not installed. diffusers then skips the mending without a word, which makes other prompts.
    """
    need("cleaning prompts", "ftfy")
    import ftfy

    mended = html.unescape(html.unescape(ftfy.fix_text(prompt)))
    return re.sub(r"\s+", " ", mended).strip()
