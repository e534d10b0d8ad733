"""Slurm's own programs, called as a queue: sbatch, squeue, scancel, sacct, scontrol.

They are used rather than a library: submitit cannot look up a job before it submits one and says
UNKNOWN without accounting, psij-python does not attach to jobs that have ended, and parsl keeps
pilots of its own (docs/adr/0017).
"""

from __future__ import annotations

import os
import shutil
import time
from typing import TYPE_CHECKING, TypeAlias

from marin_build.engines.jobs import JobQueue, JobRefusedError, JobState, Phase, QueueAwayError
from marin_build.engines.programs import answer_of
from marin_build.engines.slurm.arrays import ARRAY, array_name, array_script, batches_of, jobs_in
from marin_build.engines.slurm.job_states import is_held, job_state, with_hint
from marin_build.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from marin_build.engines.jobs import JobRequest

_PATIENCE = 60.0
"""Seconds that one call may take; Slurm's own MessageTimeout is 10."""
_PATIENCE_AT_FIRST = 15.0
"""The same for a call that a person waits for, before anything was submitted."""
_NEEDED = ("sbatch", "squeue", "scancel", "sinfo")
"""The programs that are always there; `sacct` is not."""
_FIELDS = "%i|%j|%T|%N|%r"
_Row: TypeAlias = "tuple[str, str, JobState]"
"""Id, name and state of a job."""
_TRIED_AGAIN = (  # what sbatch says when another try may do better
    "Unable to contact slurm controller",
    "Socket timed out",
    "Connection refused",
    "Zero Bytes were transmitted",
    "Slurm backup controller in standby mode",
    "Transport endpoint is not connected",
    "Resource temporarily unavailable",
    "Slurm temporarily unable to accept job",
    "error receiving response",
    "Invalid authentication credential",  # munge is away
    "Protocol authentication error",
)
_NO_JOB = "Invalid job id"
_QUEUED_SINCE = "SLURM_MARIN_BUILD_QUEUED_SINCE"
"""Tells a job when it was submitted: of the environment, only variables of Slurm reach it."""


