"""A notebook works with a project: in a real kernel, which has a running loop and threads."""

from __future__ import annotations

import ast
import os
import sys
import time
from typing import TYPE_CHECKING, Any

import nbformat
import pytest
from jupyter_client.manager import start_new_kernel
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from .support import PATIENCE, copy_examples, wait_for_exits

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .support import Gate

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of the client, not ours
    pytest.mark.usefixtures("_own_jupyter"),
]
_LONGEST_CELL = 280.0
"""Seconds; a busy machine takes minutes for the tutorial."""


@pytest.fixture
def _own_jupyter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have Jupyter read and write nothing of the person who runs the tests."""
    for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
        monkeypatch.setenv(name, str(tmp_path / "jupyter"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))


class Notebook:
    """Cells that were run, one after the other."""

    def __init__(self, folder: Path, *cells: str) -> None:
        new: Any = nbformat.v4  # has no types
        made = new.new_notebook(cells=[new.new_code_cell(cell) for cell in cells])
        client = NotebookClient(
            made,
            timeout=int(_LONGEST_CELL),
            kernel_name="python3",
            resources={"metadata": {"path": folder}},
        )
        client.execute()
        self._cells = made.cells

    def printed(self, cell: int) -> str:
        """Return what a cell printed."""
        return "".join(
            out.text for out in self._cells[cell].outputs if out.output_type == "stream"
        ).strip()

    def result(self, cell: int, form: str = "text/plain") -> Any:
        """Return what a cell displays, in a form."""
        (found,) = [o for o in self._cells[cell].outputs if o.output_type == "execute_result"]
        return found.data[form]

    def value(self, cell: int) -> Any:
        """Return the value of the last line of a cell."""
        return ast.literal_eval(self.result(cell))


def test_the_tutorial_runs_in_a_notebook(tmp_path: Path) -> None:
    """Else a person who works in notebooks has the command line only."""
    copy_examples(tmp_path)
    project = tmp_path / "examples/stdlib_lm"
    (project / "marin-build.toml").touch()
    ran = Notebook(
        project,
        "from marin_build import Project\nproject = Project.open()",
        "project.plan()",
        "seen = []\n"
        "totals = project.apply(jobs=2, on_event=seen.append)\n"
        "totals.succeeded, totals.failed, type(seen[0]).__name__",
        "project.apply().reused",
        'changed = Project.open(params={"vocab_b": 6000})\n'
        "plan = changed.plan()\n"
        # Without the estimate, which belongs to this machine.
        "summary = plan.summary.split(': ')[1].split(' - ')[0]\n"
        "[target.rpartition('_')[0] for target in plan.to_build], summary",
        "print(changed.explain('vocab-b/tokenizer'))",
        "changed.graph('svg', 'vocab-b/tokenizer')[:4]",
        "import json\n"
        "(report,) = (t for t in project.plan(force='report').to_build if 'report' in t)\n"
        "sorted(json.load(open(f'{project.prefix}/{report}/.artifact.json')))",
        "print(project.plan())",
    )
    assert "18 to build, 0 reused" in ran.result(1)
    page = ran.result(1, "text/html")
    assert "<td" in page
    assert "data:image/svg+xml;base64," in page
    assert ran.value(2) == (18, 0, "ApplyStarted")
    assert ran.value(3) == 18
    names, summary = ran.value(4)
    branch = ["tokenizer", "tokens-0", "tokens-1", "model", "evaluation"]
    assert names == [*(f"vocab-b/{step}" for step in branch), "report"]
    assert summary == "6 to build (1 rebuild, 5 cascade), 12 reused"
    assert "attrs.vocab_size 8000 -> 6000" in ran.printed(5)
    assert ran.value(6) == "<svg"
    assert ran.value(7) == ["vocab-a", "vocab-b"]
    assert ran.printed(8).endswith("nothing to do: everything requested is built")


CELL = """\
from pathlib import Path
import os
from marin_build import ApplyFailedError, Project, step

KERNEL = os.getpid()

@step
def numbers(output: Path, count: int) -> int:
    print("in the log")
    assert os.getpid() != KERNEL
    (output / "numbers.txt").write_text(" ".join(map(str, range(count))))
    return count

@step
def total(output: Path, numbers: Path, fail: bool = False) -> int:
    if fail:
        raise ValueError("no <luck>")
    return sum(map(int, (numbers / "numbers.txt").read_text().split()))
