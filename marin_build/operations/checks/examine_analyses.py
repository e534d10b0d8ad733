"""What stands in the way of using what earlier loads of a project's pipelines gave."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from marin_build.analysis.analysis_files import AnalysisFiles
from marin_build.analysis.use_of_loads import use_in_words
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
        findings = [Finding(words) for words in words_on_analyses(project)]
    if findings:
        yield Checkup("analysis cache", project, tuple(findings))


def words_on_analyses(project: str) -> list[str]:
    """Return what became of the last loads of a project's pipelines, the newest first.

    Args:
        project: its folder.

    """
    lines = dict.fromkeys(_line(index) for index in AnalysisFiles(project).all())
    return list(lines)[:_SHOWN]


def _line(index: Mapping[str, Any]) -> str:
    return f"`{printable(str(index.get('pipeline')))}` {use_in_words(index)}"
