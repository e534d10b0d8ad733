"""What all pages of the server are made from: the prefix, its store, templates and secrets."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from marin_build.emit.page_policy import page_policy
from marin_build.emit.templates import Templates
from marin_build.operations.loading.find_pipeline import pipeline_file
from marin_build.operations.loading.place import open_place
from marin_build.redaction import Redactor
from marin_build.text.readable import printable
from marin_build.workspace.workspace import Workspace

if TYPE_CHECKING:
    from marin_build.operations.loading.options import PipelineOptions
    from marin_build.operations.loading.place import Place


class Page(NamedTuple):
    """A page, and its Content-Security-Policy."""

    text: str
    policy: str


@dataclass(frozen=True, slots=True)
class Site:
    """Where the runs lie, and how pages about them are written.

    Args:
        place: the prefix and its store.
        templates: the templates of the pages.
        redactor: removes secrets from all that is sent.

    """

    place: Place
    templates: Templates
    redactor: Redactor

    @property
    def name(self) -> str:
        """The prefix, for people."""
        return printable(self.redactor.clean_text(self.place.prefix))

    def cleaned(self, values: Any) -> Any:
        """Return JSON values without secrets."""
        return self.redactor.clean_values(values)

    def page(self, name: str, up: str, *, has_pictures: bool = False, **values: Any) -> Page:
        """Return a page of the server.

        Args:
            name: `runs`: its template is `ui/runs.html.j2`, its script `ui/runs.js`.
            up: the relative address of the list of runs, as `../../`.
            has_pictures: whether it holds pictures, as `data:` addresses.
            values: what the template gets besides, without secrets.

        Raises:
            SpecificationError: a template is missing or malformed.

        """
        text = self.templates.text
        sheets = ["colours.css", "ui/live.css", "ui/page.css"]
        if name in _LIKE_A_REPORT:
            sheets.insert(1, "report/page.css")
        style = "".join(map(text, sheets))
        scripts = ("graph/elements.js", "ui/following.js", f"ui/{name}.js")
        ours = "\n".join(map(text, scripts))
        script = f'(() => {{\n"use strict";\n{ours}}})();\n'
        page = self.templates.render(
            f"ui/{name}.html.j2",
            page=name,
            up=up,
            prefix=self.name,
            style=style,
            script=script,
            **values,
        )
        return Page(page, live_policy(script, style, has_pictures=has_pictures))


_LIKE_A_REPORT = ("metrics", "output")
"""Pages that use parts of a report."""


def live_policy(script: str, style: str, *, has_pictures: bool = False) -> str:
    """Return the policy of a page that hears from this server, and from nothing else."""
    policy = page_policy(scripts=[script], styles=[style], has_pictures=has_pictures)
    return f"{policy}; connect-src 'self'; frame-ancestors 'none'"


def open_site(options: PipelineOptions) -> Site:
    """Open the prefix that options name; no pipeline is loaded, and nothing is asked of the store.

    Raises:
        UsageError: the configuration cannot be read, or the prefix is nearly a URL.
        StoreError: the prefix has an unknown scheme, or an extra is missing.

    """
    _, project, settings = pipeline_file(options)
    place = open_place(options)
    return Site(
        place,
        Templates(Workspace(project, place.prefix), settings.templates),
        Redactor.of(os.environ, settings.secrets),
    )
