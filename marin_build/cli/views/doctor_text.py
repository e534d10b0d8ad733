"""The results of `doctor`, for people and for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from marin_build.cli.terminal import Styled, echo
from marin_build.text.readable import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marin_build.operations.checks.checkup import Checkup

_COLOURS = {"ok": "green", "note": "cyan", "warn": "yellow", "fail": "red"}
_INDENT = " " * 6
_SCHEMA_VERSION = 1


def show_checkups(checkups: Sequence[Checkup]) -> None:
    """Print a line for each check, and below it what was found, with remedies."""
    for one in checkups:
        head = f"{one.state:<4}"
        echo(Styled(head, _COLOURS[one.state]), f"  {one.subject} ({printable(one.source)})")
        for finding in one.findings:
            echo(f"{_INDENT}{printable(finding.what)}")
            if finding.remedy is not None:
                echo(Styled(f"{_INDENT}  remedy: {printable(finding.remedy)}", "yellow"))
        for line in one.problem.render().splitlines() if one.problem is not None else ():
            echo(f"{_INDENT}{printable(line)}".rstrip())


def checkups_json(checkups: Sequence[Checkup]) -> dict[str, Any]:
    """Return the document of `--json`."""
    return {
        "schema_version": _SCHEMA_VERSION,
        "checks": [
            {
                "subject": one.subject,
                "source": one.source,
                "state": one.state,
                "findings": [
                    {"state": found.state, "what": found.what, "remedy": found.remedy}
                    for found in one.findings
                ],
                "problem": {
                    "what": one.problem.what,
                    "facts": dict(one.problem.facts),
                    "hint": one.problem.hint,
                }
                if one.problem is not None
                else None,
            }
            for one in checkups
        ],
    }
