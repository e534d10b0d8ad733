"""What is to be said of targets that were found without the pipeline."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.cli.terminal import echo
from marin_build.text.readable import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marin_build.operations.loading.loading import Loaded


def show_notes(notes: Sequence[str]) -> None:
    """Print on standard error why records answer and not the pipeline, or what is not known."""
    for note in notes:
        echo(f"note: {note}", err=True)


def show_use(loaded: Loaded) -> None:
    """Print on standard error whether the pipeline was loaded, and why, where that is known."""
    if loaded.use:
        show_notes([f"`{printable(loaded.file)}` {loaded.use}"])
