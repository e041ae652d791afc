"""Claim: the camera filter names the camera of rendered clips, two things moving in each, clean and hard.

    OMP_NUM_THREADS=1 python perf/camera.py [--seeds 1 2 3] [--frames 81]

Rooms of benchmark/synth/boxes.py at 256 x 456 px, 16 fps; hard as in perf/annotators.py: blur, half the contrast,
noise, H.264 at crf 28. Samples twice a second, each with the next frame. dolly, orbit and walk are translations.
Amounts are compared with the mean of the true flow of the pixels at rest. Cost: CPU-ms of a clip of ten samples.
"""

import argparse
import time
from types import SimpleNamespace
from typing import Any

import numpy as np
from record import record

from annotators import degrade  # noqa: TID251 - perf/annotators.py, beside this script
from openuni.benchmark.synth.boxes import CAMERAS, FPS, Scene, scene
from openuni.pipelines.filters.camera import CameraFilter

HEIGHT, WIDTH = 256, 456
EXPECTED = {camera: "translation" if camera in ("dolly", "orbit", "walk") else camera for camera in CAMERAS}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], help="Scenes to render for each camera.")
    arguments.add_argument("--frames", type=int, default=81, help="Length of a clip in frames.")
    given = arguments.parse_args()
    stage, rows = CameraFilter(), []
    stage.setup()
    for camera in CAMERAS:
        for seed in given.seeds:
            clip = scene(seed, num_frames=given.frames, height=HEIGHT, width=WIDTH, camera=camera)
            for quality, frames in (("clean", clip.rgb), ("hard", degrade(clip.rgb))):
                row = {"camera": camera, "seed": seed, "quality": quality, "truth": truth(clip)}
                rows.append(row | measure(stage, frames))
                print(camera, seed, quality, rows[-1]["scores"]["type"], flush=True)
    right = [row["scores"]["type"] == EXPECTED[row["camera"]] for row in rows]
    print(table(rows))
    print(f"{sum(right)} of {len(right)} right; {np.median([row['ms'] for row in rows]):.0f} CPU-ms a clip")
    record("camera", frames=given.frames, right=sum(right), clips=len(right), rows=rows)


def measure(stage: CameraFilter, frames: np.ndarray) -> dict[str, Any]:
    """Score one clip, as the score pass does, and time it."""
    firsts = np.arange(0, len(frames) - 1, round(FPS / 2))
    times_s = np.stack([firsts, firsts + 1], axis=1) / FPS
    pairs = SimpleNamespace(rgb=np.stack([frames[firsts], frames[firsts + 1]], axis=1), times_s=times_s)
    view = SimpleNamespace(frames=SimpleNamespace(rgb=frames[firsts], times_s=times_s[:, 0]), pairs=pairs)
    start = time.process_time()
    scores = dict(stage(view).scores)
    return {"scores": scores, "ms": (time.process_time() - start) * 1000}


def truth(clip: Scene) -> dict[str, float]:
    """Mean pan and zoom of the true flow, in the filter's units."""
    x, y = np.meshgrid(np.arange(WIDTH) - (WIDTH - 1) / 2, np.arange(HEIGHT) - (HEIGHT - 1) / 2)
    pan, growth = [], []
    for flow, rest in zip(clip.flow[:-1], clip.static[:-1], strict=True):
        pan.append(-float(flow[rest][:, 0].mean()) / WIDTH)
        growth.append(float((flow[..., 0] * x + flow[..., 1] * y)[rest].sum() / (x**2 + y**2)[rest].sum()))
    return {"pan_pct_per_s": 100 * FPS * float(np.mean(pan)), "zoom_pct_per_s": 100 * FPS * float(np.mean(growth))}


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown: types found, and means over seeds."""
    lines = [
        "| camera | quality | types | pan, % per s | in the flow | zoom, % per s | in the flow | shake | parallax "
        "| coverage |",
        "|---" * 10 + "|",
    ]
    for camera in CAMERAS:
        for quality in ("clean", "hard"):
            mine = [row for row in rows if (row["camera"], row["quality"]) == (camera, quality)]
            found = [row["scores"]["type"] for row in mine]
            types = ", ".join(f"{found.count(name)} {name}" for name in sorted(set(found), key=str))
            cells = [
                f"{np.mean([row[part][name] for row in mine]):.2f}"
                for name in ("pan_pct_per_s", "zoom_pct_per_s")
                for part in ("scores", "truth")
            ]
            rest = [
                np.mean([row["scores"][name] for row in mine]) for name in ("shake_pct_per_s", "parallax", "coverage")
            ]
            lines.append(
                f"| {camera} | {quality} | {types} | " + " | ".join([*cells, *(f"{v:.2f}" for v in rest)]) + " |"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
