"""When two functions are the same code: neither a comment nor a new line may say they are not."""

from __future__ import annotations

import functools
import importlib.util
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from marin_build import StepSpec, command, step
from marin_build.identity.code.digest import code_digest
from marin_build.identity.code.same_code import describe, same_code

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def function_of(tmp_path: Path) -> Callable[[str], Any]:
    """Return what makes the function `f` of a source text."""
    count = 0

    def make(text: str) -> Any:
        nonlocal count
        count += 1
        file = tmp_path / f"module{count}.py"
        file.write_text(text)
        spec = importlib.util.spec_from_file_location(file.stem, file)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module.f

    return make


PLAIN = "def f(output, n=1):\n    total = n + 1\n    return total\n"


@pytest.mark.parametrize(
    "text",
    [
        "# a comment\n\n\n" + PLAIN,
        PLAIN.replace("total = n + 1", "total = (n +\n        1)  # sum"),
        PLAIN.replace("    total", '    """Say what it does."""\n    total', 1),
        PLAIN.replace("    ", "  "),
    ],
)
def test_comments_docstrings_and_formatting_are_not_code(
    text: str, function_of: Callable[[str], Any]
) -> None:
    assert code_digest(function_of(PLAIN)) == code_digest(function_of(text))
    assert same_code(function_of(PLAIN), function_of(text))


@pytest.mark.parametrize(
    "text",
    [
        PLAIN.replace("n + 1", "n + 2"),
        PLAIN.replace("n=1", "n=2"),
        PLAIN.replace("n=1", "*, n=1"),
        PLAIN.replace("total", "sum"),
        PLAIN.replace("return total", "return 'total'"),
        "import functools\n@functools.cache\n" + PLAIN,
        "f = lambda output, n=1: n + 1",
        PLAIN.replace("n=1", "n: int = 1"),
    ],
)
def test_other_code_is_told_apart(text: str, function_of: Callable[[str], Any]) -> None:
    assert code_digest(function_of(PLAIN)) != code_digest(function_of(text))
    assert not same_code(function_of(PLAIN), function_of(text))


def _with(value: object, default: object = None) -> Callable[[str], object]:
    def build(output: str, other: object = default) -> object:
        return value, other

    return build


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 2), (1, 1.0), (1, True), ([1], (1,)), ([1, 2], [2, 1]), ({1, 2}, [1, 2]),
        ({"a": 1}, {"a": 2}), (None, "nothing"), (_with(1), _with(2)), (int, float),
        (functools.partial(_with, 1), functools.partial(_with, 2)),
        (functools.partial(_with, 1), functools.partial(_with, value=1)),
        (StepSpec(name="a"), StepSpec(name="b")),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_captured_values_are_part_of_the_code(one: object, other: object) -> None:
    for maker in (_with, functools.partial(_with, 0)):
        assert not same_code(maker(one), maker(other))
        assert code_digest(maker(one)) != code_digest(maker(other))
        assert same_code(maker(one), maker(one))


def test_sets_are_equal_in_any_order() -> None:
    assert same_code(_with({"a", "b", "c"}), _with({"c", "b", "a"}))
    assert same_code(_with({"a": 1, "b": 2}), _with({"a": 1, "b": 2}))


def test_objects_without_a_form_are_the_same_only_if_they_are_one() -> None:
    one, other = object(), object()
    assert same_code(_with(one), _with(one))
    assert not same_code(_with(one), _with(other))
    assert code_digest(_with(one)) == code_digest(_with(other))  # stable between processes


def test_lambdas_in_one_line_are_told_apart() -> None:
    pair = (lambda output: 1, lambda output: 2)
    again = (lambda output: 1, lambda output: 2)
    assert not same_code(pair[0], pair[1])
    assert same_code(pair[0], again[0])
    assert same_code(pair[1], again[1])


def test_methods_differ_by_their_owner() -> None:
    class Trainer:
        def __init__(self, lr: float) -> None:
            self.lr = lr

        def train(self, output: str) -> float:
            return self.lr

    one = Trainer(1)
    assert same_code(one.train, one.train)
    assert not same_code(one.train, Trainer(2).train)


def test_functions_that_capture_each_other_are_each_read_once() -> None:
    """Two local functions that call each other must not keep the planner busy for minutes."""
    mark = object()

    def ping(n: int) -> object:
        return pong(n - 1), ping(n - 2), mark

    def pong(n: int) -> object:
        return ping(n - 1), pong(n - 2), mark

    seen: list[object] = []

    def opaque(value: object) -> str:
        seen.append(value)
        assert len(seen) < 1000, "grows with each level"
        return "mark"

    assert describe(ping, opaque) == describe(ping, opaque) != describe(pong, opaque)


def test_commands_are_compared_by_their_text() -> None:
    one = command("sort a", name="a")
    assert same_code(one.fn, command("sort a", name="b").fn)
    assert not same_code(one.fn, command("sort b", name="a").fn)
    assert not same_code(one.fn, command(["sort", "a"], name="a").fn)


def test_a_bound_call_is_the_code_of_its_function() -> None:
    @step
    def train(output: str, lr: float) -> None: ...

    assert code_digest(train(lr=1).fn) == code_digest(train(lr=2).fn)


_NO_SOURCE = (
    "from marin_build.identity.code.digest import code_digest\n"
    "exec(\"def f(o): return o in {'a', 'b', 'c', 'd', 'e'}\")\n"
    "print(code_digest(f))\n"
)


def test_code_without_a_source_file_has_one_digest_in_every_process() -> None:
    """A plan pins it and `rebuild` hashes it: it must not change with Python's hash seed."""
    digests = {
        subprocess.run(
            [sys.executable, "-c", _NO_SOURCE], capture_output=True, check=True, text=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(digests) == 1
