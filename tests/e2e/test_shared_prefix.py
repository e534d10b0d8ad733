"""A prefix that the users of one group share, with real users and their rights."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

GROUP = 60_000
USERS = (60_001, 60_002)
PATIENCE = 60.0
PIPELINE = """
import os
from pathlib import Path
from marin_build import step

@step
def quick(output: Path) -> None:
    (output / "data").write_text("1")

@step
def held(output: Path) -> None:
    (output / "half").touch()
    if os.getuid() == 60_001:
        with open(os.environ["STARTED"], "w") as started:
            started.write("yes")
        with open(os.environ["GATE"]) as gate:
            gate.read()

targets = [quick(), held()]
"""


_ENVIRON = {
    **os.environ,
    "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), sysconfig.get_path("purelib")]),
    "PYTHONDONTWRITEBYTECODE": "1",
}
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be several users")


def _python_of(who: int) -> list[str]:
    """Return how a command of one of the users begins.

    It may read everything, as the interpreter and the package may lie in a folder of root's, and
    write what its user and group may write.
    """
    user = USERS[who]
    return [
        "setpriv", f"--reuid={user}", f"--regid={user}", f"--groups={GROUP}",
        "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search", sys.executable,
    ]  # fmt: skip


class Shared:
    """A prefix of a group, and a project for each of its two users."""

    def __init__(self, root: Path) -> None:
        self.root, self.prefix = root, root / "prefix"
        self.prefix.mkdir()
        os.chown(self.prefix, -1, GROUP)
        self.prefix.chmod(0o2775)
        for user in USERS:
            project = root / str(user)
            project.mkdir()
            (project / "pipeline.py").write_text(PIPELINE)
            os.chown(project, user, user)
        for name in ("started", "gate"):
            os.mkfifo(root / name)
            (root / name).chmod(0o666)

    def start(self, who: int, *words: str, umask: int = 0o002) -> subprocess.Popen[str]:
        """Start a command of one of the two users."""
        project = str(self.root / str(USERS[who]))
        gates = {"STARTED": str(self.root / "started"), "GATE": str(self.root / "gate")}
        environ = {**_ENVIRON, "HOME": project, **gates}
        command = [*_python_of(who), "-m", "marin_build", *words, "--prefix", str(self.prefix)]
        return subprocess.Popen(
            command, umask=umask, cwd=project, env=environ, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def run(self, who: int, *words: str, umask: int = 0o002) -> tuple[int, str, str]:
        with self.start(who, *words, umask=umask) as started:
            out, err = started.communicate(timeout=PATIENCE)
        return started.returncode, out, err

    def output_of(self, name: str) -> Path:
        (found,) = self.prefix.glob(f"{name}_????????")
        return found


def _store_as(who: int, folder: Path, code: str) -> None:
    """Run a line on the store of a network file system, as one of the users."""
    begin = "from marin_build.store.local import LocalStore; store = LocalStore(is_shared=True); "
    subprocess.run(
        [*_python_of(who), "-c", begin + code, str(folder)],
        umask=0o002, cwd="/", env=_ENVIRON, check=True, timeout=PATIENCE,
    )  # fmt: skip


@pytest.fixture
def shared() -> Iterator[Shared]:
    """A folder that other users can reach, as those of pytest are not."""
    root = Path(tempfile.mkdtemp(prefix="marin-build-shared-"))
    root.chmod(0o755)
    yield Shared(root)
    shutil.rmtree(root)


@pytest.mark.parametrize("umask", [0o002, 0o022], ids=["umask 002", "umask 022"])
def test_the_second_user_reuses_and_builds(shared: Shared, umask: int) -> None:
    """Else the umask of the first user shuts out the rest of the group for ever."""
    assert shared.run(0, "apply", "quick", umask=umask)[0] == 0
    (project,) = [shared.root / str(USERS[1])]
    (project / "pipeline.py").write_text(PIPELINE.replace('"1"', '"2"').replace("quick", "other"))
    assert shared.run(1, "apply", "other", umask=umask)[0] == 0
    (project / "pipeline.py").write_text(PIPELINE)
    code, out, err = shared.run(1, "apply", "quick", umask=umask)
    assert (code, "1 target is reused" in out, err) == (0, True, "")
    assert not (shared.prefix / ".marin-build" / "documents-only").exists(), "they share the locks"
    assert {path.stat().st_mode & 0o020 for path in (shared.prefix / ".marin-build").iterdir()
            if path.is_dir() or path.name == "leases"} == {0o020}  # fmt: skip


def test_the_other_user_s_output_is_built_again_if_the_group_may_write(shared: Shared) -> None:
    assert shared.run(0, "apply", "quick")[0] == 0
    assert shared.run(1, "apply", "quick", "--force", "quick")[0] == 0
    assert shared.output_of("quick").stat().st_gid == GROUP


def test_the_error_says_how_the_other_user_s_output_is_shared(shared: Shared) -> None:
    """Else the second user is told to change rights that only the first one may change."""
    assert shared.run(0, "apply", "quick", umask=0o022)[0] == 0
    code, _, err = shared.run(1, "apply", "quick", "--force", "quick", umask=0o022)
    assert code == 1
    folder = shlex.quote(str(shared.output_of("quick")))
    assert f"its owner shares it with your group: chmod -R g+rwX {folder}" in err


@pytest.mark.parametrize("rights", [0o2755, 0o2555], ids=["of its owner", "of nobody"])
def test_a_folder_of_ours_that_may_not_be_written_is_named(shared: Shared, rights: int) -> None:
    """Else the error names the prefix, which can be written."""
    assert shared.run(0, "apply", "quick")[0] == 0
    own = shared.prefix / ".marin-build"
    for folder in (own, *own.iterdir()):
        if folder.is_dir():
            folder.chmod(rights)
    code, _, err = shared.run(1, "apply", "held")
    assert (code, "nothing was run" in err) == (4, True)
    assert f"{own}, owned by user {USERS[0]}, rights {rights:04o}" in err
    assert f"chmod -R g+w {own}" in err
    assert shared.run(1, "plan", "quick")[0] == 0, "who only reads needs no rights"


def test_a_file_of_locks_that_one_user_cannot_open_shuts_nobody_out(shared: Shared) -> None:
    """Then all write documents: each sees the others, if not their locks."""
    assert shared.run(0, "apply", "quick")[0] == 0
    (shared.prefix / ".marin-build" / "leases").chmod(0o600)
    assert shared.run(1, "apply", "quick", "--force", "quick")[0] == 0
    assert (shared.prefix / ".marin-build" / "documents-only").exists()
    assert shared.run(0, "apply", "quick", "--force", "quick")[0] == 0


def test_the_lock_of_one_user_holds_for_the_other_until_its_death(shared: Shared) -> None:
    """Else both write one output, or the second one waits for a lease that nobody renews."""
    first = shared.start(0, "apply", "held", "--isolation", "process")
    assert (shared.root / "started").read_text() == "yes"
    second = shared.start(1, "apply", "held", "--json")
    assert second.stdout is not None
    waits = next(line for line in second.stdout if '"step_waiting"' in line)
    assert f"{USERS[0]}" in waits or "held_by" in waits
    first.send_signal(signal.SIGKILL)
    first.communicate(timeout=PATIENCE)
    out, err = second.communicate(timeout=PATIENCE)
    assert (second.returncode, '"step_succeeded"' in out, err) == (0, True, "")
    assert (shared.output_of("held") / ".executor_status").read_text() == "SUCCESS"


def test_the_guard_of_a_network_file_system_is_shared_too(shared: Shared) -> None:
    """Else the second user cannot even wait for the lock of a folder that the first one made."""
    output = shared.prefix / "a"
    write = "import sys; store.put_if_absent(sys.argv[1] + '/status', b'x') or exit(1)"
    _store_as(0, output, write)
    _store_as(1, output, write.replace("status", "other"))
    assert sorted(path.name for path in output.glob("[a-z]*")) == ["other", "status"]
