"""A step as its payload describes it, and the attributes that a reader finds in that. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from marin_build.plan.metrics.leaves import attribute_leaves, each_once
from marin_build.text.secret_shapes import masked_text, masked_value

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@dataclass(frozen=True, slots=True)
class HashedStep:
    """What of a step was hashed, and where the steps are that it needs.

    Args:
        name: the step's name.
        payload: what was hashed, as JSON values.
        version: the step's version; None if it has none.
        deps: id of a dependency, as the payload has it -> key of that step among others; one of
            which nothing is known is left out.

    """

    name: str
    payload: Mapping[str, Any]
    version: str | None = None
    deps: Mapping[str, str] = field(default_factory=dict)

    def attributes(self) -> dict[str, Any]:
        """Return name -> JSON value of all that tells this step from another one of its name.

        These are its attributes, its command, digests of its inputs (`inputs.corpus`) and of code
        that joined the identity, and its version. Secrets are masked. What it needs is `needs`.
        """
        return each_once(
            (masked_text(name), masked_value(value, name.rpartition(".")[2]))
            for name, value in self._leaves()
        )

    def _leaves(self) -> Iterator[tuple[str, Any]]:
        payload = self.payload
        attrs = payload.get("attrs")
        if isinstance(attrs, dict) and attrs:
            yield from attribute_leaves(attrs)
        if (command := payload.get("command")) is not None:
            yield "command", _command_text(command)
        if inputs := payload.get("inputs"):
            yield from attribute_leaves(inputs, "inputs")
        if (code := payload.get("code")) is not None:
            yield "code", code
        if self.version is not None:
            yield "version", self.version

    def needs(self) -> Iterator[tuple[str, Any]]:
        """Yield what it needs: parameter -> id, or list of ids. Without parameters all as `needs`.

        Parameters stand for inputs, too, by their logical names.
        """
        if bind := self.payload.get("bind"):
            yield from attribute_leaves(bind)
        elif deps := self.payload.get("deps"):
            yield "needs", deps if isinstance(deps, list) else [deps]


def _command_text(command: Any) -> Any:
    """Return a command as its author wrote it."""
    if isinstance(command, dict):
        return command.get("shell") or command.get("argv") or command
    return command
