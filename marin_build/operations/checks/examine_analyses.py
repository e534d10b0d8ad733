"""What stands in the way of using what earlier loads of a project's pipelines gave."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from marin_build.analysis.analysis_files import REFUSED, UNSTEADY, USED, AnalysisFiles
from marin_build.operations.checks.checkup import Checkup, Finding
from marin_build.text.readable import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_SHOWN = 8


def examine_analyses(project: str, *, is_on: bool) -> Iterator[Checkup]:
    """Yield what became of the last loads of a project's pipelines; nothing if none was kept.

    Args:
        project: its folder.
        is_on: whether the configuration lets loads be kept.

    """
    if not is_on:
        findings = [Finding("off: each command loads the pipeline", is_note=True)]
    else:
        known = list(AnalysisFiles(project).all())
        lines = dict.fromkeys(_line(index) for index in known)
        findings = [Finding(line) for line in list(lines)[:_SHOWN]]
    if findings:
        yield Checkup("analysis cache", project, tuple(findings))


def _line(index: Mapping[str, Any]) -> str:
    name = f"`{printable(str(index.get('pipeline')))}`"
    match index.get("state"):
        case state if state == USED:
            return f"{name} is not loaded again while nothing changes that it looks at"
        case state if state == REFUSED:
            return f"{name} is loaded each time: {printable(str(index.get('why')))}"
        case state if state == UNSTEADY:
            return f"{name} is loaded each time: it declares something else each time"
    return f"{name} was loaded once: a second load must give the same"
