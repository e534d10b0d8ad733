"""Links inside the documentation lead somewhere, and every page can be reached."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pytest

from .pages import CHECKOUT, PAGES, page_name, without_code

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LINK = re.compile(r"\]\(([^()\s]+)\)")
_PAGE = re.compile(r"(docs/[\w/-]+\.md)(?:#([\w-]+))?")
_HEADING = re.compile(r"^#{1,6} +(.+?)\s*$", re.MULTILINE)
_FENCED = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)


def _links(page: Path) -> Iterator[tuple[Path, str]]:
    """Yield file and anchor of each link that stays inside the checkout."""
    for link in _LINK.findall(without_code(page)):
        if "://" in link or link.startswith("mailto:"):
            continue
        path, _, anchor = unquote(link).partition("#")
        yield (page.parent / path).resolve() if path else page, anchor


def _anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    text = _FENCED.sub("", page.read_text(encoding="utf-8"))
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in _HEADING.findall(text)
    }


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    for file, anchor in _links(page):
        inside = file.is_relative_to(CHECKOUT)
        if not inside or not file.exists():
            broken.append(str(file))
        elif anchor and anchor not in _anchors(file):
            broken.append(f"{page_name(file)}#{anchor}")
    assert not broken


def test_pages_that_the_program_names_are_there() -> None:
    """Hints of errors send people there."""
    named = {
        (name, anchor)
        for folder in ("marin_build", "templates", "examples")
        for file in (CHECKOUT / folder).rglob("*")
        if file.suffix in {".py", ".j2", ".js", ".toml"}
        for name, anchor in _PAGE.findall(file.read_text(encoding="utf-8"))
    }
    assert named
    wrong = [
        f"{name}#{anchor}"
        for name, anchor in sorted(named)
        if not (CHECKOUT / name).exists() or (anchor and anchor not in _anchors(CHECKOUT / name))
    ]
    assert wrong == []


def test_every_page_can_be_reached_from_the_index() -> None:
    start = CHECKOUT / "docs" / "index.md"
    reached, pending = {start}, [start]
    while pending:
        fresh = {file for file, _ in _links(pending.pop()) if file.suffix == ".md"} - reached
        reached |= fresh
        pending += sorted(fresh)
    assert [page_name(page) for page in PAGES if page not in reached] == []
