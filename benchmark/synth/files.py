"""Rendered folders: clips and their truth on disk. docs/unibench.md describes the layout.

DIR/unibench.parquet            one row per clip
DIR/clips/NAME/rgb.mp4          H.264, crf 8; rgb/0000.png ... beside it on request, exact
DIR/clips/NAME/truth.npz        the arrays of Truth at full precision; imported clips have some of them
DIR/clips/NAME/clip.json        what the row says
DIR/clips/NAME/preview.png      a small picture of the middle frame
"""

import json
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from openuni.benchmark.synth.npz import read_npz, write_npz
from openuni.benchmark.synth.render import RenderedClip
from openuni.benchmark.synth.truth import BEHIND_GLASS, FACTS, UNKNOWN_GLASS, Truth
from openuni.engine.atomic import replacing_folder
from openuni.errors import BadInput

INDEX = "unibench.parquet"
CLIPS = "clips"
RGB_CRF = 8  # ours: 41 to 44 dB at 512 px (what 4:2:0 chroma leaves), a sixth to an eighth of PNG's size
PREVIEW_WIDTH_PX = 160
_SHAPES: dict[str, tuple[tuple[str | int, ...], str]] = {
    "depth": (("T", "H", "W"), "float32"),
    "flow": (("T", "H", "W", 2), "float32"),
    "flow_valid": (("T", "H", "W"), "bool"),
    "occluded": (("T", "H", "W"), "bool"),
    "segmentation": (("T", "H", "W"), "uint8"),
    "keypoints": (("T", "P", 17, 3), "float32"),
    "densepose": (("T", "H", "W"), "uint8"),
    "uv": (("T", "H", "W", 2), "float32"),
    "refractive": (("T", "H", "W"), "bool"),
    "intrinsics": (("T", 3, 3), "float64"),
    "poses": (("T", 4, 4), "float64"),
    "person_ids": (("P",), "uint8"),
}
"""Truth's arrays: shape and dtype."""
_TOGETHER = (("flow", "flow_valid"), ("densepose", "uv"), ("keypoints", "person_ids"))
"""Arrays that mean nothing one without the other."""


