"""The canonical form of values: plain JSON trees, or a refusal that names the value.

The form is part of identity. A table of cases stands in `tests/data/canonical_cases.json` with
its digests; changing one of them renames targets everywhere and needs a new schema version.
"""

from __future__ import annotations

import json
from json.encoder import encode_basestring_ascii
from typing import TYPE_CHECKING, Any, Never, TypeVar

from marin_build.identity.callables import CountsByName, StandsForFunction
from marin_build.identity.refusals import instead, refusal, too_deep, why_not
from marin_build.identity.secret import Secret
from marin_build.untrusted_json import is_deep

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping


# Keys that mark values JSON has no form for. An attribute may not use them itself, so that a set
# and a dictionary that looks like one cannot share a fingerprint.
TAGS = frozenset(
    {
        "__dataclass__",
        "__model__",
        "__enum__",
        "__set__",
        "__timedelta__",
        "__path__",
        "__dtype__",
        "__bytes__",
        "__secret__",
    }
)

T = TypeVar("T")

DEEPEST = 250
"""Levels of the deepest attributes: the record that holds them must be readable."""


class FrozenDict(dict[str, Any]):
    """A dictionary that cannot be changed; the JSON encoder writes it as a plain one."""

    __slots__ = ()

    def _refuse(self, *_args: object, **_kwargs: object) -> Never:
        raise TypeError("the attributes of a step cannot be changed after its declaration")

    __setitem__ = _refuse
    __delitem__ = _refuse
    clear = _refuse
    pop = _refuse
    popitem = _refuse
    setdefault = _refuse
    update = _refuse
    __ior__ = _refuse

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(canonical_text(self))

    def __reduce__(self) -> tuple[type, tuple[dict[str, Any]]]:
        return FrozenDict, (dict(self),)


class Tagged(FrozenDict):
    """The canonical form of a value JSON has no form for: its key says which kind it is of.

    Only `freeze` makes one. So a step that is declared with another one's attributes has the same
    ones, while a dictionary that an author writes with such a key is refused.
    """

    __slots__ = ()

    def __reduce__(self) -> tuple[type, tuple[dict[str, Any]]]:
        return Tagged, (dict(self),)


class FrozenList(tuple[T, ...]):
    """A list that cannot be changed: a tuple that equals a list of the same items."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        """Return whether `other` is a list or a tuple of equal items."""
        return tuple.__eq__(self, tuple(other) if isinstance(other, list) else other)

    def __ne__(self, other: object) -> bool:
        """Return whether it is not; a tuple's own `!=` does not ask `==`."""
        return not self == other

    def __add__(self, other: Any) -> Any:
        """Return both together: with a list a list, as programs extend what was a list there."""
        return [*self, *other] if isinstance(other, list) else tuple.__add__(self, other)

    def __radd__(self, other: list[Any]) -> list[Any]:
        """Return a list with these items behind its own."""
        return [*other, *self] if isinstance(other, list) else NotImplemented

    __hash__ = tuple.__hash__


quoted: Callable[[str], str] = encode_basestring_ascii
"""Return a string as JSON, in ASCII."""
_PLAIN = frozenset((str, int, bool, type(None)))
_ENCODER = json.JSONEncoder(sort_keys=True)


def _chunks_of_json() -> Callable[[object, int], Iterable[str]]:
    """Return what writes a value as JSON, in pieces.

    `JSONEncoder.encode` makes it anew for each value, which takes longer than to write most values.
    """
    try:
        chunks: Callable[[object, int], Iterable[str]] = json.encoder.c_make_encoder(  # type: ignore[attr-defined]
            None,  # no search for circles: canonical values have none
            _ENCODER.default,
            quoted,
            None,
            _ENCODER.key_separator,
            _ENCODER.item_separator,
            _ENCODER.sort_keys,
            _ENCODER.skipkeys,
            _ENCODER.allow_nan,
        )
        chunks({}, 0)
    except (AttributeError, TypeError):  # no public function: another Python may have it otherwise
        return lambda value, _level: _ENCODER.iterencode(value)
    return chunks


_chunks = _chunks_of_json()


def canonical_text(value: object) -> str:
    """Return canonical JSON of a canonical value: sorted keys, ASCII, `", "` and `": "`."""
    return "".join(_chunks(value, 0))


def freeze(attrs: Mapping[str, object], where: str) -> FrozenDict:
    """Return `attrs` in canonical form; `where` (`train.attrs`) begins the paths in errors.

    Raises:
        UnfingerprintableError: a value has no canonical form.

    """
    try:
        frozen = FrozenDict(
            {
                _key(key, where): value if type(value) in _PLAIN else _freeze(value, where, key)
                for key, value in attrs.items()
            }
        )
    except RecursionError:
        raise too_deep(where) from None
    if is_deep(frozen, DEEPEST):
        raise too_deep(where)
    return frozen


