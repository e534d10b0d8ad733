"""What is said of a store that does not answer, and when: time is a number here."""

from __future__ import annotations

import os
import threading

import pytest

from marin_build.store import slow_requests
from marin_build.store.slow_requests import SlowRequest, SlowRequests

URLS = ("gs://b/a/.executor_status", "gs://b/c/.executor_status")


class Ear:
    """Hears what is said, at the instants of a clock that the test moves."""

    def __init__(self, **options: float) -> None:
        self.now = 100.0
        self.heard: list[tuple[float, str]] = []
        self.requests = SlowRequests(self._hear, lambda: self.now, **options)

    def _hear(self, request: SlowRequest | None) -> None:
        said = "over" if request is None else f"{request.verb} {len(request.paths)}"
        if request is not None:
            assert request.seconds == self.now - 100
        self.heard.append((round(self.now - 100, 1), said))

    def wait(self, seconds: float, verb: str = "read", paths: tuple[str, ...] = URLS) -> None:
        """Wait for an answer that comes after so many seconds, and look ten times a second."""
        with self.requests.waiting(verb, paths) as look:
            for _ in range(round(seconds * 10)):
                self.now = round(self.now + 0.1, 1)
                look()


def test_a_store_that_answers_soon_is_not_talked_about() -> None:
    """Else every plan in a bucket prints lines that nobody needs."""
    ear = Ear()
    ear.wait(1.9)
    ear.now += 60
    ear.wait(1.9)
    assert ear.heard == []


def test_a_store_that_does_not_answer_is_named_after_two_seconds_then_seldom() -> None:
    """Else a command looks dead, or fills a log of CI with what it waits for."""
    ear = Ear()
    ear.wait(150)
    said = [at for at, what in ear.heard if what == "read 2"]
    assert said == [2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 124.0]
    assert ear.heard[-1] == (150.0, "over")


def test_a_terminal_hears_each_second() -> None:
    """Else the seconds on the line stand still, as if the command did."""
    ear = Ear(longest_pause=1.0)
    ear.wait(5)
    assert [at for at, what in ear.heard if what != "over"] == [2.0, 3.0, 4.0, 5.0]


def test_many_short_answers_are_a_slow_store_too() -> None:
    """Else a deep graph in a far bucket is read for a minute without a word."""
    ear = Ear()
    for _ in range(10):
        ear.wait(0.9)
        ear.now = round(ear.now + 0.1, 1)
    assert [at for at, what in ear.heard if what != "over"] == [2.1, 4.1, 8.1]


def test_of_several_threads_the_largest_batch_is_named_and_the_last_one_ends_it() -> None:
    """Else the small listing beside it hides that the states of all targets are read."""
    ear = Ear()
    with ear.requests.waiting("list", ("gs://b/tainted",)):
        ear.wait(3)
        assert ear.heard == [(2.0, "read 2")]
    assert ear.heard[1:] == [(3.0, "over")]


def test_an_error_ends_what_is_shown() -> None:
    """Else the line stays on the terminal, and the error is written into it."""
    ear = Ear()

    def ask() -> None:
        with ear.requests.waiting("read", URLS) as look:
            ear.now += 3
            look()
            raise TimeoutError

    with pytest.raises(TimeoutError):
        ask()
    assert [what for _, what in ear.heard] == ["read 2", "over"]


def test_threads_that_tell_of_their_progress_and_forked_processes_are_not_heard() -> None:
    """Else one wait is told twice, or a step writes into the terminal of its run."""
    ear = Ear()

    def look_late() -> None:
        with slow_requests.waiting("read", URLS) as look:
            ear.now += 3
            look()

    def in_silence() -> None:
        slow_requests.keep_silent()
        look_late()

    with slow_requests.reporting(ear.requests):
        with slow_requests.silent():
            look_late()
        thread = threading.Thread(target=in_silence)
        thread.start()
        thread.join()
        assert ear.heard == []
        if (child := os.fork()) == 0:
            look_late()
            os._exit(len(ear.heard))
        assert os.waitpid(child, 0)[1] == 0
        ear.now = 100.0
        look_late()
        assert [what for _, what in ear.heard] == ["read 2", "over"]
    look_late()
    assert len(ear.heard) == 2
