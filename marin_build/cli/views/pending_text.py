"""The targets of a plan that are still to be built, for the plan's `run.sh`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from marin_build.plan.reason_text import describe
from marin_build.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from marin_build.operations.run_step import PendingTarget


def show_pending(pending: Iterable[PendingTarget]) -> None:
    """Print ids of targets to build, one on each line, and errors for damaged ones."""
    for each in pending:
        if each.damage is not None:
            reason = printable(describe(each.damage))
            click.echo(f"error: `{each.target}` is blocked: {reason}", err=True)
        if each.is_to_run:
            sys.stdout.write(f"{each.target}\n")
