"""What the tests of migration share: a step as a plan would say that a file declares it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import pytest

from marin_build.compat.migration.planned_steps import PlannedStep
from marin_build.compat.migration.rewrite import Rewritten, Wanted, rewrite

if TYPE_CHECKING:
    from collections.abc import Mapping

HEAD = """\
from marin.execution.executor import (
    ExecutorStep, executor_main, output_path_of, this_output_path, versioned)
from marin.execution.remote import remote
from work import Config, Model, write

"""


class Rewrites(Protocol):
    """Rewrites a text whose steps a plan knows by the lines that their texts begin at."""

    def __call__(
        self, text: str, steps: Mapping[str, Mapping[str, Any]] = ..., **wanted: Any
    ) -> Rewritten:
        """Return the new form of a text."""


@pytest.fixture
def rewrites() -> Rewrites:
    """A function that rewrites a text.

    `steps` are the texts that declarations begin with, and what is hashed of each.
    """

    def rewritten(
        text: str, steps: Mapping[str, Mapping[str, Any]] = {}, **wanted: Any
    ) -> Rewritten:
        planned = [
            planned_step(text[: text.index(start)].count("\n") + 1, attributes)
            for start, attributes in steps.items()
        ]
        return rewrite(text, Wanted(planned, **wanted))

    return rewritten


def planned_step(line: int, attributes: Mapping[str, Any], **other: Any) -> PlannedStep:
    """Return a step that a file declares in a line."""
    given: dict[str, Any] = {
        "name": f"step{line}",
        "output_path": f"bucket/step{line}-abc123",
        "folder": f"step{line}-abc123",
        "line": line,
        "attributes": attributes,
        "needs": frozenset(),
        "fingerprint": "f" * 64,
        "decision": "reuse",
    }
    return PlannedStep(**{**given, **other})
