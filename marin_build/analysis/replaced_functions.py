"""Functions that Python does not report when they are called, replaced while a load is observed.

They tell of files (`os.stat`, on which `os.path.exists` and pathlib rest), of the process and its
machine, and of the clock. Code that keeps such a function keeps one that passes everything on, and
where modules keep it, the load's end puts Python's own back.
"""

from __future__ import annotations

import os
import sys
import time
from types import ModuleType
from typing import TYPE_CHECKING, Any

from marin_build.analysis import questions
from marin_build.analysis.audit_events import DEVICES, FINDS_PROJECTS, active
from marin_build.analysis.callers import calling_author, nearest_owner, owner_of
from marin_build.identity.callables import CountsByName
from marin_build.text.readable import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import FrameType

    from marin_build.analysis.questions import Answer
    from marin_build.analysis.watch import Watch

    Note = Callable[[Watch, tuple[Any, ...], dict[str, Any], FrameType, Any], None]

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
_STANDARD_INPUT = 0
_LOGS = f"{os.sep}logging{os.sep}__init__.py"


class ReplacedFunction(CountsByName):
    """Stands for a function of Python, and notes what it was asked.

    An object, not a function: as a class attribute it is no method, as what it stands for is none.
    """

    def __init__(self, original: Any, note: Note) -> None:
        self._original, self._note = original, note
        self.own_references = 0
        self.__name__ = original.__name__
        self.__qualname__ = original.__qualname__
        self.__module__ = original.__module__
        self.__doc__ = original.__doc__

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call what it stands for."""
        watch = active()
        if watch is None:
            return self._original(*args, **kwargs)
        frame = sys._getframe(1)  # noqa: SLF001 - CPython's own way
        try:
            told = self._original(*args, **kwargs)
        except OSError as error:
            self._tell(watch, args, kwargs, frame, error)
            raise
        self._tell(watch, args, kwargs, frame, told)
        return told

    def _tell(
        self,
        watch: Watch,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        frame: FrameType,
        told: Any,
    ) -> None:
        watch.is_busy = True
        try:
            self._note(watch, args, kwargs, frame, told)
        except Exception as error:  # noqa: BLE001 - what it raises would be raised by the call
            what = f"{self.__name__}: {type(error).__name__}"
            watch.refuse(f"does what cannot be followed ({what})", frame)
        finally:
            watch.is_busy = False

    @property
    def original(self) -> Any:
        """What it stands for."""
        return self._original

    @property
    def code_name(self) -> str:
        """The text of what it stands for, in the digest of code that holds it."""
        return f"builtin {self.__module__}.{self.__qualname__}"

    def __reduce__(self) -> tuple[Callable[[str, str], Any], tuple[str, str]]:
        """Have it pickled as what it stands for."""
        return _function_of, (self.__module__, self.__name__)


def _function_of(module: str, name: str) -> Any:
    return getattr(sys.modules[module], name)


def _status(
    watch: Watch, args: tuple[Any, ...], kwargs: dict[str, Any], frame: FrameType, told: Any
) -> None:
    follows = kwargs.get("follow_symlinks", True)
    _note_status(watch, args, kwargs, frame, told, follows=follows)


def _own_status(
    watch: Watch, args: tuple[Any, ...], kwargs: dict[str, Any], frame: FrameType, told: Any
) -> None:
    _note_status(watch, args, kwargs, frame, told, follows=False)


def _note_status(
    watch: Watch,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    frame: FrameType,
    told: Any,
    *,
    follows: bool,
) -> None:
    path = args[0] if args else kwargs["path"]
    if isinstance(path, int) or _finds_projects(frame):
        return  # an opened file counts by itself
    if kwargs.get("dir_fd") is not None:
        watch.refuse("looks at files of an opened folder, whose place cannot be known", frame)
        return
    found = watch.path(path)
    if found.startswith(DEVICES):
        if found != os.devnull and calling_author(frame) is not None:
            watch.refuse(f"looks at `{printable(found)}`, which is no file of a disk", frame)
        return
    if _asks_kind(frame):
        kind = _or_missing(told, lambda: questions.kind_of(told.st_mode))
        watch.answer(questions.KIND if follows else questions.OWN_KIND, found, kind, frame)
        return
    status = _or_missing(told, lambda: questions.status_of(told))
    watch.answer(questions.STATUS if follows else questions.OWN_STATUS, found, status, frame)


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


def _access(
    watch: Watch, args: tuple[Any, ...], kwargs: dict[str, Any], frame: FrameType, told: Any
) -> None:
    if kwargs.get("dir_fd") is not None:
        watch.refuse("looks at files of an opened folder, whose place cannot be known", frame)
        return
    path = watch.path(args[0] if args else kwargs["path"])
    mode = args[1] if len(args) > 1 else kwargs["mode"]
    watch.answer(questions.ACCESS, f"{mode} {path}", "yes" if told is True else "no", frame)


def _leads_to(
    watch: Watch, args: tuple[Any, ...], kwargs: dict[str, Any], frame: FrameType, told: Any
) -> None:
    if kwargs.get("dir_fd") is not None:
        watch.refuse("looks at files of an opened folder, whose place cannot be known", frame)
        return
    path = watch.path(args[0] if args else kwargs["path"])
    answer = _or_missing(told, lambda: os.fsdecode(told))
    watch.answer(questions.LEADS_TO, path, answer, frame)


def _open(
    watch: Watch, _args: tuple[Any, ...], kwargs: dict[str, Any], frame: FrameType, _told: Any
) -> None:
    if kwargs.get("dir_fd") is not None and nearest_owner(frame) != "ours":
        watch.refuse("opens files of an opened folder, whose place cannot be known", frame)


def _told_by(name: str) -> Note:
    def note(
        watch: Watch, _args: tuple[Any, ...], _kwargs: dict[str, Any], frame: FrameType, _told: Any
    ) -> None:
        if name not in watch.called and not _finds_projects(frame):
            watch.called.add(name)

    return note


def _never_the_same(reason: str) -> Note:
    def note(
        watch: Watch, _args: tuple[Any, ...], _kwargs: dict[str, Any], frame: FrameType, _told: Any
    ) -> None:
        if frame.f_code.co_filename.endswith(_LOGS):
            return  # the time of a log record
        if calling_author(frame) is not None:
            watch.refuse(reason, frame)

    return note


def _reads_clock(seconds_at: int | None) -> Note:
    """Return what notes that the clock is read, unless the caller gives the time.

    Args:
        seconds_at: which argument the time is; None: it takes none.

    """
    never = _never_the_same("reads the clock")

    def note(
        watch: Watch, args: tuple[Any, ...], kwargs: dict[str, Any], frame: FrameType, told: Any
    ) -> None:
        if seconds_at is None or len(args) <= seconds_at or args[seconds_at] is None:
            never(watch, args, kwargs, frame, told)

    return note


def _starts_thread(
    watch: Watch, _args: tuple[Any, ...], _kwargs: dict[str, Any], frame: FrameType, _told: Any
) -> None:
    if nearest_owner(frame) != "ours":
        watch.refuse("starts a thread", frame)


def _reads_input(
    watch: Watch, args: tuple[Any, ...], kwargs: dict[str, Any], frame: FrameType, _told: Any
) -> None:
    if _STANDARD_INPUT in (*args[:1], *kwargs.values()) and calling_author(frame) is not None:
        watch.refuse("reads its standard input", frame)


_RANDOM = _never_the_same("draws random numbers")
_PROCESS = _never_the_same("asks for what differs in each process")
_MACHINE = _never_the_same("asks how busy the machine is")
_CLOCK = _reads_clock(None)
_OF_OS: dict[str, Note] = {
    "stat": _status,
    "lstat": _own_status,
    "access": _access,
    "readlink": _leads_to,
    "open": _open,
    "getcwdb": _told_by("getcwd"),
    **{name: _told_by(name) for name in questions.FUNCTIONS},
    "sched_getaffinity": _MACHINE,
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
    "sysconf": _MACHINE,
    "umask": _never_the_same("changes the rights of new files"),
    "dup": _reads_input,
    "pread": _reads_input,
    "preadv": _reads_input,
    "read": _reads_input,
    "readv": _reads_input,
    "sendfile": _reads_input,
    "fstatvfs": _MACHINE,
}
_OF_TIME: dict[str, Note] = {
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
_OF_THREADS: dict[str, Note] = {
    "start_new_thread": _starts_thread,
    "start_new": _starts_thread,
    "_start_new_thread": _starts_thread,
}
_replaced: dict[int, ReplacedFunction] = {}
"""The number of an original -> what stands for it; made once, since code may keep it."""


class Replacements:
    """The functions that are replaced now."""

    def __init__(self) -> None:
        self._before: list[tuple[ModuleType, str, Any]] = []

    def put_in(self) -> None:
        """Replace the functions."""
        import _thread

        modules: list[tuple[ModuleType, dict[str, Note]]] = [
            (os, _OF_OS),
            (time, _OF_TIME),
            (_thread, _OF_THREADS),
        ]
        if (threading := sys.modules.get("threading")) is not None:
            modules.append((threading, _OF_THREADS))
        for module, notes in modules:
            for name, note in notes.items():
                if (original := getattr(module, name, None)) is not None:
                    self._before.append((module, name, original))
                    setattr(module, name, _replacement(original, note))

    def take_out(self) -> None:
        """Put the originals back, unless others have replaced them meanwhile."""
        for module, name, original in self._before:
            if getattr(module, name, None) is _replaced.get(id(original)):
                setattr(module, name, original)
        self._before.clear()

    @staticmethod
    def forget_in(modules: Iterable[ModuleType]) -> None:
        """Put the originals back where modules keep what stood for them."""
        if not any(sys.getrefcount(each) > each.own_references for each in _replaced.values()):
            return  # as of most loads: to look through all modules takes milliseconds
        for module in modules:
            if type(module) is not ModuleType:
                continue  # one that is loaded when it is used
            kept = vars(module)
            if ReplacedFunction in map(type, kept.values()):
                for name, value in list(kept.items()):
                    if type(value) is ReplacedFunction:
                        kept[name] = value.original


def _replacement(original: Any, note: Note) -> ReplacedFunction:
    found = _replaced.get(id(original))
    if found is None:
        found = _replaced[id(original)] = ReplacedFunction(original, note)
        for supported in (os.supports_dir_fd, os.supports_fd, os.supports_follow_symlinks):
            if original in supported:
                supported.add(found)
        found.own_references = sys.getrefcount(found)
    return found
