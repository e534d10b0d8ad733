"""What the end-to-end tests share: a project of their own, the program, gates, and goldens."""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import pytest

from marin_build.protocol.log_format import without_stamps

from .resident import resident_for

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from .resident import Resident

BIN = Path(sys.executable).parent
PROGRAM = BIN / "marin-build"
CHECKOUT = Path(__file__).parents[2]
GOLDEN = CHECKOUT / "tests" / "golden"
OUTPUTS = ".marin-build/outputs"
PATIENCE = 240.0
"""Seconds after which a test fails if what it waits for has not happened.

Whoever waits goes on when it happens, so a long time costs nothing; a busy machine needs it.
"""

# A step of this pipeline leaves a line in ran.txt, outside the store, each time it really runs.
DIAMOND = """\
import os
from pathlib import Path

from marin_build import StepSpec, command, step

HERE = Path(__file__).parent


def ran(name):
    with open(HERE / "ran.txt", "a") as stream:
        stream.write(name + "\\n")


@step
def corpus(output: Path, lines: int) -> dict:
    ran("corpus")
    (output / "text.txt").write_text("".join(f"line {i}\\n" for i in range(lines)))
    return {"lines": lines}


@step(name="{side}")
def count(output: Path, corpus: Path, side: str, times: int) -> int:
    ran(side)
    found = len((corpus / "text.txt").read_text().splitlines()) * times
    (output / "count.txt").write_text(f"{found}\\n")
    return found


@step(tags=("final",))
def report(output: Path, left: int, right: Path, about: dict) -> None:
    ran("report")
    text = f"{left} {(right / 'count.txt').read_text().strip()} of {about['lines']}"
    (output / "report.txt").write_text(text + "\\n")


def pipeline(lines: int = 3, left: int = 1, right: int = 2) -> list[StepSpec]:
    text = corpus(lines=lines)
    one = count(corpus=text, side="left", times=left)
    two = count(corpus=text, side="right", times=right)
    return [report(left=one, right=two, about=text)]
"""

# At the end of a pipeline: the time of its steps is over no sooner than there is a file `begun`,
# however slow the machine is.
OVERDUE_ONCE_BEGUN = """
from pathlib import Path
from marin_build.apply.deadlines import Deadlines

pop = Deadlines.pop
Deadlines.pop = lambda self, now: pop(self, now) if Path("begun").exists() else []
"""

# An applier must be told from those of other tests, which run at the same time.
MARKER = "MARIN_BUILD_TEST"

