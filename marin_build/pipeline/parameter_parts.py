"""`--set train.lr=3e-4`: one part of a parameter that is a table, a dataclass or a model. Pure."""

from __future__ import annotations

import dataclasses
import types
import typing
from typing import TYPE_CHECKING, Any

from marin_build.errors import UsageError
from marin_build.pipeline.parameter_values import parse_value, type_of_default
from marin_build.text.readable import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable

_PAIR = 2


def with_part(value: Any, parts: list[str], text: str, name: str) -> Any:
    """Return a value with another part.

    Args:
        value: a dictionary, a dataclass or a pydantic model.
        parts: where the part is: keys or fields, outermost first.
        text: the text of the part, which is read by the type of its field, or of what it was.
        name: of the parameter, and of the parts above this one.

    Raises:
        UnfitError: the text does not fit.
        UsageError: there is no such part.

    """
    part, *rest = parts
    known = _parts_of(value)
    if known is None:
        raise UsageError(
            f"`{name}` has no parts: it is `{value!r}`",
            facts=[("given", f"--set {name}.{part}=...")],
            consequence="nothing was run",
        )
    if part not in known:
        raise UsageError(
            f"`{name}` has no part `{part}`",
            facts=[("given", f"--set {name}.{'.'.join(parts)}=..."), ("it has", ", ".join(known))],
            consequence="nothing was run",
            hint=did_you_mean(part, known),
        )
    old, kind = known[part]
    new = with_part(old, rest, text, f"{name}.{part}") if rest else parse_value(text, kind)
    if isinstance(value, dict):
        return {**value, part: new}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.replace(value, **{part: new})
    return value.model_copy(update={part: new})


def unknown_part(tree: Any, annotation: Any) -> str | None:
    """Return where JSON values have a name that their type does not have: `inner.depht`.

    Args:
        tree: JSON values.
        annotation: the type that they are to become. pydantic leaves out what it does not know.

    """
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return unknown_part(tree, args[0])
    if origin in (typing.Union, types.UnionType):
        found = [unknown_part(tree, arg) for arg in args if arg is not type(None)]
        return None if None in found or not found else found[0]
    match tree:
        case dict() if isinstance(annotation, type):
            fields = _fields_of(annotation)
            if fields is None:
                return None
            for key, item in tree.items():
                if key not in fields:
                    return str(key)
                if (inner := unknown_part(item, fields[key])) is not None:
                    return f"{key}.{inner}"
        case dict() if len(args) == _PAIR:
            return _first_unknown(tree.items(), args[1])
        case list() if args:
            return _first_unknown(enumerate(tree), args[0])
    return None


def _first_unknown(items: Iterable[tuple[Any, Any]], annotation: Any) -> str | None:
    for key, item in items:
        if (inner := unknown_part(item, annotation)) is not None:
            return f"{key}.{inner}"
    return None


def _fields_of(kind: type) -> dict[str, Any] | None:
    """Return the names that JSON for a type may have, with their types; None if it may have any."""
    try:
        hints = typing.get_type_hints(kind, include_extras=True)
    except Exception:  # noqa: BLE001 - an annotation may be any expression
        return None
    if dataclasses.is_dataclass(kind):
        return {field.name: hints.get(field.name) for field in dataclasses.fields(kind)}
    fields = getattr(kind, "model_fields", None)
    if fields is None or getattr(kind, "model_config", {}).get("extra") == "allow":
        return None
    aliases = {each.alias: hints.get(name) for name, each in fields.items() if each.alias}
    return {name: hints.get(name) for name in fields} | aliases


def _parts_of(value: Any) -> dict[str, tuple[Any, Any]] | None:
    """Return each part of a value and its type, by name; None if it has no parts."""
    if isinstance(value, dict):
        return {key: (item, type_of_default(item)) for key, item in value.items()}
    if isinstance(value, type):
        return None
    if dataclasses.is_dataclass(value):
        names = [field.name for field in dataclasses.fields(value) if field.init]
    elif hasattr(type(value), "model_fields"):
        names = list(type(value).model_fields)
    else:
        return None
    hints = typing.get_type_hints(type(value), include_extras=True)
    return {name: (getattr(value, name), hints.get(name)) for name in names}
