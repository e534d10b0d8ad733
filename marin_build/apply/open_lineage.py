"""A run as events of OpenLineage, for catalogues that draw what was made from what. Pure.

Each try at a target is a run of the job that is named after the step; the run of marin-build is its
parent. Outputs and sources are datasets: namespace and name follow the naming of OpenLineage
(https://openlineage.io/docs/spec/naming), so that other tools' events about a bucket meet ours.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from marin_build.text.secret_shapes import masked_text
from marin_build.untrusted_json import parse_json, table, texts
from marin_build.workspace.places import is_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from marin_build.apply.journal import Entry, Journal
    from marin_build.plan.document import DecisionDocument, PlanDocument

PRODUCER = "https://github.com/marin-community/marin-build"
_SPEC = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"
_FACETS = "https://openlineage.io/spec/facets"
_PARENT = f"{_FACETS}/1-2-0/ParentRunFacet.json#/$defs/ParentRunFacet"
_ERROR = f"{_FACETS}/1-0-1/ErrorMessageRunFacet.json#/$defs/ErrorMessageRunFacet"
_VERSION = f"{_FACETS}/1-0-1/DatasetVersionDatasetFacet.json#/$defs/DatasetVersionDatasetFacet"
_ENDS = {
    "step_succeeded": "COMPLETE",
    "step_failed": "FAIL",
    "step_stopped": "ABORT",
    "step_interrupted": "ABORT",
    "step_waiting": "ABORT",
    "step_reused": "ABORT",
}
"""What ends a try. It counts as none if another run built the target meanwhile, or builds it."""


def lineage_events(
    journal: Journal, plan: PlanDocument, place_of: Callable[[str], str]
) -> Iterator[dict[str, Any]]:
    """Yield the events of a run, in the order of time; a try that died has no end.

    Args:
        journal: of the run.
        plan: what it built.
        place_of: output path in the plan -> absolute path or URL.

    """
    run = _Run(journal.header.run, plan.pipeline)
    targets = {each.target: each for each in plan.decisions}
    running: dict[str, _Try] = {}
    begun: dict[str, int] = {}
    yield run.event("START", journal.time)
    for entry in journal.entries:
        time = str(entry.fields.get("time", journal.time))
        target = targets.get(str(entry.fields.get("target", "")))
        if entry.event == "apply_finished":
            yield run.event(_whole(entry.fields), time)
        elif target is not None and entry.event == "step_started":
            begun[target.target] = begun.get(target.target, 0) + 1
            running[target.target] = _Try(run, target, begun[target.target], targets, place_of)
            yield running[target.target].event("START", time)
        elif target is not None and entry.event in _ENDS and target.target in running:
            yield running.pop(target.target).event(_ENDS[entry.event], time, _message(entry))


@dataclass(frozen=True, slots=True)
class _Run:
    """A run of marin-build."""

    id: str
    pipeline: str

    @property
    def uuid(self) -> str:
        return _uuid(self.id)

    @property
    def parent(self) -> dict[str, Any]:
        run, job = {"runId": self.uuid}, {"namespace": _NAMESPACE, "name": self.pipeline}
        return {"_producer": PRODUCER, "_schemaURL": _PARENT, "run": run, "job": job}

    def event(self, kind: str, time: str) -> dict[str, Any]:
        return _event(kind, time, {"runId": self.uuid}, self.pipeline)


@dataclass(frozen=True, slots=True)
class _Try:
    """A try at a target, in a run."""

    run: _Run
    target: DecisionDocument
    number: int
    targets: Mapping[str, DecisionDocument]
    place_of: Callable[[str], str]

    def event(self, kind: str, time: str, message: str = "") -> dict[str, Any]:
        facets = {"parent": self.run.parent}
        if message:
            facets["errorMessage"] = {
                "_producer": PRODUCER,
                "_schemaURL": _ERROR,
                "message": masked_text(message),
                "programmingLanguage": "Python",
            }
        which = {"runId": _uuid(f"{self.run.id}/{self.target.target}/{self.number}")}
        event = _event(kind, time, which | {"facets": facets}, self.target.name)
        return event | {"inputs": list(self._inputs()), "outputs": [self._output(self.target)]}

    def _inputs(self) -> Iterator[dict[str, Any]]:
        for dep in self.target.deps:
            if (made := self.targets.get(dep)) is not None:
                yield self._output(made)
        for name, digest in _sources(self.target.payload).items():
            yield _dataset(masked_text(name), digest)

    def _output(self, target: DecisionDocument) -> dict[str, Any]:
        return _dataset(self.place_of(target.output_path), target.fingerprint)


def _sources(payload: str) -> Mapping[str, str]:
    """Return the sources in a payload, with their digests; any program may have written that."""
    try:
        return texts(table(parse_json(payload)).get("inputs") or {})
    except ValueError:
        return {}


_NAMESPACE = "marin-build"
_IDS = uuid.uuid5(uuid.NAMESPACE_URL, PRODUCER)


def _uuid(words: str) -> str:
    """Return an id that is always the same for the same words: events sent twice are one."""
    return str(uuid.uuid5(_IDS, words))


def _event(kind: str, time: str, run: Mapping[str, Any], job: str) -> dict[str, Any]:
    return {
        "eventType": kind,
        "eventTime": time,
        "producer": PRODUCER,
        "schemaURL": _SPEC,
        "run": dict(run),
        "job": {"namespace": _NAMESPACE, "name": job},
        "inputs": [],
        "outputs": [],
    }


def _dataset(place: str, version: str) -> dict[str, Any]:
    """Return a dataset: in a bucket `gs://bucket` and the path, on a disk `file` and the path."""
    namespace, name = "file", place
    if is_url(place):
        scheme, _, rest = place.partition("://")
        bucket, _, name = rest.partition("/")
        namespace = f"{scheme}://{bucket}"
    elif not place.startswith("/"):
        namespace = "source"
    facet = {"_producer": PRODUCER, "_schemaURL": _VERSION, "datasetVersion": version}
    return {"namespace": namespace, "name": name or "/", "facets": {"version": facet}}


def _whole(totals: Mapping[str, Any]) -> str:
    if totals.get("was_interrupted"):
        return "ABORT"
    return "FAIL" if totals.get("failed") else "COMPLETE"


def _message(entry: Entry) -> str:
    return str(entry.fields.get("message") or "")
