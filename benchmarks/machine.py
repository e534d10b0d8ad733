"""What may be said of the machine: no host name, no path."""

from __future__ import annotations

import os
import platform
import tempfile
from pathlib import Path


def describe() -> list[tuple[str, str]]:
    """Return (what, value) pairs; the load is that of now, so ask before measuring."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return [
        ("cores", str(os.cpu_count())),
        ("memory", f"{memory:.0f} GiB"),
        ("system", f"{platform.system()} {platform.machine()}"),
        ("Python", f"{platform.python_implementation()} {platform.python_version()}"),
        ("file system", _file_system(Path(tempfile.gettempdir()).resolve())),
        ("load average at the start", f"{os.getloadavg()[0]:.2f}"),
    ]


def _file_system(folder: Path) -> str:
    """Return the type of the file system a folder lies on (proc(5), mountinfo)."""
    mounts = Path("/proc/self/mountinfo")
    if not mounts.exists():
        return "unknown"
    found = ("", "unknown")
    for line in mounts.read_text().splitlines():
        fields, _, kind = line.partition(" - ")
        point = fields.split()[4]
        if folder.is_relative_to(point) and len(point) >= len(found[0]):
            found = (point, kind.split()[0])
    return found[1]
