"""Frozen set: the files of a curated benchmark, written whole or not at all, and read back checked.

DIR/manifest.json                  schema, how clips were chosen, every sample with its hash
DIR/samples/KEY/sample.json        caption, size, source, licence, people, objects with expressions, absent modalities,
                                   and the SHA-256 of each other file
DIR/samples/KEY/clip.mp4           the frames, bytes as the build stored them
DIR/samples/KEY/clip.json
DIR/samples/KEY/clip.MEMBER        each modality that is there: clip.depth.mkv, clip.depth.valid.mkv, clip.depth.json
DIR/samples/KEY/masks/00000.png    ids of the objects of frame 0; another file for each frame where others first appear
"""

import hashlib
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from openuni.benchmark.curate.expressions import Object
from openuni.engine.atomic import replacing_folder, sha256_of, write_bytes
from openuni.errors import BadInput
from openuni.modality import Map
from openuni.sample import decode_members, json_member
from openuni.table import MODALITIES

MANIFEST, SAMPLES, SAMPLE, MASKS = "manifest.json", "samples", "sample.json", "masks"
KIND = "unibench-generation"
SCHEMA = 1
"""Raise it when a key changes its meaning or goes."""
PREFIX = "clip."


@dataclass(frozen=True, kw_only=True)
class FrozenSample:
    """One sample read back."""

    name: str
    about: Mapping[str, Any]
    """sample.json."""
    rgb: np.ndarray
    """(T, H, W, 3) uint8."""
    maps: Mapping[str, Map] = field(default_factory=dict)


def write_sample(
    root: Path, key: str, members: Mapping[str, Mapping[str, bytes]], about: Mapping[str, Any], masks: Mapping[int, Any]
) -> str:
    """Write a sample's folder; one that is there and whole is kept.

    Args:
        root: the set's folder.
        key: the sample's name.
        members: "rgb" and each modality that is there -> its members as in shards.
        about: sample.json without "files".
        masks: frame -> (H, W) uint8 or uint16 ids.

    Returns:
        SHA-256 of its sample.json, which has those of all other files.

    Raises:
        RunFailed: the disk is full.
    """
    contents = {PREFIX + name: content for many in members.values() for name, content in many.items()}
    contents |= {f"{MASKS}/{frame:05d}.png": _png(ids) for frame, ids in masks.items()}
    files = {name: hashlib.sha256(content).hexdigest() for name, content in sorted(contents.items())}
    text = json.dumps({**about, "files": files}, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    folder = root / SAMPLES / key
    if not _is_whole(folder, text.encode(), files):
        _replace(folder, {**contents, SAMPLE: text.encode()})
    return hashlib.sha256(text.encode()).hexdigest()


def write_manifest(root: Path, manifest: Mapping[str, Any]) -> None:
    """Write manifest.json, last: a folder without it is no set."""
    text = json.dumps({"kind": KIND, "schema": SCHEMA, **manifest}, indent=1, sort_keys=True, ensure_ascii=False)
    write_bytes(root / MANIFEST, text.encode() + b"\n")


def read_manifest(root: Path) -> dict[str, Any]:
    """Read a set's manifest.

    Raises:
        BadInput: it is no frozen set, or of a version that cannot be read.
    """
    path = root / MANIFEST
    try:
        found = json.loads(path.read_text("utf-8"))
        kind, schema = found["kind"], found["schema"]
        listed = [(str(one["sample"]), str(one["sha256"])) for one in found["samples"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{root} is no curated set ({first(error)}). Make one with: openuni unibench curate BUILD "
                       "--out DIR --clips N") from error  # fmt: skip
    if kind != KIND or schema != SCHEMA:
        raise BadInput(f"{path} is {kind!r} schema {schema}, expected {KIND!r} schema {SCHEMA}. Curate it again.")
    if any(Path(name).name != name or name.startswith(".") for name, _ in listed):
        raise BadInput(f"{path} names samples that are no names of folders.")
    return dict(found)


def samples_of(root: Path) -> Iterator[tuple[str, str, dict[str, Any], str]]:
    """Yield (name, SHA-256 of sample.json, what it says, problem) of a set's samples in its order.

    The problem is one snake_case word where a sample cannot be used: sample_json_changed, file_missing; else empty.

    Raises:
        BadInput: see `read_manifest`.
    """
    for one in read_manifest(root)["samples"]:
        folder = root / SAMPLES / one["sample"]
        try:
            content = (folder / SAMPLE).read_bytes()
            about = json.loads(content)
            problem = "" if hashlib.sha256(content).hexdigest() == one["sha256"] else "sample_json_changed"
            if not problem and not all((folder / name).is_file() for name in about["files"]):
                problem = "file_missing"
        except (OSError, ValueError, KeyError, TypeError):
            about, problem = {}, "file_missing"
        yield one["sample"], one["sha256"], about, problem


def read_sample(folder: Path, modalities: Sequence[str] = tuple(MODALITIES)) -> FrozenSample:
    """Read a sample: its frames and those of its maps that are asked for and are there.

    Raises:
        BadInput: a file is missing or not the one that was frozen; the message has the file.
    """
    try:
        about = json.loads((folder / SAMPLE).read_text("utf-8"))
        wanted = ["rgb", *(name for name in modalities if name in about["modalities"])]
        decoded = {name: _decode(folder, name, about["files"]) for name in wanted}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{folder} is no whole sample ({first(error)}). Curate the set again.") from error
    rgb = decoded.pop("rgb")
    return FrozenSample(name=folder.name, about=about, rgb=rgb.data, maps=decoded)


def first(error: BaseException) -> str:
    """An error's first line; a missing key with its name."""
    return f"no {error}" if isinstance(error, KeyError) else str(error).partition("\n")[0]


def first_masks(masks: np.ndarray, objects: Sequence[Object]) -> dict[int, np.ndarray]:
    """Return frame -> (H, W) ids of the objects that first appear there, 0 elsewhere; frame 0 in any case.

    As YouTube-VOS gives masks to semi-supervised segmenters: each object once, where it is first seen.
    """
    found = {0: np.zeros_like(masks[0])}
    for one in objects:
        frame = found.setdefault(one.first_frame, np.zeros_like(masks[0]))
        frame[masks[one.first_frame] == one.id] = one.id
    return found


def _decode(folder: Path, modality: str, files: Mapping[str, str]) -> Map:
    names = (
        [PREFIX + "mp4", PREFIX + json_member("rgb")]
        if modality == "rgb"
        else [name for name in files if name.startswith(f"{PREFIX}{modality}.")]
    )
    members = {}
    for name in names:
        content = (folder / name).read_bytes()
        if hashlib.sha256(content).hexdigest() != files[name]:
            raise ValueError(f"{name} is not the file that was frozen")
        members[name.removeprefix(PREFIX)] = content
    return decode_members(modality, members)[0]


def _is_whole(folder: Path, text: bytes, files: Mapping[str, str]) -> bool:
    try:
        return (folder / SAMPLE).read_bytes() == text and all(
            sha256_of(folder / name) == digest for name, digest in files.items()
        )
    except OSError:
        return False


def _replace(folder: Path, contents: Mapping[str, bytes]) -> None:
    with replacing_folder(folder) as building:
        for name, content in contents.items():
            (building / name).parent.mkdir(parents=True, exist_ok=True)
            (building / name).write_bytes(content)


def _png(ids: np.ndarray) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(ids.astype(np.uint8 if ids.max(initial=0) < 256 else np.uint16)).save(buffer, "PNG")
    return buffer.getvalue()
