"""Arrays of predictions to maps: what their numbers mean, by modality. The size is not checked here."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from openuni.benchmark.importers.formats import read_json, reading
from openuni.benchmark.predictions import ABOUT
from openuni.benchmark.preds.colours import clusters
from openuni.benchmark.preds.files import read_arrays
from openuni.benchmark.preds.rle import read_rle
from openuni.errors import BadInput
from openuni.mapfile import MODALITY, read_map
from openuni.modality import Map
from openuni.table import RENDERINGS, load

DEPTH_KINDS = ("relative_disparity", "metric_depth")
CLUSTERS = "clusters"
"""A rendering of segmentation whose palette is not known."""
BODY = 17
LEVELS = 256
"""Of depth that was kept in 8 bits."""


class Reading(NamedTuple):
    """How to read what a file does not say."""

    rendering: str
    """A name of RENDERINGS, or CLUSTERS."""
    depth_kind: str
    depth_scale: float
    """Unit of the numbers: depth or disparity is number x this."""


class Read(NamedTuple):
    """A map, and what colours could not carry of it."""

    map: Map
    drawn: np.ndarray | None
    lacks: dict[str, str]
    said: dict[str, Any]
    """JSON-able: format, levels."""


def read_prediction_map(path: Path, modality: str, size: tuple[int, int, int], how: Reading) -> Read:
    """Read the map of a file or a folder of frames.

    Args:
        path: what `find_prediction` gave.
        modality: of MODALITIES.
        size: T, H, W of the clip; what files of joints and of run lengths do not say.
        how: what to make of numbers and colours.

    Raises:
        BadInput: it cannot be read as one; the message has the file.
    """
    said: dict[str, Any] = {"format": _format(path)}
    if path.suffix.lower() == ".npz" and _is_own(path):
        return Read(read_map(path, modality), None, _own_lacks(path), said)
    with reading(path) if path.is_file() else reading(next(iter(sorted(path.iterdir())))):
        if path.suffix.lower() == ".json":
            made = _joints_json(read_json(path), size) if modality == "skeleton" else _runs(read_json(path), size)
            return Read(made, None, {}, said)
        arrays = read_arrays(path, modality)
        data = arrays["data"]
        pictures = path.suffix.lower() not in (".npz", ".npy")
        if pictures and data.ndim == 4 and data.shape[3] == 3 and data.dtype == np.uint8:
            if modality == "depth" and (data == data[..., :1]).all():
                data, said["levels"] = data[..., 0], LEVELS
            else:
                return _coloured(data, modality, how, said | {"rendering": how.rendering})
        if modality == "depth":
            made = _depth(data, arrays, how)
            if data.dtype == np.uint8:
                said["levels"] = LEVELS
                made = replace(made, facts={**made.facts, "levels": LEVELS})
            return Read(made, None, {}, said)
        makers = {"flow": _flow, "densepose": _densepose, "segmentation": _ids}
        made = _joints(data, arrays, size) if modality == "skeleton" else makers[modality](data, arrays)
        return Read(made, None, {}, said)


def _format(path: Path) -> str:
    return next((one.suffix for one in sorted(path.iterdir())), "") + " frames" if path.is_dir() else path.suffix


def _is_own(path: Path) -> bool:
    """Whether an npz is one of openuni/mapfile.py."""
    with reading(path), np.load(path, allow_pickle=False) as file:
        return MODALITY in file.files


def _own_lacks(path: Path) -> dict[str, str]:
    """What about.json beside a map of our own predictions says that it cannot carry."""
    about = path.with_name(ABOUT)
    said = read_json(about) if about.is_file() else {}
    lacks = said.get("lacks", {}) if isinstance(said, dict) else {}
    return {str(name): str(reason) for name, reason in lacks.items()} if isinstance(lacks, dict) else {}


def _coloured(frames: np.ndarray, modality: str, how: Reading, said: dict[str, Any]) -> Read:
    if how.rendering == CLUSTERS:
        if modality != "segmentation":
            raise ValueError("rendering 'clusters' reads segmentation only: name another with --set model.rendering")
        return Read(Map(data=clusters(frames)), frames, {}, said)
    rendering = load("rendering", RENDERINGS, how.rendering)
    return Read(rendering.to_map(modality, frames), frames, rendering.lacks(modality), said)


def _depth(data: np.ndarray, arrays: dict[str, np.ndarray], how: Reading) -> Map:
    """Numbers that are not finite are invalid; of metric depth also those not above 0; +inf there is sky."""
    if data.ndim == 4 and 1 in (data.shape[1], data.shape[3]):
        data = data[:, 0] if data.shape[1] == 1 else data[..., 0]
    if data.ndim != 3:
        raise ValueError(f"depth must be (T, H, W), got {data.shape} {data.dtype}")
    values = data.astype(np.float32) * np.float32(how.depth_scale)
    valid = np.asarray(values > 0 if how.depth_kind == "metric_depth" else np.isfinite(values))
    if "valid" in arrays:
        valid &= _like(arrays["valid"], data.shape, "valid")
    return Map(data=values, valid=valid, facts={"kind": how.depth_kind})


def _flow(data: np.ndarray, arrays: dict[str, np.ndarray]) -> Map:
    """NaN is invalid; so is the last frame."""
    if data.ndim == 4 and data.shape[1] == 2 and data.shape[3] != 2:
        data = data.transpose(0, 2, 3, 1)
    if data.ndim != 4 or data.shape[3] != 2 or data.dtype.kind != "f":
        raise ValueError(f"flow must be (T, H, W, 2) floats, got {data.shape} {data.dtype}")
    values = data.astype(np.float32)
    valid = np.asarray(np.isfinite(values).all(axis=-1))
    if "valid" in arrays:
        valid &= _like(arrays["valid"], data.shape[:3], "valid")
    return Map(data=values, valid=valid)


def _densepose(data: np.ndarray, arrays: dict[str, np.ndarray]) -> Map:
    if data.ndim == 4 and data.shape[3] == 3:
        arrays, data = {"uv": data[..., 1:]}, data[..., 0]
    if data.ndim != 3 or data.dtype.kind not in "iu" or data.min() < 0 or data.max() > 24:
        raise ValueError(f"densepose must be (T, H, W) parts 0 to 24, got {data.shape} {data.dtype}")
    more = {}
    if "uv" in arrays:
        uv = arrays["uv"]
        if uv.shape != (*data.shape, 2):
            raise ValueError(f"'uv' must be (T, H, W, 2), got {uv.shape}")
        # Floats are 0 to 1, as networks give them; whole numbers 0 to 255, as pictures do.
        levels = np.rint(uv * 255) if uv.dtype.kind == "f" else uv
        if not ((levels >= 0) & (levels <= 255)).all():
            raise ValueError("'uv' must be floats from 0 to 1, or whole numbers from 0 to 255")
        more["uv"] = levels.astype(np.uint8)
    return Map(data=data.astype(np.uint8), arrays=more)


def _ids(data: np.ndarray, arrays: dict[str, np.ndarray]) -> Map:
    if data.ndim != 3 or data.dtype.kind not in "iub" or data.min() < 0 or data.max() > 65535:
        raise ValueError(f"segmentation must be (T, H, W) ids from 0 to 65535, got {data.shape} {data.dtype}")
    facts = {}
    if "scores" in arrays:
        scores = arrays["scores"]
        if scores.ndim != 1 or len(scores) < data.max() or not np.isfinite(scores).all():
            raise ValueError(f"'scores' must be {data.max()} finite numbers, of the ids 1, 2, ...; got {scores.shape}")
        facts["scores"] = {str(one): float(score) for one, score in enumerate(scores, start=1)}
    return Map(data=data.astype(np.uint16 if data.max() > 255 else np.uint8), facts=facts)


def _joints(data: np.ndarray, arrays: dict[str, np.ndarray], size: tuple[int, int, int]) -> Map:
    """Joints that are not finite are not seen."""
    people = data[:, None] if data.ndim == 3 else data
    if people.ndim != 4 or people.shape[3] != 3 or people.dtype.kind != "f":
        raise ValueError(f"skeleton must be (T, P, 17, 3) floats: x, y, confidence; got {data.shape} {data.dtype}")
    seen = np.isfinite(people).all(axis=-1, keepdims=True)
    whole = np.where(seen, people, 0).astype(np.float32)
    height, width = (int(arrays[name]) if name in arrays else own
                     for name, own in (("height", size[1]), ("width", size[2])))  # fmt: skip
    return Map(data=whole, facts={"height": height, "width": width})


def _joints_json(said: Any, size: tuple[int, int, int]) -> Map:
    """COCO results: a list of {"image_id": frame, "keypoints": [x, y, confidence] x 17, "score"}; best score first."""
    if not isinstance(said, list):
        raise ValueError("expected a list of COCO keypoint results")
    frames: list[list[tuple[float, np.ndarray]]] = [[] for _ in range(size[0])]
    for one in said:
        number, joints = one["image_id"], np.asarray(one["keypoints"], np.float32)
        if type(number) is not int or not 0 <= number < size[0]:
            raise ValueError(f"image_id must be a frame from 0 to {size[0] - 1}, got {number!r}")
        if joints.size != BODY * 3 or not np.isfinite(joints).all():
            raise ValueError(f"keypoints must be {BODY} x 3 finite numbers, got {joints.size}")
        score = float(one.get("score", 1))
        frames[number].append((score, joints.reshape(BODY, 3)))
    data = np.zeros((size[0], max((len(people) for people in frames), default=0), BODY, 3), np.float32)
    for place, people in zip(data, frames, strict=True):
        for person, (_, joints) in zip(place, sorted(people, key=lambda one: -one[0]), strict=False):
            person[:] = joints
    return Map(data=data, facts={"height": size[1], "width": size[2]})


def _runs(said: Any, size: tuple[int, int, int]) -> Map:
    """YouTube-VIS results: a list of {"segmentations": [mask or null for each frame], "score", "category"}.

    COCO results too: {"image_id": frame, "segmentation": mask, "id": which object, "score"}. Where masks overlap, the
    better score is on top; of equal ones the earlier. The map has scores and classes where all objects have them; a
    class is a name, as a clip's truth has it, never a number.
    """
    frames, height, width = size
    if not isinstance(said, list):
        raise ValueError("expected a list of objects with COCO run lengths")
    tubes: dict[Any, tuple[float, dict[int, Any]]] = {}
    first: dict[Any, Any] = {}  # of each object: what it says of itself
    for place, one in enumerate(said):
        score = float(one.get("score", 1))
        if not math.isfinite(score):
            raise ValueError(f"a score must be a finite number, got {score}")
        if "segmentations" in one:
            if len(one["segmentations"]) != frames:
                raise ValueError(f"an object has {len(one['segmentations'])} masks, expected {frames}, one a frame")
            key: Any = "tube", place
            tubes[key] = score, dict(enumerate(one["segmentations"]))
        else:
            number = one["image_id"]
            if type(number) is not int or not 0 <= number < frames:
                raise ValueError(f"image_id must be a frame from 0 to {frames - 1}, got {number!r}")
            key = "id", json.dumps(one.get("id", 1))
            tubes.setdefault(key, (score, {}))[1][number] = one["segmentation"]
        first.setdefault(key, one)
    if len(tubes) > 65535:
        raise ValueError(f"{len(tubes)} objects are more than 65535")
    data = np.zeros(size, np.uint16 if len(tubes) > 255 else np.uint8)
    numbered = list(enumerate(tubes.values(), start=1))
    for number, (_, masks) in sorted(numbered, key=lambda one: (one[1][0], -one[0])):
        for frame, rle in masks.items():
            if rle is not None:
                data[frame][read_rle(rle, height=height, width=width)] = number
    facts: dict[str, Any] = {}
    if first and all("score" in one for one in first.values()):
        facts["scores"] = {str(number): score for number, (score, _) in numbered}
    if first and all(isinstance(one.get("category"), str) for one in first.values()):
        facts["classes"] = {str(number): one["category"] for number, one in enumerate(first.values(), start=1)}
    return Map(data=data, facts=facts)


def _like(mask: np.ndarray, shape: tuple[int, ...], name: str) -> np.ndarray:
    if mask.shape != shape:
        raise ValueError(f"{name!r} must be {shape}, got {mask.shape}")
    return mask.astype(bool)


def check_kind(kind: str) -> None:
    """Raise BadInput unless depth can be of this kind."""
    if kind not in DEPTH_KINDS:
        raise BadInput(f"--set model.depth_kind={kind}: give {' or '.join(DEPTH_KINDS)}.")
