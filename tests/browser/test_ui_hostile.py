"""What other pages in the same browser learn from `marin-build ui`: nothing, and it says so."""

from __future__ import annotations

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from tests.browser.conftest import _FLAGS
from tests.browser.live import GATED, start_ui
from tests.servers.programs import find_chromium

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

    from tests.browser.live import Ui
    from tests.e2e.support import Project

# Tries all ways of reading another origin, and collects what each of them gave. It even knows the
# address with its secret: as if its owner had mailed that to a stranger.
ATTACK = """
async (address) => {
  const found = {};
  const within = (promise) => Promise.race([
    promise, new Promise((_, reject) => setTimeout(() => reject(new Error("nothing")), 4000)),
  ]);
  const attempt = async (name, work) => {
    try { found[name] = String(await within(work())); } catch (error) { found[name] = "failed"; }
  };
  const element = (tag, attributes) => new Promise((resolve, reject) => {
    const made = document.createElement(tag);
    Object.assign(made, attributes);
    made.onload = () => resolve(made);
    made.onerror = () => reject(new Error("error"));
    document.body.append(made);
  });
  await attempt("fetch", async () => (await fetch(address)).text());
  const asked = async (how) => (await fetch(address, how)).text();
  await attempt("fetch, no cors", () => asked({ mode: "no-cors" }));
  await attempt("fetch, with credentials", () => asked({ credentials: "include" }));
  await attempt("post", () => asked({ method: "POST", body: "x" }));
  await attempt("request with a header", () => asked({ headers: { "x-a": "b" } }));
  await attempt("events", () => new Promise((resolve, reject) => {
    const source = new EventSource(address + "events");
    source.onmessage = (event) => resolve(event.data);
    source.onerror = () => { source.close(); reject(new Error("error")); };
  }));
  await attempt("socket", () => new Promise((resolve, reject) => {
    const socket = new WebSocket(address.replace("http", "ws"));
    socket.onopen = () => resolve("open");
    socket.onerror = () => reject(new Error("error"));
  }));
  await attempt("image", async () => (await element("img", { src: address })).naturalWidth);
  await attempt("script", async () => element("script", { src: address + "events" }));
  await attempt("style", async () => {
    const made = await element("link", { rel: "stylesheet", href: address });
    return made.sheet.cssRules.length;
  });
  await attempt("frame", async () => {
    const frame = await element("iframe", { src: address });
    return frame.contentDocument ? frame.contentDocument.body.innerText : "closed to us";
  });
  await attempt("object", async () => {
    const made = await element("object", { data: address });
    return made.contentDocument ? made.contentDocument.body.innerText : "closed to us";
  });
  await attempt("form", async () => {
    const frame = document.createElement("iframe");
    frame.name = "hidden";
    document.body.append(frame);
    const form = document.createElement("form");
    Object.assign(form, { method: "POST", action: address, target: "hidden" });
    document.body.append(form);
    const loaded = new Promise((resolve) => { frame.onload = resolve; });
    form.submit();
    await loaded;
    return frame.contentDocument ? frame.contentDocument.body.innerText : "closed to us";
  });
  await attempt("worker", () => new Promise((resolve, reject) => {
    const worker = new Worker(address);
    worker.onmessage = () => resolve("message");
    worker.onerror = () => reject(new Error("error"));
  }));
  await attempt("cache", async () => (await (await caches.open("x")).add(address), "kept"));
  return found;
}
"""