def _freeze(value: object, parent: str, key: object) -> Any:
    """Return the canonical form of `value`, which stands at `parent.key`."""
    kind = type(value)
    if kind in _PLAIN:
        return value
    path = f"{parent}.{key}"
    if kind is float:
        return _finite(value, path)  # type: ignore[arg-type]
    if kind is list or kind is FrozenList:
        return FrozenList([_freeze(item, path, i) for i, item in enumerate(value)])  # type: ignore[arg-type, var-annotated]
    if kind is tuple:
        return tuple([_freeze(item, path, i) for i, item in enumerate(value)])  # type: ignore[arg-type, var-annotated]
    if kind is dict or kind is FrozenDict:
        return FrozenDict({_key(k, path): _freeze(v, path, k) for k, v in value.items()})  # type: ignore[attr-defined]
    if kind is Tagged:
        return value
    return freeze_object(value, path)


def _key(key: object, path: str) -> str:
    if type(key) is not str:
        raise refusal(path, f"a key is {type(key).__name__} `{key!r}`, not a string")
    if key in TAGS:
        raise refusal(path, f"the key `{key}` is reserved")
    return key


def _finite(value: float, path: str) -> float:
    if value != value or value in (float("inf"), float("-inf")):  # noqa: PLR0124 - NaN differs from itself
        raise refusal(path, f"{value} has no canonical form")
    return value


def freeze_object(value: object, path: str) -> Any:
    """Return the canonical form of a value JSON does not know; errors name its path.

    Raises:
        UnfingerprintableError: it has none.

    """
    import dataclasses
    import datetime as dt
    import enum
    import pathlib

    kind = type(value)
    if kind is Secret:  # where it is found differs between machines that build the same
        return Tagged({"__secret__": True})
    if isinstance(value, CountsByName):
        raise refusal(
            path, f"a {kind.__name__} is no attribute", "give it as an argument of its own"
        )
    if isinstance(value, StandsForFunction):
        name = getattr(value.code_function, "__name__", "function")
        raise refusal(
            path, f"`{name}` is a function that declares a step, not a step", f"call it: `{name}()`"
        )
    match value:
        case enum.Enum():
            return _tagged(
                "__enum__",
                f"{kind.__qualname__}.{value.name}",
                value=_freeze(value.value, path, "value"),
            )
        case set() | frozenset():
            items = [_freeze(item, path, "item") for item in value]
            return Tagged({"__set__": tuple(sorted(items, key=canonical_text))})
        case pathlib.PurePath():
            return Tagged({"__path__": value.as_posix()})
        case dt.timedelta():
            microseconds = value // dt.timedelta(microseconds=1)
            return Tagged({"__timedelta__": microseconds})
        case bytes():
            return Tagged({"__bytes__": value.hex()})
        case _ if dataclasses.is_dataclass(value) and not isinstance(value, type):
            fields = {
                f.name: getattr(value, f.name) for f in dataclasses.fields(value) if f.compare
            }
            return _tagged(
                "__dataclass__",
                kind.__qualname__,
                fields={k: _freeze(v, path, k) for k, v in fields.items()},
            )
        case _ if _is_pydantic(kind):
            model = {
                **{name: getattr(value, name) for name in kind.model_fields},  # type: ignore[attr-defined]
                **(getattr(value, "model_extra", None) or {}),
            }
            return _tagged(
                "__model__",
                kind.__qualname__,
                fields={k: _freeze(v, path, k) for k, v in model.items()},
            )
    if (array_value := _array_library_value(value, path)) is not None:
        return array_value
    raise refusal(path, why_not(value), hint=instead(value))


def _tagged(tag: str, name: str, **parts: object) -> Tagged:
    return Tagged(
        {tag: name, **{k: FrozenDict(v) if type(v) is dict else v for k, v in parts.items()}}
    )


def _is_pydantic(kind: type) -> bool:
    return any(
        base.__module__ == "pydantic.main" and base.__name__ == "BaseModel" for base in kind.__mro__
    )


def _array_library_value(value: object, path: str) -> Any:
    """Return the form of a dtype or scalar of numpy, jax or ml_dtypes; None for anything else."""
    libraries = {"numpy", "jax", "jaxlib", "ml_dtypes"}
    kind: type = value if isinstance(value, type) else type(value)
    if not any(base.__module__.split(".")[0] in libraries for base in kind.__mro__):
        return None
    if isinstance(value, type):  # numpy.float32, jax.numpy.bfloat16 given as classes
        return Tagged({"__dtype__": value.__name__})
    if kind.__name__.endswith("DType") or kind.__name__ == "dtype":
        return Tagged({"__dtype__": _dtype_text(value)})
    if hasattr(value, "item") and getattr(value, "shape", None) == ():
        return _freeze(value.item(), path, "item")
    if callable(value) and hasattr(value, "dtype"):  # jax.numpy.bfloat16 is an instance
        return Tagged({"__dtype__": str(value.dtype)})
    return None


def _dtype_text(dtype: Any) -> str:
    """Return a dtype's name; with its byte order or fields where these are not the usual ones."""
    if getattr(dtype, "names", None):
        return repr(dtype.descr)
    return str(dtype.name if getattr(dtype, "isnative", True) else dtype.str)
