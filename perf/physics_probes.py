"""Claim: on rendered clips, where the laws hold, the physics probes find what they must, within these error bars.

    OMP_NUM_THREADS=1 python perf/physics_probes.py [--straws 20] [--clips 8]

Straws: pairs with and without water, one frame of each, at 384 px, seeds that set no threshold; found, and the error of
the break against the scene's refracted rays. Laws: clips at 160 px of the families fall, collision and hiding; the
acceleration's change over a fall (0 by gravity), the share of collisions with momentum's sign right, the share of
hidden balls that return, their size and how late they are. Cost: CPU-ms a frame of the detector, a clip of a probe.
"""

import argparse
import time
from typing import Any

import numpy as np
from record import record

from openuni.benchmark.metrics.laws import momentum_sign, returns
from openuni.benchmark.physics import laws
from openuni.benchmark.physics.refraction import STRAW
from openuni.benchmark.physics.straw import break_of_mask, find_straw
from openuni.benchmark.synth.families import make_scene
from openuni.benchmark.synth.geometry import Geometry
from openuni.benchmark.synth.refracted import refracted
from openuni.benchmark.synth.render import make_tier, render_clip
from openuni.benchmark.synth.truth import frame_truth

STRAW_SEED, LAW_SEED = 21, 22
STRAW_PX, LAW_PX, FRAME = 384, 160, 3
LENGTHS = {"fall": 12, "collision": 16, "hiding": 26}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--straws", type=int, default=20, help="Scenes, half of them with water.")
    arguments.add_argument("--clips", type=int, default=8, help="Clips of each law.")
    given = arguments.parse_args()
    tier = make_tier("fast")
    tier.setup()
    straws = [straw(number, tier) for number in range(given.straws)]
    found = {family: [law(family, number, tier) for number in range(given.clips)] for family in LENGTHS}
    summary = {"straw": summary_of(straws), **{family: law_summary(family, rows) for family, rows in found.items()}}
    for name, row in summary.items():
        print(name, row)
    record("physics_probes", summary=summary, straws=straws, laws=found)


def straw(number: int, tier: Any) -> dict[str, Any]:
    """One frame of a refraction scene: what is found and what the rays say."""
    scene = make_scene("refraction", seed=STRAW_SEED, number=number, num_frames=2 * FRAME)
    geometry = Geometry(scene)
    posed, camera = geometry.at(FRAME), scene.camera(FRAME, STRAW_PX, STRAW_PX)
    rgb = tier.draw(posed, camera, frame_truth(posed, camera, None, None).first)
    seen = refracted(posed, camera)
    mask = (seen.component == [thing.name for thing in scene.things].index(STRAW)) & ~seen.top
    expected = break_of_mask(mask & ~seen.wet, mask & seen.wet) if scene.facts["water"] else 0.0
    start = time.process_time()
    found = find_straw(rgb)
    cost = 1000 * (time.process_time() - start)
    error = None if found is None or expected is None else found.break_deg - expected
    print("straw", number, scene.facts["water"], expected, error, flush=True)
    return {"number": number, "water": scene.facts["water"], "expected_deg": expected, "found": found is not None,
            "error_deg": error, "ms": cost}  # fmt: skip


def summary_of(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Found, and errors with and without water."""
    out: dict[str, Any] = {"scenes": len(rows), "found": sum(row["found"] for row in rows)}
    for name, water in (("wet", True), ("dry", False)):
        errors = np.abs([row["error_deg"] for row in rows if row["water"] is water and row["error_deg"] is not None])
        out[name] = {"mean_deg": float(errors.mean()), "largest_deg": float(errors.max()),
                     "within_1_deg": int((errors <= 1).sum()), "of": len(errors)}  # fmt: skip
    return out | {"ms": float(np.median([row["ms"] for row in rows]))}


def law(family: str, number: int, tier: Any) -> dict[str, Any]:
    """One clip of a law, measured."""
    scene = make_scene(family, seed=LAW_SEED, number=number, num_frames=LENGTHS[family])
    rgb = render_clip(scene, height=LAW_PX, width=LAW_PX, tier=tier).rgb
    start = time.process_time()
    red = laws.track(rgb, "red")
    row: dict[str, Any] = {"number": number}
    if family == "fall":
        row["change"] = laws.acceleration_change(red)
    elif family == "collision":
        row["right"] = momentum_sign(red, laws.track(rgb, "green"), LAW_PX)
    else:
        back = laws.permanence(red)
        row |= {"right": returns(red, LAW_PX), "size": back and back.size, "late_px": back and back.late_px}
    print(family, row, flush=True)
    return row | {"ms": 1000 * (time.process_time() - start)}


def law_summary(family: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Error bars of a law."""
    out: dict[str, Any] = {"clips": len(rows), "ms": float(np.median([row["ms"] for row in rows]))}
    if family == "fall":
        changes = np.array([row["change"] for row in rows])
        measured = changes[~np.isnan(changes)]
        return out | {"measured": len(measured), "mean": float(measured.mean()), "sd": float(measured.std(ddof=1)),
                      "largest": float(np.abs(measured).max())}  # fmt: skip
    return out | {"right": int(sum(row["right"] for row in rows))}


if __name__ == "__main__":
    main()
