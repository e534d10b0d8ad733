"""The findings of `lint`: for people, for programs, and as annotations for GitHub."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from marin_build.cli.terminal import Styled, echo
from marin_build.cli.views.build_reports import place_in_checkout
from marin_build.emit.github_annotations import github_annotation
from marin_build.pipeline.declared_at import shown
from marin_build.text.readable import printable, shortened, some_of
from marin_build.workspace.workspace import relative_to

if TYPE_CHECKING:
    from marin_build.operations.checks.lint import Linted
    from marin_build.pipeline.lint.findings import Finding

_SCHEMA_VERSION = 1
_LONGEST = 1_000
"""Characters of a finding on a terminal."""


def show_lint(linted: Linted) -> None:
    """Print each finding with its reason and way out, then how many there are."""
    for each in linted.findings:
        place = printable(shown(each.place, linted.project))
        echo(f"{place}: ", Styled(each.kind, "yellow"), f": {each.subject}: {_line(each.what)}")
        echo(f"  why:  {each.why}")
        if each.way_out is not None:
            echo(f"  hint: {_line(each.way_out)}")
    echo(_headline(linted))


def _line(text: str) -> str:
    return printable(shortened(text, _LONGEST))


def _headline(linted: Linted) -> str:
    count, steps = len(linted.findings), linted.steps
    found = f"{count or 'no'} finding{'s' * (count != 1)} in {steps} step{'s' * (steps != 1)}"
    ignored = [f"{number} {kind}" for kind, number in linted.ignored.items()]
    found += f" (ignored: {', '.join(ignored)})" if ignored else ""
    if not linted.expansions:
        return found
    names = some_of([f"`{printable(name)}`" for name in linted.expansions])
    return f"{found}; not checked: the steps of {names}, which follow from what is built"


def lint_json(linted: Linted) -> dict[str, Any]:
    """Return the document of `--json`."""
    return {
        "schema_version": _SCHEMA_VERSION,
        "steps": linted.steps,
        "findings": [_finding_json(each, linted.project) for each in linted.findings],
        "ignored": dict(linted.ignored),
        "expansions_not_checked": list(linted.expansions),
    }


def _finding_json(finding: Finding, project: str) -> dict[str, Any]:
    file, line = finding.place
    return {
        "kind": finding.kind,
        "steps": list(finding.steps),
        "file": relative_to(file, project),
        "line": line,
        "what": finding.what,
        "why": finding.why,
        "way_out": finding.way_out,
    }


def lint_annotations(linted: Linted) -> list[str]:
    """Return a workflow command for each finding: GitHub shows it beside the line."""
    return [
        github_annotation(
            "warning",
            place_in_checkout(each.place, linted.project),
            f"{each.kind}: {each.steps[0]}",
            shortened("\n".join(_sentences(each)), _LONGEST),
        )
        for each in linted.findings
    ]


def _sentences(finding: Finding) -> list[str]:
    said = [f"{finding.subject}: {finding.what}", f"why: {finding.why}"]
    return [*said, f"hint: {finding.way_out}"] if finding.way_out is not None else said
