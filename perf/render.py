"""Measure what a rendered frame costs: truth alone, and truth with fast RGB, on scenes of the official set.

    OMP_NUM_THREADS=1 python perf/render.py [--size 256] [--frames 8] [--scenes 0 1 2 3 6]

CPU seconds of this process, per frame, posing and ray structures included; drawing the scenes from a seed (physics)
and reading the frozen ones are measured apart. If Blender's Python module is installed here or in the interpreter that
--blender names, a scene of the same kind is rendered with Cycles beside it. Writes perf/results/render.json.

    OMP_NUM_THREADS=1 python perf/render.py --photo [--variant scalar_rgb] [--samples 4]

measures tier photo beside tier fast instead, on one scene of each family, and writes perf/results/render_photo.json.
"""

import argparse
import json
import subprocess
import sys
import time
from typing import Any

import numpy as np
from record import record

from openuni.benchmark.synth.families import MIXED, make_scene
from openuni.benchmark.synth.frozen import official_scene
from openuni.benchmark.synth.geometry import Geometry
from openuni.benchmark.synth.render import frame_by_frame, make_tier

TRUTH_LIMIT_S, BOTH_LIMIT_S, PHOTO_LIMIT_S = 0.25, 0.35, 2.5  # the project's own bounds at 256 x 256
STATED_RIVAL = {
    "what": "Blender 4.5.15 (bpy), Cycles on the CPU, 16 samples and OIDN, an easier scene, RGB alone",
    "cpu_s_per_frame_256": 3.6,
    "measured": "on this project's first prototype, not in this run",
}
# Cycles on a plane with six solids: RGB, depth and vector passes.
BLENDER = """
import json, resource, sys, tempfile
import bpy
size, samples = int(sys.argv[1]), int(sys.argv[2])
bpy.ops.wm.read_factory_settings(use_empty=True)
scene = bpy.context.scene
scene.render.engine = "CYCLES"
scene.cycles.device = "CPU"
scene.cycles.samples = samples
scene.cycles.use_denoising = True
scene.render.threads_mode, scene.render.threads = "FIXED", 1
scene.render.resolution_x = scene.render.resolution_y = size
scene.view_layers[0].use_pass_z = scene.view_layers[0].use_pass_vector = True
scene.world = bpy.data.worlds.new("w")
bpy.ops.mesh.primitive_plane_add(size=100)
for number in range(6):
    add = (bpy.ops.mesh.primitive_uv_sphere_add, bpy.ops.mesh.primitive_cube_add, bpy.ops.mesh.primitive_cylinder_add)
    add[number % 3](location=(number % 3 - 1, number // 3 - 0.5, 0.3), scale=(0.3, 0.3, 0.3))
bpy.ops.object.light_add(type="SUN", rotation=(0.6, 0.2, 0.4))
bpy.ops.object.camera_add(location=(0, -6, 2), rotation=(1.25, 0, 0))
scene.camera = bpy.context.object
def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
with tempfile.TemporaryDirectory() as folder:
    scene.render.filepath = folder + "/warm.png"
    bpy.ops.render.render(write_still=True)
    started = cpu()
    for frame in range(2):
        scene.frame_set(frame)
        scene.render.filepath = folder + "/%d.png" % frame
        bpy.ops.render.render(write_still=True)
    print("RESULT " + json.dumps({"blender": bpy.app.version_string, "cpu_s": (cpu() - started) / 2}))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=256, help="Side of the picture in px.")
    parser.add_argument("--frames", type=int, default=8, help="Frames of each scene.")
    parser.add_argument(
        "--scenes", type=int, nargs="+", default=[0, 4, 1, 5, 2, 11, 3, 9, 6, 7], help="Official scenes."
    )
    parser.add_argument("--blender", default=sys.executable, help="Python interpreter that can import bpy.")
    parser.add_argument("--photo", action="store_true", help="Measure tier photo beside fast.")
    parser.add_argument("--variant", default="scalar_rgb", help="Of Mitsuba; the bound is for scalar_rgb.")
    parser.add_argument("--samples", type=int, default=4, help="Paths per pixel; the bound is for 4.")
    options = parser.parse_args()
    if options.photo:
        compare(options)
        return
    tier = make_tier("fast")
    tier.setup()
    rows = [measure(number, options.size, options.frames, tier) for number in options.scenes]
    print("| scene | family | triangles | truth, CPU-s/frame | fast RGB | both |\n|---|---|---|---|---|---|")
    for row in rows:
        both = row["truth_s"] + row["rgb_s"]
        print(
            f"| {row['scene']} | {row['family']} | {row['triangles']:,} | {row['truth_s']:.3f} | {row['rgb_s']:.3f} "
            f"| {both:.3f} |"
        )
    truth_s, both_s = max(r["truth_s"] for r in rows), max(r["truth_s"] + r["rgb_s"] for r in rows)
    held = truth_s <= TRUTH_LIMIT_S and both_s <= BOTH_LIMIT_S
    if options.size == 256:
        print(f"dearest truth {truth_s:.3f} (bound {TRUTH_LIMIT_S}), dearest both {both_s:.3f} (bound {BOTH_LIMIT_S})")
    rival = blender(options.blender, options.size)
    print(f"rival: {json.dumps(rival)}")
    record(
        "render", size=options.size, frames=options.frames, rows=rows, draw_s=draw_seconds(), rival=rival,
        limits={"truth_s": TRUTH_LIMIT_S, "both_s": BOTH_LIMIT_S, "held": held if options.size == 256 else None},
    )  # fmt: skip


def compare(options: argparse.Namespace) -> None:
    """Measure photo and fast on one scene of each family."""
    fast = make_tier("fast")
    photo = make_tier("photo", {"variant": options.variant, "samples": str(options.samples)})
    photo.setup()
    rows = []
    print("| scene | family | truth, CPU-s/frame | fast RGB | photo RGB | photo and truth | photo, once a clip |")
    print("|---|---|---|---|---|---|---|")
    for number in (0, 1, 2, 3, 6):
        row = measure(number, options.size, options.frames, fast)
        row |= measure_photo(number, options.size, options.frames, photo)
        rows.append(row)
        print(
            f"| {row['scene']} | {row['family']} | {row['truth_s']:.3f} | {row['rgb_s']:.3f} | {row['photo_s']:.2f} "
            f"| {row['truth_s'] + row['photo_s']:.2f} | {row['photo_once_s']:.2f} |",
            flush=True,
        )
    dearest = max(row["truth_s"] + row["photo_s"] for row in rows)
    bounded = (options.size, options.samples, options.variant) == (256, 4, "scalar_rgb")
    print(f"dearest photo and truth {dearest:.2f} (bound {PHOTO_LIMIT_S} for scalar_rgb, 4 paths, 256 px)")
    record(
        "render_photo", size=options.size, frames=options.frames, samples=options.samples, tier=photo.about(),
        rows=rows, limits={"both_s": PHOTO_LIMIT_S, "held": dearest <= PHOTO_LIMIT_S if bounded else None},
    )  # fmt: skip


def measure_photo(number: int, size: int, frames: int, tier: Any) -> dict[str, float]:
    """Return CPU seconds per frame of RGB, and what the first frame takes on top: colours and sky of the clip."""
    costs = []
    for posed, camera, truth in frame_by_frame(Geometry(official_scene(number, frames)), size, size):
        started = time.process_time()
        tier.draw(posed, camera, truth.first)
        costs.append(time.process_time() - started)
    each = sum(costs[1:]) / (frames - 1)
    return {"photo_s": each, "photo_once_s": costs[0] - each}


def measure(number: int, size: int, frames: int, tier: Any) -> dict[str, Any]:
    """Return CPU seconds per frame of one scene. Textures and meshes are made before the clock starts."""
    for posed, camera, truth in frame_by_frame(Geometry(official_scene(number, 2)), size, size):
        tier.draw(posed, camera, truth.first)
    scene = official_scene(number, frames)
    geometry = Geometry(scene)
    truth_s, rgb_s = 0.0, 0.0
    shots = frame_by_frame(geometry, size, size)
    while True:
        started = time.process_time()
        shot = next(shots, None)
        truth_s += time.process_time() - started
        if shot is None:
            break
        started = time.process_time()
        tier.draw(shot[0], shot[1], shot[2].first)
        rgb_s += time.process_time() - started
    row = {"scene": scene.name, "family": scene.family, "triangles": len(geometry.faces)}
    return {**row, "truth_s": truth_s / frames, "rgb_s": rgb_s / frames}


def draw_seconds() -> dict[str, float]:
    """Return CPU seconds to draw a scene of 48 frames from a seed, physics included, by family."""
    costs = {}
    for family in MIXED:
        make_scene(family, seed=0, number=0, num_frames=48)
        started = time.process_time()
        for number in range(1, 4):
            make_scene(family, seed=0, number=number, num_frames=48)
        costs[family] = (time.process_time() - started) / 3
    return {family: float(np.round(cost, 3)) for family, cost in costs.items()}


def blender(python: str, size: int) -> dict[str, Any]:
    """Render with Cycles where bpy is installed; else return the stated figure."""
    arguments = [python, "-c", BLENDER, str(size), "16"]
    try:
        done = subprocess.run(arguments, capture_output=True, text=True, timeout=600)
    except (OSError, subprocess.TimeoutExpired) as error:
        return {**STATED_RIVAL, "why": f"{type(error).__name__}"}
    result = next((line for line in done.stdout.splitlines() if line.startswith("RESULT ")), None)
    if result is None:
        return {**STATED_RIVAL, "why": (done.stderr.strip().splitlines() or ["no output"])[-1]}
    return {"what": "Cycles on the CPU, 16 samples and denoiser, plane and six solids, RGB with Z and vector passes",
            **json.loads(result.removeprefix("RESULT "))}  # fmt: skip


if __name__ == "__main__":
    main()
