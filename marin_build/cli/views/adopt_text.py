"""The result of `adopt`, for people and for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from marin_build.text.readable import bytes_text

if TYPE_CHECKING:
    from marin_build.operations.marks.adopt import AdoptedOutput


def adopted_text(found: AdoptedOutput) -> str:
    """Return a line that says which data was adopted now, or had been before."""
    record = found.record
    files, size, location = record.files, record.size, record.adopted_from
    many = f"{files} file{'s' if files != 1 else ''}"
    done = f"is adopted: {many} verified"
    if found.already:
        done = f"was adopted already: {many}"
    return f"`{found.target.id}` {done}, {bytes_text(size)}: {location}"


def adopted_json(found: AdoptedOutput) -> dict[str, Any]:
    """Return the document of `--json`."""
    target, record = found.target, found.record
    return {
        "name": target.name,
        "target": target.id,
        "output_path": target.output_path,
        "location": record.adopted_from,
        "files": record.files,
        "bytes": record.size,
        "note": record.note,
        "run": record.run,
        "attempt": record.attempt,
        "already": found.already,
    }
