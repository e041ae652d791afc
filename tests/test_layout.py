"""The architecture as a test: who may import whom, what a table row points to, what a file must and must not hold.

MAY_IMPORT is the import graph's only definition in code. The checks are functions of a root folder, so that the
tests can plant a violation in a small tree and see it found.
"""

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

MAY_IMPORT = {
    "openuni": set(),  # the vocabulary: everything in openuni/ but cli, engine and codec included
    "annotators": {"openuni"},
    "model": {"openuni"},
    "pipelines": {"openuni", "annotators"},
    "benchmark": {"openuni", "annotators"},
    "cli": {"openuni", "annotators", "model", "pipelines", "benchmark"},
}
LINKED = ("annotators", "benchmark", "model", "pipelines")

HEAVY = {
    *("accelerate", "av", "cv2", "decord", "diffusers", "embreex", "matplotlib", "mitsuba", "mujoco", "onnxruntime"),
    *("pandas", "pyarrow", "rapidocr", "ray", "scipy", "torch", "torchvision", "transformers", "ultralytics"),
    "webdataset",
}
"""Libraries that openuni/ imports only inside functions: each costs 0.1 to 5 s or may be absent."""
ALLOWED_AT_TOP = {
    "openuni/dataset.py": {"torch"},  # a subclass of torch's Dataset
    "openuni/engine/": {"pyarrow"},  # ledgers and plans are Parquet; no command's help imports them
    "openuni/sample.py": {"pyarrow"},  # reads the index
}
"""Path prefix -> heavy libraries that files there import at the top all the same."""
ONLY_RAY_DATA = ("openuni/engine/ray.py", "openuni/engine/ray_llm.py")

# In pieces, so that this file does not find itself.
MACHINE_PATHS = re.compile(r"(?<![\w.])/(?:ro" r"ot|ho" r"me|Us" r"ers|wo" r"rk|m" r"nt)/\w")
REGISTRIES = re.compile("py" r"pi\.org|python" r"hosted|index" r"-url|find" r"-links")


def python_files(root: Path) -> Iterator[Path]:
    """Every module of the five folders, once: openuni/'s links are not followed."""
    for top in ("openuni", *LINKED):
        for path in sorted((root / top).rglob("*.py")):
            if not any(parent.is_symlink() for parent in path.parents):
                yield path


def imports(nodes: Iterable[ast.AST]) -> Iterator[tuple[str, int]]:
    """Yield each imported module's dotted name and its line. Relative imports start with a dot."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            # `from openuni import model` and `from ray import data` name a module after "import".
            yield from ((f"{module}.{alias.name}", node.lineno) for alias in node.names)


def at_top(nodes: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """Yield what runs when a module is imported: no function bodies, no `if TYPE_CHECKING:`."""
    for node in nodes:
        yield node
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from at_top(node.orelse)
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from at_top(ast.iter_child_nodes(node))


def owner(module: str) -> str | None:
    """Return which row of MAY_IMPORT a dotted name belongs to; None for other libraries."""
    head, _, rest = module.partition(".")
    second = rest.partition(".")[0]
    if head != "openuni":
        return None
    return second if second in MAY_IMPORT and second != "openuni" else "openuni"


def import_violations(root: Path) -> list[str]:
    """Return one line for each import that points the wrong way or loads too much."""
    found = []
    for path in python_files(root):
        name = path.relative_to(root).as_posix()
        own = owner(name.removesuffix(".py").replace("/", ".")) or name.partition("/")[0]
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for module, line in imports(ast.walk(tree)):
            to = owner(module)
            if module.startswith("."):
                found.append(f"{name}:{line}: relative import, write the openuni name")
            elif module.partition(".")[0] in LINKED:
                found.append(f"{name}:{line}: bare name, write openuni.{module}")
            elif to not in {None, own} | MAY_IMPORT[own] and name != "openuni/__main__.py":
                found.append(f"{name}:{line}: {own} may not import {module}")
            elif (module + ".").startswith("ray.data.") and name not in ONLY_RAY_DATA:
                found.append(f"{name}:{line}: only {ONLY_RAY_DATA[0]} may import ray.data")
        if name.startswith("openuni/"):
            allowed = set().union(*(names for prefix, names in ALLOWED_AT_TOP.items() if name.startswith(prefix)))
            loaded = {module.partition(".")[0] for module, _ in imports(at_top([tree]))}
            late = sorted(loaded & HEAVY - allowed)
            found += [f"{name}: import {library} inside the function that needs it" for library in late]
    return found


def table_violations(root: Path) -> list[str]:
    """Return one line for each row of openuni/table.py whose module or object is not there.

    A row's value is "module:Object", or a tuple of names that are rows of another table.
    """
    rows: list[tuple[str, str | tuple[str, ...]]] = []
    for node in ast.parse((root / "openuni/table.py").read_text(encoding="utf-8")).body:
        value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
        if isinstance(value, ast.Dict):
            rows += ast.literal_eval(value).items()
        elif isinstance(value, ast.Constant) and ":" in str(value.value):
            rows.append((ast.unparse(node.targets[0]), value.value))  # a single part, outside any table
    known = {name for name, target in rows if isinstance(target, str)}
    missing = [
        f"{name}: no part called {part}"
        for name, target in rows
        if isinstance(target, tuple)
        for part in target
        if part not in known
    ]
    return missing + [
        f"{name}: {fault}" for name, target in rows if isinstance(target, str) if (fault := _target_fault(root, target))
    ]


def text_violations(root: Path) -> list[str]:
    """Return one line for each file with a path of one machine, a registry's address, or non-ASCII code."""
    found = []
    files = list(python_files(root))
    others = ("tests/**/*.py", "perf/**/*.py", "pyproject.toml", "constraints.txt", "Makefile", ".ci/run")
    for path in [*files, *(path for pattern in others for path in root.glob(pattern))]:
        name = path.relative_to(root).as_posix()
        text = path.read_text(encoding="utf-8")
        for number, line in enumerate(text.splitlines(), start=1):
            if MACHINE_PATHS.search(line):
                found.append(f"{name}:{number}: a path of one machine")
            if REGISTRIES.search(line):
                found.append(f"{name}:{number}: a package registry's address")
            if path in files and not line.isascii():
                found.append(f"{name}:{number}: not ASCII")
    return found


