"""All rules about steps that need no other process and no engine."""

from __future__ import annotations

import inspect
import json
import os
from typing import TYPE_CHECKING

from marin_build.identity.canonical import Tagged
from marin_build.identity.code.digest import code_of
from marin_build.pipeline.bound_call import BoundCall
from marin_build.pipeline.command import Command
from marin_build.pipeline.lint.findings import Finding
from marin_build.pipeline.lint.twins import twins
from marin_build.pipeline.lint.unused_values import place_of, python_function, unused_values
from marin_build.pipeline.undeclared_files import find_undeclared, texts_in, way_out
from marin_build.text.readable import printable, shortened
from marin_build.text.secret_shapes import without_secret
from marin_build.workspace.places import is_url

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from marin_build.pipeline.step_spec import StepSpec
    from marin_build.workspace.workspace import Workspace

_NO_SOURCE = " has no source"
_BUCKETS = ("gs://", "s3://", "az://", "abfs://", "abfss://")


def check_steps(steps: Sequence[StepSpec], workspace: Workspace) -> Iterator[Finding]:
    """Yield what is probably a mistake in steps.

    Args:
        steps: their fingerprints are known.
        workspace: that of the pipeline.

    """
    for step in steps:
        yield from unused_values(step)
        yield from untyped_output(step)
        yield from outside_paths(step, workspace)
        yield from unseen_code(step, workspace)
    for found in find_undeclared(steps, workspace):
        step = found.step
        hint = found.way_out or "declare it with `inputs=...`, and name it by its placeholder"
        yield Finding("undeclared-file", (step.name,), step.declared, found.what, hint)
    yield from twins(steps)


def untyped_output(step: StepSpec) -> Iterator[Finding]:
    """Yield a finding if the function of a step does not say what its `output` is."""
    function = python_function(step.fn.function) if isinstance(step.fn, BoundCall) else None
    if function is None:
        return
    first = next(iter(inspect.signature(function).parameters.values()))
    if first.annotation is inspect.Parameter.empty:
        yield Finding(
            "untyped-output",
            (step.name,),
            place_of(function, step),
            "the function has no type for `output`, which is a `str` then",
            "write `output: Path`, or `output: str`",
        )


def outside_paths(step: StepSpec, workspace: Workspace) -> Iterator[Finding]:
    """Yield a finding for each attribute that names data outside the project: on disk, or a URL."""
    if step.has_recipe or not isinstance(step.fn, BoundCall | Command):
        return  # who writes a StepSpec by hand may give attributes only to be hashed
    declared = {source.location for source in step.inputs.values()}
    for key, value in step.hash_attrs.items():
        if not isinstance(value, str | dict | tuple | Tagged):
            continue
        for where, text, _ in texts_in(value, key):
            if _is_outside(text, workspace) and text not in declared:
                said = without_secret(key, printable(shortened(text)))
                yield Finding(
                    "outside-path",
                    (step.name,),
                    step.declared,
                    f"the attribute `{where}={json.dumps(said)}` names data that is not a declared "
                    "input",
                    way_out(step, where, said),
                )


def _is_outside(text: str, workspace: Workspace) -> bool:
    """Return whether a text names an object in a bucket, or what lies elsewhere on this disk."""
    if is_url(text):
        scheme, _, path = text.partition("://")
        return f"{scheme}://" in _BUCKETS and "/" in path.rstrip("/")
    if not text.startswith("/") or text.rstrip("/").count("/") < 2:  # noqa: PLR2004 - `/v1` is a route
        return False
    if "\0" in text or text.startswith(f"{workspace.project}/"):
        return False  # what lies in the project is an undeclared file
    return os.path.exists(text)


def unseen_code(step: StepSpec, workspace: Workspace) -> Iterator[Finding]:
    """Yield what the digest of a step's code does not cover, if that digest is its identity."""
    if step.fn is None or isinstance(step.fn, Command) or workspace.policy(step.code) != "rebuild":
        return
    code = code_of(step.fn, step.declared[0])
    parts = [why for _, closure in code.closures for why in closure.unseen]
    sourceless = [why.removesuffix(_NO_SOURCE) for why in parts if why.endswith(_NO_SOURCE)]
    for what in dict.fromkeys([*code.unseen, *(f"`{it}`, which{_NO_SOURCE}" for it in sourceless)]):
        yield Finding(
            "unseen-code",
            (step.name,),
            step.declared,
            f"the digest of its code does not cover {what}",
            "give it as an argument of the step, or define it in a file of the project",
        )
