"""Weights that the user brings: where they are looked for, what is said when they are missing, their hash.

An expert's files are looked for in `--weights DIR`, then in the folder that OPENUNI_WEIGHTS names, then in the caches
of the Hugging Face Hub, torch.hub, OpenAI's clip and VBench. Nothing is ever downloaded here.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from openuni.annotators.experts import EXPERTS, Expert, File
from openuni.engine.atomic import sha256_of
from openuni.errors import BadInput, MissingWeights, UnknownName

VARIABLE = "OPENUNI_WEIGHTS"
VBENCH_VARIABLE = "VBENCH_CACHE_DIR"
"""VBench's own variable for its cache; unset: ~/.cache/vbench."""


class Found(NamedTuple):
    """An expert's files on this machine."""

    folder: Path
    files: tuple[Path, ...]
    """In the order of `Expert.files`, or `Expert.instead` alone."""


def expert_called(name: str) -> Expert:
    """Return what is known of an expert.

    Raises:
        UnknownName: EXPERTS has none of this name.
    """
    if name not in EXPERTS:
        raise UnknownName("expert with weights", name, EXPERTS)
    return EXPERTS[name]


def find_weights(name: str, weights: str | Path | None = None) -> Found:
    """Return where an expert's files are.

    Args:
        name: a key of EXPERTS.
        weights: the folder of --weights.

    Raises:
        UnknownName: there is no such expert.
        BadInput: `weights` is no folder.
        MissingWeights: a file is not there; the message says which, where it belongs and what gets it.
    """
    expert = expert_called(name)
    if weights is not None and not Path(weights).is_dir():
        raise BadInput(f"--weights {weights} is not a folder. Make it and run: {expert.command(str(weights))}")
    missing: list[str] = []
    for folder in places(expert, weights):
        found, lacks = _files_in(folder, expert)
        if not lacks:
            return Found(folder, found)
        if found and not missing:  # the first folder that has some of them: the one that was meant
            missing = [f"{folder} has no {lack}" for lack in lacks]
    into = str(weights or os.environ.get(VARIABLE) or "DIR")
    what = "; ".join(missing) or f"{', '.join(file.name for file in expert.files)} not found"
    belongs = into if expert.place == "." else f"{into}/{expert.place}"
    raise MissingWeights(
        f"Weights of {name}: {what}. They belong in {belongs} (--weights {into}, or {VARIABLE}). "
        f"Get them with: {expert.command(into)}"
    )


def places(expert: Expert, weights: str | Path | None = None) -> Iterator[Path]:
    """Yield the folders where an expert's files may lie, in the order in which they are looked at."""
    for root in (weights, os.environ.get(VARIABLE)):
        if root:
            yield Path(root, expert.place)
            if expert.hub:
                yield Path(root, expert.hub)
            if not any(file.name in ("config.json", "model.safetensors", "end2end.onnx") for file in expert.files):
                yield Path(root)  # file names that tell whose they are
            if expert.vbench:
                yield Path(root, expert.vbench)
    if expert.hub:
        yield from _hub_snapshots(expert.hub)
    cache_home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    yield Path(os.environ.get("TORCH_HOME") or cache_home / "torch", "hub", "checkpoints")
    if expert.vbench:
        yield Path(os.environ.get(VBENCH_VARIABLE) or Path.home() / ".cache" / "vbench", expert.vbench)
        yield Path.home() / ".cache" / "clip"  # where OpenAI's package keeps what it fetches


def weights_hash(*found: Found) -> str:
    """Return the SHA-256 of an expert's file; of several, that of the lines "hash  name"."""
    files = [(one.folder, path) for one in found for path in one.files]
    if len(files) == 1:
        return file_hash(files[0][1])
    lines = "".join(f"{file_hash(path)}  {path.relative_to(folder).as_posix()}\n" for folder, path in files)
    return hashlib.sha256(lines.encode()).hexdigest()


def file_hash(path: Path) -> str:
    """Return a file's SHA-256; read once in a process as long as size and time of change stay."""
    about = path.stat()
    return _hash_of(path, about.st_size, about.st_mtime_ns)


def missing_packages(expert: Expert) -> list[str]:
    """Return the modules that an expert needs and that cannot be found here; nothing is imported."""
    return [module for module in expert.imports if find_spec(module) is None]


def check_packages(name: str) -> None:
    """Raise BadInput if a package that an expert needs is not installed."""
    missing = missing_packages(expert_called(name))
    if missing:
        raise BadInput(f"Expert {name} needs {', '.join(missing)}: {EXPERTS[name].package}.")


def check_commercial(names: Iterable[str]) -> None:
    """Raise BadInput unless all experts with weights among `names` may be used commercially."""
    for name in names:
        for one in (name, *(EXPERTS[name].uses if name in EXPERTS else ())):
            expert = EXPERTS.get(one)
            if expert is None or expert.commercial:
                continue
            why = f"{expert.licence} (read at {expert.read_at})" if expert.read_at else f"unverified: {expert.licence}"
            raise BadInput(f"--experts commercial refuses {one}: its licence is {why}. Leave out one of the two.")


class State(NamedTuple):
    """One expert's files as they stand on this machine."""

    found: Found | None
    why: str
    """What is missing, one line; empty if nothing is."""
    other: tuple[str, ...]
    """Files whose hash is not the published one: another version, or damaged."""

    @property
    def word(self) -> str:
        """present, other version, or missing."""
        return "missing" if self.found is None else "other version" if self.other else "present"


def state_of(name: str, weights: str | Path | None = None) -> State:
    """Say whether an expert's files are there and are the published ones. Those it shares with others count apart."""
    try:
        found = find_weights(name, weights)
    except MissingWeights as error:
        return State(None, str(error), ())
    expert = expert_called(name)
    files = expert.files if len(found.files) == len(expert.files) else (expert.instead,)
    known = [(file, path) for file, path in zip(files, found.files, strict=True) if file is not None]
    other = [path.name for file, path in known if path.name == file.name and _differs(file, path)]
    return State(found, "", tuple(other))


def _differs(file: File, path: Path) -> bool:
    return bool(file.sha256) and not file_hash(path).startswith(file.sha256)


def _files_in(folder: Path, expert: Expert) -> tuple[tuple[Path, ...], list[str]]:
    """The files that are there, and the usual names of those that are not."""
    found, lacks = [], []
    for file in expert.files:
        path = next((folder / name for name in file.names if (folder / name).is_file()), None)
        if path is None:
            lacks.append(file.name)
        else:
            found.append(path)
    if lacks and expert.instead and (folder / expert.instead.name).is_file():
        return (folder / expert.instead.name,), []
    return tuple(found), lacks


def _hub_snapshots(hub: str) -> Iterator[Path]:
    """Snapshots of a repository in the Hub's cache, the one that "main" names first."""
    home = Path(os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface")
    folder = Path(os.environ.get("HF_HUB_CACHE") or home / "hub", f"models--{hub.replace('/', '--')}")
    main = folder / "refs" / "main"
    first = main.read_text().strip() if main.is_file() else ""
    if first:
        yield folder / "snapshots" / first
    if (folder / "snapshots").is_dir():
        yield from sorted(path for path in (folder / "snapshots").iterdir() if path.name != first)


@cache
def _hash_of(path: Path, size: int, changed_ns: int) -> str:
    return sha256_of(path)