def docstring_violations(root: Path) -> list[str]:
    """Return each module without a docstring."""
    trees = ((path, ast.parse(path.read_text(encoding="utf-8"))) for path in python_files(root))
    return [f"{path.relative_to(root).as_posix()}: no docstring" for path, tree in trees if not ast.get_docstring(tree)]


def _target_fault(root: Path, target: str) -> str:
    module, _, attribute = target.partition(":")
    path = _module_file(root, module)
    if path is None:
        return f"no module {module}"
    if attribute not in _defined(ast.parse(path.read_text(encoding="utf-8"))):
        return f"{module} has no {attribute or 'object: write module:Object'}"
    return ""


def _module_file(root: Path, module: str) -> Path | None:
    parts = module.split(".")
    if parts[:1] == ["openuni"] and parts[1:2] and parts[1] in LINKED:
        parts = parts[1:]
    base = root.joinpath(*parts)
    return next((path for path in (base.with_suffix(".py"), base / "__init__.py") if path.is_file()), None)


def _defined(tree: ast.Module) -> set[str]:
    names = set()
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {target.id for target in targets if isinstance(target, ast.Name)}
    return names


def test_imports_point_one_way():
    assert import_violations(ROOT) == []


def test_every_table_row_points_to_something_that_is_there():
    assert table_violations(ROOT) == []


def test_no_file_names_this_machine_or_a_registry():
    assert text_violations(ROOT) == []


def test_every_module_says_what_it_is_for():
    assert docstring_violations(ROOT) == []


def test_constraints_are_plain_versions_and_one_opencv():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines[1:])
    assert lines[0].startswith("# ")
    assert lines[1:] == sorted(lines[1:])
    assert all(re.fullmatch(r"[a-z0-9.-]+==[a-z0-9.]+", line) for line in lines[1:])
    assert len({version for name, version in pins.items() if name.startswith("opencv-")}) == 1


@pytest.mark.parametrize("name", LINKED)
def test_links_are_relative_and_lead_to_the_folder(name):
    link = ROOT / "openuni" / name
    assert link.is_symlink()
    assert link.readlink().as_posix() == f"../{name}"
    assert (link / "__init__.py").samefile(ROOT / name / "__init__.py")


