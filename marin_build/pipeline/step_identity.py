"""What of a step is hashed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from marin_build.identity.attributes import former_attributes
from marin_build.identity.callables import Bound, CountsByName
from marin_build.identity.payload import payload_text
from marin_build.pipeline.formulas import FIRST, NOW
from marin_build.pipeline.source import Source
from marin_build.pipeline.source_digests import source_identity
from marin_build.workspace.workspace import joins_identity

if TYPE_CHECKING:
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
    return payload_text(
        step.name,
        step.hash_attrs if formula == NOW else former_attributes(step.hash_attrs),
        [dep.target_id for dep in step.deps],
        bind=bind,
        command=command,
        inputs=inputs,
        code=code,
    )


def _names_of(value: object, formula: Formula) -> Any:
    """Return a tree of steps and sources as a tree of their identities."""
    match value:
        case Source():
            return f"source:{value.name_1 if formula == FIRST else value.name}"
        case CountsByName() as step:
            return step.target_id  # type: ignore[attr-defined]
        case dict():
            return {key: _names_of(item, formula) for key, item in value.items()}
        case list() | tuple():
            return [_names_of(item, formula) for item in value]
    return value
