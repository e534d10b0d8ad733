"""Marin's `disk_cache`: results are kept as pickles, also at a path that its author names.

The file that imports this name has chosen pickles. A folder of this machine that other users may
write is refused all the same (marin_build/runtime/pickled_values.py).
"""

from __future__ import annotations

import functools
import hashlib
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, overload

from marin_build.compat.rigging.regions import marin_temp_bucket
from marin_build.runtime.disk_cache import Cache, cached

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

P = ParamSpec("P")
R = TypeVar("R")
F = TypeVar("F", bound="Callable[..., Any]")

_DAYS = 1
"""How long results are kept whose author names no path."""


@overload
def disk_cache(
    fn: Callable[P, R],
    *,
    output_path: str | os.PathLike[str] | None = None,
    save_fn: Callable[[R, str], object] | None = None,
    load_fn: Callable[[str], R] | None = None,
) -> Callable[P, R]: ...
@overload
def disk_cache(
    *,
    output_path: str | os.PathLike[str] | None = None,
    save_fn: Callable[[Any, str], object] | None = None,
    load_fn: Callable[[str], Any] | None = None,
) -> Callable[[F], F]: ...
def disk_cache(
    fn: Callable[..., Any] | None = None,
    *,
    output_path: str | os.PathLike[str] | None = None,
    save_fn: Callable[[Any, str], object] | None = None,
    load_fn: Callable[[str], Any] | None = None,
) -> Any:
    """Make a function remember that it ran, and what it returned.

    Args:
        fn: the function; without it, a decorator is returned.
        output_path: where its status and its result are kept; default: a temporary folder that is
            named after the function and its arguments.
        save_fn, load_fn: save and load its result; default: as a pickle, `data.pkl`.

    Raises:
        StoppedError: (by the call) other users may write where a pickle is kept.
        CorruptStateError: (by the call) the pickle is missing, or not readable.

    """

    def decorate(fn: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(fn)
        def call(*args: Any, **kwargs: Any) -> Any:
            place = output_path if output_path is not None else _temporary(fn, args, kwargs)
            pickles = save_fn is None and load_fn is None
            cache = Cache(fn, place, save_fn, load_fn, pickle=pickles)
            return cached(cache)(*args, **kwargs)

        return call

    return decorate if fn is None else decorate(fn)


def _temporary(fn: Callable[..., Any], args: Any, kwargs: Any) -> str:
    """Return the folder of a call: of the function's name and its arguments, whatever these are."""
    import cloudpickle

    name = getattr(fn, "__qualname__", None) or getattr(fn, "__name__", None)
    identity = (getattr(fn, "__module__", None), name, args, sorted(kwargs.items()))
    digest = hashlib.sha256(cloudpickle.dumps(identity)).hexdigest()[:16]
    return marin_temp_bucket(_DAYS, f"disk_cache_{digest}")
