"""Measure what training renderings keep of a map: read back from the array, and after H.264 at crf 18 and 23.

    OMP_NUM_THREADS=1 python perf/renderings.py [--clips 6] [--sides 256 64]

Renders clips with exact truth (objects, one and two people; 16 frames, square), draws every modality, reads it back
and scores it as `openuni bench` scores an annotator: the best that a network with this rendering could reach. Prints
Markdown tables and writes perf/results/renderings.json. Figures are means over the clips that have the metric.
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from record import record

from openuni.benchmark.judge import judge
from openuni.benchmark.synth.files import clip_names, read_truth
from openuni.benchmark.synth.job import RenderConfig, render_run
from openuni.benchmark.synth.render import maps_of
from openuni.benchmark.synth.truth import Truth
from openuni.engine.local import LocalEngine
from openuni.modality import Map
from openuni.model.rendering import RenderingConfig, Renderings, paper, tiny
from openuni.video import decode_rgb, encode_rgb_mp4

FRAMES, FPS = 16, 16.0
FAMILIES = ("objects", "one_person", "two_people")
CRFS = (18, 23)
SHOWN = {
    "depth": (("abs_rel", "disp-ls"), ("delta1", "disp-ls")),
    "flow": (("epe", "all"), ("out1", "all")),
    "segmentation": (("miou", "clip"), ("ap", "clip")),
    "densepose": (("part_iou", "clip"), ("part_accuracy", "clip"), ("uv_error", "clip")),
    "skeleton": (("pck_box_seen", "frame"), ("oks", "frame")),
}
"""Modality -> metrics and their protocols."""
CASES = (
    ("default", RenderingConfig(), tuple(SHOWN)),
    ("gray", RenderingConfig(depth_palette="gray"), ("depth",)),
    ("linear", RenderingConfig(flow_magnitude="linear"), ("flow",)),
    ("any size", RenderingConfig(min_instance_px=1), ("segmentation",)),
    ("viridis", paper(), ("densepose",)),
    ("iuv", RenderingConfig(densepose="iuv"), ("densepose",)),
    ("13 joints, 1 px", tiny(), ("skeleton",)),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=6, help="Clips to render at each size.")
    parser.add_argument("--sides", type=int, nargs="+", default=[256, 64], help="Sides of the square pictures in px.")
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for side in options.sides:
        with tempfile.TemporaryDirectory(prefix="openuni-") as folder:
            truths = rendered(Path(folder) / "clips", options.clips, side)
        rows += [
            {"side_px": side, "modality": modality, "rendering": name, **measure(modality, Renderings(config), truths)}
            for name, config, modalities in CASES
            for modality in modalities
        ]
    record("renderings", clips=options.clips, frames=FRAMES, families=FAMILIES, rows=rows)
    print_tables(rows)


def rendered(root: Path, clips: int, side: int) -> list[Truth]:
    config = RenderConfig(out=root, clips=clips, families=FAMILIES, height=side, width=side, num_frames=FRAMES)
    render_run(config, LocalEngine(0), quiet=True)
    return [read_truth(root / "clips" / name) for name in clip_names(root)]


def measure(modality: str, renderings: Renderings, truths: list[Truth]) -> dict[str, Any]:
    """Return the mean scores from the array and after each crf, and CPU seconds for one clip."""
    scores: dict[str, list[dict[str, float]]] = {}
    draw_s = read_s = 0.0
    for truth in truths:
        true = maps_of(truth)[modality]
        start = time.process_time()
        drawn = renderings.to_frames(modality, true)
        middle = time.process_time()
        read = renderings.to_map(modality, drawn.frames)
        draw_s, read_s = draw_s + middle - start, read_s + time.process_time() - middle
        scores.setdefault("array", []).append(score(modality, read, true, drawn.known, truth))
        for crf in CRFS:
            frames = decode_rgb(encode_rgb_mp4(drawn.frames, fps=FPS, crf=crf)).frames
            read = renderings.to_map(modality, frames)
            scores.setdefault(f"crf{crf}", []).append(score(modality, read, true, drawn.known, truth))
    means = {at: mean_of(found) for at, found in scores.items()}
    return {**means, "draw_s": round(draw_s / len(truths), 4), "read_s": round(read_s / len(truths), 4)}


def score(modality: str, read: Map, true: Map, known: dict[str, Any], truth: Truth) -> dict[str, float]:
    found = {(one.metric, one.protocol): one.value for one in judge(modality, read, truth)}
    out = {metric: found[f"{modality}.{metric}", protocol] for metric, protocol in SHOWN[modality]}
    if modality == "depth":
        with np.errstate(divide="ignore"):
            disparity = (1 / true.data - known["lo"]) / (known["hi"] - known["lo"])
        error = np.abs(read.data - disparity)[true.valid]
        out |= {"mean_of_range": error.mean(), "p99_of_range": np.quantile(error, 0.99), "max_of_range": error.max()}
    if modality == "flow":
        error = np.hypot(*np.moveaxis(read.data - true.data, -1, 0))[true.valid]
        out |= {"median_px": np.median(error), "p99_px": np.quantile(error, 0.99), "max_px": error.max()}
    if modality == "skeleton":
        out |= {"found": joints_found(read, true, known["joints"])}
    return {name: float(value) for name, value in out.items() if value is not None}


def joints_found(read: Map, true: Map, joints: list[int]) -> float:
    """Joints read, in all tracks, over joints drawn."""
    drawn = int((true.data[:, :, joints, 2] > 0.3).sum())
    return float("nan") if drawn == 0 else int((read.data[:, :, joints, 2] > 0).sum()) / drawn


def mean_of(found: list[dict[str, float]]) -> dict[str, float]:
    names = {name: None for one in found for name in one}
    means = {name: [one[name] for one in found if np.isfinite(one.get(name, np.nan))] for name in names}
    return {name: float(f"{np.mean(values):.4g}") for name, values in means.items() if values}


def print_tables(rows: list[dict[str, Any]]) -> None:
    for modality in SHOWN:
        own = [row for row in rows if row["modality"] == modality]
        names = list(dict.fromkeys(name for row in own for name in row["array"]))
        print(f"\n| {modality} | side px | from | {' | '.join(names)} | draw / read s |")
        print("|---" * (len(names) + 4) + "|")
        for row in own:
            for at in ("array", *(f"crf{crf}" for crf in CRFS)):
                cells = " | ".join(f"{row[at][name]:.4g}" if name in row[at] else "-" for name in names)
                cost = f"{row['draw_s']:.2f} / {row['read_s']:.2f}" if at == "array" else ""
                print(f"| {row['rendering']} | {row['side_px']} | {at} | {cells} | {cost} |")


if __name__ == "__main__":
    main()
