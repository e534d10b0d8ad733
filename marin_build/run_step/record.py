"""The record of a target that was built, and the source of the code that built it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from marin_build.errors import StoreError
from marin_build.identity.callables import local_function
from marin_build.identity.canonical import FrozenDict, canonical_text
from marin_build.identity.code.digest import code_of
from marin_build.identity.code.document import code_document, code_document_path
from marin_build.pipeline.command import Command
from marin_build.pipeline.foreign_records import TellsRecord
from marin_build.pipeline.source_digests import content_of
from marin_build.pipeline.source_listings import listing_of, listing_path
from marin_build.protocol.documents import Environment, Record
from marin_build.protocol.provenance import distributions_of, variables_of
from marin_build.text.secret_shapes import forms_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from marin_build.identity.code.digest import Code
    from marin_build.pipeline.step_spec import StepSpec
    from marin_build.protocol.manifest import Existing
    from marin_build.protocol.provenance import Here
    from marin_build.run_step.body import Done
    from marin_build.run_step.session import Session
    from marin_build.store.base import File, Store


_NO_VARIABLES: Mapping[str, str] = FrozenDict()


def make_record(
    session: Session,
    index: int,
    attempt: int,
    start: str,
    end: str,
    seconds: float,
    done: Done,
    files: Sequence[File],
) -> Record:
    """Return the record; `start` and `end` are moments as documents write them."""
    step = session.targets.all[index].step
    fn = step.fn
    prefix = session.targets.workspace.prefix
    if step.inputs:
        keep_listings(session.store, prefix, session.run, step)
    return Record(
        **_of_target(session, index),
        **_counted(files),
        **built_by(
            fn,
            session.here,
            session.store,
            prefix,
            session.run,
            variables=variables_of(step.env_vars, step.secrets),
        ),
        deep_code_digest=session.deep_code.get(index),
        attempt=attempt,
        start=start,
        end=end,
        seconds=round(seconds, 6),
        exit_code=0,
        peak_memory_bytes=done.peak_memory,
        cpu_seconds=done.cpu_seconds,
        queued_seconds=session.queued_seconds,
    )


def adopted_record(
    session: Session, index: int, attempt: int, now: str, existing: Existing, note: str | None
) -> Record:
    """Return the record of data that a person adopted.

    No code of ours made it: there is no digest, and so no drift. If its own record says how long
    it took to build, so does this one.
    """
    return Record(
        **_of_target(session, index),
        **_counted(existing.files),
        code_digest=None,
        attempt=attempt,
        start=now,
        end=now,
        seconds=existing.seconds,
        exit_code=0,
        peak_memory_bytes=None,
        adopted_from=existing.place,
        note=note,
    )


def _of_target(session: Session, index: int) -> dict[str, Any]:
    """Return what a record says of the step, and of who writes it."""
    targets = session.targets
    deps = [targets.all[dep].id for dep in targets.deps[index]]
    target = targets.all[index]
    said = declared(target.step, target.output_path, deps, session.deep[index])
    return {**said, "provenance": session.provenance(), "run": session.run}


def declared(step: StepSpec, output: str, deps: Iterable[str], deep: str) -> dict[str, Any]:
    """Return what a record says of a step as it is declared.

    Args:
        step: the step.
        output: its output path.
        deps: the ids of the targets it needs, each once.
        deep: its deep fingerprint.

    """
    fn = local_function(step.fn)
    attributes = json.loads(canonical_text(step.hash_attrs))
    foreign = fn if isinstance(fn, TellsRecord) else None
    return {
        "name": step.name,
        "target": step.target_id,
        "fn": function_name(fn),
        "command": dict(fn.template) if isinstance(fn, Command) else None,
        "attributes": attributes,
        "fingerprint": step.fingerprint,
        "deep_fingerprint": deep,
        "payload": step.payload,
        "deps": tuple(deps),
        "config": foreign.recorded_config if foreign is not None else attributes,
        "version": dict(foreign.recorded_version) if foreign is not None else {},
        "dependencies": tuple(step.dep_paths),
        "output_path": output,
        "keep": step.keep,
        "fingerprint_payload": step.fingerprint_payload,
    }


def built_by(
    fn: object,
    here: Here | None,
    store: Store,
    prefix: str,
    run: str,
    *,
    declared_in: str | None = None,
    variables: Mapping[str, str] = _NO_VARIABLES,
) -> dict[str, Any]:
    """Return what a record says of the code that built a target; its source is kept.

    Args:
        fn: what was called; None if nothing builds the step.
        here: what it ran in; None: the record does not say.
        store: where the source is kept, below `prefix`.
        prefix: of the outputs.
        run: the run's id.
        declared_in: the file that declares the step; see `code_of`.
        variables: the step's `env_vars` as records keep them, of `variables_of`.

    """
    code = code_of(fn, declared_in) if fn is not None else None
    return {
        "code_digest": code.digest if code is not None else None,
        "code_document": keep_source(store, prefix, run, code) if code is not None else None,
        "captured": (code.captured or None) if code is not None else None,
        "environment": _environment(here, code, variables),
    }


def _counted(files: Sequence[File]) -> dict[str, int]:
    return {"files": len(files), "bytes": sum(file.size for file in files)}


def _environment(
    here: Here | None, code: Code | None, variables: Mapping[str, str]
) -> Environment | None:
    """Return what the step ran in, with the distributions that its code imports."""
    if here is None:
        return None
    modules = code.modules if code is not None else ()
    key = (id(here), modules, tuple(variables.items()))
    made = _environments.get(key)
    if made is None or made[0] is not here:
        environment = Environment(
            python=here.python,
            distributions=distributions_of(modules),
            locks=dict(here.locks),
            image=here.image,
            variables=dict(variables),
        )
        made = _environments[key] = here, environment
    return made[1]


_environments: dict[tuple[object, ...], tuple[Here, Environment]] = {}
"""What was made of a run's place, the modules of a step's code, and its variables: most steps of a
run are equal in these."""

_kept: set[tuple[str, str]] = set()
"""Run and key of what was written beside outputs: once for all steps of equal code, or input."""


def keep_source(store: Store, prefix: str, run: str, code: Code) -> str | None:
    """Write a step's normalised source below the prefix, once a run; return its document's key.

    None for code without source of the project, like a command's. A document that cannot be
    written does not fail the step: the output is good, and the next step tries again.
    """
    document = code_document(code)
    mark = (run, document.key)
    if mark in _kept:
        return document.key
    data = document.to_bytes()
    if not document.parts or any(forms_in(data.decode())):
        return None  # a secret in the source stays where it is: in the project
    _kept.add(mark)  # first: others of equal code need not wait for the write
    try:
        store.put_if_absent(code_document_path(prefix, document.key), data)
    except StoreError:
        _kept.discard(mark)
    return document.key


def keep_listings(store: Store, prefix: str, run: str, step: StepSpec) -> None:
    """Write which files the folders had that a step read, once a run, so that a plan can name them.

    A listing that cannot be written does not fail the step.
    """
    for source in step.inputs.values():
        content = content_of(source)
        data, mark = listing_of(content), (run, content.digest)
        if data is None or mark in _kept:
            continue
        _kept.add(mark)
        try:
            store.put_if_absent(listing_path(prefix, content.digest), data)
        except StoreError:
            _kept.discard(mark)


def function_name(fn: object) -> str | None:
    """Return the dotted name of what builds a step, for people."""
    if fn is None or isinstance(fn, Command):
        return None
    fn = local_function(fn)
    inner = getattr(fn, "function", fn)
    name = getattr(inner, "__qualname__", type(inner).__qualname__)
    return f"{getattr(inner, '__module__', '?')}.{name}"
