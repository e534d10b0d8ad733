"""`disk_cache`: call a function once, and load what it returned afterwards."""

from __future__ import annotations

import functools
import os
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
from marin_build.pipeline.bound_call import return_annotation
from marin_build.protocol.holder import worker_id
from marin_build.protocol.status import STATUS_FAILED, STATUS_SUCCESS
from marin_build.runtime.cache_path import derived_path, variant_of
from marin_build.runtime.cached_values import UnkeepableError, decoded, encoded
from marin_build.runtime.distributed_lock import LockScope, lock_scope
from marin_build.runtime.status_file import StatusFile
from marin_build.store.open_store import open_store
from marin_build.workspace.workspace import absolute_prefix

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


P = ParamSpec("P")
R = TypeVar("R")

_VALUE, _PICKLE = "data.json", "data.pkl"
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
    output_path: str | os.PathLike[str] | None = None,
    save_fn: Callable[[R, str], object] | None = None,
    load_fn: Callable[[str], R] | None = None,
    pickle: bool = False,
) -> Callable[P, R]: ...
@overload
def disk_cache(
    *,
    output_path: str | os.PathLike[str] | None = None,
    save_fn: Callable[[Any, str], object] | None = None,
    load_fn: Callable[[str], Any] | None = None,
    pickle: bool = False,
) -> _Decorator: ...
def disk_cache(
    fn: Callable[P, R] | None = None,
    *,
    output_path: str | os.PathLike[str] | None = None,
    save_fn: Callable[[R, str], object] | None = None,
    load_fn: Callable[[str], R] | None = None,
    pickle: bool = False,
) -> Callable[P, R] | _Decorator:
    """Make a function remember on disk, or in a bucket, that it ran and what it returned.

    If the status at the output path is SUCCESS, the result is loaded. Otherwise the function is
    called, its result saved and SUCCESS written. If it raises, FAILED is written and the exception
    goes on. There is no lock: put `distributed_lock` inside for one builder at a time.

    Args:
        fn: the function; without it, a decorator is returned.
        output_path: where the status is kept. The function gets its own arguments, not this.
            Without it, a path under the prefix is derived from module, qualified name and
            arguments, and the result is kept there: plain values, arrays of numpy, and what the
            type that the function is annotated to return reads back equal.
        save_fn: saves a result at the output path: `save_fn(result, output_path)`.
        load_fn: loads it. With an output path and neither of them nor `pickle`, the function itself
            reads and writes there: it is called again where the result would be loaded.
        pickle: keep any value, as a pickle, at an output path too. To load one runs the code that
            is in it: a user who may write there can have this program do anything. On this machine
            a folder that other users may write is refused. Who may write to a bucket is not
            checked.

    Raises:
        SpecificationError: only one of `save_fn` and `load_fn` is given, or `pickle` beside them;
            or (by the call) an argument has no canonical form, so that no path can be
            derived, or the result has no form without pickle.
        StoppedError: (by the call) other users may write where a pickle is kept.

    """
    if (save_fn is None) != (load_fn is None):
        given, missing = ("save_fn", "load_fn") if load_fn is None else ("load_fn", "save_fn")
        raise SpecificationError(f"`disk_cache` got `{given}` without `{missing}`")
    if pickle and save_fn is not None:
        raise SpecificationError(
            "`disk_cache` got `pickle=True` beside a `save_fn`",
            hint="leave it out: what you name saves the result",
        )

    def decorate(fn: Callable[..., Any]) -> Callable[..., Any]:
        made = Cache(fn, output_path, save_fn, load_fn, variant=variant_of(fn), pickle=pickle)
        return cached(made)

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
        pickle: as `disk_cache` has it.

    """

    fn: Callable[P, R]
    output_path: str | os.PathLike[str] | None = None
    save_fn: Callable[[R, str], object] | None = None
    load_fn: Callable[[str], R] | None = None
    rebuild: bool = False
    variant: str = ""
    judge: Callable[[str], object] | None = None
    pickle: bool = False

    def output(self, args: Any, kwargs: Any) -> str:
        """Return the output path of a call, absolute."""
        if self.output_path is None:
            return derived_path(self.fn, args, kwargs, self.variant)
        return absolute_prefix(self.output_path, os.getcwd())

    def save(self, result: R, output: str) -> None:
        """Save a result."""
        if self.save_fn is not None:
            self.save_fn(result, output)
        elif self.pickle:
            from marin_build.runtime.pickled_values import pickled

            open_store(output).put(f"{output}/{_PICKLE}", pickled(result))
        elif self.output_path is None:
            open_store(output).put(f"{output}/{_VALUE}", self._encoded(result))

    def check(self, output: str) -> None:
        """Refuse a place where other users may write what would be loaded, before any work."""
        if self.pickle:
            from marin_build.runtime.pickled_values import refuse_others

            refuse_others(f"{output}/{_PICKLE}")

    def _encoded(self, result: R) -> bytes:
        try:
            return encoded(result, lambda: return_annotation(self.fn))
        except UnkeepableError as error:
            name = getattr(self.fn, "__qualname__", type(self.fn).__qualname__)
            raise SpecificationError(
                f"what `{name}` returned cannot be kept without pickle: {error}",
                consequence="it was computed, and is not kept",
                hint="annotate what it returns, give `save_fn` and `load_fn`, or allow "
                "`disk_cache(pickle=True)`, which runs what others may have written",
            ) from None

    def load(self, output: str, args: Any, kwargs: Any) -> R:
        """Load a result that was saved."""
        if self.load_fn is not None:
            return self.load_fn(output)
        if self.pickle or self.output_path is None:
            result: R = _unpickled(output) if self.pickle else _kept(output, self.fn)
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
        cache.check(output)
        again = cache.rebuild
        if look and status.status == STATUS_SUCCESS:
            try:
                return cache.load(output, args, kwargs)
            except _OtherFormError:
                again = True
        with lock_scope(LockScope(output, rebuild=again)) as scope:
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


def _kept(output: str, fn: object) -> Any:
    """Return the value that is kept without pickle.

    Raises:
        _OtherFormError: an older version, or a program that allows it, pickled it.
        CorruptStateError: it is missing, or not readable.

    """
    path, store = f"{output}/{_VALUE}", open_store(output)
    blob = store.get(path)
    if blob is None and _PICKLE in store.list(output):
        raise _OtherFormError
    try:
        return decoded(blob.data if blob is not None else b"", lambda: return_annotation(fn))
    except Exception as error:  # pydantic and numpy have errors of their own
        raise _unreadable(path, error, is_there=blob is not None) from error


def _unpickled(output: str) -> Any:
    from marin_build.runtime.pickled_values import refuse_others, unpickled

    path = f"{output}/{_PICKLE}"
    refuse_others(path)
    blob = open_store(output).get(path)
    if blob is None and _VALUE in open_store(output).list(output):
        raise _OtherFormError
    try:
        return unpickled(blob.data if blob is not None else b"")
    except Exception as error:  # whatever a damaged pickle raises
        raise _unreadable(path, error, is_there=blob is not None) from error


class _OtherFormError(Exception):
    """A result is kept in the other form: it is computed again."""


def _unreadable(path: str, error: Exception, *, is_there: bool) -> CorruptStateError:
    return CorruptStateError(
        f"the saved result `{path}` is " + ("not readable" if is_there else "missing"),
        facts=[("reason", f"{type(error).__name__}: {error}")],
        hint="delete the folder to compute it again",
    )
