"""Claim: with every filter that uses no model the score pass is at least 0.6 times as fast as bare decode.

Bare decode is PyAV decoding every frame of every clip, converting none, one thread per process, as many processes
as the score pass has workers. Both are timed from their first process to the last commit, in turns, several times.
The filter `text`, which runs a model (OCR), is measured apart, in text_filter.py.
"""

import argparse
import multiprocessing
import os
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

os.environ.setdefault("OMP_NUM_THREADS", "1")

from record import record

from openuni.table import FILTERS

if TYPE_CHECKING:  # not at run time: every process of the measured pools would import it
    import numpy as np

WORKERS = 2
GOAL = 0.6
MODEL_FREE = tuple(name for name in FILTERS if name != "text")
CLIPS = 384
FRAMES, HEIGHT, WIDTH, FPS = 150, 720, 1280, 30


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--clips", type=Path, help="folder of clips; without it clips are made")
    arguments.add_argument("--repeats", type=int, default=3)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = given.clips or make_clips(Path(folder, "clips"))
        paths = sorted(str(path) for path in root.rglob("*.mp4"))
        rows = []
        for repeat in range(given.repeats):
            bare_s, frames = bare_decode(paths)
            score_s = score_pass(root, Path(folder, f"out{repeat}"), MODEL_FREE)
            rows.append({"bare_s": round(bare_s, 2), "score_s": round(score_s, 2), "ratio": round(bare_s / score_s, 3)})
            print(f"bare {bare_s:.2f} s ({frames} frames), score pass {score_s:.2f} s, ratio {bare_s / score_s:.2f}")
    ratios = sorted(row["ratio"] for row in rows)
    print(f"ratio bare / score: median {ratios[len(ratios) // 2]:.2f}, goal >= {GOAL}")
    record(
        "score_pass",
        clips=len(paths),
        made=given.clips is None,
        workers=WORKERS,
        runs=rows,
        ratio_median=ratios[len(ratios) // 2],
        goal=GOAL,
    )


def make_clips(folder: Path, clips: int = CLIPS) -> Path:
    """Encode five-second 720p clips: a detailed picture that pans, with sensor noise."""
    folder.mkdir(parents=True)
    for number in range(clips):
        if number < 8:
            encode(folder / f"{number}.mp4", panning(number))
        else:  # eight different clips; the rest are copies, which cost the same to decode
            (folder / f"{number}.mp4").write_bytes((folder / f"{number % 8}.mp4").read_bytes())
    return folder


def panning(seed: int) -> Iterator["np.ndarray"]:
    """Yield the FRAMES frames of one clip, (HEIGHT, WIDTH, 3) uint8: 2 px to the side each."""
    import cv2
    import numpy as np

    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 255, (HEIGHT // 8, (WIDTH + 2 * FRAMES) // 8, 3)).astype(np.uint8)
    picture = cv2.resize(coarse, (WIDTH + 2 * FRAMES, HEIGHT), interpolation=cv2.INTER_CUBIC)
    noise = rng.integers(-4, 5, (4, HEIGHT, WIDTH, 3))
    for t in range(FRAMES):
        yield np.clip(picture[:, 2 * t : 2 * t + WIDTH].astype(int) + noise[t % 4], 0, 255).astype(np.uint8)


def encode(path: Path, frames: Iterable["np.ndarray"], *, width: int = WIDTH, height: int = HEIGHT) -> None:
    """Write frames, (height, width, 3) uint8, as H.264 at FPS."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"crf": "23", "preset": "fast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


def decode_every_frame(path: str) -> int:
    """Decode a clip and convert nothing."""
    import av

    with av.open(path) as container:
        container.streams.video[0].thread_count = 1
        return sum(1 for _ in container.decode(video=0))


def bare_decode(paths: list[str]) -> tuple[float, int]:
    """Return the seconds for all clips on WORKERS processes, their start included, and the number of frames."""
    started = time.perf_counter()
    with multiprocessing.get_context("spawn").Pool(WORKERS) as pool:
        frames = sum(pool.imap_unordered(decode_every_frame, paths))
    return time.perf_counter() - started, frames


def score_pass(root: Path, out: Path, filters: tuple[str, ...]) -> float:
    """Return the seconds of the build's score pass on WORKERS local workers, commits included."""
    from openuni.engine.local import LocalEngine
    from openuni.engine.monitor import Breaker, silent
    from openuni.engine.run import run
    from openuni.pipelines.build import Build, BuildConfig

    parts = Build.prepare(BuildConfig(source="folder", root=str(root), out=out, filters=filters, preset="none"))
    parts.score.plan.append(parts.source.clips())
    started = time.perf_counter()
    run(parts.score, LocalEngine(WORKERS), event=silent, breaker=Breaker(), quiet=True)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
