"""The page of a report: what it says, and that nothing in it becomes more than text."""

from __future__ import annotations

import base64
import hashlib
import os
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marin_build.emit.graph.details import About
from marin_build.emit.graph.page import page_script, page_style
from marin_build.emit.report.facts import Report
from marin_build.emit.report.page import GENERATOR, as_report
from marin_build.emit.templates import Templates
from marin_build.redaction import NOTHING_SECRET, Redactor
from marin_build.workspace.workspace import Workspace
from tests.unit.emit.report.reports import PNG, report_of

GOLDEN = Path(__file__).parents[3] / "golden" / "report" / "page.text"
TEMPLATES = Templates(Workspace("/project", "/project/outputs"))
_LINES = {"h1", "h2", "h3", "p", "dt", "li", "tr", "summary", "pre", "figcaption", "caption"}
HOSTILE = [
    "</style><script>alert(1)</script>", "<img src=x onerror=alert(1)>", '" onload="alert(1)',
    "' autofocus onfocus='x", "<!--", "-->", "]]>", "</pre></details></section>", "javascript:x",
    "&lt;script&gt;", "{{ 7 * 7 }}", "\u202egnp.exe", "a\0b\x1b[31m\x85\u2028", "\ud800", "\t\n",
    "</iframe><iframe srcdoc='<script>1</script>'>", "\U0001f9ea", "%0d%0a", "url(//evil.example)",
]  # fmt: skip


def page_of(report: Report, redactor: Redactor = NOTHING_SECRET) -> str:
    return as_report(report, TEMPLATES, redactor)


class Parsed(HTMLParser):
    """The elements of a page with the names of their attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, tuple[str, ...]]] = []
        self.values: list[tuple[str, str, str]] = []
        self.lines: list[str] = []
        self._hidden = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, tuple(name for name, _ in attrs)))
        self.values += [(tag, name, value or "") for name, value in attrs]
        if tag in ("style", "title"):
            self._hidden = tag
        if tag in _LINES:
            self.lines.append("#" * (ord(tag[1]) - 48) + " " if re.fullmatch("h[123]", tag) else "")
        elif tag in ("dd", "th", "td") and self.lines and self.lines[-1]:
            self.lines[-1] += " | "

    def handle_endtag(self, tag: str) -> None:
        if tag == self._hidden:
            self._hidden = ""

    def handle_data(self, data: str) -> None:
        if not self._hidden and self.lines:
            self.lines[-1] += data if self.lines[-1] else data.lstrip("\n")

    @property
    def text(self) -> str:
        return "".join(f"{line.strip()}\n" for line in self.lines if line.strip(" \n|"))


def test_the_page_says_all_that_there_is() -> None:
    """Else a colleague asks what the page was made to answer."""
    text = Parsed(page_of(report_of("x"))).text
    if os.environ.get("UPDATE_GOLDEN") == "1":
        GOLDEN.write_text(text)
    assert text == GOLDEN.read_text(), f"{GOLDEN}: if right, UPDATE_GOLDEN=1"


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_texts_stay_texts(text: str) -> None:
    """Else who may write into a bucket runs a program in the browsers of its readers."""
    _check_is_as_usual(page_of(report_of(text)))


@given(st.text(max_size=40), st.sampled_from(HOSTILE))
def test_no_text_adds_an_element_or_an_attribute(before: str, after: str) -> None:
    """The same for any text."""
    _check_is_as_usual(page_of(report_of(before + after)))


USUAL = Parsed(page_of(report_of("x")))


def _check_is_as_usual(page: str) -> None:
    page.encode()  # no half of a surrogate pair is left
    parsed = Parsed(page)
    assert parsed.elements == USUAL.elements
    for tag, name, value in parsed.values:
        if name == "href":
            assert value.startswith(("#", "https://console.cloud.google.com/")), (tag, value)
        if name == "src":
            assert (tag, value[:11]) == ("img", "data:image/")
        if name in ("id", "class", "aria-labelledby", "width", "x"):
            assert re.fullmatch("[A-Za-z0-9 .-]*", value), (tag, name, value)
    assert not re.search("[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e]", parsed.text)


def test_the_policy_allows_what_is_in_the_page_and_nothing_else() -> None:
    page = page_of(report_of())
    values = {(tag, name): value for tag, name, value in Parsed(page).values}
    (style,) = re.findall("<style>(.*?)</style>", page, re.DOTALL)

    def digest(text: str) -> str:
        return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()

    assert next(
        value for tag, name, value in Parsed(page).values if value.startswith("default-src")
    ) == (
        f"default-src 'none'; script-src 'sha256-{digest(page_script(TEMPLATES))}'; "
        f"style-src 'sha256-{digest(style)}' 'sha256-{digest(page_style(TEMPLATES))}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    assert values["iframe", "sandbox"] == "allow-scripts allow-popups", "it is of no origin"
    assert "<script" not in page, "its own scripts are in the frame only"
    assert page_script(TEMPLATES) in values["iframe", "srcdoc"], "the policy holds for each byte"


def test_the_page_says_in_its_first_lines_what_it_is() -> None:
    """Else a second report would not dare to replace the first."""
    assert f'content="{GENERATOR}"' in page_of(report_of())[:200]


def test_a_picture_is_an_image_and_never_a_part_of_the_page() -> None:
    """Else a script in an SVG runs with the page."""
    sources = [value for tag, name, value in Parsed(page_of(report_of())).values if name == "src"]
    assert f"data:image/png;base64,{base64.b64encode(PNG).decode()}" in sources
    assert page_of(report_of()).count("<svg viewBox") == 2, "the bars of durations, and no others"


def test_secrets_are_left_out_wherever_they_stand() -> None:
    """Else a page that is mailed around holds the password of which the plan warns."""
    report = report_of("hunter2hunter2")
    redactor = Redactor.of({"DB_PASSWORD": "hunter2hunter2"})
    assert "hunter2" not in page_of(report, redactor)
    first, *others = report.targets
    named = replace(first, details=replace(first.details, attributes={"api_key": "k" * 9}))
    page = page_of(replace(report, targets=(named, *others)))
    assert "k" * 9 not in page
    assert "[secret]" in page


def test_of_very_many_targets_the_first_ones_are_listed_and_all_are_counted() -> None:
    """Else the page of a hundred thousand targets opens in no browser."""
    report = report_of("")
    node = report.targets[3]
    many = tuple(
        replace(node, node=replace(node.node, id=f"eval_{i}"), needs=()) for i in range(2500)
    )
    page = page_of(replace(report, targets=many, edges=(), requested=("eval_2499",), metrics=()))
    text = Parsed(page).text
    assert "2000 of 2500 targets" in text
    assert "A report on “eval” and what it was made from: of 2500 targets, 2500 failed." in text
    assert page.count("<details>\n") <= 2001
    assert "The graph of 2500 targets is too large for a picture." in text
    assert "eval_2499" in text, "what was asked for is there"


def test_a_pipeline_without_targets_has_a_report_too() -> None:
    empty = Report(about=About(title="pipeline.py"), targets=(), edges=(), requested=())
    assert "A report on a pipeline that requests no targets." in page_of(empty)
