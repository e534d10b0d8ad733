"""The processes of a run on one machine: applier, template, keeper, bodies and what they start.

    applier --forks--> template --forks--> body --starts--> child
                          `----forks--> keeper

Template and applier share what is open, bodies keep only their logs.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from marin_build.protocol.renewal import Keeping, Kept
from tests.sim.local_bodies import BROKEN, HEARS, Running
from tests.sim.local_disk import Disk

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.sim.bucket import Faults
    from tests.sim.local_bodies import LocalWork
    from tests.sim.local_rules import LocalJudge
    from tests.sim.local_truth import Execution
    from tests.sim.machine import Description, Machine, Process


class LocalKeeper:
    """The process that renews lease documents and kills the work of one that is lost."""

    def __init__(self, family: LocalFamily) -> None:
        self.process = family.template.fork(f"{family.name}.keeper", keeps=lambda _: False)
        self._actor = self.process.thread()
        self._disk = Disk(family.machine, family.faults)
        self._work: dict[str, tuple[Keeping, Callable[[], None]]] = {}
        self._actor.start(self._keep)

    def hold(
        self,
        output: str,
        nonce: str,
        held_since: float,
        kill: Callable[[], None],
        *,
        is_locked: bool,
    ) -> None:
        clock, world = self._actor.host.boot_clock, self._actor.world
        keeping = Keeping(
            output, nonce, held_since=held_since, clock=lambda: clock(world.now),
            may_be_absent=is_locked,
        )  # fmt: skip
        self._work[output] = keeping, kill
        self._actor.wake()

    def release(self, output: str) -> None:
        self._work.pop(output, None)

    def _keep(self) -> None:
        host, world = self._actor.host, self._actor.world
        while True:
            if not self._work:
                self._actor.listen()
                continue
            output = min(self._work, key=lambda it: self._work[it][0].due)
            keeping, kill = self._work[output]
            patience = keeping.due - host.boot_clock(world.now)
            if patience > 0:
                self._actor.listen(patience + 0.001)
                continue
            self._actor.nonce = ""
            kept = keeping.renew(self._disk, host.wall(world.now))
            if kept in (Kept.LOST, Kept.RELEASED) and self._work.get(output, (None,))[0] is keeping:
                del self._work[output]
                if kept is Kept.LOST:
                    kill()


class LocalFamily:
    """An applier's children.

    Args:
        machine, faults, judge: where they live.
        process: the applier.
        keeps: which files that are open a body keeps, of those of the template.

    """

    def __init__(
        self, machine: Machine, faults: Faults, judge: LocalJudge, process: Process
    ) -> None:
        self.machine, self.faults, self.judge = machine, faults, judge
        self.applier, self.name = process, process.name
        self.template = process.fork(f"{self.name}.template")
        self._actor = self.template.thread()
        self.keeper: LocalKeeper | None = None
        self.is_struck_whole = False
        """Whether all of ours are killed at once: nobody kills what bodies have started."""
        self._bodies: dict[str, Running] = {}
        self._count = 0
        self.template.on_death.append(self._template_died)
        process.on_death.append(self._applier_died)

    @staticmethod
    def body_keeps(description: Description) -> bool:
        """Return whether a body keeps open what the template has."""
        return isinstance(description.file, str)

    def run(
        self,
        execution: Execution,
        log: str,
        work: LocalWork,
        held_since: float,
        answer: Callable[[int], None],
        *,
        is_locked: bool,
    ) -> None:
        """Have a body run, in a thread of the applier or as a child of the template."""
        if not work.in_thread and not self.template.alive:
            answer(BROKEN)
            return
        running = Running(self, execution, log, work, held_since, answer, is_locked=is_locked)
        self._bodies[execution.output] = running
        if work.in_thread:
            running.begin(self.applier)
        else:
            self._actor.call(HEARS / 4, running.fork)

    def kill(self, output: str) -> None:
        """Kill the body of a target, and what it started."""
        if output in self._bodies:
            self._bodies[output].kill()

    def release(self, output: str) -> None:
        """Have the keeper let a target go."""
        if self.keeper is not None:
            self.keeper.release(output)

    def all(self) -> list[Process]:
        """Return all that is ours, bodies included, and not what they started."""
        keeper = [self.keeper.process] if self.keeper is not None else []
        bodies = [it.process for it in self._bodies.values() if it.process is not None]
        return [self.applier, self.template, *keeper, *bodies]

    def bodies(self) -> list[Process]:
        """Return the processes of bodies, and what they started."""
        return [process for it in self._bodies.values() for process in it.execution.processes]

    def forget(self, running: Running) -> None:
        if self._bodies.get(running.execution.output) is running:
            del self._bodies[running.execution.output]

    def register(self, running: Running) -> None:
        if self.keeper is None or not self.keeper.process.alive:
            self.keeper = LocalKeeper(self)
            self.keeper.process.on_death.append(lambda: self._actor.call(HEARS, self.template.kill))
        execution = running.execution
        execution.keepers.append(self.keeper.process)
        self.keeper.hold(
            execution.output, execution.nonce, running.held_since, running.kill,
            is_locked=running.is_locked,
        )  # fmt: skip

    def next_name(self) -> str:
        self._count += 1
        return f"{self.name}.body{self._count}"

    def _applier_died(self) -> None:
        self._actor.call(HEARS, self._end_all)

    def _end_all(self) -> None:
        """Have the template kill all that is below it, and end."""
        for process in self.bodies():
            process.kill()
        self.template.kill()

    def _template_died(self) -> None:
        """The kernel ends the bodies; the guard, unless it was struck too, what they started."""
        for running in list(self._bodies.values()):
            if running.work.in_thread:
                continue
            if running.process is not None:
                running.process.kill()
            for child in running.execution.processes:
                if child.alive and not self.is_struck_whole:
                    child.threads[0].call(HEARS, child.kill)
            if self.applier.alive:
                self.applier.threads[0].call(2 * HEARS, partial(running.answer_once, BROKEN))
        if self.keeper is not None:
            self.keeper.process.kill()
