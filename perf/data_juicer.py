"""Claim: score and select handle at least 20 times as many clips a second as Data-Juicer at its documented defaults.

The same clips by the same three rules (duration, resolution, motion at 2 fps) on two workers each, in turns. Timed is
a whole process. openuni: start, imports, listing, plan, score pass with its commits, selection. `dj-process`: start,
imports, configuration, loading, the three filters, export. With Ray, on both sides, also Ray's start and end. A first
run of each system is not counted: it fills the caches of files and bytecode, and Data-Juicer may install packages in
it. "Per clip" is what one more clip costs, without any start: the difference between a larger and a smaller number.

Data-Juicer runs as documented, its flow at the clip's own size; and "small": with its option `size`, at the 128 x 72 px
on which openuni's motion filter works. The cheap filters come first, as it advises, so that it spares the motion of
clips that they drop, where openuni gives every clip all its scores.
"""

import argparse
import ctypes
import itertools
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from record import record
from score_pass import encode, make_clips, panning

WORKERS, GOAL = 2, 20.0
CLIPS, MORE_CLIPS = 20, 60
REJECTED = ("short.mp4", "small.mp4", "still.mp4")  # of the made clips; each is against one rule
MIN_S, MIN_WIDTH_PX, MIN_HEIGHT_PX = 4, 640, 360
SMALL_PX = 72  # short side of a 16:9 clip whose long side is MotionFilter.work_px
# The scores have different units. Ours: Data-Juicer's default of 0.25 px between samples; the made clips lie far from
# both thresholds (still, or 5 % a second).
MIN_SCORE, MIN_FLOW_PCT_PER_S = 0.25, 1.0

SYSTEMS: dict[str, dict[str, Any]] = {
    "openuni": {"ray": False},
    "openuni-ray": {"ray": True},
    "data-juicer": {"ray": False, "size": None},
    "data-juicer-small": {"ray": False, "size": SMALL_PX},
    "data-juicer-small-ray": {"ray": True, "size": SMALL_PX},
}
HOW = (
    "Pass --data-juicer-python DIR/bin/python of an environment with Data-Juicer: apt-get install ffmpeg; "
    "python3.11 -m venv DIR; DIR/bin/pip install py-data-juicer av==13.1.0 opencv-contrib-python "
    "aiohttp 'ray[default]' torch"
)
MEASURES = ("wall_s", "wall_s_per_clip", "cpu_s", "cpu_s_per_clip")
VERSIONS_OF = ("py-data-juicer", "av", "datasets", "numpy", "opencv-contrib-python", "ray", "torch")


class Run(NamedTuple):
    """One run of one system."""

    wall_s: float
    cpu_s: float | None
    """Of all its processes. None with Ray, which ends some where their time cannot be told."""
    kept: frozenset[str]
    """File names that pass all rules."""


def main() -> None:
    arguments = argparse.ArgumentParser(
        description=__doc__, epilog=HOW, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--data-juicer-python", type=Path, help="interpreter of Data-Juicer's environment")
    arguments.add_argument("--clips", type=Path, help=f"folder of mp4 files; without it {CLIPS} clips are made")
    arguments.add_argument("--more-clips", type=int, default=MORE_CLIPS, help="larger number, made; 0: leave it out")
    arguments.add_argument("--repeats", type=int, default=3)
    arguments.add_argument("--score", nargs=3, metavar=("ROOT", "OUT", "RAY"), help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.score:
        score_and_select(*given.score)
        return
    if given.more_clips and given.more_clips <= CLIPS:
        arguments.error(f"--more-clips is {given.more_clips}; give more than {CLIPS}, or 0.")
    python = given.data_juicer_python
    installed = versions_in(python)
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:WORKERS])
    adopt_orphans()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        few = given.clips.absolute() if given.clips else made(place / "few", CLIPS)
        check_metadata_rules(few, place, python)
        warm = made(place / "warm", len(REJECTED) + 1)
        for name in SYSTEMS:
            run(name, warm, place / f"warm-{name}", python)
        runs: dict[str, list[Run]] = {name: [] for name in SYSTEMS}
        for repeat in range(given.repeats):
            for name in SYSTEMS:
                runs[name].append(run(name, few, place / f"run{repeat}-{name}", python))
        disagreed = motion_disagreements(runs, must_agree=given.clips is None)
        more = {}
        if given.clips is None and given.more_clips:
            many = made(place / "many", given.more_clips)
            more = {name: run(name, many, place / f"more-{name}", python) for name in SYSTEMS}
        record(
            "data_juicer",
            clips=len(videos(few)),
            more_clips=given.more_clips if more else None,
            made=given.clips is None,
            workers=WORKERS,
            data_juicer=installed,
            motion_decided_otherwise=disagreed,
            goal=GOAL,
            systems=summary(runs, more, further=given.more_clips - CLIPS),
        )


