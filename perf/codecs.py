"""Measure the codecs on a made 49 x 480 x 832 clip: bytes, CPU seconds, and errors before and after H.264.

    OMP_NUM_THREADS=1 python perf/codecs.py [--frames 49] [--video PATH]

Prints a Markdown table and writes perf/results/codecs.json. The maps are made (seed 0): a slanted floor with moving
discs, with the noise of an estimator on depth and flow (1 % slow, 0.2 % pixel to pixel), so that sizes are not those
of perfect truth. `--video` takes the frames for the rgb row from a file; without it they are a made texture.
"""

import argparse
import datetime
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from openuni.codec.densepose import DENSEPOSE
from openuni.codec.depth import DEPTH
from openuni.codec.flow import FLOW
from openuni.codec.rgb import RGB
from openuni.codec.segmentation import SEGMENTATION
from openuni.codec.skeleton import SKELETON
from openuni.modality import Map, Modality
from openuni.run import commit_hash, hardware
from openuni.video import decode_rgb, encode_rgb_mp4

HEIGHT, WIDTH, FPS = 480, 832, 16.0
CRFS = (18, 23)
RESULT = Path(__file__).parent / "results" / "codecs.json"
# A standing person in COCO order, 100 units high.
BODY = np.array(
    [(0, 0), (2, -3), (-2, -3), (5, -1), (-5, -1), (11, 14), (-11, 14), (17, 30), (-17, 30), (22, 44), (-22, 44),
     (7, 45), (-7, 45), (9, 68), (-9, 68), (10, 92), (-10, 92)], dtype=np.float64)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=49, help="Length of the clip in frames.")
    parser.add_argument("--video", type=Path, help="Take the frames of the rgb row from this file.")
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    rows = [
        measure(DEPTH, depth(options.frames, rng), depth_error),
        measure(FLOW, flow(options.frames, rng), flow_error),
        measure(SEGMENTATION, segmentation(options.frames), accuracy),
        measure(DENSEPOSE, densepose(options.frames, rng), accuracy),
        measure(SKELETON, skeleton(options.frames), joint_error),
        measure_rgb(rgb(options.frames, rng, options.video)),
    ]
    record = {
        "date": datetime.date.today().isoformat(),
        "commit": commit_hash(),
        "hardware": {**hardware(), "threads": os.environ.get("OMP_NUM_THREADS", "")},
        "clip": [options.frames, HEIGHT, WIDTH],
        "rgb": options.video.name if options.video else "made texture",
        "rows": rows,
    }
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(record, indent=1) + "\n")
    print_table(rows)


def measure(modality: Modality, map: Map, error: Callable[[Map, Map, Any], dict[str, float]]) -> dict[str, Any]:
    """Return sizes, seconds and errors of one modality."""
    encoded, encode_s = timed(lambda: modality.encode(map))
    decoded, decode_s = timed(lambda: modality.decode(*encoded))
    drawing, render_s = timed(lambda: modality.render(map))
    parsed, parse_s = timed(lambda: modality.parse(drawing.frames, drawing.scale))
    row: dict[str, Any] = {
        "modality": modality.name,
        "kilobytes": {name: round(len(content) / 1000, 1) for name, content in encoded.members.items()},
        "encode_s": encode_s, "decode_s": decode_s, "render_s": render_s, "parse_s": parse_s,
        "stored_error": error(map, decoded, drawing.scale),
        "colour_error": error(map, parsed, drawing.scale),
    }  # fmt: skip
    for crf in CRFS:
        video = encode_rgb_mp4(drawing.frames, fps=FPS, crf=crf)
        read = modality.parse(decode_rgb(video).frames, drawing.scale)
        row[f"crf{crf}_error"] = error(map, read, drawing.scale)
        row[f"crf{crf}_kilobytes"] = round(len(video) / 1000, 1)
    return row


