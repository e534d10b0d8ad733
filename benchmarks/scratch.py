"""New folders for builds, none of which is deleted before the last build has ended.

ext4 gives out no inode that was freed in the last half minute and looks at each such inode anew, so
that creating files is several times slower after many were deleted. A build that follows a clean-up
would be charged for it.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Scratch:
    """Hands out new folders of one temporary folder."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._given = 0

    def new_folder(self, name: str) -> Path:
        """Make an empty folder whose name begins with this one."""
        self._given += 1
        folder = self._root / f"{name}-{self._given}"
        folder.mkdir()
        return folder


@contextmanager
def scratch() -> Iterator[Scratch]:
    """Give new folders, in `TMPDIR`; all that lies in them is deleted at the end."""
    with tempfile.TemporaryDirectory(prefix="marin-build-bench-") as root:
        _spread(root)
        yield Scratch(Path(root))


def _spread(root: str) -> None:
    """Have ext4 put each folder made here into a block group of its own, with its own inodes.

    A tool frees inodes, too, with each file that it replaces: those are not to slow down the next.
    """
    chattr = shutil.which("chattr")
    if chattr is not None:  # where the file system has no such attribute, it has no need of it
        subprocess.run([chattr, "+T", root], capture_output=True, check=False)
