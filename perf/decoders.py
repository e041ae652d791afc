"""Measure video decoders: our reader (PyAV), decord and OpenCV, at the two things the build does with a clip.

Dense: 16 fps, short side 480 px (annotate). Sparse: 2 fps, short side 256 px (score). One decoder thread each. Every
contender gives the same frames at the same size. Two kinds of error are counted: wrong frames, and the mean
difference in levels from a reference (our native-size RGB, area-averaged in floating point by OpenCV).

Usage::

    python perf/decoders.py [--clips DIR] [--repeats 3] [--out perf/results/decoders.json]
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from openuni.frames import FrameTarget, read_frames  # noqa: E402
from openuni.run import commit_hash, hardware  # noqa: E402

TASKS = {
    "dense": FrameTarget(fps=16, short_side_px=480, num_frames=None),
    "sparse": FrameTarget(fps=2, short_side_px=256, num_frames=None),
}


def ours(path: Path, target: FrameTarget, _: np.ndarray, __: tuple[int, int]) -> np.ndarray:
    return read_frames(path, target=target).rgb


def by_decord(path: Path, _: FrameTarget, indices: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    import decord

    reader = decord.VideoReader(str(path), num_threads=1, width=size[0], height=size[1])
    return reader.get_batch(indices.tolist()).asnumpy()


def by_opencv(path: Path, _: FrameTarget, indices: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    import cv2

    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    wanted, out = set(indices.tolist()), []
    for index in range(int(indices[-1]) + 1):
        if not capture.grab():
            break
        if index in wanted:
            out.append(cv2.resize(capture.retrieve()[1], size, interpolation=cv2.INTER_AREA)[..., ::-1])
    return np.stack(out)


def bare(path: Path, *_: Any) -> np.ndarray:
    """Decode everything, convert nothing: what a reader that skips no frame cannot beat."""
    import av

    with av.open(str(path), metadata_errors="replace") as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        return np.zeros(sum(1 for _ in container.decode(stream)))


CONTENDERS: dict[str, Callable[..., np.ndarray]] = {
    "openuni": ours,
    "decord": by_decord,
    "opencv": by_opencv,
    "bare decode": bare,
}


def measure(path: Path, task: str, repeats: int) -> list[dict[str, Any]]:
    """Time every contender on one clip and task: the best of `repeats` interleaved rounds."""
    target = TASKS[task]
    truth = read_frames(path, target=target)
    every_time_s = read_frames(path, target=FrameTarget(fps=None, short_side_px=16, num_frames=None)).times_s
    indices = np.searchsorted(every_time_s, truth.times_s - 1e-6)
    size = (truth.rgb.shape[2], truth.rgb.shape[1])
    reference = _reference(path, target, size)
    rows = {}
    for _ in range(repeats):
        for name, read in CONTENDERS.items():
            wall, cpu = time.perf_counter(), time.process_time()
            try:
                rgb = read(path, target, indices, size)
            except Exception as error:  # decord raises its own kind; the row says so
                rows[name] = {"failed": type(error).__name__}
                continue
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            row = rows.setdefault(name, {"wall_s": wall, "cpu_s": cpu, **_errors(rgb, reference)})
            row["wall_s"], row["cpu_s"] = min(wall, row["wall_s"]), min(cpu, row["cpu_s"])
    common = {"clip": path.stem, "task": task, "frames": len(indices), "size": f"{size[0]}x{size[1]}"}
    return [{**common, "decoder": name, **row} for name, row in rows.items()]


def _reference(path: Path, target: FrameTarget, size: tuple[int, int]) -> np.ndarray:
    import cv2

    native = read_frames(path, target=replace(target, short_side_px=None)).rgb
    return np.stack([cv2.resize(k.astype(np.float32), size, interpolation=cv2.INTER_AREA) for k in native])


def _errors(rgb: np.ndarray, reference: np.ndarray) -> dict[str, Any]:
    if rgb.ndim != 4:
        return {}
    if rgb.shape != reference.shape:
        return {"wrong_frames": abs(len(rgb) - len(reference)), "mean_error": None, "bias": None}
    # A frame is wrong if it is nearer to a neighbour's reference than to its own; still scenes cannot tell.
    own = np.array([np.abs(a - b).mean() for a, b in zip(rgb, reference, strict=True)])
    later = np.array([np.abs(a - b).mean() for a, b in zip(rgb[:-1], reference[1:], strict=True)])
    earlier = np.array([np.abs(a - b).mean() for a, b in zip(rgb[1:], reference[:-1], strict=True)])
    wrong = int((later < own[:-1] - 0.5).sum() + (earlier < own[1:] - 0.5).sum())
    bias = float(np.mean([(a - b).mean() for a, b in zip(rgb, reference, strict=True)]))
    return {"wrong_frames": wrong, "mean_error": float(own.mean()), "bias": bias}


def make_clips(folder: Path) -> list[Path]:
    """Encode three clips of 5 s: a sliding texture with a moving block, BT.709-tagged except the last."""
    clips = []
    for name, codec, width, height, gop, tagged in (
        ("made-720p-h264-gop250", "libx264", 1280, 720, 250, True),
        ("made-480p-h264-gop24", "libx264", 832, 480, 24, True),
        ("made-720p-hevc-untagged", "libx265", 1280, 720, 250, False),
    ):
        path = folder / f"{name}.mp4"
        _encode(path, codec, width, height, gop, tagged)
        clips.append(path)
    return clips


def _encode(path: Path, codec: str, width: int, height: int, gop: int, tagged: bool) -> None:
    import av
    import cv2

    rng = np.random.default_rng(0)
    texture = cv2.GaussianBlur(rng.integers(0, 256, (height, width * 2, 3), dtype=np.uint8), (0, 0), 3)
    texture = cv2.normalize(texture, None, 20, 235, cv2.NORM_MINMAX)
    options = {"preset": "veryfast", "g": str(gop), **({"x265-params": "log-level=0"} if codec == "libx265" else {})}
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=30, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        if tagged:
            stream.codec_context.colorspace = 1  # ITU-T H.273: BT.709
        for number in range(150):
            picture = np.ascontiguousarray(texture[:, 4 * number : 4 * number + width])
            picture[100 : 100 + height // 4, 6 * number : 6 * number + 80] = (220, 40, 40)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame = frame.reformat(format="yuv420p", dst_colorspace=1)
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown: one line for each clip, task and decoder."""
    lines = [
        "| clip | task | frames | size | decoder | wall s | CPU s | wrong frames | mean error | bias |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        if "failed" in row:
            figures = f"{row['failed']} | | | |"
        else:
            levels = [f"{row[name]:.2f}" if row.get(name) is not None else "" for name in ("mean_error", "bias")]
            figures = f"{row['wall_s']:.2f} | {row['cpu_s']:.2f} | {row.get('wrong_frames', '')} | {' | '.join(levels)}"
        names = " | ".join(str(row[name]) for name in ("clip", "task", "frames", "size", "decoder"))
        lines.append(f"| {names} | {figures} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=Path, help="Also measure the *.mp4 in this folder.")
    parser.add_argument("--repeats", type=int, default=3, help="Rounds; the best one counts.")
    parser.add_argument("--out", type=Path, default=ROOT / "perf" / "results" / "decoders.json")
    arguments = parser.parse_args()
    import av
    import cv2
    import decord

    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        clips = make_clips(Path(folder)) + sorted(arguments.clips.glob("*.mp4") if arguments.clips else [])
        rows = []
        for clip in clips:
            for task in TASKS:
                print(f"{clip.stem}: {task}", file=sys.stderr)
                rows += measure(clip, task, arguments.repeats)
    versions = {"av": av.__version__, "decord": decord.__version__, "opencv": cv2.__version__}
    record = {
        "date": date.today().isoformat(),
        "commit": commit_hash(),
        "hardware": hardware(),
        "versions": versions,
        "rows": rows,
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(record, indent=1) + "\n")
    print(table(rows))
    print(f"wrote {arguments.out.name}", file=sys.stderr)


if __name__ == "__main__":
    main()
