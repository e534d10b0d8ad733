"""Where actions run: one package an engine, each found by its entry point.

Nothing outside an engine's own package knows its name, its settings or its words.
"""

from __future__ import annotations

from marin_build.errors import UsageError
from marin_build.text import did_you_mean

ENGINES = ("local", "kubernetes")


def check_engine(engine: str) -> None:
    """Refuse an engine nobody knows."""
    if engine not in ENGINES:
        raise UsageError(
            f"unknown engine `{engine}`",
            facts=[("engines", ", ".join(ENGINES))],
            hint=did_you_mean(engine, ENGINES),
        )
