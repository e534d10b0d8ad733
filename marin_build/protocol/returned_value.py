"""What a step returned as plain JSON values, or a refusal that names each part JSON cannot hold.

Nothing is consumed: an iterator or an open file is refused, not read. Numbers of numpy, jax and
torch are those of Python; their libraries are never imported here, a value's own type says enough.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import hashlib
import json
import math
import uuid
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

from marin_build.text.readable import first_line

LARGEST_ARRAY = 1 << 16
"""Numbers of the largest array that is saved as JSON; a larger one belongs into a file."""
DEEPEST = 100
"""Levels of the deepest value: readers of JSON refuse what is nested much deeper."""
_SHOWN = 5
_WAY_OUT = "return a dataclass, a pydantic model or JSON values"
_ARRAYS = frozenset({"numpy", "jax", "jaxlib", "ml_dtypes", "torch"})
_PLAIN = frozenset({str, bool, type(None)})
_NOT_FINITE = {math.inf: "Infinity", -math.inf: "-Infinity"}


class UnsavableError(TypeError):
    """What a step returned cannot be saved.

    Args:
        problems: the parts that cannot, and why; the first ones are shown.
        way_out: what to return instead.

    """

    def __init__(self, problems: Sequence[str], way_out: str = _WAY_OUT) -> None:
        """Say all that is wrong with a value, bounded."""
        self.problems = tuple(problems)
        more = len(problems) - _SHOWN
        shown = [*problems[:_SHOWN], *([f"and {more} more"] if more > 0 else [])]
        super().__init__(f"what the step returned cannot be saved: {'; '.join(shown)}; {way_out}")


@dataclass(slots=True)
class Walk:
    """One walk over a value.

    Args:
        exact: tell apart what JSON writes alike: 1 and `1` as keys, NaN and `NaN`. The result is
            only good for comparing.

    """

    exact: bool = False
    problems: list[str] = field(default_factory=list)
    """What has no form: `metrics[0].loss: numpy.complex64`, and why."""
    not_plain: list[str] = field(default_factory=list)
    """What only a reader that knows its type gets back equal."""
    _above: list[int] = field(default_factory=list)

    def tree(self, value: object, path: str = "") -> Any:
        """Return a value as JSON values; what has no form is noted, and is None."""
        kind = type(value)
        if kind in _PLAIN:
            return value if kind is not str else self._text(value, path)  # type: ignore[arg-type]
        if isinstance(value, enum.Enum):
            return self.tree(value.value, path)
        if kind.__module__.partition(".")[0] in _ARRAYS:
            return self._array(value, path)
        if isinstance(value, int):
            return self._whole(int(value), path)
        if isinstance(value, float):
            return self._real(float(value), path)
        if isinstance(value, str):
            return self._text(str(value), path)
        if id(value) in self._above:
            return self._refuse(path, value, "it contains itself")
        if len(self._above) >= DEEPEST:
            return self._refuse(path, value, f"it is nested deeper than {DEEPEST} levels")
        self._above.append(id(value))
        try:
            return self._inside(value, path)
        finally:
            self._above.pop()

    def _inside(self, value: object, path: str) -> Any:
        kind = type(value)
        if hasattr(kind, "__pydantic_fields__"):
            return self._model(value, path)
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            names = [f.name for f in dataclasses.fields(value) if hasattr(value, f.name)]
            return {name: self.tree(getattr(value, name), _in(path, name)) for name in names}
        match value:
            case Mapping():
                return self._mapping(value, path)
            case list() | tuple() | deque() | range():
                return [self.tree(item, f"{path}[{i}]") for i, item in enumerate(value)]
            case set() | frozenset():
                items = [self.tree(item, f"{path}{{}}") for item in value]
                return sorted(items, key=lambda item: (str(type(item)), repr(item)))
        return self._leaf(value, path)

    def _leaf(self, value: object, path: str) -> Any:
        """Return the text that pydantic writes, and reads back as a value of the same type."""
        match value:
            case PurePath():
                return self._text(str(value), path)
            case dt.date() | dt.time() | dt.timedelta() | decimal.Decimal() | uuid.UUID():
                from pydantic_core import to_jsonable_python

                return to_jsonable_python(value)
            case bytes() | bytearray():
                try:
                    return value.decode()
                except UnicodeDecodeError:
                    return self._refuse(path, value, "it is no text; write it to a file")
            case type():
                return self._refuse(path, value, f"the class {value.__qualname__} is no value")
        if hasattr(value, "__next__") or hasattr(value, "readable"):
            return self._refuse(path, value, "it is not read; return what it gives")
        return self._other(value, path)

    def _other(self, value: object, path: str) -> Any:
        """Return what pydantic makes of one of the types that it knows: addresses, URLs."""
        from pydantic_core import PydanticSerializationError, to_jsonable_python

        is_known = type(value).__module__.partition(".")[0] in ("ipaddress", "pydantic")
        if is_known and not type(value).__name__.startswith("Secret"):
            try:
                return to_jsonable_python(value)
            except PydanticSerializationError:
                pass
        return self._refuse(path, value)

    def _model(self, value: Any, path: str) -> Any:
        """Return what a pydantic model writes, if it reads that back as it was."""
        from pydantic import TypeAdapter, ValidationError
        from pydantic_core import PydanticSerializationError, to_jsonable_python

        kind = type(value)
        fields = kind.__pydantic_fields__
        members = {k: getattr(value, k, None) for k, f in fields.items() if not f.exclude}
        members |= getattr(value, "__pydantic_extra__", None) or {}
        inside = Walk(exact=True, _above=[*self._above])
        exact = {k: inside.tree(v, _in(path, k)) for k, v in members.items()}
        if self.exact:
            return exact
        adapter: TypeAdapter[Any] = TypeAdapter(kind)
        why = "it is not equal to what is read back"
        for by_alias, bare in ((False, False), (True, False), (False, True), (True, True)):
            try:
                plain = to_jsonable_python(
                    value, by_alias=by_alias, round_trip=bare, fallback=_number
                )
                tree = Walk().tree(plain)
                read = adapter.validate_json(json.dumps(tree))
            except ValidationError as error:
                first = error.errors()[0]
                where = ".".join(map(str, first["loc"]))
                why = f"what is written cannot be read: `{where}`: {first['msg'].lower()}"
                continue
            except PydanticSerializationError as error:
                why = first_line(str(error))
                break
            again = Walk(exact=True, _above=[*self._above])
            if type(read) is kind and again.tree(read, path) == exact:
                return tree
        if not (parts := [*inside.problems, *inside.not_plain]):
            return self._refuse(path, value, why)
        self.problems += parts
        return None

    def _mapping(self, value: Mapping[Any, Any], path: str) -> Any:
        found: dict[str, Any] = {}
        for key, item in value.items():
            name = self._key(key, path)
            if name is None:
                continue
            if name in found:
                self._refuse(path, value, f"two of its keys are written `{name}`")
            found[name] = self.tree(item, _in(path, name))
        return found

    def _key(self, key: object, path: str) -> str | None:
        """Return a key as text; None where there is none."""
        if isinstance(key, str) and not (self.exact and isinstance(key, enum.Enum)):
            key = str(key.value if isinstance(key, enum.Enum) else key)
            return key if self._text(key, path) is not None else None
        plain = Walk().tree(key)
        if isinstance(plain, str | int | float) or key is None:
            from pydantic_core import to_jsonable_python

            text: str = next(iter(to_jsonable_python({plain: None}, inf_nan_mode="strings")))
            self.not_plain.append(f"{_at(path)}the key {_shown(key)}, which is no text")
            return f"{type(key).__qualname__} {text}" if self.exact else text
        self._refuse(path, key, f"the key {_shown(key)} has no text")
        return None

    def _array(self, value: Any, path: str) -> Any:
        """Return a number or an array of numpy, jax or torch as numbers and lists of Python."""
        kind, shape = type(value), getattr(value, "shape", None)
        dtype = getattr(getattr(value, "dtype", None), "kind", "f")
        if dtype not in "biufUmMO" or not hasattr(value, "tolist") or kind.__module__ == "numpy.ma":
            return self._refuse(path, value, "its values have no form in JSON")
        if shape is None or math.prod(shape) > LARGEST_ARRAY:
            size = "x".join(map(str, shape or ()))
            return self._refuse(path, value, f"{size} numbers are too many; write a file")
        plain = value.tolist()
        if isinstance(plain, kind):  # no number of Python holds its digits, or none is its type
            plain = float(value)
            if plain != value and not math.isnan(plain):
                return self._refuse(path, value, "a number of Python would round it")
        if dtype in "mM" and isinstance(plain, int):
            return self._refuse(path, value, "its unit would be lost")
        if type(plain).__module__.partition(".")[0] in _ARRAYS:
            return self._refuse(path, value)
        return self.tree(plain, path)

    def _whole(self, value: int, path: str) -> Any:
        try:
            str(value)
        except ValueError:  # more digits than Python reads from a text
            return self._refuse(path, value, "it has too many digits")
        return value

    def _real(self, value: float, path: str) -> Any:
        if math.isfinite(value):
            return value
        text = _NOT_FINITE.get(value, "NaN")
        self.not_plain.append(f"{_at(path)}{text}")
        return ("float", text) if self.exact else text

    def _text(self, value: str, path: str) -> Any:
        try:
            value.encode()
        except UnicodeEncodeError:
            return self._refuse(path, value, "it is no Unicode text")
        return value

    def _refuse(self, path: str, value: object, why: str = "") -> Any:
        """Take note of what has no form; it stands for itself where values are compared."""
        kind = type(value)
        name = kind.__qualname__ if kind.__module__ == "builtins" else _full_name(kind)
        said = f"`{path}: {name}`" if path else f"`{name}`"
        self.problems.append(f"{said}, {why}" if why else said)
        return value if self.exact else None


def _full_name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _number(value: Any) -> Any:
    """Return what a model writes for a value that pydantic does not know."""
    walk = Walk()
    found = walk.tree(value)
    if walk.problems:
        raise TypeError(walk.problems[0])
    return found


def _at(path: str) -> str:
    return f"`{path}`: " if path else ""


def _in(path: str, name: str) -> str:
    shown = name if name.isidentifier() else f"[{_shown(name)}]"
    return f"{path}.{shown}".removeprefix(".") if name.isidentifier() else f"{path}{shown}"


def _shown(key: object) -> str:
    text = repr(key)
    return text if len(text) <= 60 else f"{text[:57]}..."  # noqa: PLR2004 - a line of text


def digest_of_value(value: object) -> str:
    """Return the sha-256, in hex, of JSON values: of their text with sorted keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
