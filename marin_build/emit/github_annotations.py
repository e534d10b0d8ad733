"""Annotations: GitHub shows a line of a workflow's log beside a line of the code. Pure.

The form and its escapes are those of GitHub Actions' toolkit, `::error file=,line=,title=::`.
"""

from __future__ import annotations

from typing import Literal

from marin_build.text.readable import printable


def github_annotation(
    level: Literal["error", "warning"], place: tuple[str, int] | None, title: str, message: str
) -> str:
    """Return the workflow command of an annotation.

    Args:
        level: how bad it is.
        place: a file, relative to the checkout, and a line; None: it is shown with the run.
        title: its first line.
        message: perhaps of several lines.

    """
    where = f"file={_property(place[0])},line={place[1]}," if place is not None else ""
    return f"::{level} {where}title={_property(title)}::{_data(message)}"


def _data(text: str) -> str:
    lines = [printable(line) for line in text.splitlines()]
    return "%0A".join(line.replace("%", "%25") for line in lines)


def _property(text: str) -> str:
    shown = printable(text).replace("%", "%25")
    return shown.replace(":", "%3A").replace(",", "%2C")
