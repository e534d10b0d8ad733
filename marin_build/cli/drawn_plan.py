"""What a picture of a saved plan shows: the plan's document alone."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

from marin_build.cli.plan_directory import read_plan_directory
from marin_build.drawing.plan_page import about_plan
from marin_build.drawing.planned import details_of_plan, picture_of_plan
from marin_build.emit.templates import Templates
from marin_build.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from marin_build.drawing.details import About, Details
    from marin_build.drawing.picture import Picture, State


def draw_saved(
    folder: str, states: Collection[State], start: str, *, with_details: bool
) -> tuple[Picture, About, Sequence[Details], Templates]:
    """Return the picture of a saved plan, and what a page says of it.

    Args:
        folder: the plan's directory.
        states: draw these only; empty: all.
        start: the folder from which links lead to the plan's scripts.
        with_details: whether a page is asked for.

    Raises:
        UsageError: no plan is there.
        StoppedError: it was edited.

    """
    document = read_plan_directory(folder)
    picture = picture_of_plan(document)
    details: Sequence[Details] = ()
    if with_details:
        way = os.path.relpath(folder, start).replace(os.sep, "/")
        details = details_of_plan(document, picture, f"./{way}/", document.files)
    if states:
        from marin_build.drawing.simpler import only_states

        picture, kept = only_states(picture, states)
        details = [details[i] for i in kept] if details else ()
    replay = "replay the plan", (shlex.join(["marin-build", "apply", folder]),)
    # Our own templates: the project of the plan may be elsewhere.
    templates = Templates(Workspace(os.path.abspath(folder), document.prefix))
    return picture, about_plan(document, picture, replay), details, templates
