"""Queued resources of the stand-in for TPU VMs, and the errors that its API answers with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .tpu_machines import Machine

PROJECT, ZONE = "my-project", "us-central2-b"
PARENT = f"projects/{PROJECT}/locations/{ZONE}"
STATES = ["CREATING", "ACCEPTED", "WAITING_FOR_RESOURCES", "PROVISIONING", "ACTIVE"]


class ApiError(Exception):
    """An answer that is an error."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


@dataclass(eq=False)
class Resource:
    """A queued resource.

    Args:
        id: its id.
        body: of the request that made it.
        states: what it said of itself, the last one now.
        nodes: its machines, by the id of the node.

    """

    id: str
    body: dict[str, Any]
    states: list[str] = field(default_factory=lambda: [STATES[0]])
    nodes: dict[str, list[Machine]] = field(default_factory=dict)
    node_state: str = "READY"
    initiator: str = "SERVICE"
    message: str = ""

    @property
    def state(self) -> str:
        """Its state."""
        return self.states[-1]

    @property
    def machines(self) -> list[Machine]:
        """All of its machines."""
        return [machine for node in self.nodes.values() for machine in node]

    @property
    def row(self) -> dict[str, Any]:
        """What a list says of it."""
        state: dict[str, Any] = {"state": self.state, "stateInitiator": self.initiator}
        if self.message:
            state["failedData"] = {"error": {"code": 8, "message": self.message}}
        return {**self.body, "name": f"{PARENT}/queuedResources/{self.id}", "state": state}
