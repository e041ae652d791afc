"""Claim: checks of people find planted faults: each moves its score beyond the clean range on 95 % of clips or more.

    OMP_NUM_THREADS=1 python perf/people_checks.py [--clips 44] [--data FOLDER]

Clips of the scene family `crossing`, as for people_tracks.py. Clean are the true maps, and maps as estimators give
them ("blurred": joints moved by 2 % of the person's height, confidences lowered, masks and bodies grown and shrunk by
a pixel in turn). Faults are planted in the blurred maps: ids exchanged from the middle of the clip on, one person's
joints on the other, one map moved by 15 % of the people's height, left and right exchanged, joints shaken by 8 %. A
score is beyond the clean range if it is lower than on all clean clips (jump, shake and doubles: higher). FAULTS says
which score must show which fault.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import numpy as np
from people_tracks import crossings
from record import record

from openuni.benchmark.synth.render import RenderedClip
from openuni.modality import Map, modality
from openuni.table import CHECKS, load

NAMES = ("skeleton_check", "skeleton_mask_check", "skeleton_body_check", "densepose_mask_check")
HIGHER_IS_WORSE = ("skeleton_check.jump", "skeleton_check.doubles", "skeleton_check.shake")
FAULTS = {
    "skeleton ids exchanged": ("skeleton_mask_check.id_agreement",),
    "mask ids exchanged": ("skeleton_mask_check.id_agreement",),
    "skeleton on the other person": ("skeleton_mask_check.id_agreement", "skeleton_check.doubles"),
    "skeleton on the other person, no masks": ("skeleton_check.doubles", "skeleton_body_check.covered"),
    "skeleton moved": ("skeleton_mask_check.inside", "skeleton_body_check.inside"),
    "bodies moved": ("densepose_mask_check.inside", "skeleton_body_check.inside"),
    "left and right exchanged": ("skeleton_body_check.part_agreement",),
    "joints shaken": ("skeleton_check.shake",),
}
"""Fault -> scores, any of which must show it."""
MIRROR = [0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=44, help="Clips to render; some may be left out.")
    parser.add_argument("--data", type=Path, help="Folder of rendered clips; what is missing there is rendered.")
    given = parser.parse_args()
    checks = [load("check", CHECKS, name)() for name in NAMES]
    rows: list[dict[str, Any]] = []
    with TemporaryDirectory() as folder:
        for clip, _ in crossings(given.data or Path(folder), given.clips):
            for kind, maps in variants(clip, np.random.default_rng(len(rows))):
                rows.append({"clip": clip.name, "map": kind, "scores": score(checks, clip, maps)})
            print(clip.name, flush=True)
    found = {fault: beyond(rows, fault) for fault in FAULTS}
    for fault, share in found.items():
        print(f"{fault}: {share['found']} of {share['clips']} clips, {share}")
    record("people_checks", found=found, spans=spans(rows))


def score(checks: list[Any], clip: RenderedClip, maps: dict[str, Map]) -> dict[str, float | None]:
    """Run all checks on one clip's maps."""
    stored = {name: modality(name).stored(one) for name, one in maps.items()}
    view = SimpleNamespace(frames=SimpleNamespace(rgb=clip.rgb), maps=stored)
    out = {}
    for check in checks:
        for name, value in check(view).scores.items():
            out[f"{check.name}.{name}"] = None if value is None else float(value)
    return out


