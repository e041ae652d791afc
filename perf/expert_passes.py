"""Measure experts and the fused annotate pass: how much of the time do networks compute?

    python perf/expert_passes.py                                       # tiny networks on the CPU: the script itself
    python perf/expert_passes.py --device cuda --size real             # random weights of the real sizes
    python perf/expert_passes.py --device cuda --size real --experts raft-large --workers 1 2 4

For each expert: frames a second of the stage, of its network's forwards alone (hooks around every outermost forward,
synchronised), and the most memory it took. Then `rgb` and all experts as one pass over clips in files: decode, experts,
encode, shards. Goal: the pass reaches at least 0.8 of the clips a second that the networks' forwards alone allow. With
several workers a GPU is shared as the planner does it. Prints Markdown, writes perf/results/expert_passes.json (tiny
sizes: expert_passes_tiny.json).
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))  # for the tests' tiny networks

from random_experts import EXPERTS, SIZES, WRITERS, save
from record import record

SETTINGS: dict[str, dict[str, str]] = {
    # A random SAM trusts nothing: everything is taken, then as many are followed as a real clip has.
    "sam": {"min_iou": "-9", "min_stability": "-9", "max_overlap": "0.7", "max_objects": "6"},
    "grounded-sam2": {"min_box": "0.0", "min_text": "0.0", "max_objects": "6"},
}
TINY: dict[str, dict[str, str]] = {"sam": {"points_per_side": "4"}, "raft-large": {"updates": "2"}}


def main() -> None:
    """Measure, print, record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--size", choices=SIZES, default="tiny")
    parser.add_argument("--experts", nargs="+", choices=sorted(set(WRITERS) - {"sam2.1-large"}), default=list(EXPERTS))
    parser.add_argument("--frames", type=int, help="Of a clip. [default: 81 real, 6 tiny]")
    parser.add_argument("--side", type=int, help="Short side, px; the long one is 16:9. [default: 480 real, 64 tiny]")
    parser.add_argument("--clips", type=int, help="Clips of the fused pass. [default: 4 a worker real, 2 tiny]")
    parser.add_argument("--workers", type=int, nargs="+", help="Of one GPU or CPU. [default: 1 and the planner's]")
    parser.add_argument("--compile", action="store_true", help="torch.compile the networks.")
    parser.add_argument("--weights", type=Path, help="Keep the random weights here. [default: a temporary folder]")
    options = parser.parse_args()
    real = options.size == "real"
    options.frames = options.frames or (81 if real else 6)
    options.side = options.side or (480 if real else 64)
    with tempfile.TemporaryDirectory() as scratch:
        weights = options.weights or Path(scratch, "weights")
        for name in options.experts:
            save(name, weights, options.size)
        rows = [measure(name, weights, options) for name in options.experts]
        passes = fused(rows, weights, Path(scratch), options)
    print_tables(rows, passes)
    settings = {name: getattr(options, name) for name in ("device", "size", "experts", "frames", "side", "compile")}
    record("expert_passes" if real else "expert_passes_tiny", settings=settings, experts=rows, passes=passes)


def make(name: str, weights: Path, options: argparse.Namespace) -> Any:
    """Make an expert's stage."""
    from openuni.annotators.expert import make_stage
    from openuni.table import ANNOTATORS, load

    cls = load("expert", ANNOTATORS, name)
    settings = {"device": options.device, "compile": str(options.compile).lower(), **SETTINGS.get(name, {})}
    if options.size == "tiny":
        settings |= TINY.get(name, {})
    return make_stage(cls, settings, str(weights), part=cls.name)


