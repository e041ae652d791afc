"""Listing: the clips of a rendered folder as facts, and the small set that is rendered where there is none."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from openuni.benchmark.synth.families import FAMILIES
from openuni.benchmark.synth.files import CLIPS, clip_names
from openuni.benchmark.synth.frozen import OFFICIAL_SEED
from openuni.benchmark.synth.job import RenderConfig, render_run
from openuni.engine.local import LocalEngine
from openuni.errors import BadInput
from openuni.subjects import subject_phrase

SMALL_CLIPS, SMALL_SIDE_PX, SMALL_FRAMES, SMALL_SEED = 8, 256, 33, 0
"""Ours: every family, two seconds each (33 = 4 k + 1, whole latents of video codecs), two minutes of one core."""


_FROZEN = re.compile(rf"unibench-(pair-)?\d+|({'|'.join(FAMILIES)})-{OFFICIAL_SEED}-(pair-)?\d+")


def list_rendered(root: Path) -> Iterator[dict[str, Any]]:
    """Yield the facts of a rendered folder's clips in the order of their names: clip.json, and "path" beside it.

    Args:
        root: a rendered folder.

    Yields:
        What clip.json says, with "path" (of rgb.mp4, relative to root), "official" (a frozen scene of UniBench) and
        "scene": clips of one scene show the same place, as the two of a refraction pair.
        "subjects" says what moves or may move: "one person and two objects".
        "problem" instead where a clip cannot be used: unreadable_clip_json, no_rgb, no_truth.

    Raises:
        BadInput: it is no rendered folder.
    """
    official = _is_official(root)
    for name in clip_names(root):
        if name.startswith("."):  # being written
            continue
        folder = root / CLIPS / name
        facts: dict[str, Any] = {"clip": name, "path": f"{CLIPS}/{name}/rgb.mp4", "official": official}
        try:
            said = json.loads((folder / "clip.json").read_text())
            facts = {**{key: said[key] for key in ("caption", "family", "truth_sha256", "tier")}, **facts}
            facts["scene"] = _scene(name, str(said["family"]))
            facts["subjects"] = _subjects(said)
            if "arrays" in said:  # an imported clip that lacks some of the truth
                facts["arrays"] = [str(one) for one in said["arrays"]]
        except (OSError, ValueError, KeyError, TypeError):
            yield {**facts, "problem": "unreadable_clip_json"}
            continue
        for file, problem in (("rgb.mp4", "no_rgb"), ("truth.npz", "no_truth")):
            if not (folder / file).is_file():
                facts["problem"] = problem
        yield facts


def make_small_set(out: Path) -> None:
    """Render SMALL_CLIPS clips unless the folder has some already.

    Raises:
        BadInput: the folder is something else.
        RunFailed: no clip could be rendered.
    """
    if (out / "unibench.parquet").is_file():
        return
    config = RenderConfig(
        out=out,
        clips=SMALL_CLIPS,
        seed=SMALL_SEED,
        height=SMALL_SIDE_PX,
        width=SMALL_SIDE_PX,
        num_frames=SMALL_FRAMES,
    )
    render_run(config, LocalEngine(os.cpu_count() or 1))


def is_frozen(name: str) -> bool:
    """Whether a clip, scene or path is called as one of the official set's scenes, or as one drawn from their seed.

    Args:
        name: a clip's name ("unibench-007"), or a path that has it as a part ("clips/unibench-007/rgb.mp4").
    """
    return any(_FROZEN.fullmatch(part) for part in re.split(r"[/.]", name))


def _subjects(said: dict[str, Any]) -> str:
    """People and things of a scene as words; empty for an imported clip whose facts do not tell."""
    things = said.get("facts", {}).get("things", ())
    return subject_phrase({"person": int(said.get("people") or 0), "object": len(things)}) or ""


def _scene(name: str, family: str) -> str:
    """Return one name for both clips of a refraction pair, whose numbers are 2 k and 2 k + 1; else the clip's own."""
    parts = re.fullmatch(r"(.*?)(\d+)", name)
    return f"{parts[1]}pair-{int(parts[2]) // 2}" if family == "refraction" and parts else name


def _is_official(root: Path) -> bool:
    try:
        return bool(json.loads((root / "run.json").read_text()).get("config", {}).get("official", False))
    except FileNotFoundError:  # clips that were copied without it
        return False
    except (OSError, ValueError, AttributeError) as error:
        raise BadInput(f"{root / 'run.json'} cannot be read ({error}). Give a rendered folder.") from error
