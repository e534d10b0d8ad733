"""The region below the lines of the live view: a bar, a row for each running step, drawn anew."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.segment import Segment

from marin_build.cli.views.apply_text import duration
from marin_build.text.readable import duration_text, printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import TextIO

    from rich.console import ConsoleOptions

    from marin_build.cli.views.live_progress import LiveProgress


MOST_STEPS = 6
_OTHER_ROWS = 4
"""Rows of the terminal for the bar, for `and 3 more`, and two for the lines above."""
_WIDEST_BAR = 30
_NARROWEST_BAR = 6
_NARROWEST_NAME = 12
_NARROWEST_LOG = 10

Row = list[tuple[str, str]]
"""Pieces of a row: text and rich's name of a style."""


class Region:
    """The rows of one instant, drawn as wide and high as the terminal is then.

    Empty until it gets an instant, and again when it is cleared.
    """

    def __init__(self) -> None:
        self._shown: tuple[LiveProgress, Mapping[str, str], float] | None = None

    def update(self, progress: LiveProgress, last_lines: Mapping[str, str], now: float) -> None:
        """Show the progress of a run now, and the last line of each step, by target."""
        self._shown = progress, last_lines, now

    def clear(self) -> None:
        """Show nothing."""
        self._shown = None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterable[Segment]:
        """Yield all rows. No row reaches the last column, where terminals differ about wrapping."""
        if self._shown is None:
            return
        progress, last_lines, now = self._shown
        width = options.max_width - 1
        head = head_row(progress, now)
        bar_width = min(_WIDEST_BAR, width - sum(cell_len(text) for text, _ in head) - 2)
        if bar_width >= _NARROWEST_BAR:
            bar = ProgressBar(max(progress.total, 1), progress.done, bar_width)
            yield from console.render(bar, options)
            yield Segment("  ")
        rows = [head, *step_rows(progress, last_lines, now, width, options.size.height)]
        for i, row in enumerate(rows):
            if i:
                yield Segment.line()
            for text, style in row:
                yield Segment(text, console.get_style(style))


def head_row(progress: LiveProgress, now: float) -> Row:
    """Return the text beside the bar: counts, times and failures."""
    row: Row = [
        (f"{progress.done}/{progress.total}", "bold"),
        (f"  {_whole(now - progress.began)}", ""),
    ]
    remaining = progress.remaining(now)
    if remaining is not None and remaining >= 1:
        row.append((f"  ETA {duration_text(remaining)}", "cyan"))
    for count, word, style in (
        (progress.failed, "failed", "red"),
        (progress.stopped, "stopped", "red"),
        (progress.blocked, "blocked", "yellow"),
        (len(progress.waiting), "waiting", "cyan"),
    ):
        if count:
            row.append((f"  {count} {word}", style))
    return row


def shown_steps(progress: LiveProgress, height: int) -> list[str]:
    """Return the targets that get a row: the longest-running ones."""
    return list(progress.running)[: max(1, min(MOST_STEPS, height - _OTHER_ROWS))]


def step_rows(
    progress: LiveProgress, last_lines: Mapping[str, str], now: float, width: int, height: int
) -> list[Row]:
    """Return the rows of the steps that run.

    If space is short, the last line of a step is cut first, then its name; its times are not cut.
    """
    shown = shown_steps(progress, height)
    times = [_times(now - progress.running[step], progress.expected(step)) for step in shown]
    for_times = max(map(len, times), default=0)
    for_name = max(_NARROWEST_NAME, width - for_times - 4)
    for_name = min(for_name, max(map(cell_len, shown), default=0))
    for_log = width - for_name - for_times - 6
    rows: list[Row] = []
    for step, time in zip(shown, times, strict=True):
        row: Row = [(f"  {_cut(step, for_name)}  ", ""), (time, "green")]
        said = last_lines.get(step, "") or printable(progress.place_of(step))
        if said and for_log >= _NARROWEST_LOG:
            row[-1] = (f"{time:<{for_times}}", "green")
            row.append((f"  {_cut(said, for_log).rstrip()}", "dim"))
        rows.append(row)
    more = len(progress.running) - len(shown)
    if more:
        rows.append([(f"  and {more} more", "dim")])
    return rows


def _times(elapsed: float, expected: float | None) -> str:
    return _whole(elapsed) + ("" if expected is None else f" / ~{duration_text(expected)}")


def _whole(seconds: float) -> str:
    """Return a growing duration in words, without tenths, which change too fast to read."""
    whole = max(0, int(seconds))
    return f"{whole} s" if whole < 60 else duration(whole)  # noqa: PLR2004


def _cut(text: str, width: int) -> str:
    """Return a text of exactly `width` columns; a longer text ends in an ellipsis."""
    if cell_len(text) <= width:
        return set_cell_size(text, width)
    return set_cell_size(text, width - 1) + "…"


class LiveScreen:
    """Draws on a terminal. Belongs to one thread at a time.

    Args:
        stream: standard output, a terminal.

    """

    def __init__(self, stream: TextIO) -> None:
        # A character that the terminal cannot show must not end the run.
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
        # The cursor stays visible: a killed process could not restore it.
        self._console.show_cursor(True)

    def shown_steps(self, progress: LiveProgress) -> list[str]:
        """Return the targets that would have a row now."""
        return shown_steps(progress, self._console.height)

    def draw(
        self, text: str, progress: LiveProgress, last_lines: Mapping[str, str], now: float
    ) -> None:
        """Write whole lines above the region, and draw the region anew, in one write.

        Raises:
            OSError: the terminal is gone.

        """
        self._region.update(progress, last_lines, now)
        self._console.print(_Lines(text), crop=False)

    def close(self) -> None:
        """Erase the region; later text takes its place.

        Raises:
            OSError: the terminal is gone.

        """
        try:
            self._region.clear()
            self._live.stop()
        finally:
            self._file.close()


class _Lines:
    """Text that rich passes on unchanged: with its own colours, wrapped by the terminal."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterable[Segment]:
        """Yield the text."""
        del console, options
        yield Segment(self._text)
