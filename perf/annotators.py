"""Measure the embedded annotators on generated scenes: accuracy, honesty about what they cannot do, and speed.

    OMP_NUM_THREADS=1 python perf/annotators.py [--seeds 1 2] [--frames 17] [--sizes 256x256 480x832]

Prints Markdown tables and writes perf/results/annotators.json. Scenes are those of benchmark/synth/boxes.py with two
movers, clean and "hard": blur of 1.2 px, half the contrast, noise of 4 levels, H.264 at crf 28. Figures are means over
frames, then clips. Times are CPU seconds of one thread.
"""

import argparse
import datetime
import io
import json
import os
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from openuni.annotators.depth_motion import MotionDepth
from openuni.annotators.flow_dis import DisFlow
from openuni.benchmark.synth.boxes import Scene, scene
from openuni.engine.stage import Absent, Result
from openuni.modality import Map, modality
from openuni.run import commit_hash, hardware

RESULT = Path(__file__).parent / "results" / "annotators.json"
TRAVELLING, RESTING = ("dolly", "walk", "orbit"), ("static", "pan", "zoom")
FARTHEST_M = 60.0  # predictions beyond count as 60 m, so that one pixel at infinity does not decide a mean
CRF = 28
FLOW_COLUMNS = ("epe", "epe_valid", "epe_movers", "flow_px", "valid", "occluded_valid", "s_per_frame")
DEPTH_COLUMNS = (
    "absrel", "delta1", "absrel_affine", "absrel_valid", "absrel_all", "constant",
    "valid", "movers_valid", "flicker", "focal_ratio", "s_per_frame",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2], help="Scenes to render.")
    parser.add_argument("--frames", type=int, default=17, help="Length of a clip in frames.")
    parser.add_argument("--sizes", nargs="+", default=["256x256", "480x832"], help="HEIGHTxWIDTH of the clips.")
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for size in options.sizes:
        height, width = map(int, size.split("x"))
        for camera in (*TRAVELLING, *RESTING):
            for seed in options.seeds:
                clip = scene(seed, num_frames=options.frames, height=height, width=width, camera=camera)
                for quality in ("clean", "hard"):
                    frames = clip.rgb if quality == "clean" else degrade(clip.rgb)
                    row = {"size": size, "camera": camera, "seed": seed, "quality": quality}
                    rows.append(row | measure(clip, frames))
    record = {
        "date": datetime.date.today().isoformat(),
        "commit": commit_hash(),
        "hardware": {**hardware(), "threads": os.environ.get("OMP_NUM_THREADS", "")},
        "frames": options.frames,
        "rows": rows,
    }
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(record, indent=1) + "\n")
    print(tables(rows))
    print(f"wrote {RESULT.name} ({len(rows)} clips)")


def measure(clip: Scene, frames: np.ndarray) -> dict[str, Any]:
    """Run both annotators on one clip, as a build does, and score them."""
    flow, depth = DisFlow(), MotionDepth()
    flow.setup()
    depth.setup()
    view = SimpleNamespace(frames=SimpleNamespace(rgb=frames, fps=clip.fps), maps={})
    start = time.process_time()
    made = flow(view).map
    seconds = time.process_time() - start
    assert made is not None
    out = {"flow": score_flow(clip, made) | {"s_per_frame": seconds / len(frames)}}
    view.maps["flow"] = modality("flow").stored(made)
    start = time.process_time()
    try:
        result = depth(view)
    except Absent as reason:
        return out | {"absent": str(reason), "depth_s": time.process_time() - start}
    seconds = time.process_time() - start
    focal = float(result.scores["focal_ratio"] or 0) * max(frames.shape[1:3]) / clip.focal_px[0]
    return out | {"depth": score_depth(clip, result) | {"focal_ratio": focal, "s_per_frame": seconds / len(frames)}}


def score_flow(clip: Scene, made: Map) -> dict[str, float]:
    assert made.valid is not None
    error = np.linalg.norm(made.data - clip.flow, axis=-1)[:-1]
    valid, movers, hidden = made.valid[:-1], ~clip.static[:-1], clip.occluded[:-1]
    return {
        "epe": float(error.mean()),
        "epe_valid": float(error[valid].mean()),
        "epe_movers": float(error[movers].mean()),
        "flow_px": float(np.linalg.norm(clip.flow[:-1], axis=-1).mean()),
        "valid": float(valid.mean()),
        "occluded_valid": float(valid[hidden].mean()) if hidden.any() else 0.0,
    }


