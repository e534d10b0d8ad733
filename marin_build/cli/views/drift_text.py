"""The line in which `apply` says that reused targets drifted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.cli.terminal import echo
from marin_build.plan.drifted_targets import drift_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marin_build.plan.drifted_targets import DriftedTargets


def show_drift(drifted: Sequence[DriftedTargets], plan: str) -> None:
    """Say which targets drifted, and how; nothing if none did.

    Args:
        drifted: the targets.
        plan: the command that says more.

    """
    if drifted:
        echo(f"{drift_text(drifted)}; see {plan}", fg="magenta")
