"""Signatures of plans by a real ssh-keygen."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from marin_build.errors import StoppedError, UsageError
from marin_build.operations.saved_plans.plan_signature import check_signature, sign

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="needs openssh-client")

PLAN = '{\n "plan_id": "p-1"\n}\n'


def _key(folder: Path, name: str, *options: str) -> Path:
    words = ["-q", "-t", "ed25519", "-C", f"{name}@example.org", "-f", folder / name, *options]
    subprocess.run(
        ["ssh-keygen", *map(str, words), *([] if "-N" in options else ["-N", ""])], check=True
    )
    return folder / name


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The keys of ada, who may sign, and of eve, who may not; the file of allowed signers."""
    folder = tmp_path_factory.mktemp("keys")
    for name in ("ada", "eve"):
        _key(folder, name)
    _allow(folder / "allowed", folder / "ada")
    return folder


def _allow(file: Path, key: Path, who: str = "ada@example.org", options: str = "") -> Path:
    file.write_text(f"{who} {options} {key.with_suffix('.pub').read_text()}")
    return file


def _signed(folder: Path, key: Path, plan: str = PLAN) -> None:
    (folder / "plan.json.sig").write_text(sign(plan, str(key)))


def _check(folder: Path, signers: Path, plan: str = PLAN) -> str:
    return check_signature(str(folder), plan.encode(), str(signers))


def test_a_signed_plan_names_its_signer(tmp_path: Path, keys: Path) -> None:
    _signed(tmp_path, keys / "ada")
    assert _check(tmp_path, keys / "allowed") == "ada@example.org"
    (tmp_path / "plan.json").write_text(PLAN)
    words = ["-Y", "verify", "-n", "marin-build", "-I", "ada@example.org"]
    files = ["-f", keys / "allowed", "-s", tmp_path / "plan.json.sig"]
    subprocess.run(["ssh-keygen", *map(str, [*words, *files])], input=PLAN.encode(), check=True)


def test_a_signature_can_be_added_by_hand(tmp_path: Path, keys: Path) -> None:
    """Else the reviewer must be the one who made the plan."""
    (tmp_path / "plan.json").write_text(PLAN)
    words = ["-Y", "sign", "-q", "-n", "marin-build", "-f", keys / "ada", tmp_path / "plan.json"]
    subprocess.run(["ssh-keygen", *map(str, words)], check=True)
    assert _check(tmp_path, keys / "allowed") == "ada@example.org"


@pytest.mark.parametrize(
    ("who", "options"),
    [
        ("*@example.org", ""),
        ("bob@example.org,ada@example.org", ""),
        ("!eve@example.org,*@example.org", ""),
        ("ada@example.org", 'namespaces="git,marin-build"'),
        ("ada@example.org", 'valid-after="20200101"'),
    ],
)
def test_all_forms_of_allowed_signers_count(
    tmp_path: Path, keys: Path, who: str, options: str
) -> None:
    _signed(tmp_path, keys / "ada")
    _check(tmp_path, _allow(tmp_path / "allowed", keys / "ada", who, options))


@pytest.mark.parametrize("plan", [PLAN + " ", PLAN.replace("p-1", "p-2"), "", PLAN[:-1]])
def test_a_plan_that_was_changed_does_not_fit_its_signature(
    tmp_path: Path, keys: Path, plan: str
) -> None:
    """Else who may write the folder decides what runs, with a digest that fits."""
    _signed(tmp_path, keys / "ada")
    with pytest.raises(StoppedError, match="does not fit it") as stopped:
        _check(tmp_path, keys / "allowed", plan)
    assert stopped.value.exit_code == 5


@pytest.mark.parametrize(
    ("who", "options"),
    [
        ("ada@example.org", 'namespaces="git"'),
        ("ada@example.org", 'valid-before="20200101"'),
    ],
)
def test_a_key_that_may_sign_other_things_does_not_count(
    tmp_path: Path, keys: Path, who: str, options: str
) -> None:
    _signed(tmp_path, keys / "ada")
    with pytest.raises(StoppedError, match="signature of the plan"):
        _check(tmp_path, _allow(tmp_path / "allowed", keys / "ada", who, options))


def test_a_signature_for_another_purpose_does_not_count(tmp_path: Path, keys: Path) -> None:
    """Else a signed git commit or mail with the bytes of a plan is one."""
    plan = tmp_path / "plan.json"
    plan.write_text(PLAN)
    words = ["-Y", "sign", "-q", "-n", "git", "-f", keys / "ada", plan]
    subprocess.run(["ssh-keygen", *map(str, words)], check=True)
    with pytest.raises(StoppedError, match="does not fit it"):
        _check(tmp_path, keys / "allowed")


