"""The queued resources of a project as a queue of jobs.

The id of a queued resource is the name of its job and a number, the next after those that the API
knows: an id is in use until its machines are gone, which takes minutes, and a job that was
preempted must not wait for that. Of two runs that submit at the same time, one is refused, and
finds what the other has submitted.
"""

from __future__ import annotations

import os
import secrets
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from marin_build.engines.jobs import (
    JobNotYetError,
    JobQueue,
    JobRefusedError,
    JobState,
    Phase,
    QueueAwayError,
)
from marin_build.engines.tpu_vm.job_states import node_state, resource_state
from marin_build.engines.tpu_vm.machine_words import (
    job_in,
    last_words_of,
    name_and_number,
    node_ids,
    state_at_end,
    words_in,
)
from marin_build.engines.tpu_vm.queued_resources import with_id
from marin_build.engines.tpu_vm.tpu_api import AnswerError
from marin_build.errors import UsageError
from marin_build.workspace.own_files import open_own

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from marin_build.engines.jobs import JobRequest
    from marin_build.engines.tpu_vm.machine_words import Words
    from marin_build.engines.tpu_vm.tpu_api import TpuApi

_PATIENCE_AT_FIRST = 10.0
_DENIED = (401, 403)
_IN_USE, _GONE = 409, 404
_NOT_NOW = (400, 409)
_TOO_MANY = 429
_WRONG = (400, 403, 404)
_END_PATIENCE = 10.0
"""Seconds that machines get to say that they are done, once the store says that the target is."""
_RUNNING = JobState(Phase.RUNNING)
Row = dict[str, Any]


