"""The end of a step does what the end of a program does, whatever objects the step holds."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

import pytest

from marin_build.run_step.interpreter_end import flush_files

if TYPE_CHECKING:
    from pathlib import Path


class _Gone:
    """Only a proxy knows it."""


class _Lazy:
    """As settings and modules that are loaded when they are asked for anything."""

    @property
    def __class__(self) -> type:
        raise RuntimeError("not configured")

    @__class__.setter
    def __class__(self, value: type) -> None:
        raise RuntimeError("not configured")


def _dead_proxy() -> object:
    gone = _Gone()
    return weakref.proxy(gone)


@pytest.mark.parametrize("make", [_dead_proxy, _Lazy])
def test_objects_that_pretend_do_not_keep_files_from_being_written(
    tmp_path: Path, make: type
) -> None:
    """Else a step fails after its work, or a run before its first one, for a library's proxy."""
    held = [make()]
    with (tmp_path / "log").open("w") as stream:
        stream.write("x")
        flush_files()
        assert (tmp_path / "log").read_text() == "x"
    assert len(held) == 1
