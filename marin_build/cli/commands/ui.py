"""`marin-build ui`: a live view of runs in a browser on this machine."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from marin_build.cli.options import pipeline_options
from marin_build.cli.terminal import echo
from marin_build.errors import EXIT_OK, UsageError

if TYPE_CHECKING:
    from marin_build.operations.loading.options import PipelineOptions


@click.command("ui")
@click.argument("run", required=False)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    metavar="N",
    help="The port of 127.0.0.1 [default: one that is free].",
)
@click.option("--browser", is_flag=True, help="Open the page in the browser of this system.")
@click.option("--host", hidden=True)
@pipeline_options
def command(
    options: PipelineOptions, run: str | None, port: int, host: str | None, *, browser: bool
) -> int:
    """Show runs in a browser as they go on: their graphs, logs, outputs and metrics.

    The first line is the address of the page; with RUN (r-1a2b3c4d, its first digits, or latest)
    that of the page of this run. It can be opened on this machine only, and holds a secret. Ctrl-C
    ends the server.

    Nothing can be changed through it, and the pipeline is not loaded: it reads what runs keep under
    the prefix, also those of other machines. Needs the extra `ui`.
    """
    from marin_build.store.open_store import require_package

    if host is not None:
        raise UsageError(
            "the server listens on 127.0.0.1 only",
            consequence="nothing is served",
            hint="from another machine: ssh -t -L 8123:127.0.0.1:8123 HERE marin-build ui "
            "--port 8123",
        )
    for package in ("starlette", "uvicorn"):
        require_package(package, "the live view", extra="ui")
    from marin_build.apply.run_folder import run_documents
    from marin_build.operations.runs.runs import run_named
    from marin_build.ui.open_browser import browser_opener
    from marin_build.ui.server import serve
    from marin_build.ui.site import open_site

    site = open_site(options)
    inside = ""
    if run is not None:
        documents = run_documents(site.place.store, site.place.prefix)
        inside = f"runs/{run_named(site.place, documents, run, 'nothing is served')}/"

    def note(text: str) -> None:
        echo(text, err=True)

    with browser_opener(os.environ, note) as open_address:

        def ready(address: str) -> None:
            echo(address + inside)
            note("open it in a browser on this machine; Ctrl-C ends the server")
            if browser:
                open_address(address + inside)

        serve(site, port=port, on_ready=ready, on_note=note)
    return EXIT_OK
