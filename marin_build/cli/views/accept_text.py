"""The drift that `accept` lists and accepts, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.cli.terminal import echo

if TYPE_CHECKING:
    from marin_build.operations.marks.accept import AcceptedDrift


def show_found(found: AcceptedDrift) -> None:
    """Print the drift of each target, before it is accepted."""
    for each in found.targets:
        if not each.is_built:
            echo(f"{each.target}  not built: nothing to accept")
        elif each.drift is None:
            echo(f"{each.target}  no drift: nothing to accept")
        elif each.is_accepted:
            echo(f"{each.target}  {each.drift.text}")
        else:
            echo(f"{each.target}  {each.drift.text}: another identity is not accepted")


def show_accepted(done: AcceptedDrift) -> None:
    """Print for how many targets drift was accepted; nothing if for none."""
    if count := len(done.accepted):
        echo(f"accepted {count} target{'s' if count != 1 else ''}: {done.reason}")
