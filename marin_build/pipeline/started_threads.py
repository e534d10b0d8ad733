"""The threads of this process: those that a pipeline's imports start are missing in its steps."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from marin_build.text.readable import printable

if TYPE_CHECKING:
    from collections.abc import Sequence


_SHOWN = 3
"""How many threads a warning names."""


def running_threads() -> dict[int | None, str]:
    """Return the names of the threads that run, by number; an import of their module takes time."""
    threading = sys.modules.get("threading")
    return {t.ident: t.name for t in threading.enumerate()} if threading is not None else {}


def lost_threads(names: Sequence[str]) -> list[str]:
    """Return a warning about threads that steps, as forks of this process, do not have.

    Args:
        names: of the threads that loading the pipeline started, and that still run.

    """
    if not names:
        return []
    shown = ", ".join(f"`{printable(name)}`" for name in names[:_SHOWN])
    more = len(names) - _SHOWN
    all_of_them = f"{shown} and {more} more" if more > 0 else shown
    warning = (
        f"the pipeline's imports started threads: {all_of_them}; steps are forks of it without "
        "them, and wait for ever for a lock that one of them held: start threads in the step"
    )
    return [warning]