def score_depth(clip: Scene, result: Result) -> dict[str, float]:
    """Scores of a relative disparity; each frame is scaled by its median, over the pixels that count.

    flicker is the mean absolute change, from frame to frame, of the log of that scale: 0 if one scale fits the clip.
    """
    assert result.map is not None and result.map.valid is not None
    per_frame, scales = [], []
    everything = np.ones(clip.depth.shape[1:], bool)
    for true, disparity, valid, static in zip(clip.depth, result.map.data, result.map.valid, clip.static, strict=True):
        at_rest = aligned(true, disparity, static)
        affine = fitted(true, disparity, static)
        constant = np.abs(np.median(true[static]) - true[static]) / true[static]
        per_frame.append(
            (
                error(at_rest, true[static]),
                np.mean(np.maximum(at_rest / true[static], true[static] / at_rest) < 1.25),
                error(affine, true[static]),
                error(aligned(true, disparity, static & valid), true[static & valid]),
                error(aligned(true, disparity, everything), true[everything]),
                constant.mean(),
                valid.mean(),
                valid[~static].mean() if (~static).any() else 0.0,
            )
        )
        scales.append(np.log(np.median(true[static & valid] * disparity[static & valid])))
    names = ("absrel", "delta1", "absrel_affine", "absrel_valid", "absrel_all", "constant", "valid", "movers_valid")
    means = dict(zip(names, np.mean(per_frame, axis=0).astype(float).tolist(), strict=True))
    return means | {"flicker": float(np.abs(np.diff(scales)).mean())}


def aligned(true: np.ndarray, disparity: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Depth in metres of the pixels `where`, scaled by the median ratio."""
    depth = 1 / np.maximum(disparity[where], 1e-9)
    return np.minimum(depth * np.median(true[where] / depth), FARTHEST_M)


def fitted(true: np.ndarray, disparity: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Depth in metres after the best scale and shift of disparity (least squares)."""
    design = np.stack([disparity[where], np.ones(where.sum())], axis=1)
    solution = np.linalg.lstsq(design, 1 / true[where], rcond=None)[0]
    return 1 / np.maximum(design @ solution, 1 / FARTHEST_M)


def error(depth: np.ndarray, true: np.ndarray) -> float:
    return float(np.mean(np.abs(depth - true) / true))


def degrade(frames: np.ndarray) -> np.ndarray:
    """Blur, half contrast, noise and H.264: the "hard" clips."""
    import av
    import cv2

    rng = np.random.default_rng(0)
    content = io.BytesIO()
    with av.open(content, "w", format="mp4") as out:
        stream = out.add_stream("libx264", rate=16, options={"crf": str(CRF)})
        stream.height, stream.width, stream.pix_fmt = frames.shape[1], frames.shape[2], "yuv420p"
        stream.codec_context.thread_count = 1
        for frame in frames:
            dull = (cv2.GaussianBlur(frame, (0, 0), 1.2).astype(float) - 128) / 2 + 128 + rng.normal(0, 4, frame.shape)
            picture = av.VideoFrame.from_ndarray(np.clip(dull, 0, 255).astype(np.uint8), format="rgb24")
            out.mux(stream.encode(picture))
        out.mux(stream.encode())
    content.seek(0)
    with av.open(content, mode="r") as source:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in source.decode(video=0)])


def tables(rows: list[dict[str, Any]]) -> str:
    """Markdown: flow, depth, and where depth was absent; means over seeds."""
    lines = ["| size | quality | flow of | " + " | ".join(FLOW_COLUMNS) + " |", "|---" * (3 + len(FLOW_COLUMNS)) + "|"]
    depth = ["| size | quality | camera | " + " | ".join(DEPTH_COLUMNS) + " |", "|---" * (3 + len(DEPTH_COLUMNS)) + "|"]
    absent = ["| size | quality | camera | depth | s per clip |", "|---|---|---|---|---|"]
    groups = sorted({(row["size"], row["quality"], row["camera"]) for row in rows})
    for size, quality, camera in groups:
        mine = [row for row in rows if (row["size"], row["quality"], row["camera"]) == (size, quality, camera)]
        lines.append(line(size, quality, camera, [row["flow"] for row in mine], FLOW_COLUMNS))
        made = [row["depth"] for row in mine if "depth" in row]
        if made:
            depth.append(line(size, quality, f"{camera} ({len(made)} of {len(mine)})", made, DEPTH_COLUMNS))
        if gone := [row for row in mine if "absent" in row]:
            reasons = ", ".join(row["absent"] for row in gone)
            seconds = np.mean([row["depth_s"] for row in gone])
            absent.append(f"| {size} | {quality} | {camera} | {reasons} | {seconds:.1f} |")
    return "\n".join([*lines, "", *depth, "", *absent, ""])


def line(size: str, quality: str, camera: str, scores: list[dict[str, float]], columns: tuple[str, ...]) -> str:
    cells = [f"{np.mean([score[column] for score in scores]):.3f}" for column in columns]
    return f"| {size} | {quality} | {camera} | " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()
