"""Fixtures of the end-to-end tests."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from tests.servers.slurm import slurm_cluster

from .slurm_support import report_on
from .support import PROGRAM, Gate, gate_in, project_in

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

    from tests.servers.slurm import Cluster

    from .support import Project


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Have a test on Slurm that fails, whatever it waited for, show what the cluster says."""
    report = yield
    if report.failed:
        report.sections += report_on(getattr(item, "funcargs", {}).values())
    return report


@pytest.fixture(scope="session", autouse=True)
def _program_is_there() -> None:
    assert PROGRAM.exists(), f"install the package: {PROGRAM} is missing"


@pytest.fixture(scope="session", autouse=True)
def _signals_are_as_at_a_terminal() -> None:
    """A shell has what it starts in the background ignore signals that these tests send."""
    for number in (signal.SIGQUIT, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A private Slurm cluster of three nodes; a test that uses it ends its jobs."""
    with slurm_cluster(tmp_path_factory.mktemp("slurm"), nodes=3) as made:
        yield made


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """An empty project; what is started in it does not outlive the test."""
    with project_in(tmp_path) as made:
        yield made


@pytest.fixture
def gate(project: Project, tmp_path: Path) -> Iterator[Gate]:
    """A gate that steps of the project's pipeline can wait at: `from gate import wait_at_gate`."""
    with gate_in(tmp_path / "gate") as made:
        project.environment["GATE"] = str(made.folder)
        project.write("gate.py", Gate.MODULE)
        yield made
