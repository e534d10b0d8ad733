"""What Python reports of a load: files it opens and lists, and all that cannot be known again.

Each event of Python's audit hooks has a function here that says what it means for the load.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from marin_build.analysis import questions
from marin_build.analysis.callers import IMPORT_SYSTEM, calling_author, nearest_owner, owner_of
from marin_build.analysis.searched_folders import TAKEN_NAMES
from marin_build.text.readable import printable

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from marin_build.analysis.watch import Watch

    Handler = Callable[[Watch, tuple[Any, ...], FrameType], None]

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
DEVICES = ("/dev/", "/proc/", "/sys/")
"""Begin the paths of what is no file of a disk: it tells of this machine and this process."""
_STEADY = ("/sys/", "/proc/sys/", "/proc/self/cgroup", "/proc/self/mountinfo", "/proc/version")
"""Begin the paths of those that say how a machine is set up."""
_SILENT = (os.devnull, "/dev/urandom", "/dev/random")
"""Devices that hold nothing which a load could depend on; that it draws random numbers is seen
elsewhere."""
_STANDARD_INPUT = 0
_OWN_CACHES = "/marin_build/workspace/own_files.py"
FINDS_PROJECTS = ("/marin_build/workspace/workspace.py", "/marin_build/workspace/own_folder.py")
"""End the paths of our code that finds the project of a file, which is given to a load, and of what
makes the folder of our own caches."""
_FINDS_DISTRIBUTIONS = "/importlib/metadata/__init__.py"
_FINDS_SHADOWS = "/marin_build/pipeline/shadowed_names.py"
_lstat, _readlink = os.lstat, os.readlink


def _opens(watch: Watch, args: tuple[Any, ...], frame: FrameType) -> None:
    path, _, flags = args
    caller = frame.f_code.co_filename
    if caller.startswith(IMPORT_SYSTEM) and isinstance(path, str) and path.startswith("/"):
        if not flags & _WRITES:
            watch.imported.append(path)
        return
    if isinstance(path, int):
        reads_descriptor(watch, path, frame)
        return
    if caller.endswith(_OWN_CACHES):
        return
    found = watch.path(path)
    if flags & _WRITES:
        if found != os.devnull and not _is_own_business(frame):
            watch.refuse(f"writes `{printable(found)}`", frame, found)
    elif not found.startswith(DEVICES):
        watch.opens(found)
    elif found.startswith(_STEADY):
        answer = questions.answer_now(questions.CONTENT, found, b"")
        watch.answer(questions.CONTENT, found, answer, frame)
    elif found not in _SILENT and calling_author(frame) is not None:
        watch.refuse(f"reads `{printable(found)}`, which is no file of a disk", frame)


def reads_descriptor(watch: Watch, number: int, frame: FrameType) -> None:
    """Note that an opened file is read by its number: another program may have opened it."""
    if calling_author(frame) is None:
        return
    if number == _STANDARD_INPUT:
        watch.refuse("reads its standard input", frame)
        return
    try:
        file = _readlink(f"/proc/self/fd/{number}")
    except OSError:
        return
    if file.startswith("/") and not file.startswith(DEVICES):
        watch.opens(file)
    elif owner_of(frame.f_code.co_filename) != "python":  # which has pipes of its own
        watch.refuse(f"reads `{printable(file)}`, which is no file of a disk", frame)


def _is_own_business(frame: FrameType) -> bool:
    """Return whether the import system keeps compiled code, or marin-build a cache of its own."""
    return nearest_owner(frame) in ("imports", "ours")


def _lists(watch: Watch, args: tuple[Any, ...], frame: FrameType) -> None:
    _list(watch, args[0], frame, with_kinds=False)


def _scans(watch: Watch, args: tuple[Any, ...], frame: FrameType) -> None:
    _list(watch, args[0], frame, with_kinds=True)


def _list(watch: Watch, folder: object, frame: FrameType, *, with_kinds: bool) -> None:
    caller = frame.f_code.co_filename
    if caller.startswith(IMPORT_SYSTEM) or caller.endswith(FINDS_PROJECTS):
        return
    if isinstance(folder, int):
        watch.refuse("lists an opened folder, whose place cannot be known", frame)
        return
    found = watch.path("." if folder is None else folder)
    if caller.endswith(_FINDS_SHADOWS):
        watch.searches.append((TAKEN_NAMES, (found,)))
        return
    if caller.endswith(_FINDS_DISTRIBUTIONS):
        watch.distributions.add(found)
        return
    watch.folders[found] = watch.folders.get(found, False) or with_kinds
    if with_kinds and not _asks_kinds_only(frame):
        with os.scandir(found) as entries:
            for each in entries:
                status = questions.status_of(each.stat(follow_symlinks=False))
                watch.answer(questions.OWN_STATUS, each.path, status, frame)
                if each.is_symlink():
                    leads_to = questions.answer_now(questions.STATUS, each.path, b"")
                    watch.answer(questions.STATUS, each.path, leads_to, frame)


def _asks_kinds_only(frame: FrameType) -> bool:
    """Return whether a caller of `os.scandir` asks for names and kinds, and no more."""
    return owner_of(frame.f_code.co_filename) == "python"


def _imports(watch: Watch, args: tuple[Any, ...], _: FrameType) -> None:
    file = watch.path(args[1])  # of a compiled module
    watch.opens(file)
    if owner_of(file) == "author":
        watch.refuse("is compiled code, which cannot be followed", None, file)


def is_of_a_library(code: object) -> bool:
    """Return whether code that is run is that of a file which is not the author's."""
    file = getattr(code, "co_filename", "")
    return not file.startswith("<") and (not file or owner_of(file) != "author")


