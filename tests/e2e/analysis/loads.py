"""Loads of pipelines in processes of their own, as tests ask for them."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SERVER = Path(__file__).with_name("load_process.py")
SALT = "ab" * 32


@dataclass(frozen=True)
class Load:
    """What a load gave: payloads, and what it looked at or why that cannot be known."""

    payloads: list[list[str]]
    kept: dict[str, Any] | None
    reason: str = ""
    where: str = ""
    raised: str = ""


@dataclass
class LoadProcess:
    """The process that loads; see load_process.py."""

    process: subprocess.Popen[str]
    path: list[str] = field(default_factory=list)

    @classmethod
    def start(cls) -> LoadProcess:
        """Start it."""
        process = subprocess.Popen(
            [sys.executable, "-P", str(SERVER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return cls(process)

    def end(self) -> None:
        """Have it end."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def load(self, project: Path, *, trusting: bool = True, **more: Any) -> Load:
        """Load the pipeline of a project.

        Args:
            project: has `pipeline.py`.
            trusting: whether files that were just written count as old.
            more: `file`, `folder`, `environ`, `parameters`, `path`.

        """
        answer = self._ask(project, load=True, trusting=trusting, **more)
        reason, where = answer.get("not_kept", ["", ""])
        return Load(
            answer.get("payloads", []),
            answer.get("observations"),
            reason,
            where,
            answer.get("raised", ""),
        )

    def first_change(self, project: Path, kept: dict[str, Any], **more: Any) -> str | None:
        """Return in words what is different from what a load looked at."""
        change: str | None = self._ask(project, kept=kept, **more)["change"]
        return change

    def _ask(self, project: Path, **more: Any) -> dict[str, Any]:
        request = {
            "project": str(project),
            "file": "pipeline.py",
            "folder": str(project),
            "environ": {},
            "parameters": {},
            "path": [],
            "kept": None,
            "load": False,
            "trusting": True,
            "salt": SALT,
            **more,
        }
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        assert "error" not in answer, answer["error"]
        return answer
