"""What is to be said of outputs that were found without the pipeline."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.cli.terminal import echo

if TYPE_CHECKING:
    from marin_build.operations.find_outputs import FoundOutputs


def show_notes(found: FoundOutputs) -> None:
    """Print on standard error why records answer and not the pipeline."""
    for note in found.notes:
        echo(f"note: {note}", err=True)
