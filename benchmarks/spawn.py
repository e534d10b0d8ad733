"""Run one command, measure it from outside, print one line; a program, not a module.

    python -I -S spawn.py TIMEOUT STDERR_FILE PROGRAM [ARGUMENT...]

prints `seconds peak_kib status timed_out`. It is a process of its own, with as few imports as
can be, because Linux starts the peak memory of a new program at that of the process it was
spawned from: measured from the harness itself, a small tool would be charged for the harness.
The peak is that of the biggest process among the command and the descendants it waited for.
"""

import os
import signal
import sys
import time


def main(arguments: list[str]) -> int:
    """Spawn the command in a session of its own; a time-out kills its whole process group."""
    timeout, complaints, *command = arguments
    null = os.open(os.devnull, os.O_RDWR)
    errors = os.open(complaints, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    timed_out = False
    began = time.perf_counter()
    child = os.posix_spawn(
        command[0],
        command,
        os.environ,
        setsid=True,
        file_actions=[
            (os.POSIX_SPAWN_DUP2, null, 0),
            (os.POSIX_SPAWN_DUP2, null, 1),
            (os.POSIX_SPAWN_DUP2, errors, 2),
        ],
    )

    def expire(signum: int, _frame: object) -> None:
        nonlocal timed_out
        timed_out = signum == signal.SIGALRM
        os.killpg(child, signal.SIGKILL)

    for number in (signal.SIGALRM, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, expire)
    signal.setitimer(signal.ITIMER_REAL, float(timeout))
    _, status, usage = os.wait4(child, 0)
    seconds = time.perf_counter() - began
    signal.setitimer(signal.ITIMER_REAL, 0)
    print(seconds, usage.ru_maxrss, os.waitstatus_to_exitcode(status), int(timed_out))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
