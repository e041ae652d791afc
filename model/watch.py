"""Watching a run: the same held-out clip at each validation, an HTML page, TensorBoard, Weights & Biases."""

import html
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from openuni.engine.atomic import write_bytes
from openuni.errors import BadInput
from openuni.modality import Map
from openuni.model.rendering import Renderings
from openuni.model.train_config import TrainConfig
from openuni.table import METRICS, load

SAMPLES, PAGE = "samples", "report.html"
TILE_PX = 160
ERRORS = {
    "flow": ("flow.epe",),
    "densepose": ("densepose.part_iou",),
    "segmentation": ("segmentation.miou",),
}
"""Modality -> metrics of its estimate against the clip's own map. Depth needs an alignment, skeletons a matching: the
bench does those."""
WIDTH, HEIGHT = 640, 200  # of a curve, px


def errors(renderings: Renderings, truth: Mapping[str, Map], found: Mapping[str, Map]) -> dict[str, float]:
    """Errors of estimated maps against the clip's own, by metric; those that a rendering cannot carry are left out."""
    out = {}
    for name, metrics in ERRORS.items():
        for metric in metrics:
            if name not in found or renderings.carries(name, metric) is not None:
                continue
            true, guess = truth[name], found[name]
            arrays = [guess.data, true.data] + ([true.valid] if name == "flow" else [])
            value = float(load("metric", METRICS, metric)(*arrays))
            if np.isfinite(value):
                out[metric] = value
    return out


def draw(out: Path, step: int, videos: Mapping[str, Any]) -> Path:
    """Draw the middle frame of a clip: frames, then for each modality its own map and the estimate, one above the
    other.

    Args:
        out: the run's folder.
        step: names the picture.
        videos: "rgb" -> frames; modality -> (its own, estimated), each (T, H, W, 3) uint8.
    """
    import cv2
    from PIL import Image

    from openuni.panel import strip

    columns = []
    for name, video in videos.items():
        pair = (video, np.full_like(video, 24)) if name == "rgb" else video
        tiles = [strip(name, TILE_PX)]
        for frames in pair:
            frame = frames[len(frames) // 2]
            high = max(2, round(TILE_PX * frame.shape[0] / frame.shape[1]))
            tiles.append(cv2.resize(frame, (TILE_PX, high), interpolation=cv2.INTER_NEAREST))
        columns.append(np.concatenate(tiles))
    import io

    buffer = io.BytesIO()
    Image.fromarray(np.concatenate(columns, axis=1)).save(buffer, format="PNG")
    path = out / SAMPLES / f"{step}.png"
    path.parent.mkdir(exist_ok=True)
    write_bytes(path, buffer.getvalue(), durable=False)
    return path


class Sinks:
    """Where numbers go besides events.jsonl."""

    def __init__(self, config: TrainConfig, out: Path | None) -> None:
        """Open them on rank 0.

        Raises:
            BadInput: wandb is asked for and not installed.
        """
        self._board: Any = None
        self._wandb: Any = None
        if out is None:
            return
        if config.wandb:
            if find_spec("wandb") is None:
                raise BadInput(f"wandb={config.wandb}, but wandb is not installed: pip install wandb, or leave it out.")
            import wandb

            self._wandb = wandb.init(project=config.wandb, dir=str(out), config=config.to_json())
        if config.tensorboard and find_spec("tensorboard") is not None:
            from torch.utils.tensorboard import SummaryWriter

            self._board = SummaryWriter(str(out / "tensorboard"))

    def write(self, event: str, fields: Mapping[str, Any]) -> None:
        """Write an event's numbers."""
        if event not in ("train", "validation", "picture"):
            return
        numbers = {name: value for name, value in fields.items() if isinstance(value, float)}
        for group in ("parts", "errors"):
            numbers |= {f"{group}/{name}": value for name, value in fields.get(group, {}).items()}
        step = int(fields["step"])
        named = {f"{event}/{name}": value for name, value in numbers.items()}
        if self._board is not None:
            for name, value in named.items():
                self._board.add_scalar(name, value, step)
            self._board.flush()
        if self._wandb is not None:
            self._wandb.log(named, step=step)


def write_page(out: Path) -> Path:
    """Write the page of a run from its events: curves of the losses, the pictures of every validation."""
    lines = [json.loads(line) for line in (out / "events.jsonl").read_text("utf-8").splitlines()]
    curves: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for one in lines:
        if one["event"] == "train":
            curves["loss of each step"].append((one["step"], one["loss"]))
        elif one["event"] == "validation":
            for name, value in one.get("parts", {}).items():
                if "/t" not in name:
                    curves[f"held out: {name}"].append((one["step"], value))
        elif one["event"] == "picture":
            for name, value in one.get("errors", {}).items():
                curves[f"held-out clip: {name}"].append((one["step"], value))
    drawn = "".join(_curve(name, points) for name, points in curves.items())
    pictures = "".join(
        f'<figure><img loading="lazy" src="{SAMPLES}/{int(path.stem)}.png" alt=""><figcaption>step {int(path.stem)}'
        "</figcaption></figure>"
        for path in sorted((out / SAMPLES).glob("*.png"), key=lambda path: int(path.stem))
    )
    title = html.escape(f"openuni train: {out.name}")
    page = (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title><style>{STYLE}</style><h1>{title}</h1>"
        f"<section>{drawn}</section><h2>The same clip and seed at each validation</h2>"
        f"<p>Above its own maps, below the estimates.</p>{pictures or '<p>None yet.</p>'}"
    )
    write_bytes(out / PAGE, page.encode(), durable=False)
    return out / PAGE


STYLE = (
    "body{font:14px system-ui;margin:2em;max-width:1400px;background:#fff;color:#222}"
    "section{display:flex;flex-wrap:wrap;gap:1em}section figure{width:330px;font-size:12px}figure{margin:0 0 1em}"
    "svg{background:#f6f6f6}"
    "polyline{fill:none;stroke:#1565c0;stroke-width:1.5}img{image-rendering:pixelated;max-width:100%}"
)


def _curve(name: str, points: Sequence[tuple[int, float]]) -> str:
    """One curve as SVG, with its ends in figures."""
    good = [(step, value) for step, value in points if np.isfinite(value)]
    if not good:
        return ""
    steps, values = np.array(good, dtype=np.float64).T
    low, high = float(values.min()), float(values.max())
    x = (steps - steps[0]) / max(1.0, steps[-1] - steps[0]) * WIDTH
    y = HEIGHT - (values - low) / max(1e-12, high - low) * HEIGHT
    line = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
    said = f"{html.escape(name)}: {values[-1]:.4f} at step {int(steps[-1])} (from {low:.4f} to {high:.4f})"
    return (
        f'<figure><figcaption>{said}</figcaption><svg viewBox="0 -4 {WIDTH} {HEIGHT + 8}" width="{WIDTH // 2}" '
        f'height="{HEIGHT // 2}" role="img"><polyline points="{line}"/></svg></figure>'
    )