class SlurmQueue(JobQueue):
    """The jobs of this user on the cluster that SLURM_CONF, or the machine, names.

    Args:
        project: the working directory of all jobs.
        logs: the local folder that takes what jobs print outside their steps.
        poll_every: see JobQueue.

    """

    def __init__(self, project: str, logs: str, poll_every: float) -> None:
        self.poll_every = poll_every
        self._project = project
        self._logs = logs
        self._arrays: dict[str, tuple[str, ...]] = {}  # by name: a name never means other jobs
        self._waiting: set[str] = set()  # the ids of jobs that had not begun when last asked

    def check(self) -> None:
        """Raise a MarinBuildError if there is no Slurm here, or it gives no answer."""
        for program in _NEEDED:
            if shutil.which(program) is None:
                raise UsageError(
                    f"`{program}` is not installed here",
                    consequence="nothing was submitted",
                    hint="run this where jobs are submitted, such as the cluster's login node",
                )
        _check_configuration()
        self._call(["sinfo", "--noheader", "--format=%R"], patience=_PATIENCE_AT_FIRST)

    def find(self, names: Collection[str]) -> dict[str, str]:
        """Return the ids of the jobs of those names that wait or run."""
        listed = self._named(names)
        self._end_held(listed)
        return {name: id_ for id_, name, state in listed if _is_live(state)}

    def find_released(self, names: Collection[str]) -> dict[str, str]:
        """Return the ids of those jobs; those that Slurm failed to start may start again.

        Cancelled, such a job would have the jobs behind it start at once, and build nothing.
        """
        listed = self._named(names)
        if held := sorted(id_ for id_, _, state in listed if is_held(state)):
            self._call(["scontrol", "release", ",".join(held)])
        return {name: id_ for id_, name, state in listed if _is_live(state) or id_ in held}

    def look(self, names: Collection[str]) -> dict[str, tuple[str, JobState]]:
        """Return ids and states of the jobs of those names that wait or run, with one call."""
        _check_configuration()
        listed = self._named(names, _PATIENCE_AT_FIRST)
        shown = [(id_, name, with_hint(state, id_)) for id_, name, state in listed]
        return {name: (id_, state) for id_, name, state in shown if _is_live(state)}

    def submit(self, job: JobRequest) -> str:
        """Submit a batch script; return the job's id."""
        # Of two jobs of one name the second waits, and then finds what the first one built.
        after = ",".join(["singleton", *_after(job)])
        return self._submit(job.name, job.spec, job.after, "%j", f"--dependency={after}")

    def batches(self, jobs: Sequence[JobRequest]) -> list[list[JobRequest]]:
        """Return jobs in groups that can be arrays."""
        return batches_of(jobs)

    def submit_batch(self, jobs: Sequence[JobRequest]) -> list[str]:
        """Submit jobs of one shape as an array; return the ids of its tasks."""
        if len(jobs) == 1:
            return [self.submit(jobs[0])]
        names = tuple(job.name for job in jobs)
        name = array_name(names)
        options = [f"--array=0-{len(jobs) - 1}"]
        if after := _after(jobs[0]):
            options.append(f"--dependency={','.join(after)}")
        id_ = self._submit(name, array_script(jobs), jobs[0].after, "%A_%a", *options)
        self._arrays[name] = names
        ids = [f"{id_}_{task}" for task in range(len(jobs))]
        self._waiting.update(ids)
        return ids

    def _submit(
        self, name: str, script: str, waits_for: Sequence[str], pattern: str, *options: str
    ) -> str:
        os.makedirs(self._logs, exist_ok=True)
        words = ["sbatch", "--parsable", f"--job-name={name}", f"--chdir={self._project}", *options]
        words.append(f"--output={_as_pattern(f'{self._logs}/{name}')}-{pattern}.log")
        # A job that waits for others does not wait for its turn alone.
        since = {} if waits_for else {_QUEUED_SINCE: f"{time.time():.3f}"}
        return self._call(words, text=script, added=since).strip().partition(";")[0]

    def poll(self, jobs: Mapping[str, str]) -> dict[str, JobState]:
        """Return the states of jobs, by id."""
        all_rows = self._listed(["--states=all"])
        known = [row for row in all_rows if row[0] in jobs]
        listed = [row for row in self._with_own_names(known) if jobs[row[0]] == row[1]]
        self._end_held(listed)
        states = {id_: state for id_, _, state in listed}
        waiting = {id_ for id_, state in states.items() if state.phase is Phase.QUEUED}
        self._waiting = (self._waiting - states.keys()) | waiting
        states |= self._cancelled({row[0] for row in all_rows})
        if missing := {id_: name for id_, name in jobs.items() if id_ not in states}:
            states |= self._accounted(missing)
        return {id_: states.get(id_, JobState(Phase.UNKNOWN, "unknown to Slurm")) for id_ in jobs}

    def cancel(self, jobs: Mapping[str, str], *, kill: bool) -> None:
        """Ask jobs to end, or kill all their processes. Those that have ended are no error."""
        known = [row for row in self._listed(["--states=all"]) if row[0] in jobs]
        listed = self._with_own_names(known)  # an id may mean another job by now
        ids = [id_ for id_, name, state in listed if jobs[id_] == name and _is_live(state)]
        self._cancel(ids, ["--signal=KILL", "--full"] if kill else [])

    def says_why(self, line: str) -> bool:
        """Return whether `srun` says how a rank of a gang ended: the first one ended the others."""
        return line.startswith("srun: error: ") and ": task " in line

    def output_of(self, job_id: str) -> str:
        """Return the file with what a job printed."""
        try:
            names = os.listdir(self._logs)
        except OSError:
            return ""
        found = [name for name in names if name.endswith(f"-{job_id}.log")]
        return os.path.join(self._logs, found[0]) if found else ""

    def _end_held(self, listed: Collection[_Row]) -> None:
        """Cancel jobs that Slurm would never start: another one of their name would wait, too."""
        self._cancel([id_ for id_, _, state in listed if is_held(state)])

    def _cancel(self, ids: Collection[str], how: Sequence[str] = ()) -> None:
        if ids:
            self._call(["scancel", "--quiet", *how, *sorted(ids)])

    def _named(self, names: Collection[str], patience: float = _PATIENCE) -> list[_Row]:
        """Return the jobs of these names that the queue has, tasks of arrays included."""
        rows = self._with_own_names(self._listed([], patience))
        return [row for row in rows if row[1] in names]

    def _listed(self, options: Sequence[str], patience: float = _PATIENCE) -> list[_Row]:
        """Return id, name and state of all jobs of this user that the controller remembers."""
        words = ["squeue", "--me", "--array", "--noheader", f"--format={_FIELDS}", *options]
        text = self._call(words, patience=patience)
        rows = [line.split("|", 4) for line in text.splitlines() if line.count("|") >= 4]  # noqa: PLR2004
        return [
            (id_.strip(), name, job_state(state, reason.strip(), nodes))
            for id_, name, state, nodes, reason in rows
        ]

    def _cancelled(self, listed: Collection[str]) -> dict[str, JobState]:
        """Return the tasks that are gone, though they waited and their array is still known.

        Slurm forgets a task at once that is cancelled before it begins.
        """
        arrays = {id_.partition("_")[0] for id_ in listed}
        gone = [id_ for id_ in self._waiting if "_" in id_ and id_ not in listed]
        cancelled = JobState(Phase.ENDED, "CANCELLED", "infra")
        return {id_: cancelled for id_ in gone if id_.partition("_")[0] in arrays}

    def _with_own_names(self, listed: Sequence[_Row]) -> list[_Row]:
        """Return rows in which a task of an array has the name of its job."""
        return [(id_, self._own_name(id_, name), state) for id_, name, state in listed]

    def _own_name(self, id_: str, name: str) -> str:
        """Return the name of the job that an id means, `1234` or, in an array, `1234_56`."""
        array, is_task, task = id_.partition("_")
        if not is_task or not name.startswith(ARRAY):
            return name
        if name not in self._arrays:
            try:
                script = self._call(["scontrol", "write", "batch_script", array, "-"])
            except QueueAwayError as error:
                if _NO_JOB not in error.what:
                    raise
                return name  # it ended a moment ago
            self._arrays[name] = jobs_in(script)
        names = self._arrays[name]
        return names[int(task)] if task.isdecimal() and int(task) < len(names) else name

    def _accounted(self, jobs: Mapping[str, str]) -> dict[str, JobState]:
        """Return how jobs ended that the controller has forgotten, if the accounting says it.

        Of a job whose end was lost it says for ever that it runs: that tells nothing.
        """
        words = ["sacct", "--parsable2", "--noheader", "--duplicates", "--allocations"]
        words += ["--format=JobID,JobName,State,NodeList", f"--jobs={','.join(jobs)}"]
        try:
            text = self._call(words)
        except QueueAwayError:
            return {}  # there is no accounting here
        found: dict[str, JobState] = {}
        for line in text.splitlines():  # of a job that was requeued the last line counts
            id_, name, state, nodes = (line.split("|") + [""] * 4)[:4]
            if id_ in jobs and jobs[id_] == self._own_name(id_, name):
                found[id_] = job_state(state, nodes=nodes)
        return {id_: state for id_, state in found.items() if state.phase is Phase.ENDED}

    def _call(
        self,
        words: Sequence[str],
        text: str = "",
        patience: float = _PATIENCE,
        added: Mapping[str, str] | None = None,
    ) -> str:
        """Run one of Slurm's programs; return what it prints."""
        environ = {**clean_environment(os.environ), **(added or {})}
        done = answer_of(words, text=text, patience=patience, environ=environ)
        if done.returncode == 0:
            return done.stdout
        said = _last_words(done.stderr)
        if words[0] != "sbatch" or any(sign in done.stderr for sign in _TRIED_AGAIN):
            raise QueueAwayError(f"Slurm gives no answer: {said}")
        raise JobRefusedError(f"Slurm refuses it: {said}")