def variants(clip: RenderedClip, rng: np.random.Generator) -> Iterator[tuple[str, dict[str, Map]]]:
    """Clean maps and faulty ones."""
    true = {name: clip.maps()[name] for name in ("skeleton", "segmentation", "densepose")}
    yield "true", true
    made = blurred(true, rng)
    yield "blurred", made
    skeleton, masks, bodies = made["skeleton"].data, made["segmentation"].data, made["densepose"].data
    half, height = len(skeleton) // 2, size_of(skeleton)

    exchanged = skeleton.copy()
    exchanged[half:] = exchanged[half:, ::-1]
    yield "skeleton ids exchanged", made | {"skeleton": with_joints(made["skeleton"], exchanged)}

    first, second = true["skeleton"].arrays["track_ids"].tolist()
    table = np.arange(256, dtype=np.uint8)
    table[[first, second]] = second, first
    late = masks.copy()
    late[half:] = table[late[half:]]
    yield "mask ids exchanged", made | {"segmentation": Map(data=late)}

    other = skeleton.copy()
    other[:, 1] = other[:, 0]
    other[:, 1, :, :2] += rng.normal(0, 0.01 * height, other[:, 1, :, :2].shape)
    yield "skeleton on the other person", made | {"skeleton": with_joints(made["skeleton"], other)}
    yield "skeleton on the other person, no masks", made | {"skeleton": with_joints(made["skeleton"], other)}

    way = 0.15 * height * np.array([np.cos(angle := rng.uniform(0, 2 * np.pi)), np.sin(angle)])
    moved = skeleton.copy()
    moved[..., :2] += way.astype(np.float32)
    yield "skeleton moved", made | {"skeleton": with_joints(made["skeleton"], moved)}

    dx, dy = (round(float(one)) for one in way)
    yield "bodies moved", made | {"densepose": Map(data=np.roll(bodies, (dy, dx), axis=(1, 2)))}

    mirrored = skeleton[:, :, MIRROR]
    yield "left and right exchanged", made | {"skeleton": with_joints(made["skeleton"], mirrored)}

    shaken = skeleton.copy()
    shaken[..., :2] += rng.normal(0, 0.08 * height, shaken[..., :2].shape)
    yield "joints shaken", made | {"skeleton": with_joints(made["skeleton"], shaken)}


def blurred(true: dict[str, Map], rng: np.random.Generator) -> dict[str, Map]:
    """Make maps as estimators give them, one apart from the other."""
    import cv2

    joints = true["skeleton"].data.copy()
    joints[..., :2] += rng.normal(0, 0.02 * size_of(joints), joints[..., :2].shape)
    joints[..., 2] *= rng.uniform(0.75, 1.0, joints.shape[:3])
    maps = {"skeleton": with_joints(true["skeleton"], joints)}
    for number, name in enumerate(("segmentation", "densepose")):
        frames = true[name].data.copy()
        for t, frame in enumerate(frames):
            change = cv2.dilate if (t + number) % 2 else cv2.erode
            frames[t] = change(frame, np.ones((3, 3), np.uint8))
        maps[name] = Map(data=frames)
    return maps


def with_joints(skeleton: Map, joints: np.ndarray) -> Map:
    return Map(data=joints.astype(np.float32), arrays=skeleton.arrays, facts=skeleton.facts)


def size_of(joints: np.ndarray) -> float:
    """Median height of the people, px, by their joints."""
    seen = np.where(joints[..., 2] > 0, joints[..., 1], np.nan)
    there = np.isfinite(seen).sum(axis=-1) > 8
    return float(np.median(np.nanmax(seen[there], axis=-1) - np.nanmin(seen[there], axis=-1)))


def badness(scores: dict[str, float | None], name: str) -> float:
    """The score so that larger is worse; missing is not bad."""
    value = scores[name]
    return -np.inf if value is None else value if name in HIGHER_IS_WORSE else -value


def beyond(rows: list[dict[str, Any]], fault: str) -> dict[str, int]:
    """On how many clips a fault's scores, any and each, lie beyond all clean clips."""
    clean = [row["scores"] for row in rows if row["map"] in ("true", "blurred")]
    mine = [row["scores"] for row in rows if row["map"] == fault]
    worst = {name: max(badness(one, name) for one in clean) for name in FAULTS[fault]}
    each = {name: sum(badness(one, name) > limit for one in mine) for name, limit in worst.items()}
    any_of = sum(any(badness(one, name) > limit for name, limit in worst.items()) for one in mine)
    return {"clips": len(mine), "found": any_of, **each}


def spans(rows: list[dict[str, Any]]) -> dict[str, dict[str, list[float] | None]]:
    """Smallest and largest of each score, by kind of map."""
    out: dict[str, dict[str, list[float] | None]] = {}
    for kind in dict.fromkeys(row["map"] for row in rows):
        mine = [row["scores"] for row in rows if row["map"] == kind]
        known = {name: [one[name] for one in mine if one[name] is not None] for name in mine[0]}
        out[kind] = {name: [round(min(v), 3), round(max(v), 3)] if v else None for name, v in known.items()}
    return out


if __name__ == "__main__":
    main()
