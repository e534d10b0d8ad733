"""StepRunner: run steps from inside a program, each as soon as what it needs is built."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from marin_build.errors import (
    PreviousTaskFailedError,
    SpecificationError,
    StepFailedError,
    StoppedError,
    StoreAwayError,
)
from marin_build.observe.unbuilt import Found, find_unbuilt, judge, read_adopted
from marin_build.pipeline.retries import Tries, cause_of
from marin_build.pipeline.step_spec import StepSpec
from marin_build.runtime.disk_cache import seen_unbuilt
from marin_build.workspace import common_prefix

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from marin_build.pipeline.retries import Cause


_AT_ONCE = 8
_log = logging.getLogger("marin_build.step_runner")
_log.addHandler(logging.NullHandler())  # a library speaks only where somebody listens


class StepRunner:
    """Runs steps, and all that they need, in threads of this program."""

    def run(
        self,
        steps: Iterable[StepSpec],
        *,
        dry_run: bool = False,
        force_run_failed: bool = True,
        max_concurrent: int | None = None,
    ) -> None:
        """Build what is not built; return when nothing is left to do.

        A step is started as soon as it is taken from `steps` and what it needs is built: `steps`
        may be a generator that makes the next step from the output of the last one. Their order
        is free. What they need is found through `deps`; below a built step nothing is looked at.
        After a failure everything that does not need the failed step goes on.

        Args:
            steps: the steps that are wanted.
            dry_run: log what would be built; nothing is run or written.
            force_run_failed: whether targets that failed before are tried again.
            max_concurrent: steps that run at once; default 8.

        Raises:
            StepFailedError: `N step(s) failed`, with what is blocked by them; its cause is the
                first failure. It is a PreviousTaskFailedError if all failures are.
            SpecificationError: an illegal argument, or steps that contradict each other.
            StoreError: a status cannot be read.

        """
        at_once = _AT_ONCE if max_concurrent is None else max_concurrent
        if type(at_once) is not int or at_once < 1:
            raise SpecificationError(
                f"`max_concurrent` must be a whole number, at least 1, not `{max_concurrent!r}`",
                consequence="nothing was run",
            )
        if isinstance(steps, StepSpec):
            raise SpecificationError("`steps` is one step, not several", hint="run([step])")
        with ThreadPoolExecutor(at_once, thread_name_prefix="step") as pool:
            run = _Run(pool, dry_run=dry_run, force_run_failed=force_run_failed)
            try:
                for batch in _batches(steps):
                    run.admit(batch)
                run.wait()
            except BaseException:
                run.cancel()
                raise
        run.raise_failures()


def _batches(steps: Iterable[StepSpec]) -> Iterator[Sequence[StepSpec]]:
    """Yield what is there at once together: statuses are read in batches."""
    if isinstance(steps, Sequence):
        yield steps
        return
    for step in steps:
        yield [step]


@dataclass(slots=True, eq=False)
class _Node:
    """A step of a run, and how it stands."""

    found: Found
    is_built: bool
    missing: int = 0
    """Dependencies that are not built yet."""
    dependents: list[_Node] = field(default_factory=list)
    blocked_by: str = ""
    error: BaseException | None = None

    @property
    def name(self) -> str:
        """The target's id, for people."""
        return self.found.step.target_id

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.is_built or self.error is not None or self.blocked_by != ""