def test_a_foreign_signature_does_not_count(tmp_path: Path, keys: Path) -> None:
    _signed(tmp_path, keys / "eve")
    with pytest.raises(StoppedError, match="is not by an allowed signer") as stopped:
        _check(tmp_path, keys / "allowed")
    assert stopped.value.exit_code == 5
    (tmp_path / "empty").write_text("")
    _signed(tmp_path, keys / "ada")
    with pytest.raises(StoppedError, match="is not by an allowed signer"):
        _check(tmp_path, tmp_path / "empty")


@pytest.mark.parametrize("text", ["", "\0\xff", "-----BEGIN SSH SIGNATURE-----\n", "x" * 100_000])
def test_what_is_no_signature_does_not_count(tmp_path: Path, keys: Path, text: str) -> None:
    (tmp_path / "plan.json.sig").write_text(text)
    with pytest.raises(StoppedError) as stopped:
        _check(tmp_path, keys / "allowed")
    assert stopped.value.exit_code == 5


@pytest.mark.parametrize("kind", ["missing", "folder", "dangling", "fifo"])
def test_a_missing_signature_is_said(tmp_path: Path, keys: Path, kind: str) -> None:
    place = tmp_path / "plan.json.sig"
    match kind:
        case "folder":
            place.mkdir()
        case "dangling":
            place.symlink_to("gone")
        case "fifo":
            os.mkfifo(place)
    with pytest.raises(StoppedError, match="is not signed") as stopped:
        _check(tmp_path, keys / "allowed")
    assert stopped.value.exit_code == 5
    assert "ssh-keygen -Y sign -n marin-build" in stopped.value.render()


def test_files_that_are_not_there_are_said(tmp_path: Path, keys: Path) -> None:
    _signed(tmp_path, keys / "ada")
    with pytest.raises(UsageError, match="no file of allowed signers"):
        _check(tmp_path, tmp_path / "gone")
    with pytest.raises(UsageError, match="there is no key"):
        sign(PLAN, str(tmp_path / "gone"))


def test_a_key_with_a_passphrase_needs_a_terminal_or_the_agent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plan in a CI job must not wait for an answer, nor take the plan for the passphrase."""
    locked = _key(tmp_path, "locked", "-N", "correct horse")
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    monkeypatch.setenv("SSH_ASKPASS", "/bin/false")
    monkeypatch.setenv("SSH_ASKPASS_REQUIRE", "force")  # the tests may run on a terminal
    with pytest.raises(UsageError, match="cannot sign the plan with the key") as refused:
        sign(PLAN, str(locked))
    assert "passphrase" in refused.value.render()
    assert "ssh-add" in refused.value.render()
    with pytest.raises(UsageError, match="cannot sign the plan with the key"):
        sign(PLAN, f"{locked}.pub")


def test_the_agent_signs(tmp_path: Path, keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a key that never lies in a file cannot sign."""
    done = subprocess.run(["ssh-agent", "-s"], check=True, capture_output=True, text=True)
    said = dict(part.split("=") for part in done.stdout.replace("\n", "").split(";") if "=" in part)
    try:
        monkeypatch.setenv("SSH_AUTH_SOCK", said["SSH_AUTH_SOCK"])
        subprocess.run(["ssh-add", "-q", keys / "ada"], check=True, capture_output=True)
        public = shutil.copy(f"{keys / 'ada'}.pub", tmp_path / "ada.pub")
        (tmp_path / "plan.json.sig").write_text(sign(PLAN, str(public)))
        assert _check(tmp_path, keys / "allowed") == "ada@example.org"
    finally:
        os.kill(int(said["SSH_AGENT_PID"]), 15)


@pytest.mark.parametrize("text", ["", "no key\n", "-----BEGIN OPENSSH PRIVATE KEY-----\n"])
def test_what_is_no_key_cannot_sign(tmp_path: Path, text: str) -> None:
    key = tmp_path / "key"
    key.write_text(text)
    key.chmod(0o600)
    with pytest.raises(UsageError, match="cannot sign the plan with the key"):
        sign(PLAN, str(key))


def test_without_ssh_keygen_it_is_named(
    tmp_path: Path, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _signed(tmp_path, keys / "ada")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="cannot run `ssh-keygen`") as refused:
        sign(PLAN, str(keys / "ada"))
    assert "openssh-client" in refused.value.render()
    with pytest.raises(UsageError, match="cannot run `ssh-keygen`"):
        _check(tmp_path, keys / "allowed")
