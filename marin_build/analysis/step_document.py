"""A step as JSON values, and back: every field but what only its function can tell.

The function itself, and what it reads from around it, are not kept: see kept_steps.py.
"""

from __future__ import annotations

import functools
import json
import math
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from marin_build.identity.attributes import FormerlyTagged
from marin_build.identity.canonical import TAGS, FrozenDict, FrozenList, Tagged
from marin_build.identity.payload import HASH_ID_LENGTH
from marin_build.pipeline.command import Command
from marin_build.pipeline.formulas import NOW
from marin_build.pipeline.output_file import OutputFile
from marin_build.pipeline.source import DeclaredSource, Source
from marin_build.pipeline.step_spec import StepSpec
from marin_build.redaction import without_secrets
from marin_build.untrusted_json import array, path_inside, table, text, whole

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Index = Callable[[StepSpec], int]
    StepAt = Callable[[int], StepSpec]


class NotKeptError(ValueError):
    """A pipeline declares something that cannot be kept; the message says what, for people."""


BUILT_BY_NOTHING, BUILT_BY_FUNCTION, BUILT_BY_OTHER_COMMAND = 0, 1, 2
"""How a document says what builds a step; a command that has a form as JSON stands there itself."""

_TEXTS = (
    "output_path_prefix",
    "override_output_path",
    "fingerprint_payload",
    "version",
    "expected_fingerprint",
    "description",
    "code",
)
_FLAGS = ("writes_record", "resumable", "temp", "keep")
_LISTS = ("outputs", "secrets", "detached", "tags")
_VALUES = ("resources", "retries")
DEFAULTS: Mapping[str, Any] = {
    each.name: each.default
    for each in fields(StepSpec)
    if each.name in (*_TEXTS, *_FLAGS, *_LISTS, *_VALUES, "timeout")
}
KEPT = frozenset(
    (*DEFAULTS, "name", "deps", "hash_attrs", "inputs", "env_vars", "budgets", "declared")
)
"""The fields that a document has."""
_CLASS = "class"
_PLAIN = frozenset((str, int, bool, type(None)))


def document_of(
    step: StepSpec, deps: Sequence[int], index_of: Index, code: str | None
) -> dict[str, Any]:
    """Return a step as JSON values.

    Args:
        step: its identity is known.
        deps: the targets that it needs, each once.
        index_of: returns the target that a step makes.
        code: the digest of its code; None for one that nothing builds.

    Raises:
        NotKeptError: it has something that has no form as JSON, or that must not be written down.

    """
    if step._formula != NOW or type(step.hash_attrs) is FormerlyTagged:  # noqa: SLF001 - no other module may say how a step is identified
        raise NotKeptError(f"`{step.name}` may keep an identity of a former formula")
    kept: dict[str, Any] = {**facts_of(step, code), "declared": list(step.declared)}
    for name, default in DEFAULTS.items():
        if (value := getattr(step, name)) is not default and value != default:
            kept[name] = _plain(value, f"{step.name}.{name}")
    if step.hash_attrs:
        kept["hash_attrs"] = _attribute(step.hash_attrs, f"{step.name}.attrs")
    if (own := [index_of(dep) for dep in step.deps]) != list(deps):
        kept["deps"] = own
    if step.inputs:
        kept["inputs"] = {key: _plain(each, step.name) for key, each in step.inputs.items()}
    if step.env_vars:
        if len(without_secrets(step.env_vars, step.secrets)) < len(step.env_vars):
            raise NotKeptError(f"`{step.name}` has a secret among its environment variables")
        kept["env_vars"] = _plain(step.env_vars, f"{step.name}.env_vars")
    if step.budgets:
        kept["budgets"] = _plain(step.budgets, f"{step.name}.budgets")
    if step.fn is not None:
        kept["fn"] = _command_or_function(step.fn, index_of)
        if files := step.files_read:
            kept["files_read"] = [_needed(file, index_of) for file in files]
    return kept


def facts_of(step: StepSpec, code: str | None) -> dict[str, Any]:
    """Return what a document has of a step besides its fields.

    Args:
        step: its identity is known.
        code: the digest of its code; None for one that nothing builds.

    """
    facts: dict[str, Any] = {"payload": step.payload}
    if step.hash_id != step.fingerprint[:HASH_ID_LENGTH]:
        facts["hash_id"] = step.hash_id
    if step.name_with_hash != f"{step.name}_{step.hash_id}":
        facts["name_with_hash"] = step.name_with_hash
    if step.may_name_places != step.has_recipe:
        facts["may_name_places"] = step.may_name_places
    if code is not None:
        facts |= {"fn": BUILT_BY_FUNCTION, "code_digest": code}
    return facts


def _command_or_function(fn: object, index_of: Index) -> Any:
    if type(fn) is not Command:
        return BUILT_BY_FUNCTION
    try:
        return {
            "text": fn.text if isinstance(fn.text, str) else list(fn.text),
            "deps": {key: _needed(value, index_of) for key, value in fn.deps.items()},
            "inputs": {key: _plain(value, key) for key, value in fn.inputs.items()},
            "params": _attribute(fn.params, "params"),
            "declared_in": fn.declared_in,
        }
    except NotKeptError:
        return BUILT_BY_OTHER_COMMAND


def _needed(value: object, index_of: Index) -> Any:
    match value:
        case OutputFile(step=step, path=path):
            return [index_of(step), path]
        case StepSpec():
            return index_of(value)
        case tuple():
            return {"each": [_needed(item, index_of) for item in value]}
    raise NotKeptError("a command that needs something else than steps")


