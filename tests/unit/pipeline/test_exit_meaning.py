"""Exit codes in words: only where they say more than that it failed."""

from __future__ import annotations

import pytest

from marin_build.pipeline.retries import exit_meaning, unsaid_meaning


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (75, "infrastructure failed, try again"),
        (124, "it ran too long"),
        (126, "the command may not be executed"),
        (127, "the command was not found"),
        (137, "SIGKILL: out of memory, or killed by another process"),
        (138, "SIGUSR1"),
        (139, "SIGSEGV: a crash in compiled code"),
        (
            141,
            (
                "SIGPIPE: a later part of a pipe ended before it had read all; let it read all "
                "(`sed -n 1p`, not `head -1`), or let the earlier part pass: "
                "`(big || [ $? -eq 141 ]) | head -1`"
            ),
        ),
        *((code, "") for code in (0, 1, 2, 3, 42, 128, 255, -9, 1000)),
    ],
)
def test_what_a_code_means(code: int, words: str) -> None:
    assert exit_meaning(code) == words


@pytest.mark.parametrize(
    ("code", "message", "words"),
    [
        (137, "exited with code 137", "SIGKILL: out of memory, or killed by another process"),
        (137, "killed by SIGKILL (out of memory, or killed by another process)", ""),
        (137, "killed by SIGKILL by another process", ""),
        (137, "killed by SIGKILL (out of memory, or killed by somebody)", ""),  # of 0.1
        (137, "killed by SIGKILL by somebody", ""),  # of 0.1
        (137, "killed by SIGKILL: out of memory", ""),
        (124, "timed out after 60 s", ""),
        (1, "", ""),
    ],
)
def test_what_the_message_says_is_not_said_again(code: int, message: str, words: str) -> None:
    """Else two lines about one kill contradict each other."""
    assert unsaid_meaning(code, message) == words
