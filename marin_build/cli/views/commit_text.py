"""What was committed by hand, for people and for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from marin_build.text.readable import bytes_text

if TYPE_CHECKING:
    from marin_build.operations.marks.commit import CommittedTarget


def committed_text(done: CommittedTarget) -> str:
    """Return which output is the target's now."""
    files, size = done.record.files or 0, done.record.bytes or 0
    many = f"{files} file{'s' if files != 1 else ''}, {bytes_text(size)}"
    return f"committed `{done.target.id}`: {many}: {done.target.output_path}"


def committed_json(done: CommittedTarget) -> dict[str, Any]:
    """Return what `--json` says."""
    target, record = done.target, done.record
    return {
        "name": target.name,
        "target": target.id,
        "output_path": target.output_path,
        "files": record.files,
        "bytes": record.bytes,
        "run": record.run,
        "attempt": record.attempt,
    }
