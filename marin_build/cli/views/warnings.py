"""Warnings on standard error: problems that stop nothing, each with a hint."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.cli.terminal import echo
from marin_build.text.readable import bytes_text, printable

if TYPE_CHECKING:
    from marin_build.apply.events import Event, Warned
    from marin_build.observe.read_remote_sources import ReadingInputs


def show_warning(warned: Warned) -> None:
    """Print a warning and its hint."""
    echo(f"{warned.kind}: {printable(warned.message)}", err=True)
    if warned.hint:
        echo(f"hint: {printable(warned.hint)}", err=True)


def show_reading(progress: ReadingInputs) -> None:
    """Print how far the reading of inputs is, on a line of its own."""
    sources = f"{progress.sources} remote input{'s' * (progress.sources != 1)}"
    if progress.size is None and not progress.done:
        text = f"looking at {sources}"
    else:
        of = f" of {bytes_text(progress.size)}" if progress.size is not None else ""
        text = f"reading {sources}: {bytes_text(progress.done)}{of}"
    echo(f"{text} ...", err=True)


def show_event(event: Event) -> None:
    """Print an event that is a warning; commands with this view show only the end of others."""
    from marin_build.apply.events import StepDrifted, Warned

    match event:
        case Warned():
            show_warning(event)
        case StepDrifted(target=target, message=message):
            echo(f"warning: {target} is reused, though {printable(message)}", err=True)
