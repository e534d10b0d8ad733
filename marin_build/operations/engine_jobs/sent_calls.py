"""A call of a function or a command, as a file under the prefix, from which a job runs it.

A file is known by the sha-256 of its bytes, which the job's command line names. So a job unpickles
only what the program that submitted it has written.
"""

from __future__ import annotations

import functools
import hashlib
import os
import pickle
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from marin_build.errors import SpecificationError, StoppedError
from marin_build.redaction import without_secrets
from marin_build.runtime.local_client import run_command
from marin_build.store.open_store import open_store
from marin_build.workspace.workspace import installed_in, relative_to

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from marin_build.pipeline.resources import ResourceConfig
    from marin_build.runtime.job_request import JobRequest
    from marin_build.workspace.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Call:
    """What is run, and what it needs.

    Args:
        name: of the step that runs it.
        function: a function without arguments, pickled.
        resources: what it needs.
        env_vars: environment variables, none of them a secret.
        retries: further tries after failures of its own.
        timeout: seconds of one try; None: without end.
        paths: the folders in the project that the program imports from, relative to it.
        nonce: makes every call another one: a call is run anew each time.

    """

    name: str
    function: bytes
    resources: ResourceConfig
    env_vars: Mapping[str, str]
    retries: int
    timeout: float | None
    paths: tuple[str, ...]
    nonce: bytes

    def run(self, project: str) -> None:
        """Run the function; what it returns is dropped.

        Args:
            project: the folder of the project where it runs.

        """
        sys.path[:0] = [os.path.join(project, path) for path in self.paths]
        function: Callable[[], object] = pickle.loads(self.function)  # noqa: S301 - see the module
        function()


def send_call(request: JobRequest, workspace: Workspace, secrets: Sequence[str] = ()) -> str:
    """Write a call under the prefix of a program's project; return its digest.

    Args:
        request: what is run.
        workspace: of the program.
        secrets: patterns of the variables that hold secrets, from the configuration.

    Raises:
        SpecificationError: the function cannot be pickled, or a variable is a secret.
        StoreError: the store cannot be written.

    """
    import cloudpickle

    work = request.work
    env_vars = dict(request.env_vars)
    if secret := env_vars.keys() - without_secrets(env_vars, secrets).keys():
        raise SpecificationError(
            f"the environment variable `{min(secret)}` of the job `{request.name}` is a secret",
            consequence="nothing was submitted",
            hint="have the engine set it where the job runs",
        )
    run: object = work
    if not callable(work):
        run = functools.partial(run_command, work, {})
    try:
        function = cloudpickle.dumps(run)
    except Exception as error:  # objects raise whatever they like
        raise SpecificationError(
            f"the function of the job `{request.name}` cannot be sent to another process",
            facts=[("reason", f"{type(error).__name__}: {error}")],
            consequence="nothing was submitted",
            hint="give it what can be pickled: paths, numbers, texts",
        ) from error
    call = Call(
        request.name,
        function,
        request.needs,
        env_vars,
        request.max_retries_failure,
        request.longest_seconds,
        _paths(workspace),
        os.urandom(16),
    )
    data = pickle.dumps(call)
    digest = hashlib.sha256(data).hexdigest()
    prefix = workspace.prefix
    open_store(prefix).put(_path(prefix, digest), data)
    return digest


def read_call(digest: str, prefix: str) -> Call:
    """Return a call that was sent.

    Raises:
        StoppedError: it is not there, or not what its name says.
        StoreError: the store cannot be read.

    """
    blob = open_store(prefix).get(_path(prefix, digest))
    if blob is None or hashlib.sha256(blob.data).hexdigest() != digest:
        raise StoppedError(
            f"the call `{digest[:12]}` is not under the prefix as it was sent",
            facts=[("prefix", prefix)],
            consequence="nothing was run",
            hint="submit it again from the program",
        )
    call: Call = pickle.loads(blob.data)  # noqa: S301 - its digest was given
    return call


def _paths(workspace: Workspace) -> tuple[str, ...]:
    folders = [os.path.abspath(folder) for folder in sys.path]
    own = [folder for folder in folders if installed_in(f"{folder}/x") is None]
    found = [relative_to(folder, workspace.project) for folder in own]
    return tuple(dict.fromkeys(path for path in found if not os.path.isabs(path)))


def _path(prefix: str, digest: str) -> str:
    return f"{prefix}/.marin-build/calls/{digest}.pickle"
