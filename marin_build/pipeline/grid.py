"""Sweeps: all combinations of the values of some parameters, each with a readable name. Pure."""

from __future__ import annotations

import enum
import itertools
import numbers
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from marin_build.errors import SpecificationError
from marin_build.identity.callables import CountsByName
from marin_build.pipeline.declared_at import declaring_place, shown_here

_AXIS = re.compile(r"[A-Za-z][A-Za-z0-9_]*", re.ASCII)
_ILLEGAL = re.compile(r"[^A-Za-z0-9._+-]+", re.ASCII)
_LONGEST = 60
"""Characters of what one value adds to a name."""


class Point(Mapping[str, Any]):
    """One combination: a mapping of parameter to value, which are attributes, too.

    `name` says which one it is, as `lr0.0003-seed1`; it is a legal part of a step's name.
    """

    __slots__ = ("_values", "name")
    name: str

    def __init__(self, name: str, values: Mapping[str, Any]) -> None:
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "_values", dict(values))

    def __getitem__(self, key: str) -> Any:
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __getattr__(self, key: str) -> Any:
        """Return the value of a parameter."""
        if key.startswith("_") or key not in self._values:
            raise AttributeError(f"the point has no `{key}`; it has {', '.join(self)}")
        return self._values[key]

    def __setattr__(self, key: str, value: object) -> None:
        raise AttributeError("a point cannot be changed: make a dict of it, `{**point, ...}`")

    def __repr__(self) -> str:
        return f"Point({self.name!r}, {self._values!r})"

    def __reduce__(self) -> tuple[type, tuple[str, dict[str, Any]]]:
        return Point, (self.name, self._values)


_TAKEN = frozenset(each for each in dir(Point) if not each.startswith("_"))


def grid(**axes: Iterable[Any]) -> list[Point]:
    """Return all combinations of the values of some parameters.

    Args:
        axes: parameter -> its values; or a dictionary of name and value, for values that have no
            short name of their own. The last parameter changes fastest.

    Returns:
        A point for each combination. Its name follows from its own values alone, so that it stays
        when an axis gets more of them.

    Raises:
        SpecificationError: a parameter cannot be one, has no list of values, or two values of it
            would share a name.

    """
    if not axes:
        raise _error(
            "`grid()` has no parameters", "name some: grid(lr=[3e-4, 1e-3], seed=range(3))"
        )
    named = [_named_values(key, values) for key, values in axes.items()]
    points: dict[str, Point] = {}
    for chosen in itertools.product(*named):
        name = "-".join(part for part, _ in chosen)
        point = Point(name, dict(zip(axes, (value for _, value in chosen), strict=True)))
        if (other := points.setdefault(name, point)) is not point:
            what = f"two points are called `{name}`: {dict(other)} and {dict(point)}"
            raise _error(what, _name_them(next(iter(axes))))
    return list(points.values())


def _named_values(axis: str, values: Any) -> list[tuple[str, Any]]:
    """Return the values of a parameter, each with what it adds to the name of a point."""
    if not _AXIS.fullmatch(axis) or axis in _TAKEN:
        hint = "use letters, digits and `_`, and no name that a mapping has: `name`, `items`, ..."
        raise _error(f"`{axis}` cannot be a parameter of a grid", hint)
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        what = f"the values of `{axis}` are one {type(values).__name__}, not a list"
        raise _error(what, f"give a list: grid({axis}=[...])")
    if isinstance(values, Mapping):
        pairs = [(_joined(axis, str(key)), value) for key, value in values.items()]
    else:
        pairs = [(_name_of(axis, value), value) for value in values]
    by_name: dict[str, Any] = {}
    for name, value in pairs:
        if name in by_name:
            what = f"two values of `{axis}` are called `{name}`: {by_name[name]!r} and {value!r}"
            raise _error(what, _name_them(axis))
        by_name[name] = value
    return pairs


def _name_of(axis: str, value: Any) -> str:
    """Return what a value adds to a name: `lr0.0003`, `seed1`, `optimizer-adam`."""
    match value:
        case enum.Enum():
            return _joined(axis, value.name.lower())
        case None | bool():
            return _joined(axis, str(value).lower())
        case numbers.Integral():
            return f"{axis}{int(value)}"
        case float():
            return f"{axis}{float.__repr__(value)}"
        case str():
            return _joined(axis, value)
        case CountsByName() if isinstance(name := getattr(value, "name", None), str):
            return _joined(axis, name)
    raise _error(f"a {type(value).__name__} in `{axis}` has no name", _name_them(axis))


def _joined(axis: str, text: str) -> str:
    legal = _ILLEGAL.sub("_", text)
    if not legal.strip("._") or len(legal) > _LONGEST:
        raise _error(f"the value {text[:100]!r} of `{axis}` makes no name", _name_them(axis))
    return f"{axis}-{legal}"


def _name_them(axis: str) -> str:
    return f'name the values: grid({axis}={{"small": ..., "large": ...}})'


def _error(what: str, hint: str) -> SpecificationError:
    return SpecificationError(
        what,
        facts=[("declared", shown_here(declaring_place()))],
        consequence="nothing was run",
        hint=hint,
    )
