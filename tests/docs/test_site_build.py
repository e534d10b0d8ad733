"""What fails the build of the documentation's site."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from .pages import CHECKOUT, PAGES

if TYPE_CHECKING:
    from pathlib import Path


def build_site(checkout: Path, site: Path) -> subprocess.CompletedProcess[str]:
    """Build the site of a checkout, as `make docs` does."""
    pytest.importorskip("material", reason="no mkdocs-material: pip install 'marin-build[dev]'")
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(site)],
        cwd=checkout,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_what_leads_nowhere_fails_the_build(tmp_path: Path) -> None:
    """Else readers of the site find it first."""
    checkout = tmp_path / "checkout"
    shutil.copytree(CHECKOUT / "docs", checkout / "docs")
    for path in (CHECKOUT / "mkdocs.yml", *PAGES):
        if path.parent == CHECKOUT:
            shutil.copy(path, checkout)
    links = "[a](no-page.md) [b](concepts/plan.md#no-heading) [c](../no-file.py)"
    (checkout / "docs" / "faq.md").write_text(f"# Questions\n\n{links}\n", encoding="utf-8")
    (checkout / "docs" / "astray.md").write_text("# Outside the navigation\n", encoding="utf-8")
    done = build_site(checkout, tmp_path / "site")
    assert done.returncode == 1
    for wrong in ("no-page.md", "#no-heading", "../no-file.py", "astray.md"):
        assert wrong in done.stderr