"""


def test_steps_of_cells_are_built_by_processes_of_their_own(tmp_path: Path) -> None:
    """Else a step that crashes takes the kernel with it, and all that the person has computed."""
    ran = Notebook(
        tmp_path,
        CELL,
        "summed = total(numbers=numbers(count=5))\n"
        "project = Project.of([summed])\n"
        "project.apply().succeeded",
        "open(f'{summed.output_path}/.artifact.json').read()",
        # The same cell again, with another body, as people do.
        CELL.replace("sum(map", "-sum(map"),
        "project = Project.of(lambda: [total(numbers=numbers(count=5))])\n"
        "plan = project.plan()\n"
        "len(plan.to_build), [drift.text for drift in plan.drift.values()]",
        "try:\n"
        "    Project.of([total(numbers=numbers(count=6), fail=True)]).apply()\n"
        "except ApplyFailedError as error:\n"
        "    found = error\n"
        "found.totals.succeeded, found.failures[0].name, found.failures[0].outcome.message",
        "Project.of([total(numbers=numbers(count=6), fail=True)]).plan()",
    )
    assert ran.value(1) == 2
    assert ran.value(2) == "10"
    to_build, drift = ran.value(4)
    assert to_build == 0
    assert drift == ["code changed since built: __main__.total()"]
    assert ran.value(5) == (1, "total", "ValueError: no <luck>")
    assert "no &lt;luck&gt;" in ran.result(6, "text/html")
    assert "<luck>" not in ran.result(6, "text/html")


def test_a_notebook_follows_a_run_while_its_loop_goes_on(tmp_path: Path) -> None:
    """Else a kernel is deaf while a run takes hours, or a run needs a program beside it."""
    ran = Notebook(
        tmp_path,
        CELL,
        "project = Project.of([total(numbers=numbers(count=7))])\n"
        "[type(event).__name__ for event in project.events()][-1]",
        # In a thread of the loop that runs the cells.
        "import asyncio\n"
        "totals = await asyncio.to_thread(project.apply, force='total')\n"
        "totals.succeeded",
    )
    assert ran.value(1) == "ApplyFinished"
    assert ran.value(2) == 1


def test_a_project_sees_what_changed_in_a_module_that_its_pipeline_imports(tmp_path: Path) -> None:
    """Else a plan in a notebook says what was so when the kernel was started."""
    (tmp_path / "marin-build.toml").touch()
    (tmp_path / "amounts.py").write_text("LINES = 3\n")
    (tmp_path / "pipeline.py").write_text(
        "from amounts import LINES\nfrom marin_build import step\n"
        "@step\ndef text(output, lines: int) -> int:\n    return lines\n"
        "targets = [text(lines=LINES)]\n"
    )
    ran = Notebook(
        tmp_path,
        "from marin_build import Project\nproject = Project.open()\nproject.apply().succeeded",
        "open('amounts.py', 'w').write('LINES = 4 # more')\nlist(project.plan().reasons.values())",
    )
    assert ran.value(0) == 1
    assert ran.value(1) == ["attrs.lines 3 -> 4"]


def test_an_error_in_a_cell_says_what_is_wrong(tmp_path: Path) -> None:
    """Else a person reads frames of ours in place of one line."""
    with pytest.raises(CellExecutionError, match="no pipeline file"):
        Notebook(tmp_path, "from marin_build import Project\nProject.open('nowhere.py')")


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Any]:
    """A kernel, and what talks to it."""
    manager, client = start_new_kernel(cwd=str(tmp_path), startup_timeout=PATIENCE)
    try:
        yield manager, client
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def test_an_interrupt_of_the_kernel_ends_the_run_and_not_the_kernel(
    kernel: Any, gate: Gate
) -> None:
    """Else a person who stops a long cell loses the kernel, or leaves steps that go on."""
    manager, client = kernel
    client.execute_interactive(CELL, timeout=PATIENCE, output_hook=lambda _message: None)
    waits = (
        "import time\n"
        "@step\n"
        "def slow(output: Path) -> int:\n"
        f"    Path({str(gate.folder / 'started')!r}).write_text(f'slow {{os.getpid()}}\\n')\n"
        "    time.sleep(600)\n"
        "    return 1\n"
        "Project.of([slow()]).apply()"
    )
    client.execute(waits)
    _, step = gate.wait_started()
    manager.interrupt_kernel()
    reply = client.get_shell_msg(timeout=PATIENCE)
    assert reply["content"]["ename"] == "KeyboardInterrupt"
    wait_for_exits([step], time.monotonic() + PATIENCE)
    after = client.execute_interactive(
        "assert list(Project.of([slow()]).plan().reasons.values())[0].startswith('interrupted')",
        timeout=PATIENCE,
        output_hook=lambda _message: None,
    )
    assert after["content"]["status"] == "ok", after["content"]