def made(folder: Path, clips: int) -> Path:
    """Make clips that pass all rules, and the three REJECTED among them."""
    import cv2

    make_clips(folder, clips - len(REJECTED))
    encode(folder / "short.mp4", itertools.islice(panning(0), 60))
    small = (cv2.resize(frame, (320, 180)) for frame in panning(0))
    encode(folder / "small.mp4", small, width=320, height=180)
    encode(folder / "still.mp4", itertools.repeat(next(panning(0)), 150))
    return folder


def videos(root: Path) -> list[Path]:
    return sorted(root.rglob("*.mp4"))


def run(name: str, root: Path, out: Path, python: Path, *, motion: bool = True) -> Run:
    """Run one system in a process of its own.

    Args:
        name: key of SYSTEMS.
        root: the clips.
        out: a folder for all that it writes.
        python: Data-Juicer's interpreter.
        motion: False lets every clip pass the motion rule, whose scores are made all the same.
    """
    options = SYSTEMS[name]
    out.mkdir()
    if name.startswith("openuni"):
        command = [sys.executable, str(Path(__file__).resolve()), "--score", str(root), str(out / "build")]
        wall_s, cpu_s, printed = timed([*command, "auto" if options["ray"] else "off"], out)
        passed = json.loads(printed.splitlines()[-1])["all" if motion else "metadata"]
    else:
        write_recipe(root, out, options, motion)
        command = [str(python.with_name("dj-process")), "--config", str(out / "recipe.yaml")]
        wall_s, cpu_s, _ = timed(command, out, without=("PYTHONPATH",))
        files = sorted((out / "kept").rglob("*.json")) if options["ray"] else [out / "kept.jsonl"]
        rows = [json.loads(line) for path in files for line in path.read_text().splitlines()]
        passed = [str(Path(row["videos"][0]).relative_to(root)) for row in rows]
    cpu = "" if options["ray"] else f", CPU {cpu_s:6.1f} s"
    print(f"{name:<24}{len(videos(root)):4} clips {wall_s:7.1f} s{cpu}  ({out.name})", flush=True)
    return Run(wall_s, None if options["ray"] else cpu_s, frozenset(passed))


def score_and_select(root: str, out: str, ray: str) -> None:
    """Do what `openuni build` does up to its selection, and print which files pass."""
    from openuni.env import prepare

    prepare()
    import openuni.engine.run as engine_run
    from openuni.engine.monitor import Breaker, silent
    from openuni.engine.record import PassRecord
    from openuni.pipelines.build import Build, BuildConfig
    from openuni.pipelines.select import select

    metadata = (
        f"duration.seconds >= {MIN_S}",
        f"resolution.width_px >= {MIN_WIDTH_PX} and resolution.height_px >= {MIN_HEIGHT_PX}",
    )
    config = BuildConfig(
        source="folder",
        root=root,
        out=Path(out),
        experts=("none",),
        filters=("duration", "resolution", "motion"),
        preset="none",
        rules=(*metadata, f"motion.flow_pct_per_s >= {MIN_FLOW_PCT_PER_S}"),
    )
    parts = Build.prepare(config)
    parts.score.plan.append(parts.source.clips())
    engine = engine_run.choose_engine(ray, WORKERS, cores=WORKERS)
    try:
        engine_run.run(parts.score, engine, event=silent, breaker=Breaker(), quiet=True)
    finally:
        engine.close()
    rules = parts.decision.clip_rules()
    selection = select(PassRecord.of(parts.score), rules)
    keys = selection.scores["source_key"].to_pylist()
    by_metadata = [all(answer.true[k] for answer in selection.answers[: len(metadata)]) for k in range(len(keys))]
    passed = {"all": selection.selected.tolist(), "metadata": by_metadata}
    print(json.dumps({name: list(itertools.compress(keys, passes)) for name, passes in passed.items()}))


def write_recipe(root: Path, out: Path, options: Mapping[str, Any], motion: bool) -> None:
    """Write Data-Juicer's data set and recipe. JSON is YAML."""
    samples = [json.dumps({"text": "<__dj__video>", "videos": [str(path)]}) for path in videos(root)]
    (out / "clips.jsonl").write_text("\n".join(samples) + "\n")
    recipe = {
        "dataset_path": str(out / "clips.jsonl"),
        "export_path": str(out / ("kept" if options["ray"] else "kept.jsonl")),
        "ds_cache_dir": str(out / "cache"),  # its cache stays on, and finds nothing of an earlier run
        "np": WORKERS,
        "executor_type": "ray" if options["ray"] else "default",
        "ray_address": "local",
        "process": [
            {"video_duration_filter": {"min_duration": MIN_S}},
            {"video_resolution_filter": {"min_width": MIN_WIDTH_PX, "min_height": MIN_HEIGHT_PX}},
            {
                "video_motion_score_filter": {
                    "sampling_fps": 2,
                    "size": options["size"],
                    "min_score": MIN_SCORE if motion else -1.0,
                }
            },
        ],
    }
    (out / "recipe.yaml").write_text(json.dumps(recipe, indent=2))


