"""`dataclass`, for classes that commands define and seldom use: defined in a tenth of the time.

The standard library writes and compiles up to six functions for each class when it is defined,
which takes 0.3 ms a class. A command that has nothing to do defines a hundred classes, for all
that may be said of a target, and makes values of a third of them. Here values are compared, hashed
and printed by functions that all classes share, and `__init__`, the only one that has to be
compiled to be quick, is compiled when the first value is made.

Use it as `dataclasses.dataclass`, which it is for type checkers. The standard library still reads
the fields and their options, so that `fields`, `replace`, `asdict` and `match` know the class. It
also makes the classes that derive from another dataclass. Until the first value is made, `help`
and `inspect.signature` do not know the arguments: what authors import is no place for it.
"""

from __future__ import annotations

import dataclasses
import functools
from operator import attrgetter
from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

T = TypeVar("T")
_Fields = tuple[dataclasses.Field[Any], ...]


def _dataclass(
    *, frozen: bool = False, slots: bool = False, eq: bool = True, kw_only: bool = False
) -> Callable[[type[T]], type[T]]:
    def decorate(cls: type[T]) -> type[T]:
        if any(hasattr(base, "__dataclass_fields__") for base in cls.__bases__):
            return dataclasses.dataclass(frozen=frozen, slots=slots, eq=eq, kw_only=kw_only)(cls)
        cls.__doc__ = cls.__doc__ or cls.__name__  # else it takes long to write a signature there
        with_fields: Any = dataclasses.dataclass(init=False, repr=False, eq=False, kw_only=kw_only)
        made = with_fields(cls)
        made.__dataclass_params__.frozen = frozen
        fields = dataclasses.fields(made)
        body = vars(made)
        methods: dict[str, Any] = {"__repr__": _repr}
        if eq:
            methods |= _comparison(fields, frozen=frozen)
        if frozen:
            methods |= {"__setattr__": _refuse_to_set, "__delattr__": _refuse_to_delete}
        if slots:
            made = _with_slots(made, tuple(field.name for field in fields))
        if slots and frozen:  # copies are made by setting attributes
            methods |= {"__getstate__": _state, "__setstate__": _set_state}
        for name, method in methods.items():
            if body.get(name) is None:
                setattr(made, name, method)
        if "__init__" not in body:
            made.__init__ = _first_init(made, fields)
        result: type[T] = made
        return result

    return decorate


if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass  # noqa: PLC0414 - for others to import
else:
    dataclass = _dataclass


def _with_slots(cls: type, names: tuple[str, ...]) -> Any:
    """Define the class again: slots are made when a class is."""
    left_out = {*names, "__dict__", "__weakref__"}
    body = {name: value for name, value in vars(cls).items() if name not in left_out}
    made = type(cls.__name__, cls.__bases__, {**body, "__slots__": names})
    made.__qualname__ = cls.__qualname__
    return made


def _first_init(cls: Any, fields: _Fields) -> Callable[..., None]:
    """Return the `__init__` of a class of which no value was made: it compiles the lasting one."""

    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        cls.__init__ = lasting = _compiled_init(cls, fields)
        lasting(self, *args, **kwargs)

    return init


def _compiled_init(cls: type, fields: _Fields) -> Callable[..., None]:
    parameters, known, values = _parameters(fields)
    if "__slots__" in vars(cls):  # to set a slot itself takes less than to look for it each time
        known |= {f"_set_{name}": vars(cls)[name].__set__ for name in values}
        lines = [f"_set_{name}(self, {value})" for name, value in values.items()]
    else:
        known["_set"] = object.__setattr__
        lines = [f"_set(self, {name!r}, {value})" for name, value in values.items()]
    if hasattr(cls, "__post_init__"):
        lines.append("self.__post_init__()")
    init = _compiled(parameters, lines, known)
    init.__qualname__ = f"{cls.__qualname__}.__init__"
    return init