@pytest.fixture
def tree(tmp_path):
    """A small repository that breaks no rule."""
    for name in ("openuni", *LINKED):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text('"""A folder."""\n')
    for name in LINKED:
        (tmp_path / "openuni" / name).symlink_to(f"../{name}")
    for name in ("engine", "cli"):
        (tmp_path / "openuni" / name).mkdir()
    (tmp_path / "openuni/table.py").write_text('"""Tables."""\nEXPERTS = {"a": "openuni.annotators.a:A"}\n')
    (tmp_path / "annotators/a.py").write_text('"""A."""\nimport torch\nimport openuni.table\nclass A: ...\n')
    (tmp_path / "openuni/cli/main.py").write_text('"""Cli."""\ndef f():\n    import ray\n    import openuni.model\n')
    (tmp_path / "openuni/engine/ray.py").write_text('"""Ray."""\ndef f():\n    import ray.data\n')
    return tmp_path


def test_a_tree_without_violations_passes(tree):
    for check in (import_violations, table_violations, text_violations, docstring_violations):
        assert check(tree) == []


@pytest.mark.parametrize(
    ("name", "code", "message"),
    [
        ("openuni/x.py", "import openuni.annotators.a", "openuni may not import openuni.annotators.a"),
        ("openuni/x.py", "from openuni import pipelines", "openuni may not import openuni.pipelines"),
        ("openuni/engine/x.py", "def f():\n    import openuni.model", "openuni may not import openuni.model"),
        ("annotators/x.py", "from openuni.model import dit", "annotators may not import openuni.model.dit"),
        ("benchmark/x.py", "from openuni.model.dit import D", "benchmark may not import openuni.model.dit.D"),
        ("benchmark/x.py", "import openuni.pipelines", "benchmark may not import openuni.pipelines"),
        ("model/x.py", "from openuni.annotators import a", "model may not import openuni.annotators.a"),
        ("pipelines/x.py", "from openuni.cli import main", "pipelines may not import openuni.cli.main"),
        ("openuni/x.py", "import openuni.cli", "openuni may not import openuni.cli"),
        ("pipelines/x.py", "from annotators.a import A", "bare name, write openuni.annotators.a.A"),
        ("openuni/cli/x.py", "import model", "bare name, write openuni.model"),
        ("pipelines/x.py", "from . import a", "relative import"),
        ("pipelines/x.py", "def f():\n    import ray.data as d", "only openuni/engine/ray.py may import ray.data"),
        ("model/x.py", "from ray import data", "only openuni/engine/ray.py may import ray.data"),
        ("openuni/x.py", "import torch.nn as nn", "import torch inside the function"),
        ("openuni/x.py", "try:\n    import cv2\nexcept ImportError:\n    cv2 = None", "import cv2 inside the function"),
        ("openuni/engine/x.py", "import pyarrow, ray", "import ray inside the function"),
        ("openuni/cli/x.py", "class A:\n    import pyarrow", "import pyarrow inside the function"),
    ],
)
def test_a_planted_import_is_found(tree, name, code, message):
    (tree / name).write_text(f'"""X."""\n{code}\n')
    (found,) = import_violations(tree)
    assert found.startswith(name)
    assert message in found


def test_imports_for_type_checkers_only_are_fine(tree):
    code = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch\nelse:\n    import json\n"
    (tree / "openuni/x.py").write_text(f'"""X."""\n{code}')
    assert import_violations(tree) == []


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("openuni.annotators.b:A", "a: no module openuni.annotators.b"),
        ("openuni.annotators.a:B", "a: openuni.annotators.a has no B"),
        ("openuni.annotators.a", "a: openuni.annotators.a has no object: write module:Object"),
    ],
)
def test_a_wrong_table_row_is_found(tree, target, message):
    (tree / "openuni/table.py").write_text(f'"""Tables."""\nEXPERTS = {{"a": "{target}"}}\n')
    assert table_violations(tree) == [message]


def test_a_set_with_an_unknown_member_is_found(tree):
    with (tree / "openuni/table.py").open("a") as table:
        table.write('SETS: dict = {"good": ("a",), "bad": ("a", "b")}\n')
    assert table_violations(tree) == ["bad: no part called b"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('PATH = "/ho' + 'me/someone/data"', "a path of one machine"),
        ("# https://py" + "pi.org/simple", "a package registry's address"),
        ("# caf\u00e9", "not ASCII"),
    ],
)
def test_forbidden_text_is_found(tree, text, message):
    (tree / "openuni/x.py").write_text(f'"""X."""\n{text}\n', encoding="utf-8")
    assert text_violations(tree) == [f"openuni/x.py:2: {message}"]


def test_a_missing_docstring_is_found(tree):
    (tree / "model/x.py").write_text("X = 1\n")
    assert docstring_violations(tree) == ["model/x.py: no docstring"]
