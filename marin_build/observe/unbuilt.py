"""Which steps are not built: from the wanted ones downwards, in few batches of statuses.

For programs that run steps as they declare them. `observe` does the same for a whole pipeline.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from marin_build.errors import CorruptStateError, SpecificationError
from marin_build.identity.code.same_code import same_code
from marin_build.pipeline.step_spec import StepSpec
from marin_build.protocol import layout
from marin_build.protocol.record_reader import adopted_from, parse_record
from marin_build.protocol.status import (
    STATUS_DEP_FAILED,
    STATUS_FAILED,
    STATUS_SUCCESS,
    Status,
    parse_status,
)
from marin_build.store.open_store import open_store

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from marin_build.errors import MarinBuildError


_WIDEST = 1024


@dataclass(frozen=True, slots=True)
class Found:
    """A step, its output path, and the status that was read there, or why that cannot be read."""

    step: StepSpec
    output: str
    status: Status | None
    problem: CorruptStateError | None = None

    @property
    def is_built(self) -> bool:
        """Whether nothing has to be done for it."""
        return self.status == STATUS_SUCCESS and not self.step.is_dev

    @property
    def has_failed(self) -> bool:
        """Whether an earlier attempt failed, or could not be made."""
        return self.status in (STATUS_FAILED, STATUS_DEP_FAILED)


def find_unbuilt(
    wanted: Sequence[StepSpec], found: dict[str, Found], prefix: str | None
) -> list[Found]:
    """Add steps and what they need to `found`; return what is new, the wanted ones first.

    Below a built step nothing is looked at. After a level that is not built the next batch takes
    2, 4, 8 ... levels, so that a deep chain does not cost a round trip a step.

    Args:
        wanted: where to begin.
        found: what is known already, by output path.
        prefix: where the outputs live; None: each below the default prefix of its own project.

    Raises:
        SpecificationError: two different steps have one output path.
        StoreError: a status cannot be read.

    """
    statuses: dict[str, Status | CorruptStateError | None] = {}
    width = 1
    while True:
        fresh, unread = _walk(wanted, found, statuses, prefix)
        if not unread:
            break
        below = [path for path in _levels(unread, width, prefix) if path not in found]
        statuses.update(_read([path for path in below if path not in statuses]))
        width = min(2 * width, _WIDEST)
    found.update((one.output, one) for one in fresh)
    return fresh


def _walk(
    wanted: Sequence[StepSpec],
    found: Mapping[str, Found],
    statuses: Mapping[str, Status | CorruptStateError | None],
    prefix: str | None,
) -> tuple[list[Found], list[StepSpec]]:
    """Return what is needed and new, as far as statuses are known, and what must be read next."""
    fresh: dict[str, Found] = {}
    unread: dict[str, StepSpec] = {}
    pending = [*reversed(wanted)]
    while pending:
        step = pending.pop()
        if not isinstance(step, StepSpec):
            raise SpecificationError(f"cannot run a {type(step).__name__}: it is not a step")
        output = step.output_path_in(prefix)
        known = found.get(output) or fresh.get(output)
        other = known.step if known is not None else unread.get(output)
        if other is not None:
            _check_same(other, step, output)
        elif output not in statuses:
            _check_pinned(step)
            unread[output] = step
        else:
            said = statuses[output]
            problem = said if isinstance(said, CorruptStateError) else None
            status = said if not isinstance(said, CorruptStateError) else None
            fresh[output] = one = Found(step, output, status, problem)
            if not one.is_built and problem is None:
                pending.extend(reversed(step.deps))
    return list(fresh.values()), list(unread.values())


def _levels(start: Sequence[StepSpec], width: int, prefix: str | None) -> list[str]:
    """Return the output paths of `width` levels, from `start` downwards."""
    paths = {step.output_path_in(prefix): None for step in start}
    level: Iterable[StepSpec] = start
    for _ in range(width - 1):
        below = {dep.output_path_in(prefix): dep for step in level for dep in step.deps}
        level = [dep for path, dep in below.items() if path not in paths]
        if not level:
            break
        paths.update(dict.fromkeys(below))
    return list(paths)


def _read(outputs: Iterable[str]) -> dict[str, Status | CorruptStateError | None]:
    """Return statuses, or why one is not readable; those of one store are read in one batch."""
    statuses: dict[str, Status | CorruptStateError | None] = {}
    for together in _by_store(outputs):
        paths = [f"{output}/{layout.STATUS}" for output in together]
        blobs = open_store(together[0]).get_many(paths)
        for output, path, blob in zip(together, paths, blobs, strict=True):
            try:
                statuses[output] = parse_status(blob.data if blob is not None else None, path)
            except CorruptStateError as error:
                statuses[output] = error
    return statuses


@dataclass(frozen=True, slots=True)
class Judged:
    """What is wrong with steps, and what is only to be told of them; both by output path."""

    problems: Mapping[str, MarinBuildError]
    drifted: Mapping[str, str]


def judge(found: Iterable[Found]) -> Judged:
    """Look at steps whose status is not readable, and at built ones of another identity.

    Only a version or an output path can hold another identity; of other steps no record is read.

    Raises:
        StoreError: the records cannot be read.

    """
    known = {one.output: one for one in found}
    problems: dict[str, MarinBuildError] = {
        output: one.problem for output, one in known.items() if one.problem is not None
    }
    drifted: dict[str, str] = {}
    loose = [output for output, one in known.items() if one.is_built and one.step.has_free_path]
    for together in _by_store(loose):
        paths = [f"{output}/{layout.RECORD}" for output in together]
        blobs = open_store(together[0]).get_many(paths)
        for output, path, blob in zip(together, paths, blobs, strict=True):
            step = known[output].step
            try:
                built = parse_record(blob.data, path, step.fingerprint) if blob else None
            except CorruptStateError as error:
                problems[output] = error
                continue
            if built is None or built.fingerprint == step.fingerprint:
                continue
            from marin_build.observe.read_identity_drift import changed_identity, pinned_error

            if step.expected_fingerprint is not None:
                problems[output] = pinned_error(step, output, built)
            else:
                drifted[output] = changed_identity(step, built).text
    return Judged(problems, drifted)


def read_adopted(outputs: Iterable[str]) -> dict[str, str]:
    """Return where the data lies of those outputs that were adopted from another place.

    Raises:
        StoreError: a record cannot be read.

    """
    found: dict[str, str] = {}
    for together in _by_store(outputs):
        blobs = open_store(together[0]).get_many([f"{o}/{layout.RECORD}" for o in together])
        for output, blob in zip(together, blobs, strict=True):
            place = adopted_from(blob.data) if blob is not None else None
            if place not in (None, output):
                found[output] = str(place)
    return found


def _by_store(outputs: Iterable[str]) -> Iterable[list[str]]:
    """Return output paths, those of one store together."""
    by_store: dict[str, list[str]] = {}
    for output in outputs:
        store = "/".join(output.split("/", 3)[:3]) if "://" in output else ""
        by_store.setdefault(store, []).append(output)
    return by_store.values()


def _check_same(one: StepSpec, other: StepSpec, output: str) -> None:
    """Refuse two steps of one output path that cannot be one."""
    if one is other:
        return
    if one.fingerprint != other.fingerprint:
        what = f"two different steps have the output path `{output}`"
        hint = "give one of them another name or version"
    elif not same_code(one.fn, other.fn):
        what = f"two steps have the identity `{one.target_id}` but different code"
        hint = "what differs must be an attribute: add it to `hash_attrs`"
    else:
        return
    facts = [("declared", f"{one.place}, {other.place}")]
    raise SpecificationError(what, facts=facts, hint=hint)


def _check_pinned(step: StepSpec) -> None:
    if step.expected_fingerprint not in (None, step.fingerprint):
        raise SpecificationError(
            f"`{step.name}` has the fingerprint {step.fingerprint}, "
            f"but {step.expected_fingerprint} is pinned",
            facts=[("declared", step.place)],
        )
