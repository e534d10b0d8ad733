"""An artifact as a StepSpec: its version is the step's, its recipe the step's identity."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from marin_build.compat.fingerprint import fingerprint_hash
from marin_build.compat.lazy.body import ArtifactBody
from marin_build.compat.versions import is_mutable_version
from marin_build.errors import FingerprintMismatchError, SpecificationError
from marin_build.pipeline.caught_run import program_file
from marin_build.pipeline.declared_at import shown_here
from marin_build.pipeline.dependencies_first import dependencies_first
from marin_build.pipeline.step_spec import StepSpec
from marin_build.runtime.remote import RemoteCallable

if TYPE_CHECKING:
    from marin_build.compat.artifact import Artifact
    from marin_build.compat.lazy.handle import Handle


def lower(handle: Handle[Any]) -> StepSpec:
    """Return the step of an artifact; of one artifact it is always the same one.

    Its `hash_attrs` are those of Marin: `fingerprint`, `version`, `result_type`, `deps`, and
    `expected_fingerprint` if one is pinned.

    Raises:
        FingerprintMismatchError: another fingerprint is pinned.
        SpecificationError: a fixed version needs one that is built anew each time; a ValueError.

    """
    for each in dependencies_first([handle], _is_lowered):
        each.__dict__["_step"] = _lowered(each)
    return _step_of(handle)


def _is_lowered(handle: Handle[Any]) -> bool:
    return "_step" in handle.__dict__


def _step_of(handle: Handle[Any]) -> StepSpec:
    step: StepSpec = handle.__dict__["_step"]
    return step


def _lowered(handle: Handle[Any]) -> StepSpec:
    """Return the step of an artifact whose dependencies have theirs."""
    payload = handle.fingerprint_payload()
    fingerprint = fingerprint_hash(payload)
    _refuse_other_pin(handle, fingerprint)
    _refuse_mutable_deps(handle)
    dep_ids = [dep.identity for dep in handle.deps]
    result_type = _recorded_name(handle.artifact_type)
    body = ArtifactBody(handle, payload, fingerprint, result_type, tuple(dep_ids))
    fn = handle.run  # a function that runs elsewhere does so with our body in it
    attrs: dict[str, Any] = {
        "fingerprint": fingerprint,
        "version": handle.version,
        "result_type": result_type,
        "deps": dep_ids,
    }
    if handle.expected_fingerprint is not None:
        attrs["expected_fingerprint"] = handle.expected_fingerprint
    return StepSpec(
        handle.name,
        deps=[_step_of(dep) for dep in handle.deps],
        hash_attrs=attrs,
        override_output_path=handle.override_path or f"{handle.name}/{handle.version}",
        fn=replace(fn, fn=body) if isinstance(fn, RemoteCallable) else body,
        fingerprint_payload=payload,
        writes_record=True,
        version=handle.version,
        outputs=(),  # the record is all that must be there, and at a chosen path not even that
        declared=handle.place,
    )


def _recorded_name(kind: type[Artifact]) -> str:
    """Return the name that records keep of a class: in a program's own file `__main__.Name`.

    Python gives it that name when it runs the file, and Marin then loads no other one.
    """
    from marin_build.compat.artifact import SCRIPT, result_type_name

    module, program = sys.modules.get(kind.__module__), program_file()
    if program is not None and getattr(module, "__file__", None) == program:
        return f"{SCRIPT}.{kind.__qualname__}"
    return result_type_name(kind)


def _refuse_other_pin(handle: Handle[Any], fingerprint: str) -> None:
    if handle.expected_fingerprint in (None, fingerprint):
        return
    raise FingerprintMismatchError(
        f"`{handle.identity}` has the fingerprint {fingerprint}, but "
        f"{handle.expected_fingerprint} is pinned",
        facts=[("declared", shown_here(handle.place))],
        consequence="nothing was run",
        hint="the recipe changed: pin its new fingerprint, and give another artifact another "
        "version",
    )


def _refuse_mutable_deps(handle: Handle[Any]) -> None:
    if is_mutable_version(handle.version):
        return
    for dep in handle.deps:
        if is_mutable_version(dep.version):
            raise SpecificationError(
                f"`{handle.identity}` has a fixed version, and needs the mutable `{dep.identity}`",
                facts=[("declared", shown_here(handle.place))],
                consequence="nothing was run",
                hint="a dev version is built anew each time: give this one a dev version, too, or "
                "a fixed one to what it needs",
            )
