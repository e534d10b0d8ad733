"""`disk_cache`: call a function once, and load what it returned afterwards."""

from __future__ import annotations

import functools
import hashlib
import inspect
import os
import pickle
import re
import sys
import types
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, Protocol, TypeVar, overload

from marin_build.errors import (
    CorruptStateError,
    MarinBuildError,
    PreviousTaskFailedError,
    SpecificationError,
    StepAlreadyDone,
    StoppedError,
)
from marin_build.identity.canonical import canonical_text, freeze
from marin_build.protocol.holder import worker_id
from marin_build.protocol.status import STATUS_FAILED, STATUS_SUCCESS
from marin_build.runtime.distributed_lock import LockScope, lock_scope
from marin_build.runtime.status_file import StatusFile
from marin_build.store.open_store import open_store
from marin_build.workspace.workspace import absolute_prefix, current_workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


P = ParamSpec("P")
R = TypeVar("R")

_PICKLE = "data.pkl"
_LONGEST_NAME = 150
_JUST_NOW = 5.0
"""Seconds after a look at a lease in which no other process can have taken it over."""

_seen_unbuilt: ContextVar[str] = ContextVar("seen_unbuilt", default="")


@contextmanager
def seen_unbuilt(output: str) -> Iterator[None]:
    """Have caches in the block skip their look at a status that the caller saw is not SUCCESS.

    The lock inside reads the status once more.
    """
    token = _seen_unbuilt.set(output)
    try:
        yield
    finally:
        _seen_unbuilt.reset(token)


class _Decorator(Protocol):
    """Wraps a function of any arguments."""

    def __call__(self, fn: Callable[P, R], /) -> Callable[P, R]: ...


@overload
def disk_cache(
    fn: Callable[P, R],
    *,
    output_path: str | None = None,
    save_fn: Callable[[R, str], object] | None = None,
    load_fn: Callable[[str], R] | None = None,
) -> Callable[P, R]: ...
@overload
def disk_cache(
    *,
    output_path: str | None = None,
    save_fn: Callable[[Any, str], object] | None = None,
    load_fn: Callable[[str], Any] | None = None,
) -> _Decorator: ...
def disk_cache(
    fn: Callable[P, R] | None = None,
    *,
    output_path: str | None = None,
    save_fn: Callable[[R, str], object] | None = None,
    load_fn: Callable[[str], R] | None = None,
) -> Callable[P, R] | _Decorator:
    """Make a function remember on disk, or in a bucket, that it ran and what it returned.

    If the status at the output path is SUCCESS, the result is loaded. Otherwise the function is
    called, its result saved and SUCCESS written. If it raises, FAILED is written and the exception
    goes on. There is no lock: put `distributed_lock` inside for one builder at a time.

    Args:
        fn: the function; without it, a decorator is returned.
        output_path: where the status is kept. The function gets its own arguments, not this.
            Without it, a path under the prefix is derived from module, qualified name and
            arguments, and the result is pickled there.
        save_fn: saves a result at the output path: `save_fn(result, output_path)`.
        load_fn: loads it. With an output path and neither of them, the function itself reads and
            writes there: it is called again where the result would be loaded.

    Raises:
        SpecificationError: only one of `save_fn` and `load_fn` is given; or (by the call) an
            argument has no canonical form, so that no path can be derived.

    """
    if (save_fn is None) != (load_fn is None):
        given, missing = ("save_fn", "load_fn") if load_fn is None else ("load_fn", "save_fn")
        raise SpecificationError(f"`disk_cache` got `{given}` without `{missing}`")

    def decorate(fn: Callable[..., Any]) -> Callable[..., Any]:
        return cached(Cache(fn, output_path, save_fn, load_fn, variant=_variant(fn)))

    return decorate if fn is None else decorate(fn)


@dataclass(frozen=True, slots=True)
class Cache(Generic[P, R]):
    """A function, where its results are kept, and how.

    Args:
        fn, output_path, save_fn, load_fn: as `disk_cache` has them.
        rebuild: call it even if there is a result.
        judge: called with the output path before what another builder left there is loaded, which
            was waited for; raises if it must not be.
        variant: tells functions apart that share a name, where a path is derived from it.

    """

    fn: Callable[P, R]
    output_path: str | None = None
    save_fn: Callable[[R, str], object] | None = None
    load_fn: Callable[[str], R] | None = None
    rebuild: bool = False
    variant: str = ""
    judge: Callable[[str], object] | None = None

    def output(self, args: Any, kwargs: Any) -> str:
        """Return the output path of a call, absolute."""
        if self.output_path is None:
            return derived_path(self.fn, args, kwargs, self.variant)
        return absolute_prefix(self.output_path, os.getcwd())

    def save(self, result: R, output: str) -> None:
        """Save a result."""
        if self.save_fn is not None:
            self.save_fn(result, output)
        elif self.output_path is None:
            open_store(output).put(f"{output}/{_PICKLE}", pickle.dumps(result))

    def load(self, output: str, args: Any, kwargs: Any) -> R:
        """Load a result that was saved."""
        if self.load_fn is not None:
            return self.load_fn(output)
        if self.output_path is None:
            result: R = _unpickled(output)
            return result
        with lock_scope(LockScope(output, reading=True)):
            return self.fn(*args, **kwargs)


