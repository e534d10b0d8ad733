"""From the text of a `--set` to a value, by the type of the parameter; nothing is rounded. Pure.

A text that is a number in another form than ours (`1e3`, `1.10`) is one only if the type says so.
"""

from __future__ import annotations

import datetime as dt
import decimal
import json
import math
import re
import typing
from typing import Any, NoReturn

from marin_build.errors import SpecificationError
from marin_build.identity.secret import Secret, is_secret_type
from marin_build.pipeline.type_words import expected

_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]+)?")
_LONGEST_NUMBER = 400
"""Characters; a float needs no more, and a longer text is no number that a person wrote."""
_SAID_BY_PYDANTIC = frozenset({
    "greater_than", "greater_than_equal", "less_than", "less_than_equal", "multiple_of",
    "string_too_short", "string_too_long", "string_pattern_mismatch", "too_short", "too_long",
    "missing", "extra_forbidden", "value_error", "assertion_error", "unexpected_keyword_argument",
})  # fmt: skip
"""Kinds of errors whose words say more than what type is expected."""


_REFERENCE = "a reference to a secret: env:NAME, or file:PATH"


class UnfitError(ValueError):
    """A text is no value of a type; `reason` says why where that is not plain."""

    def __init__(self, wanted: str, reason: str = "", *, is_secret: bool = False) -> None:
        """Say what was expected; what was given may be `is_secret`."""
        self.wanted, self.reason, self.is_secret = wanted, reason, is_secret
        super().__init__(f"expected {wanted}" + (f": {reason}" if reason else ""))


def parse_value(text: str, annotation: Any) -> Any:
    """Return the value of a text.

    Args:
        text: as it was given.
        annotation: the type; None: there is none, and the text is JSON or a text.

    Raises:
        UnfitError: it does not fit the annotation, or would be rounded; a ValueError.

    """
    if annotation is str:
        return text
    if annotation is None or annotation is Any:
        return untyped_value(text)
    if is_secret_type(annotation):
        if text == "null" and type(None) in typing.get_args(annotation):
            return None
        try:
            return Secret(text)
        except SpecificationError:
            why = "what was given may be the secret itself"
            raise UnfitError(_REFERENCE, why, is_secret=True) from None
    if annotation is int:
        try:
            return int(text)
        except ValueError:
            raise UnfitError(expected(int), _why_not_whole(text)) from None
    if annotation is float:
        return _float(text)
    return _typed(text, annotation)


def fitted_value(text: str, annotation: Any) -> Any:
    """Return the value of a text that is JSON.

    Args:
        text: JSON.
        annotation: the type; None: there is none.

    Raises:
        UnfitError: it is no JSON, or does not fit the annotation.

    """
    try:
        value = strict_json(text)
    except (ValueError, RecursionError) as error:
        raise UnfitError("JSON", str(error)) from None
    if annotation is None or annotation is Any:
        return value
    if is_secret_type(annotation):
        if value is None and type(None) in typing.get_args(annotation):
            return None
        raise UnfitError(_REFERENCE, "what was given may be the secret itself", is_secret=True)
    from pydantic import PydanticUserError, TypeAdapter, ValidationError

    wanted = expected(annotation)
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(annotation)
        return adapter.validate_json(json.dumps(value))
    except PydanticUserError:
        raise UnfitError(wanted, "no JSON can be one") from None
    except ValidationError as error:
        raise UnfitError(wanted, _reason(error)) from None


def type_of_default(default: object) -> Any:
    """Return the type that a default stands for; None where it says nothing."""
    return None if default is None else type(default)


def untyped_value(text: str) -> Any:
    """Return JSON values, or the text itself where it is none.

    Raises:
        UnfitError: it may be a text or a number.

    """
    if _NUMBER.fullmatch(text):
        try:
            value = json.loads(text)
        except ValueError:  # `007`, `+1`, `1.`, too many digits
            return text
        if json.dumps(value) != text:
            raise UnfitError(
                "a text or a number, and this can be either",
                "annotate the parameter: `str` keeps the text as it is",
            )
        return value
    if text in ("NaN", "Infinity", "-Infinity"):
        return text
    try:
        return strict_json(text)
    except _InexactError as error:
        raise UnfitError("JSON", str(error)) from None
    except (ValueError, RecursionError):
        return text


