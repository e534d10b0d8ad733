"""What calls of functions mean that Python does not report, for a load that is observed.

They tell of files (`os.stat`, on which `os.path.exists` and pathlib rest), of the process and its
machine, and of the clock.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

from marin_build.analysis import questions
from marin_build.analysis.audit_events import DEVICES, FINDS_PROJECTS, reads_descriptor
from marin_build.analysis.callers import calling_author, nearest_owner, owner_of
from marin_build.text.readable import printable

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from marin_build.analysis.questions import Answer
    from marin_build.analysis.watch import Watch

    Note = Callable[[Watch, "AskedCall"], None]


class AskedCall(NamedTuple):
    """A call of a function that is replaced.

    Args:
        args, kwargs: its arguments.
        frame: of the caller.
        told: what it returned, or the error that it raised.

    """

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    frame: FrameType
    told: Any

    def argument(self, index: int, name: str) -> Any:
        """Return an argument, by its place or its name."""
        return self.args[index] if len(self.args) > index else self.kwargs.get(name)


_ASK_KIND = frozenset(
    """
    exists isfile isdir isjunction ismount lexists islink realpath _joinrealpath is_file is_dir
    is_symlink is_mount is_socket is_fifo is_block_device is_char_device resolve _resolve walk
    _walk _isdir _lexists mtime
    """.split()  # noqa: SIM905 - a list of quoted names would take a page
)
"""Functions of Python's library that ask what kind of thing lies somewhere, and no more."""
_PASS_ON = ("stat", "lstat")
"""Methods of pathlib that call `os.stat` for one of these."""
_WIDTH = "get_terminal_size"
_LOGS = f"{os.sep}logging{os.sep}__init__.py"


def _status(watch: Watch, call: AskedCall) -> None:
    _note_status(watch, call, follows=call.kwargs.get("follow_symlinks", True))


def _own_status(watch: Watch, call: AskedCall) -> None:
    _note_status(watch, call, follows=False)


def _note_status(watch: Watch, call: AskedCall, *, follows: bool) -> None:
    told = call.told
    if isinstance(call.argument(0, "path"), int) or _finds_projects(call.frame):
        return  # an opened file counts by itself
    if (found := _path_of(watch, call)) is None:
        return
    if found.startswith(DEVICES):
        if found != os.devnull and calling_author(call.frame) is not None:
            what = f"looks at `{printable(found)}`, which is no file of a disk"
            watch.refuse(what, call.frame)
    elif _asks_kind(call.frame):
        kind = _or_missing(told, lambda: questions.kind_of(told.st_mode))
        question = questions.KIND if follows else questions.OWN_KIND
        watch.answer(question, found, kind, call.frame)
    else:
        status = _or_missing(told, lambda: questions.status_of(told))
        question = questions.STATUS if follows else questions.OWN_STATUS
        watch.answer(question, found, status, call.frame)


def _path_of(watch: Watch, call: AskedCall) -> str | None:
    """Return the absolute path that a call asks about; None if its place cannot be known."""
    if call.kwargs.get("dir_fd") is None:
        return watch.path(call.argument(0, "path"))
    watch.refuse("looks at files of an opened folder, whose place cannot be known", call.frame)
    return None


def _or_missing(told: Any, answer: Callable[[], Answer]) -> Answer:
    return questions.missing(told) if isinstance(told, OSError) else answer()


def _finds_projects(frame: FrameType | None) -> bool:
    while frame is not None and owner_of(frame.f_code.co_filename) == "python":
        frame = frame.f_back
    return frame is not None and frame.f_code.co_filename.endswith(FINDS_PROJECTS)


def _asks_kind(frame: FrameType) -> bool:
    code = frame.f_code
    if owner_of(code.co_filename) != "python":
        return False
    if code.co_name in _PASS_ON and frame.f_back is not None:
        code = frame.f_back.f_code
        if owner_of(code.co_filename) != "python":
            return False
    return code.co_name in _ASK_KIND


def _access(watch: Watch, call: AskedCall) -> None:
    if (path := _path_of(watch, call)) is not None:
        answer = "yes" if call.told is True else "no"
        watch.answer(questions.ACCESS, f"{call.argument(1, 'mode')} {path}", answer, call.frame)


