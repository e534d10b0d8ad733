"""What imports cost a no-op, and that they lead one way; the floors stand in pyproject.toml."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import networkx as nx

if TYPE_CHECKING:
    import pytest

HEAVY = {
    "networkx", "pydantic", "jinja2", "rich", "gcsfs", "fsspec", "aiohttp", "numpy", "asyncio",
}  # fmt: skip

NO_OP = """
import sys, tempfile
from marin_build import StepSpec, command, step
from marin_build.workspace.workspace import Workspace, use_workspace
from marin_build.pipeline.graph import build_graph
from marin_build.pipeline.targets import make_targets
from marin_build.observe.read_snapshot import observe
from marin_build.plan.decide import make_plan
from marin_build.protocol.lease import Host
from marin_build.plan.selection import select
from marin_build.store.open_store import open_store

@step
def train(output: str, lr: float = 0.1) -> None: ...

with tempfile.TemporaryDirectory() as folder:
    workspace = Workspace(folder, folder + "/out")
    use_workspace(workspace)
    raw = command("true", name="raw")
    targets = make_targets(build_graph([train(), raw]), workspace)
    store = open_store(workspace.prefix)
    for target in targets.all:
        store.put(target.output_path + "/.executor_status", b"SUCCESS")
    requested = select(targets, [])
    plan = make_plan(targets, observe(store, targets, requested, set(), Host("a", "b")), requested)
    assert plan.summary()["reuse"] == 2
print(*sorted(sys.modules))
"""


def test_planning_when_nothing_is_to_do_imports_nothing_slow() -> None:
    done = subprocess.run([sys.executable, "-c", NO_OP], capture_output=True, text=True, check=True)
    assert HEAVY.intersection(done.stdout.split()) == set()


SLOW = HEAVY | {
    "concurrent.futures", "email", "http", "importlib.metadata", "logging", "multiprocessing",
    "random", "socket", "ssl", "subprocess", "tempfile", "unittest", "xml", "zipfile",
}  # fmt: skip

COMMAND = """
import dataclasses, sys
from marin_build.cli.main import run
try:
    code = run(sys.argv[1:])
except SystemExit as ending:  # of a completion
    code = ending.code
from marin_build.quick_dataclass import _repr
modules = sorted(sys.modules)
kinds = [kind for name in modules if name.startswith("marin_build")
         for kind in vars(sys.modules[name]).values() if isinstance(kind, type)]
slow = {kind.__qualname__ for kind in kinds if "__dataclass_fields__" in vars(kind)
        and vars(kind).get("__repr__") is not _repr}
print("\\n" + "\\n".join([" ".join(modules), " ".join(sorted(slow))]))
sys.exit(code)
"""

PIPELINE = """
from marin_build import command, step

@step
def train(output: str, lr: float = 0.1) -> float:
    return lr

targets = [train(), command("touch {output}/raw", name="raw")]
"""


LATER = """
import time
now = time.time_ns
time.time_ns = lambda: now() + 10_000_000_000
"""
"""Makes files count as old: what is read of a file that was written just now is not believed."""


def _run(folder: Path, *words: str) -> tuple[set[str], set[str]]:
    """Return what a command imported, and the dataclasses that the standard library compiled."""
    command = [sys.executable, "-c", COMMAND, *words]
    environ = {**os.environ, "PYTHONPATH": str(folder.parent / "later")}
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=True, env=environ
    )
    *_, modules, compiled = done.stdout.split("\n")[:-1]
    return set(modules.split()), set(compiled.split())


def _ours(modules: set[str]) -> int:
    return sum(name.partition(".")[0] == "marin_build" for name in modules)


def test_a_command_that_has_nothing_to_do_imports_and_compiles_little(tmp_path: Path) -> None:
    """Half its time goes into that: 0.2 ms a module, 0.3 ms a class of the standard `dataclass`.

    Raise the number or add a class only for what a command cannot do without when nothing is to
    do. Import the rest late, and take `dataclass` from `marin_build.quick_dataclass`.
    """
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "pipeline.py").write_text(PIPELINE)
    (tmp_path / "later").mkdir()
    (tmp_path / "later" / "sitecustomize.py").write_text(LATER)
    _run(folder, "apply")
    for words in (["--no-analysis-cache"], [], [], [], []):  # the last one uses earlier loads
        modules, compiled = _run(folder, "apply", *words)
        is_observed = "marin_build.analysis.watch" in modules
        assert SLOW.intersection(modules) == set()
        assert _ours(modules) <= (217 if is_observed else 190)
        authors_see = {"Command", "PathPart", "Source", "StepFunction", "StepSpec"}
        derived = {"Loaded", "KeptTargets", "_CommandReader"}
        assert compiled <= authors_see | derived
    assert "marin_build.analysis.kept_steps" in modules


def test_help_and_completion_of_commands_import_no_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each must be there before a person notices that it takes time."""
    modules, _ = _run(tmp_path, "--help")
    assert _ours(modules) <= 15
    monkeypatch.setenv("COMP_WORDS", "marin-build gr")
    monkeypatch.setenv("COMP_CWORD", "1")
    monkeypatch.setenv("_MARIN_BUILD_COMPLETE", "bash_complete")
    modules, _ = _run(tmp_path)
    assert _ours(modules) <= 15


def test_keeping_a_run_does_not_load_what_only_emission_needs() -> None:
    """Else every build waits for templates that it does not render."""
    code = "import marin_build.apply.run_folder, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {"jinja2", "networkx", "rich"}.intersection(done.stdout.split()) == set()


def test_importing_the_package_imports_nothing_else() -> None:
    code = "import marin_build, sys; print(*[m for m in sys.modules if 'marin' in m])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == {"marin_build", "marin_build._version"}


def test_every_public_name_is_there() -> None:
    import marin_build

    assert all(getattr(marin_build, name) is not None for name in marin_build.__all__)
    assert not hasattr(marin_build, "nothing")


def test_dir_lists_exactly_the_public_names() -> None:
    """Else completion in a notebook offers modules and helpers that may change any day."""
    code = "import marin_build; print(*dir(marin_build))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    import marin_build

    assert done.stdout.split() == sorted(marin_build.__all__) == dir(marin_build)


def test_no_imports_go_in_a_circle() -> None:
    """Types and late imports count: in a circle no file can be understood before the others."""
    root = Path(__file__).parents[2] / "marin_build"
    files = {file: file.relative_to(root.parent).with_suffix("") for file in root.rglob("*.py")}
    modules = {".".join(path.parts).removesuffix(".__init__"): file for file, path in files.items()}
    graph: nx.DiGraph[str] = nx.DiGraph()
    for name, file in modules.items():
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            match node:
                case ast.Import(names=names):
                    imported = [alias.name for alias in names]
                case ast.ImportFrom(module=str(module), names=names):
                    imported = [module, *(f"{module}.{alias.name}" for alias in names)]
                case _:
                    continue
            graph.add_edges_from((name, other) for other in imported if other in modules)
    graph.remove_node("marin_build")  # names the public ones of all rooms
    circles = [sorted(found) for found in nx.strongly_connected_components(graph) if len(found) > 1]
    assert circles == []
