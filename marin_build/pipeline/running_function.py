"""The function of a step while it runs: `async def` is run to its end, and declares nothing."""

from __future__ import annotations

import inspect
import sys
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from typing import TYPE_CHECKING, Any

from marin_build.errors import SpecificationError
from marin_build.identity.callables import StandsForFunction

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator


_running: ContextVar[str | None] = ContextVar("running_function", default=None)
"""The name of the step's function that runs here; None: none does."""


def run_function(function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """Return what a step's function returns; a coroutine is run to its end, in a loop of its own.

    Raises:
        BaseException: what the function raises.

    """
    named = function.code_function if isinstance(function, StandsForFunction) else function
    token = _running.set(str(getattr(named, "__name__", "a function")))
    try:
        returned = function(*args, **kwargs)
        if returned is None or not inspect.iscoroutine(returned):
            return returned
        return _finished(returned)
    finally:
        _running.reset(token)


def _finished(coroutine: Coroutine[Any, Any, Any]) -> Any:
    import asyncio

    if not _has_loop():
        return asyncio.run(coroutine)
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as one:
        return one.submit(copy_context().run, asyncio.run, coroutine).result()


def _has_loop() -> bool:
    """Return whether a loop runs in this thread, as in a notebook: it cannot run another one."""
    import asyncio

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


@contextmanager
def declaring() -> Iterator[None]:
    """Let a block declare steps, also where a step runs: one that builds another pipeline."""
    token = _running.set(None)
    try:
        yield
    finally:
        _running.reset(token)


def refuse_declaring(name: str) -> None:
    """Refuse a call that declares a step while the function of a step runs.

    Args:
        name: of the step function that is called.

    Raises:
        SpecificationError: such a function runs here.

    """
    if (running := _running.get()) is not None and not _is_imported():
        raise SpecificationError(
            f"`{name}` was called while the step function `{running}` runs, which declares a step "
            f"and runs nothing: give that step to `{running}` as an argument, or call the plain "
            f"function, `{name}.function(output, ...)`"
        )


def _is_imported() -> bool:
    """Return whether the step's function imports a module, whose own code declares steps."""
    frame = sys._getframe(1)  # noqa: SLF001 - inspect.stack reads source files
    while (caller := frame.f_back) is not None and caller.f_code is not run_function.__code__:
        frame = caller
        if frame.f_code.co_name == "<module>":
            return True
    return False


def generator_problem(function: object) -> str | None:
    """Return why a function would not run although it is called; None if it would."""
    code = getattr(function, "__code__", None)
    if code is None or not code.co_flags & (inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR):
        return None
    return "is a generator: a call of it runs nothing, because it has a `yield`"
