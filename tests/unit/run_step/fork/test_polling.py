"""Descriptors that are watched: who is called, and who is not any more."""

from __future__ import annotations

import os

import pytest

from marin_build.run_step.fork.children import Poller


def test_who_can_be_read_is_called_and_nobody_else() -> None:
    """Else an order of the applier, or the output of a step, is left where it is."""
    poller, called = Poller(), []
    (read, write), (silent, other) = os.pipe(), os.pipe()
    poller.watch(read, lambda: called.append(os.read(read, 10)))
    poller.watch(silent, lambda: called.append(b"never"))
    poller.wait(0)
    os.write(write, b"x")
    poller.wait(None)
    assert called == [b"x"]
    os.close(write)
    poller.wait(None)  # the end is heard, too
    assert called == [b"x", b""]
    for descriptor in (read, silent, other):
        os.close(descriptor)


def test_who_was_forgotten_meanwhile_is_not_called() -> None:
    """Else a body is read whose pipe was closed a moment before."""
    poller, called = Poller(), []
    pipes = [os.pipe() for _ in range(2)]
    for _, write in pipes:
        os.write(write, b"x")

    def call(own: int, other: int) -> None:
        called.append(own)
        poller.forget(other)

    (one, _), (two, _) = pipes
    poller.watch(one, lambda: call(one, two))
    poller.watch(two, lambda: call(two, one))
    poller.wait(None)
    assert len(called) == 1
    for pipe in pipes:
        for descriptor in pipe:
            os.close(descriptor)


def test_who_pauses_is_not_called_until_it_goes_on() -> None:
    """Else the end of each step wakes its template three times, or what it left is not heard."""
    poller, called = Poller(), []
    read, write = os.pipe()
    poller.watch(read, lambda: called.append(os.read(read, 10)))
    os.write(write, b"x")
    poller.pause(read)
    poller.pause(read)
    poller.wait(0)
    assert not called
    poller.go_on(read)
    poller.wait(None)
    assert called == [b"x"]
    poller.pause(read)
    poller.forget(read)
    for descriptor in (read, write):
        os.close(descriptor)


def test_all_are_closed_in_a_child() -> None:
    """Else every step holds the sockets of all the others, those that pause, too."""
    poller = Poller()
    pipes = [os.pipe() for _ in range(2)]
    for read, _ in pipes:
        poller.watch(read, lambda: None)
    poller.pause(pipes[0][0])
    poller.close_all()
    for read, write in pipes:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(read)
        os.close(write)