def measure_rgb(map: Map) -> dict[str, Any]:
    """Like `measure`: the frames are their own drawing."""
    encoded, encode_s = timed(lambda: RGB.encode(map))
    decoded, decode_s = timed(lambda: RGB.decode(*encoded))
    kilobytes = round(len(encoded.members["mp4"]) / 1000, 1)
    row = {"modality": "rgb", "kilobytes": {"mp4": kilobytes}, "encode_s": encode_s, "decode_s": decode_s}
    for crf in CRFS:
        video = encode_rgb_mp4(map.data, fps=FPS, crf=crf) if crf != 18 else encoded.members["mp4"]
        read = decode_rgb(video).frames if crf != 18 else decoded.data
        difference = np.abs(read.astype(np.int16) - map.data)
        row[f"crf{crf}_error"] = {"mean_level": round_(difference.mean()), "max_level": float(difference.max())}
        row[f"crf{crf}_kilobytes"] = round(len(video) / 1000, 1)
    return row


def depth_error(true: Map, got: Map, scale: Any) -> dict[str, float]:
    error = np.abs(got.data - true.data)[true.valid] / (scale["hi"] - scale["lo"])
    return {"mean_of_range": round_(error.mean()), "p99": round_(np.quantile(error, 0.99)), "max": round_(error.max())}


def flow_error(true: Map, got: Map, _: Any) -> dict[str, float]:
    error = np.hypot(*np.moveaxis(got.data - true.data, -1, 0))[true.valid]
    return {"mean_px": round_(error.mean()), "p99": round_(np.quantile(error, 0.99)), "max": round_(error.max())}


def accuracy(true: Map, got: Map, _: Any) -> dict[str, float]:
    shown = true.data > 0
    right = got.data == true.data
    return {"right": round_(right.mean()), "right_in_foreground": round_(right[shown].mean())}


def joint_error(true: Map, got: Map, _: Any) -> dict[str, float]:
    """Errors of found joints, each person against the nearest found one in each frame."""
    errors = []
    for joints, found in zip(true.data, got.data, strict=True):
        seen = found[..., 2] > 0
        for person in joints:
            distance = np.hypot(*np.moveaxis(found[..., :2] - person[None, :, :2], -1, 0))
            means = [distance[one][seen[one]].mean() if seen[one].any() else np.inf for one in range(len(found))]
            if means:
                best = int(np.argmin(means))
                errors += distance[best][seen[best]].tolist()
    found_part = len(errors) / (true.data.shape[0] * true.data.shape[1] * 17)
    mean, largest = (round_(np.mean(errors)), round_(np.max(errors))) if errors else (float("nan"), float("nan"))
    return {"found": round_(found_part), "mean_px": mean, "max_px": largest}


def discs(frames: int) -> np.ndarray:
    """(T, H, W) uint8: five moving discs with ids 1 to 5."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    ids = np.zeros((frames, HEIGHT, WIDTH), dtype=np.uint8)
    for t in range(frames):
        for one in range(5):
            place = (HEIGHT * (0.3 + 0.4 * (one % 2)), 90 + 160 * one + 2 * t)
            ids[t][np.hypot(rows - place[0], columns - place[1]) < 60 + 8 * one] = one + 1
    return ids


def noise(frames: int, rng: np.random.Generator) -> np.ndarray:
    """(T, H, W) float32 with deviation 1 % in slow waves and 0.2 % from pixel to pixel."""
    coarse = rng.normal(0, 0.01, (frames, HEIGHT // 32 + 1, WIDTH // 32 + 1))
    slow = coarse.repeat(32, axis=1).repeat(32, axis=2)[:, :HEIGHT, :WIDTH]
    return (slow + rng.normal(0, 0.002, slow.shape)).astype(np.float32)


def depth(frames: int, rng: np.random.Generator) -> Map:
    floor = 0.2 + np.arange(HEIGHT, dtype=np.float32)[None, :, None] / HEIGHT
    data = (floor + 0.3 * discs(frames).astype(np.float32)) * (1 + noise(frames, rng))
    return Map(data=data, valid=np.ones(data.shape, bool), facts={"kind": "relative_disparity"})


def flow(frames: int, rng: np.random.Generator) -> Map:
    rows, columns = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    around = np.stack([-(rows - HEIGHT / 2), columns - WIDTH / 2], axis=-1) * (10 / np.hypot(HEIGHT / 2, WIDTH / 2))
    data = np.repeat(around[None], frames, axis=0)
    data[discs(frames) > 0] = (12.0, -9.0)
    data += np.stack([noise(frames, rng), noise(frames, rng)], axis=-1) * 15
    valid = np.ones(data.shape[:3], bool)
    valid[-1] = False
    return Map(data=data.astype(np.float32), valid=valid)


def segmentation(frames: int) -> Map:
    return Map(data=discs(frames))


def densepose(frames: int, rng: np.random.Generator) -> Map:
    """Discs split into the 24 parts in 16 px tiles, with smooth U and V."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    tiles = ((rows // 16) * 7 + (columns // 16) * 5) % 24 + 1
    ids = discs(frames)
    uv = np.stack([rows * 4 % 256, columns * 4 % 256], axis=-1).astype(np.uint8)
    shown = ids > 0
    return Map(data=np.where(shown, tiles, 0).astype(np.uint8), arrays={"uv": uv * shown[..., None].astype(np.uint8)})


