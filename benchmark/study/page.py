"""Page of a study: one HTML file with all clips in it, nothing fetched, which does not say who made what."""

import base64
import json
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import numpy as np

from openuni.benchmark.predictions import ABOUT, FRAMES
from openuni.benchmark.study.pairs import Pair, Study
from openuni.engine.atomic import write_bytes
from openuni.errors import BadInput

FORMAT = 1
"""Of the answers' JSON."""
AXES = {
    "physics": "Physically more plausible",
    "semantics": "Fits the text better",
    "overall": "Better overall",
}
"""The paper's three axes, in our words."""
SIDE_PX = 480
CRF = 23
MIN_FPS, MAX_FPS = 1.0, 60.0


class Shown(NamedTuple):
    """One pair as the page has it."""

    key: str
    caption: str
    left: str
    """Base64 of an mp4."""
    right: str


def write_page(study: Study, path: Path) -> None:
    """Write the page.

    Raises:
        BadInput: a clip is damaged.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_file), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    html = environment.get_template("page.html").render(
        study=study.id, format=FORMAT, pairs=[_shown(pair) for pair in study.pairs], axes=AXES,
        style=_file("page.css"), script=_file("page.js"),
    )  # fmt: skip
    write_bytes(path, html.encode(), durable=False)


def _shown(pair: Pair) -> Shown:
    first, second = _encoded(pair.first), _encoded(pair.second)
    left, right = (first, second) if pair.first_is_left else (second, first)
    return Shown(pair.key, pair.caption, left, right)


def _encoded(folder: Path) -> str:
    """A prediction's frames as a small mp4 in base64. Both sides come out at the same size class and quality."""
    import cv2

    from openuni.video import decode_rgb, encode_rgb_mp4

    try:
        frames = decode_rgb((folder / FRAMES).read_bytes()).frames
        fps = float(json.loads((folder / ABOUT).read_text("utf-8")).get("fps") or 8.0)
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise BadInput(f"{folder / FRAMES} cannot be read ({error}). Delete {folder} and bench again.") from error
    factor = SIDE_PX / max(frames.shape[1:3])
    width, height = (max(2, 2 * round(side * factor / 2)) for side in (frames.shape[2], frames.shape[1]))
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    sized = np.stack([cv2.resize(frame, (width, height), interpolation=how) for frame in frames])
    return base64.b64encode(encode_rgb_mp4(sized, fps=min(max(fps, MIN_FPS), MAX_FPS), crf=CRF)).decode()


def _file(name: str) -> str:
    return files("openuni.benchmark.study").joinpath(name).read_text(encoding="utf-8")
