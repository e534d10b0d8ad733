"""Which program opens an output, and what it is told."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from marin_build.operations.outputs.open_output import open_with, viewer_of, why_not_opened

if TYPE_CHECKING:
    from pathlib import Path


def _viewer(*there: str, platform: str = "linux", **environ: str) -> tuple[str, ...] | None:
    return viewer_of(environ, lambda name: name if name in there else None, platform)


def test_the_users_own_choice_goes_first() -> None:
    """Else BROWSER, which every other program heeds, means nothing here."""
    assert _viewer("b", "xdg-open", BROWSER="a:b --new %s", DISPLAY=":0") == ("b", "--new", "%s")


def test_the_system_has_a_program_where_it_has_a_screen() -> None:
    """Else `open` on a machine without a screen starts a text browser over the terminal."""
    assert _viewer("xdg-open", DISPLAY=":0") == ("xdg-open",)
    assert _viewer("xdg-open", WAYLAND_DISPLAY="wayland-0", BROWSER="'") == ("xdg-open",)
    assert _viewer("xdg-open") is None
    assert _viewer("wslview") == ("wslview",)
    assert _viewer("open", platform="darwin") == ("open",)
    assert _viewer("open", "xdg-open") is None


def test_what_cannot_be_opened_here_is_said() -> None:
    """Else nothing happens, and the user waits for a window."""
    assert "bucket" in why_not_opened("gs://b/report", ("xdg-open",))
    assert "BROWSER" in why_not_opened("/report", None)
    assert not why_not_opened("/report", ("xdg-open",))


@pytest.mark.parametrize("before", [(), ("%s",), ("--page=%s",)])
def test_the_program_gets_the_path_once_as_one_word(
    tmp_path: Path, before: tuple[str, ...]
) -> None:
    """Else a folder with a space, or one called `%s`, opens something else."""
    said = tmp_path / "said"
    code = f"import sys; open({str(said)!r}, 'w').write(repr(sys.argv[1:]))"
    assert not open_with((sys.executable, "-c", code, *before), "/a b")
    assert said.read_text() == repr([(before or ("%s",))[0].replace("%s", "/a b")])


def test_a_program_that_fails_is_said() -> None:
    """Else a broken BROWSER looks like an output that cannot be opened."""
    assert open_with(("/nowhere/b",), "/a") == "/nowhere/b: no such file or directory"
    assert open_with((sys.executable, "-c", "raise SystemExit(3)"), "/a").endswith("exit code 3")
