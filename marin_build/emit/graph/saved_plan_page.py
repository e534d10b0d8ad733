"""The page that lies beside a saved plan, and the commands and links of such a page."""

from __future__ import annotations

import posixpath
import shlex
from typing import TYPE_CHECKING

from marin_build.emit.graph.drawing import View, draw
from marin_build.workspace.workspace import DEFAULT_PREFIX

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from marin_build.emit.graph.details import Commands
    from marin_build.emit.templates import Templates
    from marin_build.plan.document import PlanDocument


MOST_TARGETS = 100_000
"""A page of so many has less than ten megabytes; of more targets none is made."""


def page_of_plan(
    document: PlanDocument,
    files: Collection[str],
    templates: Templates,
    *,
    engine_words: Sequence[str] = (),
    is_replayable: bool = True,
) -> str | None:
    """Return the page that lies beside a plan; equal plans and templates give equal bytes.

    Args:
        document: the plan.
        files: the paths of its other files.
        templates: the templates of the page's parts.
        engine_words: the command-line options that choose the plan's engine.
        is_replayable: whether `apply` builds with that engine.

    Returns:
        The page; None if the plan has more than MOST_TARGETS targets.

    Raises:
        SpecificationError: a part is missing, or a template is malformed.

    """
    if len(document.decisions) + len(document.pruned) > MOST_TARGETS:
        return None
    commands = commands_of(document, engine_words)
    if is_replayable:
        commands = (replay_command("replay the plan, from its folder", "."), *commands)
    scripts = scripts_of(document, files)
    return draw(document, View("html"), templates, commands=commands, scripts=scripts).text


def scripts_of(document: PlanDocument, files: Collection[str], folder: str = "") -> dict[str, str]:
    """Return the addresses of the scripts that build targets, by id.

    Each engine has names of its own for them: a script is the file in the folder of its target.

    Args:
        document: the plan.
        files: the paths of its files.
        folder: the plan directory relative to the page, with a slash at the end; empty if they are
            in the same folder.

    """
    beside = {posixpath.dirname(path): path for path in files}
    targets = [decision.target for decision in document.decisions]
    return {
        target: folder + beside[f"steps/{target}"]
        for target in targets
        if f"steps/{target}" in beside
    }


def replay_command(label: str, folder: str) -> tuple[str, tuple[str, ...]]:
    """Return a label, and the command line that replays the plan of a folder."""
    return label, (shlex.join(["marin-build", "apply", folder]),)


def commands_of(document: PlanDocument, engine_words: Sequence[str]) -> Commands:
    """Return the command lines for one target of the plan's pipeline, each with a label."""
    return (
        ("build it", (_line(document, "apply", engine_words), "")),
        ("why, in full", (_line(document, "explain", engine_words), "")),
    )


def _line(document: PlanDocument, command: str, engine_words: Sequence[str]) -> str:
    words = ["marin-build", command, "-f", document.pipeline]
    if document.prefix != DEFAULT_PREFIX:
        words += ["--prefix", document.prefix]
    words += engine_words
    if document.code is not None:
        words += ["--code-policy", document.code]
    for key, value in document.parameters.items():
        words += ["--set", f"{key}={value}"]
    return shlex.join(words) + " "
