"""A stand-in for GitHub's command line `gh`: the few requests of our workflows, on a file.

It is run as a program. `GH_STATE` names the file: comments, issues, pull requests, runs. Answers
pass through the real jq, and each request is kept for the tests.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def changed_state(file: Path) -> Iterator[dict[str, Any]]:
    """Yield what the file holds, and keep what it becomes; others wait meanwhile."""
    with file.open("r+") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        state = json.load(stream)
        yield state
        stream.seek(0)
        stream.truncate()
        json.dump(state, stream)


def main(argv: list[str]) -> None:
    """Answer one request."""
    assert os.environ.get("GH_TOKEN"), "gh: no token"
    with changed_state(Path(os.environ["GH_STATE"])) as state:
        state["requests"].append(argv)
        answer = _answer(argv, state)
    if answer is None:
        return
    query = _option(argv, "--jq")
    text = json.dumps(answer)
    if query is not None:
        done = subprocess.run(
            ["jq", "-r", query], input=text, capture_output=True, text=True, check=True
        )
        text = done.stdout
    sys.stdout.write(text)


def _answer(argv: list[str], state: dict[str, Any]) -> Any:
    match argv[:2]:
        case ["api", _]:
            return _api(argv, state)
        case ["run", "list"]:
            commit = _option(argv, "--commit")
            return [run for run in state["runs"] if run["headSha"] == commit][::-1]
        case ["run", "download"]:
            name, folder = _option(argv, "--name"), _option(argv, "--dir")
            kept = Path(state["artifacts"]) / argv[2] / str(name)
            if not kept.is_dir():
                sys.exit(f"no artifact matches any of the names: {name}")
            shutil.copytree(kept, str(folder))
            return None
        case ["label", "create"]:
            return None
        case ["issue", verb]:
            return _issue(verb, argv, state)
    raise SystemExit(f"gh: unknown command {argv}")


def _api(argv: list[str], state: dict[str, Any]) -> Any:
    method = _option(argv, "-X") or "GET"
    path = next(word for word in argv[1:] if word.startswith("repos/")).split("?")[0]
    _, _, _, *rest = path.split("/")
    body = None
    if (field := _option(argv, "-F")) is not None:
        key, _, file = field.partition("=@")
        assert key == "body"
        body = Path(file).read_text()
        assert len(body) <= 65_536, "body is too long (maximum is 65536 characters)"
    match method, rest:
        case "GET", ["issues", number, "comments"]:
            return state["comments"].get(number, [])
        case "POST", ["issues", number, "comments"]:
            made = {"id": len(state["requests"]), "user": {"type": "Bot"}, "body": body}
            state["comments"].setdefault(number, []).append(made)
            return made
        case "PATCH", ["issues", "comments", identity]:
            every = [each for many in state["comments"].values() for each in many]
            found = next(each for each in every if str(each["id"]) == identity)
            found["body"] = body
            return found
        case "GET", ["commits", sha, "pulls"]:
            return [{"number": n} for n, pull in state["pulls"].items() if pull["merged"] == sha]
        case "GET", ["pulls", number]:
            return {"head": {"sha": state["pulls"][number]["head"]}}
    raise SystemExit(f"gh: unknown request {method} {path}")


def _issue(verb: str, argv: list[str], state: dict[str, Any]) -> Any:
    issues = state["issues"]
    text = _option(argv, "--body-file")
    match verb:
        case "list":
            return [{"number": i["number"]} for i in issues if i["state"] == "open"]
        case "create":
            body = Path(str(text)).read_text()
            issues.append({"number": len(issues) + 1, "state": "open", "body": body})
        case "edit" | "close":
            found = next(i for i in issues if i["number"] == int(argv[2]))
            if verb == "edit":
                found["body"] = Path(str(text)).read_text()
            else:
                found["state"] = "closed"
        case _:
            raise SystemExit(f"gh: unknown command issue {verb}")
    return None


def _option(argv: list[str], name: str) -> str | None:
    return next((argv[i + 1] for i, word in enumerate(argv) if re.fullmatch(name, word)), None)


if __name__ == "__main__":
    main(sys.argv[1:])
