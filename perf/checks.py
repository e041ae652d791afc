"""Measure what the checks' scores are on right and on damaged maps, and what the checks cost.

    OMP_NUM_THREADS=1 python perf/checks.py [--seeds 1] [--frames 13] [--size 480x832] [--build DIR]

Prints a Markdown table for each modality, smallest and largest value over all clips, and writes
perf/results/checks.json. Clips are scenes of benchmark/synth/boxes.py with two movers and six cameras, clean and
"hard" (blur of 1.2 px, half the contrast, noise of 6 levels). Times are CPU seconds of one thread, scaled to 81 frames.
With --build, flow and depth of a finished build are scored too, as they are and with flow scaled by 1.5; these stay
out of the result file.
"""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from record import record

from openuni.annotators.depth_motion import MotionDepth
from openuni.annotators.flow_dis import DisFlow
from openuni.benchmark.synth.boxes import CAMERAS, Scene, scene
from openuni.engine.stage import Absent, Stage
from openuni.modality import Map, modality
from openuni.pipelines.checks.accept import ACCEPTANCE
from openuni.pipelines.checks.base import Check
from openuni.rule import Rule, failing
from openuni.sample import SampleReader
from openuni.table import CHECKS, load

FRAMES = 81  # what times are stated for
Maps = Iterator[tuple[str, Map]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1], help="Scenes to render for each camera.")
    parser.add_argument("--frames", type=int, default=13, help="Length of a clip in frames.")
    parser.add_argument("--size", default="480x832", help="HEIGHTxWIDTH of the clips.")
    parser.add_argument("--build", type=Path, help="Folder of a finished build to score as well.")
    options = parser.parse_args()
    height, width = map(int, options.size.split("x"))
    checks = {name: ready(load("check", CHECKS, name)()) for name in CHECKS}
    rows: list[dict[str, Any]] = []
    before = scene(100, num_frames=options.frames, height=height, width=width, camera="walk")
    for seed in options.seeds:
        for number, camera in enumerate(CAMERAS):
            clip = scene(
                seed * 10 + number, num_frames=options.frames, height=height, width=width, camera=camera
            )  # another seed for each camera: other textures, other objects
            rows += measure(checks, clip, before, camera)
            before = clip
    record("checks", frames=options.frames, size=options.size, spans=spans(rows), seconds=seconds(rows))
    print(tables(rows))
    if options.build:
        print(tables(measure_build(checks, options.build)))


