"""A process that loads pipelines, each in a child of its own, and says what each load looked at.

It reads a request a line, as JSON, and answers with a line. Nothing of one load reaches the next.
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from typing import Any

import marin_build.analysis.observed_load
import marin_build.pipeline.targets
from marin_build.analysis.observations import NotKept, Observations
from marin_build.analysis.observed_load import observed_load
from marin_build.pipeline.graph import build_graph
from marin_build.pipeline.load import load_pipeline
from marin_build.workspace.workspace import Workspace

LATER_NS = 10_000_000_000
"""By how much a load seems to begin later: what a test has just written is old then."""


def main() -> None:
    """Answer requests until there are no more."""
    for line in sys.stdin:
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            try:
                answer = _answer(json.loads(line))
            except BaseException:  # noqa: BLE001 - the test that asked shows it
                answer = {"error": traceback.format_exc()}
            with open(writing, "w", encoding="utf-8") as stream:
                stream.write(json.dumps(answer))
            os._exit(0)
        os.close(writing)
        with open(reading, encoding="utf-8") as stream:
            text = stream.read()
        os.waitpid(child, 0)
        print(text, flush=True)


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    os.chdir(request["folder"])
    os.environ.update(request["environ"])
    sys.path[:0] = request["path"]
    project, given = request["project"], request["parameters"]
    file = os.path.join(project, request["file"])
    found: dict[str, Any] = {}
    if request["kept"] is not None:
        found["change"] = Observations.of_json(request["kept"]).first_change(given)
    if request["load"]:
        later = LATER_NS if request["trusting"] else 0
        salt = bytes.fromhex(request["salt"])
        workspace = Workspace(project, os.path.join(project, "out"))
        clock = lambda: time.time_ns() + later  # noqa: E731
        try:
            with observed_load(project, given, salt=salt, clock=clock) as load:
                pipeline = load_pipeline(file, workspace, given)
        except Exception as error:  # noqa: BLE001 - the test that asked judges it
            return {**found, "raised": f"{type(error).__name__}: {error}"}
        result = load.result(pipeline)
        graph = build_graph(pipeline.roots)
        targets = marin_build.pipeline.targets.make_targets(graph, workspace)
        found["payloads"] = [[target.name, target.fingerprint] for target in targets.all]
        if isinstance(result, NotKept):
            found["not_kept"] = [result.reason, result.where]
        else:
            found["observations"] = result.json_values()
    return found


if __name__ == "__main__":
    main()
