"""The comment of a review: it says it all in a line, and no pipeline can break it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from marin_build.emit.plan_rows import Row, Shown
from marin_build.emit.review_comment import LONGEST, MARKER, review_comment

if TYPE_CHECKING:
    from marin_build.plan.plan_summary import Verb


def _row(verb: Verb, name: str = "train", why: str = "attrs.lr 1 -> 2", place: str = "") -> Row:
    return Row(verb, name, f"{name}_1", 1, why, why, place)


def _shown(*rows: Row, hidden: int = 0, warnings: tuple[str, ...] = ()) -> Shown:
    return Shown(rows, hidden, warnings, "plan p-1: ...", "to build it", "marin-build apply")


def test_the_first_line_says_what_it_costs_and_why() -> None:
    """Else a reviewer opens every fold of every pull request."""
    shown = _shown(
        _row("rebuild", place="tok.py:88"), _row("cascade"), _row("reuse"), _row("blocked")
    )
    lines = review_comment(shown, 3600.0, 2448.0).splitlines()
    assert lines[0] == MARKER
    assert lines[1] == "**2 steps would run - $2,448 - 1 h - 1 blocked - cause: `tok.py:88`**"
    assert "nothing to build" in review_comment(_shown(hidden=9), None, None)


def test_a_comment_is_never_longer_than_github_takes() -> None:
    """Else the largest plans, which need a review most, have no comment."""
    rows = [_row("build", f"step/{number}", "x" * 200, f"p.py:{number}") for number in range(2000)]
    graph = "flowchart LR\n" + "n0 --> n1\n" * 9000
    text = review_comment(_shown(*rows, warnings=("w" * 5000,) * 9), None, None, graph)
    assert len(text) <= LONGEST
    assert "lines more: they are in the saved plan" in text
    assert text.rstrip().endswith("to build it: `marin-build apply`")
    assert "mermaid" not in text
    assert text.count("<details>") == text.count("</details>") == 1


HOSTILE = [
    "@everyone closes #1",
    "| a | b |",
    "</details><script>alert(1)</script>",
    "``` \n![x](http://evil)",
    "<!-- marin-build: plan -->",
    "`" * 9,
]


@pytest.mark.parametrize("words", HOSTILE)
def test_no_name_breaks_the_comment_or_calls_a_person(words: str) -> None:
    """Else a pull request of a stranger writes what it likes under the name of the robot."""
    _check(words)


@given(st.text(max_size=40))
def test_no_text_breaks_the_comment(words: str) -> None:
    """The same for any text."""
    _check(words)


def _check(words: str) -> None:
    shown = _shown(_row("rebuild", words, words, words), warnings=(words,))
    text = review_comment(shown, None, None)
    tokens = MarkdownIt("gfm-like", {"linkify": False, "html": True}).parse(text)
    inline = [child for token in tokens for child in token.children or []]
    assert not {child.type for child in inline} & {"link_open", "image", "html_inline"}
    blocks = "".join(token.content for token in tokens if token.type == "html_block")
    assert blocks.count("<details>") == 1
    said = "".join(child.content for child in inline if child.type == "text")
    assert "@" not in said
    assert "#1" not in said