def timed(command: Sequence[str], out: Path, *, without: Sequence[str] = ()) -> tuple[float, float, str]:
    """Run a command in the folder `out`; return its wall and CPU seconds and its standard output."""
    # Threads are each system's own to choose, no Ray cluster is joined, and bytecode is cached.
    hidden = {"OMP_NUM_THREADS", "RAY_ADDRESS", "PYTHONDONTWRITEBYTECODE", *without}
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    before = cpu_of_children()
    started = time.perf_counter()
    with open(out / "stderr.txt", "w") as errors:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment, cwd=out)
    wall_s = time.perf_counter() - started
    if done.returncode:
        tail = "\n".join((done.stdout + (out / "stderr.txt").read_text()).splitlines()[-30:])
        sys.exit(f"{tail}\n{' '.join(command)} ended with exit code {done.returncode}.")
    collect_orphans()
    return wall_s, cpu_of_children() - before, done.stdout


def cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def adopt_orphans() -> None:
    """Become the parent of processes whose own parent has ended, so that their CPU time is known. Linux only."""
    set_child_subreaper = 36  # prctl(2)
    if ctypes.CDLL(None).prctl(set_child_subreaper, 1, 0, 0, 0):
        sys.exit("prctl(PR_SET_CHILD_SUBREAPER) failed: CPU times would lack processes.")


def collect_orphans(patience_s: float = 30.0) -> None:
    """Wait for the processes that a command has left behind."""
    until = time.monotonic() + patience_s
    while time.monotonic() < until:
        try:
            ended, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not ended:
            time.sleep(0.05)
    sys.exit(f"A process is still running {patience_s:g} s after the command that started it.")


def versions_in(python: Path | None) -> dict[str, str]:
    """Return the versions in Data-Juicer's environment. Ends the script if that cannot be used."""
    lines = (
        "import json, platform",
        "from importlib.metadata import distributions",
        "packages = {each.name.lower(): each.version for each in distributions()}",
        "print(json.dumps({'python': platform.python_version(), **packages}))",
    )
    problem = None
    if python is None:
        problem = "No environment with Data-Juicer."
    elif not python.with_name("dj-process").exists():
        problem = f"{python} has no dj-process beside it."
    elif shutil.which("ffmpeg") is None:
        problem = "No ffmpeg on PATH, which Data-Juicer runs."
    if python is None or problem:
        print(f"{problem} {HOW}", file=sys.stderr)
        sys.exit(2)
    done = subprocess.run([str(python), "-c", "\n".join(lines)], check=True, capture_output=True, text=True)
    installed = json.loads(done.stdout)
    return {name: installed.get(name, "not installed") for name in ("python", *VERSIONS_OF)}


def check_metadata_rules(root: Path, place: Path, python: Path) -> None:
    """Make sure that both toolkits judge duration and resolution alike. Scores motion too, but drops nothing by it."""
    ours = run("openuni", root, place / "check-openuni", python, motion=False).kept
    theirs = run("data-juicer-small", root, place / "check-data-juicer", python, motion=False).kept
    if ours != theirs:
        sys.exit(f"Duration and resolution: the toolkits disagree on {', '.join(sorted(ours ^ theirs))}.")
    print(f"{len(ours)} of {len(videos(root))} clips pass duration and resolution, the same ones on both sides")


def motion_disagreements(runs: Mapping[str, Sequence[Run]], *, must_agree: bool) -> dict[str, int]:
    """Return for each system the number of clips that it decides otherwise than openuni; only motion can differ."""
    ours = runs["openuni"][0].kept
    found = {name: max(len(ours ^ one.kept) for one in repeats) for name, repeats in runs.items()}
    print(f"{len(ours)} clips pass all rules; otherwise decided: {found}")
    if must_agree and (any(found.values()) or ours & set(REJECTED)):
        sys.exit("The made clips must be decided alike, and the still, the short and the small one dropped.")
    return found


def summary(runs: Mapping[str, Sequence[Run]], more: Mapping[str, Run], *, further: int) -> dict[str, dict[str, Any]]:
    """Print and return each system's medians, and how many times openuni's they are (openuni without Ray)."""
    results: dict[str, dict[str, Any]] = {}
    for name, repeats in runs.items():
        result = results[name] = {"wall_s_runs": [round(one.wall_s, 2) for one in repeats]}
        for field in ("wall_s", "cpu_s"):
            values = [value for one in repeats if (value := getattr(one, field)) is not None]
            if values:
                result[field] = median(values)
                if more:
                    result[f"{field}_more"] = getattr(more[name], field)
                    result[f"{field}_per_clip"] = (result[f"{field}_more"] - result[field]) / further
    ours = dict(results["openuni"])
    for name, result in results.items():
        ratios = {f: round(result[f] / ours[f], 2) for f in MEASURES if f in result}
        result |= {field: round(result[field], 3) for field in result if field != "wall_s_runs"}
        result["times_openuni"] = ratios
        print(f"{name:<24}times openuni: {', '.join(f'{field} {ratio:g}' for field, ratio in ratios.items())}")
    print(f"goal: wall_s of data-juicer >= {GOAL:g} times openuni's")
    return results


if __name__ == "__main__":
    main()
