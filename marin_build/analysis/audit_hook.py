"""The audit hook by which Python reports what a load does.

It reports what happens through whatever library. A hook stays for the life of the process; this one
is installed when a load is observed first, and does nothing while none is.
"""

from __future__ import annotations

import os
import sys
from _thread import get_ident
from typing import TYPE_CHECKING, Any

from marin_build.analysis.audit_events import HANDLERS, HARMLESS_ELSEWHERE, is_of_a_library

if TYPE_CHECKING:
    from marin_build.analysis.watch import Watch

_STAND_IN = os.path.join(os.path.dirname(__file__), "replaced_functions.py")
"""Stands between a caller and a function of `os` that it replaces."""
_active: Watch | None = None
_is_installed = False


def start(watch: Watch) -> None:
    """Have what this thread does from now on noted."""
    global _active, _is_installed  # noqa: PLW0603 - one for the process, as the hook is
    _active = watch
    if not _is_installed:
        sys.addaudithook(_hook)
        _is_installed = True


def stop() -> None:
    """Note nothing any more."""
    global _active  # noqa: PLW0603 - one for the process, as the hook is
    _active = None


def active() -> Watch | None:
    """Return what is observed now, if that is of this thread and goes on."""
    watch = _active
    if watch is None or watch.refused is not None or watch.is_busy:
        return None
    return watch if watch.thread == get_ident() else None


def is_observing() -> bool:
    """Return whether a load is observed now, in any thread."""
    return _active is not None


def _hook(event: str, args: tuple[Any, ...]) -> None:
    if event not in HANDLERS or _active is None:
        return  # as for nearly all events: a load that copies much has a hundred thousand
    handle = HANDLERS[event]
    watch = active()
    if watch is None:
        if handle not in HARMLESS_ELSEWHERE:
            _refuse_other_thread()
        return
    if event == "import" and args[1] is None:
        return  # a module's name; which file it is in is reported when that is opened
    if event == "exec" and is_of_a_library(args[0]):
        return
    frame = sys._getframe(1)  # noqa: SLF001 - CPython's own way
    if event != "exec" and frame.f_code.co_filename == _STAND_IN and frame.f_back is not None:
        frame = frame.f_back
    watch.is_busy = True
    try:
        handle(watch, args, frame)
    except Exception as error:  # noqa: BLE001 - what it raises would be raised by the author's call
        watch.refuse(f"does what cannot be followed ({event}: {type(error).__name__})", frame)
    finally:
        watch.is_busy = False


def _refuse_other_thread() -> None:
    """Refuse a load beside which another thread of its program works: for whom cannot be known."""
    watch = _active
    if watch is not None and watch.refused is None and watch.thread != get_ident():
        watch.refuse("is loaded while another thread works with files or connections", None)
