"""What is shipped: sdist, and the wheel built from it, hold the five packages and work away from the checkout."""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("openuni", "openuni/annotators", "openuni/benchmark", "openuni/model", "openuni/pipelines")
NOT_SHIPPED = shutil.ignore_patterns("__pycache__", "*.pyc", ".*_cache")


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Build sdist, then the wheel from the sdist, of a copy of the checkout, with the environment's setuptools."""
    source = tmp_path_factory.mktemp("source")
    out = tmp_path_factory.mktemp("dist")
    for name in ("openuni", "annotators", "benchmark", "model", "pipelines", "tests", "perf"):
        shutil.copytree(ROOT / name, source / name, symlinks=True, ignore=NOT_SHIPPED)
    for path in ROOT.iterdir():
        if path.is_file() and path.name[0] != ".":
            shutil.copy(path, source)
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(source)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return out


@pytest.fixture(scope="module")
def wheel_names(built):
    with zipfile.ZipFile(next(built.glob("*.whl"))) as wheel:
        return wheel.namelist()


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory):
    """The wheel as it stands in site-packages: a pure wheel is a zip of that."""
    target = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(next(built.glob("*.whl"))) as wheel:
        wheel.extractall(target)
    return target


def run_from(folder: Path, installed: Path, *arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(installed), "COLUMNS": "120"}
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_wheel_holds_five_packages_and_nothing_else(wheel_names):
    assert {name.split("/")[0] for name in wheel_names if ".dist-info/" not in name} == {"openuni"}
    assert all(f"{package}/__init__.py" in wheel_names for package in PACKAGES)
    assert len(wheel_names) == len(set(wheel_names))


def test_the_wheel_holds_every_file_of_the_five_folders_once(wheel_names):
    shipped = set()
    for package in PACKAGES:
        # pathlib's ** does not follow links, so openuni/ gives its own files only.
        folder = (ROOT / package).resolve()
        shipped |= {
            f"{package}/{path.relative_to(folder).as_posix()}"
            for path in folder.rglob("*")
            if path.is_file() and not {"__pycache__"} & set(path.parts) and path.name[0] != "."
        }
    assert {name for name in wheel_names if ".dist-info/" not in name} == shipped


def test_the_sdist_holds_files_and_no_links(built):
    with tarfile.open(next(built.glob("*.tar.gz"))) as sdist:
        members = sdist.getmembers()
    assert [member.name for member in members if not (member.isfile() or member.isdir())] == []
    names = {member.name.partition("/")[2] for member in members}
    assert {"LICENSE", "pyproject.toml", "constraints.txt", "openuni/model/__init__.py"} <= names
    assert not {name.split("/")[0] for name in names} & {"annotators", "benchmark", "model", "pipelines", "perf"}


def test_the_wheel_names_version_licence_and_command(installed):
    (info,) = installed.glob("*.dist-info")
    metadata = (info / "METADATA").read_text(encoding="utf-8")
    version = run_from(installed, installed, "-c", "import openuni; print(openuni.__version__)").strip()
    assert f"\nVersion: {version}\n" in metadata
    assert "\nLicense-Expression: Apache-2.0\n" in metadata
    assert "openuni = openuni.cli:main" in (info / "entry_points.txt").read_text()
    assert (info / "licenses/LICENSE").is_file()


def test_every_requirement_is_bounded_on_both_sides(installed):
    from packaging.requirements import Requirement

    (info,) = installed.glob("*.dist-info")
    lines = (info / "METADATA").read_text(encoding="utf-8").splitlines()
    requirements = [Requirement(line.partition(": ")[2]) for line in lines if line.startswith("Requires-Dist: ")]
    loose = [
        str(requirement)
        for requirement in requirements
        if requirement.name != "openuni" and {spec.operator for spec in requirement.specifier} != {">=", "<"}
    ]
    assert loose == []


def test_agpl_code_comes_only_with_the_experts_extra(installed):
    (info,) = installed.glob("*.dist-info")
    lines = (info / "METADATA").read_text(encoding="utf-8").splitlines()
    wanting = [line.partition("; ")[2] for line in lines if line.startswith("Requires-Dist: ultralytics")]
    assert wanting == ['extra == "experts"']


def test_the_installed_wheel_is_not_shadowed_by_folders_of_the_same_name(installed, tmp_path):
    for name in ("annotators", "benchmark", "model", "pipelines"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise RuntimeError('the wrong folder')\n")
    code = "import openuni.annotators, openuni.benchmark, openuni.model, openuni.pipelines as p; print(p.__file__)"
    assert run_from(tmp_path, installed, "-c", code).startswith(str(installed))


def test_the_command_line_runs_from_the_wheel_in_an_empty_folder(installed, tmp_path):
    assert "build" in run_from(tmp_path, installed, "-m", "openuni.cli", "--help")
    assert list(tmp_path.iterdir()) == []
