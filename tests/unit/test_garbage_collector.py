"""When garbage is collected: seldom before the graph is built, and then as Python has it."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import pytest

from marin_build.garbage_collector import collect_seldom, without_garbage_collector

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def threshold() -> Iterator[tuple[int, int, int]]:
    """The threshold that tests run with, which is set again after each."""
    before = gc.get_threshold()
    yield before
    gc.set_threshold(*before)


def test_steps_run_with_the_collector_as_python_has_it(threshold: tuple[int, int, int]) -> None:
    """Garbage of a step may hold the memory of an accelerator."""
    collect_seldom()
    assert gc.get_threshold()[0] > threshold[0]
    with without_garbage_collector():
        assert not gc.isenabled()
    assert gc.isenabled()
    assert gc.get_threshold() == threshold


def test_what_a_program_chose_stays_when_it_loads_a_pipeline() -> None:
    gc.set_threshold(123, 4, 5)
    gc.disable()
    try:
        with without_garbage_collector():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
    assert gc.get_threshold() == (123, 4, 5)
