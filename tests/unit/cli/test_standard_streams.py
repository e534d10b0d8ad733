"""A run outlives the terminal it was started at, and whoever read what it says."""

from __future__ import annotations

import errno
import io
import os
import sys
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import TYPE_CHECKING

import click
import pytest

from marin_build.cli.standard_streams import lasting_streams, why_output_is_broken

if TYPE_CHECKING:
    from collections.abc import Iterator


class _Gone(io.StringIO):
    """A stream that took something, and takes nothing since `is_gone`."""

    is_gone = False

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor

    def fileno(self) -> int:
        return self._descriptor

    def write(self, text: str) -> int:
        self.flush()
        return super().write(text)

    def flush(self) -> None:
        if self.is_gone:
            raise OSError(errno.EIO, "Input/output error")


@contextmanager
def breakable() -> Iterator[tuple[_Gone, _Gone]]:
    """Replace the standard streams by ones that can break."""
    pipes = [os.pipe() for _ in range(2)]
    out, err = (_Gone(write) for _, write in pipes)
    with redirect_stdout(out), redirect_stderr(err):
        yield out, err
    out.is_gone = err.is_gone = False  # click keeps them, and a body of a later test closes them
    for pipe in pipes:
        for end in pipe:
            os.close(end)


def test_what_cannot_be_shown_is_lost_and_said_once() -> None:
    """Else a run of days ends with the terminal of its author."""
    with breakable() as (out, err), lasting_streams():
        click.echo("seen")
        out.is_gone = True
        for _ in range(3):
            click.echo("unseen")
            sys.stdout.flush()
        click.echo("still seen", err=True)
    assert out.getvalue() == "seen\n"
    assert err.getvalue() == (
        "warning: output cannot be shown any more (input/output error): "
        "the run continues without it\nhint: marin-build status\nstill seen\n"
    )


def test_nobody_need_see_anything() -> None:
    """Else the warning that nothing is shown ends the run."""
    with breakable() as (out, err), lasting_streams():
        out.is_gone = err.is_gone = True
        click.echo("unseen")
        click.echo("unseen", err=True)


def test_a_broken_stream_leads_nowhere_afterwards() -> None:
    """Else Python complains when it flushes at the end, and the exit code is another one."""
    with breakable() as (out, _), lasting_streams():
        out.is_gone = True
        sys.stdout.write("unseen")
        assert os.path.samestat(os.fstat(out.fileno()), os.stat(os.devnull))


@pytest.mark.parametrize("is_gone", [False, True])
def test_whether_output_is_broken(is_gone: bool) -> None:
    """Else a full disk is called a bug, or a bug a full disk."""
    with breakable() as (out, _):
        out.is_gone = is_gone
        assert why_output_is_broken() == ("input/output error" if is_gone else None)