def _runs_code(watch: Watch, args: tuple[Any, ...], frame: FrameType) -> None:
    code = args[0]
    if (file := getattr(code, "co_filename", None)) is None:
        return
    is_of_file = not file.startswith("<")  # else made of a text: whose it is
    if owner_of(file if is_of_file else frame.f_code.co_filename) == "author":
        watch.codes.append(code)
        if is_of_file:
            watch.opens(watch.path(file))


def _makes_folder(watch: Watch, args: tuple[Any, ...], frame: FrameType) -> None:
    if _is_own_business(frame):
        return
    path = watch.path(args[0])
    try:
        kind = questions.kind_of(_lstat(path).st_mode)
    except OSError:
        _changes_disk(watch, args, frame)
        return
    watch.answer(questions.OWN_KIND, path, kind, frame)


def _changes_disk(watch: Watch, args: tuple[Any, ...], frame: FrameType) -> None:
    if _is_own_business(frame):
        return
    path = watch.path(args[0]) if isinstance(args[0], str | bytes) else ""
    watch.refuse(f"changes `{printable(path)}`" if path else "changes a file", frame, path)


def _starts_process(watch: Watch, args: tuple[Any, ...], frame: FrameType) -> None:
    if nearest_owner(frame) == "ours":
        return
    called = args[0] if args else ""
    if isinstance(called, bytes):
        called = os.fsdecode(called)
    words = called.split() if isinstance(called, str) else []
    name = f" ({printable(os.path.basename(words[0]))})" if words else ""
    watch.refuse(f"starts a process{name}", frame)


def _starts_thread(watch: Watch, _: tuple[Any, ...], frame: FrameType) -> None:
    if nearest_owner(frame) != "ours":
        watch.refuse("starts a thread", frame)


def _uses_network(watch: Watch, _: tuple[Any, ...], frame: FrameType) -> None:
    watch.refuse("uses the network", frame)


def _may_use_network(watch: Watch, _: tuple[Any, ...], frame: FrameType) -> None:
    """Note what libraries do at their import, too, to see what the machine can do."""
    if calling_author(frame) is not None:
        watch.refuse("uses the network", frame)


def _asks_host(watch: Watch, _: tuple[Any, ...], frame: FrameType) -> None:
    if calling_author(frame) is not None:
        watch.called.add("uname")


def _opens_database(watch: Watch, args: tuple[Any, ...], frame: FrameType) -> None:
    watch.refuse(f"opens the database `{printable(str(args[0]))}`", frame)


def _asks_person(watch: Watch, _: tuple[Any, ...], frame: FrameType) -> None:
    watch.refuse("reads its standard input", frame)


def _loads_library(watch: Watch, args: tuple[Any, ...], frame: FrameType) -> None:
    if nearest_owner(frame) == "author":
        watch.refuse(f"loads the native library `{printable(str(args[0]))}`", frame)


def _reads_attributes(watch: Watch, _: tuple[Any, ...], frame: FrameType) -> None:
    if calling_author(frame) is not None:
        watch.refuse("reads extended attributes of a file", frame)


def _moves(watch: Watch, args: tuple[Any, ...], _: FrameType) -> None:
    if isinstance(args[0], str | bytes):
        watch.path(args[0])


HANDLERS: dict[str, Handler] = {
    "open": _opens,
    "os.listdir": _lists,
    "os.scandir": _scans,
    "import": _imports,
    "exec": _runs_code,
    "os.chdir": _moves,
    "os.mkdir": _makes_folder,
    **dict.fromkeys(
        (
            "os.chmod", "os.chown", "os.chflags", "os.lchmod", "os.link", "os.mkfifo", "os.mknod",
            "os.remove", "os.removexattr", "os.rename", "os.rmdir", "os.setxattr", "os.symlink",
            "os.truncate", "os.utime", "shutil.chown",
        ),
        _changes_disk,
    ),
    **dict.fromkeys(
        (
            "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.startfile",
            "os.system", "pty.spawn", "subprocess.Popen",
        ),
        _starts_process,
    ),
    **dict.fromkeys(
        ("_thread.start_new_thread", "_thread.start_joinable_thread"), _starts_thread
    ),
    **dict.fromkeys(
        (
            "socket.connect", "socket.getaddrinfo", "socket.gethostbyaddr", "socket.gethostbyname",
            "socket.getnameinfo", "socket.getservbyname", "socket.getservbyport", "socket.sendmsg",
            "socket.sendto", "urllib.Request",
        ),
        _uses_network,
    ),
    **dict.fromkeys(("socket.__new__", "socket.bind"), _may_use_network),
    "socket.gethostname": _asks_host,
    "sqlite3.connect": _opens_database,
    "builtins.input": _asks_person,
    "ctypes.dlopen": _loads_library,
    **dict.fromkeys(("os.getxattr", "os.listxattr"), _reads_attributes),
}  # fmt: skip
"""What each audit event means; https://docs.python.org/3/library/audit_events.html lists them."""
HARMLESS_ELSEWHERE = (_imports, _runs_code)
"""What other threads may do meanwhile."""
