"""The pipeline of a round, and what one execution of each of its steps writes.

An execution has an id. It writes its lines one by one, with pauses, so that a second writer shows;
and it notes its beginning, each line and its end in a file outside the outputs, with the time since
the machine was started. All processes of an execution hold a lock on a file of their target: the
next execution that does not get it runs beside them.
"""

from __future__ import annotations

from dataclasses import dataclass

WRITERS = ("self", "child", "away")
"""The step itself; a process that it starts; one that has left its session as well."""


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a round.

    Args:
        name: its name.
        kind: "command" or "function".
        writers: which processes write a file each.
        lines: how many each writes.
        pause: seconds between two lines.
        stubborn: whether its processes ignore SIGTERM and SIGHUP.
        needs: names of the steps whose outputs it reads.
        retries: how often a run tries it again, at once.

    """

    name: str
    kind: str
    writers: tuple[str, ...]
    lines: int
    pause: float
    stubborn: bool
    needs: tuple[str, ...] = ()
    retries: int = 0

    def __str__(self) -> str:
        """Return it in a line."""
        how = f"{self.kind}, {'+'.join(self.writers)}, {self.lines} lines, {self.pause} s"
        return f"{self.name} ({how}{', stubborn' if self.stubborn else ''})"


SCRIPT = r"""
name=$1 output=$2 writers=$3 lines=$4 pause=$5
[[ $6 = stubborn ]] && trap '' TERM HUP
shift 6
id=$name.$$.$RANDOM$RANDOM
exec 8<>"$CHAOS/never" 9>>"$CHAOS/locks/$name"

note() {
  local now
  read -r now _ < /proc/uptime
  echo "$now $1 $name $id $BASHPID" >> "$CHAOS/notes"
}

write() {
  local i
  for ((i = 0; i < lines; i++)); do
    note line
    echo "$id $i" >> "$output/$1"
    read -rt "$pause" -u 8 || true  # nothing ever comes: it sleeps
  done
}

# A kill may strike flock itself: then it is asked again.
until flock -E 75 -w 0.3 9; do
  [[ $? = 75 ]] && note overlap && break
done
note start
started=()
if [[ $writers = *child* ]]; then
  write child &
  started+=($!)
fi
if [[ $writers = *away* ]]; then
  export id name output lines pause
  export -f note write
  setsid bash -c "$([[ -n $(trap -p TERM) ]] && echo "trap '' TERM HUP;") write away" &
  started+=($!)
fi
for need in "$@"; do
  head -n 1 "$need/self" >> "$output/inputs" || exit 7
done
write self
for pid in "${started[@]}"; do
  wait "$pid" || exit 8
done
note end
"""

PIPELINE = r"""
import contextlib, dataclasses, fcntl, os, random, signal, threading, time

from marin_build import Retries, command, step
from steps import STEPS

CHAOS = os.environ["CHAOS"]
_one = threading.Lock()


def uptime():
    return f"{time.clock_gettime(time.CLOCK_BOOTTIME):.2f}"


def note(what, name, identity):
    line = f"{uptime()} {what} {name} {identity} {os.getpid()}\n"
    notes = os.open(f"{CHAOS}/notes", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(notes, line.encode())
    os.close(notes)


def append(output, file, text, number):
    if "://" not in output:
        with open(f"{output}/{file}", "a") as stream:
            stream.write(text)
        return
    import fsspec

    with fsspec.open(f"{output}/{file}/{number:04}", "w") as stream:
        stream.write(text)


def first_line(folder):
    if "://" not in folder:
        with open(f"{folder}/self") as stream:
            return stream.readline()
    import fsspec

    with fsspec.open(f"{folder}/self/0000") as stream:
        return stream.read().decode()


@contextlib.contextmanager
def locked(name, identity):
    lock = os.open(f"{CHAOS}/locks/{name}", os.O_RDWR | os.O_CREAT)
    for tries in range(31):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except OSError:
            if tries == 30:
                note("overlap", name, identity)
            time.sleep(0.01)
    try:
        yield
    finally:
        os.close(lock)


def write(output, file, name, identity, lines, pause):
    for number in range(lines):
        note("line", name, identity)
        append(output, file, f"{identity} {number}\n", number)
        time.sleep(pause)


def fork(stubborn, *args):
    # It leaves the session, and no variable marks it: it has but the log.
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        if stubborn:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.setsid()
        write(*args)
        code = 0
    finally:
        os._exit(code)


@step(name="{name}")
def work(
    output: str, name: str, writers: list, lines: int, pause: float, stubborn: bool,
    needs: list[str],
) -> None:
    identity = f"{name}.{os.getpid()}.{random.SystemRandom().randrange(10**9)}"
    with locked(name, identity):
        note("start", name, identity)
        is_alone = threading.current_thread() is threading.main_thread()
        if stubborn and is_alone:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        away = [output, "away", name, identity, lines, pause]
        forked = fork(stubborn, *away) if "away" in writers and is_alone else 0
        for number, need in enumerate(needs):
            append(output, "inputs", first_line(need), number)
        write(output, "self", name, identity, lines, pause)
        if forked and os.waitpid(forked, 0)[1]:
            raise RuntimeError("a writer was killed")
        if "away" in writers and not is_alone:  # threads must not fork
            write(*away)
        note("end", name, identity)


def again(made, retries):
    if not retries:
        return made
    causes = ("app", "infra")
    at_once = Retries(limit=retries, infra=retries, on=causes, wait=0.0, longest_wait=0.0)
    return dataclasses.replace(made, retries=at_once)


def call(name, kind, writers, lines, pause, stubborn, needs, retries, made):
    return again(declared(name, kind, writers, lines, pause, stubborn, needs, made), retries)


def declared(name, kind, writers, lines, pause, stubborn, needs, made):
    deps = {need: made[need] for need in needs}
    if kind == "command":
        words = f"{'+'.join(writers)} {lines} {pause} {'stubborn' if stubborn else 'meek'}"
        needed = " ".join("{" + need + "}" for need in needs)
        return command(
            f"bash \"$CHAOS\"/work.sh {name} {{output}} {words} {needed}", name=name, deps=deps
        )
    return work(
        name=name, writers=list(writers), lines=lines, pause=pause, stubborn=stubborn,
        needs=list(deps.values()),
    )


def pipeline():
    made = {}
    for row in STEPS:
        made[row[0]] = call(*row, made)
    return [made[STEPS[-1][0]]]
"""


def steps_module(steps: tuple[Step, ...]) -> str:
    """Return the module that tells the pipeline its steps."""
    rows = [
        (s.name, s.kind, s.writers, s.lines, s.pause, s.stubborn, s.needs, s.retries) for s in steps
    ]
    return f"STEPS = {rows!r}\n"
