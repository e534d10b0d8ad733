"""How a run ended, for those who did not watch it: Markdown, JUnit XML, annotations. Pure."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from typing import Literal

from marin_build.emit.github_annotations import github_annotation
from marin_build.emit.markdown import code, table
from marin_build.text.readable import duration_text, shortened

Result = Literal["built", "reused", "failed", "blocked", "stopped", "interrupted", "not started"]
_COUNTED: tuple[Result, ...] = (
    "built", "reused", "failed", "blocked", "stopped", "interrupted", "not started",
)  # fmt: skip
_MOST_ROWS = 200
_LONGEST = 2_000
"""Characters of a message in a table."""
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 allows no document to hold, not even escaped."""


@dataclass(frozen=True, slots=True)
class TargetResult:
    """How a target of a run ended.

    Args:
        name, target: the step's name and the target's id.
        result: how it ended.
        file, line: where its step is declared, relative to the checkout; empty and 0 if unknown.
        seconds: how long it took.
        message: why it was not built, in words.
        log: the path or URL of the log.
        attempts: how many tries it had.

    """

    name: str
    target: str
    result: Result
    file: str = ""
    line: int = 0
    seconds: float = 0.0
    message: str = ""
    log: str = ""
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class BuildReport:
    """A run, or that there was nothing to do.

    Args:
        run: its id; empty if nothing was built.
        results: of its targets, in the order in which they ended.
        reused: how many targets were built before.
        seconds: how long it took.
        outputs: name and place of the requested outputs that are built.
        drift: which reused targets drifted, in words; empty if none did.

    """

    run: str
    results: tuple[TargetResult, ...]
    reused: int
    seconds: float
    outputs: tuple[tuple[str, str], ...] = ()
    drift: str = ""

    @property
    def headline(self) -> str:
        """How it ended, in one line: `2 built, 1 failed, 14 reused in 3.2 s`."""
        counts = {
            result: sum(each.result == result for each in self.results) for result in _COUNTED
        }
        counts["reused"] += self.reused
        if not self.results:
            are = "s are" if self.reused != 1 else " is"
            return f"nothing to do: {self.reused:,} target{are} reused"
        words = [f"{count} {result}" for result, count in counts.items() if count]
        return f"{', '.join(words)} in {duration_text(self.seconds)}"

    @property
    def troubles(self) -> list[TargetResult]:
        """What was neither built nor reused."""
        return [each for each in self.results if each.result not in ("built", "reused")]


def summary_markdown(report: BuildReport) -> str:
    """Return a run in GitHub's Markdown; what went wrong comes first."""
    lines = [f"**{report.headline}**", ""]
    if report.run:
        lines += [f"run {code(report.run)}", ""]
    troubles = report.troubles
    if troubles:
        rows = [
            (each.result, each.target, _place(each), shortened(each.message, _LONGEST))
            for each in troubles[:_MOST_ROWS]
        ]
        lines += table(("", "target", "declared", "why"), rows)
        lines += _more(len(troubles))
    built = [each for each in report.results if each.result == "built"]
    if built:
        slowest = sorted(built, key=lambda each: -each.seconds)[:_MOST_ROWS]
        lines += [f"<details><summary>{len(built)} built</summary>", ""]
        lines += table(
            ("target", "time"), [(each.target, duration_text(each.seconds)) for each in slowest]
        )
        lines += [*_more(len(built)), "</details>", ""]
    if report.drift:
        lines += [f"drift: {code(report.drift)}", ""]
    if report.outputs:
        lines += table(("output", "where"), report.outputs)
    return "\n".join(lines).rstrip() + "\n"


def _more(count: int) -> list[str]:
    return [f"and {count - _MOST_ROWS} more", ""] if count > _MOST_ROWS else []


def _place(each: TargetResult) -> str:
    return f"{each.file}:{each.line}" if each.file else ""


def junit_xml(report: BuildReport) -> str:
    """Return a run as JUnit XML, a test case a target, as the readers of CI systems take it.

    A target that failed is a failure, one that was stopped or interrupted an error, one that is
    blocked or was not started is skipped. What was reused has no case.
    """
    cases = [each for each in report.results if each.result != "reused"]
    kinds = {
        "failures": sum(each.result == "failed" for each in cases),
        "errors": sum(each.result in ("stopped", "interrupted") for each in cases),
        "skipped": sum(each.result in ("blocked", "not started") for each in cases),
    }
    attributes = {
        "name": "marin-build",
        "tests": str(len(cases)),
        "time": f"{report.seconds:.3f}",
        **{kind: str(count) for kind, count in kinds.items()},
    }
    suites = ET.Element("testsuites")
    suite = ET.SubElement(suites, "testsuite", attributes)
    for each in cases:
        case = ET.SubElement(
            suite,
            "testcase",
            {
                "classname": _xml(each.name),
                "name": _xml(each.target),
                "time": f"{each.seconds:.3f}",
                **({"file": _xml(each.file), "line": str(each.line)} if each.file else {}),
            },
        )
        if (kind := _JUNIT.get(each.result)) is not None:
            first = each.message.strip().splitlines()[0] if each.message.strip() else each.result
            ET.SubElement(case, kind, {"message": _xml(first)}).text = _xml(each.message)
        if each.log:
            ET.SubElement(case, "system-out").text = _xml(f"log: {each.log}")
    ET.indent(suites)
    return ET.tostring(suites, encoding="unicode", xml_declaration=True) + "\n"


_JUNIT = {
    "failed": "failure",
    "stopped": "error",
    "interrupted": "error",
    "blocked": "skipped",
    "not started": "skipped",
}


def _xml(text: str) -> str:
    return _NOT_XML.sub("\ufffd", text)


def github_annotations(report: BuildReport) -> list[str]:
    """Return a workflow command for each target that failed: GitHub shows it beside the line."""
    return [
        github_annotation(
            "error",
            (each.file, each.line) if each.file else None,
            f"{each.name} {each.result}",
            shortened(each.message or each.result, _LONGEST),
        )
        for each in report.troubles
        if each.result in ("failed", "stopped")
    ]
