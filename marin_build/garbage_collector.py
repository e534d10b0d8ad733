"""The garbage collector, kept from what it would walk again and again: it lives until the end.

Modules and the graph are never garbage. To walk them takes 6 % of the time of a command that has
nothing to do, and a fifth of it at 100,000 steps.
"""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_AS_IT_WAS = gc.get_threshold()
_SELDOM = (200_000, *_AS_IT_WAS[1:])
"""Only after more new objects than those of all modules that a command imports."""


def collect_seldom() -> None:
    """Collect seldom while a command is imported, until the first graph was built.

    Steps are called after that: when their garbage is collected decides how much memory they need.
    """
    gc.set_threshold(*_SELDOM)


@contextmanager
def without_garbage_collector() -> Iterator[None]:
    """Pause the collector while a graph is built, and keep it from all that is there for good."""
    is_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if gc.get_threshold() == _SELDOM:
            gc.set_threshold(*_AS_IT_WAS)
        if is_on:
            gc.enable()
