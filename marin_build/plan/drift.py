"""Drift: how the code that built an output differs from today's code. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from marin_build.plan.decisions import Kind
from marin_build.quick_dataclass import dataclass
from marin_build.text.readable import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marin_build.plan.decisions import Plan
    from marin_build.plan.identity_drift import IdentityDrift


_SHOWN = 3
"""Differences that one line names; it counts the others."""
How = Literal["changed", "added", "removed"]
DriftKind = Literal["identity", "code", "upstream", "environment"]
"""What weighs most in how a target drifted, the weightiest first."""
What = Literal["captured", "python", "distribution", "lock", "image", "variable"]


@dataclass(frozen=True, slots=True)
class PartDrift:
    """A function, class or constant that differs.

    Args:
        name: its qualified name: `tokenizer.batch`.
        kind: `function`, `class` or `constant`.
        how: `changed`, `added` or `removed`.
        plus, minus: how many lines of normalised source were added and removed.
        via: the names on the way from the step's function to it.
        diff: the lines of a unified difference, without file names.

    """

    name: str
    kind: str
    how: How
    plus: int
    minus: int
    via: tuple[str, ...]
    diff: tuple[str, ...]

    @property
    def shown(self) -> str:
        """Its name for people: `tokenizer.batch()`."""
        return self.name.replace("<locals>.", "") + ("()" if self.kind == "function" else "")

    @property
    def text(self) -> str:
        """The difference for people: `tokenizer.batch() +3 -1 (via run -> batch)`."""
        how = "" if self.how == "changed" else f" {self.how}"
        counts = [f"+{self.plus}"] * bool(self.plus) + [f"-{self.minus}"] * bool(self.minus)
        via = f" (via {' -> '.join(self.via)})" if len(self.via) > 1 else ""
        return printable(" ".join([self.shown + how, *counts]) + via)

    @property
    def facts(self) -> dict[str, Any]:
        """What `--json` says of it."""
        counts = {"how": self.how, "plus": self.plus, "minus": self.minus}
        return {"kind": self.kind, "name": self.name, **counts, "via": list(self.via)}


@dataclass(frozen=True, slots=True)
class ValueDrift:
    """A named value that differs; `old` or `new` is None if that side has no such value."""

    what: What
    name: str
    old: str | None
    new: str | None

    @property
    def text(self) -> str:
        """The difference for people: `numpy 1.26.4 -> 2.0.0`."""
        if self.what in ("lock", "variable"):  # digests say nothing to a reader
            how = "added" if self.old is None else "removed" if self.new is None else "changed"
            return printable(f"{'env_vars.' if self.what == 'variable' else ''}{self.name} {how}")
        if self.what == "captured" and any(str(v).startswith("sha256:") for v in _both(self)):
            return printable(f"captured `{self.name}` differs")
        prefix = "captured " if self.what == "captured" else ""
        return printable(f"{prefix}{self.name} {self.old or 'none'} -> {self.new or 'none'}")

    @property
    def facts(self) -> dict[str, Any]:
        """What `--json` says of it."""
        return {"kind": self.what, "name": self.name, "old": self.old, "new": self.new}


@dataclass(frozen=True, slots=True)
class Drift:
    """How today's step and its surroundings differ from those that built an output.

    `parts` and `captured` are differences of code; with the policy `rebuild` they are differences
    of identity, too. `environment` is about the machine and packages of the build, `upstream` and
    `identity` about the targets that it was built from.
    """

    parts: tuple[PartDrift, ...] = ()
    captured: tuple[ValueDrift, ...] = ()
    environment: tuple[ValueDrift, ...] = ()
    unseen: tuple[str, ...] = ()
    """Parts of today's code that cannot be followed; they may differ, too."""
    is_unexplained: bool = False
    """Whether the digests differ, but the old source was not kept, so that no part is known."""
    upstream: tuple[str, ...] = ()
    """Dependencies that different code rebuilt after the output was built from them."""
    identity: IdentityDrift | None = None
    """How its identity changed under its version or output path; anything else may differ, too."""

    def __bool__(self) -> bool:
        """Whether anything differs."""
        return self.is_of_code or bool(self.environment or self.upstream or self.identity)

    @property
    def is_of_code(self) -> bool:
        """Whether the code of the step itself differs."""
        return bool(self.parts or self.captured or self.is_unexplained)

    @property
    def kind(self) -> DriftKind:
        """What weighs most in it."""
        if self.identity is not None:
            return "identity"
        if self.is_of_code:
            return "code"
        return "upstream" if self.upstream else "environment"

    @property
    def code(self) -> str:
        """The first few differences of code, on one line; empty if there are none."""
        return _listed([*self._named])

    @property
    def differences(self) -> tuple[str, ...]:
        """One text for each difference: parts, captured values, upstream, environment, identity."""
        above = (f"{target} was rebuilt with different code" for target in self.upstream)
        identity = (printable(self.identity.text),) if self.identity is not None else ()
        around = (item.text for item in self.environment)
        return (*self._named, *above, *around, *identity)

    @property
    def text(self) -> str:
        """One line for a plan, about the weightiest difference; empty if nothing differs."""
        if self.identity is not None:
            return printable(self.identity.text)
        if self.code:
            return f"code changed since built: {self.code}"
        if self.is_unexplained:
            return "code changed since built, and its source was not kept"
        if self.upstream:
            return f"built before different code rebuilt {_listed(self.upstream)}"
        if self.environment:
            changes = _listed([item.text for item in self.environment])
            return f"environment changed since built: {changes}"
        return ""

    @property
    def facts(self) -> list[dict[str, Any]]:
        """What `--json` says: one entry for each difference."""
        found = [self.identity.facts] if self.identity is not None else []
        found += [part.facts for part in self.parts] + [item.facts for item in self.captured]
        if self.is_unexplained:
            found.append({"kind": "unexplained"})
        found += [{"kind": "upstream", "name": target} for target in self.upstream]
        return found + [item.facts for item in self.environment]

    @property
    def _named(self) -> list[str]:
        return [part.text for part in self.parts] + [item.text for item in self.captured]


def _both(drift: ValueDrift) -> tuple[str | None, str | None]:
    return drift.old, drift.new


def _listed(texts: Sequence[str]) -> str:
    more = f" and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else ""
    return ", ".join(texts[:_SHOWN]) + more


def reused_drift(plan: Plan) -> dict[int, IdentityDrift]:
    """Return the identity drift of the targets that a plan does not build, by index."""
    kinds = {decision.index: decision.kind for decision in plan.decisions}
    return {
        index: drift
        for index, drift in plan.snapshot.drifted.items()
        if kinds.get(index, Kind.REUSE) is Kind.REUSE
    }
