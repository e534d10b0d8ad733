"""Values read without running code: plain ones of Python's library, and the state of objects.

Methods that a class overrides are not called: the reader of its plain base is, and slots are read.
Nothing is imported to find out what a value is: types are known by their names.
"""

from __future__ import annotations

import functools
import types
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Inner = Callable[[object], str]
    Reads = Callable[[Any, Any, Inner], str]

_HEAP_TYPE = 1 << 9
"""`Py_TPFLAGS_HEAPTYPE`: set for each class that a class statement makes."""
_PRIVATE, _EXTRA = "__pydantic_private__", "__pydantic_extra__"
_TIMES = ("hour", "minute", "second", "microsecond", "fold")
_DAYS = ("year", "month", "day")


def plain_base(kind: type) -> type | None:
    """Return the plain type of Python's library that a type is or derives from, or None."""
    return next((base for base in kind.__mro__ if _name(base) in _READERS), None)


def plain_text(value: object, base: type, inner: Inner) -> str:
    """Return the text of a plain value.

    Args:
        value: of the type `base`, or of one that derives from it.
        base: its plain type.
        inner: gives the text of what is in the value.

    """
    return f"{_name(base)} {_READERS[_name(base)](base, value, inner)}"


def captured(function: types.FunctionType) -> list[tuple[str, object]]:
    """Return what a function holds besides its code: closure cells and defaults."""
    found: list[tuple[str, object]] = []
    code = function.__code__
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        try:
            found.append((name, cell.cell_contents))
        except ValueError:
            found.append((name, "empty cell"))
    if (defaults := function.__defaults__) is not None:
        names = code.co_varnames[code.co_argcount - len(defaults) : code.co_argcount]
        found.extend(zip(names, defaults, strict=True))
    if (named := function.__kwdefaults__) is not None:
        found.extend(sorted(named.items()))
    return found


def scalar_text(value: Any) -> str | None:
    """Return the text of a scalar of numpy that is no JSON: a date, a complex number, a NaN."""
    if type(value).__module__ != "numpy" or getattr(value, "shape", None) != ():
        return None
    if not any(base.__name__ == "generic" for base in type(value).__mro__):
        return None
    return None if value.dtype.hasobject else f"{value.dtype.str} {value.tobytes().hex()}"


def state(value: object) -> dict[str, object]:
    """Return an object's attributes in `__dict__`, by name."""
    return dict(getattr(value, "__dict__", {}))


def slots(value: object) -> Iterator[tuple[str, object]]:
    """Yield what an object holds in slots, its bases' too, and a model's private attributes."""
    for kind in type(value).__mro__:
        own = vars(kind)
        for name, slot in own.items() if "__slots__" in own else ():
            if not isinstance(slot, types.MemberDescriptorType):
                continue
            try:
                held = slot.__get__(value)
            except AttributeError:  # nothing was assigned to it
                continue
            if name in {_PRIVATE, _EXTRA}:
                yield from sorted((held or {}).items())
            elif not name.startswith("__pydantic_"):
                yield name, held


def hidden_base(kind: type) -> type | None:
    """Return a compiled base of a class whose state we cannot read; None if there is none."""
    for base in kind.__mro__:
        if base is not object and not base.__flags__ & _HEAP_TYPE and _name(base) not in _READERS:
            return None if issubclass(base, BaseException | type) else base
    return None


def overlooked(value: Any) -> Iterator[tuple[str, object]]:
    """Yield the parts of a value that its canonical form leaves out, each after its name.

    These are attributes that are no fields. A field with `compare=False` is left out on purpose.
    """
    kind = type(value)
    if kind in (list, tuple):
        yield from _overlooked_in((str(i), item) for i, item in enumerate(value))
    elif kind is dict:
        yield from _overlooked_in(value.items())
    elif _is_enum(kind):
        return
    else:
        fields = _fields(kind)
        yield from _overlooked_in((name, getattr(value, name)) for name in fields if fields[name])
        extra = getattr(value, _EXTRA, None) or {}
        for name, item in (*sorted(state(value).items()), *slots(value)):
            is_known = name in fields or name in extra or name.startswith("__")
            if not is_known and not _is_cached(kind, name):
                yield name, item


