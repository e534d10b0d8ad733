"""What a command waits for while a store gives no answer, on standard error."""

from __future__ import annotations

import shutil
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from marin_build.cli.terminal import echo, moves_cursor
from marin_build.protocol import layout
from marin_build.text.readable import printable, shortened

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marin_build.store.slow_requests import SlowRequest


_LONGEST = 70
"""Characters of a path on such a line."""
_FILES = {
    layout.STATUS: ("the state of", "target"),
    layout.LEASE: ("the state of", "target"),
    layout.RECORD: ("the records of", "target"),
    layout.ARTIFACT: ("what was returned by", "target"),
}
"""File beside an output -> what reading it means."""
_VERBS = {"read": "reading", "write": "writing", "list": "listing", "delete": "deleting"}


def show_waiting(request: SlowRequest | None) -> None:
    """Say what is waited for; None: nothing any more. A terminal has that in one line."""
    with suppress(OSError):  # whatever became of standard error, the answer is still waited for
        _show(request)


def _show(request: SlowRequest | None) -> None:
    if not moves_cursor(sys.stderr):
        if request is not None:
            echo(waiting_text(request), err=True)
        return
    sys.stderr.write("\r\x1b[2K")
    if request is not None:
        width = shutil.get_terminal_size().columns - 1  # a line that wraps cannot be erased
        echo(waiting_text(request)[:width], err=True, nl=False)
    sys.stderr.flush()


def waiting_text(request: SlowRequest) -> str:
    """Return what is waited for: `waiting for gs://lab (2 s): reading the state of 120 targets`."""
    place = "/".join(request.paths[0].split("/")[:3])
    what = _what(request.verb, request.paths)
    return printable(f"waiting for {place} ({request.seconds:.0f} s): {what}")


def _what(verb: str, paths: Sequence[str]) -> str:
    doing = _VERBS.get(verb, verb)
    folder, _, name = paths[0].rpartition("/")
    if verb == "read" and name in _FILES:
        words, unit = _FILES[name]
        count = len({path.rpartition("/")[0] for path in paths})
        return f"{doing} {words} {count:,} {unit}{'s' * (count != 1)}"
    if verb == "list" and paths[0].endswith(layout.taints_folder("")):
        return "listing the marks of tainted targets"
    if verb == "list" and name == layout.LOGS:
        return f"listing the attempts at {shortened(folder.rpartition('/')[2], _LONGEST)}"
    if len(paths) > 1:
        return f"{doing} {len(paths):,} objects"
    inside = paths[0].split("/", 3)
    return f"{doing} {shortened(inside[-1], _LONGEST)}" if len(inside) > 3 else doing  # noqa: PLR2004
