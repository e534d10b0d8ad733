"""Run many schedules: `python -m tests.sim --schedules 100000 --jobs 2`, or one: `--seed 7`."""

from __future__ import annotations

import argparse
import sys
import time

from tests.sim.many import ALL_SAFE, Kind, run_one, run_range


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.sim")
    parser.add_argument("--schedules", type=int, default=20_000)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seed", type=int, help="run only this one, and print its trace")
    parser.add_argument("--kind", choices=[kind.value for kind in Kind], help="of one schedule")
    options = parser.parse_args()
    kinds = (
        [Kind(options.kind)]
        if options.kind
        else list(ALL_SAFE)
        if options.seed is None
        else sorted(set(ALL_SAFE), key=str)
    )
    if options.seed is not None:
        failed = 0
        for kind in dict.fromkeys(kinds):
            failure = run_one(options.seed, kind, trace=True)
            print(failure or f"seed {options.seed}, {kind.value}: all invariants hold")
            failed += failure is not None
        return int(failed > 0)
    began = time.monotonic()
    failures = run_range(options.first, options.schedules, kinds, options.jobs)
    seconds = time.monotonic() - began
    for failure in failures:
        print(failure)
    if failures:
        _, number, _, of = failures[0].split(":")[0].split(" ")
        print(run_one(int(number), Kind(of), trace=True))
    print(
        f"{options.schedules} schedules, {len(failures)} failed, {seconds:.0f} s, "
        f"{1000 * seconds * options.jobs / max(options.schedules, 1):.2f} ms each",
        file=sys.stderr,
    )
    return int(bool(failures))


if __name__ == "__main__":
    sys.exit(main())
