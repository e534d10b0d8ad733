"""The body of a step: clear leftovers, call its function or command, verify what it left."""

from __future__ import annotations

import os
import resource
import shutil
import stat
import sys
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from marin_build.digests import digest_of, read_digest
from marin_build.errors import StepFailedError
from marin_build.protocol import layout
from marin_build.protocol.artifact import artifact_value
from marin_build.workspace import is_url

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType

    from marin_build.fingerprint import Target
    from marin_build.step_spec import StepSpec

_OURS = {layout.STATUS, layout.LEASE, layout.LOGS}
_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
SHOWN_MISSING = 5


@dataclass(frozen=True, slots=True)
class Done:
    """How a body ended, and what it left.

    Args:
        exit_code: 0, the step's own, or 128 + signal.
        message: why it failed, for people.
        artifact: what the function returned, as JSON values.
        manifest: path inside the output and size in bytes of each file.
        peak_memory: bytes, of the process the body ran in.

    """

    exit_code: int
    message: str = ""
    artifact: Any = None
    manifest: tuple[tuple[str, int], ...] = ()
    peak_memory: int | None = None


def run_body(target: Target, attempt: int, *, forced: bool) -> Done:
    """Run a step and verify what it left; whatever it raises becomes a message and a code."""
    step, output = target.step, target.output_path
    try:
        if changed := _changed_input(step):
            return _failure(f"input changed before the step started: `{changed}`")
        # The first attempt on a path of ours finds nothing to clear, except what a foreign
        # writer left; an override that we did not create is never cleared.
        ours = step.override_output_path is None and not step.resumable
        if ours and (attempt > 1 or forced or _has_foreign(output)):
            clear_leftovers(output)
        if step.env_vars:
            os.environ.update(step.env_vars)
        artifact = artifact_value(_call(step, output))
        if changed := _changed_input(step):
            return _failure(f"input changed while the step ran: `{changed}`")
        manifest = manifest_of(output)
        if missing := missing_output(step.outputs, output, manifest, artifact):
            return _failure(missing)
    except SystemExit as error:
        code = _exit_code(error)
        return Done(code, f"exited with code {code}" if code else "called exit")
    except Exception as error:  # noqa: BLE001 - whatever the step raises is its failure
        sys.stdout.flush()
        sys.stderr.write(user_traceback(error))
        return Done(1, f"{type(error).__name__}: {error}")
    return Done(0, artifact=artifact, manifest=manifest, peak_memory=_peak_memory())


def _peak_memory() -> int:
    """Return the bytes of the largest process so far: this one, or one that it waited for."""
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return max(resource.getrusage(which).ru_maxrss for which in who) * 1024


def _failure(message: str) -> Done:
    sys.stderr.write(f"{message}\n")
    return Done(1, message)


def _call(step: StepSpec, output: str) -> object:
    if step.fn is None:
        raise StepFailedError(f"nothing builds `{step.name}`, and its output is not there")
    return step.fn(output)


def _has_foreign(output: str) -> bool:
    """Return whether an output holds files that no attempt of ours made."""
    return any(not name.startswith(".") for name in os.listdir(output))


def _changed_input(step: StepSpec) -> str | None:
    """Return the name of a local source that no longer has the digest of the plan."""
    for source in step.inputs.values():
        if not is_url(source.location) and read_digest(source) != digest_of(source):
            return source.name
    return None


def _exit_code(error: SystemExit) -> int:
    """Return the exit code of a SystemExit, as Python itself would."""
    if error.code is None:
        return 0
    if isinstance(error.code, int):
        return error.code & 0xFF
    sys.stderr.write(f"{error.code}\n")
    return 1


def clear_leftovers(output: str) -> None:
    """Delete what a failed attempt left in an output, but for our own files."""
    with os.scandir(output) as entries:
        for entry in entries:
            if entry.name in _OURS:
                continue
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path)
            else:
                os.unlink(entry.path)


def manifest_of(output: str) -> tuple[tuple[str, int], ...]:
    """Return path and size of the files of a local output, sorted, without our own dot files."""
    return tuple(sorted(_files(output, "")))


def _files(folder: str, inside: str) -> Iterator[tuple[str, int]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if not inside and entry.name.startswith("."):
                continue
            path = inside + entry.name
            if entry.is_dir(follow_symlinks=False):
                yield from _files(entry.path, path + "/")
            else:
                status = entry.stat(follow_symlinks=False)
                yield path, status.st_size if stat.S_ISREG(status.st_mode) else 0


def missing_output(
    declared: Sequence[str] | None, output: str, files: Sequence[tuple[str, int]], artifact: object
) -> str | None:
    """Return what the step should have left and did not, in words; None if all is there."""
    if declared is None:
        if files or artifact is not None:
            return None
        return "the step left neither a file nor an artifact; declare `outputs=()` if that is right"
    missing = [path for path in declared if not _is_there(os.path.join(output, path))]
    if not missing:
        return None
    shown = ", ".join(f"`{path}`" for path in missing[:SHOWN_MISSING])
    more = f" and {len(missing) - SHOWN_MISSING} more" if len(missing) > SHOWN_MISSING else ""
    return f"declared outputs are missing or empty: {shown}{more}"


def _is_there(path: str) -> bool:
    if os.path.isdir(path):
        return bool(os.listdir(path))
    return os.path.exists(path) and os.path.getsize(path) > 0


def user_traceback(error: BaseException) -> str:
    """Return the traceback of an error without our own frames above the user's."""
    frame: TracebackType | None = error.__traceback__
    while frame is not None and frame.tb_frame.f_code.co_filename.startswith(_PACKAGE):
        frame = frame.tb_next
    return "".join(traceback.format_exception(type(error), error, frame))
