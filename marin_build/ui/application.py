"""What can be asked for: the list of runs, and a page for each of them, which hear of what is new.

All addresses lie below the token, and all links of pages are relative.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse
from starlette.routing import Route, Router

from marin_build.apply.run_folder import documents_of, folder_of, may_be_run, run_id
from marin_build.errors import MarinBuildError, StoreError
from marin_build.text.readable import printable
from marin_build.ui.blocking import in_thread
from marin_build.ui.log_source import LogName
from marin_build.ui.log_watch import LogWatch
from marin_build.ui.result_pages import metrics_page, output_page, outputs_page
from marin_build.ui.run_page import RunPages
from marin_build.ui.run_watch import RunWatch
from marin_build.ui.runs_watch import RunsWatch
from marin_build.ui.streams import Streams
from marin_build.ui.watch import Watches

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from marin_build.apply.run_folder import RunDocument
    from marin_build.ui.guard import Receive, Scope, Send
    from marin_build.ui.site import Page, Site

    Answer = Callable[[Request], Awaitable[Response]]


_PATIENCE = 10.0
"""Seconds that a page waits for the first look at a log."""
_LARGEST = 1 << 53


class Application:
    """Answers the requests that the guard lets pass.

    Args:
        site: what pages are made from.

    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self._watches = Watches()
        self._streams = Streams(site, self._watches)
        self._pages = RunPages(site)
        answers: dict[str, Answer] = {
            "/": self._runs,
            "/events": self._runs_events,
            "/runs/{run}": self._with_slash,
            "/runs/{run}/": self._run,
            "/runs/{run}/events": self._run_events,
            "/runs/{run}/log/": self._log,
            "/runs/{run}/log/lines": self._log_lines,
            "/runs/{run}/log/part": self._log_part,
            "/outputs/": self._outputs,
            "/outputs/one/": self._output,
            "/metrics/": self._metrics,
        }
        routes = [Route(path, answer) for path, answer in answers.items()]
        self._router = Router(routes, redirect_slashes=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; an error that a person can meet is said in words."""
        try:
            if scope["path"] == scope["root_path"]:  # the address was copied without its last slash
                await RedirectResponse(f"{scope['path']}/", 307)(scope, receive, send)
            else:
                await self._router(scope, receive, send)
        except HTTPException as error:
            await PlainTextResponse(f"{error.detail}\n", error.status_code)(scope, receive, send)
        except MarinBuildError as error:
            status = 503 if isinstance(error, StoreError) else 500
            text = self._site.redactor.clean_text(error.render())
            await PlainTextResponse(f"{text}\n", status)(scope, receive, send)

    def close(self) -> None:
        """End what goes on, as the server ends."""
        self._streams.close()

    async def _with_slash(self, request: Request) -> Response:
        run = request.path_params["run"]
        if not may_be_run(run):  # it could lead to another server
            raise HTTPException(404, f"there is no run {printable(run)}")
        return RedirectResponse(f"{run}/", 307)

    async def _runs(self, _request: Request) -> Response:
        return _answer(self._site.page("runs", up="./", heading=f"Runs under {self._site.name}"))

    async def _runs_events(self, request: Request) -> Response:
        return self._streams.answer(request, "runs", partial(RunsWatch, self._site.place))

    async def _run(self, request: Request) -> Response:
        id_, who = await self._named(request)
        if id_ != request.path_params["run"]:  # `latest` will be another one
            return RedirectResponse(f"../{id_}/", 307)
        async with self._watches.looking_at(
            id_, partial(RunWatch, self._site.place, id_, who)
        ) as w:
            await w.wait_until_whole()
            page = await self._pages.page_of(id_, w.expansions)
        return _answer(page)

    async def _run_events(self, request: Request) -> Response:
        id_, who = await self._named(request)
        return self._streams.answer(request, id_, partial(RunWatch, self._site.place, id_, who))

    async def _log(self, request: Request) -> Response:
        id_, name = await self._log_named(request)
        title = printable(self._site.redactor.clean_text(name.target))
        page = self._site.page(
            "log", up="../../../", heading=title, run=id_, fragment=quote(title, safe="")
        )
        return _answer(page)

    async def _log_lines(self, request: Request) -> Response:
        _, name = await self._log_named(request)
        return self._streams.answer(
            request, f"log {name}", partial(LogWatch, self._site.place, name)
        )

    async def _log_part(self, request: Request) -> Response:
        _, name = await self._log_named(request)
        before = _number(request, "before") or 0
        make = partial(LogWatch, self._site.place, name)
        async with self._watches.looking_at(f"log {name}", make) as watch:
            await watch.wait_for_change(0, _PATIENCE)
            found = await in_thread(lambda: watch.earlier(before))
        return JSONResponse(self._site.cleaned(found))

    async def _outputs(self, _request: Request) -> Response:
        return _answer(await in_thread(lambda: outputs_page(self._site)))

    async def _output(self, request: Request) -> Response:
        target, path = (request.query_params.get(name, "") for name in ("target", "path"))
        page = await in_thread(lambda: output_page(self._site, target, path))
        if page is None:
            raise HTTPException(404, "no output can lie there")
        return _answer(page)

    async def _metrics(self, _request: Request) -> Response:
        return _answer(await in_thread(lambda: metrics_page(self._site)))

    async def _log_named(self, request: Request) -> tuple[str, LogName]:
        """Return the run and the log that an address names.

        Raises:
            HTTPException: there is no such run, or no target can be called so.
            StoreError: the store cannot be read.

        """
        id_, _ = await self._named(request)
        target = request.query_params.get("target", "")
        output = await self._pages.output_of(id_, target)
        if output is None:
            raise HTTPException(404, f"no target is called {printable(target)}")
        return id_, LogName(
            output, target, _number(request, "attempt"), _number(request, "rank") or 0
        )

    async def _named(self, request: Request) -> tuple[str, RunDocument | None]:
        """Return the id of the run that an address names, and who ran it.

        Raises:
            HTTPException: there is no such run.
            StoreError: the store cannot be read.

        """
        place, name = self._site.place, request.path_params["run"]

        def find() -> tuple[str, RunDocument | None] | None:
            id_ = run_id(place.store, place.prefix, name)
            who = documents_of(place.store, place.prefix, [id_])[id_] if id_ else None
            is_there = who is not None or place.store.list(folder_of(place.prefix, id_))
            return (id_, who) if id_ and is_there else None

        found = await in_thread(find) if may_be_run(name) else None
        if found is None:
            raise HTTPException(404, f"there is no run {printable(name)} under {self._site.name}")
        return found


def _answer(page: Page) -> Response:
    return HTMLResponse(page.text, headers={"content-security-policy": page.policy})


def _number(request: Request, name: str) -> int | None:
    """Return a number of an address; None if it has none of that name.

    Raises:
        HTTPException: it is no number that can be meant.

    """
    text = request.query_params.get(name, "")
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(_LARGEST))):
        raise HTTPException(404, f"{name} is no number")
    return int(text)