@pytest.fixture
def elsewhere() -> Iterator[str]:
    """A hostile site on another port of this machine; yields its origin."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = b"<!DOCTYPE html><title>cats</title><body>cats"
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.fixture
def ui(project: Project) -> Ui:
    """The server, on a project that has built something."""
    project.pipeline(GATED.replace("wait_at_gate(", "str(").replace("from gate", "# "))
    assert project.run("apply", "-q", "-k").code == 1
    return start_ui(project)


@pytest.fixture
def page(ui: Ui, browser: Browser) -> Iterator[Page]:
    """A tab that may complain: it is refused what it asks for."""
    del ui  # ends after the tab
    with browser.new_context() as context:
        yield context.new_page()


def test_a_page_of_another_origin_learns_nothing(ui: Ui, page: Page, elsewhere: str) -> None:
    """Else any site reads what is trained here, from the browser of a person who watches a run."""
    page.goto(elsewhere)
    for address in (ui.address, f"{ui.origin}/"):
        found = page.evaluate(ATTACK, address)
        assert set(found.values()) <= {"failed", "closed to us", "0"}, found
    other = elsewhere.replace("127.0.0.1", "localhost")
    page.goto(other)  # another site, not only another origin of the same
    found = page.evaluate(ATTACK, ui.address)
    assert set(found.values()) <= {"failed", "closed to us", "0"}, found
    said = ui.end().err
    assert f"GET was refused: a page of `{elsewhere}` sent it\n" in said
    assert f"POST was refused: a page of `{elsewhere}` sent it\n" in said
    assert "GET was refused: a page of another site sent it, for: iframe\n" in said
    assert "GET was refused: a page of another site sent it, for: image\n" in said
    assert ui.token not in said
    # And nothing else, such as a line of a library for each socket that is tried.
    assert [line for line in said.splitlines()[1:] if " was refused: " not in line] == []


def test_a_window_that_another_page_opens_is_out_of_its_reach(
    ui: Ui, page: Page, elsewhere: str
) -> None:
    """Even with the right address: a person who follows a link sees the page, and nobody else."""
    page.goto(elsewhere)
    with page.context.expect_page() as opened:
        page.evaluate("(address) => { window.opened = window.open(address); }", ui.address)
    tab = opened.value
    tab.wait_for_selector("body[data-ready=yes]")
    assert tab.locator("#runs tbody tr").count() == 1
    assert tab.evaluate("window.opener") is None
    seen = page.evaluate(
        """() => {
          try { return window.opened.document.title; } catch { return window.opened.closed; }
        }"""
    )
    assert seen is True, "the two are in different groups of windows"


VISIT = """
import json, sys
from playwright.sync_api import sync_playwright
program, flags, addresses = json.loads(sys.argv[1])
with sync_playwright() as playwright:
    browser = playwright.chromium.launch(executable_path=program, args=flags)
    page = browser.new_page()
    for address in addresses:
        response = page.goto(address)
        print(response.status, page.locator("body").inner_text().strip())
    browser.close()
"""


def test_a_name_that_leads_to_this_machine_is_refused(ui: Ui) -> None:
    """DNS rebinding: then the hostile page and the server are of one origin."""
    there = ui.address.replace("127.0.0.1", "evil.example")
    # A browser of its own, as names are resolved by a flag.
    flags = [*_FLAGS, "--host-resolver-rules=MAP evil.example 127.0.0.1"]
    argument = json.dumps([find_chromium(), flags, [there, there.replace(ui.token, "")]])
    done = ui.project.execute([sys.executable, "-c", VISIT, argument])
    assert (done.code, done.out) == (0, "421 misdirected request\n" * 2), done.err
    assert "GET was refused: it asks for `evil.example:" in ui.end().err


def test_the_page_itself_may_not_reach_out(ui: Ui, page: Page, elsewhere: str) -> None:
    """Else a text that became markup after all would send away what it finds."""
    page.goto(ui.address)
    page.wait_for_selector("body[data-ready=yes]")
    tried = """async (address) => {
      const found = [];
      try { await fetch(address); found.push("fetch"); } catch {}
      const image = new Image();
      await new Promise((resolve) => {
        image.onload = image.onerror = resolve;
        image.src = address;
      });
      if (image.naturalWidth) found.push("image");
      const script = document.createElement("script");
      script.textContent = "window.owned = true";
      document.body.append(script);
      const append = (text) => document.body.insertAdjacentHTML("beforeend", text);
      append("<img src=x onerror='window.owned = true'>");
      append("<b style='position:fixed'>x</b>");
      if (window.owned) found.push("script");
      const { position } = getComputedStyle(document.body.lastElementChild);
      if (position === "fixed") found.push("style");
      return found;
    }"""
    assert page.evaluate(tried, elsewhere + "/x.png") == []


def test_what_listens_is_this_machine_alone(ui: Ui) -> None:
    """Else everybody in the same network can try addresses."""
    port = f":{int(ui.origin.rpartition(':')[2]):04X}"
    with open("/proc/net/tcp") as tcp, open("/proc/net/tcp6") as tcp6:
        listening = [line.split()[1] for line in (*tcp, *tcp6) if line.split()[3] == "0A"]
    assert [place for place in listening if place.endswith(port)] == [f"0100007F{port}"]
