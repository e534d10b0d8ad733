"""Turns: who takes the same waits, who does not goes on, and no turn outlives its holders."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import pytest

from marin_build.errors import StoreError
from marin_build.run_step.turn import turn

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def _never(kind: str) -> None:
    raise AssertionError(f"it waits for {kind}")


class _Other(threading.Thread):
    """Takes a turn of its own; flock tells two open files of one process apart."""

    def __init__(self, project: Path, kinds: Sequence[str]) -> None:
        super().__init__(daemon=True)
        self._project, self._kinds = str(project), kinds
        self.waits, self.has_it = threading.Event(), threading.Event()

    def run(self) -> None:
        with turn(self._project, self._kinds, lambda _kind: self.waits.set()):
            self.has_it.set()


def test_who_takes_the_same_waits_until_it_is_given_back(tmp_path: Path) -> None:
    """Else two steps get the same GPU."""
    other = _Other(tmp_path, ["gpu", "ram"])
    with turn(str(tmp_path), ["ram"], _never):
        other.start()
        assert other.waits.wait(60)
        assert not other.has_it.is_set()
    assert other.has_it.wait(60)
    other.join()


def test_who_takes_something_else_or_nothing_does_not_wait(tmp_path: Path) -> None:
    """Else one long step stops all others."""
    with (
        turn(str(tmp_path), ["gpu"], _never),
        turn(str(tmp_path), ["api"], _never),
        turn(str(tmp_path), [], _never),
        turn(str(tmp_path / "other"), ["gpu"], _never),
    ):
        assert sorted(path.name for path in (tmp_path / ".marin-build/turns").iterdir()) == [
            "api", "gpu"
        ]  # fmt: skip
    assert (tmp_path / ".marin-build/.gitignore").exists()


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # it only waits, and ends
def test_a_child_that_outlives_the_holder_keeps_the_turn(tmp_path: Path) -> None:
    """Else what a killed step left running shares the memory with the next one."""
    ends, wants = os.pipe()
    held = turn(str(tmp_path), ["ram"], _never)
    held.__enter__()
    child = os.fork()
    if child == 0:
        os.close(wants)
        os.read(ends, 1)
        os._exit(0)
    held.__exit__(None, None, None)
    other = _Other(tmp_path, ["ram"])
    other.start()
    assert other.waits.wait(60)
    os.close(wants)
    os.waitpid(child, 0)
    assert other.has_it.wait(60)
    other.join()
    os.close(ends)


def test_a_project_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    """Else a step that was to wait runs beside the one it was to wait for."""
    (tmp_path / ".marin-build").write_text("")
    with pytest.raises(StoreError, match="cannot wait for others") as caught:
        turn(str(tmp_path), ["ram"], _never).__enter__()
    assert caught.value.hint is not None
