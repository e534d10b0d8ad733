"""Markdown of a plan, as a CommonMark renderer with GitHub's tables reads it."""

from __future__ import annotations

import re
from itertools import product
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from marin_build.emit.markdown import code, table
from marin_build.emit.plan_rows import Row, Shown
from marin_build.emit.plan_text import plan_markdown, radius_markdown
from marin_build.plan.blast_radius import BlastRadius, Cause, Group
from marin_build.text.readable import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from markdown_it.token import Token

RENDERER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
HARMLESS = "x"

ATTACKS = (
    "@ada",
    "closes #1",
    "fixes org/repo#12",
    "https://evil.example",
    "[click](https://evil.example)",
    "![](https://evil.example/x.png)",
    "<img src=https://evil.example/x.png>",
    "<!--",
    "</details><script>alert(1)</script>",
    "<https://evil.example>",
    "| a | b |",
    "\n\n# heading\n\n",
    "\n---\n",
    "- [ ] task",
    "> quote",
    "**bold** ~~gone~~ _it_",
    "&lt;b&gt; &#64;ada",
    "[^1]: note",
    "$`x`$",
    "```suggestion\nrm\n```",
    ":tada:",
    "c0ffee12",
)
OPENERS = (
    *(
        "`" * count + after
        for count, after in product((1, 2, 3, 4, 7, 8, 9, 79, 80, 81), ("", " ", "x", "|"))
    ),
    *(" `", "x`", "\\`", "\\\\`", "\\", "\\|", "\\\\|", "|", "||", "", " ", "\t", "\r", "\n"),
    *("\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029", "\u00a0", "\u200b", "\u202e", "\0"),
    "` `` ``` ```` ````` `````` ``````` ```````` ",
    " ".join("`" * count for count in range(1, 90)),
)
HOSTILE = [
    *("".join(parts) for parts in product(OPENERS, ATTACKS, ("", " `"))),
    *("".join(parts) for parts in product(OPENERS, ATTACKS[:4], OPENERS[::3])),
    "\ud800",
]


def _plan_of(text: str) -> str:
    """Return the Markdown of a plan with a text in all places that a pipeline fills."""
    row = Row("rebuild", text, text, 1, text, text, text, 60.0, text, 1.0)
    shown = Shown(
        (row, row._replace(place="", targets=3)),
        2,
        (text, f"reads {text}"),
        "plan p-81c2d3e4: 2 to build",
        "to build it",
        text,
    )
    radius = BlastRadius(
        (Cause(text, text, 1, 60.0, 1.0), Cause("a", text, 1, None, None)),
        (Group(text, 1, 2, None, None),),
    )
    return plan_markdown(shown) + radius_markdown(radius)


def _parts(tokens: Iterable[Token]) -> tuple[list[tuple[str, str, str]], list[str]]:
    """Return what a reader's program sees apart from code, and the texts of code."""
    outside: list[tuple[str, str, str]] = []
    codes: list[str] = []
    for token in tokens:
        if token.type == "inline":
            inner, inner_codes = _parts(token.children or [])
            outside += inner
            codes += inner_codes
        elif token.type == "code_inline":
            outside.append((token.type, token.tag, ""))
            codes.append(token.content)
        else:
            outside.append((token.type, token.tag, token.content))
    return outside, codes


SKELETON, HARMLESS_CODES = _parts(RENDERER.parse(_plan_of(HARMLESS)))


def _assert_inert(text: str) -> None:
    """Only the texts of code may differ from those of a plan with harmless values."""
    outside, codes = _parts(RENDERER.parse(_plan_of(text)))
    assert outside == SKELETON, text
    if "`" * 8 not in text:
        forms = (_shown(text), _shown(printable(text)))
        same = [code for code in codes if code in forms]
        assert len(same) == HARMLESS_CODES.count(HARMLESS), text


def _shown(text: str) -> str:
    return printable(" ".join(text.split()))


def _is_seen(text: str) -> bool:
    return bool(text.split())


def test_hostile_values_stay_inside_their_code() -> None:
    """Else a step's name in the comment on a change closes an issue, or mentions people."""
    texts = list(filter(_is_seen, HOSTILE))
    assert len(texts) > 4000
    cells = _parts(RENDERER.parse("\n".join(table(["a", "b"], [[text, "x"] for text in texts]))))
    lines = _parts(RENDERER.parse("".join(f"{code(text)}\n\n" for text in texts)))
    code_only = [("code_inline", "code", "")]
    inline = [it for it in cells[0] if it[0] in {"code_inline", "text", "html_inline"}]
    assert inline[2:] == code_only * (2 * len(texts))  # the headings are text
    assert cells[1][1::2] == ["x"] * len(texts)
    assert len(lines[1]) == len(texts)
    assert {it[0] for it in lines[0]} == {"paragraph_open", "code_inline", "paragraph_close"}
    for text, cell, line in zip(texts, cells[1][::2], lines[1], strict=True):
        assert cell == line
        assert cell == _shown(text) or "`" * 8 in text


_PIECES = st.one_of(
    st.sampled_from([*ATTACKS, *OPENERS]), st.text(alphabet="`|\\<>@#a *_[]()!~\n\t", max_size=12)
)


@settings(max_examples=200, deadline=None)
@given(st.lists(_PIECES, min_size=1, max_size=6).map("".join).filter(_is_seen))
@example("` @ada")
@example("@ada `")
@example("` @ada `")
@example("a\\|b")
def test_any_value_stays_inside_its_code(text: str) -> None:
    """Else the next string that nobody thought of does it."""
    _assert_inert(text)


@pytest.mark.parametrize("text", ["", " ", "\n", "\t \r\n", "\u2028"])
def test_nothing_is_no_fence(text: str) -> None:
    """Else an empty cell opens code that ends in the next one, and what is between is text."""
    assert code(text) == ""


def test_a_command_with_a_pipe_can_be_copied() -> None:
    """Only a table removes the backslash before a `|`; elsewhere a reader would copy it."""
    assert code("apply a | cat") == "`apply a | cat`"


def test_fences_are_never_so_long_that_renderers_ignore_them() -> None:
    for text in HOSTILE:
        fence = re.match("`*", code(text))
        assert fence is not None
        assert len(fence[0]) <= 8
