"""The code digest of a step, from the function or command that builds it."""

from __future__ import annotations

import functools
import inspect
import types
from typing import TYPE_CHECKING

from marin_build.identity.callables import StandsForFunction
from marin_build.identity.code.captured import Holdings, text_of
from marin_build.identity.code.syntax import digest_of_text, forget_syntax
from marin_build.quick_dataclass import dataclass
from marin_build.workspace.workspace import current_workspace

if TYPE_CHECKING:
    from collections.abc import Callable

    from marin_build.identity.code.closure import Reader
    from marin_build.identity.code.function_code import Closure


_readers: dict[str, Reader] = {}


@dataclass(frozen=True, slots=True)
class Code:
    """The code of what builds a step.

    Args:
        digest: equal for equal code and equal captured values: 64 hex digits.
        closures: each function or class the step's function is or holds, with all it reaches,
            and the names that lead to it from the step's function.
        values: where a captured value is held, the value, and its text.
        unseen: captured values that the digest does not cover, or not in full.

    """

    digest: str
    closures: tuple[tuple[tuple[str, ...], Closure], ...]
    values: tuple[tuple[str, object, str], ...]
    unseen: tuple[str, ...]

    @property
    def captured(self) -> dict[str, str]:
        """Captured values by where they are held: numbers, names of steps, else digests."""
        return {where: _shown(value, text) for where, value, text in self.values}

    @property
    def modules(self) -> tuple[str, ...]:
        """First names of the modules it uses that are neither the project's nor Python's."""
        return tuple(dict.fromkeys(m for _, closure in self.closures for m in closure.external))


def code_of(fn: object, declared_in: str | None = None) -> Code:
    """Return the code of a step's `fn`: a function, a command, whatever builds a step.

    Args:
        fn: what builds the step.
        declared_in: the file that declares the step; its project's modules are first-party while
            no workspace is in force. None: the file of the function.

    """
    holdings = Holdings(reader_of(fn, declared_in))
    text = holdings.text(fn, "")
    return Code(
        digest_of_text(text),
        tuple(holdings.closures),
        tuple(holdings.values),
        tuple(dict.fromkeys(holdings.unseen)),
    )


def code_digest(fn: object, declared_in: str | None = None) -> str:
    """Return the digest of the code of a step's `fn`: 64 hex digits.

    Covered are the function, all first-party code it reaches by name, and captured values; the
    arguments are those of `code_of`.
    """
    return digest_of_text(text_of(fn, reader_of(fn, declared_in)))


def _shown(value: object, text: str) -> str:
    """Return what a record keeps of a value: numbers as they are, else a digest.

    A captured text may be a secret, and records lie where many can read them.
    """
    if value is None or type(value) in (int, float, bool) or text.startswith("step "):
        return text
    return f"sha256:{digest_of_text(text)[:16]}"


def forget_code() -> None:
    """Read all source anew; for programs that load a pipeline again after its files changed."""
    _readers.clear()
    forget_syntax()


def reader_of(fn: object, declared_in: str | None = None) -> Reader:
    """Return what reads the code of a step's `fn`; the arguments are those of `code_of`."""
    project = current_workspace(declared_in or _file_of(fn)).project
    if project not in _readers:
        from marin_build.identity.code.closure import Reader
        from marin_build.identity.code.resolve import Resolver

        _readers[project] = Reader(Resolver(project))
    return _readers[project]


def known_digests(project: str) -> Callable[[object], str] | None:
    """Return a function that tells the digest of a `fn` without reading its source.

    It raises NotKnownError where that cannot be told. A digest from it can only confirm one that
    was recorded: if they differ, ask `code_digest`.

    Returns:
        None if no earlier process has read the project's code, or any of the code has changed.

    """
    from marin_build.identity.code.known_code import read_known_code

    known = read_known_code(project)
    return None if known is None else known.digest


def keep_digests(project: str) -> None:
    """Keep the digests of the code that was read here, for `known_digests` of later processes."""
    if (reader := _readers.get(project)) is not None:
        from marin_build.identity.code.known_code import keep_known_code

        keep_known_code(project, reader)


def _file_of(fn: object) -> str | None:
    """Return the file of a function, or of the one that a value stands for or is made around."""
    while isinstance(fn, StandsForFunction | functools.partial):
        fn = fn.func if isinstance(fn, functools.partial) else fn.code_function
    code = getattr(inspect.unwrap(fn) if callable(fn) else None, "__code__", None)
    return code.co_filename if isinstance(code, types.CodeType) else None
