"""Digests of code that an earlier process read, and all they depend on: they spare reading it anew.

What an earlier process read counts only while each file that it read has the size, times and inode
it had, and each name that it looked for would be found in the same place. What a function has
captured is no part of it: that is looked at anew each time.

These digests may only confirm what was recorded from the code itself. So whatever stands in the
file in which they are kept, it cannot make up a digest that was never recorded.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import field
from typing import TYPE_CHECKING, Any

from marin_build.identity.code.captured import text_of
from marin_build.identity.code.function_code import Closure, FunctionCode
from marin_build.identity.code.lookups import Lookups
from marin_build.identity.code.syntax import digest_of_text, lasting_stamp
from marin_build.quick_dataclass import dataclass
from marin_build.untrusted_json import array, path, table, text, whole
from marin_build.workspace.file_stamps import stamp_now
from marin_build.workspace.kept_facts import keep_facts, read_facts

if TYPE_CHECKING:
    import types

    from marin_build.identity.code.closure import Reader
    from marin_build.workspace.file_stamps import FileStamp


_SUBJECT = "code"


class NotKnownError(LookupError):
    """No earlier process read this code, or nothing says that it is still the same."""


@dataclass(slots=True)
class KnownCode:
    """The code of functions and classes, as an earlier process read it.

    Args:
        functions: by the key of `_key_of`.
        classes: file, module and qualified name -> its code; None where no source defines it.
        lookups: the modules that were looked for.
        files: the files that were read, as they were.

    """

    functions: dict[str, FunctionCode] = field(default_factory=dict)
    classes: dict[tuple[str, str, str], Closure | None] = field(default_factory=dict)
    lookups: Lookups = field(default_factory=Lookups)
    files: dict[str, FileStamp | None] = field(default_factory=dict)
    _by_code: dict[int, tuple[types.FunctionType, FunctionCode]] = field(default_factory=dict)

    def digest(self, fn: object) -> str:
        """Return what `code_digest` returns for the `fn` of a step.

        Raises:
            NotKnownError: it holds code that is not known.

        """
        return digest_of_text(text_of(fn, self))

    def of_function(self, function: types.FunctionType) -> FunctionCode:
        """Return the code of a function; raise NotKnownError if it is not known."""
        code = function.__code__
        known = self._by_code.get(id(code))
        if known is None:
            found = self.functions.get(_key_of(function))
            if found is None:
                raise NotKnownError(code.co_qualname)
            known = self._by_code[id(code)] = (function, found)
        return known[1]

    def of_class(self, file: str, module: str, name: str) -> Closure | None:
        """Return the code of a class; raise NotKnownError if it is not known."""
        if (file, module, name) not in self.classes:
            raise NotKnownError(f"{module}.{name}")
        return self.classes[file, module, name]

    def still_holds(self) -> bool:
        """Return whether nothing of all it depends on has changed."""
        same = all(stamp_now(file) == stamp for file, stamp in self.files.items())
        return same and self.lookups.still_hold()

    def add(self, reader: Reader) -> None:
        """Add what a reader of this process has read.

        Raises:
            ValueError: it read a file that may change without a trace.

        """
        self.files |= {file: lasting_stamp(file) for file in reader.resolver.files}
        for function, code in reader.functions.values():
            if code.has_source:  # bytecode is no file's: another process may make other code of it
                self.functions[_key_of(function)] = code
        self.classes |= reader.classes
        self.lookups.add(reader.resolver.lookups)


def read_known_code(project: str) -> KnownCode | None:
    """Return what earlier processes read of a project's code; None if any of it has changed."""
    try:
        known = _known_of(read_facts(project, _SUBJECT))
        return known if known.still_holds() else None
    except (OSError, ValueError, TypeError):
        return None


def keep_known_code(project: str, reader: Reader) -> None:
    """Keep what a reader has read of a project's code, beside what is known and has not changed."""
    known = read_known_code(project) or KnownCode()
    with suppress(OSError, ValueError):  # else it is read anew each time
        known.add(reader)
        keep_facts(project, _SUBJECT, _json_values(known))


def _key_of(function: types.FunctionType) -> str:
    """Return a digest of all that leads from a function to its source."""
    code = function.__code__
    where = str(function.__globals__.get("__name__", function.__module__))
    names = (code.co_filename, where, code.co_name, code.co_qualname, code.co_freevars)
    return digest_of_text(repr((*names, code.co_firstlineno, code.co_linetable)))[:32]


def _json_values(known: KnownCode) -> dict[str, Any]:
    return {
        "functions": {
            key: [code.short, code.closure.digest, code.free]
            for key, code in known.functions.items()
        },
        "classes": [
            [*key, closure.digest if closure is not None else None]
            for key, closure in known.classes.items()
        ],
        "lookups": known.lookups.json_values(),
        "files": known.files,
    }


def _known_of(document: dict[str, Any]) -> KnownCode:
    """Return what `_json_values` wrote; raise ValueError or TypeError for anything else."""
    functions = {
        key: FunctionCode(text(short), _closure(text(digest)), True, _names(free))
        for key, (short, digest, free) in table(document.get("functions")).items()
    }
    classes = {
        (text(file), text(module), text(name)): None if digest is None else _closure(text(digest))
        for file, module, name, digest in array(document.get("classes"))
    }
    files = {path(name): _stamp(stamp) for name, stamp in table(document.get("files")).items()}
    return KnownCode(functions, classes, Lookups.of_json(document.get("lookups")), files)


def _closure(digest: str) -> Closure:
    return Closure(digest, (), (), ())


def _names(value: object) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(map(text, array(names))) for names in array(value))


def _stamp(value: object) -> FileStamp | None:
    if value is None:
        return None
    size, written, changed, number = map(whole, array(value))
    return size, written, changed, number
