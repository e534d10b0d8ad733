"""The record of a target that was built."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.code import code_digest
from marin_build.commands import Command
from marin_build.protocol.documents import Record
from marin_build.remote_callable import local_function

if TYPE_CHECKING:
    from marin_build.run_step.body import Done
    from marin_build.run_step.session import Session


def make_record(
    session: Session, index: int, attempt: int, start: str, end: str, seconds: float, done: Done
) -> Record:
    """Return the record; `start` and `end` are moments as documents write them."""
    target = session.targets.all[index]
    step, fn = target.step, target.step.fn
    return Record(
        name=step.name,
        target=target.id,
        fn=function_name(fn),
        command=dict(fn.template) if isinstance(fn, Command) else None,
        attributes=dict(step.hash_attrs),
        fingerprint=target.fingerprint,
        deep_fingerprint=session.deep[index],
        payload=step.payload,
        code_digest=code_digest(fn) if fn is not None else None,
        deps=tuple(session.targets.all[dep].id for dep in session.targets.deps[index]),
        provenance=session.provenance,
        run=session.run,
        attempt=attempt,
        start=start,
        end=end,
        seconds=round(seconds, 6),
        exit_code=0,
        peak_memory_bytes=done.peak_memory,
    )


def function_name(fn: object) -> str | None:
    """Return the dotted name of what builds a step, for people."""
    if fn is None or isinstance(fn, Command):
        return None
    fn = local_function(fn)
    inner = getattr(fn, "function", fn)
    name = getattr(inner, "__qualname__", type(inner).__qualname__)
    return f"{getattr(inner, '__module__', '?')}.{name}"
