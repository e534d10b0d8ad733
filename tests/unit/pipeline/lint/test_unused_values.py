"""What is given to a step and never used is found; what may be used is not."""

from __future__ import annotations

import functools
from pathlib import Path  # noqa: TC003 - steps read the annotations
from typing import TYPE_CHECKING, Any

import pytest

from marin_build import StepSpec, command, source, step
from marin_build.pipeline.lint.unused_values import unread, unused_values

if TYPE_CHECKING:
    from collections.abc import Callable


def reads(output: Path, a: Any, b: Any = 1) -> Any:
    return a + b


def reads_inside(output: Path, a: Any) -> Any:
    return [x + a for x in range(3)], lambda: a


def deletes(output: Path, a: Any) -> str:
    del a
    return "a"


def says_so(output: Path, _a: Any) -> str:
    return "a"


def reads_all(output: Path, a: Any) -> Any:
    return locals()


def ellipsis(output: Path, a: Any) -> None: ...


def documented(output: Path, a: Any) -> None:
    """Later."""


def raises(output: Path, a: Any) -> None:
    raise NotImplementedError


def raises_in_words(output: Path, a: Any) -> None:
    raise RuntimeError("this takes 9 hours")


async def waits(output: Path, a: Any) -> None: ...


async def waits_and_reads(output: Path, a: Any) -> Any:
    return a


@pytest.mark.parametrize(
    "function",
    [
        reads, reads_inside, deletes, says_so, reads_all, ellipsis, documented, raises,
        raises_in_words, waits, waits_and_reads,
    ],
)  # fmt: skip
def test_what_a_function_reads_or_may_read_is_no_finding(function: Callable[..., Any]) -> None:
    """Else people switch the rule off, and the next forgotten argument costs a week."""
    assert [each for each in unread(function.__code__) if each != "output"] == []


def names_it_only(output: Path, a: Any) -> Any:
    return "a", {"a": 3}


def assigns(output: Path, a: Any) -> Any:
    a = 1  # noqa: F841 - that is the point
    return 2


def asks_a_model(output: Path, a: Any, model: Any) -> Any:
    return model.eval()


async def waits_for_another(output: Path, a: Any) -> int:
    return 1


@pytest.mark.parametrize("function", [names_it_only, asks_a_model, waits_for_another])
def test_what_a_function_never_reads_is_found(function: Callable[..., Any]) -> None:
    assert [each for each in unread(function.__code__) if each != "output"] == ["a"]


def test_what_is_overwritten_is_not_read() -> None:
    assert "a" in unread(assigns.__code__)


@step
def made(output: Path) -> int:
    return 1


@step
def uses_nothing(output: Path, dep: Path, more: Path, attr: int, default: int = 2) -> int:
    return 1


def kinds_of(a_step: StepSpec) -> list[tuple[str, str]]:
    return [(each.kind, each.what) for each in unused_values(a_step)]


def test_each_unused_parameter_has_its_kind_and_the_place_of_the_function() -> None:
    """Dependencies cost waiting, attributes cost identities: the author must know which."""
    a_step = uses_nothing(dep=made(), more=source("x", name="x"), attr=3)
    assert kinds_of(a_step) == [
        ("unused-dep", "the function never reads the parameter `dep`, a dependency"),
        ("unused-input", "the function never reads the parameter `more`, an input"),
        ("unused-attr", "the function never reads the parameter `attr`, an attribute"),
        ("unused-attr", "the function never reads the parameter `default`, an attribute"),
    ]
    code = uses_nothing.code_function.__code__
    places = {each.place for each in unused_values(a_step)}
    assert places == {(code.co_filename, code.co_firstlineno)}


def test_a_list_of_sources_is_an_input() -> None:
    @step
    def counts(output: Path, files: list[Path], parts: dict[str, Path]) -> int:
        return 1

    given = counts(files=[source("x", name="x")], parts={"a": made()})
    assert [kind for kind, _ in kinds_of(given)] == ["unused-input", "unused-dep"]


def test_an_attribute_that_names_the_step_is_used() -> None:
    """A sweep over samples tells them apart by their names alone."""

    @step(name="sample/{seed}")
    def sample(output: Path, seed: int) -> int:
        return 1

    assert kinds_of(sample(seed=7)) == []


def test_a_wrapped_function_is_not_judged() -> None:
    """Its wrapper gets the arguments, and may read them."""

    def logged(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def wrapper(output: Path, **given: Any) -> Any:
            return function(output, **given)

        return wrapper

    assert kinds_of(step(logged(names_it_only))(a=1)) == []


def test_placeholders_that_a_command_never_names_are_found() -> None:
    a_step = command(
        "cat {used} > {output}/x; echo {{text}} ${text}",
        name="c",
        deps={"used": made(), "dep": made(), "_first": made()},
        inputs={"data": source("x", name="x")},
        params={"text": 1, "_seed": 2},
    )
    assert kinds_of(a_step) == [
        ("unused-dep", "the command never names the dependency `{dep}`"),
        ("unused-input", "the command never names the input `{data}`"),
        ("unused-attr", "the command never names the parameter `{text}`"),
    ]


@pytest.mark.parametrize(
    "text", ["cat {parts} > {output}/x", "xargs cat < {parts_list}", ["cat", "{parts}"]]
)
def test_a_list_is_used_by_each_of_its_placeholders(text: str | list[str]) -> None:
    assert kinds_of(command(text, name="c", deps={"parts": [made(), made()]})) == []


def test_a_function_of_a_path_is_not_judged() -> None:
    """What a StepSpec's own function reads of its dependencies cannot be known."""
    assert kinds_of(StepSpec(name="s", fn=lambda _: None, deps=[made()], hash_attrs={"a": 1})) == []
