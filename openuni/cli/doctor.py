"""`openuni doctor`: say what this machine and this environment can do, and what to do about the rest.

Versions come from package metadata, so that a broken library cannot hide the others. A check fails only if the
dataset build cannot run without it; what only some commands need is a warning.
"""

import os
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from importlib import import_module, metadata
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import typer

from openuni import env
from openuni.errors import first_line

Status = Literal["ok", "warn", "fail"]

PYTHONS = ((3, 11), (3, 14))  # pyproject.toml: from, below
MIN_FREE_DISK_GB = 20.0  # ours: a 3 s clip at 480p with five modalities is 6 to 15 MB, so about 1,500 clips
MIN_RAM_GB = 8.0  # ours: torch and transformers take 1.1 GB a process and Ray itself 0.8 GB; two workers fit
MIN_SHM_GB = 1.0  # ours: below that Ray's object store moves to /tmp; containers have 0.06 by default
RAY_START_SECONDS = 180.0  # ours: 3 s on a quiet machine, 13 s on a loaded one, and slow disks

CV2_FLAVOURS = (
    "opencv-python",
    "opencv-python-headless",
    "opencv-contrib-python",
    "opencv-contrib-python-headless",
)
"""All of these unpack into the same cv2/ folder."""

ENCODERS: dict[str, Status] = {"libx264": "fail", "ffv1": "fail", "libsvtav1": "warn"}
"""FFmpeg encoder -> what its absence means: rgb and maps are stored with the first two."""
DECODERS: dict[str, Status] = {"h264": "fail", "ffv1": "fail", "hevc": "warn", "vp9": "warn", "libdav1d": "warn"}
"""The same for decoders. libdav1d reads AV1; FFmpeg's own av1 decoder needs hardware."""

_RAY_SCRIPT = """
import ray
ray.init(num_cpus=1, object_store_memory=100_000_000, include_dashboard=False, log_to_driver=False,
         logging_level="ERROR")
assert ray.get(ray.remote(lambda: 6 * 7).remote(), timeout=60) == 42
ray.shutdown()
"""


class Check(NamedTuple):
    """One line of the report."""

    name: str
    status: Status
    found: str
    advice: str = ""
    """What to do; empty only if the status is "ok"."""


