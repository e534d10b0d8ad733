"""What another process makes of a pipeline: a second load has another memory."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

from marin_build.errors import SpecificationError
from marin_build.operations.loading.list_targets import read_listing
from marin_build.operations.loading.options import words_for_a_process

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from marin_build.operations.loading.list_targets import Listing
    from marin_build.operations.loading.options import PipelineOptions


class OtherProcess:
    """A process that loads a pipeline; what it prints goes to files, so that it never waits."""

    def __init__(self, process: subprocess.Popen[bytes], out: IO[bytes], err: IO[bytes]) -> None:
        self._process, self._out, self._err = process, out, err

    def listing(self, where: str) -> Listing:
        """Wait for its end, and return what it lists.

        Args:
            where: for the error: `elsewhere`, `a second time`.

        Raises:
            SpecificationError: the pipeline cannot be loaded there.

        """
        return read_listing(self.printed(where))

    def printed(self, where: str) -> str:
        """Wait for its end, and return what it printed.

        Args:
            where: as for `listing`.

        Raises:
            SpecificationError: the pipeline cannot be loaded there.

        """
        code = self._process.wait()
        if code == 0:
            return _text(self._out)
        said = _text(self._err).strip().removeprefix("error: ")
        raise SpecificationError(
            f"the pipeline cannot be loaded {where}",
            facts=[("reason", said or f"exit code {code}")],
            consequence="nothing was run",
        )


@contextmanager
def loading_elsewhere(
    options: PipelineOptions, words: Sequence[str] = (), environ: Mapping[str, str] | None = None
) -> Iterator[OtherProcess]:
    """Have another process load a pipeline for the time of a block.

    Args:
        options: name the pipeline in any folder.
        words: further options of `list-targets`.
        environ: variables for the process, beside those of this one.

    """
    with running_elsewhere("list-targets", options, words, environ) as other:
        yield other


@contextmanager
def running_elsewhere(
    command: str,
    options: PipelineOptions,
    words: Sequence[str] = (),
    environ: Mapping[str, str] | None = None,
) -> Iterator[OtherProcess]:
    """Have another process run a command of marin-build for the time of a block.

    Args:
        command: `plan`, `list-targets`.
        options: name the pipeline in any folder.
        words: further words of the command.
        environ: variables for the process, beside those of this one.

    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = subprocess.Popen(
            [
                *(sys.executable, "-P", "-m", "marin_build", command),
                *words_for_a_process(options),
                *words,
            ],
            env={**os.environ, **(environ or {}), "PYTHONDONTWRITEBYTECODE": "1"},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
        )
        try:
            yield OtherProcess(process, out, err)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()


def _text(stream: IO[bytes]) -> str:
    stream.seek(0)
    return stream.read().decode("utf-8", "backslashreplace")
