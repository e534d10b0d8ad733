"""Startup scripts: no value escapes from them, and they end what is paid for."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from marin_build import command
from marin_build.errors import MarinBuildError
from tests.workspaces import in_workspace

from .sample_resources import (
    EVERYTHING,
    HERE,
    emitted,
    node_of,
    sample,
    script_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


SHELLCHECK = Path(sys.executable).parent / "shellcheck"


@pytest.fixture(autouse=True)
def _here() -> Iterator[None]:
    with in_workspace(HERE):
        yield


@pytest.mark.parametrize(
    "value", ["$(touch x)", "a'b", 'a"b', "a\nb", "a;b", "`x`", "ü", "-n", "\\", "{{ x }}", "%s"]
)
@pytest.mark.parametrize("image", [None, "lab/lm:1"])
def test_hostile_parameters_reach_the_program_as_they_are(
    value: str, image: str | None, tmp_path: Path
) -> None:
    """Else a parameter runs as root on a machine with the rights of its service account."""
    (tmp_path / "bin").mkdir()
    for name in ("docker", "my program"):
        program = tmp_path / "bin" / name
        program.write_text('#!/bin/sh\nprintf "%s\\0" "$@" > "$OUT"\n')
        program.chmod(0o755)
    # A metadata server that knows one word, and takes every note.
    curl = tmp_path / "bin" / "curl"
    curl.write_text(
        '#!/bin/sh\ncase $* in *marin-build-job*) printf "mb-x-1";; *--data*) cat;; esac\n'
    )
    curl.chmod(0o755)
    step = command("echo {output}", name=f"a{ord(value[0])}", resources=sample().resources)
    files = emitted(
        step, parameter=value, program="my program", linger=0, **({"image": image} if image else {})
    )
    script = json.loads(files[f"steps/{step.target_id}/queued_resource.json"])
    text = node_of(script)["metadata"]["startup-script"]
    environment = {
        "PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin",
        "OUT": str(tmp_path / "words"),
        "STATE_DIRECTORY": str(tmp_path),
    }
    done = subprocess.run(
        ["bash", "-c", text], env=environment, capture_output=True, text=True, check=True
    )
    words = (tmp_path / "words").read_text().split("\0")
    assert f"n={value}" in words, done.stderr
    if image:
        assert words[words.index("--entrypoint") + 1 : words.index("run-step")] == [
            "my program",
            image,
        ]
    assert (tmp_path / "marin-build" / "exit-code").read_text() == "0\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bin", "marin-build", "words"]


@pytest.mark.parametrize(
    ("worker", "code", "deletes"), [(0, 0, True), (1, 0, False), (0, 4, True), (1, 137, True)]
)
def test_a_machine_tells_its_end_and_then_deletes_what_is_paid_for(
    worker: int, code: int, deletes: bool, tmp_path: Path
) -> None:
    """Else machines of a run that nobody follows stay, or vanish while other ranks still write."""
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "marin-build"
    program.write_text(f'#!/bin/sh\necho "$MARIN_BUILD_RANK of $MARIN_BUILD_RANKS"\nexit {code}\n')
    curl = tmp_path / "bin" / "curl"
    curl.write_text(
        '#!/bin/bash\nprintf "%s\\n" "$*" >> "$OUT"\nfor word; do case $word in\n'
        "  */agent-worker-number) printf " + str(worker) + ";;\n"
        "  */marin-build-*) printf mb-x-1;;\n"
        "  */worker-network-endpoints) printf a:b:10.0.0.7,a:b:10.0.0.8;;\n"
        '  */token) printf \'{"access_token":"hush-hush","expires_in":3}\';;\n'
        '  /dev/fd/*) cat "$word" >> "$OUT.header";;\n'
        '  @/dev/fd/*) cat "${word#@}" >> "$OUT.header";;\n'
        '  @-) cat >> "$OUT";;\nesac; done\n'
    )
    for path in (program, curl):
        path.chmod(0o755)
    environment = {
        "PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin",
        "OUT": str(tmp_path / "asked"),
        "STATE_DIRECTORY": str(tmp_path),
    }
    script = script_of(sample(slice_type="v4-16"), linger=0)
    subprocess.run(["bash", "-c", script], env=environment, capture_output=True, check=True)
    asked = (tmp_path / "asked").read_text()
    said = base64.b64encode(f"{worker} of 2\n".encode()).decode()
    output, told = asked.index(said), asked.index("guest-attributes/marin-build/exit-code")
    assert output < told
    deletion = "/v2/projects/my-project/locations/us-east5-a/queuedResources/mb-x-1?force=true"
    assert (deletion in asked) == deletes
    assert "hush-hush" not in asked
    if deletes:
        assert told < asked.index(deletion)
        assert (tmp_path / "asked.header").read_text() == "Authorization: Bearer hush-hush\n"


@pytest.mark.parametrize("slices", [1, 2])
@pytest.mark.parametrize("settings", [{}, EVERYTHING])
def test_shellcheck_finds_nothing(slices: int, settings: dict[str, Any], tmp_path: Path) -> None:
    """Else a word of the script is split on a machine that nobody watches."""
    for slice_type in ("v4-8", "v5p-32"):
        script = tmp_path / f"{slice_type}.sh"
        script.write_text(script_of(sample(slice_type=slice_type, slice_count=slices), **settings))
    done = subprocess.run(
        [SHELLCHECK, *sorted(tmp_path.iterdir())], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_a_script_that_no_machine_could_hold_is_refused() -> None:
    """Else the API refuses it, when the other steps are built."""
    step = command(f"echo {'x' * 50_000} {{output}}", name="long", resources=sample().resources)
    assert script_of(step)
    with pytest.raises(MarinBuildError, match="too long"):
        script_of(step, setup=[f": {'y' * 99_000}"] * 3)
