"""How a run ended, as other programs read it."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from marin_build.emit.build_report import (
    BuildReport,
    TargetResult,
    github_annotations,
    junit_xml,
    summary_markdown,
)

FAILED = TargetResult("train", "train_1", "failed", "p.py", 9, 1.5, "ValueError: no\nmore", "/log")
REPORT = BuildReport(
    "r-1",
    (
        TargetResult("a", "a_1", "built", "p.py", 3, 2.0),
        FAILED,
        TargetResult("b", "b_1", "blocked", "p.py", 4, message="needs train"),
        TargetResult("c", "c_1", "not started", "p.py", 5),
    ),
    7,
    12.0,
    (("a", "/out/a_1"),),
)


def test_the_summary_says_what_went_wrong_first() -> None:
    """Else a user scrolls through what went well."""
    lines = summary_markdown(REPORT).splitlines()
    assert lines[0] == "**1 built, 7 reused, 1 failed, 1 blocked, 1 not started in 12 s**"
    assert lines[6] == "| `failed` | `train_1` | `p.py:9` | `ValueError: no more` |"
    done = BuildReport("", (), 3, 0.1)
    assert summary_markdown(done) == "**nothing to do: 3 targets are reused**\n"


def test_the_summary_says_what_drifted() -> None:
    """Else old code is merged as green, though `plan --summary` said that it drifted."""
    drifted = replace(REPORT, drift="1 target was built by other code than today's: a")
    said = "drift: `1 target was built by other code than today's: a`"
    assert said in summary_markdown(drifted).splitlines()


def test_junit_counts_as_its_readers_do() -> None:
    """Else a CI system shows a failed run as a good one."""
    (suite,) = ET.fromstring(junit_xml(REPORT))
    counts = {key: suite.get(key) for key in ("tests", "failures", "errors", "skipped")}
    assert counts == {"tests": "4", "failures": "1", "errors": "0", "skipped": "2"}
    failure = suite.find("testcase[@name='train_1']/failure")
    assert failure is not None
    assert (failure.get("message"), failure.text) == ("ValueError: no", "ValueError: no\nmore")


def test_annotations_stand_at_the_declaration() -> None:
    """Else a failure is far from the line that a reviewer looks at."""
    assert github_annotations(REPORT) == [
        "::error file=p.py,line=9,title=train failed::ValueError: no%0Amore"
    ]


def test_a_failure_without_a_known_place_is_annotated_too() -> None:
    """Else a step that an expansion gave fails, and the page of the run says nothing of it."""
    bad = TargetResult("count/1", "count/1_1", "failed", message="no")
    assert github_annotations(BuildReport("r-1", (bad,), 0, 1.0)) == [
        "::error title=count/1 failed::no"
    ]


@given(st.text(max_size=60))
def test_no_message_breaks_them(words: str) -> None:
    """Else a step's message runs a workflow command, or makes the report unreadable."""
    bad = TargetResult(words, words, "failed", words or "p", 1, message=words, log=words)
    report = BuildReport("r-1", (bad,), 0, 1.0)
    (suite,) = ET.fromstring(junit_xml(report))
    assert len(suite) == 1
    (line,) = github_annotations(report)
    assert "\n" not in line
    assert "\r" not in line
    properties = line.removeprefix("::error ").split("::", 1)[0]
    assert properties.count(",") == 2