def clean_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return an environment without what would silently change a job, or an answer.

    `SBATCH_*` and `SLURM_*` stand above the lines of a batch script, and are there when the
    terminal is itself inside a job. SLURM_CONF only says which cluster is meant.
    """
    kept = {"SLURM_CONF", "SLURM_CLUSTERS"}
    prefixes = ("SBATCH_", "SLURM_", "SQUEUE_", "SCANCEL_", "SACCT_", "SINFO_", "SRUN_")
    found = {k: v for k, v in environ.items() if k in kept or not k.startswith(prefixes)}
    return found | {"LC_ALL": "C"}


def _after(job: JobRequest) -> list[str]:
    return [f"afterany:{id_}" for id_ in job.after]


def _check_configuration() -> None:
    """Raise a UsageError if SLURM_CONF names no file: every call would look for it for a minute."""
    config = os.environ.get("SLURM_CONF")
    if config and not os.path.exists(config):
        raise UsageError(
            f"SLURM_CONF names `{config}`, and no such file is there",
            consequence="nothing was submitted",
        )


def _is_live(state: JobState) -> bool:
    return state.phase in {Phase.QUEUED, Phase.RUNNING}


def _as_pattern(text: str) -> str:
    """Return a file name in which Slurm replaces nothing."""
    return text.replace("%", "%%")


def _last_words(stderr: str) -> str:
    lines = [line.split("error: ", 1)[-1].strip() for line in stderr.splitlines() if line.strip()]
    return lines[-1] if lines else "it gave no reason"
