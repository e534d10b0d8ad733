"""The questions that loading a pipeline asks of its machine, and their answers now.

Recording and checking share them, so that both mean the same by "unchanged". An answer is None, a
text, or a tuple of texts and whole numbers. One that begins with an empty text says why there is no
other: an empty text and the name of an error, since code may tell one error from another.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import sys
from typing import TYPE_CHECKING

from marin_build.workspace.file_stamps import stamp_of

if TYPE_CHECKING:
    from collections.abc import Callable

Answer = str | tuple[str | int, ...] | None

FILE = "file"
"""Path -> the stamp of a file that is read."""
CONTENT = "content"
"""Path -> a digest of what a file of the kernel says, which has no stamp."""
KIND, OWN_KIND = "kind", "own kind"
"""Path -> `file`, `folder`, `link` or `other`; the first follows links."""
STATUS, OWN_STATUS = "status", "own status"
"""Path -> mode, bytes, times and number; the first follows links."""
LEADS_TO = "leads to"
"""Path of a link -> what it leads to."""
NAMES, ENTRIES = "names", "entries"
"""Path of a folder -> the names in it, as they are listed; with their kinds."""
ACCESS = "access"
"""`mode path` -> whether this user may do that."""
CALLED = "called"
"""Name of a function of Python that tells of this process or machine -> a digest of its answer."""
DISTRIBUTIONS = "distributions"
"""Folder of the search path -> the names of what says which distributions lie there."""
VARIABLE, VARIABLES = "variable", "variables"
"""Environment variable -> a digest of its value; and, under an empty name, one of all names."""
SURROUNDINGS = "surroundings"
"""What this Python is, in words -> a text."""
GIVEN = "given"
"""What the load was given, in words -> a digest."""

_KINDS = {stat.S_IFREG: "file", stat.S_IFDIR: "folder", stat.S_IFLNK: "link"}
_SAYS_VERSION = (".dist-info", ".egg-info", ".egg-link", ".pth")
_MOST_CONTENT = 1 << 16
_ALL_KINDS = (stat.S_IFREG, stat.S_IFDIR)

_FIND_NO_MODULES_OF_AUTHORS = ("marin_build.", "six.", "urllib3.packages.six.")
"""Begin the names of finders that are there if a command has imported this or that."""
FUNCTIONS: dict[str, Callable[[], object]] = {
    name: getattr(os, name)
    for name in (
        "cpu_count", "getcwd", "getegid", "geteuid", "getgid", "getgroups", "getlogin",
        "get_terminal_size", "getuid", "process_cpu_count", "uname",
    )
    if hasattr(os, name)
}  # fmt: skip
"""Functions of `os` whose answers count as long as they stay the same."""
STEADY_CONFIGURATION = tuple(
    name
    for name in (
        "SC_ARG_MAX", "SC_CLK_TCK", "SC_IOV_MAX", "SC_NPROCESSORS_CONF", "SC_NPROCESSORS_ONLN",
        "SC_OPEN_MAX", "SC_PAGESIZE", "SC_PAGE_SIZE", "SC_PHYS_PAGES", "SC_SEM_NSEMS_MAX",
    )
    if name in os.sysconf_names
)  # fmt: skip
"""What `os.sysconf` tells of a machine, and does not change from hour to hour."""
_sysconf = os.sysconf
FUNCTIONS["sysconf"] = lambda: [_sysconf(name) for name in STEADY_CONFIGURATION]
if hasattr(os, "sched_getaffinity"):
    _getaffinity = os.sched_getaffinity
    FUNCTIONS["sched_getaffinity"] = lambda: sorted(_getaffinity(0))


def digest(salt: bytes, *texts: str) -> str:
    """Return a digest that is only the same under the same key: what it is of cannot be looked up.

    Args:
        salt: the key, of at most 64 bytes.
        texts: what it is of.

    """
    data = "\0".join(texts).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(data, key=salt, digest_size=16).hexdigest()


def kind_of(mode: int) -> str:
    """Return the kind of what has a mode."""
    return _KINDS.get(stat.S_IFMT(mode), "other")


def status_of(found: os.stat_result) -> tuple[int, ...]:
    """Return the parts of a status that stay while nothing is changed."""
    return (
        found.st_mode, found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino,
    )  # fmt: skip


def answer_now(kind: str, subject: str, salt: bytes) -> Answer:
    """Return the answer to a question as it is now.

    Raises:
        KeyError: there is no such question.

    """
    try:
        return ASKED[kind](subject, salt)
    except (OSError, ValueError) as error:
        return missing(error)


def missing(error: Exception) -> Answer:
    """Return the answer where a question fails."""
    number = error.errno if isinstance(error, OSError) else None
    return "", errno.errorcode.get(number or 0, type(error).__name__)


def is_missing(answer: Answer) -> bool:
    """Return whether an answer says that nothing is there, or that it cannot be looked at."""
    return answer is None or (isinstance(answer, tuple) and answer[:1] == ("",))


def _file(path: str, _: bytes) -> Answer:
    found = os.stat(path)
    return stamp_of(found) if stat.S_ISREG(found.st_mode) else ("", kind_of(found.st_mode))


def _content(path: str) -> Answer:
    """Return a digest of the first bytes of a file; without waiting, whatever it is."""
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as stream:
        return hashlib.blake2b(stream.read(_MOST_CONTENT), digest_size=16).hexdigest()


def _entries(folder: str) -> Answer:
    with os.scandir(folder) as entries:
        return tuple([_entry(each) for each in entries])


def _entry(entry: os.DirEntry[str]) -> str:
    """Return name and kind of an entry; of a link also the kind of what it leads to."""
    if entry.is_symlink():
        leads_to = "folder" if entry.is_dir() else "file" if entry.is_file() else "other"
        return f"{entry.name}/link to {leads_to}"
    if entry.is_dir(follow_symlinks=False):
        return f"{entry.name}/folder"
    return f"{entry.name}/{'file' if entry.is_file(follow_symlinks=False) else 'other'}"


def _may(subject: str) -> str:
    mode, _, path = subject.partition(" ")
    return "yes" if os.access(path, int(mode)) else "no"


def answer_of(function: str, salt: bytes) -> str:
    """Return a digest of what a function of `FUNCTIONS` tells."""
    try:
        told = repr(FUNCTIONS[function]())
    except OSError as error:
        told = type(error).__name__
    return digest(salt, told)


def _distributions(folder: str) -> Answer:
    names = [name for name in os.listdir(folder) if name.endswith(_SAYS_VERSION)]
    return tuple(names)


def variable_digest(salt: bytes, name: str, value: str | None) -> str | None:
    """Return the digest of an environment variable; None if it is not set."""
    return None if value is None else digest(salt, name, value)


def _all_variables(_: str, salt: bytes) -> str:
    return digest(salt, *os.environ)  # each value that is read is a question of its own


def surroundings() -> dict[str, str]:
    """Return what this Python is, by what to call it."""
    from marin_build._package import FOLDER
    from marin_build._version import __version__

    finders = [_name_of(finder) for finder in sys.meta_path]
    hooks = [name for name in finders if not name.startswith(_FIND_NO_MODULES_OF_AUTHORS)]
    return {
        "Python": f"{sys.version} {sys.executable}",
        "marin-build": f"{__version__} {FOLDER}",
        "Python's search path": "\n".join(sys.path),
        "Python's prefixes": f"{sys.prefix} {sys.exec_prefix} {sys.base_prefix}",
        "Python's options": f"{sys.flags} {sys.warnoptions} {sys._xoptions}",  # noqa: SLF001
        "Python's import hooks": f"{hooks} {len(sys.path_hooks)}",
        "the encoding of file names": sys.getfilesystemencoding(),
    }


def _name_of(finder: object) -> str:
    kind = finder if isinstance(finder, type) else type(finder)
    return f"{kind.__module__}.{kind.__qualname__}"


ASKED: dict[str, Callable[[str, bytes], Answer]] = {
    FILE: _file,
    CONTENT: lambda path, _: _content(path),
    KIND: lambda path, _: kind_of(os.stat(path).st_mode),
    OWN_KIND: lambda path, _: kind_of(os.lstat(path).st_mode),
    STATUS: lambda path, _: status_of(os.stat(path)),
    OWN_STATUS: lambda path, _: status_of(os.lstat(path)),
    LEADS_TO: lambda path, _: os.readlink(path),
    NAMES: lambda path, _: tuple(os.listdir(path)),
    ENTRIES: lambda path, _: _entries(path),
    ACCESS: lambda subject, _: _may(subject),
    CALLED: answer_of,
    DISTRIBUTIONS: lambda path, _: _distributions(path),
    VARIABLE: lambda name, salt: variable_digest(salt, name, os.environ.get(name)),
    VARIABLES: _all_variables,
}
