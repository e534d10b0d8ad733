"""`dataclass`, for classes that commands define and seldom use: defined in a tenth of the time.

The standard library writes and compiles up to six functions for each class when it is defined,
which takes 0.3 ms a class. A command that has nothing to do defines a hundred classes, for all
that may be said of a target, and makes values of a third of them. Here values are compared, hashed
and printed by functions that all classes share, and `__init__`, the only one that has to be
compiled to be quick, is compiled when the first value is made.

Use it as `dataclasses.dataclass`, which it is for type checkers. What it makes is a dataclass to
whatever asks: `fields`, `replace`, `asdict`, `match`, copies and pickles. It makes classes with
slots, frozen or not, whose fields have no other option than a default. Every other class is left
to the standard library, and is none the worse for it.
"""

from __future__ import annotations

import dataclasses
from operator import attrgetter
from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
_MISSING: Any = dataclasses.MISSING


def _dataclass(**options: bool) -> Callable[[type[T]], type[T]]:
    def decorate(cls: type[T]) -> type[T]:
        if options in ({"slots": True}, {"slots": True, "frozen": True}) and _is_plain(cls):
            return _quick(cls, frozen="frozen" in options)
        made: type[T] = dataclasses.dataclass(**options)(cls)
        return made

    return decorate


if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass  # noqa: PLC0414 - for others to import
else:
    dataclass = _dataclass


def _is_plain(cls: type) -> bool:
    """Whether the class has its fields from no base, and none has an option but a default."""
    body = vars(cls)
    annotations = body.get("__annotations__", {})
    return (
        "__init__" not in body
        and not any(hasattr(base, "__dataclass_fields__") for base in cls.__bases__)
        and not any(a.startswith(("ClassVar", "InitVar", "KW_ONLY")) for a in annotations.values())
        and all(_is_default(body.get(name)) for name in annotations)
    )


def _is_default(value: object) -> bool:
    """Whether what stands behind a field is its default, or only a function that makes one."""
    if not isinstance(value, dataclasses.Field):
        return True
    plain = value.init and value.repr and value.compare and value.hash is None
    return plain and value.kw_only is _MISSING and value.default_factory is not _MISSING


def _quick(cls: type[T], *, frozen: bool) -> type[T]:
    """Define the class again, with slots and with the methods of a dataclass."""
    body = dict(vars(cls))
    body.pop("__dict__", None)
    body.pop("__weakref__", None)
    names = tuple(body.get("__annotations__", ()))
    defaults = {name: body.pop(name) for name in names if name in body}
    body["__slots__"] = body["__match_args__"] = names
    shared = {"__repr__": _repr, **_comparison(names, frozen), **(_FROZEN if frozen else {})}
    made: Any = type(cls.__name__, cls.__bases__, shared | body)
    made.__qualname__ = cls.__qualname__
    made.__init__ = _first_init(made, defaults)
    made.__dataclass_fields__ = _Fields(made, defaults, frozen=frozen)
    result: type[T] = made
    return result


def _first_init(cls: Any, defaults: dict[str, Any]) -> Callable[..., None]:
    """Return the `__init__` of a class of which no value was made: it compiles the lasting one."""

    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        cls.__init__ = lasting = _compiled_init(cls, defaults)
        lasting(self, *args, **kwargs)

    return init


def _compiled_init(cls: Any, defaults: dict[str, Any]) -> Callable[..., None]:
    known: dict[str, Any] = {"_MISSING": _MISSING}
    parameters, lines = ["self"], ["pass"]
    for name in cls.__match_args__:
        known[f"_set_{name}"] = vars(cls)[name].__set__  # which a frozen class has, too
        default = defaults.get(name, _MISSING)
        parameter, value = name, name
        if isinstance(default, dataclasses.Field):
            known[f"_make_{name}"] = default.default_factory
            parameter = f"{name}=_MISSING"
            value = f"_make_{name}() if {name} is _MISSING else {name}"
        elif default is not _MISSING:
            known[f"_default_{name}"] = default
            parameter = f"{name}=_default_{name}"
        parameters.append(parameter)
        lines.append(f"_set_{name}(self, {value})")
    if hasattr(cls, "__post_init__"):
        lines.append("self.__post_init__()")
    source = f"def __init__({', '.join(parameters)}):\n " + "\n ".join(lines)
    exec(source, known)  # noqa: S102 - made of names of fields alone, as the standard library does
    init: Callable[..., None] = known["__init__"]
    init.__qualname__ = f"{cls.__qualname__}.__init__"
    return init


def _comparison(names: tuple[str, ...], frozen: bool) -> dict[str, Any]:
    match names:
        case ():
            values: Callable[[object], object] = _no_values
        case (name,):
            values = attrgetter(name, name)  # of one name it would give no tuple
        case _:
            values = attrgetter(*names)

    def equal(self: object, other: object) -> object:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return values(self) == values(other)

    def hashed(self: object) -> int:
        return hash(values(self))

    return {"__eq__": equal, "__hash__": hashed if frozen else None}


def _no_values(value: object) -> object:  # noqa: ARG001 - it stands for an attrgetter
    return ()


@recursive_repr()
def _repr(self: Any) -> str:
    parts = (f"{name}={getattr(self, name)!r}" for name in self.__match_args__)
    return f"{type(self).__qualname__}({', '.join(parts)})"


def _refuse_to_set(_self: object, name: str, _value: object) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_to_delete(_self: object, name: str) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")


def _state(self: Any) -> list[object]:
    return [getattr(self, name) for name in self.__match_args__]


def _set_state(self: Any, state: list[object]) -> None:
    for name, value in zip(self.__match_args__, state, strict=True):
        object.__setattr__(self, name, value)


_FROZEN = {
    "__setattr__": _refuse_to_set,
    "__delattr__": _refuse_to_delete,
    "__getstate__": _state,  # without these, copies would be made by setting attributes
    "__setstate__": _set_state,
}


class _Fields:
    """What the standard library knows a dataclass by, asked of it when it is first needed."""

    def __init__(self, cls: Any, defaults: dict[str, Any], *, frozen: bool) -> None:
        self.cls = cls
        self.defaults = defaults
        self.frozen = frozen

    def __get__(self, _value: object, _kind: type) -> dict[str, dataclasses.Field[Any]]:
        cls = self.cls
        body = {"__annotations__": cls.__annotations__, "__module__": cls.__module__}
        alike: Any = dataclasses.dataclass(init=False, repr=False, eq=False, frozen=self.frozen)(
            type(cls.__name__, (), body | self.defaults)
        )
        cls.__dataclass_params__ = alike.__dataclass_params__
        cls.__dataclass_fields__ = fields = alike.__dataclass_fields__
        return fields  # type: ignore[no-any-return]