class TpuVmQueue(JobQueue):
    """The queued resources of a project in a zone.

    Args:
        api: the Cloud TPU API.
        logs: the local folder that takes what machines say outside their steps.
        poll_every: see JobQueue.

    """

    def __init__(self, api: TpuApi, logs: str, poll_every: float) -> None:
        self.poll_every = poll_every
        self._api, self._logs = api, logs
        self._last: dict[str, int] = {}  # name -> the highest number that the API knows
        self._words: dict[str, list[Words]] = {}  # id -> what its machines said at the end
        self._ended: set[str] = set()
        self._to_delete: set[str] = set()  # the API gave no answer

    def check(self) -> None:
        """Raise a MarinBuildError if this machine can see no queued resources."""
        try:
            self._api.list("queuedResources", _PATIENCE_AT_FIRST)
        except AnswerError as error:
            raise UsageError(
                f"the Cloud TPU API lists no queued resources: {error.reason}",
                consequence="nothing was submitted",
                hint="check tpu-vm.project and tpu-vm.zone, and the roles of your account"
                if error.code in _DENIED
                else "",
            ) from None

    def find(self, names: Collection[str]) -> dict[str, str]:
        """Return the ids of jobs that wait or run; delete what is left of those that ended."""
        self._delete_again()
        rows = self._rows()
        states = self._states({id_: row for id_, row in rows.items() if job_in(row, id_) in names})
        for id_, state in states.items():
            if state.phase is Phase.ENDED:
                self._delete(id_)
        return _live(states)

    def look(self, names: Collection[str]) -> dict[str, tuple[str, JobState]]:
        """Return ids and states of jobs that wait or run; nothing is changed."""
        rows = {id_: row for id_, row in self._rows().items() if job_in(row, id_) in names}
        states = self._states(rows)
        return {name: (id_, states[id_]) for name, id_ in _live(states).items()}

    def submit(self, job: JobRequest) -> str:
        """Create a queued resource under the next number of its name."""
        number = self._last.get(job.name, 0) + 1
        id_ = f"{job.name}-{number}"
        try:
            launch = f"{id_}.{secrets.token_hex(8)}"
            body = with_id(job.spec, job.name, id_, launch, time.time())
            query = {"queuedResourceId": id_}
            operation = self._api.ask("POST", "queuedResources", query, body)
        except ValueError as error:
            raise JobRefusedError(f"the file of the job is no queued resource: {error}") from None
        except AnswerError as error:
            raise _refused(error, id_) from None
        if isinstance(said := operation.get("error"), dict):  # of a request that was taken
            raise _refused(AnswerError(_TOO_MANY, str(said.get("message"))), id_)
        self._last[job.name] = number
        return id_

    def poll(self, jobs: Mapping[str, str]) -> dict[str, JobState]:
        """Return the states of jobs, by id."""
        self._delete_again()
        rows = self._rows()
        known = {id_: rows[id_] for id_, name in jobs.items() if job_in(rows.get(id_), id_) == name}
        unknown = JobState(Phase.UNKNOWN, "there is no such queued resource")
        return {**dict.fromkeys(jobs, unknown), **self._states(known)}

    def cancel(self, jobs: Mapping[str, str], *, kill: bool) -> None:  # noqa: ARG002 - it is one
        """Delete queued resources: machines are shut down, which sends SIGTERM first."""
        for id_ in sorted(jobs):  # an id says the name of its job
            self._delete(id_)

    def forget(self, job_id: str) -> None:
        """Delete a queued resource, after its machines have ended: they may still be writing."""
        deadline = time.monotonic() + _END_PATIENCE
        with suppress(QueueAwayError):
            while job_id not in self._ended and time.monotonic() < deadline:
                if self.poll({job_id: name_and_number(job_id)[0]})[job_id].phase is Phase.RUNNING:
                    time.sleep(min(1.0, self.poll_every))
                else:
                    break
        self._delete(job_id)

    def output_of(self, job_id: str) -> str:
        """Return a file with the last that a job said outside its step; empty: it said nothing."""
        said = last_words_of(self._words.get(job_id, []))
        if not said:
            return ""
        path = os.path.join(self._logs, f"{job_id}.log")
        with suppress(OSError):
            os.makedirs(self._logs, exist_ok=True)
            descriptor = open_own(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            with open(descriptor, "w", encoding="utf-8") as stream:
                stream.write(said)
            return path
        return ""

    def _rows(self) -> dict[str, Row]:
        """Return the queued resources that marin-build made, by id."""
        found = {}
        for row in self._list("queuedResources"):
            id_ = _last_part(row.get("name"))
            name, number = name_and_number(id_)
            if name and job_in(row, id_) == name:
                self._last[name] = max(number, self._last.get(name, 0))
                found[id_] = row
        return found

    def _states(self, rows: Mapping[str, Row]) -> dict[str, JobState]:
        """Return the states of queued resources; their machines are asked where there are some."""
        states = {id_: resource_state(row) for id_, row in rows.items()}
        working = [id_ for id_, state in states.items() if state.phase is Phase.RUNNING]
        nodes: dict[str, Row] = {}
        if working:
            nodes = {_last_part(row.get("name")): row for row in self._list("nodes")}
        for id_ in working:
            states[id_] = self._state_on_machines(id_, node_ids(rows[id_]), nodes)
        self._ended |= {id_ for id_, state in states.items() if state.phase is Phase.ENDED}
        return states

    def _state_on_machines(
        self, id_: str, own: Sequence[str], nodes: Mapping[str, Row]
    ) -> JobState:
        """Return the state of an active queued resource, from its own nodes among all."""
        states = {node: node_state(nodes[node]) for node in own if node in nodes}
        if id_ not in self._words:
            ready = [node for node, state in states.items() if state.phase is Phase.RUNNING]
            words = [it for node in ready for it in self._words_of(node, is_first=node == own[0])]
            if state_at_end(words) is not None:
                self._words[id_] = words
        if (ended := state_at_end(self._words.get(id_, []))) is not None:
            return ended
        lost = [state for state in states.values() if state.phase is Phase.ENDED]
        return lost[0] if lost else _RUNNING

    def _words_of(self, node: str, *, is_first: bool) -> list[Words]:
        """Return what the machines of a node said at their ends."""
        body = {"queryPath": "marin-build/"}
        try:
            said = self._api.ask("POST", f"nodes/{node}:getGuestAttributes", body=body)
        except AnswerError:
            return []  # no machine has said anything, or they may not
        return words_in(said, is_first=is_first)

    def _list(self, what: str) -> list[Row]:
        try:
            return self._api.list(what)
        except AnswerError as error:
            raise QueueAwayError(f"the Cloud TPU API lists no {what}: {error.reason}") from None

    def _delete(self, id_: str) -> None:
        """Delete a queued resource and its machines; it is paid for until that is done."""
        self._to_delete.add(id_)
        try:
            self._api.ask("DELETE", f"queuedResources/{id_}", {"force": "true"})
        except AnswerError as error:
            if error.code not in (_GONE, *_NOT_NOW):
                raise QueueAwayError(f"{id_} cannot be deleted: {error.reason}") from None
            if error.code in _NOT_NOW:
                return  # it is being suspended, or deleted: asked again later
        self._to_delete.discard(id_)

    def _delete_again(self) -> None:
        for id_ in sorted(self._to_delete):
            with suppress(QueueAwayError):
                self._delete(id_)


def _live(states: Mapping[str, JobState]) -> dict[str, str]:
    """Return the ids of jobs that wait or run, by name; of several the one with the last number."""
    live = sorted(
        (*name_and_number(id_), id_)
        for id_, state in states.items()
        if state.phase is not Phase.ENDED
    )
    return {name: id_ for name, _, id_ in live}


def _last_part(name: object) -> str:
    return str(name or "").rpartition("/")[2]


def _refused(error: AnswerError, id_: str) -> JobRefusedError | QueueAwayError:
    """Return the error of a submit: a request that is wrong stays wrong."""
    if error.code == _IN_USE:
        return QueueAwayError(f"a queued resource {id_} is there already")
    said = error.reason.lower()
    if "quota" in said and "per minute" not in said:
        return JobNotYetError(
            f"Google Cloud takes no more: {error.reason}",
            hint="jobs that end free their part of it; a larger one is Google's to give",
        )
    if error.code in _WRONG:
        return JobRefusedError(f"Google Cloud refuses it: {error.reason}")
    return QueueAwayError(f"the Cloud TPU API takes no request now: {error.reason}")