def _plain(value: Any, where: str) -> Any:
    """Return a value of a step's field as JSON; one of our own classes with its name."""
    kind = type(value)
    if kind in _PLAIN or (kind is float and math.isfinite(value)):
        return value
    if kind is dict or kind is FrozenDict:
        if all(type(key) is str for key in value) and _CLASS not in value:
            return {key: _plain(item, where) for key, item in value.items()}
    elif kind in (tuple, list, FrozenList):
        return [_plain(item, where) for item in value]
    elif kind is DeclaredSource or kind in _classes().values():
        given = {each.name: getattr(value, each.name) for each in fields(value)}
        return {_CLASS: kind.__name__, **{key: _plain(it, where) for key, it in given.items()}}
    raise NotKeptError(f"`{where}` holds a {kind.__name__}")


@functools.cache
def _classes() -> Mapping[str, type]:
    """Return our classes that fields of steps hold; most steps of most pipelines have none."""
    from marin_build.pipeline import resources
    from marin_build.pipeline.retries import Retries
    from marin_build.pipeline.tpu_slices import TpuSlice

    devices = (
        resources.CpuDevice,
        resources.GpuDevice,
        resources.TpuDevice,
        resources.OwnTpuDevice,
    )
    kinds = (resources.ResourceConfig, *devices, TpuSlice, Retries, Source)
    return {kind.__name__: kind for kind in kinds}


def _attribute(value: Any, where: str) -> Any:
    """Return an attribute as JSON that `_attribute_of` can read back."""
    kind = type(value)
    if kind in _PLAIN or (kind is float and math.isfinite(value)):
        return value
    if kind in (FrozenDict, Tagged):
        if all(type(key) is str for key in value):
            return {key: _attribute(item, where) for key, item in value.items()}
    elif kind in (tuple, FrozenList):
        return [_attribute(item, where) for item in value]
    raise NotKeptError(f"`{where}` holds a {kind.__name__} that JSON would not give back")


def fields_of(
    document: Mapping[str, Any], name: str, deps: Sequence[int], step_at: StepAt
) -> dict[str, Any]:
    """Return the fields of a step by name, `fn` only if no function has to be loaded for it.

    Args:
        document: of `document_of`, read from a file.
        name: the step's.
        deps: the targets that it needs, each once.
        step_at: returns the step of a target.

    Raises:
        ValueError: the document is damaged.
        MarinBuildError: it has an illegal value.

    """
    found = dict(DEFAULTS)
    for key in _TEXTS:
        if key in document:
            found[key] = text(document[key])
    for key in (*_FLAGS, "timeout"):
        if key in document:
            found[key] = document[key]
    for key in _LISTS:
        if key in document:
            found[key] = tuple(text(item) for item in array(document[key]))
    for key in _VALUES:
        if key in document:
            found[key] = _value_of(document[key])
    found["name"] = name
    found["deps"] = FrozenList(step_at(whole(it)) for it in document.get("deps", deps))
    found["hash_attrs"] = _attribute_of(table(document.get("hash_attrs", {})))
    for key in ("inputs", "env_vars", "budgets"):
        given = table(document.get(key, {}))
        found[key] = FrozenDict({each: _value_of(value) for each, value in given.items()})
    file, line = array(document["declared"])
    found["declared"] = (text(file), whole(line))
    fn = document.get("fn", BUILT_BY_NOTHING)
    if fn == BUILT_BY_NOTHING:
        found["fn"] = None
    elif fn not in (BUILT_BY_FUNCTION, BUILT_BY_OTHER_COMMAND):
        found["fn"] = _command_of(table(fn), step_at)
    return found


def files_of(document: Mapping[str, Any], step_at: StepAt) -> tuple[OutputFile, ...]:
    """Return the files of other outputs that a step reads; raises as `fields_of`."""
    return tuple(_needed_of(file, step_at) for file in array(document.get("files_read", [])))


def _command_of(document: Mapping[str, Any], step_at: StepAt) -> Command:
    words = document["text"]
    return Command(
        words if isinstance(words, str) else tuple(text(word) for word in array(words)),
        FrozenDict({k: _needed_of(v, step_at) for k, v in table(document["deps"]).items()}),
        FrozenDict({key: _value_of(it) for key, it in table(document["inputs"]).items()}),
        _attribute_of(table(document["params"])),
        document["declared_in"],
    )


def _needed_of(value: object, step_at: StepAt) -> Any:
    match value:
        case dict():
            return tuple(_needed_of(item, step_at) for item in array(value["each"]))
        case [index, path]:
            return OutputFile(step_at(whole(index)), path_inside(path))
    return step_at(whole(value))


def _value_of(value: Any) -> Any:
    match value:
        case dict() if _CLASS in value:
            kind = _classes()[text(value[_CLASS])]
            given = {key: _value_of(item) for key, item in value.items() if key != _CLASS}
            return kind(**given)
        case dict():
            return FrozenDict({key: _value_of(item) for key, item in value.items()})
        case list():
            return tuple(_value_of(item) for item in value)
    return value


def _attribute_of(value: Any) -> Any:
    match value:
        case dict():
            kind = FrozenDict if TAGS.isdisjoint(value) else Tagged
            return kind({key: _attribute_of(item) for key, item in value.items()})
        case list():
            return FrozenList(_attribute_of(item) for item in value)
    return value


def written(document: Mapping[str, Any]) -> bytes:
    """Return a document as one line of JSON."""
    return json.dumps(document, separators=(",", ":"), allow_nan=False).encode("ascii")
