"""Videos in a folder and the prompts they were made from: VBench's official suite, or its `custom_input` mode.

custom_input: a video's prompt is its name without "-N", or what a JSON file of {name: prompt} says. Official: a list of
prompts with their dimensions (vbench/VBench_full_info.json), and videos called PROMPT-0 to PROMPT-4; of the prompts of
temporal flickering all videos, of which the static filter takes five.
"""

import json
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from openuni.benchmark.vbench.dimensions import COMPUTED, DIMENSIONS
from openuni.errors import BadInput

SUFFIXES = (".mp4", ".gif", ".mkv", ".webm", ".mov", ".avi")
SAMPLES = 5
"""Videos of a prompt that VBench scores."""
_NUMBER = re.compile(r"-(\d+)$")


class Listed(NamedTuple):
    """One video."""

    file: str
    """Its name in the folder."""
    prompt: str
    """Empty: unknown."""
    dimensions: tuple[str, ...]
    """Of COMPUTED: those that are asked of it."""
    static: bool
    """It must pass the static filter to count for temporal flickering."""


class Listing(NamedTuple):
    """What is in a folder."""

    videos: list[Listed]
    official: bool
    counts: Counter[str]
    """What does not fit, one snake_case word -> how many: videos without a prompt, prompts without videos, ..."""


def is_official(said: Any) -> bool:
    """Say whether JSON is a list of prompts with dimensions, as VBench's own."""
    return isinstance(said, list) and bool(said) and all(isinstance(one, dict) and "dimension" in one for one in said)


def official_prompts(said: list[dict[str, Any]], path: Path, counts: Counter[str]) -> dict[str, tuple[str, ...]]:
    """Return prompt -> dimensions of an official list; of a prompt that stands there twice the dimensions of both.

    Raises:
        BadInput: an entry has another form, or names an unknown dimension.
    """
    found: dict[str, tuple[str, ...]] = {}
    for number, one in enumerate(said, 1):
        prompt, dimensions = one.get("prompt_en"), one["dimension"]
        if not isinstance(prompt, str) or not prompt.strip() or not isinstance(dimensions, list):
            raise BadInput(f'{path}: entry {number} needs "prompt_en", a text, and "dimension", a list.')
        if unknown := [name for name in dimensions if name not in DIMENSIONS]:
            raise BadInput(f"{path}: entry {number} names {unknown[0]!r}, no dimension of VBench.")
        counts["duplicate_prompts"] += prompt in found
        found[prompt] = tuple(dict.fromkeys((*found.get(prompt, ()), *dimensions)))
    cases = Counter(prompt.lower() for prompt in found)
    counts["prompts_that_differ_only_by_case"] += sum(count for count in cases.values() if count > 1)
    return found


def read_json(path: Path, counts: Counter[str]) -> Any:
    """Read a JSON file of prompts; a name that stands there twice is counted, and its last prompt holds.

    Raises:
        BadInput: it cannot be read.
    """

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        counts["videos_named_twice"] += len(pairs) - len(dict(pairs))
        return dict(pairs)

    try:
        return json.loads(path.read_text("utf-8-sig"), object_pairs_hook=once)
    except FileNotFoundError as error:
        raise BadInput(f"{path} not found. Give a JSON file: {{video: prompt}}, or VBench_full_info.json.") from error
    except (OSError, ValueError, RecursionError) as error:
        raise BadInput(f"{path} cannot be read as JSON ({error}). Give {{video: prompt}}, or VBench's list.") from error


def list_videos(folder: Path, prompts: Path | None = None) -> Listing:
    """List the videos of a folder with their prompts.

    Args:
        folder: of videos; folders inside it are not looked into.
        prompts: JSON file, see above; None: prompts are the videos' names.

    Raises:
        BadInput: there is no video, or none that the file knows.
    """
    if not folder.is_dir():
        raise BadInput(f"{folder} not found. Give a folder of videos.")
    names = sorted(path.name for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file())
    if not names:
        raise BadInput(f"{folder} has no video ({' '.join(SUFFIXES)}).")
    counts: Counter[str] = Counter()
    if prompts is None:
        return Listing([Listed(name, prompt_of(name), COMPUTED, False) for name in names], False, counts)
    said = read_json(prompts, counts)
    if is_official(said):
        listed = _official(names, official_prompts(said, prompts, counts), counts)
    elif isinstance(said, dict) and all(isinstance(value, str) for value in said.values()):
        listed = _named(names, said, counts)
    else:
        raise BadInput(f"{prompts}: expected {{video: prompt}}, or a list as VBench_full_info.json.")
    if not listed or not any(one.prompt for one in listed):
        raise BadInput(f"No video of {folder} is in {prompts}; its first: {names[0]}. Is it the file of this folder?")
    return Listing(listed, is_official(said), +counts)


def prompt_of(name: str) -> str:
    """Return the prompt in a video's name: PROMPT.mp4 or PROMPT-3.mp4."""
    return _NUMBER.sub("", Path(name).stem)


def _named(names: list[str], said: Mapping[str, str], counts: Counter[str]) -> list[Listed]:
    known = {Path(name).name: text for name, text in said.items()}
    counts["videos_without_a_prompt"] += sum(not known.get(name, "").strip() for name in names)
    counts["prompts_without_a_video"] += len(set(known) - set(names))
    return [Listed(name, known.get(name, "").strip(), COMPUTED, False) for name in names]


def _official(names: list[str], prompts: Mapping[str, tuple[str, ...]], counts: Counter[str]) -> list[Listed]:
    found, numbers = [], Counter[str]()
    for name in names:
        number, prompt = _NUMBER.search(Path(name).stem), prompt_of(name)
        if number is None or prompt not in prompts:
            counts["videos_of_no_prompt"] += 1
            continue
        asked = tuple(one for one in prompts[prompt] if one in COMPUTED)
        static = "temporal_flickering" in asked
        if not static and int(number[1]) >= SAMPLES:
            counts["videos_beyond_the_fifth"] += 1
        elif asked:
            numbers[prompt] += 1
            found.append(Listed(name, prompt, asked, static))
        else:
            counts["videos_of_other_dimensions"] += 1
    wanted = [prompt for prompt, dimensions in prompts.items() if set(dimensions) & set(COMPUTED)]
    counts["missing_videos"] += sum(max(SAMPLES - numbers[prompt], 0) for prompt in wanted)
    return found