class _Run:
    """The steps of one call, under one lock; the thread that ends a step starts what it freed."""

    def __init__(self, pool: ThreadPoolExecutor, *, dry_run: bool, force_run_failed: bool) -> None:
        self._pool = pool
        self._dry_run = dry_run
        self._force_run_failed = force_run_failed
        self._prefix = common_prefix()
        self._found: dict[str, Found] = {}
        self._nodes: dict[str, _Node] = {}
        self._failures: list[_Node] = []
        self._blocked: list[_Node] = []
        self._running = 0
        self._told_to_end = threading.Event()
        self._changed = threading.Condition(threading.RLock())

    def admit(self, steps: Sequence[StepSpec]) -> None:
        """Take in steps and what they need, and start what can start."""
        fresh = [self._node(found) for found in find_unbuilt(steps, self._found, self._prefix)]
        self._judge(fresh)
        self._refuse_readers_of_adopted(fresh)
        with self._changed:
            for node in fresh:
                self._connect(node)
            self._start([node for node in fresh if not node.missing and not node.has_ended])

    def wait(self) -> None:
        """Wait until no step runs and none can start."""
        with self._changed:
            self._changed.wait_for(lambda: self._running == 0)

    def cancel(self) -> None:
        """Start nothing more; nobody waits for another try."""
        self._told_to_end.set()

    def raise_failures(self) -> None:
        """Say what failed, if anything did."""
        if not self._failures:
            return
        causes = [node.error for node in self._failures]
        before = all(isinstance(cause, PreviousTaskFailedError) for cause in causes)
        kind = PreviousTaskFailedError if before else StepFailedError
        facts = [
            *((node.name, _shown(node.error)) for node in self._failures),
            *((node.name, f"blocked by {node.blocked_by}") for node in self._blocked),
        ]
        raise kind(f"{len(self._failures)} step(s) failed", facts=facts) from causes[0]

    def _node(self, found: Found) -> _Node:
        node = _Node(found, is_built=found.is_built)
        self._nodes[found.output] = node
        return node

    def _judge(self, fresh: list[_Node]) -> None:
        """Give up what cannot be judged; tell where another identity than is declared is reused."""
        judged = judge(node.found for node in fresh)
        for output, error in judged.problems.items():
            node = self._nodes[output]
            node.is_built, node.error = False, error
            self._failures.append(node)
        for output, words in judged.drifted.items():
            _log.warning("%s is reused, though %s", self._nodes[output].name, words)

    def _refuse_readers_of_adopted(self, fresh: list[_Node]) -> None:
        """Refuse steps that would look for adopted data where it is not: paths are fixed here."""
        needs = {
            node.found.output: [dep.output_path_in(self._prefix) for dep in node.found.step.deps]
            for node in fresh
            if not node.is_built
        }
        built = {path for paths in needs.values() for path in paths if self._nodes[path].is_built}
        places = read_adopted(sorted(built))
        for output, paths in needs.items():
            for path in paths:
                if path in places:
                    node = self._nodes[output]
                    what = f"`{node.name}` needs data that was adopted from `{places[path]}`"
                    node.error = StoppedError(what, hint="build it with `marin-build apply`")
                    self._failures.append(node)
                    break

    def _connect(self, node: _Node) -> None:
        """Tie a new step to what it needs, all of which is known by now."""
        if node.has_ended:
            return
        deps = node.found.step.deps
        for path in dict.fromkeys(dep.output_path_in(self._prefix) for dep in deps):
            dep = self._nodes[path]
            if dep.error is not None or dep.blocked_by:
                self._block(node, dep)
            elif not dep.is_built:
                node.missing += 1
                dep.dependents.append(node)

    def _start(self, ready: list[_Node]) -> None:
        """Start steps; those that end at once free others."""
        while ready and not self._told_to_end.is_set():
            node = ready.pop(0)
            if not self._force_run_failed and node.found.has_failed:
                what = f"`{node.found.step.name}` failed before: {node.found.status}"
                hint = "allow it with force_run_failed=True"
                ready += self._ended(node, PreviousTaskFailedError(what, hint=hint))
            elif self._dry_run:
                _log.info("would build %s at %s", node.name, node.found.output)
                ready += self._ended(node, None)
            else:
                self._running += 1
                self._pool.submit(self._build, node)

    def _build(self, node: _Node) -> None:
        """Build a step, in a thread of the pool."""
        error: BaseException | None = None
        try:
            if not self._told_to_end.is_set():
                _log.info("building %s at %s", node.name, node.found.output)
                _call(node.found, self._told_to_end.wait)
        except BaseException as caught:  # noqa: BLE001 - it is told to the caller of `run`
            error = caught
        with self._changed:
            self._running -= 1
            self._start(self._ended(node, error))
            self._changed.notify_all()

    def _ended(self, node: _Node, error: BaseException | None) -> list[_Node]:
        """Take note of how a step ended; return what can start now."""
        node.error, node.is_built = error, error is None
        if error is not None:
            _log.error("%s failed: %s", node.name, _shown(error))
            self._failures.append(node)
        for dependent in node.dependents:
            dependent.missing -= 1
            if error is not None:
                self._block(dependent, node)
        return [d for d in node.dependents if not d.missing and not d.has_ended]

    def _block(self, node: _Node, by: _Node) -> None:
        """Give up a step, and all that needs it."""
        pending = [(node, by)]
        while pending:
            node, by = pending.pop()
            if node.blocked_by:
                continue
            node.blocked_by = by.name
            self._blocked.append(node)
            pending += [(dependent, node) for dependent in node.dependents]


def _call(found: Found, pause: Callable[[float], bool]) -> None:
    """Call what builds a step, as often as its author allows.

    Args:
        found: the step.
        pause: waits for so many seconds; returns whether the run was told to end meanwhile.

    """
    tries = Tries(found.step.retries)
    while True:
        try:
            with seen_unbuilt(found.output):
                found.step.executable_fn(found.output)
            return
        except (StoppedError, PreviousTaskFailedError, SpecificationError):
            raise
        except (Exception, SystemExit) as error:
            verdict = tries.failed(_cause_of(error))
            if verdict.wait is None:
                raise
            said = f"trying again in {verdict.wait:.1f} s" if verdict.wait else "trying again"
            _log.warning("%s failed: %s; %s", found.step.target_id, _shown(error), said)
            if pause(verdict.wait):
                raise


def _cause_of(error: BaseException) -> Cause:
    """Return why a call failed."""
    if isinstance(error, MemoryError):
        return "oom"
    if isinstance(error, StoreAwayError):
        return "infra"
    if isinstance(error, SystemExit) and isinstance(error.code, int):
        return cause_of(error.code)
    return "app"


def _shown(error: BaseException | None) -> str:
    if isinstance(error, SystemExit):
        return f"exit code {error.code}"
    return str(error) if isinstance(error, StepFailedError) else f"{type(error).__name__}: {error}"
