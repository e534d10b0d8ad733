"""The canonical JSON of a config, as Marin fingerprints it: the same bytes in every process.

The fingerprint of an artifact only tells whether its recipe changed, so a value of an unknown type
gets a form that is good enough, with a warning. `set_strict` makes it an error instead.

The forms and their order are those of `marin.execution.fingerprint` (October 2026).
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import inspect
import json
import logging
import os
import sys
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from marin_build.errors import UnfingerprintableError
from marin_build.plan.config_changes import config_changes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


FINGERPRINT_DIGITS = 8
STRICT_VARIABLE = "MARIN_FINGERPRINT_STRICT"
_SCALAR_KINDS = "biufcV"
"""The kinds of numpy's dtypes that stand for one number; `V` is that of bfloat16 and its like."""
_PYTHON_DTYPES = {bool: "bool", int: "int64", float: "float64", complex: "complex128"}
"""How numpy names Python's own numbers: a config that holds `float` need not import it."""

_log = logging.getLogger("marin_build.fingerprint")
_encoders: dict[type, Callable[[Any], object]] = {}
_warned_of: set[str] = set()
_STRICT_OVERRIDE: bool | None = None
"""What `set_strict` said; None: the environment says it. Tests of Marin's users restore it."""


def register_fingerprint(tp: type, encode: Callable[[Any], object]) -> None:
    """Give the values of a type, and of its subclasses, a form of their own.

    Args:
        tp: the type.
        encode: returns what stands for a value: anything that has a canonical form itself.

    """
    _encoders[tp] = encode


def set_strict(enabled: bool) -> None:
    """Refuse values of unknown types, or give them a form; this wins over the environment."""
    global _STRICT_OVERRIDE  # noqa: PLW0603 - one setting for the process, as in Marin
    _STRICT_OVERRIDE = enabled


def canonical_json(config: object) -> str:
    """Return the canonical JSON of a config.

    Raises:
        UnfingerprintableError: in strict mode, a value of an unknown type; a TypeError.
        TypeError: a key of a dictionary is no text, number, boolean or None.

    """
    return json.dumps(config, sort_keys=True, default=_form)


def fingerprint_hash(payload: str) -> str:
    """Return the fingerprint of a canonical JSON: the first 8 hex digits of its MD5."""
    digest = hashlib.md5(payload.encode(), usedforsecurity=False).hexdigest()
    return digest[:FINGERPRINT_DIGITS]


def describe_drift(old_payload: str | None, new_payload: str | None) -> str:
    """Return what changed between two canonical configs, a line for each value.

    Empty where one is unknown, or both are equal. Each line begins on a new line: `  lr: 1 -> 2`.
    """
    if old_payload is None or new_payload is None:
        return ""
    lines = config_changes(json.loads(old_payload), json.loads(new_payload))
    return "\nChanged config values:" + "".join(f"\n  {line}" for line in lines) if lines else ""


def _form(value: Any) -> object:
    """Return what stands for a value that JSON has no form for."""
    match value:
        case _ if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return dataclasses.asdict(value)
        case Enum():
            return value.value
        case timedelta():
            parts = ("days", "seconds", "microseconds")
            return {part: getattr(value, part) for part in parts}
        case Path():
            return str(value)
        case set() | frozenset():
            return {"__set__": sorted(value, key=canonical_json)}
    if (found := _numeric_form(value)) is not None:
        return found.form
    if isinstance(value, type):
        return _class_form(value)
    for base in type(value).__mro__:
        if base in _encoders:
            return _encoders[base](value)
    if _is_strict():
        raise _refusal(value)
    return _fallback(value)


@dataclasses.dataclass(frozen=True, slots=True)
class _Numeric:
    """The form of a value of numpy or jax; it may itself be None."""

    form: object


def _numeric_form(value: Any) -> _Numeric | None:
    """Return the form of a dtype, a number or an array of numpy or jax; None for other values.

    A value of a library that is not loaded cannot exist, so neither of them is ever imported here.
    """
    np, jax = sys.modules.get("numpy"), sys.modules.get("jax")
    if np is None:
        return None
    if isinstance(value, np.dtype):
        return _Numeric({"__dtype__": value.name})
    if isinstance(value, np.generic):
        return _Numeric(value.item())
    if isinstance(value, np.ndarray) or (jax is not None and isinstance(value, jax.Array)):
        array = np.asarray(value)
        described = {"dtype": array.dtype.name, "shape": list(array.shape)}
        return _Numeric({"__array__": array.tolist(), **described})
    return None


def _class_form(kind: type) -> Mapping[str, str]:
    dtype = _PYTHON_DTYPES.get(kind) or _dtype_name(kind)
    if dtype is not None:
        return {"__dtype__": dtype}
    return {"__type__": f"{kind.__module__}.{kind.__qualname__}"}


def _dtype_name(kind: type) -> str | None:
    """Return the name of the dtype that a class of numpy or jax stands for; None for others."""
    np = sys.modules.get("numpy")
    if np is None:
        return None
    try:
        dtype = np.dtype(kind)
    except TypeError:
        return None
    name: str = dtype.name
    return name if dtype.kind in _SCALAR_KINDS else None


def _is_strict() -> bool:
    if _STRICT_OVERRIDE is not None:
        return _STRICT_OVERRIDE
    return os.environ.get(STRICT_VARIABLE, "").lower() in ("1", "true", "yes")


def _refusal(value: object) -> UnfingerprintableError:
    if inspect.isroutine(value) or isinstance(value, functools.partial):
        why = "a callable has no stable identity"
    elif type(value).__repr__ is object.__repr__:
        why = "it has the default object repr, which holds an address in memory"
    else:
        why = "no form is known that is the same in every process"
    return UnfingerprintableError(
        f"cannot fingerprint a config value of the type `{_name_of(value)}`: {why}",
        consequence="nothing was run",
        hint="make it a dataclass or an Enum, give its type a form with `register_fingerprint`, "
        f"or unset {STRICT_VARIABLE}",
    )


def _fallback(value: object) -> Mapping[str, object]:
    """Return a form without addresses in memory: the type's name, and the value's attributes."""
    name = _name_of(value)
    if name not in _warned_of:
        _warned_of.add(name)
        _log.warning(
            "fingerprint: %s has no canonical form; its attributes or its repr stand for it. "
            "`register_fingerprint` gives it an exact form.",
            name,
        )
    if hasattr(value, "__dict__"):
        return {"__repr__": name, "vars": vars(value)}
    return {"__repr__": name, "str": repr(value)}


def _name_of(value: object) -> str:
    kind = type(value)
    return f"{kind.__module__}.{kind.__qualname__}"
