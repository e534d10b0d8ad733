"""The page of a saved plan, and what it says of the whole: from the plan's document alone."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from marin_build.drawing.details import About, browser_address
from marin_build.drawing.page import as_html
from marin_build.drawing.planned import details_of_plan, picture_of_plan
from marin_build.ranking import longest_chain
from marin_build.workspace import DEFAULT_PREFIX

if TYPE_CHECKING:
    from collections.abc import Collection

    from marin_build.drawing.picture import Picture
    from marin_build.emit.document import PlanDocument
    from marin_build.emit.templates import Templates

_TO_BUILD = ("to build", "stale", "failed")
MOST_TARGETS = 20_000
"""A page of more is tens of megabytes; nobody asked for it who wanted a plan."""


def page_of_plan(
    document: PlanDocument, files: Collection[str], templates: Templates
) -> str | None:
    """Return the page that lies beside a plan: the same text for the same plan and templates.

    Args:
        document: the plan.
        files: the paths of its other files.
        templates: where the page's parts come from.

    Returns:
        The page; None of more than MOST_TARGETS targets.

    Raises:
        SpecificationError: a part is missing, or a template is malformed.

    """
    if len(document.decisions) + len(document.pruned) > MOST_TARGETS:
        return None
    picture = picture_of_plan(document)
    replay = "replay the plan, from its folder", (shlex.join(["marin-build", "apply", "."]),)
    about = about_plan(document, picture, replay if document.engine == "local" else None)
    return as_html(picture, about, details_of_plan(document, picture, "", files), templates)


def about_plan(
    document: PlanDocument, picture: Picture, replay: tuple[str, tuple[str]] | None
) -> About:
    """Return what a page says of a saved plan.

    Args:
        document: the plan.
        picture: of it.
        replay: how it is replayed: a label, and a command line.

    """
    count = document.summary
    counts = [
        f"{count['run']} to build",
        *([f"{count['wait']} built by somebody else"] if count["wait"] else []),
        *([f"{count['blocked']} blocked"] if count["blocked"] else []),
        f"{count['reuse'] + count['pruned']} reused",
    ]
    path = _longest_chain(picture)
    return About(
        title=document.pipeline,
        summary=f"plan {document.plan_id}: {', '.join(counts)}",
        engine=document.engine,
        prefix=document.prefix,
        prefix_link=browser_address(document.prefix),
        commands=(
            *([replay] if replay is not None else ()),
            ("build it", (_line(document, "apply"), "")),
            ("why, in full", (_line(document, "explain"), "")),
        ),
        path=path,
        path_text=f"{len(path)} steps; a plan does not say how long they take" if path else "",
    )


def _line(document: PlanDocument, command: str) -> str:
    """Return a command line that plans the same pipeline again; a target belongs after it."""
    words = ["marin-build", command, "-f", document.pipeline]
    if document.prefix != DEFAULT_PREFIX:
        words += ["--prefix", document.prefix]
    if document.engine != "local":
        words += ["--engine", document.engine]
    if document.code is not None:
        words += ["--code-policy", document.code]
    for key, value in document.parameters.items():
        words += ["--set", f"{key}={value}"]
    return shlex.join(words) + " "


def _longest_chain(picture: Picture) -> tuple[int, ...]:
    """Return the longest chain of what is to be built, the first one first."""
    shown = [i for i, node in enumerate(picture.nodes) if node.state in _TO_BUILD]
    place = {node: i for i, node in enumerate(shown)}
    needs: list[list[int]] = [[] for _ in shown]
    for source, target in picture.edges:
        if source in place and target in place:
            needs[place[target]].append(place[source])
    path, _ = longest_chain(needs, [1.0] * len(shown))
    return tuple(shown[i] for i in path)
