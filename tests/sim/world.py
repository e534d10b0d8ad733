"""Virtual time: actors on hosts, resumed one at a time in an order that a seed decides.

    heap of (instant, number, actor, token, call)  ->  World.run  ->  actor's greenlet, or its call

An actor is a process or a thread of one. It runs until it waits; then the next event is taken.
Nobody sleeps: an instant is a number.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

from greenlet import greenlet

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

LONG = 3.0
"""Seconds of standing still from which on an actor is excused for what it could not do."""
AFTER_WAKING = 12.0
"""Seconds in which an actor that stood still must have found out what happened meanwhile."""


class KilledError(BaseException):
    """Unwinds the stack of a killed actor; nothing it does on the way has an effect."""


class ViolationError(Exception):
    """An invariant does not hold."""


class Host:
    """A machine: clocks of its own, and pauses that stop all that runs there."""

    def __init__(self, name: str, random: Random) -> None:
        self.name = name
        self._rate = random.uniform(0.997, 1.003)
        self._boot_zero = random.uniform(0, 1e6)
        self._monotonic_zero = random.uniform(0, 1e6)
        self._wall_zero = 1.7e9 + random.choice((0.0, 0.0, -1e5, 1e5, 3e7))
        self.slept = 0.0
        self.frozen_until = 0.0
        self.away_until = 0.0
        """Until when it cannot reach the store."""

    def boot_clock(self, now: float) -> float:
        """Counts the sleep of the machine."""
        return self._boot_zero + self._rate * now

    def monotonic(self, now: float) -> float:
        """Does not count it."""
        return self._monotonic_zero + self._rate * (now - self.slept)

    def wall(self, now: float) -> float:
        """What the machine believes the date to be."""
        return self._wall_zero + self._rate * now

    def jump(self, seconds: float) -> None:
        """Have a person, or a time server, set another date."""
        self._wall_zero += seconds


class Actor:
    """A process, or a thread of one."""

    def __init__(self, world: World, host: Host, name: str) -> None:
        self.world = world
        self.host = host
        self.name = name
        self.nonce = ""
        """Of the attempt it is at."""
        self.alive = True
        self.token = 0
        self.frozen_until = 0.0
        self.stalled_until = 0.0
        """End of the last time it stood still for long: paused, or waiting for one request."""
        self.listening = False
        self.greenlet: greenlet | None = None
        self.on_death: Callable[[], None] | None = None
        world.actors.append(self)

    def start(self, run: Callable[[], None], after: float = 0.0) -> None:
        """Give it a greenlet that runs `run`."""

        def guarded() -> None:
            try:
                run()
            except KilledError:
                if not self.alive:
                    return
            except Exception as error:  # noqa: BLE001 - the hub raises it, with the seed
                self.world.fail(error)
            self.alive = False
            if self.on_death is not None:
                self.on_death()

        self.greenlet = greenlet(guarded, self.world.hub)
        self.world.at(after, self, self.token, None)

    def wait(self, seconds: float) -> None:
        """Let others run for so long."""
        self.token += 1
        self.world.at(seconds, self, self.token, None)
        self.world.hub.switch()
        if not self.alive:
            raise KilledError

    def listen(self, seconds: float | None = None) -> None:
        """Let others run until somebody wakes this one, or for so long."""
        self.token += 1
        if seconds is not None:
            self.world.at(seconds, self, self.token, None)
        self.listening = True
        self.world.hub.switch()
        self.listening = False
        if not self.alive:
            raise KilledError

    def wake(self) -> None:
        """End its listening now."""
        if self.listening:
            self.token += 1
            self.world.at(0.0, self, self.token, None)

    def call(self, after: float, call: Callable[[], None]) -> None:
        """Have it do something that does not wait."""
        self.world.at(after, self, -1, call)

    def freeze(self, seconds: float) -> None:
        """Stop it, as SIGSTOP does."""
        self.world.note(self, f"stands still for {seconds:.1f} s")
        self.frozen_until = max(self.frozen_until, self.world.now + seconds)
        self.stall(seconds)

    def stall(self, seconds: float) -> None:
        """Note that it can do nothing for so long."""
        if seconds > LONG:
            self.stalled_until = max(self.stalled_until, self.world.now + seconds)

    def is_excused(self) -> bool:
        """Return whether it could not act in time."""
        return self.world.now < self.stalled_until + AFTER_WAKING

    def kill(self) -> None:
        """End it, now; whoever waits for its end is told."""
        if not self.alive:
            return
        self.alive = False
        self.world.note(self, "dies")
        if self.greenlet is not None and not self.greenlet.dead:
            self.world.graves.append(self.greenlet)
        if self.on_death is not None:
            self.on_death()


Event = tuple[float, int, Actor, int, "Callable[[], None] | None"]


class World:
    """The scheduler."""

    def __init__(self, random: Random, *, trace: bool = False) -> None:
        self.random = random
        self.now = 0.0
        self.hub = greenlet.getcurrent()
        self.actors: list[Actor] = []
        self.graves: list[greenlet] = []
        self.trace: list[str] | None = [] if trace else None
        self._heap: list[Event] = []
        self._count = 0
        self.failure: Exception | None = None
        self.nobody = Actor(self, Host("nowhere", random), "network")
        self.current = self.nobody
        """Whose turn it is."""

    def at(self, after: float, actor: Actor, token: int, call: Callable[[], None] | None) -> None:
        """Schedule an actor, or a call of one."""
        self._count += 1
        heapq.heappush(self._heap, (self.now + after, self._count, actor, token, call))

    def note(self, actor: Actor | None, what: str) -> None:
        """Add a line to the trace."""
        if self.trace is not None:
            self.trace.append(f"{self.now:9.3f}  {actor.name if actor else '':<12} {what}")

    def fail(self, error: Exception) -> None:
        """End the schedule with an error."""
        self.failure = self.failure or error

    def violate(self, what: str) -> None:
        """Report a broken invariant."""
        self.note(None, f"VIOLATION {what}")
        self.fail(ViolationError(what))

    def freeze_host(self, host: Host, seconds: float) -> None:
        """Put a machine to sleep, with all that runs there."""
        host.frozen_until = max(host.frozen_until, self.now + seconds)
        host.slept += seconds
        for actor in self.actors:
            if actor.alive and actor.host is host:
                actor.freeze(seconds)

    def run(self, until: float) -> None:
        """Run what is scheduled, until nothing is or it is too late.

        Raises:
            ViolationError: an invariant does not hold.
            Exception: what an actor raised.

        """
        heap, pop = self._heap, heapq.heappop
        while heap:
            instant, _, actor, token, call = pop(heap)
            if not actor.alive or (token >= 0 and token != actor.token):
                continue
            frozen = actor.frozen_until
            if frozen > instant:
                self._count += 1
                heapq.heappush(heap, (frozen, self._count, actor, token, call))
                continue
            self.now, self.current = instant, actor
            if instant > until:
                self.violate("nothing comes to an end")
            elif call is not None:
                call()
            else:
                assert actor.greenlet is not None
                actor.greenlet.switch()
            while self.graves:
                # Unwound at once, so that nothing of it runs when the collector finds it.
                grave = self.graves.pop()
                if grave:
                    grave.throw(KilledError)
            if self.failure is not None:
                self._bury_all()
                raise self.failure

    def _bury_all(self) -> None:
        for actor in self.actors:
            actor.alive = False
            if actor.greenlet is not None and actor.greenlet:
                actor.greenlet.throw(KilledError)
        self.graves.clear()
