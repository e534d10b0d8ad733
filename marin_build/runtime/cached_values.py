"""Values that `disk_cache` keeps without pickle: a text that is read back equal, type for type.

Reading it makes plain values and arrays of numpy, and runs nothing. A dataclass or a model is read
by the type that the function says it returns.
"""

from __future__ import annotations

import base64
import io
import json
import math
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from marin_build.untrusted_json import DEEPEST, array, parse_json, table, text

if TYPE_CHECKING:
    from collections.abc import Callable


_PLAIN = (str, bool, int, type(None))
_MANY: dict[type, str] = {list: "list", tuple: "tuple", set: "set", frozenset: "frozenset"}
_OF_NAME: dict[str, Callable[[Any], Any]] = {
    "list": list, "tuple": tuple, "set": set, "frozenset": frozenset,
}  # fmt: skip


class UnkeepableError(TypeError):
    """A value has no form here; its text says which part, as `complex`."""


def encoded(value: object, annotation: Callable[[], Any]) -> bytes:
    """Return a value as JSON.

    Args:
        value: any value.
        annotation: called for the type it is declared to have, where it is not plain.

    Raises:
        UnkeepableError: it has no form that is read back equal.

    """
    try:
        tree: object = _tree(value)
    except UnkeepableError:
        typed = _typed(value, annotation())
        if typed is None:
            raise
        tree = ["typed", typed]
    return json.dumps({"schema_version": 1, "value": tree}).encode()


def decoded(data: bytes, annotation: Callable[[], Any]) -> Any:
    """Return the value in JSON that `encoded` made.

    Raises:
        ValueError: it made none of that.

    """
    document = table(parse_json(data))
    if document.get("schema_version") != 1 or "value" not in document:
        raise ValueError("it is no value that was kept by this version")
    tree = document["value"]
    if isinstance(tree, list) and tree[:1] == ["typed"]:
        from pydantic import TypeAdapter

        return TypeAdapter(annotation()).validate_json(json.dumps(tree[1]))
    return _value(tree)


def _tree(value: object, depth: int = 0) -> object:
    kind = type(value)
    if kind in _PLAIN:
        return _unicode(value) if kind is str else value
    if 3 * depth > DEEPEST - 10:  # a dictionary takes three levels
        raise UnkeepableError("a value that is nested too deeply, or contains itself")
    if kind is float:
        return value if math.isfinite(value) else ["float", str(value)]  # type: ignore[arg-type]
    if kind in _MANY:
        return [_MANY[kind], [_tree(part, depth + 1) for part in value]]  # type: ignore[attr-defined]
    if kind is dict:
        pairs = value.items()  # type: ignore[attr-defined]
        return ["dict", [[_tree(k, depth + 1), _tree(v, depth + 1)] for k, v in pairs]]
    if kind is bytes:
        return ["bytes", base64.b64encode(value).decode()]  # type: ignore[arg-type]
    if isinstance(value, PurePath) and kind is type(Path()):
        return ["path", _unicode(str(value))]
    if kind.__module__ == "numpy" and hasattr(value, "dtype"):
        return _numbers(value)
    raise UnkeepableError(f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins."))


def _unicode(value: Any) -> Any:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise UnkeepableError("a text that is no Unicode") from None
    return value


def _numbers(value: Any) -> object:
    """Return an array or a number of numpy, without what only pickle can save."""
    import numpy as np

    if value.dtype.hasobject:
        raise UnkeepableError(f"numpy.ndarray of {value.dtype}")
    stream = io.BytesIO()
    np.save(stream, value, allow_pickle=False)
    is_scalar = isinstance(value, np.generic)
    return ["number" if is_scalar else "array", base64.b64encode(stream.getvalue()).decode()]


def _value(tree: object) -> Any:
    if not isinstance(tree, list):
        if isinstance(tree, dict):
            raise ValueError("an object without a kind")  # noqa: TRY004 - all that is wrong is that
        return tree
    kind, inner = tree if len(tree) == 2 else ("", None)  # noqa: PLR2004 - a kind and a value
    try:
        match kind:
            case "list" | "tuple" | "set" | "frozenset":
                return _OF_NAME[kind](map(_value, array(inner)))
            case "dict":
                return {_value(key): _value(part) for key, part in array(inner)}
            case "float":
                return float(text(inner))
            case "bytes":
                return base64.b64decode(text(inner), validate=True)
            case "path":
                return Path(text(inner))
            case "array" | "number":
                import numpy as np

                stream = io.BytesIO(base64.b64decode(text(inner), validate=True))
                found = np.load(stream, allow_pickle=False)
                return found if kind == "array" else found[()]
    except (TypeError, EOFError) as error:  # a list as a key
        raise ValueError(str(error)) from None
    raise ValueError(f"a value of an unknown kind, {kind!r}")


def _typed(value: object, annotation: Any) -> Any:
    """Return a value as JSON, if the type it is declared to have reads it back equal; else None."""
    if annotation is None:
        return None
    from pydantic import TypeAdapter

    try:
        adapter: TypeAdapter[Any] = TypeAdapter(annotation)
        data = adapter.dump_json(value, warnings="error")
        read = adapter.validate_json(data)
    except Exception:  # noqa: BLE001 - whatever a model of the user raises: it has no form
        return None
    return json.loads(data) if type(read) is type(value) and bool(read == value) else None