def _float(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise UnfitError(expected(float)) from None
    _check_exact(text, value)
    return value


def _check_exact(text: str, value: float) -> None:
    """Refuse a number that a float does not hold.

    Raises:
        UnfitError: it would be rounded, become infinite or zero.

    """
    plain = text.strip().replace("_", "")
    if not _NUMBER.fullmatch(plain) and not plain.lstrip("+-").startswith("."):
        return  # `inf` and `nan` are what they say
    if not math.isfinite(value):
        raise UnfitError(expected(float), "it is larger than the largest float, about 1.8e308")
    if len(plain) > _LONGEST_NUMBER or decimal.Decimal(plain) != decimal.Decimal(repr(value)):
        raise UnfitError(expected(float), f"a float would round it to {value!r}")


class _InexactError(ValueError):
    """A part of a JSON text would not be what is written there."""


def _exact_float(text: str) -> float:
    value = float(text)
    try:
        _check_exact(text, value)
    except UnfitError as error:
        raise _InexactError(f"{text[:40]}: {error.reason}") from None
    return value


def _no_constant(text: str) -> NoReturn:
    raise _InexactError(f"{text} is no JSON")


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = next(key for key, _ in pairs if sum(key == other for other, _ in pairs) > 1)
        raise _InexactError(f"the key `{twice}` is there twice")
    return found


def strict_json(text: str) -> Any:
    """Return JSON values, exactly those that are written.

    Raises:
        ValueError: it is no JSON, or a number or a key would be lost.

    """
    return json.loads(
        text,
        parse_float=_exact_float,
        parse_constant=_no_constant,
        object_pairs_hook=_each_once,
    )


def _typed(text: str, annotation: Any) -> Any:
    from pydantic import PydanticUserError, TypeAdapter, ValidationError

    try:
        adapter: TypeAdapter[Any] = TypeAdapter(annotation)
    except PydanticUserError:
        name = getattr(annotation, "__name__", annotation)
        raise UnfitError(f"a {name}", "no text can be one") from None
    wanted = expected(annotation)
    try:
        return _checked(text, adapter.validate_strings(text), wanted)
    except ValidationError as error:
        as_text = error
    try:
        tree = strict_json(text)
    except _InexactError as error:
        raise UnfitError(wanted, str(error)) from None
    except (ValueError, RecursionError):
        raise UnfitError(wanted, _reason(as_text)) from None
    try:
        return _checked(text, adapter.validate_json(json.dumps(tree)), wanted)
    except ValidationError as error:
        raise UnfitError(wanted, _reason(error) or _reason(as_text)) from None


def _checked(text: str, value: Any, wanted: str) -> Any:
    """Return a value that pydantic read, unless it is another one than was written."""
    if type(value) is float:
        _check_exact(text, value)
    if isinstance(value, dt.date | dt.time) and _NUMBER.fullmatch(text):
        raise UnfitError(wanted, "a bare number is none")  # else it counts as seconds since 1970
    return value


def _reason(error: Any) -> str:
    """Return what pydantic says beyond the type, with the place inside the value."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"] if isinstance(part, str | int))
    is_telling = first["type"] in _SAID_BY_PYDANTIC
    if not where and not is_telling:
        return ""
    words = str(first["msg"]).lower().replace("json", "JSON").replace("input should", "it should")
    return f"`{where}`: {words}" if where else words


def _why_not_whole(text: str) -> str:
    if len(text) > _LONGEST_NUMBER:
        return "it has too many digits"
    try:
        value = float(text)
    except ValueError:
        return ""
    return "" if math.isfinite(value) and value.is_integer() else "it is not whole"
