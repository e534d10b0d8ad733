"""Run one command on a terminal of its own, and read all that it shows; a program, not a module.

    python -I -S on_terminal.py PROGRAM [ARGUMENT...]

exits with the command's exit code. The terminal has 40 rows of 120 columns. What is shown there is
thrown away, but read at once, as a terminal does.
"""

import fcntl
import os
import pty
import struct
import sys
import termios


def main(command: list[str]) -> int:
    """Run it to its end."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    child = os.posix_spawn(
        command[0],
        command,
        {**os.environ, "TERM": "xterm-256color"},
        file_actions=[
            (os.POSIX_SPAWN_DUP2, theirs, 1),
            (os.POSIX_SPAWN_DUP2, theirs, 2),
            (os.POSIX_SPAWN_CLOSE, ours),
        ],
    )
    os.close(theirs)
    try:
        while os.read(ours, 1 << 16):
            pass
    except OSError:  # how Linux tells that the other side is closed
        pass
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
