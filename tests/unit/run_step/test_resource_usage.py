"""What a body used: what was measured, and nothing that was not."""

from __future__ import annotations

import resource
from types import SimpleNamespace
from typing import TYPE_CHECKING

from marin_build.run_step.resource_usage import OWN, Meter, Used

if TYPE_CHECKING:
    import pytest


def rusage(cpu: float, peak: int) -> SimpleNamespace:
    return SimpleNamespace(ru_utime=cpu, ru_stime=cpu / 2, ru_maxrss=peak)


def test_children_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a command that computes for a day has used no CPU."""
    now = iter([rusage(1, 100), rusage(2, 50), rusage(2, 110), rusage(6, 700)])
    monkeypatch.setattr(resource, "getrusage", lambda _: next(now))
    assert Meter.begin(OWN).read() == Used(7.5, 700 * 1024)


def test_the_memory_of_an_earlier_body_is_not_this_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else every step after a large one asks for a large machine."""
    now = iter([rusage(1, 900), rusage(0, 0), rusage(1, 900), rusage(0, 0)])
    monkeypatch.setattr(resource, "getrusage", lambda _: next(now))
    assert Meter.begin(OWN).read() == Used(0.0, None)


def test_a_fresh_process_has_used_what_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the memory of a small step is not known: it never grew over that of its parent."""
    now = iter([rusage(1, 900), rusage(0, 0), rusage(1, 900), rusage(0, 0)])
    monkeypatch.setattr(resource, "getrusage", lambda _: next(now))
    assert Meter.begin(OWN, is_fresh=True).read() == Used(0.0, 900 * 1024)