def _overlooked_in(items: Any) -> Iterator[tuple[str, object]]:
    for name, item in items:
        for inner, held in overlooked(item):
            yield f"{name}.{inner}", held


def _fields(kind: type) -> dict[str, bool]:
    """Return the fields of a dataclass or a model, and whether they are compared."""
    known = getattr(kind, "__dataclass_fields__", None)
    if isinstance(known, dict):
        return {name: field.compare for name, field in known.items()}
    if any(_name(base) == "pydantic.main.BaseModel" for base in kind.__mro__):
        return dict.fromkeys(kind.model_fields, True)  # type: ignore[attr-defined]
    # pathlib keeps in slots what it has worked out of a path
    if any(base.__module__.partition(".")[0] == "pathlib" for base in kind.__mro__):
        names = (n for b in kind.__mro__ if b.__module__.startswith("pathlib") for n in vars(b))
        return dict.fromkeys(names, False)
    return {}


def _is_cached(kind: type, name: str) -> bool:
    return any(isinstance(vars(b).get(name), functools.cached_property) for b in kind.__mro__)


def _is_enum(kind: type) -> bool:
    return any(_name(base) == "enum.Enum" for base in kind.__mro__)


def _name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _parts(kind: Any, value: object, names: tuple[str, ...]) -> tuple[Any, ...]:
    """Return attributes as the base has them, whatever a derived class makes of them."""
    return tuple(getattr(kind, name).__get__(value) for name in names)


def _moment(names: tuple[str, ...]) -> Reads:
    def read(kind: Any, value: Any, inner: Inner) -> str:
        zone = inner(kind.tzinfo.__get__(value)) if "hour" in names else ""
        return f"{_parts(kind, value, names)} {zone}"

    return read


def _itself(kind: Any, value: Any, _inner: Inner) -> str:
    return str(kind.__repr__(value))


def _held(*names: str) -> Reads:
    def read(kind: Any, value: Any, inner: Inner) -> str:
        return str([inner(part) for part in _parts(kind, value, names)])

    return read


def _attributes(*names: str) -> Reads:
    def read(_kind: Any, value: Any, inner: Inner) -> str:
        return str([inner(getattr(value, name, None)) for name in names])

    return read


_READERS: dict[str, Reads] = {
    "builtins.str": _itself,
    "builtins.int": _itself,
    "builtins.float": _itself,
    "builtins.complex": _itself,
    "builtins.bytes": _itself,
    "builtins.bytearray": lambda _, value, __: bytes.hex(bytes(memoryview(value))),
    "builtins.range": _itself,
    "builtins.slice": _held("start", "stop", "step"),
    "builtins.ellipsis": _itself,
    "builtins.NotImplementedType": _itself,
    "builtins.mappingproxy": lambda _, value, inner: inner(dict(value)),
    "collections.deque": lambda kind, value, inner: (
        f"{kind.maxlen.__get__(value)} {[inner(item) for item in kind.__iter__(value)]}"
    ),
    "collections.ChainMap": _attributes("maps"),
    "datetime.date": _moment(_DAYS),
    "datetime.datetime": _moment(_DAYS + _TIMES),
    "datetime.time": _moment(_TIMES),
    "datetime.timedelta": _held("days", "seconds", "microseconds"),
    "datetime.timezone": lambda kind, value, _: str(kind.__getinitargs__(value)),
    "decimal.Decimal": lambda kind, value, _: str(kind.__str__(value)),
    "fractions.Fraction": _held("_numerator", "_denominator"),
    "re.Pattern": _held("pattern", "flags"),
    "types.SimpleNamespace": lambda _, value, inner: inner(dict(vars(value))),
    "uuid.UUID": lambda _, value, inner: inner(value.int),
    "zoneinfo.ZoneInfo": lambda _, value, inner: inner(value.key),
}
