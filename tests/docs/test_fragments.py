"""Blocks that are neither files nor commands are run, read or parsed; or their page says why not.

Readers copy them. One that nobody runs goes wrong when a name or an option changes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import marin_build
from marin_build.engines.registry import open_engine
from marin_build.operations.loading.config import load_settings
from marin_build.plan.prices import load_prices
from marin_build.workspace.workspace import use_workspace

from .pages import PAGES, Command, File, Fragment, fragments_of, page_name, parts_of

if TYPE_CHECKING:
    from collections.abc import Iterator

FRAGMENTS = [(page, found) for page in PAGES for found in fragments_of(page)]
RUN = [
    pytest.param(page, found, id=f"{page_name(page)}:{found.line}")
    for page, found in FRAGMENTS
    if not found.why
]
ELSEWHERE = {"docs/how-to/add-an-engine.md"}
"""Its files are a package, which tests/e2e/test_packaging.py installs and plans with."""
FILES = [
    pytest.param(page, part, id=f"{page_name(page)}:{part.path}")
    for page in PAGES
    if page_name(page) not in ELSEWHERE
    and not any(isinstance(part, Command) for part in parts_of(page))
    for part in parts_of(page)
    if isinstance(part, File)
]
PRICES = ("tpu", "gpu", "cpu", "storage")


@pytest.fixture(autouse=True)
def _no_workspace() -> Iterator[None]:
    """Put none in force, whatever an earlier test of this process has left."""
    before = use_workspace(None)
    yield
    use_workspace(before)


def test_what_is_not_run_says_why() -> None:
    """Or it is a console block, with what the command prints."""
    known = {"python", "toml", "json"}
    silent = [
        f"{page_name(page)}:{found.line}: {found.language or 'no language'}"
        for page, found in FRAGMENTS
        if found.language not in known and not found.why and "adr" not in page.parts
    ]
    assert silent == []


@pytest.mark.parametrize(("page", "found"), RUN)
def test_a_fragment_is_right(
    page: Path, found: Fragment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    match found.language:
        case "python":
            exec(compile(found.text, page_name(page), "exec"), _names_of(page, tmp_path))
        case "toml":
            is_own = "[tool.marin-build" not in found.text
            _configure(tmp_path, "marin-build.toml" if is_own else "pyproject.toml", found.text)
        case "json":
            values = json.loads(found.text)
            if set(values) <= set(PRICES):
                (tmp_path / "prices.json").write_text(found.text, encoding="utf-8")
                load_prices("prices.json")


@pytest.mark.parametrize(("page", "part"), FILES)
def test_a_file_that_no_command_reads_is_a_configuration(
    page: Path, part: File, tmp_path: Path
) -> None:
    """On all other pages the commands read the files."""
    assert part.path == "marin-build.toml", f"no command of {page_name(page)} runs {part.path}"
    _configure(tmp_path, part.path, part.text)


def _configure(folder: Path, name: str, text: str) -> None:
    """Read a configuration, and that of each engine in it."""
    (folder / name).write_text(text, encoding="utf-8")
    settings = load_settings(str(folder))
    for engine in settings.engines:
        open_engine(engine, settings.engines)


def _names_of(page: Path, folder: Path) -> dict[str, Any]:
    """Return the names that a reader of a page has: ours, and those of its pipelines."""
    names: dict[str, Any] = {name: getattr(marin_build, name) for name in marin_build.__all__}
    names |= {"Path": Path, "__file__": str(folder / "pipeline.py")}
    for part in parts_of(page):
        if isinstance(part, File) and part.path == "pipeline.py":
            (folder / part.path).write_text(part.text, encoding="utf-8")
            exec(compile(part.text, str(folder / part.path), "exec"), names)
    return names