_MASKS = (
    (re.compile(r"\br-[0-9a-f]{8}\b"), "r-RUN"),
    (re.compile(r"\bp-[0-9a-f]{8}\b"), "p-PLAN"),
    (re.compile(r"_[0-9a-f]{8}\b"), "_HASH"),
    (re.compile(r"; reuse saved \d+ .*"), ""),
    (re.compile(r"\b(?:\d+ min )?\d+(?:\.\d)? s\b"), "TIME"),
    (re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(?: UTC)?"), "DATE"),
    (re.compile(r"(?<=by )[\w.-]+@[\w.-]+|[\w.-]+@[\w.-]+(?=, run| is gone|\))"), "USER@HOST"),
)

# What a run says besides where it has taken ten seconds: on a slow machine any does.
_LONG_RUN = re.compile(r"^  (?:slowest: {7}|critical path:) .*\n", re.MULTILINE)
_SLOW_STORE = re.compile(r"^waiting for \S+ \(\d+ s\): .*\n", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Done:
    """How a program ended, and all it said."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """What it printed, read as one JSON document."""
        return json.loads(self.out)

    @property
    def events(self) -> list[dict[str, Any]]:
        """What it printed, read as one JSON document a line."""
        return [json.loads(line) for line in self.out.splitlines()]

    def names_of(self, event: str) -> list[str]:
        """The names of the steps that had an event, in order."""
        return [e["name"] for e in self.events if e["event"] == event]


@dataclass(slots=True)
class Running:
    """A program that was started and is still watched."""

    process: subprocess.Popen[str]
    marker: str
    unread: bytes = b""

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    def send(self, number: int) -> None:
        """Send a signal to this process alone."""
        os.kill(self.pid, number)

    def send_group(self, number: int) -> None:
        """Send a signal to its process group, as a terminal does."""
        os.killpg(self.pid, number)

    def wait_event(self, kind: str) -> dict[str, Any]:
        """Wait for the next event of a kind; return it."""
        assert self.process.stdout is not None
        while line := self.process.stdout.readline():
            event: dict[str, Any] = json.loads(line)
            if event["event"] == kind:
                return event
        raise AssertionError(f"it ended without {kind}: {self.wait()}")

    def lines_until(self, words: str, *, err: bool = False) -> list[str]:
        """Read what it prints, or says on standard error, until a line has some words."""
        stream = self.process.stderr if err else self.process.stdout
        assert stream is not None
        said = []
        while line := stream.readline():
            said.append(line)
            if words in line:
                return said
        raise AssertionError(f"it ended without saying `{words}`: {said}")

    def wait(self) -> Done:
        """Wait for its end."""
        out, err = self.process.communicate(timeout=PATIENCE)
        return Done(self.process.returncode, out, err)

    def _remains(self) -> dict[int, str]:
        """Return what is left now; what has been told to end may take a moment, so wait."""
        return {pid: line for pid, line in marked(self.marker).items() if pid != self.pid}

    def wait_until_all_gone(self) -> dict[int, str]:
        """Wait until nothing it started is left.

        Returns:
            What is left all the same, itself aside: process id -> command line.
        """
        deadline = time.monotonic() + PATIENCE
        while (left := self._remains()) and time.monotonic() < deadline:
            wait_for_exits(left, deadline)
        return left

    def kill_everything(self) -> None:
        """Kill it and all that carries its marker."""
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.process.communicate()
        for pid in self._remains():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def marked(marker: str) -> dict[int, str]:
    """Return the living processes that inherited a marker in their environment."""
    found = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            environment = (folder / "environ").read_bytes().split(b"\0")
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if f"{MARKER}={marker}".encode() in environment:
            found[int(folder.name)] = command
    return found


def wait_for_exits(pids: Iterable[int], deadline: float) -> None:
    """Wait until these processes are gone; they need not be our children."""
    for pid in pids:
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
        finally:
            os.close(descriptor)


def is_running(pid: int) -> bool:
    """Return whether a process lives; one that is dead but not reaped does not."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return text.rpartition(") ")[2][0] not in "ZX"


def parent_of(pid: int) -> int:
    """Return the parent of a process."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[1])


@dataclass(slots=True)
class Gate:
    """Two pipes in a folder: a step says that it has begun, and waits to be let go.

    In a pipeline: `from gate import wait_at_gate`, then `wait_at_gate("name")`.
    """

    folder: Path
    _started: int = -1
    _go: int = -1
    _buffer: bytes = b""

    MODULE = (
        "import os\n\n"
        "def say(word):\n"
        "    with open(os.environ['GATE'] + '/started', 'w') as stream:\n"
        "        stream.write(f'{word} {os.getpid()}\\n')\n\n"
        "def wait_at_gate(word):\n"
        "    say(word)\n"
        "    go = os.open(os.environ['GATE'] + '/go', os.O_RDONLY)\n"
        "    os.read(go, 1)\n"
        "    os.close(go)\n"
    )

    def open(self) -> Gate:
        """Make the pipes."""
        self.folder.mkdir()
        for name in ("started", "go"):
            os.mkfifo(self.folder / name)
        # Opened for both ways neither side waits for the other to come.
        self._started = os.open(self.folder / "started", os.O_RDWR | os.O_NONBLOCK)
        self._go = os.open(self.folder / "go", os.O_RDWR)
        return self

    def close(self) -> None:
        """Close the pipes: whoever still waits goes on."""
        for descriptor in (self._started, self._go):
            if descriptor >= 0:
                os.close(descriptor)

    def wait_started(self) -> tuple[str, int]:
        """Wait until a step says that it has begun; return its word and its process id."""
        deadline = time.monotonic() + PATIENCE
        while b"\n" not in self._buffer:
            ready, _, _ = select.select([self._started], [], [], deadline - time.monotonic())
            assert ready, "no step has begun"
            self._buffer += os.read(self._started, 4096)
        line, _, self._buffer = self._buffer.partition(b"\n")
        word, pid = line.decode().rsplit(" ", 1)
        return word, int(pid)

    def started_or(self, running: Running) -> dict[str, Any] | None:
        """Wait for the next JSON event of a program; return None if a step begins before it."""
        assert running.process.stdout is not None
        descriptor = running.process.stdout.fileno()
        while b"\n" not in running.unread:
            ready, _, _ = select.select([self._started, descriptor], [], [], PATIENCE)
            assert ready, "nothing has happened"
            if descriptor not in ready:
                return None
            data = os.read(descriptor, 4096)
            assert data, "the program ended, and no step has begun"
            running.unread += data
        line, _, running.unread = running.unread.partition(b"\n")
        event: dict[str, Any] = json.loads(line)
        return event

    def started_or_ended(self, *others: Running) -> bool:
        """Wait until a step begins (True) or one of some programs ends (False)."""
        ends = [os.pidfd_open(running.pid) for running in others]
        try:
            while b"\n" not in self._buffer:
                ready, _, _ = select.select([self._started, *ends], [], [], PATIENCE)
                assert ready, "nothing has happened"
                if self._started not in ready:
                    return False
                self._buffer += os.read(self._started, 4096)
        finally:
            for end in ends:
                os.close(end)
        self._buffer = self._buffer.partition(b"\n")[2]
        return True

    def let_go(self, count: int = 1) -> None:
        """Let so many waiting steps go on."""
        os.write(self._go, b"\n" * count)


@dataclass(slots=True)
class Project:
    """A folder with a pipeline, and the program run in it."""

    root: Path
    home: Path
    environment: dict[str, str] = field(default_factory=dict)
    started: list[Running] = field(default_factory=list)
    written: int = 0
    resident: Resident | None = None
    """What `run` forks the program from, where it is not one that all projects have."""

    def environ(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return the environment of the program: nothing of ours but what it needs."""
        kept = {key: value for key, value in os.environ.items()
                if key.startswith(("COV_CORE_", "COVERAGE_"))}  # fmt: skip
        return {
            **kept,
            "PATH": f"{BIN}:/usr/bin:/bin",
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "USER": "tester",
            # Whoever uses the program must see no warning of ours.
            "PYTHONWARNINGS": "error",
            **self.environment,
            **(extra or {}),
        }

    def use_documents(self) -> None:
        """Have leases, RUNNING and attempts written for quick steps, too, as in a bucket."""
        said = 'lease_by = "documents"\n'
        path = self.root / "marin-build.toml"
        path.write_text(said + (path.read_text() if path.exists() else ""))

    def write(self, name: str, text: str | bytes) -> Path:
        """Write a file of the project."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        # No two versions of a file are of the same second: Python's compiled copies would lie.
        self.written += 1
        os.utime(path, (1_700_000_000 + self.written, 1_700_000_000 + self.written))
        return path

    def pipeline(self, text: str) -> Path:
        """Write pipeline.py."""
        return self.write("pipeline.py", text)

    def run(
        self,
        *args: str | Path,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Done:
        """Run marin-build to its end; that a store took its time, on a slow machine, is no news."""
        environ = self.environ(env)
        resident = self.resident or resident_for(PROGRAM, environ)
        if resident is None:
            done = self.execute([PROGRAM, *args], cwd=cwd, env=env)
        else:
            argv = [str(PROGRAM), *map(str, args)]
            done = Done(*resident.run(argv, cwd or self.root, environ, PATIENCE))
        return replace(done, err=_SLOW_STORE.sub("", done.err))

    def bash(
        self,
        *args: str | Path,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Done:
        """Run bash; what a script runs of ours is forked, what `-c` runs is not."""
        if args[0] != "-c":
            env = self.forking(env)
        return self.execute(["bash", *args], cwd=cwd, env=env)

    def forking(self, env: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return an environment in which our program is a fork of the resident process."""
        environ = self.environ(env)
        resident = resident_for(PROGRAM, environ)
        if resident is None:
            return dict(env or {})
        path = environ["PATH"].replace(str(BIN), f"{resident.folder}:{BIN}")
        return {**(env or {}), "PATH": path}

    def execute(
        self,
        command: list[str | Path],
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Done:
        """Run a program to its end."""
        return self.start_command(command, cwd=cwd, env=env).wait()

    def start(self, *args: str | Path, env: Mapping[str, str] | None = None) -> Running:
        """Start marin-build, in a process group of its own, and go on."""
        return self.start_command([PROGRAM, *args], env=env)

    def start_fork(self, *args: str | Path, env: Mapping[str, str] | None = None) -> Running:
        """Start marin-build as a fork of the resident process; a client passes on signals.

        `wait_until_all_gone` does not see it: the environment that marks it is not its first one.
        """
        return self.start_command([PROGRAM.name, *args], env=self.forking(env))

    def start_command(
        self,
        command: list[str | Path],
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Running:
        """Start any program, in a process group of its own, and go on."""
        marker = uuid.uuid4().hex
        process = subprocess.Popen(
            command,
            cwd=cwd or self.root,
            env={**self.environ(env), MARKER: marker},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            process_group=0,
        )
        running = Running(process, marker)
        self.started.append(running)
        return running

    def build_in_bucket(self, url: str, prefix: str) -> None:
        """Have the program keep outputs in a bucket of a server that stands for Cloud Storage."""
        self.environment |= {
            "STORAGE_EMULATOR_HOST": url,
            "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false",
            "MARIN_PREFIX": prefix,
        }

    def clean_up(self) -> None:
        """Kill what is still running of what was started here."""
        for running in self.started:
            if running.process.poll() is None:
                running.kill_everything()
            self._close(running.process.stdout, running.process.stderr)

    @staticmethod
    def _close(*streams: IO[str] | None) -> None:
        for stream in streams:
            if stream is not None:
                stream.close()

    def open_leases(self) -> list[Path]:
        """Return the leases that hold a target.

        Whoever is killed between his SUCCESS and the end of his lease leaves that, sealed: it holds
        nobody up.
        """
        found = (self.root / OUTPUTS).glob("*/.executor_status.lock")
        return [path for path in found if " seal=" not in path.read_text()]

    def mask(self, text: str) -> str:
        """Return a text without what differs from run to run."""
        text = _LONG_RUN.sub("", text.replace(str(self.root), "PROJECT"))
        for pattern, word in _MASKS:
            text = pattern.sub(word, text)
        return text

    def file(self, name: str) -> str:
        """Return the text of a file of the project."""
        return (self.root / name).read_text()

    def output_of(self, name: str, prefix: str = OUTPUTS) -> Path:
        """Return the output folder of the only target of that name."""
        found = sorted((self.root / prefix).glob(f"{name}_????????"))
        assert len(found) == 1, found
        return found[0]

    def status_of(self, name: str, prefix: str = OUTPUTS) -> str:
        """Return the status of the only target of that name."""
        return (self.output_of(name, prefix) / ".executor_status").read_text()

    def attempt_of(self, name: str, number: int = 1) -> dict[str, Any]:
        """Return an attempt's document."""
        path = self.output_of(name) / f".logs/attempt-{number:04}.json"
        document: dict[str, Any] = json.loads(path.read_text())
        return document

    def log_of(self, name: str, number: int = 1) -> str:
        """Return what an attempt printed."""
        data = (self.output_of(name) / f".logs/attempt-{number:04}.log").read_bytes()
        return without_stamps(data).decode()

    def tree(self, folder: str = ".") -> dict[str, bytes]:
        """Return every file below a folder of the project, with its bytes.

        Facts about code and loads are left out: any command keeps those, once files are old.
        """
        own = self.root / ".marin-build"
        return {
            name: data
            for name, data in tree(self.root / folder).items()
            if not (self.root / folder / name).is_relative_to(own / "facts")
            and not (self.root / folder / name).is_relative_to(own / "analyses")
            and self.root / folder / name != own / ".gitignore"
        }

    def counts(self, name: str = "ran.txt") -> dict[str, int]:
        """Return how often each step ran, by the lines they left in a file beside the store."""
        path = self.root / name
        lines = path.read_text().split() if path.exists() else []
        return {line: lines.count(line) for line in sorted(set(lines))}

    def plan(self, *args: str | Path) -> dict[str, str]:
        """Return name -> decision of what `plan` looks at."""
        done = self.run("plan", "--json", *args)
        assert done.code == 0, done.err
        return {d["name"]: d["decision"] for d in done.document["decisions"]}


def copy_examples(root: Path) -> None:
    """Copy the examples; the language model is trained on a small part of the standard library.

    On all of it, it takes a minute of a processor: `make demo`, which CI runs, does that.
    """
    ignored = shutil.ignore_patterns("__pycache__", ".*")
    shutil.copytree(CHECKOUT / "examples", root / "examples", ignore=ignored)
    pipeline = root / "examples/stdlib_lm/pipeline.py"
    text, found = re.subn(
        r"^PATTERNS = .*$", 'PATTERNS = ("[ab]*.py",)', pipeline.read_text(), flags=re.MULTILINE
    )
    assert found == 1
    pipeline.write_text(text)


def cases(names: str, **rows: tuple[Any, ...]) -> pytest.MarkDecorator:
    """Run a test once for each row, named after its keyword."""
    return pytest.mark.parametrize(
        names.split(), [pytest.param(*row, id=name) for name, row in rows.items()]
    )


def tree(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder, with its bytes."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def stable_tree(folder: Path) -> dict[str, Any]:
    """Return every file of a store but plans of runs, without times, places, measured amounts."""
    return {
        name: _stable_json(json.loads(data))
        if name.endswith((".json", "info"))
        else without_stamps(data)
        for name, data in tree(folder).items()
        if not name.startswith(".marin-build/runs/")
    }


_MEASURED = {
    "run", "start", "end", "seconds", "provenance", "peak_memory_bytes", "cpu_seconds", "worker",
    "date", "dependencies", "output_path",
}  # fmt: skip
"""What depends on when and where a store was filled."""


def _stable_json(value: Any) -> Any:
    match value:
        case dict():
            return {k: "-" if k in _MEASURED else _stable_json(v) for k, v in value.items()}
        case list():
            return [_stable_json(item) for item in value]
    return value


def shellcheck(*scripts: Path, severity: str = "style") -> None:
    """Fail if shellcheck has anything to say about scripts, by default at its most talkative."""
    done = subprocess.run(
        [BIN / "shellcheck", "--shell=bash", f"--severity={severity}", "--norc", *scripts],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def check_golden(name: str, files: Mapping[str, str]) -> None:
    """Compare texts with the folder of that name in tests/golden; UPDATE_GOLDEN=1 writes it."""
    folder = GOLDEN / name
    if os.environ.get("UPDATE_GOLDEN") == "1":
        shutil.rmtree(folder, ignore_errors=True)
        for path, text in files.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
    assert set(files) == set(tree(folder))
    for path, text in files.items():
        assert text == (folder / path).read_text(), f"{path}: if right, UPDATE_GOLDEN=1"


@contextlib.contextmanager
def project_in(folder: Path) -> Iterator[Project]:
    """Give an empty project for a block; what is started in it does not outlive that."""
    root, home = folder / "project", folder / "home"
    root.mkdir()
    home.mkdir()
    made = Project(root, home)
    # The project begins here, wherever the folder lies.
    made.write("marin-build.toml", "")
    try:
        yield made
    finally:
        made.clean_up()


@contextlib.contextmanager
def gate_in(folder: Path) -> Iterator[Gate]:
    """Give a gate for a block."""
    gate = Gate(folder).open()
    try:
        yield gate
    finally:
        gate.close()
