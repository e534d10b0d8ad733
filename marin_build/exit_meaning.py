"""What the exit code of a step means, where it means more than that it failed."""

from __future__ import annotations

import signal

INFRASTRUCTURE = 75
"""EX_TEMPFAIL of sysexits.h: not the step's fault, try again."""
TIMED_OUT = 124
"""As coreutils' timeout has it."""
KILLED = 128 + signal.SIGKILL
_MEANINGS = {
    INFRASTRUCTURE: "infrastructure failed, try again",
    TIMED_OUT: "it ran too long",
    126: "the command may not be executed",
    127: "the command was not found",
}
_OF_SIGNALS = {
    signal.SIGKILL: "out of memory, or killed by somebody",
    signal.SIGTERM: "asked to end",
    signal.SIGINT: "interrupted from the keyboard",
    signal.SIGSEGV: "a crash in compiled code",
    signal.SIGBUS: "a crash in compiled code, or a disk or shared memory that is full",
    signal.SIGABRT: "a program gave up on itself",
}
_SIGNALS_FROM = 128
_SAID_OF_KILLS = (": out of memory", " by somebody")
"""How a message ends that knows which of the two it was."""


def exit_meaning(code: int) -> str:
    """Return what an exit code means, in words; empty for one that means nothing more.

    Args:
        code: as shells say it: 128 + signal for a process that a signal killed.

    """
    if code in _MEANINGS:
        return _MEANINGS[code]
    try:
        number = signal.Signals(code - _SIGNALS_FROM)
    except ValueError:
        return ""
    words = _OF_SIGNALS.get(number)
    return f"{number.name}: {words}" if words else number.name


def unsaid_meaning(code: int, message: str) -> str:
    """Return what an exit code means, unless the message beside it says so, or knows more."""
    if code == TIMED_OUT or (code == KILLED and message.endswith(_SAID_OF_KILLS)):
        return ""
    meaning = exit_meaning(code)
    return "" if meaning.rpartition(": ")[2] in message else meaning
