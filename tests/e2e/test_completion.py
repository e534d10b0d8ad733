"""Completions, as shells ask for them."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from .support import DIAMOND, PATIENCE, PROGRAM
from .terminal import shell_on_terminal

if TYPE_CHECKING:
    from .support import Project
    from .terminal import Shell

_ASK = """\
eval "$(marin-build completion bash)"
compopt() { :; }  # it works in a completion only
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_marin_build_completion marin-build
printf '%s\\n' "${COMPREPLY[@]}"
"""


def _environment(project: Project) -> dict[str, str]:
    path = f"{os.path.dirname(PROGRAM)}:{os.environ['PATH']}"
    return {**os.environ, "HOME": str(project.home), "PATH": path, "XDG_CACHE_HOME": ""}


def _completed(project: Project, *words: str) -> list[str]:
    """Press Tab until a real bash completes the last word; return to what.

    A slow machine loads no pipeline in the seconds that one Tab takes at most.
    """
    deadline = time.monotonic() + PATIENCE
    while not (found := _after_one_tab(project, *words)):
        assert time.monotonic() < deadline, f"nothing completes {words}"
    return found


def _after_one_tab(project: Project, *words: str) -> list[str]:
    done = subprocess.run(
        ["bash", "-c", _ASK, "bash", "marin-build", *words],
        cwd=project.root,
        env=_environment(project),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout.split()


def test_bash_completes_what_the_pipeline_declares(project: Project) -> None:
    """Else a user types names of 40 characters, or copies them from a plan."""
    project.pipeline(DIAMOND)
    (project.root / "marin-build.toml").write_text("[profiles.review]\njobs = 1\n")
    assert _completed(project, "expl") == ["explain"]
    assert _completed(project, "plan", "re") == ["report"]
    assert _completed(project, "apply", "corpus,+ri") == ["corpus,+right"]
    assert _completed(project, "plan", "--set", "l") == ["lines=", "left="]
    assert _completed(project, "apply", "--profile", "") == ["review"]
    assert _completed(project, "plan", "-f", "pipeline.py", "co") == ["corpus"]
    assert _after_one_tab(project, "plan", "-f", "nothing.py", "co") == []


def test_a_pipeline_that_does_not_load_has_the_names_of_the_last_time(project: Project) -> None:
    """Else Tab is dead whenever a line of the pipeline is half written."""
    project.pipeline(DIAMOND)
    assert _completed(project, "logs", "cor") == ["corpus"]
    project.pipeline("def pipeline(:\n")
    assert _completed(project, "logs", "cor") == ["corpus"]
    (kept,) = (project.home / ".cache/marin-build/completion").iterdir()
    kept.write_text("{" * 99)
    assert _after_one_tab(project, "logs", "cor") == []


_SHELLS = {
    "bash": ("bash", "--noprofile", "-i"),
    "zsh": ("zsh", "-d", "-i"),
    "fish": ("fish", "-i"),
}
_LINES = {
    "marin-build expl\t": ["explain"],
    "marin-build plan re\t": ["plan", "report"],
    "marin-build apply corpus,+ri\t": ["apply", "corpus,+right"],
    "marin-build apply --profile re\t": ["apply", "--profile", "review"],
    "marin-build apply --keep\t": ["apply", "--keep-going"],
    "marin-build plan --set li\t5": ["plan", "--set", "lines=5"],
    "marin-build plan --set=li\t5": ["plan", "--set=lines=5"],
    "marin-build plan --set lines=5 co\t": ["plan", "--set", "lines=5", "corpus"],
    "marin-build plan -f pip\t": ["plan", "-f", "pipeline.py"],
    "marin-build plan -f nothing.py co\t": ["plan", "-f", "nothing.py", "co"],
    "marin-build plan --engine kub\t": ["plan", "--engine", "kubernetes"],
    "marin-build apply saved/my\t": ["apply", "saved/my-plan"],
    "marin-build graph --from-plan sav\tm\t": ["graph", "--from-plan", "saved/my-plan"],
    "marin-build graph -o sav\tn\t": ["graph", "-o", "saved/notes.txt"],
}


def _typed(there: Shell, line: str) -> list[str]:
    """Return the words that a shell makes of a line; some shells end a folder with a slash."""
    return [word.removesuffix("/") for word in there.type(line)]


@pytest.mark.parametrize("shell", _SHELLS)
def test_a_person_who_presses_tab_gets_the_word(project: Project, shell: str) -> None:
    """Else what `completion --install` promises works in no shell that a person really starts."""
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell}: `apt-get install {shell}`")
    project.pipeline(DIAMOND)
    project.write("marin-build.toml", "[profiles.review]\njobs = 1\n")
    project.write("saved/my-plan/plan.json", "{}")
    project.write("saved/notes.txt", "")
    installed = project.run("completion", shell, "--install")
    assert installed.out.startswith("written: ")
    assert f"the next {shell} that you start" in installed.out
    with shell_on_terminal(project, *_SHELLS[shell]) as there:
        deadline = time.monotonic() + PATIENCE
        for line, words in _LINES.items():
            # As in `_completed`: on a slow machine it is typed again.
            while (typed := _typed(there, line)) != words and time.monotonic() < deadline:
                pass
            assert typed == words


def test_one_command_installs_it_once(project: Project) -> None:
    """Else a user edits files of the shell, and a second call writes the line twice."""
    rc = project.home / ".bashrc"
    rc.write_bytes(b"alias x=\xff\r\n")
    for _ in range(2):
        subprocess.run(
            ["marin-build", "completion", "--install"],
            env=_environment(project) | {"SHELL": "/bin/bash"},
            check=True,
            capture_output=True,
        )
    assert rc.read_bytes().startswith(b"alias x=\xff\r\n")
    assert rc.read_bytes().count(b"marin-build completion bash") == 1
    done = subprocess.run(
        ["bash", "--norc", "-c", f". {rc}; complete -p marin-build"],
        env=_environment(project),
        check=True,
        capture_output=True,
        text=True,
    )
    assert "_marin_build_completion" in done.stdout
    refused = project.run("completion", "tcsh")
    assert refused.code == 4


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_have_it_once_too(project: Project, shell: str) -> None:
    """Else each call adds a line, or a file that the shell does not read."""
    for _ in range(2):
        assert project.run("completion", "--install", env={"SHELL": f"/bin/{shell}"}).code == 0
    script = project.run("completion", shell).out
    if shell == "fish":
        place = project.home / ".config/fish/completions/marin-build.fish"
        assert place.read_text() == script
    else:
        assert (project.home / ".zshrc").read_text().count("marin-build completion zsh") == 1
