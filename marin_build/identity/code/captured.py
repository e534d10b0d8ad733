"""What a function holds besides its syntax: captured values, defaults, a method's owner.

Values cannot be found in source. Functions and classes among them are followed like names.
"""

from __future__ import annotations

import enum
import functools
import types
from collections import ChainMap, deque
from dataclasses import field
from typing import TYPE_CHECKING, Any

from marin_build.errors import MarinBuildError
from marin_build.identity.callables import CountsByName, StandsForFunction
from marin_build.identity.canonical import canonical_text, freeze
from marin_build.identity.code.classes import file_of, has_methods, is_ours, type_name, type_text
from marin_build.identity.code.foreign import is_foreign
from marin_build.identity.code.function_code import Closure
from marin_build.identity.code.our_names import module_name
from marin_build.identity.code.values import (
    captured,
    hidden_base,
    overlooked,
    plain_base,
    plain_text,
    scalar_text,
    slots,
    state,
)
from marin_build.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from marin_build.identity.code.function_code import CodeReader, FunctionCode


_PLAIN = frozenset((str, int, float, bool))
_CANONICAL = {"bytes", "timedelta"}
"""Plain types that attributes of steps may have; their text is that of the attribute."""
_LONGEST = 1000
"""Members of a container that are looked at one by one."""
_BUILTIN = {list, tuple, set, frozenset, dict}
_SIZED = (deque, ChainMap)
_ABSENT = object()


def text_of(fn: object, reader: CodeReader) -> str:
    """Return a text that is equal for equal code and equal values held by the `fn` of a step."""
    if type(fn) is types.FunctionType and (text := _simple_text(fn, reader)) is not None:
        return text
    return Holdings(reader).text(fn, "")


def _simple_text(function: types.FunctionType, reader: CodeReader) -> str | None:
    """Return the text of a function that holds no code; None if it may hold some.

    Steps that a loop declares have such functions: they hold numbers, names and other steps.
    """
    code = function.__code__
    if function.__defaults__ or function.__kwdefaults__ or is_foreign(code.co_filename):
        return None
    held: list[str] = []
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        try:
            item = cell.cell_contents
        except ValueError:  # it has no value yet
            return None
        if type(item) in _PLAIN or item is None:
            held.append(f"{name}={item!r}")
        elif isinstance(item, CountsByName) and not isinstance(item, StandsForFunction):
            held.append(f"{name}={item.code_name}")
        else:
            return None
    found = reader.of_function(function)
    return _function_text(found, held) if found.has_source else None


def _function_text(code: FunctionCode, held: list[str]) -> str:
    return f"function {code.closure.digest} {held}"