def cached(cache: Cache[P, R]) -> Callable[P, R]:
    """Return a function that loads the result of a call, or calls and saves if there is none."""

    @functools.wraps(cache.fn)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        output = cache.output(args, kwargs)
        status = StatusFile(output, worker_id())
        look = not cache.rebuild and _seen_unbuilt.get() != output
        if look and status.status == STATUS_SUCCESS:
            return cache.load(output, args, kwargs)
        with lock_scope(LockScope(output, rebuild=cache.rebuild)) as scope:
            try:
                result = cache.fn(*args, **kwargs)
                scope.confirm()
                cache.save(result, output)
                scope.confirm(within=_JUST_NOW)
            except StepAlreadyDone:
                if cache.judge is not None:
                    cache.judge(output)
                return cache.load(output, args, kwargs)
            except (Exception, SystemExit) as error:
                _write_failed(status, scope, error)
                raise
            status.write_status(STATUS_SUCCESS)
            return result

    return call


def _write_failed(status: StatusFile, scope: LockScope, error: BaseException) -> None:
    """Write FAILED, unless another process decides about the output."""
    if isinstance(error, StoppedError | PreviousTaskFailedError):
        return
    try:
        scope.confirm()
        status.write_status(STATUS_FAILED)
    except MarinBuildError as also:  # the error of the function is the one to raise
        error.add_note(f"FAILED was not written: {also.what}")


def _unpickled(output: str) -> Any:
    path = f"{output}/{_PICKLE}"
    blob = open_store(output).get(path)
    try:
        return pickle.loads(blob.data if blob is not None else b"")  # noqa: S301 - we wrote it
    except Exception as error:  # whatever a damaged pickle raises
        what = f"the saved result `{path}` is " + ("missing" if blob is None else "not readable")
        raise CorruptStateError(
            what,
            facts=[("reason", f"{type(error).__name__}: {error}")],
            hint="delete the folder to compute it again",
        ) from error


def derived_path(fn: Callable[..., object], args: Any, kwargs: Any, variant: str = "") -> str:
    """Return where the result of a call is kept: `{prefix}/.marin-build/cache/{name}_{digest}`.

    Raises:
        UnfingerprintableError: an argument has no canonical form.

    """
    inner = inspect.unwrap(fn)
    name = f"{_module_of(inner)}.{getattr(inner, '__qualname__', type(inner).__qualname__)}"
    try:
        bound = inspect.signature(fn).bind(*args, **kwargs)
    except ValueError:  # a builtin without a signature
        given: dict[str, object] = {"args": args, "kwargs": kwargs}
    else:
        bound.apply_defaults()
        given = dict(bound.arguments)
    identity: dict[str, object] = {"name": name, "arguments": freeze(given, name)}
    if variant:
        identity["variant"] = variant
    digest = hashlib.sha256(canonical_text(identity).encode()).hexdigest()[:16]
    shown = re.sub(r"[^A-Za-z0-9._-]+", "-", name)[-_LONGEST_NAME:].strip("-.")
    code = getattr(inner, "__code__", None)
    prefix = current_workspace(code.co_filename if code is not None else None).prefix
    return f"{prefix}/.marin-build/cache/{shown}_{digest}"


def _module_of(fn: object) -> str:
    """Return a function's module; that of a script is named after its file."""
    module = str(getattr(fn, "__module__", None) or "builtins")
    file = getattr(sys.modules.get("__main__"), "__file__", None)
    return os.path.abspath(file) if module == "__main__" and file else module


def _variant(fn: Callable[..., object]) -> str:
    """Return what tells lambdas and inner functions apart that have one qualified name.

    That is their code, and the plain values they captured, as they are when the function is
    wrapped. What can change, like a list of results, is no part of it.
    """
    inner = inspect.unwrap(fn)
    if not isinstance(inner, types.FunctionType) or "<" not in inner.__qualname__:
        return ""
    from marin_build.identity.code.digest import code_digest

    cells = [_plain(cell) for cell in inner.__closure__ or ()]
    return code_digest(_with_cells(inner, cells))


def _with_cells(fn: types.FunctionType, cells: Sequence[types.CellType]) -> types.FunctionType:
    return types.FunctionType(fn.__code__, fn.__globals__, closure=tuple(cells))


def _plain(cell: types.CellType) -> types.CellType:
    """Return the cell if its value cannot change, else an empty one."""
    try:
        value = cell.cell_contents
    except ValueError:  # not assigned yet
        return types.CellType()
    if isinstance(value, types.FunctionType):
        empty = [types.CellType() for _ in value.__closure__ or ()]
        return types.CellType(_with_cells(value, empty))
    plain = isinstance(value, str | int | float | bytes | None)
    return types.CellType(value) if plain else types.CellType()
