"""The terminal below the live view: text that stays, and a region under it that is drawn anew."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live
from rich.segment import Segment

from marin_build.cli.views.live_region import Region, shown_steps

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import TextIO

    from rich.console import ConsoleOptions

    from marin_build.cli.views.live_progress import LiveProgress


class LiveScreen:
    """Draws on a terminal. Belongs to one thread at a time.

    Args:
        stream: standard output, a terminal.

    """

    def __init__(self, stream: TextIO) -> None:
        # What the terminal cannot show must not end a run.
        self._file = open(  # noqa: SIM115 - closed in `close`
            stream.fileno(), "w", encoding=stream.encoding, errors="replace", closefd=False
        )
        self._console = Console(file=self._file, force_terminal=True)
        self._region = Region()
        self._live = Live(
            self._region,
            console=self._console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
            vertical_overflow="crop",
        )
        self._live.start()
        # It stays visible: who is killed cannot bring it back.
        self._console.show_cursor(True)

    def shown_steps(self, progress: LiveProgress) -> list[str]:
        """Return the targets that would have a row now."""
        return shown_steps(progress, self._console.height)

    def draw(
        self, text: str, progress: LiveProgress, last_lines: Mapping[str, str], now: float
    ) -> None:
        """Add whole lines to the text that stays, and draw the region anew: one write.

        Raises:
            OSError: the terminal is gone.

        """
        self._region.update(progress, last_lines, now)
        self._console.print(_Lines(text), crop=False)

    def close(self) -> None:
        """Take the region away; what comes next stands in its place.

        Raises:
            OSError: the terminal is gone.

        """
        try:
            self._region.clear()
            self._live.stop()
        finally:
            self._file.close()


class _Lines:
    """Text for the terminal as it is: it has its colours, and the terminal breaks its lines."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterable[Segment]:
        """Give the text."""
        del console, options
        yield Segment(self._text)
