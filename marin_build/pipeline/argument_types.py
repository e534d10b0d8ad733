"""Whether an argument is of the type that its parameter declares, as a type checker would say.

A mistake is found where the step is declared, and not hours later, in its function. pydantic could
tell, but its import takes a third of the time in which a thousand steps are planned, and plain
annotations need little. What is not understood passes: types of other libraries have their rules.
"""

from __future__ import annotations

import collections.abc
import os
import types
import typing
from typing import TYPE_CHECKING, Any

from marin_build.errors import SpecificationError
from marin_build.identity.callables import CountsByName, StandsForFunction
from marin_build.identity.canonical import FrozenList, Tagged
from marin_build.identity.secret import is_secret_type
from marin_build.pipeline.bound_call import is_path, type_hints
from marin_build.pipeline.declared_at import shown_here
from marin_build.text.readable import shortened
from marin_build.text.secret_shapes import without_secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping


_ANYTHING = (None, Any, object)
_REFUSED_ELSEWHERE = (Tagged, CountsByName, StandsForFunction)
"""Values that are attributes of another step, or no attributes at all."""
_ITEMS = (
    list,
    set,
    frozenset,
    collections.deque,
    collections.abc.Sequence,
    collections.abc.MutableSequence,
    collections.abc.Collection,
    collections.abc.Set,
)
_PAIR = 2


def type_errors(
    function: Callable[..., object],
    values: Mapping[str, Any],
    name: str,
    place: tuple[str, int],
) -> Iterator[SpecificationError]:
    """Yield an error for each argument that is not of the type its parameter declares.

    Args:
        function: the step function. Annotations that cannot be read say nothing.
        values: the arguments by parameter.
        name: of the step.
        place: the file and line where it is declared.

    """
    hints = _hints_of(function)
    for key, value in values.items():
        hint = hints.get(key)
        if hint is None or type(value) is hint or fits(value, hint):
            continue
        shown = "..." if is_secret_type(hint) else without_secret(key, repr(value))
        yield SpecificationError(
            f"`{name}`: the parameter `{key}` is declared `{shown_type(hint)}`, but is given a "
            f"{type(value).__name__}",
            facts=[("declared", shown_here(place)), ("given", f"{key}={shortened(shown)}")],
            consequence="nothing was run",
            hint=f"give it a value of that type, or correct the annotation of `{key}`",
        )


def _hints_of(function: Callable[..., object]) -> Mapping[str, Any]:
    """Return the annotations of a function; without those that cannot be read."""
    try:
        return type_hints(function)
    except Exception:  # noqa: BLE001 - an annotation may be any expression
        annotations = getattr(function, "__annotations__", {})
        return {key: value for key, value in annotations.items() if isinstance(value, type)}


def fits(value: Any, hint: Any) -> bool:
    """Return whether a type checker would take a value for a type.

    A whole number is a `float`, too, and a text a `Path`: it arrives as one.
    """
    if any(hint is each for each in _ANYTHING) or isinstance(value, _REFUSED_ELSEWHERE):
        return True
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return fits(value, args[0])
    if origin in (typing.Union, types.UnionType):
        return any(fits(value, arg) for arg in args)
    if origin is typing.Literal:
        return any(_is_literally(value, arg) for arg in args)
    if is_path(hint):
        return isinstance(value, str | os.PathLike)
    kind = origin or hint
    if typing.is_typeddict(kind):
        return isinstance(value, dict) and _fits_typed_dict(value, kind)
    if inner := getattr(kind, "__supertype__", None):  # a NewType
        return fits(value, inner)
    if not isinstance(kind, type):
        return True  # a type variable, an alias
    if origin is tuple and not args and hint is not tuple:
        return bool(value == ())
    return _is_of(value, kind) and (not args or _items_fit(value, kind, args))


def _is_literally(value: Any, literal: Any) -> bool:
    """Return whether a value is a literal: 1 is no True."""
    is_same_kind = isinstance(value, bool) == isinstance(literal, bool)
    return is_same_kind and isinstance(value, type(literal)) and bool(value == literal)


def _is_of(value: Any, kind: type) -> bool:
    if kind is float or kind is int:
        import numbers  # numpy's numbers are of its kinds

        return isinstance(value, numbers.Integral if kind is int else numbers.Real)
    if kind is list:
        return isinstance(value, list | FrozenList)
    if kind is tuple:
        return isinstance(value, tuple) and type(value) is not FrozenList
    try:
        return isinstance(value, kind)
    except TypeError:  # a protocol that is for checkers only
        return True


def _items_fit(value: Any, kind: type, args: tuple[Any, ...]) -> bool:
    """Return whether what is in a container is of the types in brackets behind its own."""
    if kind is tuple:
        if len(args) == _PAIR and args[1] is Ellipsis:
            return _all_fit(value, args[0])
        return len(value) == len(args) and all(map(fits, value, args))
    if kind in _ITEMS:
        return _all_fit(value, args[0])
    if issubclass(kind, collections.abc.Mapping) and len(args) == _PAIR:
        return _all_fit(value.keys(), args[0]) and _all_fit(value.values(), args[1])
    return True


def _all_fit(values: Iterable[Any], hint: Any) -> bool:
    return all(type(value) is hint or fits(value, hint) for value in values)


def _fits_typed_dict(value: dict[str, Any], kind: Any) -> bool:
    try:
        hints = typing.get_type_hints(kind, include_extras=True)
    except Exception:  # noqa: BLE001 - an annotation may be any expression
        return True
    # Where annotations are texts, Python does not know which keys are not required.
    optional = {key for key, hint in hints.items() if typing.get_origin(hint) is typing.NotRequired}
    return kind.__required_keys__ - optional <= value.keys() <= hints.keys() and all(
        fits(item, _without_qualifier(hints[key])) for key, item in value.items()
    )


def _without_qualifier(hint: Any) -> Any:
    """Return `int` of `NotRequired[int]`."""
    qualifiers = (typing.Required, typing.NotRequired)
    return typing.get_args(hint)[0] if typing.get_origin(hint) in qualifiers else hint


def shown_type(hint: Any) -> str:
    """Return an annotation as authors write it: `int`, `list[Path]`, `str | None`."""
    if isinstance(hint, type) and not typing.get_args(hint):
        return hint.__qualname__
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return " | ".join(
            "None" if arg is type(None) else shown_type(arg) for arg in typing.get_args(hint)
        )
    return str(hint).replace("typing.", "").replace("collections.abc.", "").replace("pathlib.", "")
