"""Layout: where the prediction for a question lies in a folder, and in which formats."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from openuni.benchmark import predictions
from openuni.errors import BadInput
from openuni.generator import RGB

VIDEOS = (".mp4", ".mkv", ".mov", ".webm", ".avi")
ARRAYS = (".npz", ".npy")
FORMATS = {
    RGB: (*VIDEOS, *ARRAYS),
    "depth": (*ARRAYS, *VIDEOS),
    "flow": (*ARRAYS, *VIDEOS),
    "densepose": (*ARRAYS, *VIDEOS),
    "skeleton": (*ARRAYS, ".json", *VIDEOS),
    "segmentation": (*ARRAYS, ".json", *VIDEOS),
}
"""Modality -> files that hold a whole clip."""
FRAMES = {
    RGB: (".png", ".jpg", ".jpeg"),
    "depth": (".png", ".exr", ".npy"),
    "flow": (".flo", ".exr", ".npy", ".png"),
    "densepose": (".png", ".npy"),
    "skeleton": (".png",),
    "segmentation": (".png", ".npy"),
}
"""Modality -> files that hold one frame; a folder of them, in the order of their names, holds a clip."""
"""What a predictions folder of ours has for each question."""
MEANINGS = {
    RGB: "(T, H, W, 3) uint8",
    "depth": "(T, H, W): disparity up to scale and shift, or depth with --set model.depth_kind=metric_depth; gray or "
    "16-bit PNG, float EXR (Y, Z, R or the only channel), or colours of --set model.rendering",
    "flow": "(T, H, W, 2) px per frame to the next, T - 1 frames are enough; .flo, EXR (u, v or R, G), or colours",
    "densepose": "(T, H, W) parts 0-24, (T, H, W, 3) I, U, V; gray PNG of parts, or colours",
    "skeleton": "(T, P, 17, 3) COCO joints x, y, confidence; .json of COCO results, image_id is the frame; or colours",
    "segmentation": "(T, H, W) ids, 0 is background; gray or palette PNG; .json of COCO RLE; or colours. Confidences: "
    "'score' in the .json, array 'scores' in the .npz (of ids 1, 2, ...). Classes: 'category', a name, in the .json",
}


def find_prediction(root: Path, task: str, modality: str, sample: str, number: int, *, kind: str) -> Path | None:
    """Return the file or folder that holds a prediction; None if there is none.

    Args:
        root: the folder of predictions.
        task: of the question.
        modality: of the question.
        sample: of the question.
        number: which of the sample's answers.
        kind: what is looked for: the modality's map, or RGB.

    Raises:
        BadInput: there are two.
    """
    folder = root / f"{task}-{modality}"
    own = folder / sample / f"seed-{number}" / (predictions.FRAMES if kind == RGB else predictions.MAP)
    if own.is_file():
        return own
    if task == "joint" and kind == RGB:
        folder = root / f"{task}-{modality}-{RGB}"
    inner = folder / sample / f"seed-{number}"
    places = [inner, *([folder / sample] if number == 0 else [])]
    hits: list[Path] = []
    for place in places:
        hits += [path for ending in FORMATS[kind] if (path := place.with_name(place.name + ending)).is_file()]
        if place.is_dir() and frame_files(place, kind):
            hits.append(place)
    if len(hits) > 1:
        raise BadInput(f"{hits[0]} and {hits[1].name} are both predictions for one question: remove one.")
    return hits[0] if hits else None


def frame_files(folder: Path, modality: str) -> list[Path]:
    """Return a folder's files of single frames by name, all of one format.

    Raises:
        BadInput: two formats are mixed.
    """
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in FRAMES[modality] and path.is_file())
    endings = sorted({path.suffix.lower() for path in files})
    if len(endings) > 1:
        raise BadInput(f"{folder} mixes {' and '.join(endings)} files: keep one format.")
    return files


def describe(samples: Mapping[tuple[str, str], Sequence[str]]) -> str:
    """Write the layout for people.

    Args:
        samples: (task, modality) -> names of samples, of which the first are shown; may be none.
    """
    lines = [
        "FOLDER/TASK-MODALITY/SAMPLE.EXT            one file for a clip, or",
        "FOLDER/TASK-MODALITY/SAMPLE/               one file for each frame, in the order of their names",
        "FOLDER/TASK-MODALITY/SAMPLE/seed-N[.EXT]   the same for answer N = 0, 1, ... of --samples",
        "",
    ]
    for (task, modality), known in samples.items():
        names = known[:2] or ["SAMPLE"]
        kind = RGB if task == "cond" else modality
        lines += [f"{task}-{modality}/  {MEANINGS[kind]}"]
        if task == "joint":
            lines += [f"{task}-{modality}-{RGB}/  the frames with it, {MEANINGS[RGB]}"]
        lines += [f"    clip: {' '.join(FORMATS[kind])}   frames: {' '.join(FRAMES[kind])}"]
        lines += [f"    {task}-{modality}/{name}{FORMATS[kind][0]}" for name in names]
    lines += [
        "",
        "Frames and size are the clip's own; --set model.resize=true takes other sizes. From a prompt any will do.",
    ]
    return "\n".join(lines)
