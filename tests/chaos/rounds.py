"""One round: appliers on one prefix, struck as the schedule says, and judged."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tests.e2e.support import project_in
from tests.servers.gcs import GcsServer

from .ground import BUCKET, Ground
from .judges import Evidence, Fall, Seen, execution_of, judge, read_notes
from .schedule import EARLY, FREEZES, KINDS
from .victims import WORK, Family, families, send, victims_of

if TYPE_CHECKING:
    from tests.e2e.support import Project

    from .ground import Run
    from .schedule import Schedule, Strike

LOOK = 0.02
"""Seconds between two looks at what goes on."""
SCAN = 0.1
"""Seconds between two looks at all processes of the machine."""
PATIENCE = 300.0
"""Seconds without any progress after which a run counts as hung, on a crowded machine."""
GONE = 30.0
"""Seconds in which what a run has told to end is gone."""


@dataclass(slots=True)
class Tally:
    """What happened: counts by name, and what was violated."""

    counts: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)
    kept: str = ""
    """The folder of the round, if anything was violated."""


def play(schedule: Schedule) -> Tally:
    """Play a round; return what happened."""
    folder = Path(tempfile.mkdtemp(prefix=f"chaos-{schedule.seed}-"))
    with ExitStack() as stack:
        project = stack.enter_context(project_in(folder))
        server = stack.enter_context(GcsServer(BUCKET)) if schedule.is_remote else None
        round_ = _Round(schedule, project, folder, server)
        try:
            round_.play()
        finally:
            round_.clean_up()
    tally = round_.tally
    if tally.violations:
        tally.kept = str(folder)
    else:
        shutil.rmtree(folder, ignore_errors=True)
    return tally


class _Round:
    def __init__(
        self, schedule: Schedule, project: Project, folder: Path, server: GcsServer | None
    ) -> None:
        self._schedule = schedule
        self._ground = Ground(schedule, project, folder, server)
        self._thaws: list[tuple[float, list[int]]] = []
        self._targets: dict[str, str] = {}
        """Step -> its output, relative to the prefix."""
        self._seen = {step.name: Seen() for step in schedule.steps}
        self._falls: list[Fall] = []
        self._orphaned = False
        self._progress: tuple[float, tuple[int, ...]] = (0.0, ())
        self.tally = Tally()

    def play(self) -> None:
        self._ground.set_up()
        for strike in self._schedule.strikes:
            if not self._pass(strike.after):
                break
            self._strike(strike)
        self._ground.say("no more strikes")
        self._end_runs()
        if self._orphaned and self._schedule.unlocks:
            self._unlock()
        self._ground.end_faults()
        self._apply_plainly()
        self._judge()

    # What goes on while time passes.

    def _pass(self, seconds: float) -> bool:
        """Let time pass, with as many appliers as there must be; False: all is built."""
        until = time.monotonic() + seconds
        while True:
            self._look()
            if all(seen.committed_at for seen in self._seen.values()):
                return False
            while sum(not run.is_over for run in self._ground.runs) < self._schedule.appliers:
                ways = self._schedule.ways
                self._ground.start(ways[len(self._ground.runs) % len(ways)])
            if (left := until - time.monotonic()) <= 0:
                return True
            time.sleep(min(LOOK, left))

    def _look(self) -> None:
        """Thaw those whose time it is, and take note of what is committed."""
        now = time.monotonic()
        for thaw in list(self._thaws):
            if thaw[0] <= now:
                self._thaws.remove(thaw)
                send(thaw[1], signal.SIGCONT)
                self._ground.say(f"thawed {thaw[1]}")
        for step, seen in self._seen.items():
            if not seen.committed_at and self._ground.is_committed(step):
                seen.committed_at = time.clock_gettime(time.CLOCK_BOOTTIME)
                seen.execution = execution_of(self._ground.output(step))
                self._ground.say(f"committed {step}: {seen.execution}")

    # Strikes.

    def _strike(self, strike: Strike) -> None:
        """Strike, or strike the next kind that has a victim if this one has none for some time.

        An applier that has just started has no work yet: it is no such next kind.
        """
        kinds = FREEZES if strike.number == signal.SIGSTOP else KINDS
        first = kinds.index(strike.kind)
        others = [kind for kind in kinds[first + 1 :] + kinds[:first] if kind not in EARLY]
        meet = self._schedule.meet
        until = time.monotonic() + meet
        while not self._struck(strike):
            if not self._pass(SCAN):
                return
            if (late := time.monotonic() - until) < 0:
                continue
            if any(self._struck(replace(strike, kind=kind)) for kind in others):
                return
            if late > 5 * meet:
                self.tally.counts["strikes that met nobody"] += 1
                return

    def _struck(self, strike: Strike) -> bool:
        """Strike if there is a victim; return whether there was."""
        found = families()
        runs = [run for run in self._ground.runs if run.marker in found]
        offers = [(run, victims_of(strike, run.process.pid, found[run.marker])) for run in runs]
        offers = [(run, pids) for run, pids in offers if pids]
        if not offers:
            return False
        run, pids = offers[strike.dice % len(offers)]
        family = found[run.marker]
        time_ = time.clock_gettime(time.CLOCK_BOOTTIME)
        if strike.number == signal.SIGSTOP:
            send(pids, signal.SIGSTOP)
            self._thaws.append((time.monotonic() + strike.thaw, pids))
            run.frozen = True
            self.tally.counts[f"freeze {strike.kind}"] += 1
        else:
            if len(pids) > 1 and strike.kind != "group":
                send(pids, signal.SIGSTOP)  # so that none of them sees the end of another
            if strike.kind == "group":
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(run.process.pid, strike.number)
            else:
                send(pids, strike.number)
                send(pids, signal.SIGCONT)
            self.tally.counts[f"kill {strike.kind}"] += 1
            self.tally.counts["processes killed"] += len(pids)
            self._note_fall(strike, run, family, time_)
        self._ground.say(
            f"{strike}: {run.way} {run.process.pid}, {pids}; there were {family.by_kind}"
        )
        return True

    def _note_fall(self, strike: Strike, run: Run, family: Family, time_: float) -> None:
        if strike.kind in ("ours", "everything"):
            self._orphaned = True
        keepers = ("keeper", "template", "guard", "applier", "nearly")
        deadly = (signal.SIGKILL, signal.SIGSEGV)
        one = len(family.of(("applier",))) == 1  # of several only one is struck
        if strike.kind in keepers and strike.number in deadly and one and not run.frozen:
            self._falls.append(Fall(time_, strike.kind, frozenset(family.of(WORK))))

    # The end.

    def _end_runs(self) -> None:
        """Let go on who is frozen, and wait for the ends of all runs."""
        while self._thaws or any(not run.is_over for run in self._ground.runs):
            self._look()
            if self._hangs():
                hung = [run for run in self._ground.runs if not run.is_over]
                for run in hung:
                    family = families().get(run.marker, Family())
                    self._violated(f"{run.way} {run.process.pid} hangs: {family.by_kind}")
                    send(family.all(), signal.SIGKILL)
                return
            time.sleep(LOOK)

    def _hangs(self) -> bool:
        """Return whether nothing has happened for long: no word of it, no commit, no end."""
        now, state = (
            time.monotonic(),
            (
                self._ground.bytes_said(),
                sum(seen.committed_at > 0 for seen in self._seen.values()),
                sum(run.is_over for run in self._ground.runs),
                len(self._thaws),
            ),
        )
        if state != self._progress[1]:
            self._progress = now, state
        return now > self._progress[0] + PATIENCE

    def _unlock(self) -> None:
        """Kill what dead holders have left running, as a person would."""
        for step in self._seen:
            self.tally.counts["unlocks that killed"] += self._ground.unlock(step)

    def _apply_plainly(self) -> None:
        """Build all that is left, by one plain run."""
        run = self._ground.start(("process", "worker", "thread")[self._schedule.seed % 3])
        self._progress = (0.0, ())
        while not run.is_over:
            self._look()
            if self._hangs():
                family = families().get(run.marker, Family())
                self._violated(f"the last apply hangs: {family.by_kind}")
                send(family.all(), signal.SIGKILL)
                run.process.wait()
            time.sleep(LOOK)
        self._look()
        if run.process.returncode:
            self._violated(f"the last apply ended with {run.process.returncode}")
        self._all_gone()

    def _all_gone(self) -> None:
        """Nothing of ours lives on; what a run has just told to end may take a moment."""
        markers = {run.marker for run in self._ground.runs}
        until = time.monotonic() + GONE
        while True:
            left = {m: f for m, f in families().items() if m in markers}
            if not left:
                return
            if time.monotonic() > until:
                break
            time.sleep(LOOK)
        for marker, family in left.items():
            (way,) = [run.way for run in self._ground.runs if run.marker == marker]
            self._violated(f"left by {way}: {family.by_kind}")

    def _violated(self, what: str) -> None:
        self._ground.say(f"VIOLATED {what}")
        self.tally.violations.append(what)

    def _judge(self) -> None:
        notes = read_notes(self._ground.notes())
        evidence = Evidence(
            notes=notes,
            seen=self._seen,
            statuses={step: self._ground.read(step, ".executor_status") for step in self._seen},
            outputs={step: self._ground.output(step) for step in self._seen},
            falls=self._falls,
        )
        for violation in judge(self._schedule.steps, evidence):
            self._violated(violation)
        counts = self.tally.counts
        counts.update(f"run {run.way}" for run in self._ground.runs)
        counts["appliers"] = len(self._ground.runs)
        counts["executions"] = sum(note.what == "start" for note in notes)
        counts["executions that ended"] = sum(note.what == "end" for note in notes)
        counts["targets"] = len(self._seen)

    def clean_up(self) -> None:
        """Kill what is left: nothing, unless something was violated."""
        found = families()
        for run in self._ground.runs:
            send(found.get(run.marker, Family()).all(), signal.SIGKILL)
            run.process.wait()
