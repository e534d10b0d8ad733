"""The pipelines that the pages show have no findings, but on the page that is about findings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.support import project_in

from .pages import PAGES, File, page_name, parts_of

if TYPE_CHECKING:
    from pathlib import Path

FINDINGS = "docs/how-to/check-a-pipeline.md"
WITH_PIPELINE = [
    page
    for page in PAGES
    if page_name(page) != FINDINGS
    and any(isinstance(part, File) and part.path == "pipeline.py" for part in parts_of(page))
]


@pytest.mark.parametrize("page", WITH_PIPELINE, ids=page_name)
def test_a_page_teaches_no_mistake(page: Path, tmp_path: Path) -> None:
    """Its readers begin with a copy of it, and `lint` must be worth listening to."""
    with project_in(tmp_path) as project:
        for part in parts_of(page):
            if isinstance(part, File):
                project.write(part.path, part.text)
                if part.path == "pipeline.py":  # some need files that come later on the page
                    done = project.run("lint", "--ignore", "unsteady")
                    assert done.code != 1, done.out
