"""What to do about an error of Python that a pipeline raised, where its cause is a known slip.

A misspelt argument, attribute or name is answered with the nearest one that there is.
"""

from __future__ import annotations

import builtins
import inspect
import re
import sys
from types import ModuleType
from typing import TYPE_CHECKING

from marin_build.identity.callables import StandsForFunction
from marin_build.pipeline.runtime_calls import MARIN
from marin_build.pipeline.step_spec import StepSpec
from marin_build.text.readable import did_you_mean
from marin_build.workspace.workspace import current_workspace

if TYPE_CHECKING:
    from types import TracebackType


_UNEXPECTED = re.compile(
    r"(?P<called>[\w.<>]+)\(\) got an unexpected keyword argument '(?P<given>\w+)'"
)
_NO_SUCH_IMPORT = re.compile(r"cannot import name '(?P<name>\w+)' from '(?P<module>[\w.]+)'")
_NO_MARIN = (
    "for a file that is written for Marin, which is not installed here, say `marin_aliases = true` "
    "in the configuration: its names then are ours"
)
_NO_PACKAGE = "with no known parent package"


def hint_about(error: BaseException) -> str | None:
    """Return what to do about an error that a pipeline raised; None if that is not known."""
    text = str(error)
    match error:
        case TypeError() if found := _UNEXPECTED.search(text):
            return _about_arguments(found["called"], found["given"], error.__traceback__)
        case TypeError() if (named := _step_function_in(error)) is not None:
            return named
        case AttributeError(name=str(name), obj=value) if value is not None:
            return _nearest_attribute(name, value)
        case NameError(name=str(name)):
            return did_you_mean(name, _known_at(error.__traceback__))
        case ModuleNotFoundError(name=str(name)) if name.partition(".")[0] in MARIN:
            return _NO_MARIN if current_workspace().marin_era is None else None
        case ImportError() if _NO_PACKAGE in text:
            return (
                "the pipeline's file is in no package (no __init__.py beside it), but its folder "
                "is on the module path: `import helpers`, not `from . import helpers`"
            )
        case ImportError() if found := _NO_SUCH_IMPORT.search(text):
            module = sys.modules.get(found["module"])
            return None if module is None else _nearest_attribute(found["name"], module)
    return None


def _about_arguments(called: str, given: str, trace: TracebackType | None) -> str | None:
    """Return which argument, or method of a class, was meant; else all arguments it takes."""
    name = called.removesuffix(".__init__").removesuffix(".__new__").rpartition(".")[2]
    known = _known_at(trace)
    modules = (each for each in known.values() if isinstance(each, ModuleType))
    value = known.get(name) or next(filter(None, (vars(m).get(name) for m in modules)), None)
    try:
        takes = list(inspect.signature(value).parameters) if callable(value) else []
    except (TypeError, ValueError):
        return None
    methods = [each for each in dir(value) if not each.startswith("_")]
    near = did_you_mean(given, [*takes, *(methods if isinstance(value, type) else ())])
    return near or (f"it takes {', '.join(takes)}" if takes else None)


def _step_function_in(error: TypeError) -> str | None:
    """Return a hint if a step function was used as if it were a step."""
    if "'StepFunction' object is not" not in str(error):
        return None
    return "a step function declares a step when it is called: `words()`, not `words`"


def _nearest_attribute(name: str, value: object) -> str | None:
    if isinstance(value, StandsForFunction) and hasattr(StepSpec, name):
        called = getattr(value.code_function, "__name__", "words")
        return f"a step function declares a step when it is called: `{called}().{name}`"
    return did_you_mean(name, (each for each in dir(value) if not each.startswith("_")))


def _known_at(trace: TracebackType | None) -> dict[str, object]:
    """Return the names that were known where an error was raised, with their values."""
    if trace is None:
        return {}
    while trace.tb_next is not None:
        trace = trace.tb_next
    frame = trace.tb_frame
    return {**vars(builtins), **frame.f_globals, **frame.f_locals}
