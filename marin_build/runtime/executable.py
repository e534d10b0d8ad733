"""A step as one function of its output path: `remote(disk_cache(distributed_lock(fn)))`.

StepRunner, which runs steps inside a program, calls it. It opens no attempts, clears no leftovers
and seals nothing; `run-step` does.
"""

from __future__ import annotations

import functools
import os
import sys
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from marin_build.errors import SpecificationError, StepFailedError, StoppedError, combined
from marin_build.identity.callables import local_function
from marin_build.identity.payload import deep_fingerprint
from marin_build.pipeline.bound_call import return_annotation
from marin_build.pipeline.dependencies_first import dependencies_first
from marin_build.pipeline.late_bindings import late_bindings
from marin_build.pipeline.running_function import run_function
from marin_build.pipeline.secrets_in_steps import secrets_of_step
from marin_build.protocol import layout
from marin_build.protocol.artifact import artifact_value
from marin_build.protocol.record_reader import readable_record
from marin_build.run_step.code_watch import look_at_code
from marin_build.runtime.artifact import load_returned, save_returned
from marin_build.runtime.disk_cache import Cache, cached
from marin_build.runtime.distributed_lock import distributed_lock
from marin_build.runtime.process_environment import ENVIRONMENT
from marin_build.runtime.remote import RemoteCallable, new_job_name
from marin_build.store.open_store import open_store
from marin_build.workspace.workspace import absolute_prefix, current_workspace

if TYPE_CHECKING:
    from collections.abc import Callable

    from marin_build.pipeline.step_spec import StepSpec
    from marin_build.protocol.documents import Provenance
    from marin_build.protocol.provenance import Here


def executable(step: StepSpec) -> Callable[[str], object]:
    """Return what builds a step when it is called with an output path.

    Raises:
        SpecificationError: the step asks for what a thread cannot have, or its function would not
            read what it was declared with.

    """
    for late in late_bindings([step]):
        raise late
    if step.timeout is not None:
        raise SpecificationError(
            f"`{step.name}` has a timeout, and a thread cannot be killed",
            facts=[("declared", step.place)],
            hint="run it with `marin-build apply`, or leave out the timeout",
        )
    build = _Build(step)
    if step.resources is None:
        return build
    given = step.fn if isinstance(step.fn, RemoteCallable) else None
    env_vars = {**(given.env_vars if given is not None else {}), **step.env_vars}
    name = new_job_name(step.target_id)
    if given is None:
        return RemoteCallable(build, step.resources, env_vars, name=name)
    return replace(given, fn=build, resources=step.resources, env_vars=env_vars, name=name)


@dataclass(frozen=True, slots=True)
class _Build:
    """`disk_cache(distributed_lock(fn))` of one step."""

    step: StepSpec

    def __call__(self, output_path: str) -> object:
        """Build the step at a path, or load what it returned."""
        body = _Body(self.step)
        cache = Cache(
            distributed_lock(body),
            output_path=output_path,
            save_fn=body.save,
            load_fn=functools.partial(load_returned, local_function(self.step.fn)),
            rebuild=self.step.is_dev,
            judge=body.judge,
        )
        return cached(cache)(output_path)


@dataclass(slots=True)
class _Body:
    """The work of a step, once."""

    step: StepSpec
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    began: float = field(default_factory=time.monotonic)

    def __call__(self, output_path: str) -> object:
        """Do the work, once the lock is ours."""
        step = self.step
        if step.fn is None:
            raise StepFailedError(f"nothing builds `{step.name}`, and its output is not there")
        if secrets := secrets_of_step(step):  # the record would hold them
            raise combined([*secrets])
        self.started, self.began = datetime.now(UTC), time.monotonic()
        code = look_at_code(step)
        with ENVIRONMENT.holding(step.env_vars):
            returned: object = run_function(local_function(step.fn), output_path)
        if changed := code.changed():
            raise StoppedError(
                f"`{step.name}`: code changed while the step ran: {changed}",
                consequence="what it left was not committed",
                hint="run it again: with the code as it is now",
            )
        if step.outputs:
            _check_outputs(step, absolute_prefix(output_path, os.getcwd()), returned)
        return returned

    def judge(self, output: str) -> None:
        """Refuse what another program built meanwhile, where that is another identity.

        Raises:
            StoppedError: it is.

        """
        blob = open_store(output).get(f"{output}/{layout.RECORD}")
        built = readable_record(blob.data if blob is not None else None)
        if built is not None and built.fingerprint != self.step.fingerprint:
            raise StoppedError(
                f"another program has built a different target at `{output}` meanwhile",
                hint="another version gives this one a path of its own",
            )

    def save(self, value: object, output: str) -> None:
        """Save the artifact, unless the function wrote it itself, and the record."""
        if not self.step.writes_record:
            save_returned(local_function(self.step.fn), value, output)
        seconds = time.monotonic() - self.began
        open_store(output).put(
            f"{output}/{layout.RECORD}", _record(self.step, output, self.started, seconds)
        )


def _check_outputs(step: StepSpec, output: str, returned: object) -> None:
    from marin_build.protocol.manifest import manifest_of, missing_output

    files = manifest_of(open_store(output), output)
    if missing := missing_output(
        step.outputs,
        files,
        artifact_value(returned, lambda: return_annotation(local_function(step.fn))),
    ):
        raise StepFailedError(f"`{step.name}`: {missing}")


def _record(step: StepSpec, output: str, started: datetime, seconds: float) -> bytes:
    """Return the record of a step that was built here just now."""
    from marin_build.protocol.documents import Record
    from marin_build.protocol.provenance import variables_of
    from marin_build.run_step.record import built_by, declared
    from marin_build.text.moments import stamp, stamp_now

    workspace = current_workspace(step.declared[0])
    provenance, here = _surroundings(workspace.project)
    run = _this_run()
    deps = dict.fromkeys(dep.target_id for dep in step.deps)
    return Record(
        **declared(step, output, deps, _deep_fingerprint(step)),
        **built_by(
            local_function(step.fn),
            here,
            open_store(workspace.prefix),
            workspace.prefix,
            run,
            declared_in=step.declared[0],
            variables=variables_of(step.env_vars, step.secrets),
        ),
        provenance=provenance,
        run=run,
        attempt=0,  # none was opened
        start=stamp(started),
        end=stamp_now(),
        seconds=round(seconds, 6),
        exit_code=0,
        peak_memory_bytes=None,
    ).to_bytes()


@functools.cache
def _this_run() -> str:
    """Return the id that all records of this program share."""
    return f"r-{os.urandom(4).hex()}"


@functools.cache
def _surroundings(project: str) -> tuple[Provenance, Here]:
    """Return what the records of one project share: provenance, and what its steps run in."""
    from marin_build.protocol.provenance import provenance, read_here

    return provenance(project, sys.argv), read_here(project, os.environ)


_deep: dict[StepSpec, str] = {}


def _deep_fingerprint(step: StepSpec) -> str:
    """Return a step's deep fingerprint; each step's is computed once per process."""
    for current in dependencies_first([step], _deep.__contains__):
        upstream = {dep.target_id: _deep[dep] for dep in current.deps}
        _deep[current] = deep_fingerprint(current.fingerprint, list(upstream.values()))
    return _deep[step]
