"""The rules of a local disk, judged at every change of a file and at every beginning of a body.

The judge sees what really lives, and what was really written.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from marin_build.protocol import layout
from marin_build.protocol.builder_note import note_of
from marin_build.protocol.lease import COLLECTING, parse_lease
from marin_build.store import kernel_locks
from tests.sim.local_truth import Execution, Said, Truth

if TYPE_CHECKING:
    from marin_build.store.base import Blob
    from tests.sim.machine import Description, Machine
    from tests.sim.world import Actor, World

FIRST_SECOND = 2.5
"""Seconds from the beginning within which an older version, which sees no kernel locks, may come
in between: a second until it is announced, and what a busy machine adds."""
LONGEST_WAIT = 4.0
"""Seconds that a run which looks again and again waits for what nobody holds."""


class LocalJudge:
    """Judges one machine."""

    def __init__(self, world: World, machine: Machine, outputs: list[str]) -> None:
        self._world, self._machine = world, machine
        self.truths = {output: Truth() for output in outputs}
        self.forcing: set[str] = set()
        self.older: set[str] = set()
        """Nonces of an older version."""
        self.may_lose = False
        """Whether some see no kernel locks, or that file was replaced: else no holder loses."""
        self._waits: dict[tuple[str, str], float] = {}
        """(who waits, for what) -> since when nobody holds that."""
        machine.judge = self

    # Holders.

    def lost(self, output: str, nonce: str) -> None:
        """Judge that a holder is told that another has its target."""
        if not self.may_lose:
            self._violate(output, f"{nonce} lost what it held, to nobody who could take it")

    def waits(self, name: str, output: str) -> None:
        """Judge that a run waits for a target: somebody must hold it, or work on it."""
        executions = self.truths[output].executions.values()
        offset = kernel_locks.offset_of(output.rpartition("/")[2])
        is_held = self._machine.is_held_by_ours(offset) or any(it.is_alive for it in executions)
        if is_held or self.may_lose or self._is_lease_empty(output):
            self._waits.pop((name, output), None)
            return
        since = self._waits.setdefault((name, output), self._world.now)
        if self._world.now > since + LONGEST_WAIT:
            self.late(output, self._world.now - since)

    # Bodies.

    def began(self, execution: Execution) -> None:
        """Judge that a body starts."""
        truth = self.truths[execution.output]
        for other in truth.executions.values():
            if other.is_alive:
                self._beside(truth, execution, other)
            elif (
                "older" in {execution.way, other.way}
                and abs(execution.claimed - other.claimed) < FIRST_SECOND
            ):
                truth.is_mixed = True  # neither knew of the other, nor cleared what that left
        if not execution.has_lock():
            self._violate(execution.output, f"{execution.nonce} begins without its lock")
        # An older version came and went since it took the lock, and it has not announced yet.
        was_beside = abs(truth.older_at - execution.claimed) < FIRST_SECOND
        truth.is_mixed |= was_beside
        may_begin = execution.forced or was_beside or execution.slept_before_it_began()
        if truth.built_by and not may_begin:
            self._violate(execution.output, f"{execution.nonce}: what is committed is built again")
        if execution.forced:
            truth.built_by = ""
        truth.executions[execution.nonce] = execution

    def _beside(self, truth: Truth, new: Execution, old: Execution) -> None:
        """Judge that a body starts while something of another one lives."""
        ways = {new.way, old.way}
        is_early = self._world.now < max(new.claimed, old.claimed) + FIRST_SECOND
        excused = new.slept_before_it_began() or old.is_excused()
        is_early_older = abs(truth.older_at - old.claimed) < FIRST_SECOND
        if (
            is_early_older
            or ("older" in ways and (is_early or excused))
            or ("stranger" in ways and excused)
        ):
            truth.is_mixed = True
            return
        self._violate(new.output, f"{new.nonce} begins while {old.nonce} lives")

    def wrote_data(self, actor: Actor, execution: Execution, name: str) -> None:
        """Have a body write a file, and judge that it does."""
        truth = self.truths[execution.output]
        if truth.built_by and truth.built_by != execution.nonce and not truth.is_mixed:
            self._violate(execution.output, f"{execution.nonce} writes into what is committed")
        self._machine.write(actor, f"{execution.output}/{name}", execution.nonce.encode())

    # Files.

    def wrote(self, actor: Actor, path: str, old: Blob | None, new: Blob | None) -> None:
        """Judge one change of a file."""
        output = next((output for output in self.truths if path.startswith(f"{output}/")), "")
        name = path.removeprefix(f"{output}/")
        if not output:
            return
        truth = self.truths[output]
        if actor.nonce in self.older:
            truth.older_at = self._world.now
        if name == layout.STATUS:
            self._status(output, truth, actor, old, new)
        elif name == layout.LEASE and old is not None:
            before = parse_lease(old.data, path)
            attempt = self._machine.files.get(layout.attempt_path(output, before.attempt))
            if before.is_sealed and attempt is not None and not attempt.data:
                truth.built_by = ""  # the power was cut before it was on disk
            elif before.is_sealed and (new is not None or not self._says_success(output)):
                self._violate(output, "a seal is gone before SUCCESS")
        elif name in (layout.RECORD, layout.ARTIFACT):
            if truth.built_by and not truth.is_collected and self._says_success(output):
                self._record(output, truth)
        elif not layout.is_ours(name.partition("/")[0]) and new is None:
            self._cleared(output, truth, actor)

    def _cleared(self, output: str, truth: Truth, actor: Actor) -> None:
        if truth.built_by and not truth.is_collected and actor.nonce not in self.forcing:
            truth.is_mixed |= actor.is_excused()  # data is not fenced
            if not truth.is_mixed:
                self._violate(output, f"{actor.nonce} deletes what is committed")
        for other in truth.executions.values():
            # Elsewhere time alone tells that a lease is stale, whatever still works here.
            is_far = actor.host.name == "elsewhere" and other.is_excused()
            is_early = self._world.now < other.claimed + FIRST_SECOND or other.is_excused()
            is_older = actor.nonce in self.older and is_early
            is_older |= abs(truth.older_at - other.claimed) < FIRST_SECOND
            truth.is_mixed |= other.is_alive and (is_far or is_older)
            if other.is_alive and other.nonce != actor.nonce and not truth.is_mixed:
                self._violate(output, f"{actor.nonce} deletes the data of {other.nonce}")

    def _status(
        self, output: str, truth: Truth, actor: Actor, old: Blob | None, new: Blob | None
    ) -> None:
        said = new.data.decode() if new is not None else ""
        was = old.data.decode() if old is not None else ""
        if said == "SUCCESS" and not was.startswith("TOMBSTONE"):
            self._success(output, truth, actor, was)
            return
        if (
            was.startswith(("SUCCESS", "TOMB"))
            and said == "RUNNING"
            and actor.nonce in self.forcing
        ):
            truth.built_by = ""
        is_collector = actor.nonce.startswith(COLLECTING)
        if said == "DELETING":
            truth.built_by, truth.is_collected = "", True
            if not was.startswith("TOMBSTONE"):
                self._violate(output, "used, and deleted all the same")
            return
        if was == "SUCCESS" and actor.nonce not in self.forcing and not is_collector:
            self._violate(output, f"{said or 'nothing'} over SUCCESS, by {actor.nonce}")

    def _success(self, output: str, truth: Truth, actor: Actor, was: str) -> None:
        """Judge that a target is committed, or that what is sealed is published."""
        truth.is_collected = False
        record = self._record_of(output)
        nonce = record.payload if record is not None else ""
        blob = self._machine.files.get(f"{output}/{layout.LEASE}")
        lease = parse_lease(blob.data, "") if blob is not None else None
        if was == "SUCCESS":  # a seal may be published twice
            if nonce != truth.built_by and not truth.was_cut:
                self._violate(output, f"SUCCESS over SUCCESS, by {actor.nonce}")
            return
        if lease is not None and lease.nonce != nonce:
            self._violate(output, f"SUCCESS of {nonce} while {lease.nonce} holds it")
        if lease is None and actor.nonce != nonce:
            self._violate(
                output, f"SUCCESS by {actor.nonce} beside the record of {nonce or 'none'}"
            )
        execution = truth.executions.get(nonce)
        if lease is None and execution is not None and not execution.has_lock():
            self._violate(output, f"SUCCESS of {nonce} without its lock")
        truth.built_by = nonce
        truth.commits += 1
        self._record(output, truth)

    def _record(self, output: str, truth: Truth) -> None:
        """Judge that what is committed is what one execution wrote, and says so."""
        record, execution = self._record_of(output), truth.executions.get(truth.built_by)
        if record is None or record.payload != truth.built_by:
            self._violate(output, "SUCCESS beside the record of another execution")
            return
        if execution is None or not execution.has_ended_well:
            self._violate(output, f"SUCCESS of {truth.built_by}, whose body did not end well")
            return
        blob = self._machine.files.get(f"{output}/{layout.ARTIFACT}")
        artifact = json.loads(blob.data) if blob is not None else None
        # An older version does not count logs, so that it begins at attempt 1, and leaves that.
        if artifact not in (None, truth.built_by) and execution.way != "older":
            self._violate(output, "SUCCESS beside the artifact of another execution")
        if truth.is_mixed:
            return
        found = [
            blob.data.decode()
            for path, blob in self._machine.below(output)
            if not layout.is_ours(path.partition("/")[0])
        ]
        if found != [truth.built_by] * execution.files:
            self._violate(output, f"SUCCESS of {truth.built_by}, and the data is {found}")

    # The end.

    def check_idle(self, name: str, opened: list[Description]) -> None:
        """Judge that a run that has ended holds nothing."""
        if any(map(self._machine.locks_of, opened)):
            self._violate(name, "holds a lock when all is over")

    def check_end(self, output: str, *, forced: bool) -> None:
        """Judge what is left when everything has come to its end."""
        truth = self.truths[output]
        if truth.is_blocked:
            return
        if not self._says_success(output):
            self._violate(output, "it is not built in the end")
            return
        if not forced and truth.commits != 1:
            self._violate(output, f"it was committed {truth.commits} times")
        blob = self._machine.files.get(f"{output}/{layout.LEASE}")
        if blob is not None and parse_lease(blob.data, "").is_sealed:
            self._violate(output, "a seal is left behind")
        self._record(output, truth)

    def forget_doubtful(self, output: str) -> bool:
        """Return whether a plan builds a target again after a power cut (ADR 9); forget it then."""
        truth, record = self.truths[output], self._record_of(output)
        held = self._machine.files.get(f"{output}/{layout.LEASE}")
        if held is not None and parse_lease(held.data, "").is_sealed:
            truth.is_mixed = truth.was_cut = True  # published, and doubted by the plan after that
        doubts = record is None or record.end > self._machine.synced_until
        blob = self._machine.files.get(f"{output}/{layout.STATUS}")
        is_built = blob is not None and blob.data.startswith((b"SUCCESS", b"TOMBSTONE"))
        truth.built_by = record.payload if is_built and not doubts and record else ""
        return is_built and doubts

    def has_empty_lease(self) -> bool:
        """Return whether a lease must age that says nothing, for it may be Marin's."""
        return any(map(self._is_lease_empty, self.truths))

    def _is_lease_empty(self, output: str) -> bool:
        blob = self._machine.files.get(f"{output}/{layout.LEASE}")
        return blob is not None and not blob.data

    def has_documents_of_another_boot(self) -> bool:
        """Return whether a lease document must age: no kernel lock, and no process, tells of it."""
        paths = [f"{it}/{name}" for it in self.truths for name in (layout.LEASE, layout.RECORD)]
        blobs = [self._machine.files.get(path) for path in paths]
        leases = [it for blob in blobs if blob is not None and (it := note_of(blob.data))]
        file = str(self._machine.leases_file)
        return self.has_empty_lease() or any(
            it.boot != self._machine.host.name and it.lock != file for it in leases
        )

    def blocked(self, output: str) -> None:
        """Judge that a run refuses to build, because data lies there that no build left."""
        truth = self.truths[output]
        if truth.is_mixed:  # an older version did not wait for what a dead quick builder started
            truth.is_blocked = True
            return
        self._violate(output, "BLOCKED by data that a build of ours left")

    def late(self, output: str, seconds: float) -> None:
        """Judge how long a run waited for a target that nobody held."""
        self._violate(output, f"it took {seconds:.1f} s although nobody held it")

    def _says_success(self, output: str) -> bool:
        blob = self._machine.files.get(f"{output}/{layout.STATUS}")
        return blob is not None and blob.data == b"SUCCESS"

    def _record_of(self, output: str) -> Said | None:
        blob = self._machine.files.get(f"{output}/{layout.RECORD}")
        try:
            said = json.loads(blob.data) if blob is not None else {}
            return Said(said["payload"], float(said["end"]))
        except (ValueError, KeyError):  # none, or the note of who builds
            return None

    def _violate(self, output: str, what: str) -> None:
        self._world.violate(f"{output}: {what}")
