"""Functions that Python does not report when they are called, replaced while a load is observed.

Code that keeps such a function keeps one that passes everything on, and where modules keep it, the
load's end puts Python's own back. What each call means, asked_functions.py says.
"""

from __future__ import annotations

import os
import sys
import time
from types import ModuleType
from typing import TYPE_CHECKING, Any

from marin_build.analysis.asked_functions import OF_OS, OF_THREADS, OF_TIME, AskedCall
from marin_build.analysis.audit_hook import active
from marin_build.identity.callables import CountsByName

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from marin_build.analysis.asked_functions import Note
    from marin_build.analysis.watch import Watch


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
            self._tell(watch, AskedCall(args, kwargs, frame, error))
            raise
        self._tell(watch, AskedCall(args, kwargs, frame, told))
        return told

    def _tell(self, watch: Watch, call: AskedCall) -> None:
        watch.is_busy = True
        try:
            self._note(watch, call)
        except Exception as error:  # noqa: BLE001 - what it raises would be raised by the call
            what = f"{self.__name__}: {type(error).__name__}"
            watch.refuse(f"does what cannot be followed ({what})", call.frame)
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
            (os, OF_OS),
            (time, OF_TIME),
            (_thread, OF_THREADS),
        ]
        if (threading := sys.modules.get("threading")) is not None:
            modules.append((threading, OF_THREADS))
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
