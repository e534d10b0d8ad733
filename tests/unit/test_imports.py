"""What imports cost a no-op, and that they lead one way; the floors stand in pyproject.toml."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import networkx as nx

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
