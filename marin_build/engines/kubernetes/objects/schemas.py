"""The schemas of Job and JobSet: what a server cannot read, and what it reads of the rest."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from marin_build.engines.kubernetes.objects.violation import (
    INVALID,
    UNREADABLE,
    Fields,
    Violation,
    shown,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from jsonschema import Draft7Validator, ValidationError

_JOB = "job-batch-v1.standalone-strict.json"
SCHEMAS = {
    ("batch/v1", "Job"): _JOB,
    ("jobset.x-k8s.io/v1alpha2", "JobSet"): "jobset-v1alpha2-v0.12.0.standalone-strict.json",
}
"""Version and kind of an object -> the file of its schema, in `schemas/`."""

_EMPTY: Mapping[str, Any] = {"object": {}, "array": [], "string": "", "boolean": False}
_WIDTHS = {"int32": 1 << 31, "int64": 1 << 63}
_SENTENCES = {
    "maxItems": "holds more than {} items",
    "minimum": "is below {}",
    "minLength": "is shorter than {} characters",
    "maxLength": "is longer than {} characters",
    "pattern": "does not look like `{}`",
}


def read_object(manifest: Mapping[str, Any], file: str) -> tuple[Fields, list[Violation]]:
    """Return an object as a server reads it, and what is wrong with its shape.

    Fields of a wrong type or name are not in the object that is returned, and a null is no field.
    """
    read: Fields = _without_nulls(manifest)
    schema = schema_of(file)
    shape = _shape_of(read, schema.words)
    if shape in schema.sound and "status" not in read:
        return read, []
    errors = sorted(schema.validator.iter_errors(read), key=_place)
    if not errors:
        schema.sound.add(shape)
    # A list of all that is missing comes once for each.
    found = dict.fromkeys(one for error in errors for one in _violations_of(error))
    for error in errors:
        if error.validator != "required":
            _take_out(read, error)
    return read, list(found)


def _place(error: ValidationError) -> str:
    return path_of(error.absolute_path)


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {_key(key): _without_nulls(one) for key, one in value.items() if one is not None}
    if isinstance(value, list | tuple):
        return [_without_nulls(one) for one in value]
    return value


def _key(key: object) -> str:
    """Return a key of YAML as the key of JSON that is sent to a server."""
    return key if isinstance(key, str) else json.dumps(key, default=str)


def _violations_of(error: ValidationError) -> Iterator[Violation]:
    """Yield what a schema found, in our words: the library's would tell of schemas."""
    path, expected = path_of(error.absolute_path), cast("Any", error.validator_value)
    match str(error.validator):
        case "additionalProperties":
            for key in _extra(error):
                yield Violation(path_of([*error.absolute_path, key]), "is unknown", UNREADABLE)
        case "required":
            present = cast("Fields", error.instance)
            for key in expected:
                if key not in present:
                    yield Violation(path_of([*error.absolute_path, key]), "is missing", INVALID)
        case "enum":
            words = ", ".join(map(str, expected))
            yield Violation(path, f"{shown(error.instance)} is none of {words}", INVALID)
        case "type":
            what = f"{_value(error.instance)} is not {_types_of(error.schema)}"
            yield Violation(path, what, UNREADABLE)
        case "oneOf" | "anyOf":
            types = " or ".join(map(_types_of, expected))
            yield Violation(path, f"{_value(error.instance)} is not {types}", UNREADABLE)
        case "format":
            what = (
                f"{shown(error.instance)} is not an integer of {expected.removeprefix('int')} bits"
            )
            yield Violation(path, what, UNREADABLE)
        case rule:
            sentence = _SENTENCES.get(rule, "breaks its schema").format(expected)
            yield Violation(path, f"{_value(error.instance)} {sentence}", INVALID)


def _extra(error: ValidationError) -> list[str]:
    known = cast("Any", error.schema).get("properties", {})
    return [key for key in cast("Fields", error.instance) if key not in known]


def _types_of(schema: Any) -> str:
    """Return the types that a schema allows, in words; null stands for no value at all."""
    types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    return " or ".join(f"an {one}" if one[0] in "aio" else f"a {one}" for one in _given(types))


def _given(types: list[str]) -> list[str]:
    return [one for one in types if one != "null"]


def _value(value: object) -> str:
    """Return a value for a message about its type: a number with quotes is another thing."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "an array"
    return shown(json.dumps(value) if isinstance(value, bool | str) else value)


def _take_out(read: Fields, error: ValidationError) -> None:
    """Take what a server could not read out of an object, for the rules that come after."""
    *above, last = (*error.absolute_path,) or (None,)
    parent: Any = read
    for key in above:
        parent = parent[key]
    if error.validator == "additionalProperties":
        place = parent if last is None else parent[last]
        for key in _extra(error):
            place.pop(key, None)
    elif isinstance(parent, list):  # the others keep their places
        types = cast("Any", error.schema).get("type", "")
        parent[cast("int", last)] = _EMPTY.get(types[0] if isinstance(types, list) else types, 0)
    else:
        parent.pop(last, None)


def path_of(keys: Iterable[Any]) -> str:
    """Return a path as an API server writes it: `spec.template.spec.containers[0].image`."""
    text = ""
    for key in keys:
        text += f"[{key}]" if isinstance(key, int) else f".{key}"
    return text.removeprefix(".")


@dataclass(frozen=True, slots=True)
class Schema:
    """What holds objects against a schema of the package.

    Args:
        validator: finds what breaks it.
        words: the texts that it tells from others, of enumerations.
        sound: shapes of objects that do not break it. Manifests of a plan have few shapes, and
            finding one is quicker than validating by a factor of five. Only in `status`, which
            servers write, the schemas have other rules for texts.

    """

    validator: Draft7Validator
    words: frozenset[str]
    sound: set[Any]


@functools.cache
def schema_of(file: str) -> Schema:
    """Return the schema of a file in `schemas/`."""
    from importlib import resources

    from jsonschema import Draft7Validator, FormatChecker

    folder = resources.files("marin_build.engines.kubernetes").joinpath("schemas")
    schema, job = (json.loads(folder.joinpath(one).read_text("utf-8")) for one in (file, _JOB))
    # A CRD says nothing of metadata, which all objects have alike.
    schema["properties"]["metadata"] = job["properties"]["metadata"]
    formats = FormatChecker(formats=())
    for name, most in _WIDTHS.items():
        formats.checks(name)(functools.partial(_fits, most))
    validator = Draft7Validator(schema, format_checker=formats)
    return Schema(validator, frozenset(_words_of(schema)), set())


def _words_of(schema: Any) -> Iterator[str]:
    """Yield the words of all enumerations in a schema."""
    if isinstance(schema, dict):
        words = schema.get("enum", ())
        yield from words if isinstance(words, list) else ()
    if isinstance(schema, dict | list):
        for part in schema.values() if isinstance(schema, dict) else schema:
            yield from _words_of(part)


def _shape_of(value: Any, words: frozenset[str]) -> Any:
    """Return a value without its texts, except those that a schema tells from others."""
    if isinstance(value, dict):
        return dict, *[(key, _shape_of(one, words)) for key, one in value.items()]
    if isinstance(value, list):
        return list, *[_shape_of(one, words) for one in value]
    if isinstance(value, str):
        return value if value in words else str
    return type(value), value


def _fits(most: int, value: object) -> bool:
    return not isinstance(value, int) or -most <= value < most
