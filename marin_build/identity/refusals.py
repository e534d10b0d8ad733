"""Why a value has no canonical form, and what to write in its place."""

from __future__ import annotations

from marin_build.errors import UnfingerprintableError


def too_deep(where: str) -> UnfingerprintableError:
    """Return the error for a value whose record no reader could read."""
    return UnfingerprintableError(
        f"cannot fingerprint `{where}`: it contains itself or is nested too deeply",
        consequence="nothing was run",
    )


def why_not(value: object) -> str:
    """Return why a value has no canonical form."""
    if callable(value):
        return "a function has no canonical form"
    return f"{type(value).__module__}.{type(value).__qualname__} has no canonical form"


def instead(value: object) -> str:
    """Return what to declare in its place."""
    if callable(value):
        return "declare its name and a revision number instead"
    return "declare plain values, a dataclass or a pydantic model instead"


def refusal(path: str, why: str, hint: str | None = None) -> UnfingerprintableError:
    """Return the error for the value at a path that has no canonical form."""
    return UnfingerprintableError(
        f"cannot fingerprint `{path}`: {why}", consequence="nothing was run", hint=hint
    )
