"""Code is read in the threads of StepRunner, several steps at once."""

from __future__ import annotations

import gc
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from marin_build.identity.code.syntax import dump, parse

if TYPE_CHECKING:
    from collections.abc import Iterator

TEXT = "\n".join(
    f"def f{i}(x):\n    return [g(y, [z for z in y if z]) for y in x]" for i in range(50)
)


@pytest.fixture
def _threads_take_turns_often() -> Iterator[None]:
    """Have threads take turns wherever the garbage collector calls Python."""

    def turn(*_: object) -> None: ...

    before = sys.getswitchinterval(), gc.get_threshold()
    sys.setswitchinterval(1e-6)
    gc.set_threshold(5)
    gc.callbacks.append(turn)
    yield
    gc.callbacks.remove(turn)
    gc.set_threshold(*before[1])
    sys.setswitchinterval(before[0])


def _deep(depth: int) -> Any:
    return _deep(depth - 1) if depth else parse(TEXT)


@pytest.mark.usefixtures("_threads_take_turns_often")
def test_texts_are_parsed_in_many_threads_as_in_one() -> None:
    """Else a step fails with a SystemError of Python's parser, now and then."""
    with ThreadPoolExecutor(4) as pool:
        trees = list(pool.map(_deep, range(8)))
    assert {dump(tree) for tree in trees} == {dump(parse(TEXT))}
