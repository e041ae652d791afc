"""The packages that the project stands on do work in it: each is imported by code of ours that is no test."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CODE = ("openuni", "annotators", "model", "pipelines", "benchmark")
PACKAGES = {
    "ray": "ray",
    "torch": "torch",
    "decord": "decord",
    "opencv-python": "cv2",
    "transformers": "transformers",
    "ultralytics": "ultralytics",
    "segment-anything": "segment_anything",
    "pyarrow": "pyarrow",
    "webdataset": "webdataset",
    "typer": "typer",
}
"""Package -> the module it brings. The eleventh, pytest, runs the tests."""


def imported(path: Path) -> set[str]:
    """Top-level modules that a file imports when it runs, not only for type checkers."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found: set[str] = set()
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for part in node.body
        for inner in ast.walk(part)
    }
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found


def files(*folders: str) -> list[Path]:
    """Python files, those behind the links in openuni/ once."""
    return [
        path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))
        if not any(parent.is_symlink() for parent in path.parents)
    ]  # fmt: skip


@pytest.fixture(scope="module")
def modules():
    return set().union(*(imported(path) for path in files(*CODE)))


@pytest.mark.parametrize("package", PACKAGES)
def test_each_package_is_imported_by_our_code(package, modules):
    assert PACKAGES[package] in modules, f"{package}: no file of ours imports {PACKAGES[package]}"


def test_the_tests_run_on_pytest():
    assert sum("pytest" in imported(path) for path in files("tests")) > 50


def test_an_import_for_type_checkers_alone_does_not_count(tmp_path):
    path = tmp_path / "x.py"
    path.write_text(
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch\ndef f():\n    import av.x\n"
    )
    assert imported(path) == {"typing", "av"}
