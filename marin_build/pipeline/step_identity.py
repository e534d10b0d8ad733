"""What of a step is hashed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from marin_build.identity.attributes import former_attributes
from marin_build.identity.callables import Bound, CountsByName
from marin_build.identity.payload import HASH_ID_LENGTH, fingerprint_of, payload_text
from marin_build.pipeline.dependencies_first import dependencies_first
from marin_build.pipeline.formulas import FIRST, NOW
from marin_build.pipeline.output_file import OutputFile
from marin_build.pipeline.recipe import attributes_of_recipe
from marin_build.pipeline.source import Source
from marin_build.pipeline.source_digests import source_identity
from marin_build.workspace.workspace import joins_identity

if TYPE_CHECKING:
    from collections.abc import Mapping

    from marin_build.pipeline.formulas import Formula


def payload_of(step: Any, formula: Formula) -> str:
    """Return the payload of a step under a formula.

    Args:
        step: a StepSpec, whose module imports this one. Its dependencies have their fingerprints.
        formula: which of the formulas.

    """
    fn, code, bind, command = step.fn, None, None, None
    if isinstance(fn, Bound):
        bind, command = _names_of(fn.bound(), formula), fn.template
    if fn is not None and command is None and joins_identity(step.code, step.declared[0]):
        from marin_build.identity.code.digest import code_digest

        code = code_digest(fn, step.declared[0])
    inputs = None
    if step.inputs:
        inputs = dict(source_identity(source, formula) for source in step.inputs.values())
    has_recipe = step.version is not None and step.has_recipe
    if has_recipe:
        attrs: Mapping[str, Any] = attributes_of_recipe(step.fingerprint_payload)
    else:
        attrs = step.hash_attrs if formula == NOW else former_attributes(step.hash_attrs)
    return payload_text(
        step.name,
        attrs,
        dependency_names(step),
        bind=bind,
        command=command,
        inputs=inputs,
        code=code,
    )


def dependency_names(step: Any) -> list[str]:
    """Return how the identity of a step names its dependencies, in the order declared.

    A dependency with a recipe is `name@version` in another recipe, as in Marin's; in any other step
    it has the hash of its attributes, as in Marin's, too: so what Marin built is found.
    """
    if step.version is not None and step.has_recipe:
        return [dep.target_id for dep in step.deps]
    return [
        dep.target_id if dep.version is None or not dep.has_recipe else dep.name_with_hash
        for dep in step.deps
    ]


def hash_of_attributes(step: Any) -> str:
    """Return the hash of a step with a recipe by its attributes alone; it is computed once."""
    for each in dependencies_first([step], lambda one: not one.has_recipe or one.attributes_hash):
        names = [dep.name_with_hash for dep in each.deps]
        hashed = fingerprint_of(payload_text(each.name, each.hash_attrs, names))
        object.__setattr__(each, "attributes_hash", hashed[:HASH_ID_LENGTH])
    known: str = step.attributes_hash
    return known


def _names_of(value: object, formula: Formula) -> Any:
    """Return a tree of steps and sources as a tree of their identities."""
    match value:
        case Source():
            return f"source:{value.name_1 if formula == FIRST else value.name}"
        case OutputFile(step=step, path=path):  # no id has a `:`, so it is like no other tree
            return {"path": f"file:{path}", "step": step.target_id}
        case CountsByName() as step:
            return step.target_id  # type: ignore[attr-defined]
        case dict():
            return {key: _names_of(item, formula) for key, item in value.items()}
        case list() | tuple():
            return [_names_of(item, formula) for item in value]
    return value
