"""The function of a step while it runs: `async def`, generators, steps that are called in it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator  # noqa: TC003 - annotations of a step are read
from contextvars import ContextVar
from pathlib import Path  # noqa: TC003
from typing import Any

import pytest

from marin_build import StepSpec, step
from marin_build.errors import SpecificationError
from marin_build.pipeline.load import load_pipeline
from marin_build.pipeline.running_function import run_function
from marin_build.workspace.workspace import Workspace
from tests.workspaces import in_workspace

seen: ContextVar[str] = ContextVar("seen", default="")


@step
async def waits(output: str, n: int) -> int:
    await asyncio.sleep(0)
    seen.get()
    return n + (seen.get() == "rank 3")


@step
def words(output: str) -> int:
    return 1


def test_a_coroutine_is_run_to_its_end() -> None:
    """Else the step returns at once, and nothing was done."""
    declared = waits(n=1)
    assert declared.fn is not None
    assert declared.fn("/out") == 1
    token = seen.set("rank 3")
    assert declared.fn("/out") == 2  # what says where it runs reaches it
    seen.reset(token)

    async def plain(output: str) -> str:
        return output

    assert run_function(plain, "/out") == "/out"


def test_it_is_run_where_a_loop_runs_already() -> None:
    """Else no notebook builds such a step."""

    async def notebook() -> Any:
        declared = waits(n=1)
        assert declared.fn is not None
        return declared.fn("/out")

    token = seen.set("rank 3")
    assert asyncio.run(notebook()) == 2
    seen.reset(token)


def test_what_it_raises_is_raised() -> None:
    async def fails(output: str) -> None:
        raise ValueError("no data")

    declared = step(fails)()
    assert declared.fn is not None
    with pytest.raises(ValueError, match="no data"):
        declared.fn("/out")


def test_a_function_that_would_not_run_is_refused() -> None:
    """Else the step fails when its dependencies were built, with an iterator to save."""

    def yields(output: str) -> Iterator[int]:
        yield 1

    async def ayields(output: str) -> AsyncIterator[int]:
        yield 1

    for function in (yields, ayields):
        with pytest.raises(SpecificationError, match="is a generator") as caught:
            step(function)
        assert f"{__file__}:{function.__code__.co_firstlineno}" in caught.value.render()
        with pytest.raises(SpecificationError, match="`x`: `fn` is a generator"):
            StepSpec(name="x", fn=function)


def test_a_step_that_is_called_in_a_step_says_what_happens() -> None:
    """Else the author gets a declaration where a number was expected, far from the mistake."""

    def outer(output: str) -> object:
        return [words() for _ in range(1)]

    async def aouter(output: str) -> object:
        return words()

    for function, name in ((outer, "outer"), (aouter, "aouter")):
        declared = step(function)()
        assert declared.fn is not None
        says = f"`words` was called while the step function `{name}` runs"
        with pytest.raises(SpecificationError, match=says) as caught:
            declared.fn("/out")
        assert "`words.function(output, ...)`" in str(caught.value)
    assert isinstance(words(), StepSpec)  # and it is over


def test_the_plain_function_can_be_called() -> None:
    def outer(output: str) -> int:
        return words.function(output)

    declared = step(outer)()
    assert declared.fn is not None
    assert declared.fn("/out") == 1


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    text = (
        "from marin_build import step\n"
        "@step\n"
        "def words(output): return 1\n"
        "def make(): return [words()]\n"
        "targets = make()\n"
    )
    (tmp_path / "declares_steps.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield "declares_steps"
    sys.modules.pop("declares_steps", None)


def test_a_step_may_import_what_declares_steps(module: str) -> None:
    """Else a step cannot use a helper of a file that is a pipeline, too."""

    def outer(output: str) -> object:
        return __import__(module)

    declared = step(outer)()
    assert declared.fn is not None
    assert isinstance(declared.fn("/out"), type(sys))


def test_a_step_may_load_a_pipeline(module: str, tmp_path: Path) -> None:
    """Else a step cannot plan another project."""

    def outer(output: str) -> int:
        workspace = Workspace(str(tmp_path), str(tmp_path / "out"))
        with in_workspace(workspace):
            return len(load_pipeline(str(tmp_path / f"{module}.py"), workspace, {}).roots)

    declared = step(outer)()
    assert declared.fn is not None
    assert declared.fn("/out") == 1