def _leads_to(watch: Watch, call: AskedCall) -> None:
    if (path := _path_of(watch, call)) is not None:
        answer = _or_missing(call.told, lambda: os.fsdecode(call.told))
        watch.answer(questions.LEADS_TO, path, answer, call.frame)


def _open(watch: Watch, call: AskedCall) -> None:
    if call.kwargs.get("dir_fd") is not None and nearest_owner(call.frame) != "ours":
        what = "opens files of an opened folder, whose place cannot be known"
        watch.refuse(what, call.frame)


def _told_by(name: str) -> Note:
    def note(watch: Watch, call: AskedCall) -> None:
        is_known = name in watch.called or _finds_projects(call.frame)
        if not is_known and not (name == _WIDTH and _is_for_help(call.frame)):
            watch.called.add(name)

    return note


def _is_for_help(frame: FrameType) -> bool:
    """Return whether argparse asks how wide its help may be, as it does for each option."""
    asks = frame.f_back
    return asks is not None and asks.f_code.co_filename.endswith(f"{os.sep}argparse.py")


def _never_the_same(reason: str) -> Note:
    def note(watch: Watch, call: AskedCall) -> None:
        if call.frame.f_code.co_filename.endswith(_LOGS):
            return  # the time of a log record
        if calling_author(call.frame) is not None:
            watch.refuse(reason, call.frame)

    return note


_CLOCK = _never_the_same("reads the clock")


def _reads_clock(seconds_at: int) -> Note:
    """Return what notes that the clock is read, unless the caller gives the time.

    Args:
        seconds_at: which argument the time is.

    """

    def note(watch: Watch, call: AskedCall) -> None:
        if len(call.args) <= seconds_at or call.args[seconds_at] is None:
            _CLOCK(watch, call)

    return note


def _starts_thread(watch: Watch, call: AskedCall) -> None:
    if nearest_owner(call.frame) != "ours":
        watch.refuse("starts a thread", call.frame)


def _reads_from_second(watch: Watch, call: AskedCall) -> None:
    if isinstance(number := call.argument(1, "in_fd"), int):
        reads_descriptor(watch, number, call.frame)


def _reads_input(watch: Watch, call: AskedCall) -> None:
    number = call.argument(0, "fd")
    if isinstance(number, int):
        reads_descriptor(watch, number, call.frame)


_RANDOM = _never_the_same("draws random numbers")
_PROCESS = _never_the_same("asks for what differs in each process")
_MACHINE = _never_the_same("asks how busy the machine is")


def _configuration(watch: Watch, call: AskedCall) -> None:
    if call.argument(0, "name") in questions.STEADY_CONFIGURATION:
        watch.called.add("sysconf")
    else:
        _MACHINE(watch, call)


OF_OS: dict[str, Note] = {
    "stat": _status,
    "lstat": _own_status,
    "access": _access,
    "readlink": _leads_to,
    "open": _open,
    "getcwdb": _told_by("getcwd"),
    **{name: _told_by(name) for name in questions.FUNCTIONS},
    "sysconf": _configuration,
    "urandom": _RANDOM,
    "getrandom": _RANDOM,
    "getpid": _PROCESS,
    "getppid": _PROCESS,
    "getsid": _PROCESS,
    "getpgid": _PROCESS,
    "getpgrp": _PROCESS,
    "times": _CLOCK,
    "getloadavg": _MACHINE,
    "statvfs": _MACHINE,
    "umask": _never_the_same("changes the rights of new files"),
    "dup": _reads_input,
    "pread": _reads_input,
    "preadv": _reads_input,
    "read": _reads_input,
    "readv": _reads_input,
    "sendfile": _reads_from_second,
    "fstatvfs": _MACHINE,
}
OF_TIME: dict[str, Note] = {
    "time": _CLOCK,
    "time_ns": _CLOCK,
    "process_time": _CLOCK,
    "process_time_ns": _CLOCK,
    "thread_time": _CLOCK,
    "thread_time_ns": _CLOCK,
    "clock_gettime": _CLOCK,
    "clock_gettime_ns": _CLOCK,
    "localtime": _reads_clock(0),
    "gmtime": _reads_clock(0),
    "ctime": _reads_clock(0),
    "asctime": _reads_clock(0),
    "strftime": _reads_clock(1),
}
OF_THREADS: dict[str, Note] = {
    "start_new_thread": _starts_thread,
    "start_new": _starts_thread,
    "_start_new_thread": _starts_thread,
}
