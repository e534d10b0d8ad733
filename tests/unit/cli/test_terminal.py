"""The one filter for what this program says: nothing others wrote moves a cursor, or hides."""

from __future__ import annotations

import ast
import os
import sys
from pathlib import Path

import click
import pytest

import marin_build.cli
from marin_build.cli.terminal import Styled, echo, log_for_terminal
from marin_build.text.readable import visible

HOSTILE = [
    "\x1b[2J", "\x1b]0;title\x07", "\x1b[31m", "\x1b[8m", "\x9b2J", "\r", "\b\b", "\x00", "\x7f",
    "\u202e", "\u2066", "\u200b", "\u2028", "\u2029", "\x85", "\x0c", "\x0b", "\ufeff", "\ud800",
    "\udc9b", "\U000e0041",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("tty", [False, True])
def test_what_is_shown_moves_no_cursor(
    text: str, tty: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else who writes a reason, a message or a host name changes what a person sees."""
    monkeypatch.setattr("click.utils.should_strip_ansi", lambda *_, **__: not tty)
    for err in (False, True):
        echo("a\t", text, Styled(text, "red"), f"{text}b\nc", fg="green", err=err)
    shown = "".join(capsys.readouterr())
    plain = click.unstyle(shown) if tty else shown
    assert plain.replace("\n", "").replace("\t", "").isprintable()
    assert "a\t" in plain
    assert "b\nc" in plain
    assert ("\x1b[31m" in shown) == tty


@pytest.mark.parametrize("text", HOSTILE)
def test_lines_of_a_log_keep_their_colours_alone(text: str) -> None:
    """Else a log that is shown at a terminal clears it, or names its window."""
    shown = log_for_terminal(f"\x1b[1;32mok\x1b[0m {text} \xff\n".encode("utf-8", "replace"))
    assert shown.startswith(b"\x1b[1;32mok\x1b[0m ")
    plain = click.unstyle(shown.decode())
    assert plain.replace("\n", "").isprintable()
    assert visible("plain\tline\n") == "plain\tline\n"


_RAW = {
    "terminal.py": "it is the filter",
    "standard_streams.py": "it makes the streams",
    "main.py": "words of ours alone",
    "list_targets.py": "a program reads it: one marked line of ASCII",
    "graph.py": "a page or a picture in a file; filtered where a person sees it",
    "apply_live.py": "draws what was filtered",
    "waiting_text.py": "erases a line",
    "logs_text.py": "the bytes of a log; filtered where a person sees them",
}


def _writes(tree: ast.Module) -> list[str]:
    """Return the calls that put a text on a stream by another way, or unseen by us."""
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        is_json = bool(node.args) and "json.dump" in ast.unparse(node.args[0])
        if called in ("click.echo", "click.secho", "print"):
            found.append(called)
        elif called.startswith(("sys.stdout.write", "sys.stderr.write")) and not is_json:
            argument = ast.unparse(node.args[0])
            if argument not in ("'\\n'", "f'{line}\\n'"):
                found.append(f"{called}({argument})")
    return found


def test_every_text_takes_the_one_way() -> None:
    """Else the next command that is written shows a reason or a host name unfiltered."""
    folder = Path(marin_build.cli.__path__[0])
    raw = {
        path.name: calls
        for path in sorted(folder.rglob("*.py"))
        if (calls := _writes(ast.parse(path.read_text())))
    }
    assert set(raw) <= set(_RAW), raw
    assert os.path.basename(sys.modules[echo.__module__].__file__ or "") == "terminal.py"
