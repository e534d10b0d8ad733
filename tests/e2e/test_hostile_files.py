"""Whatever lies in the place of a document of ours: its target alone is damaged.

Each test plants one kind of file in the place of every document at once, a target each, and runs
every command: none hangs, none ends with a bug, and what is sound is built and shown.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from .support import OUTPUTS, project_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from .support import Done, Project


DOCUMENTS = {
    "status": ".executor_status",
    "lease": ".executor_status.lock",
    "record": ".executor_info",
    "artifact": ".artifact.json",
    "old_artifact": ".artifact",
    "accepted": ".accepted.json",
    "attempt": ".logs/attempt-0001.json",
    "log": ".logs/attempt-0001.log",
    "next_attempt": ".logs/attempt-0002.json",
    "next_log": ".logs/attempt-0002.log",
    "failed_attempt": ".logs/attempt-0001.json",
    "failed_log": ".logs/attempt-0001.log",
    "failed_lease": ".executor_status.lock",
}
_FAILED = [name for name in DOCUMENTS if name.startswith("failed_")]
PIPELINE = f"""\
from pathlib import Path
from marin_build import command, step

@step(name="{{name}}")
def made(output: Path, name: str) -> int:
    print("printed")
    (output / "x").write_text("1")
    return 1

targets = [made(name=name) for name in {[*DOCUMENTS, "mark", "good"]} if name not in {_FAILED}]
targets += [command("echo said; exit 3", name=name) for name in {_FAILED}]
targets += [command("cat {{good}}/x > {{output}}/x", name="late", deps={{"good": targets[-4]}})]
"""


def _sparse(path: Path) -> None:
    with path.open("wb") as stream:
        stream.truncate(1 << 40)


def _json(value: object) -> Callable[[Path], object]:
    return lambda path: path.write_text(json.dumps(value))


KINDS: dict[str, Callable[[Path], object]] = {
    "folder": lambda path: path.mkdir(),
    "pipe": os.mkfifo,
    "looping link": lambda path: path.symlink_to(path.name),
    "terabyte": _sparse,
    "nested": lambda path: path.write_bytes(b"[" * 100_000),
    "surrogate": _json("\ud800"),
    "no fields": _json({}),
}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project whose targets are built, or failed."""
    with project_in(tmp_path_factory.mktemp("built")) as made:
        made.pipeline(PIPELINE)
        assert made.run("apply", "-k", "-q").code == 1
        assert made.run("taint", "mark", "--reason", "bad").code == 0
        yield made.root


@pytest.fixture
def there(built: Path, project: Project) -> Project:
    """A copy of it."""
    shutil.copytree(built, project.root, dirs_exist_ok=True, symlinks=True)
    return project


COMMANDS = [
    ("plan", "-v"), ("plan", "--json"), ("status", "-v"), ("verify", "*", "--content"),
    ("ls", "--all"), ("ls", "--json"), ("du",),
    ("runs",), ("runs", "latest"), ("runs", "--records"),
    ("diff", "latest", "plan"), ("trace", "latest"), ("accept", "*", "--reason", "x"),
    ("plan", "--markdown"), ("status", "--json"), ("graph",), ("graph", "--format", "dot"),
    ("taint", "good", "--reason", "x", "--dry-run"), ("path", "*"), ("logs", "--list"),
    ("report", "-o", "page.html"),
    ("metrics", "*"), ("metrics", "*", "--all", "--csv"),
    ("metrics", "--run", "latest", "--markdown"),
]  # fmt: skip
OF_ONE = {
    ("explain",): ["record", "artifact", "accepted", "failed_attempt"],
    ("explain", "--code"): ["record"],
    ("logs",): ["attempt", "log", "next_log", "failed_attempt", "failed_log"],
    ("logs", "--list"): ["next_attempt", "failed_lease"],
    ("show",): ["record", "artifact", "old_artifact", "status", "failed_attempt"],
    ("show", "--json"): ["artifact"],
    ("path",): ["record", "status"],
    ("metrics",): ["record", "artifact", "old_artifact", "status"],
    ("metrics", "--all", "--json"): ["record", "artifact"],
    ("unlock",): ["lease", "failed_lease", "status"],
    ("adopt",): ["record", "status"],
    ("run", "--force"): ["record", "lease", "next_log"],
}
ENDLESS = ["log", "failed_log"]
"""Whose log is a terabyte: that is printed until the reader goes away."""


def sound(done: Done, *command: str) -> Done:
    """Check that a command ended in a way that is meant."""
    assert done.code in (0, 1, 2, 4, 5), (command, done)
    assert "Traceback" not in done.err, (command, done)
    return done