def frames_of(options: argparse.Namespace, seed: int = 0) -> np.ndarray:
    """Frames (T, H, W, 3) uint8: smooth texture that slides, 2 px a frame."""
    import cv2

    height, width = options.side, options.side * 16 // 9 // 16 * 16
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 255, (height // 8, (width + 2 * options.frames) // 8 + 1, 3)).astype(np.uint8)
    large = cv2.resize(small, (width + 2 * options.frames, height), interpolation=cv2.INTER_CUBIC)
    return np.stack([large[:, 2 * t : 2 * t + width] for t in range(options.frames)])


class Forwards:
    """Sums the time of a stage's networks, counting only outermost forwards."""

    def __init__(self, stage: Any, device: str) -> None:
        self.device, self.depth, self.seconds, self.started = device, 0, 0.0, 0.0
        for module in networks(stage):
            # Parts are called by themselves too, as SAM's encoder and decoder.
            for part in (module, *module.children()):
                part.register_forward_pre_hook(self.enter)
                part.register_forward_hook(self.leave, always_call=True)

    def now(self) -> float:
        """Time at which the device has done all it was told."""
        if self.device == "cuda":
            import torch

            torch.cuda.synchronize()
        return time.perf_counter()

    def enter(self, *_: Any) -> None:
        """Begin an outermost forward."""
        if not self.depth:
            self.started = self.now()
        self.depth += 1

    def leave(self, *_: Any) -> None:
        """End it."""
        self.depth -= 1
        if not self.depth:
            self.seconds += self.now() - self.started


def networks(stage: Any) -> list[Any]:
    """Find the torch modules that a stage holds, itself or in its parts; none twice."""
    import torch

    found: dict[int, Any] = {}
    seen: set[int] = set()

    def look(thing: Any, depth: int) -> None:
        if id(thing) in seen or depth > 4:
            return
        seen.add(id(thing))
        if isinstance(thing, torch.nn.Module):
            found[id(thing)] = thing
        elif hasattr(thing, "__dict__") and type(thing).__module__.partition(".")[0] in OURS:
            for value in vars(thing).values():
                look(value, depth + 1)

    look(stage, 0)
    return list(found.values())


OURS = ("openuni", "segment_anything", "transformers")


def measure(name: str, weights: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Measure one expert alone."""
    import torch

    stage = make(name, weights, options)
    stage.setup()
    forwards = Forwards(stage, options.device)
    clip = SimpleNamespace(frames=SimpleNamespace(rgb=frames_of(options)))
    if options.device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    call(stage, clip)  # the first call loads kernels, and compiles
    forwards.seconds, start = 0.0, forwards.now()
    status = call(stage, clip)
    took = forwards.now() - start
    peak = torch.cuda.max_memory_allocated() / 1e9 if options.device == "cuda" else None
    parameters = sum(p.numel() for network in networks(stage) for p in network.parameters()) / 1e6
    print(f"{name}: {took:.2f} s a clip, {forwards.seconds:.2f} s of it forwards ({status})", flush=True)
    del stage
    if options.device == "cuda":
        torch.cuda.empty_cache()
    return {
        "expert": name, "status": status, "parameters_m": round(parameters, 1), "stage_s": took,
        "forward_s": forwards.seconds, "frames_per_s": options.frames / took, "peak_gb": peak,
    }  # fmt: skip


def call(stage: Any, clip: Any) -> str:
    """Call a stage; a random network may find nothing or depth that fits no clip, which costs the same time."""
    from openuni.engine.stage import Absent

    try:
        stage(clip)
    except Absent as absent:
        return f"absent: {absent}"
    return "ok"


def fused(
    rows: list[dict[str, Any]], weights: Path, scratch: Path, options: argparse.Namespace
) -> list[dict[str, Any]]:
    """Run the experts with `rgb` as one pass over clips in files, for each number of workers."""
    from openuni.engine.gpus import UNKNOWN_GB, gpu_memories_gb
    from openuni.engine.packing import pack
    from openuni.frames import FrameTarget
    from openuni.pipelines.rgb import RgbStage
    from openuni.view import OpenClip

    target = FrameTarget(num_frames=options.frames, short_side_px=options.side)
    stages = (RgbStage(), *(make(name, weights, options) for name in options.experts))
    planned = pack(stages, min(gpu_memories_gb(), default=UNKNOWN_GB))
    wanted = options.workers or sorted({1, planned[0].workers_per_gpu or 1})
    clips = options.clips or (4 * max(wanted) if options.size == "real" else 2)
    folder = write_clips(scratch / "clips", clips, options)
    bound = 1 / sum(row["forward_s"] for row in rows)
    made = []
    for workers in wanted:
        view = OpenClip(str(folder), target)
        seconds, done, statuses = run_pass(stages, view, scratch / f"out{workers}", folder, workers)
        rate = done / seconds if seconds else float("nan")
        made.append(
            {"workers": workers, "clips": done, "clips_per_s": rate, "bound_clips_per_s": bound,
             "share": rate / bound, "statuses": statuses, "planned_passes": [one._asdict() for one in planned]}
        )  # fmt: skip
        print(f"{workers} workers: {rate:.3f} clips/s, {rate / bound:.2f} of the forwards alone", flush=True)
    return made


def write_clips(folder: Path, clips: int, options: argparse.Namespace) -> Path:
    """Write mp4 files."""
    from openuni.video import encode_rgb_mp4

    folder.mkdir(parents=True)
    for number in range(clips):
        (folder / f"{number:03}.mp4").write_bytes(encode_rgb_mp4(frames_of(options, seed=number), fps=16.0))
    return folder


def run_pass(stages: Any, view: Any, out: Path, folder: Path, workers: int) -> tuple[float, int, dict[str, int]]:
    """Run a pass; returns seconds and clips from each worker's first finished clip on, and statuses.

    What comes before is loading. The time ends with the last clip.
    """
    from openuni.clip import Clip, make_clip_id
    from openuni.engine.job import Job
    from openuni.engine.local import LocalEngine
    from openuni.engine.monitor import Breaker, Monitor, silent

    names = sorted(path.name for path in folder.iterdir())
    clips = [
        Clip(clip_id=make_clip_id("perf", name), source="perf", source_key=name, source_video=name, path=name)
        for name in names
    ]
    job = Job(
        name="annotate", out=out, stages=stages, open_view=view, view_fingerprint=view.fingerprint(),
        gpu_share=1 / workers,
    )  # fmt: skip
    job.plan.append(clips, unit_size=max(1, len(clips) // workers))
    finished: list[float] = []

    class Timed(Monitor):
        """Notes when clips are done."""

        def clip(self, report: Any) -> None:
            """Count one clip."""
            finished.append(time.perf_counter())
            super().clip(report)

    units = job.plan.names()
    with Timed(
        "annotate", clips=len(clips), units=len(units), event=silent, breaker=Breaker(1.0), quiet=True
    ) as monitor:
        LocalEngine(workers if workers > 1 else 0).run(job, units, monitor)
        statuses = dict(monitor.statuses)
    return finished[-1] - finished[workers - 1], len(finished) - workers, statuses


def print_tables(rows: list[dict[str, Any]], passes: list[dict[str, Any]]) -> None:
    """Print Markdown."""
    print("\n| expert | parameters, M | s a clip | of it forwards, s | frames/s | peak GB | |")
    print("|---|---|---|---|---|---|---|")
    for row in rows:
        peak = "-" if row["peak_gb"] is None else f"{row['peak_gb']:.1f}"
        print(
            f"| {row['expert']} | {row['parameters_m']:,.0f} | {row['stage_s']:.2f} | {row['forward_s']:.2f} "
            f"| {row['frames_per_s']:.1f} | {peak} | {row['status']} |"
        )
    print("\n| workers | clips/s of the pass | of the forwards alone |\n|---|---|---|")
    for one in passes:
        print(f"| {one['workers']} | {one['clips_per_s']:.3f} | {one['share']:.2f} |")


if __name__ == "__main__":
    main()