def doctor(
    ray: Annotated[bool, typer.Option("--ray", help="Also start a Ray cluster of one CPU (3 to 20 s).")] = False,
    gpu: Annotated[bool, typer.Option("--gpu", help="Also ask torch whether it can use the GPU (2 to 6 s).")] = False,
) -> None:
    """Check this machine and environment; exit 1 if the dataset build cannot run here."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    checks = report(ray=ray, gpu=gpu)
    console = Console()
    colours = {"ok": "green", "warn": "yellow", "fail": "red"}
    table = Table("check", "", "found")
    for check in checks:
        table.add_row(escape(check.name), f"[{colours[check.status]}]{check.status}[/]", escape(check.found))
    console.print(table)
    # Below the table and unwrapped, so that commands can be copied.
    for check in checks:
        if check.status != "ok":
            console.print(f"{check.status} {check.name}: {check.advice}", markup=False, highlight=False, soft_wrap=True)
    failed = [check.name for check in checks if check.status == "fail"]
    if failed:
        print(f"{len(failed)} of {len(checks)} checks failed: {', '.join(failed)}")
        raise typer.Exit(1)
    print(f"The dataset build can run here ({len(checks)} checks).")


def report(*, ray: bool = False, gpu: bool = False) -> list[Check]:
    """Run the checks.

    Args:
        ray: also start a local Ray cluster in a process of its own.
        gpu: also import torch and ask it about the GPU.
    """
    checks = [check_python(sys.version_info[:2]), *check_packages(_requirements())]
    checks += [check_cv2(_installed(CV2_FLAVOURS)), check_codecs(), check_decord(), check_ocr()]
    checks += [*check_machine(Path.cwd()), check_gpu(_nvidia_smi()), *check_experts()]
    if gpu:
        checks.append(check_torch_gpu())
    if ray:
        checks.append(check_ray_start())
    return checks


def check_python(version: tuple[int, ...]) -> Check:
    """Judge a Python version, (major, minor)."""
    found = ".".join(map(str, version))
    lowest, below = PYTHONS
    if lowest <= version < below:
        return Check("python", "ok", found)
    return Check("python", "fail", found, "Make the environment with Python 3.11, 3.12 or 3.13.")


def check_packages(requirements: Iterable[str]) -> Iterator[Check]:
    """Compare installed versions with requirements.

    Args:
        requirements: requirement strings as in package metadata; `extra == "x"` in the marker says which extra.

    Yields:
        One check for each core requirement that applies to this machine, then one for each extra.
    """
    from packaging.requirements import Requirement

    parsed = [Requirement(text) for text in requirements]
    if not parsed:
        yield Check("openuni", "fail", "not installed", f"Run: {install_command()}")
    of_extra: dict[str, list[Requirement]] = defaultdict(list)
    for requirement in parsed:
        extra = _extra_of(str(requirement.marker or ""))
        if extra:
            of_extra[extra].append(requirement)
        elif requirement.marker is None or requirement.marker.evaluate():
            found, fine = _compare(requirement)
            advice = "" if fine else f"Needs {requirement.name}{requirement.specifier}. Run: {install_command()}"
            yield Check(requirement.name, "ok" if fine else "fail", found, advice)
    for extra, members in sorted(of_extra.items()):
        if extra != "all":
            yield _check_extra(extra, members)


def install_command(extra: str = "") -> str:
    """Return the shell command that installs openuni with an extra: from the checkout, if this runs in one."""
    target = f"[{extra}]" if extra else ""
    if (Path(__file__).resolve().parents[2] / "constraints.txt").is_file():
        return f"pip install -e '.{target}' -c constraints.txt (in the checkout)"
    return f"pip install 'openuni{target}'"


def check_cv2(flavours: dict[str, str]) -> Check:
    """Judge OpenCV: HOG must be there, and all installed flavours must have one version.

    Args:
        flavours: installed distribution -> version.
    """
    found = ", ".join(f"{name} {version}" for name, version in flavours.items()) or "not installed"
    one_version = "Run: pip uninstall " + " ".join(flavours) + f" && {install_command()}"
    if len(set(flavours.values())) > 1:
        return Check("opencv", "fail", found, f"They share one folder and must have one version. {one_version}")
    try:
        cv2 = import_module("cv2")
        has_hog = hasattr(cv2, "HOGDescriptor")
    except ImportError as error:
        return Check("opencv", "fail", f"{found}; import cv2: {error}", one_version)
    if not has_hog:
        return Check("opencv", "fail", f"{found}, without HOGDescriptor", f"OpenCV 5 lost it. {one_version}")
    return Check("opencv", "ok", found)


def check_codecs() -> Check:
    """Judge which video codecs PyAV brings."""
    try:
        import_module("av.codec")
    except ImportError as error:
        return Check("video codecs", "fail", f"import av: {error}", f"Run: {install_command()}")
    missing: dict[str, Status] = {}
    for name, status in ENCODERS.items():
        if not _has(name, "w"):
            missing[f"{name} (encode)"] = status
    for name, status in DECODERS.items():
        if not _has(name, "r"):
            missing[f"{name} (decode)"] = status
    if not missing:
        return Check("video codecs", "ok", ", ".join(dict.fromkeys([*ENCODERS, *DECODERS])))
    worst: Status = "fail" if "fail" in missing.values() else "warn"
    advice = "Install PyAV from its wheel, which has them: pip install --only-binary av --force-reinstall av"
    return Check("video codecs", worst, f"missing {', '.join(missing)}", advice)


def check_decord() -> Check:
    """Say whether decord reads here; without it PyAV does."""
    try:
        decord = import_module("decord")
    except (ImportError, OSError, RuntimeError) as error:
        reason = first_line(error)
        return Check("decord", "warn", reason, "Nothing needed: PyAV reads instead. decord has wheels for x86-64 only.")
    return Check("decord reads", "ok", decord.__version__)


def check_ocr() -> Check:
    """Judge whether the text filter's weights are there; nothing is loaded."""
    from openuni.annotators.ocr import weights
    from openuni.errors import BadInput

    try:
        detector, recogniser = weights()
    except BadInput as error:
        return Check("text filter", "fail", "no weights", str(error))
    return Check("text filter", "ok", f"{detector.stem}, {recogniser.stem}")


def check_machine(folder: Path) -> Iterator[Check]:
    """Judge cores, memory, free disk under `folder`, and shared memory."""
    cores = env.usable_cores()
    one_core = "" if cores > 1 else "Give it two or more: Ray needs one for itself. Or build with --ray off."
    yield Check("cpu cores", "ok" if cores > 1 else "warn", str(cores), one_core)

    ram_gb = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9
    yield _at_least("memory", ram_gb, MIN_RAM_GB, "Build with --ray off, and few workers.")
    free_gb = shutil.disk_usage(folder).free / 1e9
    yield _at_least("free disk here", free_gb, MIN_FREE_DISK_GB, "Choose a larger disk with --out.")

    shm = Path("/dev/shm")
    shm_gb = shutil.disk_usage(shm).total / 1e9 if shm.is_dir() else 0.0
    advice = "Start the container with --shm-size=4g, or build with --ray off."
    yield _at_least("shared memory (/dev/shm)", shm_gb, MIN_SHM_GB, advice)


