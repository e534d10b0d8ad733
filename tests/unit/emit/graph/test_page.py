"""The page of a graph: one file, whose policy allows what is in it and nothing else."""

from __future__ import annotations

import base64
import hashlib
import html
import re
from typing import TYPE_CHECKING

from marin_build.emit.graph.details import About, Details
from marin_build.emit.graph.live import LiveTarget
from marin_build.emit.graph.page import as_html, page_script
from marin_build.emit.graph.picture import Node, Picture
from marin_build.emit.templates import Templates
from tests.page_reader import data_in

if TYPE_CHECKING:
    from marin_build.workspace.workspace import Workspace

ODD = "</script><!-- \u2028\u2029\x85\ud800 & \"'"
PICTURE = Picture(
    (
        Node("raw_1", "raw", "built", "built", (), "", is_command=True),
        Node("a b_2", "a b", "stale", ODD, (ODD,), "v5p-8", is_command=False),
    ),
    ((0, 1),),
)


def _page(workspace: Workspace) -> str:
    about = About(title=ODD, summary=ODD)
    details = [Details(), Details(now=LiveTarget(description=ODD))]
    return as_html(PICTURE, about, details, Templates(workspace))


def test_the_policy_allows_this_script_and_this_style_only(workspace: Workspace) -> None:
    page = _page(workspace)
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)
    (style,) = re.findall("<style>(.*?)</style>", page, re.DOTALL)
    (script,) = re.findall("<script>(.*?)</script>", page, re.DOTALL)

    def digest(text: str) -> str:
        return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()

    assert html.unescape(policy) == (
        f"default-src 'none'; script-src 'sha256-{digest(script)}'; "
        f"style-src 'sha256-{digest(style)}'; base-uri 'none'; form-action 'none'"
    )


def test_data_cannot_end_the_block_it_stands_in(workspace: Workspace) -> None:
    page = _page(workspace)
    page.encode()  # no half of a surrogate pair is left
    (data,) = re.findall('<script id="data" type="application/json">(.*?)</script>', page)
    assert not set("<>&\u2028\u2029") & set(data)
    nodes = data_in(page)["nodes"]
    assert nodes[1]["about"] == ODD
    assert [node["why"] for node in nodes] == ["built", ODD]
    assert page.count("</script>") == 2


def test_the_page_is_small_and_names_no_other_place(workspace: Workspace) -> None:
    page = _page(workspace)
    assert len(page) < 200_000
    assert "Chris Pettitt" in page, "the licence of dagre goes with it"
    assert "sourceMappingURL" not in page
    assert set(re.findall(r"https?://[\w./-]+", page)) == {
        "https://github.com/dagrejs/dagre", "http://www.w3.org/2000/svg",
    }  # fmt: skip


def test_what_an_attribute_calls_a_secret_is_left_out(workspace: Workspace) -> None:
    """Else a page that is mailed around holds the password of which the plan warns."""
    details = [Details(), Details(attributes={"db": {"api_key": "hunter2"}})]
    page = as_html(PICTURE, About(title="t"), details, Templates(workspace))
    assert "hunter2" not in page
    assert data_in(page)["nodes"][1]["attrs"] == {"db": {"api_key": "[secret]"}}


def test_no_two_scripts_declare_the_same_name(workspace: Workspace) -> None:
    """All are one function: the later declaration would silently win in both files."""
    live = ("ui/live_states", "ui/following", "ui/run_bar", "ui/live_graph")
    script = page_script(Templates(workspace), live).partition('"use strict";')[2]
    names = re.findall(r"^(?:function|const|let|class) (\w+)", script, re.MULTILINE)
    assert len(names) > 100
    assert sorted(set(names)) == sorted(names)
    assert not re.search(r"^ *//", script, re.MULTILINE), "comments stay behind"
