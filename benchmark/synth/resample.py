"""Truth at the frames and the size that a clip was read at: exact where nothing changes, nearest pixels where it does.

A build takes at most 480 px and 16 frames per second. Truth is never blended: a pixel of the smaller picture gets the
truth of the one pixel of the render that its centre lies in. Flow is scaled, and is not valid where a frame was left
out between two: the motion over two steps is not the sum of two stored flows.
"""

from pathlib import Path

import numpy as np

from openuni.benchmark.synth.files import read_truth
from openuni.benchmark.synth.truth import Truth
from openuni.engine.stage import Absent
from openuni.frames import Frames

TRUTH = "truth.npz"
ABOUT = "clip.json"
PICTURES = ("depth", "flow", "flow_valid", "occluded", "segmentation", "densepose", "uv", "refractive")
"""Arrays of one value, or two, for every pixel."""
TIME_SLACK_FRAMES = 0.05  # ours: mp4 holds times to 0.5 us, a frame lasts tens of milliseconds


def truth_of(path: Path, frames: Frames) -> Truth:
    """Return the truth of a rendered clip at the frames that were read of it.

    Args:
        path: the clip's rgb.mp4.
        frames: what was read of it.

    Raises:
        Absent: `no_truth`, the video lies in no rendered folder; `not_the_rendered_frames`, its frames are not at the
            times of the render.
        BadInput: the truth is damaged.
    """
    import json

    folder = path.parent
    if not ((folder / TRUTH).is_file() and (folder / ABOUT).is_file()):
        raise Absent("no_truth")
    truth = read_truth(folder)
    fps = float(json.loads((folder / ABOUT).read_text())["fps"])
    numbers = frame_numbers(frames.times_s, fps, truth.size[0])
    if numbers is None:
        raise Absent("not_the_rendered_frames")
    return resample(truth, numbers, height=frames.rgb.shape[1], width=frames.rgb.shape[2])


def frame_numbers(times_s: np.ndarray, fps: float, total: int) -> np.ndarray | None:
    """Turn times into numbers of a render's frames; None if they are not the times of such frames."""
    at = np.asarray(times_s) * fps
    numbers = np.rint(at).astype(np.int64)
    fits = np.abs(at - numbers).max() <= TIME_SLACK_FRAMES and numbers[0] >= 0 and numbers[-1] < total
    return numbers if fits and (np.diff(numbers) > 0).all() else None


def resample(truth: Truth, numbers: np.ndarray, *, height: int, width: int) -> Truth:
    """Take frames of a truth and bring them to another size.

    Args:
        truth: of the render.
        numbers: (K,) int, strictly ascending: which frames.
        height: wanted H.
        width: wanted W.

    Returns:
        Truth of K frames. The flow of a frame whose successor is not the next one is not valid, the last one's too,
        and such frames are occluded altogether. Poses stay, intrinsics are scaled.
    """
    total, true_height, true_width = truth.size
    if np.array_equal(numbers, np.arange(total)) and (height, width) == (true_height, true_width):
        return truth  # its arrays may be large, so they are not copied
    scale = np.array([width / true_width, height / true_height])
    rows = np.floor((np.arange(height) + 0.5) / scale[1]).astype(np.int64)
    columns = np.floor((np.arange(width) + 0.5) / scale[0]).astype(np.int64)

    def picture(array: np.ndarray) -> np.ndarray:
        if (height, width) == (true_height, true_width):
            return array[numbers]
        taken: np.ndarray = array[numbers[:, None, None], rows[None, :, None], columns[None, None, :]]
        return taken

    next_kept = np.append(np.diff(numbers) == 1, False)[:, None, None]
    # Whole numbers are pixel centres, so the picture's edge lies at -0.5: x -> scale x + (scale - 1) / 2.
    shift = (scale - 1) / 2
    arrays: dict[str, np.ndarray] = {}
    for name, array in truth.arrays().items():  # an imported clip lacks some
        arrays[name] = picture(array) if name in PICTURES else array[numbers] if name != "person_ids" else array
    if truth.has("flow"):
        arrays["flow_valid"] &= next_kept
        scaled = arrays["flow"] * scale.astype(np.float32)
        arrays["flow"] = np.where(arrays["flow_valid"][..., None], scaled, np.float32(0))
    if truth.has("occluded"):
        arrays["occluded"] |= ~next_kept
    if truth.has("keypoints"):
        labelled = arrays["keypoints"][..., 2:] > 0
        arrays["keypoints"][..., :2] = np.where(labelled, arrays["keypoints"][..., :2] * scale + shift, 0)
    if truth.has("intrinsics"):
        arrays["intrinsics"][:, :2] *= scale[:, None]
        arrays["intrinsics"][:, :2, 2] += shift
    return Truth(**arrays, behind_glass=truth.behind_glass, classes=truth.classes)


def frames_left_out(truth: Truth) -> bool:
    """Tell whether some frame but the last has no valid flow: frames between were left out when it was read."""
    return len(truth.flow_valid) > 1 and not truth.flow_valid[:-1].any(axis=(1, 2)).all()
