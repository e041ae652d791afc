"""Claim: Ray builds at least 0.85 times as fast as the local engine, two workers each, 200 short clips.

Both are the whole `openuni build` as a user runs it, in a process of its own: start of Ray, planning, both passes
and the index included. The engines take turns.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from record import record

CLIPS, WORKERS = 200, 2
FRAMES, HEIGHT, WIDTH = 33, 240, 416  # two seconds


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--repeats", type=int, default=1)
    given = arguments.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        root = make_clips(Path(folder, "clips"))
        for repeat in range(given.repeats):
            seconds = {}
            for engine in ("off", "auto"):
                out = Path(folder, f"{engine}{repeat}")
                seconds[engine] = build(root, out, engine)
            ratio = seconds["off"] / seconds["auto"]
            rows.append(
                {"local_s": round(seconds["off"], 1), "ray_s": round(seconds["auto"], 1), "ratio": round(ratio, 3)}
            )
            print(f"local {seconds['off']:.1f} s, Ray {seconds['auto']:.1f} s, ratio {ratio:.2f}")
    ratios = sorted(row["ratio"] for row in rows)
    print(f"ratio local / Ray: median {ratios[len(ratios) // 2]:.2f}, goal >= 0.85")
    record(
        "ray_vs_local",
        clips=CLIPS,
        workers=WORKERS,
        experts="flow-dis",
        runs=rows,
        ratio_median=ratios[len(ratios) // 2],
        goal=0.85,
    )


def make_clips(folder: Path) -> Path:
    """Render a few scenes and write each as many clips, told apart by their captions."""
    from openuni.benchmark.synth.boxes import CAMERAS, scene
    from openuni.video import encode_rgb_mp4

    folder.mkdir(parents=True)
    contents = []
    for seed, camera in enumerate(CAMERAS):
        made = scene(seed, num_frames=FRAMES, height=HEIGHT, width=WIDTH, camera=camera, num_movers=1)
        contents.append(encode_rgb_mp4(made.rgb, fps=made.fps))
    for number in range(CLIPS):
        (folder / f"{number:03d}.mp4").write_bytes(contents[number % len(contents)])
    return folder


def build(root: Path, out: Path, ray: str) -> float:
    """Return the seconds one build takes."""
    words = ["--source", "folder", "--root", root, "--out", out, "--preset", "none", "--experts", "flow-dis"]
    command = [sys.executable, "-m", "openuni.cli", "build", *words, "--ray", ray, "--workers", WORKERS]
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    started = time.perf_counter()
    subprocess.run([str(word) for word in command], check=True, env=environment, stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - started
    print(f"{'Ray' if ray == 'auto' else 'local'}: {seconds:.1f} s, of which passes {_passes(out):.1f} s", flush=True)
    return seconds


def _passes(out: Path) -> float:
    """Return the seconds between each pass's first and last committed unit, summed: the rate without any start."""
    import json
    from datetime import datetime

    times: dict[str, list[float]] = {}
    for line in (out / "events.jsonl").read_text().splitlines():
        event = json.loads(line)
        if event["event"] == "unit":
            times.setdefault(event["name"], []).append(datetime.fromisoformat(event["time"]).timestamp())
    return sum(max(each) - min(each) for each in times.values())


if __name__ == "__main__":
    main()
