"""What `@expand` takes, and what it refuses, with the place of the mistake."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from marin_build import StepSpec, expand, step
from marin_build.errors import SpecificationError

if TYPE_CHECKING:
    from pathlib import Path


@step
def split(output: str) -> dict[str, int]:
    return {"shards": len(output)}


@step
def merge(output: str, parts: list[int]) -> int:
    return sum(parts)


def _shards(found: object) -> object:
    return found


def test_its_name_its_sources_and_its_function_are_kept() -> None:
    one, two = split(), split.options(name="other")()

    @expand(one, again=[two, one])
    def some_shards(found: Any, again: Any) -> Any:
        return found, again

    assert some_shards.name == "some-shards"
    assert some_shards.sources == (one, two)
    assert some_shards.function({"shards": 1}, [2]) == ({"shards": 1}, [2]), "for tests"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "names no step whose value it waits for"),
        ((_shards,), "names no step whose value it waits for"),
        ((7,), "waits for an int, not a step"),
        (([],), "waits for a list, not a step"),
        ((split,), "waits for the step function `split`, not a step"),
        (("split",), "waits for the text 'split', not a step"),
        ((StepSpec("a"), StepSpec("b")), "does not take them: too many positional arguments"),
    ],
)
def test_what_it_cannot_wait_for_is_refused(arguments: tuple[Any, ...], words: str) -> None:
    """Else a slip in a declaration is a traceback of ours."""
    with pytest.raises(SpecificationError, match=words) as caught:
        expand(*arguments)(_shards)
    assert "test_expansion.py:" in caught.value.render()


def test_no_step_can_need_it() -> None:
    """Else a person does not learn how to say what comes after it."""
    shards = expand(split())(_shards)
    for declare in (
        lambda: merge(shards),  # type: ignore[arg-type]
        lambda: merge([split(), shards]),  # type: ignore[list-item]
        lambda: StepSpec("after", deps=[shards]),  # type: ignore[list-item]
        lambda: expand(shards)(_shards),
    ):
        with pytest.raises(SpecificationError, match="the expansion `-shards`") as caught:
            declare()
        assert caught.value.hint is not None
        assert "function" in caught.value.hint


def test_it_is_not_called_where_it_is_declared() -> None:
    shards = expand(split())(_shards)
    with pytest.raises(SpecificationError, match="was called, and `split` may not be built yet"):
        shards({"shards": 3})


def test_what_its_function_gets(tmp_path: Path) -> None:
    """Else the function must know how a value is kept."""
    built = StepSpec("built", override_output_path=tmp_path, fn=lambda _: None)
    (tmp_path / ".artifact.json").write_text('{"shards": 3}')

    def take(
        value: Any, folder: Path, url: str, typed: dict[str, float], *more: Any, **named: Any
    ) -> None: ...

    expansion = expand(built, built, built, built, [built], built, key={"a": built})(take)
    values = expansion.values()
    value = {"shards": 3}
    assert values.args == (value, tmp_path, str(tmp_path), {"shards": 3.0}, [value], value)
    assert values.kwargs == {"key": {"a": value}}
