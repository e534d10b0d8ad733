"""What a report is made of, as values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from marin_build.identity.canonical import FrozenDict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from marin_build.emit.graph.details import About, Details
    from marin_build.emit.graph.picture import Node
    from marin_build.plan.estimate import Duration
    from marin_build.plan.metrics.metrics_table import MetricsTable


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """How an output came to be, as its record says it; what is empty is not known.

    Args:
        end: a moment, as documents write it.
        seconds: how long it took.
        by: `user@host`.
        run, attempt: in which run, and at which attempt.
        made_by: the dotted name of a function, or a command.
        commit: of the project's code.
        is_dirty: whether there were changes that were not committed; None if that is not known.
        argv: the command line of the run.
        code: digest of the step's code.
        written_by: `marin-build 0.1.0`, or another program.
        python, image: the version of Python, and the container image.
        distributions: the version of each installed package that the code imports.
        locks: lock file of the project -> digest.
        adopted_from: the place of data that was registered and not built.
        note: why it was.

    """

    end: str = ""
    seconds: float = 0.0
    by: str = ""
    run: str = ""
    attempt: int = 0
    made_by: str = ""
    commit: str = ""
    is_dirty: bool | None = None
    argv: tuple[str, ...] = ()
    code: str = ""
    written_by: str = ""
    python: str = ""
    image: str = ""
    distributions: Mapping[str, str] = FrozenDict()
    locks: Mapping[str, str] = FrozenDict()
    adopted_from: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What is seen of a file of an output.

    Args:
        path: inside the output.
        kind: a picture has `data`, a text `lines`, a table `rows`, and what is only named nothing.
        media: the media type of a picture.
        data: its bytes.
        lines: of a text.
        rows: of a table; the first one is its head.
        is_cut: whether there is more of it.
        problem: why a picture is only named.

    """

    path: str
    kind: Literal["picture", "text", "table", "named"]
    media: str = ""
    data: bytes = b""
    lines: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    is_cut: bool = False
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """The files of an output.

    Args:
        files: path and bytes of each of the first ones.
        count, size: how many there are, and their bytes.
        previews: what is seen of some.

    """

    files: tuple[tuple[str, int], ...] = ()
    count: int = 0
    size: int = 0
    previews: tuple[Preview, ...] = ()


Absent = Literal["let go", "not built"]
"""How `status` calls what is not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedTarget:
    """A target with all that a report says of it.

    Args:
        node: id, name, state and reason.
        details: attributes, output path, and what the page of a graph says of it.
        absent: that its output is `let go` or `not built`, and that nothing needs it; None: it is
            built, or the node says how it stands.
        needs: the ids of the targets it needs.
        build: how its output came to be; None if it is not built, or no record says.
        expected: how long builds of its name took before; None if there was none.
        returned: what its step returned, as JSON values; None if that is nothing.
        returned_problem: why that is not here although there is something.
        contents: its files, of a requested target that is built.

    """

    node: Node
    details: Details
    absent: Absent | None = None
    needs: tuple[str, ...] = ()
    build: Build | None = None
    expected: Duration | None = None
    returned: Any = None
    returned_problem: str = ""
    contents: Contents | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingExpansion:
    """An expansion whose steps are not known yet.

    Args:
        node: its name, and what it waits for.
        details: where it is declared.

    """

    node: Node
    details: Details


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All that a report says.

    Args:
        about: the plan as a whole, and the commands for a target.
        targets: the requested ones and all they need, dependencies first.
        edges: pairs of places in `targets`, and after them in `waiting`, the way data flows.
        requested: ids.
        waiting: the expansions whose steps are not known yet.
        parameters: name -> value, as they were given.
        commit, is_dirty: the code that the plan was made from; empty and None if not known.
        commands: how to do it again: what for, and a command line.
        metrics: tables of the numbers that steps returned, one for each kind of step.
        version: of marin-build, which wrote the page.

    """

    about: About
    targets: tuple[ReportedTarget, ...]
    edges: tuple[tuple[int, int], ...]
    requested: tuple[str, ...]
    waiting: tuple[WaitingExpansion, ...] = ()
    parameters: Mapping[str, str] = FrozenDict()
    commit: str = ""
    is_dirty: bool | None = None
    commands: tuple[tuple[str, str], ...] = ()
    metrics: tuple[MetricsTable, ...] = ()
    version: str = ""
