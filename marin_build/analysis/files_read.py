"""The files that a load has read, with what tells whether they were written since."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.analysis import questions
from marin_build.analysis.callers import owner_of
from marin_build.analysis.observations import WRITTEN_BEFORE, WRITTEN_MEANWHILE
from marin_build.analysis.searched_folders import InstalledFiles, number_of_stamps
from marin_build.analysis.searching import source_of
from marin_build.workspace.file_stamps import lasts, stamp_now

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from marin_build.analysis.questions import Answer
    from marin_build.analysis.watch import Watch
    from marin_build.workspace.file_stamps import FileStamp

_ALWAYS_READ = ("/etc/localtime", "/etc/passwd")
"""Files that C libraries read without a word: the time zone, and the homes of users."""


def files_read(
    watch: Watch, modules: Mapping[str, object]
) -> tuple[dict[str, Answer], dict[str, InstalledFiles]]:
    """Return the files that were read: others' by path, and libraries' by folder.

    What was written since shortly before the load is refused: it is not known what was read.

    Args:
        watch: what the load has looked at.
        modules: those of the process after the load, by their names.

    """
    own: dict[str, Answer] = {
        file: questions.answer_now(questions.FILE, file, b"") for file in _ALWAYS_READ
    }
    installed: dict[str, InstalledFiles] = {}
    files_of_modules: Iterable[str] = _module_files(watch, modules)
    if watch.checkout is not None:
        files_of_modules = watch.checkout.all_outside(files_of_modules)
    for folder, names in _by_folder({*watch.files, *files_of_modules}).items():
        owner = owner_of(f"{folder}/_.py")
        if owner in ("python", "imports"):
            continue
        stamps = [stamp_now(f"{folder}/{name}") for name in names]
        for name, stamp in zip(names, stamps, strict=True):
            file = f"{folder}/{name}"
            if not lasts(stamp, watch.began):
                watch.refuse(WRITTEN_BEFORE, None, file)
            elif watch.files.get(file, stamp) != stamp:
                watch.refuse(WRITTEN_MEANWHILE, None, file)
        if owner == "author":
            for name, stamp in zip(names, stamps, strict=True):
                _add_file(watch, own, f"{folder}/{name}", stamp)
        else:
            installed[folder] = InstalledFiles(tuple(names), number_of_stamps(stamps))
    return own, installed


def _add_file(watch: Watch, own: dict[str, Answer], path: str, stamp: FileStamp | None) -> None:
    own[path] = stamp or questions.answer_now(questions.FILE, path, b"")
    if own[path] == ("", "other"):
        watch.refuse("reads what is no file of a disk", None, path)


def _module_files(watch: Watch, modules: Mapping[str, object]) -> Iterator[str]:
    """Yield the files of all modules: a library may have been imported by this program."""
    compiled: set[object] = set()
    for name, module in modules.items():
        kept = variables_of(module)
        file = kept.get("__file__")
        if name != "__main__" and isinstance(file, str) and file.startswith("/"):
            compiled.add(kept.get("__cached__"))
            yield file
    for path in watch.imported:
        if path not in compiled:
            yield source_of(path)


def variables_of(module: object) -> Mapping[str, object]:
    """Return the variables of a module, without loading one that waits until it is used."""
    try:
        found = object.__getattribute__(module, "__dict__")
    except AttributeError:  # a program may keep anything among the modules
        return {}
    return found if isinstance(found, dict) else {}


def _by_folder(paths: Iterable[str]) -> dict[str, list[str]]:
    """Return folder -> the names of files in it, both in order."""
    found: dict[str, list[str]] = {}
    for path in sorted(paths):
        folder, _, name = path.rpartition("/")
        found.setdefault(folder, []).append(name)
    return found