def skeleton(frames: int) -> Map:
    data = np.full((frames, 3, 17, 3), 0.9, dtype=np.float32)
    for t in range(frames):
        for person in range(3):
            joints = 3.2 * BODY
            joints[[9, 10, 15, 16], 0] += 40 * np.sin(0.4 * t + person)
            data[t, person, :, :2] = joints + np.array([120 + 260 * person + 1.3 * t, 60])
    boxes = np.concatenate([data[..., :2].min(axis=2), data[..., :2].max(axis=2)], axis=-1)
    return Map(data=data, arrays={"boxes": boxes, "track_ids": np.arange(3)}, facts={"height": HEIGHT, "width": WIDTH})


def rgb(frames: int, rng: np.random.Generator, video: Path | None) -> Map:
    times = [t / FPS for t in range(frames)]
    if video:
        import cv2

        decoded = decode_rgb(video.read_bytes()).frames[:frames]
        sized = [cv2.resize(frame, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA) for frame in decoded]
        return Map(data=np.stack(sized), facts={"times_s": times[: len(sized)], "fps": FPS})
    coarse = rng.integers(0, 256, (HEIGHT // 8, WIDTH // 8 + frames, 3), dtype=np.uint8)
    texture = coarse.repeat(8, axis=0).repeat(8, axis=1)
    moving = np.stack([texture[:, 2 * t : 2 * t + WIDTH] for t in range(frames)])
    return Map(data=moving, facts={"times_s": times, "fps": FPS})


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """Return the result and the CPU seconds of this process; wall time means nothing on a shared machine."""
    start = time.process_time()
    result = work()
    return result, round(time.process_time() - start, 2)


def round_(value: Any) -> float:
    return float(f"{float(value):.3g}")


def print_table(rows: list[dict[str, Any]]) -> None:
    errors = "stored error | draw / read CPU-s | colour error | crf 18 | crf 23"
    print(f"| modality | stored kB | encode / decode CPU-s | {errors} |")
    print("|" + "---|" * 8)
    for row in rows:
        cells = [
            row["modality"],
            ", ".join(f"{name} {size:g}" for name, size in row["kilobytes"].items()),
            f"{row['encode_s']} / {row['decode_s']}",
            words(row.get("stored_error")),
            f"{row['render_s']} / {row['parse_s']}" if "render_s" in row else "-",
            words(row.get("colour_error")),
            *(f"{words(row[f'crf{crf}_error'])}; {row[f'crf{crf}_kilobytes']:g} kB" for crf in CRFS),
        ]
        print("| " + " | ".join(cells) + " |")


def words(error: dict[str, float] | None) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in error.items()) if error else "-"


if __name__ == "__main__":
    main()
