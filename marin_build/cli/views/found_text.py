"""What is to be said of targets that were found without the pipeline."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.cli.terminal import echo

if TYPE_CHECKING:
    from collections.abc import Sequence


def show_notes(notes: Sequence[str]) -> None:
    """Print on standard error why records answer and not the pipeline, or what is not known."""
    for note in notes:
        echo(f"note: {note}", err=True)