def write_clip(root: Path, clip: RenderedClip, *, png: bool = False) -> dict[str, Any]:
    """Write a clip's folder, whole or not at all; one of the same name is replaced.

    Args:
        root: the rendered folder.
        clip: what to write.
        png: also write every frame as PNG.

    Returns:
        The clip's facts, as they stand in clip.json.
    """
    from PIL import Image

    from openuni.video import encode_rgb_mp4

    with replacing_folder(root / CLIPS / clip.name) as folder:
        about = describe(clip)
        (folder / "truth.npz").write_bytes(write_npz(clip.truth.arrays()))
        (folder / "rgb.mp4").write_bytes(encode_rgb_mp4(clip.rgb, fps=clip.fps, crf=RGB_CRF))
        if png:
            (folder / "rgb").mkdir()
            for number, frame in enumerate(clip.rgb):
                Image.fromarray(frame).save(folder / "rgb" / f"{number:04d}.png")
        preview = Image.fromarray(clip.rgb[len(clip.rgb) // 2])
        height = max(1, round(preview.height * PREVIEW_WIDTH_PX / preview.width))
        preview.resize((PREVIEW_WIDTH_PX, height), Image.Resampling.BOX).save(folder / "preview.png")
        (folder / "clip.json").write_text(json.dumps(about, indent=1, sort_keys=True) + "\n")
    return about


def describe(clip: RenderedClip) -> dict[str, Any]:
    """Return JSON-able facts of a clip: clip.json, and but for "facts" and "classes" the index's columns."""
    num_frames, height, width, _ = clip.rgb.shape
    partial: dict[str, Any] = {} if clip.truth.has(*_SHAPES) else {"arrays": sorted(clip.truth.arrays())}
    if clip.truth.classes is not None:
        partial["classes"] = {str(one): name for one, name in sorted(clip.truth.classes.items())}
    return {
        "clip": clip.name,
        "family": clip.family,
        "seed": clip.seed,
        "caption": clip.caption,
        "num_frames": num_frames,
        "height": height,
        "width": width,
        "fps": clip.fps,
        "people": len(clip.truth.person_ids) if clip.truth.has("person_ids") else None,
        "tier": clip.tier,
        "behind_glass": clip.truth.behind_glass,
        "truth_sha256": clip.truth.sha256,
        "facts": dict(clip.facts),
        **partial,
    }


def find_clip(path: Path, name: str | None = None) -> Path:
    """Return the folder of a clip.

    Args:
        path: a clip's folder, or a rendered folder.
        name: which clip of a rendered folder; may be left out where it has only one.

    Raises:
        BadInput: there is no such clip.
    """
    if (path / "clip.json").is_file():
        return path
    names = clip_names(path)
    if name is None and len(names) == 1:
        return path / CLIPS / names[0]
    if name is None:
        raise BadInput(f"{path} has {len(names)} clips; name one: {path / CLIPS / names[0]}, ...")
    if name not in names:
        raise BadInput(f"{path} has no clip {name!r}; it has {names[0]} to {names[-1]}.")
    return path / CLIPS / name


def clip_names(root: Path) -> list[str]:
    """Return the names of a rendered folder's clips, sorted.

    Raises:
        BadInput: it is none.
    """
    folder = root / CLIPS
    names = sorted(one.name for one in folder.iterdir() if (one / "clip.json").is_file()) if folder.is_dir() else []
    if not names:
        raise BadInput(f"{root} is no rendered clip and no rendered folder: no {CLIPS}/*/clip.json. Make one with: "
                       "openuni unibench render --out DIR")  # fmt: skip
    return names


def read_clip(folder: Path) -> RenderedClip:
    """Read a clip's folder. Frames come from its PNG files where there are any, else from the mp4.

    Raises:
        BadInput: a file is missing or damaged, or truth is missing for a frame.
    """
    about = _read_about(folder)
    rgb = _read_rgb(folder)
    truth = read_truth(folder, about)
    if rgb.shape[:3] != truth.size:
        raise BadInput(
            f"{folder}: RGB has {_size(rgb.shape)}, truth {_size(truth.size)}: truth is missing for a frame. "
            "Render the clip again."
        )
    keys = ("family", "seed", "caption", "fps", "tier", "facts")
    return RenderedClip(name=folder.name, rgb=rgb, truth=truth, **{key: about[key] for key in keys})


def read_frames_of(folder: Path) -> tuple[np.ndarray, float]:
    """Read a clip's frames alone, as `read_clip` does: (T, H, W, 3) uint8 RGB, and frames per second.

    Raises:
        BadInput: see `read_clip`.
    """
    return _read_rgb(folder), float(_read_about(folder)["fps"])


def read_truth(folder: Path, about: dict[str, Any] | None = None) -> Truth:
    """Read a clip's truth alone.

    Raises:
        BadInput: see `read_clip`.
    """
    about = _read_about(folder) if about is None else about
    path = folder / "truth.npz"
    try:
        arrays = read_npz(path.read_bytes())
    except (OSError, ValueError) as error:
        raise BadInput(f"{path} cannot be read ({error}). Render the clip again.") from error
    sizes: dict[str, int] = {}
    names = _wanted(folder, about)
    for name in names:
        shape, dtype = _SHAPES[name]
        if name not in arrays:
            raise BadInput(f"{path} has no array {name!r}. Render the clip again.")
        given = arrays[name]
        fits = given.dtype == dtype and given.ndim == len(shape)
        for axis, wanted in enumerate(shape if fits else ()):
            length = sizes.setdefault(wanted, given.shape[axis]) if isinstance(wanted, str) else wanted
            fits &= given.shape[axis] == length
        if not fits:
            raise BadInput(
                f"{path}: {name} must be ({', '.join(map(str, shape))}) {dtype} with {sizes}, got {given.shape} "
                f"{given.dtype}: truth is missing for a frame, or the file is damaged. Render the clip again."
            )
    policy = about["behind_glass"]
    known = (*BEHIND_GLASS, UNKNOWN_GLASS)
    if policy not in known:
        raise BadInput(f"{folder / 'clip.json'}: behind_glass must be one of {', '.join(known)}, got {policy!r}.")
    return Truth(**{name: arrays[name] for name in names}, behind_glass=policy, classes=_classes(folder, about))


def _classes(folder: Path, about: dict[str, Any]) -> dict[int, str] | None:
    """Class of each id; None in folders that were rendered before classes were written, and in imported ones."""
    said = about.get("classes")
    if said is None:
        return None
    if not isinstance(said, dict) or not all(one.isdecimal() and isinstance(name, str) for one, name in said.items()):
        raise BadInput(f'{folder / "clip.json"}: "classes" must name the class of ids. Render the clip again.')
    return {int(one): name for one, name in said.items()}


def _wanted(folder: Path, about: dict[str, Any]) -> list[str]:
    """Return the arrays that a clip must have: all of them, unless its clip.json names some ("arrays")."""
    names = about.get("arrays", list(_SHAPES))
    known = isinstance(names, list) and set(map(str, names)) <= set(_SHAPES)
    if not (known and names and all(len({one in names for one in pair}) == 1 for pair in _TOGETHER)):
        raise BadInput(f'{folder / "clip.json"}: "arrays" names no truth that can be read. Import the clip again.')
    return [name for name in _SHAPES if name in names]


def _read_about(folder: Path) -> dict[str, Any]:
    path = folder / "clip.json"
    try:
        about = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise BadInput(f"{path} cannot be read ({error}). Give a clip of a rendered folder.") from error
    wanted = {"family": str, "caption": str, "fps": float, "tier": str, "facts": dict, "behind_glass": str}
    for key, kind in wanted.items():
        if not isinstance(about, dict) or not isinstance(about.get(key), kind):
            raise BadInput(f"{path} lacks {key!r} ({kind.__name__}). Render the clip again.")
    if not isinstance(about.get("seed"), int | None):
        raise BadInput(f"{path}: 'seed' must be a number or null. Render the clip again.")
    found: dict[str, Any] = about
    return found


def _read_rgb(folder: Path) -> np.ndarray:
    from PIL import Image

    from openuni.video import decode_rgb

    pictures = sorted((folder / "rgb").glob("*.png"))
    try:
        if pictures:
            return np.stack([np.asarray(Image.open(path).convert("RGB")) for path in pictures])
        return decode_rgb((folder / "rgb.mp4").read_bytes()).frames
    except (OSError, ValueError) as error:
        raise BadInput(f"{folder}: the frames cannot be read ({error}). Render the clip again.") from error


def _size(shape: Sequence[int]) -> str:
    return f"{shape[0]} frames of {shape[2]}x{shape[1]}"


assert set(_SHAPES) == {field.name for field in fields(Truth)} - set(FACTS)
