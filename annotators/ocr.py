"""OCR: where text stands in a picture, and what it says. PP-OCRv6 small, on ONNX Runtime, one CPU thread.

The weights come inside the package rapidocr (Apache-2.0), so nothing is downloaded. Its Python code is not used: in
3.10 `TextDetector` sorts the boxes and leaves their scores in the old order, and importing it adds a log handler. What
stands here follows the published method: Liao et al., "Real-time Scene Text Detection with Differentiable
Binarization", AAAI 2020 (DB), for the detector, and CTC decoding for the recogniser.
"""

import hashlib
import math
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from openuni.errors import BadInput, MissingWeights

DETECTOR, RECOGNISER = "PP-OCRv6_det_small.onnx", "PP-OCRv6_rec_small.onnx"
INSTALL = "Run: pip install 'rapidocr>=3.10,<4' 'onnxruntime>=1.20,<2'"

MULTIPLE = 32  # the detector's map is exact for sides that are a multiple of this
PROBABILITY = 0.3  # rapidocr's config for PP-OCRv6: a pixel above it belongs to the kernel of a piece of text
MIN_SCORE = 0.3  # ours: rapidocr's config says 0.5; lower, since the caller judges what is doubtful
UNCLIP_RATIO = 1.6  # rapidocr's config; DB: a kernel is grown to the whole text by area * ratio / perimeter
MIN_KERNEL_PX = 3.0  # PP-OCR's post-processing: thinner kernels are noise
READ_HEIGHT_PX = 48  # height of the recogniser's input
MAX_READ_ASPECT = 25.0  # ours: bounds the cost of one box; a line of 25 heights holds about 50 letters


class Boxes(NamedTuple):
    """Pieces of text in one picture: lines, or words that stand apart."""

    corners: np.ndarray
    """(B, 4, 2) float32, x and y in pixels of the picture; clockwise from the top left corner, inside the picture."""
    scores: np.ndarray
    """(B,) float32, 0-1: mean probability of text in the box before it was grown."""


class Reading(NamedTuple):
    """What a piece of text says."""

    text: str
    confidence: float
    """0-1, mean over the characters; 0 if there is none."""


def weights() -> tuple[Path, Path]:
    """Return the paths of the detector's and the recogniser's weights.

    Raises:
        BadInput: a package is not installed.
        MissingWeights: rapidocr has no such files (another version of it).
    """
    for package in ("onnxruntime", "rapidocr"):
        if find_spec(package) is None:
            raise BadInput(f"OCR (the text filter) needs the package {package}, which is not installed. {INSTALL}")
    spec = find_spec("rapidocr")
    folders = [Path(folder, "models") for folder in (spec.submodule_search_locations if spec else None) or ()]
    for folder in folders:
        if all((folder / name).is_file() for name in (DETECTOR, RECOGNISER)):
            return folder / DETECTOR, folder / RECOGNISER
    raise MissingWeights(f"{DETECTOR} or {RECOGNISER} is not in {', '.join(map(str, folders))}. {INSTALL}")


@cache
def weights_hash() -> str:
    """Return the SHA-256 of both weights. Raises as `weights`."""
    digest = hashlib.sha256()
    for path in weights():
        digest.update(path.read_bytes())
    return digest.hexdigest()


class Ocr:
    """Detector and recogniser, loaded: about 200 MB of memory. Raises as `weights`."""

    def __init__(self) -> None:
        detector, recogniser = weights()
        self._detector, self._recogniser = _session(detector), _session(recogniser)
        characters = self._recogniser.get_modelmeta().custom_metadata_map["character"].splitlines()
        self._characters = ["", *characters, " "]  # index 0 is CTC's blank

    def detect(self, rgb: np.ndarray, *, short_side_px: int) -> Boxes:
        """Find text.

        Args:
            rgb: (H, W, 3) uint8.
            short_side_px: the picture is made smaller to this; the cost goes with its square. Never enlarged, but
                for sides below 32 px. Letters are found down to a font size of 8 to 10 px in the smaller picture.

        Returns:
            Boxes with at least MIN_SCORE, in no particular order.
        """
        import cv2

        height, width = rgb.shape[:2]
        wide, high = _work_size(width, height, short_side_px)
        small = cv2.resize(rgb, (wide, high), interpolation=cv2.INTER_AREA)
        (probability,) = self._detector.run(None, {"x": _normalised(small)})
        corners, scores = boxes_of(probability[0, 0])
        corners = np.clip(corners * np.array([width / wide, height / high]), 0, [width, height])
        return Boxes(corners.astype(np.float32), scores)

    def read(self, rgb: np.ndarray, corners: np.ndarray) -> Reading:
        """Read one box: Latin, Greek, Chinese and Japanese. Other scripts give little, with low confidence.

        Args:
            rgb: (H, W, 3) uint8, the picture.
            corners: (4, 2), as in Boxes. What is taller than wide is read turned by 90 degrees.
        """
        import cv2

        crop = _straightened(rgb, corners)
        aspect = min(crop.shape[1] / crop.shape[0], MAX_READ_ASPECT)
        size = (max(1, math.ceil(READ_HEIGHT_PX * aspect)), READ_HEIGHT_PX)
        # As PP-OCR does it: at least 320 px wide, filled up with grey.
        filled = np.zeros((1, 3, READ_HEIGHT_PX, max(320, size[0])), np.float32)
        filled[..., : size[0]] = _normalised(cv2.resize(crop, size))
        (probabilities,) = self._recogniser.run(None, {"x": filled})
        return decode(probabilities[0], self._characters)