def measure(checks: dict[str, Check], clip: Scene, other: Scene, camera: str) -> list[dict[str, Any]]:
    """Score right and damaged maps of one clip, clean and hard."""
    rows = []
    for quality, frames in (("clean", clip.rgb), ("hard", harden(clip.rgb))):
        made = embedded_flow(frames)
        about = {"camera": camera, "quality": quality}
        true = Map(data=clip.flow, valid=clip.flow_valid, arrays={"occluded": clip.occluded})
        for kind, flow in flows(true, made, other):
            rows.append(about | score(checks["flow_check"], frames, {"flow": flow}, kind))
        spliced = np.concatenate([frames[: len(frames) // 2], other.rgb[len(frames) // 2 :]])
        rows.append(
            about | score(checks["flow_check"], spliced, {"flow": embedded_flow(spliced)}, "embedded, over a cut")
        )
        for kind, depth in depths(clip, other, frames, made):
            rows.append(about | score(checks["depth_check"], frames, {"flow": made, "depth": depth}, kind))
        for kind, masks in segmentations(clip, other):
            rows.append(
                about | score(checks["segmentation_check"], frames, {"flow": made, "segmentation": masks}, kind)
            )
    return rows


def measure_build(checks: dict[str, Check], folder: Path) -> list[dict[str, Any]]:
    """Score the flow and depth of a build."""
    rows = []
    reader = SampleReader(folder, ["flow", "depth"])
    for number in range(len(reader)):
        sample = reader[number]
        frames, flow = sample.rgb.data, sample.maps["flow"]
        scaled = Map(data=flow.data * np.float32(1.5), valid=flow.valid)
        for kind, made in (("of the build", flow), ("of the build, x 1.5", scaled)):
            rows.append(score(checks["flow_check"], frames, {"flow": made}, kind))
        if "depth" in sample.maps:
            rows.append(score(checks["depth_check"], frames, dict(sample.maps), "of the build"))
    return rows


def ready(stage: Any) -> Any:
    stage.setup()
    return stage


def score(check: Check, frames: np.ndarray, maps: dict[str, Map], kind: str) -> dict[str, Any]:
    """Return a row: the scores, whether the default rules accept the map, and the time."""
    stored = {name: modality(name).stored(one) for name, one in maps.items()}
    start = time.process_time()
    scores = dict(check(SimpleNamespace(frames=SimpleNamespace(rgb=frames), maps=stored)).scores)
    seconds = (time.process_time() - start) / len(frames) * FRAMES
    columns = {f"{check.name}.{name}": [value] for name, value in scores.items()}
    (against,) = failing([Rule(text) for text in ACCEPTANCE[check.judges]], columns)
    return {"modality": check.judges, "map": kind, "accepted": not against, "seconds": seconds, "scores": scores}


def harden(frames: np.ndarray) -> np.ndarray:
    import cv2

    rng = np.random.default_rng(0)
    dull = (np.stack([cv2.GaussianBlur(frame, (0, 0), 1.2) for frame in frames]) - 128.0) / 2 + 128
    return np.clip(dull + rng.normal(0, 6, frames.shape), 0, 255).astype(np.uint8)


def embedded_flow(frames: np.ndarray) -> Map:
    made = run(DisFlow(), frames, {})
    assert made is not None
    return modality("flow").stored(made)


def run(stage: Stage, frames: np.ndarray, maps: dict[str, Map]) -> Map | None:
    view = SimpleNamespace(frames=SimpleNamespace(rgb=frames), maps=maps)
    try:
        return ready(stage)(view).map
    except Absent:
        return None


def flows(true: Map, made: Map, other: Scene) -> Maps:
    """Right flow and wrong."""
    yield "true", true
    yield "embedded", made
    for factor in (1.5, 0.67):
        yield f"true x {factor}", Map(data=true.data * np.float32(factor), valid=true.valid, arrays=true.arrays)
    noise = np.random.default_rng(0).normal(0, 1, true.data.shape).astype(np.float32)
    yield "true + noise of 1 px", Map(data=true.data + noise, valid=true.valid, arrays=true.arrays)
    yield "zero", Map(data=np.zeros_like(true.data), valid=true.valid, arrays=true.arrays)
    yield "backwards", Map(data=-true.data, valid=true.valid, arrays=true.arrays)
    yield "of another clip", Map(data=other.flow, valid=other.flow_valid)


def depths(clip: Scene, other: Scene, frames: np.ndarray, flow: Map) -> Maps:
    """Right depth and wrong, as disparity but for the first."""
    import cv2

    rng = np.random.default_rng(0)
    disparity = 1 / clip.depth
    count = len(disparity)
    valid = np.ones(disparity.shape, bool)

    def relative(values: np.ndarray) -> Map:
        return Map(data=values.astype(np.float32), valid=valid, facts={"kind": "relative_disparity"})

    yield "true", Map(data=clip.depth, valid=valid, facts={"kind": "metric_depth"})
    embedded = run(MotionDepth(), frames, {"flow": flow})
    if embedded is not None:
        yield "embedded", embedded
    per_frame = rng.normal(0, 1, (count, 1, 1))
    yield "scaled by 1 % at random", relative(disparity * np.exp(0.01 * per_frame))
    yield "scaled by 5 % at random", relative(disparity * np.exp(0.05 * per_frame))
    yield "noise of 0.2 deviations", relative(disparity + rng.normal(0, 0.2 * disparity.std(), disparity.shape))
    yield "blurred by 12 px", relative(np.stack([cv2.GaussianBlur(frame, (0, 0), 12) for frame in disparity]))
    yield "first frame held", relative(np.repeat(disparity[:1], count, axis=0))
    yield "mirrored", relative(disparity[:, :, ::-1])
    yield "of another clip", relative(1 / other.depth)


def segmentations(clip: Scene, other: Scene) -> Maps:
    """Right masks and wrong."""
    import cv2

    rng = np.random.default_rng(0)
    ids = clip.ids
    yield "true", Map(data=ids)
    breathing = ids.copy()
    for t, frame in enumerate(ids):
        change = cv2.dilate if t % 2 else cv2.erode
        breathing[t] = change(frame, np.ones((13, 13), np.uint8))
    yield "6 px larger and smaller", Map(data=breathing)
    yield "holes, 10 % of pixels", Map(data=np.where(rng.random(ids.shape) < 0.1, 0, ids).astype(ids.dtype))
    exchanged, half = ids.copy(), len(ids) // 2
    exchanged[half:] = np.array([0, *np.roll(np.arange(1, ids.max() + 1), 1)], ids.dtype)[ids[half:]]
    yield "ids exchanged once", Map(data=exchanged)
    orders = [np.array([0, *1 + rng.permutation(ids.max())], ids.dtype) for _ in ids]
    yield "ids shuffled", Map(data=np.stack([order[frame] for order, frame in zip(orders, ids, strict=True)]))
    yield "first frame held", Map(data=np.repeat(ids[:1], len(ids), axis=0))
    yield "mirrored", Map(data=np.ascontiguousarray(ids[:, :, ::-1]))
    yield "of another clip", Map(data=other.ids)


def by_kind(rows: list[dict[str, Any]]) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """Rows by modality and kind of map, in the order of their first rows."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in sorted(rows, key=lambda row: list(ACCEPTANCE).index(row["modality"])):
        groups.setdefault((row["modality"], row["map"]), []).append(row)
    return groups


def spans(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Smallest and largest of each score over clips, by modality and kind of map."""
    out = []
    for (name, kind), mine in by_kind(rows).items():
        scores = {}
        for column in mine[0]["scores"]:
            known = [row["scores"][column] for row in mine if row["scores"][column] is not None]
            scores[column] = [round(end(known), 4) for end in (min, max)] if known else None
        accepted = sum(row["accepted"] for row in mine)
        out.append({"modality": name, "map": kind, "clips": len(mine), "accepted": accepted, "scores": scores})
    return out


def seconds(rows: list[dict[str, Any]]) -> dict[str, float]:
    """CPU seconds of each check for FRAMES frames, mean over maps."""
    names = dict.fromkeys(row["modality"] for row in rows)
    return {name: float(np.mean([row["seconds"] for row in rows if row["modality"] == name])) for name in names}


def tables(rows: list[dict[str, Any]]) -> str:
    """The same as Markdown, one table for each modality."""
    lines: list[str] = []
    for name, cost in seconds(rows).items():
        mine = [span for span in spans(rows) if span["modality"] == name]
        lines += ["", f"{name}: {cost:.2f} CPU s for {FRAMES} frames", ""]
        lines += ["| map | accepted | " + " | ".join(mine[0]["scores"]) + " |"]
        lines += ["|---" * (len(mine[0]["scores"]) + 2) + "|"]
        for span in mine:
            values = [
                " to ".join(dict.fromkeys(f"{end:.3g}" for end in ends or ())) for ends in span["scores"].values()
            ]
            lines.append(f"| {span['map']} | {span['accepted']} of {span['clips']} | " + " | ".join(values) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
