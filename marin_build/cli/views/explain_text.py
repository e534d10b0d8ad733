"""The differences of code that `explain --code` shows, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.cli.terminal import echo

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marin_build.plan.drift import Drift, PartDrift


_COLOURS = {"+": "green", "-": "red", "@": "cyan"}


def show_code(drift: Drift | None, unseen: Sequence[str]) -> None:
    """Print differences: code as a unified difference of normalised source, then the rest.

    Args:
        drift: the differences; None if there is no earlier build to compare with.
        unseen: the parts of today's code that cannot be followed.

    """
    if drift is None:
        echo("code      no earlier build to compare with is known")
    elif not drift:
        echo("code      unchanged since it was built, and so is its environment")
    else:
        for part in drift.parts:
            _show_part(part)
        if drift.is_unexplained:
            echo("code      changed, and the source that built it was not kept")
        others = drift.differences[len(drift.parts) :]
        for text in others:
            echo(f"differs   {text}")
    for text in unseen:
        echo(f"unseen    {_plain(text)}")


def _show_part(part: PartDrift) -> None:
    via = f"  via {' -> '.join(part.via)}" if len(part.via) > 1 else ""
    echo(_plain(f"--- {part.shown}, as it was when built"), bold=True)
    echo(_plain(f"+++ {part.shown}, now ({part.how}){via}"), bold=True)
    for line in part.diff:
        echo(_plain(line), fg=_COLOURS.get(line[:1]))


def _plain(line: str) -> str:
    """Return a line without control characters, which source may contain."""
    return "".join(c if c.isprintable() or c == "\t" else "\ufffd" for c in line)