def boxes_of(probability: np.ndarray) -> Boxes:
    """Turn the detector's map into boxes as DB does, with rectangles in place of polygons.

    Args:
        probability: (H, W) float32, 0-1: how likely a pixel belongs to the kernel of a piece of text.

    Returns:
        Boxes in pixels of the map, of any orientation.
    """
    import cv2

    kernels = cv2.dilate((probability > PROBABILITY).astype(np.uint8), np.ones((2, 2), np.uint8))
    contours, _ = cv2.findContours(kernels, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    corners, scores = [], []
    for contour in contours:
        centre, (width, height), angle = cv2.minAreaRect(contour)
        if min(width, height) < MIN_KERNEL_PX:
            continue
        score = _mean_inside(probability, cv2.boxPoints((centre, (width, height), angle)))
        if score >= MIN_SCORE:
            grow = width * height * UNCLIP_RATIO / (width + height)  # twice the distance, on both sides of each axis
            corners.append(_clockwise(cv2.boxPoints((centre, (width + grow, height + grow), angle))))
            scores.append(score)
    return Boxes(np.array(corners, np.float32).reshape(-1, 4, 2), np.array(scores, np.float32))


def decode(probabilities: np.ndarray, characters: list[str]) -> Reading:
    """CTC, the most likely class at each step: repeats are joined, blanks (class 0) left out.

    Args:
        probabilities: (N, C) float, each row sums to 1.
        characters: C texts, of which the first is not used.
    """
    classes = probabilities.argmax(axis=1)
    kept = (classes != 0) & np.append(True, classes[1:] != classes[:-1])
    if not kept.any():
        return Reading("", 0.0)
    text = "".join(characters[index] for index in classes[kept])
    return Reading(text, float(probabilities.max(axis=1)[kept].mean()))


def _session(path: Path) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # Several workers share the cores, and one thread gives the same sums in every run.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors: warnings about graphs and devices say nothing a user can act on
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _work_size(width: int, height: int, short_side_px: int) -> tuple[int, int]:
    """Return width and height for the detector, multiples of 32, the longer at most five times short_side_px."""
    scale = min(1.0, short_side_px / min(width, height), 5 * short_side_px / max(width, height))
    wide, high = (max(1, round(side * scale / MULTIPLE)) * MULTIPLE for side in (width, height))
    return wide, high


def _normalised(rgb: np.ndarray) -> np.ndarray:
    """Return (1, 3, H, W) float32 in [-1, 1], channels in the order BGR, as both networks were trained."""
    scaled = rgb[..., ::-1].astype(np.float32) / np.float32(127.5) - np.float32(1)
    return np.ascontiguousarray(scaled.transpose(2, 0, 1)[None])


def _mean_inside(values: np.ndarray, corners: np.ndarray) -> float:
    """Return the mean of `values` inside a quadrangle."""
    import cv2

    height, width = values.shape
    low = np.clip(np.floor(corners.min(axis=0)).astype(int), 0, [width - 1, height - 1])
    high = np.clip(np.ceil(corners.max(axis=0)).astype(int), 0, [width - 1, height - 1])
    mask = np.zeros((high[1] - low[1] + 1, high[0] - low[0] + 1), np.uint8)
    cv2.fillPoly(mask, [(corners - low).astype(np.int32)], 1)
    return float(cv2.mean(values[low[1] : high[1] + 1, low[0] : high[0] + 1], mask)[0])


def _clockwise(corners: np.ndarray) -> np.ndarray:
    """Order (4, 2) corners of a rectangle: top left, top right, bottom right, bottom left."""
    left, right = np.split(corners[np.argsort(corners[:, 0], kind="stable")], 2)
    (top_left, bottom_left), (top_right, bottom_right) = (side[np.argsort(side[:, 1])] for side in (left, right))
    return np.stack([top_left, top_right, bottom_right, bottom_left])


def _straightened(rgb: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Cut a box out and turn it upright: (h, w, 3) uint8; h >= 1.5 w is turned by 90 degrees."""
    import cv2

    top_left, top_right, _, bottom_left = corners = np.asarray(corners, np.float32)
    width = max(1, round(float(np.linalg.norm(top_right - top_left))))
    height = max(1, round(float(np.linalg.norm(bottom_left - top_left))))
    straight = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    matrix = cv2.getPerspectiveTransform(corners, straight)
    crop = cv2.warpPerspective(rgb, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.ascontiguousarray(np.rot90(crop)) if height >= 1.5 * width else crop
