"""What `migrate` did to an experiment, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.cli.terminal import Styled, echo

if TYPE_CHECKING:
    from marin_build.compat.migration.proof import Proof
    from marin_build.operations.checks.migrate import Migration


_SHOWN = 20
_COLOURS = {"+": "green", "-": "red", "@": "cyan"}


def show_migration(migration: Migration) -> None:
    """Print the difference of both texts, what was moved and what was not, and the proof."""
    for line in migration.difference.splitlines():
        echo(line, fg=_COLOURS.get(line[:1]))
    if migration.difference:
        echo("")
    for moved in migration.moved:
        place = f"{migration.file}:{moved.line}"
        echo(Styled("  moved  ", "green"), f"{place}  {moved.what} -> {moved.now}")
    for left in migration.left:
        place = f"{migration.file}:{left.line}"
        echo(Styled("  left   ", "yellow"), f"{place}  {left.what}: {left.why}")
    if migration.proof is None:
        echo(f"{migration.file}: there is nothing that could be moved")
        return
    _show_proof(migration.proof)
    if migration.is_written:
        echo(f"written: {migration.new_file}")
    elif migration.holds:
        echo(f"nothing was written: --write writes {migration.new_file}")
    else:
        echo("nothing was written", fg="red")


def _show_proof(proof: Proof) -> None:
    if proof.failure is not None:
        echo("the new form cannot be planned:", fg="red")
        for line in proof.failure.splitlines():
            echo(f"  {line}")
        return
    for line in proof.differences[:_SHOWN]:
        echo(Styled("  differs  ", "red"), line)
    if len(proof.differences) > _SHOWN:
        echo(f"  and {len(proof.differences) - _SHOWN} more")
    if proof.differences:
        return
    total = proof.targets
    echo(f"{total} of {total} targets keep their output path; nothing would be built anew")
    if proof.reported:
        echo(f"plans will report drift of {proof.reported}: their records have another identity")