def plant(project: Project, kind: str) -> None:
    """Put one kind of file in the place of every document, and of those of the prefix."""
    places = [project.output_of(name) / place for name, place in DOCUMENTS.items()]
    own = project.root / ".marin-build"
    places += [*own.glob("tainted/*"), *own.glob("outputs/.marin-build/**/*.json")]
    places += [*own.glob("outputs/.marin-build/tainted/*"), *own.glob("digests/*")]
    for place in places:
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(place)
        else:
            place.unlink(missing_ok=True)
        KINDS[kind](place)


@pytest.mark.parametrize("kind", KINDS)
def test_a_hostile_file_damages_its_own_target_alone(kind: str, there: Project) -> None:
    """Else one file in a shared prefix stops the work of everybody."""
    plant(there, kind)
    for command in COMMANDS[:13]:
        sound(there.run(*command), *command)
    assert "good" in there.run("plan", "-v").out
    (there.output_of("late") / ".executor_status").unlink()
    done = sound(there.run("apply", "-k", "--force", "good", "good", "late"), "apply")
    assert (done.code, there.status_of("late")) == (0, "SUCCESS"), done
    sound(there.run("apply", "-k", "--force", "*"), "apply", "--force")
    for (verb, *rest), names in OF_ONE.items():
        for name in names:
            if not (verb == "logs" and kind == "terabyte" and name in ENDLESS):
                sound(there.run(verb, name, *rest), verb, name, *rest)


HOSTILE = "x\x1b[2J\x1b]0;t\x07\r\x9b2J\u202e\u2066\n\nerror: FAKE\u2028FAKE \x7f\x85\u200bFAKE"
_KEPT = {
    "executor_version", "schema_version", "fingerprint", "deep_fingerprint", "payload", "result",
    "path", "code_digest", "code_document", "deep_code_digest", "cause", "schema", "digest",
}  # fmt: skip


def hostile(value: Any, key: str = "") -> Any:
    """Return JSON with hostile text wherever a document has a text that readers let be anything."""
    match value:
        case dict():
            return {k: hostile(v, k) for k, v in value.items()}
        case list():
            return [hostile(v, key) for v in value]
        case str() if key not in _KEPT:
            return HOSTILE
    return value


def rewrite(path: Path, text_of: Callable[[str], str]) -> None:
    """Change a file of ours."""
    if path.is_file():
        path.write_text(text_of(path.read_text()))


def lease_of(words: str) -> str:
    """Return a lease with hostile text in it."""
    return json.dumps({"worker_id": words, "timestamp": 1_700_000_000.0})


def tidy(done: Done, *command: str) -> None:
    """Check that nothing of what was printed moves a cursor, or is a line that others wrote."""
    sound(done, *command)
    for text in (done.out, done.err):
        plain = text.replace("\n", "").replace("\t", "")
        bad = [char for char in plain if not char.isprintable()]
        assert not bad, (command, bad, done)
        assert not re.search(r"^(error: )?FAKE", text, re.MULTILINE), (command, done)


def test_hostile_text_in_every_field_of_every_document_is_harmless(there: Project) -> None:
    """Else who writes a reason or names his machine writes the terminals of all others."""
    own = there.root / ".marin-build"
    for path in (there.root / OUTPUTS).glob("**/*.json"):
        rewrite(path, lambda text: json.dumps(hostile(json.loads(text))))
    for path in (there.root / OUTPUTS).glob("*/.executor_info"):
        rewrite(path, lambda text: json.dumps(hostile(json.loads(text))))
    for path in [*own.glob("**/tainted/*.json"), *own.glob("**/run.json")]:
        rewrite(path, lambda text: json.dumps(hostile(json.loads(text))))
    for path in own.glob("**/events.jsonl"):
        rewrite(
            path,
            lambda text: "".join(
                json.dumps({**hostile(json.loads(line)), "event": json.loads(line)["event"]}) + "\n"
                for line in text.splitlines()
            ),
        )
    (there.output_of("status") / ".executor_status").write_text(HOSTILE)
    (there.output_of("lease") / ".executor_status.lock").write_text(HOSTILE)
    (there.output_of("log") / ".logs/attempt-0001.log").unlink()
    for name, words in {
        "failed_lease": f"{HOSTILE} nonce=n run=r-1 attempt=1",
        "failed_log": f"me nonce=n run={HOSTILE.replace(' ', '_')} attempt=1 job={HOSTILE[:9]}",
        "failed_attempt": HOSTILE,
    }.items():
        (there.output_of(name) / ".executor_status").write_text("RUNNING")
        (there.output_of(name) / ".executor_status.lock").write_text(lease_of(words))
    for command in COMMANDS:
        if "html" not in command:
            tidy(there.run(*command), *command)
    for (verb, *rest), names in OF_ONE.items():
        for name in names if verb not in ("run", "adopt") else ():
            tidy(there.run(verb, name, *rest), verb, name, *rest)
    tidy(there.run("apply", "-k", "good", "mark", "status", "lease"), "apply")
    tidy(there.run("run", "failed_log"), "run")
    tidy(there.run("unlock", "failed_attempt", "--force"), "unlock")
