"""The pages are written for GitHub, which shows them in the checkout; this fits them into a site.

mkdocs calls the functions whose names begin with `on_`.
"""

from __future__ import annotations

import os.path
import re
from pathlib import Path
from typing import TYPE_CHECKING

from mkdocs.structure.files import File, Files

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.pages import Page

CHECKOUT = Path(__file__).parents[2]
DOCS = CHECKOUT / "docs"

# Pages that lie above docs/ -> what they are called in the site.
ABOVE = {
    CHECKOUT / "README.md": "what-it-is.md",
    CHECKOUT / "CONTRIBUTING.md": "contributing.md",
    CHECKOUT / "SECURITY.md": "security.md",
    CHECKOUT / "CHANGELOG.md": "changelog.md",
}

_FENCED = re.compile(r"(^(?:<!-- file: \S+ -->\n)?```.*?^```$)", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"(?<=\]\()[^()\s#:]+(?=[#)])")
_INDENTED = re.compile(r"^(?=  )", re.MULTILINE)
_ITEM = re.compile(r"\n(?=(?:-|\d+\.) )")
_NOT_RUN = re.compile(r"^<!-- not run: .* -->\n", re.MULTILINE)
_FILE = re.compile(r"\A<!-- file: (\S+) -->\n```(\w*)")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add each decision to the end of the navigation, below the list of them."""
    decisions: list[str] = config.nav[-1]["For contributors"][-1]["Decisions"]
    decisions += sorted(f"adr/{path.name}" for path in (DOCS / "adr").glob("0*.md"))
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that lie above docs/."""
    for path, name in ABOVE.items():
        files.append(File.generated(config, name, content=path.read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, **_: object) -> str:
    """Return a page as the site's reader of Markdown wants it."""
    source = str(config.extra["source"])
    return "".join(
        _with_title(part) if number % 2 else _text(part, page.file.src_uri, source)
        for number, part in enumerate(_FENCED.split(_NOT_RUN.sub("", markdown)))
    )


def on_post_page(output: str, **_: object) -> str:
    """Give the search a name, for people who do not see it."""
    return output.replace('role="dialog"', 'role="dialog" aria-label="Search"', 1)


def _with_title(block: str) -> str:
    """Let a block that is a file show the file's name."""
    return _FILE.sub(r'```\2 title="\1"', block)


def _text(text: str, page: str, source: str) -> str:
    """Write lists as Python-Markdown reads them, and links so that they lead out of docs/."""
    blocks = [_in_list(block) if block.startswith("  ") else block for block in text.split("\n\n")]
    return _LINK.sub(lambda link: _link(link[0], page, source), "\n\n".join(blocks))


def _in_list(block: str) -> str:
    """Indent a block that lies inside a list by 4, and part it from the next item."""
    return _ITEM.sub("\n\n", _INDENTED.sub("  ", block))


def _link(link: str, page: str, source: str) -> str:
    """Return a link of a page of the site; one that leads nowhere stays, and fails the build."""
    above = {name: path for path, name in ABOVE.items()}
    path = Path(os.path.normpath(above.get(page, DOCS / page).parent / link))
    if path in ABOVE:
        target = ABOVE[path]
    elif path.is_relative_to(DOCS):
        target = path.relative_to(DOCS).as_posix()
    elif path.is_relative_to(CHECKOUT) and path.exists():
        return f"{source}/blob/main/{path.relative_to(CHECKOUT).as_posix()}"
    else:
        return link
    return os.path.relpath(target, os.path.dirname(page) or ".")
