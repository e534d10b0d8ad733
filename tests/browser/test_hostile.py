"""Whatever a step is called or says is shown as text, and never run."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from marin_build.emit.graph.details import Details
from marin_build.emit.graph.live import LiveTarget
from marin_build.emit.graph.picture import Node, Picture
from marin_build.plan.reasons import Change
from tests.browser.pictures import about

if TYPE_CHECKING:
    from tests.browser.conftest import Window

HOSTILE = {
    "script": "</script><script>window.owned = 1; alert(1)</script>",
    "image": "<img src=x onerror='window.owned = 1'>",
    "comment": "<!-- <script> ]]> & &lt;",
    "quotes": "\"'`${window.owned = 1}`\\'\\\"",
    "template": "{{ 7 * 7 }} {% raw %}",
    "emoji": "\U0001f9ea\U0001f468‍\U0001f469‍\U0001f467 tests",
    "right-to-left": "abc \u202egpj.exe\u202c \u05e9\u05dc\u05d5\u05dd",
    "separators": "a\u2028b\u2029c\x00d\x1b[31m",
    "long": "x" * 10_000,
    "spaces": "a  b\tc\nd",
    "dollar": "$& $1 $$ $`",
    "prototype": "__proto__",
}

# Shown as escapes: else "abc gpj.exe" reads as "abc exe.jpg".
_UNSEEN = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def _known(text: str) -> Details:
    return Details(
        fingerprint=text, declared=text, inputs={text: text},
        attributes={text: text, "nested": [text]}, output=text,
        link=f"javascript:window.owned=1//{text}",
        script=f"data:text/html,{text}", changes=(Change(text, text, {"a": text}, text, text),),
        since=text,
        now=LiveTarget(
            description=text, drift=text, seconds=1.0, builds=1, log=(text, text), log_of=text
        ),
    )  # fmt: skip


def test_hostile_text_is_shown_as_it_is(window: Window) -> None:
    """Else whoever names a step runs a program in the browser of who looks at it."""
    texts = list(HOSTILE.values())
    nodes = tuple(
        Node(f"{text}_{place:04}", text, "stale", text, (text,), text, is_command=False)
        for place, text in enumerate(texts)
    )
    picture = Picture(nodes, tuple((i, i + 1) for i in range(len(nodes) - 1)))
    long = "".join(texts)
    said = replace(
        about(picture), title=long, summary=long, prefix=long, path_text=long, engine=long,
        path=(nodes[0].id, nodes[1].id), commands=((long, (long, long)),),
    )  # fmt: skip
    page = window.draw(picture, said, [_known(text) for text in texts])
    page.click("#open-all")
    assert page.locator(".target").count() == len(texts)
    for place, text in enumerate(texts):
        page.locator(f'[data-key="t{place}"]').focus()
        page.keyboard.press("Enter")
        shown = page.evaluate("document.getElementById('panel').textContent")
        assert shown.count(_UNSEEN.sub(lambda one: f"\\u{ord(one[0]):04x}", text)) > 10
        assert page.locator("#panel a").count() == 0, "no such address is a link"
        page.keyboard.press("Escape")
        page.fill("#search", text[:100].replace("\n", " "))
        page.keyboard.press("Escape")
        page.keyboard.press("Escape")
    page.locator('[data-key="t0"]').focus()
    page.keyboard.press("Enter")
    window.screenshot("hostile")
    assert page.evaluate("window.owned") is None
    assert page.locator("script").count() == 2
    assert page.locator("img").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= 1440


def test_a_page_runs_its_own_script_only(window: Window) -> None:
    """Else a hole in the page is a hole in whatever else the browser has open."""
    page = window.draw_pipeline(15)
    ran = page.evaluate(
        """() => new Promise((done) => {
          document.addEventListener("securitypolicyviolation", (event) => {
            done([event.effectiveDirective, window.owned === undefined]);
          });
          const script = document.createElement("script");
          script.textContent = "window.owned = 1";
          document.body.append(script);
        })"""
    )
    assert ran == ["script-src-elem", True]
    assert any("Content Security Policy" in said for said in window.complaints)
    window.complaints.clear()