@dataclass(slots=True)
class Holdings:
    """Describes values as text, and collects the code that they refer to.

    Args:
        reader: reads the code of the project.

    """

    reader: CodeReader
    closures: list[tuple[tuple[str, ...], Closure]] = field(default_factory=list)
    values: list[tuple[str, object, str]] = field(default_factory=list)
    """Where a value is held, the value and its text; not functions, these are in `closures`."""
    unseen: list[str] = field(default_factory=list)
    _open: set[int] = field(default_factory=set)
    _seen: dict[int, int] = field(default_factory=dict)
    _kept: list[object] = field(default_factory=list)
    """The values of `_seen`, kept alive so that no other value gets the id of one of them."""

    def text(self, value: object, where: str, via: tuple[str, ...] = ()) -> str:
        """Return a text that is equal for equal code and equal values.

        Args:
            value: a function, or anything a function can hold.
            where: the names it is held under, joined by dots; empty for the step's own function.
            via: names that lead to it from the step's function.

        """
        if type(value) in _PLAIN or value is None:
            return self._value(value, where, repr(value))
        if type(value) is not types.FunctionType:
            known = self._special(value, where, via)
            if known is not None:
                return known
            if isinstance(value, list | tuple | set | frozenset | dict):
                return self._container(value, where, via)
            if plain_base(type(value)) is type(value) and type(value).__name__ not in _CANONICAL:
                return self._plain(value, where, via)
        if id(value) in self._seen:
            return f"again {self._seen[id(value)]}"
        self._seen[id(value)] = len(self._seen)
        self._kept.append(value)
        return self._compound(value, where, via)

    def _special(self, value: Any, where: str, via: tuple[str, ...]) -> str | None:
        """Return the text of what marin-build itself wraps around functions, or None."""
        match value:
            case StandsForFunction(code_function=function):
                return self.text(function, where, via)
            case CountsByName(code_name=name):
                return self._value(value, where, name)
        return None

    def _compound(self, value: Any, where: str, via: tuple[str, ...]) -> str:
        match value:
            case types.FunctionType():
                return self._function(value, where, via)
            case functools.partial(func=func, args=args, keywords=keywords):
                given = [self.text(arg, _at(where, str(i)), via) for i, arg in enumerate(args)]
                named = [(k, self.text(v, _at(where, k), via)) for k, v in sorted(keywords.items())]
                return f"partial {self.text(func, where, via)} {given} {named}"
            case types.MethodType(__func__=func, __self__=owner):
                first = self.text(func, where, via)
                return f"method {first} of {self.text(owner, _at(where, 'self'), via)}"
            case type():
                return self._class(value, where, via)
            case types.ModuleType():
                return self._module(value, where)
            case types.BuiltinFunctionType(__self__=owner) if isinstance(
                owner, types.ModuleType | None
            ):
                return f"builtin {value.__module__}.{value.__qualname__}"
        if callable(inner := getattr(value, "__wrapped__", None)):
            return f"{type_name(value)} around {self.text(inner, where, via)}"
        return self._object(value, where, via)

    def _function(self, value: types.FunctionType, where: str, via: tuple[str, ...]) -> str:
        if is_foreign(value.__code__.co_filename):
            return self._foreign(value, where, via)
        code = self.reader.of_function(value)
        self.closures.append((via, code.closure))
        via = (*via, code.short)
        held = [
            f"{name}={self._captured(item, name, code, _at(where, name), via)}"
            for name, item in captured(value)
        ]
        if not code.has_source:
            held.extend(self._named(value, where, via))
        return _function_text(code, held)

    def _captured(
        self, item: object, name: str, code: FunctionCode, where: str, via: tuple[str, ...]
    ) -> str:
        """Return the text of a captured value; of a module, also what the function reads of it."""
        if not isinstance(item, types.ModuleType):
            return self.text(item, where, via)
        texts = [f"module {item.__name__}"]
        for names in code.free:
            for attribute in names[1:2] if names[0] == name else ():
                inner = getattr(item, attribute, None)
                if isinstance(inner, types.FunctionType | type):
                    texts.append(self.text(inner, _at(where, attribute), via))
        return " ".join(texts)

    def _named(self, value: types.FunctionType, where: str, via: tuple[str, ...]) -> Iterator[str]:
        """Yield what a function without source finds under the names in its bytecode."""
        for name in value.__code__.co_names:
            item = value.__globals__.get(name, _ABSENT)
            if isinstance(item, types.FunctionType | type):
                yield f"{name}={self.text(item, _at(where, name), via)}"

    def _foreign(self, value: types.FunctionType, where: str, via: tuple[str, ...]) -> str:
        """Return the text of an installed function, with the functions that it wraps."""
        self._uses(value.__module__)
        inner = [
            self.text(item, where, via)
            for _, item in captured(value)
            if isinstance(item, types.FunctionType | types.MethodType | functools.partial)
        ]
        wrapped = getattr(value, "__wrapped__", None)
        if callable(wrapped):
            inner.append(self.text(wrapped, where, via))
        return f"external {module_name(value.__module__)}.{value.__qualname__} {inner}"

    def _class(self, value: type, where: str, via: tuple[str, ...]) -> str:
        name = f"class {type_text(value)}"
        file = file_of(value.__module__)
        if file is None or is_foreign(file):
            self._uses(value.__module__)
            return name
        closure = self.reader.of_class(file, value.__module__, value.__qualname__)
        if closure is not None:
            self.closures.append((via, closure))
            return f"class {closure.digest}"
        members = [
            f"{key}={self.text(item, _at(where, key), (*via, value.__name__))}"
            for key, item in vars(value).items()
            if not key.startswith("__") or isinstance(item, types.FunctionType)
        ]
        return f"class {value.__qualname__} {members}"

    def _container(self, value: Any, where: str, via: tuple[str, ...]) -> str:
        if len(value) > _LONGEST:
            self.unseen.append(f"more than {_LONGEST:,} members of {where}")
            return f"{type(value).__name__} of {len(value)}"
        if id(value) in self._open:
            return "itself"
        self._open.add(id(value))
        before = len(self.values)
        match value:
            case dict():
                items = [(self.text(k, where), self.text(v, where, via)) for k, v in value.items()]
                text = f"dict {items}"
            case set() | frozenset():
                text = f"set {sorted(self.text(item, where, via) for item in value)}"
            case _:
                text = f"{type(value).__name__} {[self.text(item, where, via) for item in value]}"
        del self.values[before:]
        text = self._value(value, where, text)
        if type(value) not in _BUILTIN:
            text += self._derived(value, where, via)
        self._open.remove(id(value))
        return text

    def _derived(self, value: Any, where: str, via: tuple[str, ...]) -> str:
        """Return the text of what a container's own class adds to it; empty if that is nothing."""
        kind = type(value)
        own = self._class(kind, where, via) if is_ours(kind) and has_methods(kind) else ""
        held = {**state(value), **dict(slots(value))}
        if callable(factory := getattr(value, "default_factory", None)):
            held["default_factory"] = factory
            if isinstance(factory, type):  # a record names it, so that people see what changed
                self._value(factory, _at(where, "default_factory"), type_text(factory))
        return f" of {own}{self._attributes(held, where, via)}" if own or held else ""

    def _plain(self, value: Any, where: str, via: tuple[str, ...]) -> str:
        base = plain_base(type(value)) or type(value)
        if id(value) in self._open:
            return "itself"
        if isinstance(value, _SIZED) and len(value) > _LONGEST:
            self.unseen.append(f"more than {_LONGEST:,} members of {where}")
            return f"{base.__name__} of {len(value)}"
        self._open.add(id(value))
        before = len(self.values)
        text = plain_text(value, base, lambda item: self.text(item, where, via))
        self._open.remove(id(value))
        del self.values[before:]
        return self._value(value, where, text)

    def _attributes(self, held: Mapping[str, Any], where: str, via: tuple[str, ...]) -> str:
        return str([f"{key}={self.text(item, _at(where, key), via)}" for key, item in held.items()])

    def _object(self, value: Any, where: str, via: tuple[str, ...]) -> str:
        kind = type(value)
        own = self._class(kind, where, via) if is_ours(kind) else ""
        try:
            text = own + canonical_text(freeze({"value": value}, "held"))
        except MarinBuildError:
            return self._without_form(value, own, where, via)
        left = dict(overlooked(value))
        text = self._value(value, where, text)
        return f"{text} with {self._attributes(left, where, via)}" if left else text

    def _without_form(self, value: Any, own: str, where: str, via: tuple[str, ...]) -> str:
        """Return the text of an object that has no canonical form."""
        kind = type(value)
        if isinstance(value, enum.Enum):
            inner = self.text(value.value, _at(where, "value"), via)
            return f"enum {own} {kind.__qualname__}.{value.name} {inner}"
        base = plain_base(kind)
        scalar = scalar_text(value) if base is None or kind.__module__ == "numpy" else None
        if scalar is not None:
            return self._value(value, where, f"{type_name(value)} {scalar}")
        if not own:
            self._uses(kind.__module__)
            self.unseen.append(f"the state of a {type_name(value)} ({where or 'the function'})")
            if base is None:
                return f"unseen {type_name(value)}"
        elif base is None and (hidden := hidden_base(kind)) is not None:
            what = f"what a {type_name(value)} is as a {type_text(hidden)}"
            self.unseen.append(f"{what} ({where or 'the function'})")
        attributes = state(value)
        text = f"object {own} {self._attributes(dict(sorted(attributes.items())), where, via)}"
        more = {key: item for key, item in slots(value) if key not in attributes}
        if base is not None:
            text += f" {type_name(value)} {self._plain(value, where, via)}"
        elif isinstance(value, BaseException):
            more["args"] = value.args
        return f"{text} {self._attributes(more, where, via)}" if more else text

    def _module(self, value: types.ModuleType, where: str) -> str:
        self._uses(value.__name__)
        if (file := value.__file__) is not None and not is_foreign(file):
            self.unseen.append(f"the module {value.__name__}, held as {where}")
        return f"module {value.__name__}"

    def _value(self, value: object, where: str, text: str) -> str:
        if where:
            self.values.append((where, value, text))
        return text

    def _uses(self, module: str | None) -> None:
        """Take note of an installed module."""
        import sys

        top = (module or "").partition(".")[0]
        if top and top != "marin_build" and top not in sys.stdlib_module_names:
            self.closures.append(((), _installed(top)))


@functools.cache
def _installed(module: str) -> Closure:
    return Closure(module, (), (), (module,))


def _at(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name
