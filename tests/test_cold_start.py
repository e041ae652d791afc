"""`openuni --help` and every command's help load nothing heavy, so that they come at once."""

import json
import subprocess
import sys

import pytest

HEAVY = {
    "av",
    "cv2",
    "decord",
    "diffusers",
    "embreex",
    "matplotlib",
    "mitsuba",
    "mujoco",
    "onnxruntime",
    "pandas",
    "pyarrow",
    "rapidocr",
    "ray",
    "scipy",
    "torch",
    "torchvision",
    "transformers",
    "webdataset",
}

# Asks for the help of the app and of every command, groups included, in one fresh interpreter.
SCRIPT = """
import json, sys
from typer.main import get_command
from typer.testing import CliRunner
from openuni.cli import app

def paths(command, path=()):
    yield path
    for name, child in getattr(command, "commands", {}).items():
        yield from paths(child, (*path, name))

helps = {}
for path in paths(get_command(app)):
    result = CliRunner().invoke(app, [*path, "--help"], env={"COLUMNS": "200"})
    helps[" ".join(path)] = [result.exit_code, result.output]
print(json.dumps({"helps": helps, "modules": sorted({name.partition(".")[0] for name in sys.modules})}))
"""


@pytest.fixture(scope="module")
def cold():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_help_loads_no_heavy_library(cold):
    assert HEAVY & set(cold["modules"]) == set()


def test_the_commands_are_there_and_the_help_names_all_of_them(cold):
    commands = {path for path in cold["helps"] if path and " " not in path}
    assert {"build", "demo", "doctor", "list"} <= commands
    _, text = cold["helps"][""]
    assert {name for name in commands if f" {name} " not in text} == set()


def test_every_commands_help_works_and_is_a_sentence(cold):
    for path, (exit_code, text) in cold["helps"].items():
        assert exit_code == 0, path
        assert f"{path} " in text or not path
        first = next(line.strip() for line in text.splitlines() if line.strip() and "Usage:" not in line)
        assert first[0].isupper() and len(first.split()) > 2, f"openuni {path}: {first!r}"


def test_the_console_script_is_the_same_app():
    """Runs what the `openuni` script runs: main() with the arguments in sys.argv."""
    code = "import sys; from openuni.cli import main; sys.argv = ['openuni', '--help']; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "doctor" in done.stdout
    assert done.stderr == ""
