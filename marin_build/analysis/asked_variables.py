"""Environment variables that a load reads: `os.environ` notes them while it is observed.

The object stays the same one, so that code which imported it earlier is seen, too. What C libraries
read of the environment themselves is not.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from marin_build.analysis.audit_hook import active
from marin_build.workspace.workspace import PREFIX_VARIABLE, PROJECT_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Iterator

_PLAIN: Any = type(os.environ)
_OF_THE_LOADER = frozenset({PREFIX_VARIABLE, PROJECT_VARIABLE})
ALWAYS_ASKED = (
    "LANG", "LANGUAGE", "LC_ALL", "LC_COLLATE", "LC_CTYPE", "LC_MESSAGES", "LC_NUMERIC", "LC_TIME",
    "PYTHONHASHSEED", "PYTHONIOENCODING", "PYTHONUTF8", "TZ",
)  # fmt: skip
"""Variables that Python and C libraries read without a trace."""


class _NotingEnviron(_PLAIN):  # type: ignore[misc]
    """An environment that notes which of its variables are read."""

    def __getitem__(self, key: Any) -> Any:
        _note(self, key)
        return super().__getitem__(key)

    def __setitem__(self, key: Any, value: Any) -> None:
        _note_written(key)
        super().__setitem__(key, value)

    def __delitem__(self, key: Any) -> None:
        _note(self, key)
        _note_written(key)
        super().__delitem__(key)

    def __iter__(self) -> Iterator[Any]:
        if (watch := active()) is not None:
            watch.reads_all_variables = True
        return iter(super().__iter__())

    def __repr__(self) -> str:
        return f"environ({dict(self)!r})"  # the one of Python reads them all without a word

    def __len__(self) -> int:
        if (watch := active()) is not None:
            watch.reads_all_variables = True
        return int(super().__len__())


def _note(environ: Any, key: Any) -> None:
    watch = active()
    if watch is None or not isinstance(key, str | bytes):
        return
    name = os.fsdecode(key)
    if name not in watch.variables and name not in watch.written:
        value = environ._data.get(os.fsencode(key))  # noqa: SLF001 - not noted again
        watch.variables[name] = None if value is None else os.fsdecode(value)


def _note_written(key: Any) -> None:
    watch = active()
    if watch is not None and isinstance(key, str | bytes):
        watch.written.add(os.fsdecode(key))


def start() -> bool:
    """Have variables that are read noted; return False if another program keeps `os.environ`."""
    environs = _environs()
    if any(type(each) is not _PLAIN for each in environs):
        return False
    for each in environs:
        each.__class__ = _NotingEnviron
    return True


def stop() -> None:
    """Note no variables any more."""
    for each in _environs():
        if type(each) is _NotingEnviron:
            each.__class__ = _PLAIN


def _environs() -> list[Any]:
    return [each for each in (os.environ, getattr(os, "environb", None)) if each is not None]
