"""Play rounds for some time, `python -m tests.chaos --seconds 3600`; or one again: `--seed 7`."""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import count

from tests.chaos.rounds import play
from tests.chaos.schedule import QUICK_FROM, Schedule

REPORT_EVERY = 300.0
"""Seconds between two reports."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument(
        "--first", type=int, default=0, help=f"the first seed; from {QUICK_FROM} on, quick rounds"
    )
    parser.add_argument("--jobs", type=int, default=2, help="rounds at once")
    parser.add_argument("--seed", type=int, help="play only this round, and print it")
    parser.add_argument("--times", type=int, default=1, help="so often")
    options = parser.parse_args()
    if options.seed is not None:
        return _again(options.seed, options.times)
    chaos = _Chaos(options.first, options.seconds)
    with ThreadPoolExecutor(options.jobs) as pool:
        for done in [pool.submit(chaos.play) for _ in range(options.jobs)]:
            done.result()
    print(chaos.report(), flush=True)
    return int(chaos.violated > 0)


def _again(seed: int, times: int) -> int:
    schedule = Schedule.of(seed)
    print(schedule)
    failed = 0
    for _ in range(times):
        tally = play(schedule)
        failed += bool(tally.violations)
        for violation in tally.violations:
            print(f"VIOLATED {violation}")
        print(f"  {dict(sorted(tally.counts.items()))} {tally.kept}", flush=True)
    return int(failed > 0)


class _Chaos:
    def __init__(self, first: int, seconds: float) -> None:
        self._seeds, self._lock = count(first), threading.Lock()
        self._began = time.monotonic()
        self._until = self._began + seconds
        self._report_at = self._began + REPORT_EVERY
        self._counts: Counter[str] = Counter()
        self.violated = 0

    def play(self) -> None:
        while time.monotonic() < self._until:
            with self._lock:
                schedule = Schedule.of(next(self._seeds))
            tally = play(schedule)
            with self._lock:
                self._take(schedule, tally.counts, tally.violations, tally.kept)

    def _take(
        self, schedule: Schedule, counts: Counter[str], violations: list[str], kept: str
    ) -> None:
        self._counts += counts
        self._counts["rounds"] += 1
        self._counts["rounds in a bucket"] += schedule.is_remote
        self._counts["violations"] += len(violations)
        self.violated += bool(violations)
        if violations:
            print(f"\n{schedule}\nkept in {kept}; again: make chaos SEED={schedule.seed}")
            for violation in violations:
                print(f"VIOLATED {violation}", flush=True)
        if time.monotonic() >= self._report_at:
            self._report_at += REPORT_EVERY
            print(self.report(), flush=True)

    def report(self) -> str:
        """Return the figures so far."""
        kills = sum(n for name, n in self._counts.items() if name.startswith("kill "))
        freezes = sum(n for name, n in self._counts.items() if name.startswith("freeze "))
        seconds = time.monotonic() - self._began
        lines = [f"\n{seconds:.0f} s, {kills} kills, {freezes} freezes"]
        lines += [f"  {name}: {number}" for name, number in sorted(self._counts.items())]
        return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
