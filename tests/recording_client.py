"""A client that remembers what it was asked to run."""

from __future__ import annotations

from marin_build import JobHandle, JobRequest, LocalClient


class Recorder:
    """Remembers each request, and runs it here.

    Args:
        runs: False: a job that does nothing runs in place of each.

    """

    def __init__(self, *, runs: bool = True) -> None:
        self._runs = runs
        self.requests: list[JobRequest] = []

    def submit(self, request: JobRequest, adopt_existing: bool = True) -> JobHandle:
        del adopt_existing
        self.requests.append(request)
        return LocalClient().submit(request if self._runs else JobRequest("nothing", lambda: None))

    def shutdown(self, wait: bool = True) -> None:
        del wait