def check_gpu(listing: str | None) -> Check:
    """Judge what nvidia-smi listed: one GPU a line; None if it could not be run."""
    if listing:
        return Check("gpu", "ok", "; ".join(listing.splitlines()))
    advice = "Nothing needed for embedded experts, tiny_cpu and UniBench-mini; larger ones need a CUDA GPU."
    return Check("gpu", "warn", "none (nvidia-smi)", advice)


def check_experts() -> Iterator[Check]:
    """Say which sets of experts would run here: their weights and packages are looked for, nothing is loaded."""
    from openuni.annotators.experts import EXPERTS, PROFILES
    from openuni.annotators.weights import missing_packages, state_of
    from openuni.table import EXPERT_SETS

    for profile in PROFILES:
        lacks = []
        for name in EXPERT_SETS[profile]:
            for one in (name, *(EXPERTS[name].uses if name in EXPERTS else ())):
                if one in EXPERTS and (state_of(one).found is None or missing_packages(EXPERTS[one])):
                    lacks.append(one)
        members = ", ".join(EXPERT_SETS[profile])
        if lacks:
            advice = f"If you need it: openuni weights --profile {profile}"
            yield Check(f"experts {profile}", "warn", f"not here: {', '.join(lacks)}", advice)
        else:
            yield Check(f"experts {profile}", "ok", members)


def check_torch_gpu() -> Check:
    """Ask torch for the GPUs it can use."""
    import torch

    if not torch.cuda.is_available():
        advice = f"Either there is no GPU, or its driver is older than CUDA {torch.version.cuda}: update the driver."
        return Check("torch on gpu", "warn", f"torch {torch.__version__} sees no GPU", advice)
    names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    bf16 = "with" if torch.cuda.is_bf16_supported() else "without"
    return Check("torch on gpu", "ok", f"{', '.join(names)}, {bf16} bfloat16")


def check_ray_start() -> Check:
    """Start a Ray cluster of one CPU in a process of its own, run one task, stop it."""
    advice = "Build with --ray off. Ray needs loopback connections, /dev/shm and a writable /tmp."
    settings = {**os.environ, **env.worker_env(), **env.LOCAL_RAY}
    settings.pop("RAY_ADDRESS", None)  # the check is about this machine
    command = [sys.executable, "-c", _RAY_SCRIPT]
    try:
        done = subprocess.run(command, env=settings, capture_output=True, text=True, timeout=RAY_START_SECONDS)
    except subprocess.TimeoutExpired:
        return Check("ray starts", "fail", f"not within {RAY_START_SECONDS:.0f} s", advice)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        return Check("ray starts", "fail", last, advice)
    return Check("ray starts", "ok", "one task done")


def _has(name: str, mode: Literal["r", "w"]) -> bool:
    from av.codec import Codec

    try:
        Codec(name, mode)
    except ValueError:  # PyAV's UnknownCodecError is one
        return False
    return True


def _at_least(name: str, value_gb: float, minimum_gb: float, advice: str) -> Check:
    if value_gb >= minimum_gb:
        return Check(name, "ok", f"{value_gb:.1f} GB")
    return Check(name, "warn", f"{value_gb:.1f} GB, less than {minimum_gb:g} GB", advice)


def _check_extra(extra: str, members: list) -> Check:
    """One line for an extra: how many of its packages are there, and which are not or do not fit."""
    wrong, count = [], 0
    for requirement in members:
        if requirement.marker.evaluate({"extra": extra}):
            count += 1
            found, fine = _compare(requirement)
            if not fine:
                wrong.append(f"{requirement.name} {found} (needs {requirement.specifier})")
    if not wrong:
        return Check(f"extra [{extra}]", "ok", f"packages: {count}")
    return Check(f"extra [{extra}]", "warn", "; ".join(wrong), f"If you need it: {install_command(extra)}")


def _compare(requirement) -> tuple[str, bool]:
    """Return what is installed, and whether it satisfies the requirement."""
    try:
        version = metadata.version(requirement.name)
    except metadata.PackageNotFoundError:
        return "not installed", False
    return version, requirement.specifier.contains(version, prereleases=True)


def _extra_of(marker: str) -> str:
    """Return the name in `extra == "name"` of a marker, or an empty text."""
    _, found, rest = marker.partition('extra == "')
    return rest.partition('"')[0] if found else ""


def _installed(names: Iterable[str]) -> dict[str, str]:
    versions = {}
    for name in names:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def _requirements() -> list[str]:
    try:
        return metadata.requires("openuni") or []
    except metadata.PackageNotFoundError:
        return []


def _nvidia_smi() -> str | None:
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    query = [program, "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
