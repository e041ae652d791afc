"""Claim: on rendered clips of two people who walk past each other, 95 % or more have no id switch.

    OMP_NUM_THREADS=1 python perf/people_tracks.py [--clips 44] [--data FOLDER]

Clips of the scene family `crossing` (32 frames, 112 x 160 px, cameras at rest and moving), rendered into FOLDER or read
from it: openuni unibench render --families crossing --clips 44 --seed 5 --size 160x112 --frames 32 --out FOLDER.
Detections are the true boxes about what is seen of each person, in an order drawn anew for each frame; in "hard" runs
edges are moved by 4 % of the person's size, one detection in ten is missing, and one frame in ten has a false one. A
switch is a frame in which a person has another id than when last seen. Clips in which the two boxes never overlap by
more than a tenth count nothing and are left out.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from record import record

from openuni.annotators.boxes import ious
from openuni.annotators.people_tracks import Detections, Linking, Tracks, track
from openuni.benchmark.synth.files import clip_names, read_clip
from openuni.benchmark.synth.job import RenderConfig, render_run
from openuni.benchmark.synth.render import RenderedClip
from openuni.engine.local import LocalEngine

SEED, FRAMES, HEIGHT, WIDTH = 5, 32, 112, 160
RUNS = {
    "true boxes": (False, Linking()),
    "hard": (True, Linking()),
    "true boxes, no colours": (False, Linking(motion_weight=1.0)),
    "hard, no colours": (True, Linking(motion_weight=1.0)),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=44, help="Clips to render; some may be left out.")
    parser.add_argument("--data", type=Path, help="Folder of rendered clips; what is missing there is rendered.")
    given = parser.parse_args()
    with TemporaryDirectory() as folder:
        rows = [measure(clip, boxes) for clip, boxes in crossings(given.data or Path(folder), given.clips)]
    clean = {run: sum(row[run] == 0 for row in rows) for run in RUNS}
    print({run: f"{count} of {len(rows)} clips without a switch" for run, count in clean.items()})
    record("people_tracks", frames=FRAMES, size=f"{HEIGHT}x{WIDTH}", clips=len(rows), without_switch=clean, rows=rows)


def measure(clip: RenderedClip, boxes: np.ndarray) -> dict[str, Any]:
    """Count the switches of one clip in each run."""
    row: dict[str, Any] = {"clip": clip.name, "camera": clip.facts["camera"], "largest_iou": round(overlap(boxes), 2)}
    for run, (hard, linking) in RUNS.items():
        frames, who = detections(boxes, np.random.default_rng([SEED, len(boxes)]), hard=hard)
        row[run] = switches(track(clip.rgb, frames, linking), who)
    print(row, flush=True)
    return row


def crossings(data: Path, clips: int) -> Iterator[tuple[RenderedClip, np.ndarray]]:
    """Render what is missing, and yield the clips in which people cross, with their boxes (T, 2, 4)."""
    config = RenderConfig(
        out=data, clips=clips, seed=SEED, families=("crossing",), height=HEIGHT, width=WIDTH, num_frames=FRAMES
    )
    render_run(config, LocalEngine(0), quiet=True)
    for name in clip_names(data)[:clips]:
        clip = read_clip(data / "clips" / name)
        boxes = clip.maps()["skeleton"].arrays["boxes"]
        if overlap(boxes) > 0.1:
            yield clip, boxes


def overlap(boxes: np.ndarray) -> float:
    """Largest IoU of the two people's boxes (T, 2, 4) in a clip."""
    return max(float(ious(frame[:1], frame[1:])[0, 0]) for frame in boxes)


def detections(boxes: np.ndarray, rng: np.random.Generator, *, hard: bool) -> tuple[list[Detections], list[np.ndarray]]:
    """Turn true boxes (T, P, 4) into what a detector might give, and whose each is (-1: nobody's)."""
    frames, who = [], []
    for frame in boxes:
        seen = np.flatnonzero(frame[:, 3] > 0)
        if hard:
            seen = seen[rng.random(len(seen)) > 0.1]
        found = frame[seen].copy()
        if hard and len(found):
            sides = np.tile(found[:, 2:] - found[:, :2], 2)
            found += (rng.normal(0, 0.04, found.shape) * sides).astype(np.float32)
        if hard and rng.random() < 0.1:
            corner = rng.uniform(0, boxes[..., 2:].max(axis=(0, 1)) * 0.7)
            false = np.concatenate([corner, corner + rng.uniform(10, 40, 2)]).astype(np.float32)
            found, seen = np.vstack([found, false[None]]), np.append(seen, -1)
        order = rng.permutation(len(seen))
        frames.append(Detections(found[order], np.ones(len(order), np.float32)))
        who.append(seen[order])
    return frames, who


def switches(tracks: Tracks, who: list[np.ndarray]) -> int:
    """Count the frames in which a person has another id than in the last frame in which they had one."""
    last: dict[int, int] = {}
    count = 0
    for t, row in enumerate(tracks.found):
        for column in np.flatnonzero(row >= 0):
            person, one = int(who[t][row[column]]), int(tracks.ids[column])
            if person >= 0:
                count += last.get(person, one) != one
                last[person] = one
    return count


if __name__ == "__main__":
    main()