def _parameters(fields: _Fields) -> tuple[str, dict[str, Any], dict[str, str]]:
    """Return the parameters of an `__init__`, the names in it, and field -> its value, as text."""
    known: dict[str, Any] = {"_MISSING": dataclasses.MISSING}
    for_anywhere, for_names, values = ["self"], ["*"], dict[str, str]()
    for field in fields:
        name = value = parameter = field.name
        if field.default is not dataclasses.MISSING:
            known[f"_default_{name}"] = field.default
            parameter = f"{name}=_default_{name}"
            value = name if field.init else f"_default_{name}"
        elif field.default_factory is not dataclasses.MISSING:
            known[f"_make_{name}"] = field.default_factory
            parameter = f"{name}=_MISSING"
            value = f"_make_{name}()"
            if field.init:
                value = f"{value} if {name} is _MISSING else {name}"
        if field.init:
            (for_names if field.kw_only else for_anywhere).append(parameter)
        values[name] = value
    parameters = ", ".join(for_anywhere + (for_names if len(for_names) > 1 else []))
    return parameters, known, values


def _compiled(parameters: str, lines: list[str], known: dict[str, Any]) -> Callable[..., None]:
    source = f"def __init__({parameters}):\n " + "\n ".join(lines or ["pass"])
    exec(source, known)  # noqa: S102 - made of names of fields alone, as the standard library does
    init: Callable[..., None] = known["__init__"]
    return init


def open_while_made(cls: type[T]) -> type[T]:
    """Let values of a frozen dataclass with slots and many fields be made in a third of the time.

    To set a field of a frozen value, `object.__setattr__` looks for its slot each time. While its
    fields are set, a value is of an open class with the same slots instead, and is frozen after.
    Values of classes that derive from this one are made as before.
    """
    fields: _Fields = dataclasses.fields(cls)  # type: ignore[arg-type]
    names = tuple(field.name for field in fields)
    given = ", ".join(f"{field.name}={field.name}" for field in fields if field.init)
    parameters, known, values = _parameters(fields)
    known |= {
        "_set": object.__setattr__,
        "_as_before": cls.__init__,
        "_Frozen": cls,
        "_Open": type(f"Open{cls.__name__}", cls.__bases__, {"__slots__": names}),
    }
    lines = [f"if self.__class__ is not _Frozen: return _as_before(self, {given})"]
    lines.append('_set(self, "__class__", _Open)')
    lines += [f"self.{name} = {value}" for name, value in values.items()]
    lines += ["self.__class__ = _Frozen", "self.__post_init__()"]
    made: Any = cls
    made.__init__ = functools.wraps(made.__init__)(_compiled(parameters, lines, known))
    return cls


def _comparison(fields: _Fields, *, frozen: bool) -> Mapping[str, Any]:
    compared = [field for field in fields if field.compare]
    hashed = [field for field in fields if (field.compare if field.hash is None else field.hash)]
    values, values_to_hash = _reader(compared), _reader(hashed)

    def __eq__(self: object, other: object) -> object:  # noqa: N807 - the method
        if other.__class__ is not self.__class__:
            return NotImplemented
        return values(self) == values(other)

    def __hash__(self: object) -> int:  # noqa: N807 - the method
        return hash(values_to_hash(self))

    return {"__eq__": __eq__, "__hash__": __hash__ if frozen else None}


def _reader(fields: list[dataclasses.Field[Any]]) -> Callable[[object], object]:
    """Return what reads the fields of a value into a tuple."""
    match [field.name for field in fields]:
        case []:
            return lambda _value: ()
        case [name]:
            return attrgetter(name, name)  # of one name it would give no tuple
        case names:
            return attrgetter(*names)


@recursive_repr()
def _repr(self: Any) -> str:
    shown = (field.name for field in dataclasses.fields(self) if field.repr)
    parts = ", ".join(f"{name}={getattr(self, name)!r}" for name in shown)
    return f"{type(self).__qualname__}({parts})"


def _refuse_to_set(_self: object, name: str, _value: object) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_to_delete(_self: object, name: str) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")


def _state(self: Any) -> list[object]:
    return [getattr(self, field.name) for field in dataclasses.fields(self)]


def _set_state(self: Any, state: list[object]) -> None:
    for field, value in zip(dataclasses.fields(self), state, strict=True):
        object.__setattr__(self, field.name, value)
