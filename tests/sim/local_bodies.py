"""A body that runs: it locks its log, starts what it starts, writes, and ends."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from marin_build.protocol.lease import TIME_TO_LIVE
from tests.sim.machine import Process

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.sim.local_family import LocalFamily
    from tests.sim.local_truth import Execution
    from tests.sim.machine import Description
    from tests.sim.world import Actor

REGISTER_AFTER = 5.0
KILLED, BROKEN = 137, 3
HEARS = 0.002
"""Seconds in which a process sees the end of another."""


@dataclass(frozen=True, slots=True)
class LocalWork:
    """What a body will do.

    Args:
        seconds: how long it takes.
        writes: when it writes a file each.
        exit_code: how it ends.
        child: what it starts: "" nothing, "fork", "exec", "away": a program whose input is
            not the log, so that only its mark is left.
        child_writes: when that writes, counted as `writes`; the body waits for its end.
        in_thread: whether it is a thread of the applier.

    """

    seconds: float
    writes: tuple[float, ...]
    exit_code: int = 0
    child: str = ""
    child_writes: tuple[float, ...] = ()
    in_thread: bool = False


class Running:
    """A body that runs."""

    def __init__(
        self,
        family: LocalFamily,
        execution: Execution,
        log: str,
        work: LocalWork,
        held_since: float,
        answer: Callable[[int], None],
        *,
        is_locked: bool,
    ) -> None:
        self.is_locked = is_locked
        self.family, self.execution, self.log, self.work = family, execution, log, work
        self.held_since = held_since
        self.process: Process | None = None
        self._answer: Callable[[int], None] | None = answer
        self._left: Description | None = None
        self._parts = 0
        self._is_over = False

    def fork(self) -> None:
        """Have the template start it."""
        if self._is_over:
            return
        family = self.family
        self.process = family.template.fork(family.next_name(), keeps=family.body_keeps)
        self.process.is_ours = False
        self.begin(self.process)

    def begin(self, process: Process) -> None:
        """Lock the log, start what it starts, and set out what it will do."""
        if not process.alive or self._is_over:
            return
        family, execution, work = self.family, self.execution, self.work
        machine = family.machine
        self._log = machine.open(process, self.log)
        # A thread that the kernel lock keeps needs no lock on its log: they live equally long.
        if not (work.in_thread and self.is_locked) and not machine.try_lock(self._log, 0):
            self._refuse(process)  # something of another attempt has it
            return
        age = process.host.boot_clock(machine.world.now) - self.held_since
        if age >= TIME_TO_LIVE:  # who asked for it stood still
            self._refuse(process)
            return
        actor = process.thread(".step" if work.in_thread else "")
        actor.nonce = execution.nonce
        machine.world.note(actor, f"starts: {work}")
        execution.processes.append(BodyThread(process, actor) if work.in_thread else process)
        execution.files = len(work.writes) + len(work.child_writes)
        family.judge.began(execution)
        self._parts = 1
        steps = [(it, partial(self._write, actor, f"data-{n}")) for n, it in enumerate(work.writes)]
        follow(actor, [*steps, (work.seconds, self._end_part)])
        if work.child:
            self._start_child(process)
        family.template.threads[0].call(REGISTER_AFTER, self._register)
        if not work.in_thread:
            process.on_death.append(self._body_died)

    def _refuse(self, process: Process) -> None:
        """End before anything was done."""
        self._is_over = True
        self.family.machine.close(process, self._log)
        if not self.work.in_thread:
            process.kill()
        self.answer_once(1)

    def _start_child(self, process: Process) -> None:
        work, execution = self.work, self.execution
        keeps_log = work.child != "away"

        def keeps(description: Description) -> bool:
            is_log = isinstance(description.file, str)
            return keeps_log if is_log else work.child == "fork"

        child = process.fork(f"{process.name}.{work.child}", keeps=keeps)
        child.is_ours = False
        if work.child != "fork":
            child.mark = execution.nonce
        execution.processes.append(child)
        actor = child.thread()
        actor.nonce = execution.nonce
        self._parts += 1

        def end() -> None:
            child.kill()
            self._end_part()

        writes = work.child_writes
        steps = [(it, partial(self._write, actor, f"more-{n}")) for n, it in enumerate(writes)]
        follow(actor, [*steps, (max(writes, default=0.0) + 0.001, end)])

    def _write(self, actor: Actor, name: str) -> None:
        self.family.judge.wrote_data(actor, self.execution, name)

    def _register(self) -> None:
        if not self._is_over and self.execution.is_alive:
            self.family.register(self)

    def _end_part(self) -> None:
        self._parts -= 1
        if not self._parts:
            self.execution.has_ended_well = not self.work.exit_code
            self._reap(self.work.exit_code)

    def _body_died(self) -> None:
        """Have the template see that, and kill what it started."""
        self.family.template.threads[0].call(HEARS, lambda: self._reap(KILLED))

    def kill(self) -> None:
        """Kill it and what it started."""
        if self._is_over:
            return
        if self.work.in_thread:
            self.family.applier.kill()  # a thread cannot be stopped alone
            return
        if self.process is None:
            self._is_over = True  # the template has not come to it yet
            self.answer_once(KILLED)
        for process in list(self.execution.processes):
            process.kill()

    def _reap(self, code: int) -> None:
        if self._is_over:
            return
        self._is_over = True
        machine = self.family.machine
        for process in self.execution.processes:
            if isinstance(process, BodyThread):
                process.over = True
            else:
                process.kill()
        if self.work.in_thread:
            machine.close(self.family.applier, self._log)
            self.answer_once(code)
        else:
            self.family.template.threads[0].call(HEARS / 4, lambda: self.answer_once(code))

    def answer_once(self, code: int) -> None:
        answer, self._answer = self._answer, None
        self.family.forget(self)
        if answer is not None:
            answer(code)


class BodyThread(Process):
    """A body that is a thread of the applier: it lives as long as that, or until it ends."""

    def __init__(self, process: Process, actor: Actor) -> None:
        self.process, self.over = process, False
        self.threads = [actor]
        self.mark = ""

    @property
    def alive(self) -> bool:  # type: ignore[override]
        return not self.over and self.process.alive

    def kill(self) -> None:
        """End the process that it is a thread of."""
        self.process.kill()

    def freeze(self, seconds: float) -> None:
        """Stop the process that it is a thread of."""
        self.process.freeze(seconds)


def follow(
    actor: Actor, steps: list[tuple[float, Callable[[], None]]], before: float = 0.0
) -> None:
    """Have an actor do one thing after the other, each after so many seconds of its life."""
    if not steps:
        return
    (instant, do), *others = steps

    def go_on() -> None:
        do()
        follow(actor, others, instant)

    actor.call(max(instant - before, 0.0), go_on)
