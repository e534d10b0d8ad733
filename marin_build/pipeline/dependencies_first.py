"""A walk over steps that comes to a step after its dependencies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import Self


class _Step(Protocol):
    """What the walk needs of a StepSpec, whose module imports this one."""

    @property
    def deps(self) -> Sequence[Self]: ...


S = TypeVar("S", bound=_Step)


def dependencies_first(roots: Iterable[S], is_done: Callable[[S], bool]) -> Iterator[S]:
    """Yield `roots` and all they need, each step after its dependencies.

    The walk does not recurse, because chains may be 100,000 steps long.

    Args:
        roots: steps of a graph without cycles.
        is_done: whether the walk leaves out a step, and with it what only that step needs. It must
            be true of each step that was yielded, when the caller asks for the next one.

    """
    pending = list(roots)
    while pending:
        step = pending[-1]
        if is_done(step):
            pending.pop()
        elif missing := [dep for dep in step.deps if not is_done(dep)]:
            pending.extend(missing)
        else:
            pending.pop()
            yield step
